"""The output of a replay: one line for each command, in colour on a terminal."""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, TextIO

from sidecar_protocol.encoding import encode
from sidecar_protocol.wire_types import REDACTED

from sidecar.recording.replay_tally import PERCENTILES, ReplayTally

if TYPE_CHECKING:
    from rich.console import Console

DEFAULT_WIDTH: Final = 200
"""Characters per line without a terminal."""
_SECRET_REQUESTS: Final = frozenset({"get_secret", "get_users_secret", "get_user_secret"})
"""Requests whose reply is a secret and not printed, since the output of CI is kept."""
_STYLES: Final = {"ok": "green", "pong": "green", "error": "red"}


class ReplayProgress:
    """How far a replay is; without a terminal nothing shows it."""

    def advance(self) -> None:
        """One more reply has come."""


class ReplayPrinter:
    """Prints to a file, or in colour to a terminal; control characters are escaped."""

    def __init__(self, out: TextIO, *, as_json: bool = False) -> None:
        """With `as_json` each line is JSON: replies, errors and a summary, and no information."""
        self._out = out
        self._as_json = as_json
        self._terminal = out.isatty() and not as_json
        self._width = shutil.get_terminal_size().columns if self._terminal else DEFAULT_WIDTH
        self._console: Console | None = None

    @contextmanager
    def progress(self, total: int) -> Iterator["ReplayProgress"]:
        """A bar below what is printed, on a terminal."""
        if not self._terminal:
            yield ReplayProgress()
            return
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
        with Progress(*columns, console=self._rich(), transient=True) as bar:
            task = bar.add_task("replies", total=total)
            progress = ReplayProgress()
            progress.advance = lambda: bar.advance(task)  # type: ignore[method-assign]
            yield progress

    def types(self, tally: ReplayTally, *, always: bool) -> None:
        """Percentiles for each type of request: a table on a terminal, else lines if they are wanted `always`."""
        if self._terminal and tally.types:
            self._table(tally)
        elif always:
            for kind, one in tally.sorted():
                shown = ", ".join(f"p{rank} {value:.1f} ms" for rank, value in one.percentiles.items())
                self.info(f"{kind:<26} {len(one.milliseconds):>7} times: {shown}")

    def _table(self, tally: ReplayTally) -> None:
        from rich.table import Table

        table = Table("type")
        for heading in ("times", "errors", "differ", *(f"p{rank}" for rank in PERCENTILES)):
            table.add_column(heading, justify="right")
        for kind, one in tally.sorted():
            figures = (f"{value:.1f} ms" for value in one.percentiles.values())
            table.add_row(kind, str(len(one.milliseconds)), str(one.failed), str(one.different), *figures)
        self._rich().print(table)

    def _rich(self) -> "Console":
        if self._console is None:
            from rich.console import Console  # late: only a terminal needs it

            self._console = Console(file=self._out, soft_wrap=True)
        return self._console

    def info(self, text: str) -> None:
        """Prints a line of information."""
        if not self._as_json:
            self._print(text, "")

    def error(self, text: str) -> None:
        """Prints an error."""
        if self._as_json:
            self.raw(json.dumps({"error": text}))
            return
        self._print(f"error: {text}", "red", self._width)

    def request_and_reply(self, milliseconds: float, kind: str, reply: dict[str, Any]) -> None:
        """`12ms    IN: send_cv                    OUT: ok: true`; a secret's value is not printed."""
        if self._as_json:
            shown = {**reply, "content": REDACTED} if kind in _SECRET_REQUESTS and "content" in reply else reply
            self.raw(encode({"type": kind, "ms": round(milliseconds, 3), "message": shown}).decode())
            return
        text = f"{f'{milliseconds:.0f}ms':<7} IN: {kind:<26} OUT: {_summary(kind, reply)}"
        self._print(text, _STYLES.get(str(reply.get("type")), ""), self._width)

    def difference(self, place: str, before: str, after: str) -> None:
        """Prints a place in a reply with what was recorded and what came."""
        self._print(f"differs: {place}", "red")
        self._print(f"  - {before}", "red", max(self._width, DEFAULT_WIDTH))
        self._print(f"  + {after}", "green", max(self._width, DEFAULT_WIDTH))

    def summary(self, counts: dict[str, Any]) -> None:
        """Prints the last line for programs."""
        if self._as_json:
            self.raw(json.dumps({"summary": counts}))

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
        from rich.text import Text

        self._rich().print(Text(text, style=style))


def _summary(asked: str, reply: dict[str, Any]) -> str:
    kind = str(reply.get("type"))
    if "content" not in reply:
        return kind
    content = reply["content"]
    if kind == "error":
        return f"{kind}: {content}"
    return f"{kind}: {REDACTED if asked in _SECRET_REQUESTS else encode(content).decode()}"
