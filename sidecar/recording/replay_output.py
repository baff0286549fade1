"""The output of a replay: one line for each command, in colour on a terminal."""

import os
import shutil
from typing import Any, Final, TextIO

from sidecar_protocol.encoding import encode
from sidecar_protocol.wire_types import REDACTED

DEFAULT_WIDTH: Final = 200
"""Characters per line without a terminal."""
_SECRET_REQUESTS: Final = frozenset({"get_secret", "get_users_secret", "get_user_secret"})
"""Requests whose reply is a secret and not printed, since the output of CI is kept."""
_STYLES: Final = {"ok": "green", "pong": "green", "error": "red"}


class ReplayPrinter:
    """Prints to a file, or in colour to a terminal; control characters are escaped."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._terminal = out.isatty()
        self._width = shutil.get_terminal_size().columns if self._terminal else DEFAULT_WIDTH

    def info(self, text: str) -> None:
        """Prints a line of information."""
        self._print(text, "")

    def error(self, text: str) -> None:
        """Prints an error."""
        self._print(f"error: {text}", "red", self._width)

    def request_and_reply(self, milliseconds: float, kind: str, reply: dict[str, Any]) -> None:
        """`12ms    IN: send_cv                    OUT: ok: true`; a secret's value is not printed."""
        text = f"{f'{milliseconds:.0f}ms':<7} IN: {kind:<26} OUT: {_summary(kind, reply)}"
        self._print(text, _STYLES.get(str(reply.get("type")), ""), self._width)

    def difference(self, place: str, before: str, after: str) -> None:
        """Prints a place in a reply with what was recorded and what came."""
        self._print(f"differs: {place}", "red")
        self._print(f"  - {before}", "red", max(self._width, DEFAULT_WIDTH))
        self._print(f"  + {after}", "green", max(self._width, DEFAULT_WIDTH))

    def raw(self, line: str) -> None:
        """Prints a line for programs."""
        self._out.write(line + "\n")
        self._out.flush()

    def discard_output(self) -> None:
        """Discards unprinted output, which Python would otherwise write again at exit."""
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self._out.fileno())
        os.close(nowhere)

    def _print(self, text: str, style: str, width: int | None = None) -> None:
        text = "".join(char if char.isprintable() else f"\\x{ord(char):02x}" for char in text)
        if width is not None and len(text) > width:
            text = text[: width - 1] + "…"
        if not self._terminal:
            self._out.write(text + "\n")
            self._out.flush()
            return
        from rich.console import Console  # late: only a terminal needs it
        from rich.text import Text

        Console(file=self._out, soft_wrap=True).print(Text(text, style=style))


def _summary(asked: str, reply: dict[str, Any]) -> str:
    kind = str(reply.get("type"))
    if "content" not in reply:
        return kind
    content = reply["content"]
    if kind == "error":
        return f"{kind}: {content}"
    return f"{kind}: {REDACTED if asked in _SECRET_REQUESTS else encode(content).decode()}"
