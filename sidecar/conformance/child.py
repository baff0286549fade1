"""The child that a client spawns: plays a case's lines. `python -m sidecar.conformance.child FILE NAME REPORT SECONDS`.

What it finds wrong is written to REPORT, which is empty where nothing is.
"""

import json
import os
import select
import sys
import time
from pathlib import Path
from typing import Any, Final

from sidecar.conformance.cases import Case, read
from sidecar.conformance.patterns import Names, differences, expected, shown

READY: Final = {"type": "ready", "content": "waiting for credentials", "protocol": "2.0", "version": "0", "pid": 1}


class Wrong(Exception):
    """The client has written something else than the case expects."""


class Player:
    """Plays the steps of one case."""

    def __init__(self, case: Case, seconds: float) -> None:
        """`seconds` is how long the client may take to write a line."""
        self._seconds = seconds
        self._steps = [step for step in case.steps if step.mark in ("<", ">", "!")]
        self._names = Names()
        self._read = b""
        self._pieces: list[bytes] = []

    def play(self) -> int:
        """Gives the exit code. Raises Wrong."""
        self._steps = list(self._steps)
        first = self._steps[0]
        if not (first.mark == "!" and first.text == "no ready"):
            self._say({**READY, "pid": os.getpid()})
            self._hello()
        for step in self._steps:
            if step.mark == "<":
                self._write(self._names.fill(step.text).encode() + b"\n")
            elif step.mark == ">":
                self._expect(expected(self._names.fill(step.text)), step.line)
            else:
                code = self._act(step.text)
                if code is not None:
                    return code
        if (line := self._line()) is not None:
            raise Wrong(f"nothing more was expected of the client, got {line!r}")
        return 0

    def _act(self, text: str) -> int | None:
        what, _, argument = text.partition(" ")
        if what == "exit":
            return int(argument)
        if what == "stderr":
            os.write(2, self._names.fill(argument).encode() + b"\n")
        elif what == "raw":
            self._write(self._names.fill(argument).encode().decode("unicode_escape").encode("latin-1"))
        elif what == "pause":
            time.sleep(float(argument))
        elif what == "end":
            if (line := self._line()) is not None:
                raise Wrong(f"the end of input was expected, got {line!r}")
        elif text != "no ready":
            raise Wrong(f"{text} is no action")
        return None

    def _hello(self) -> None:
        names = Names()
        pattern = {"type": "hello", "id": "<id:hello>", "content": {"notifications": True, "<more>": "<any>"}}
        line = self._line()
        found = ["its input has ended"] if line is None else list(differences(pattern, json.loads(line), names))
        if found:
            raise Wrong(f"the client asks for events with `hello` first: {found[0]}")
        reply = {"type": "ok", "content": {"version": "0", "protocol": "2.0"}, "id": names["hello"]}
        self._say(reply)

    def _expect(self, pattern: Any, number: int) -> None:
        line = self._line()
        if line is None:
            raise Wrong(f"line {number}: the client's line was expected, and its end has come")
        value = json.loads(line)
        found = list(differences(pattern, value, self._names))
        if found:
            told = "".join(f"\n    {one}" for one in found)
            raise Wrong(f"line {number}, what the client writes:\n  - {shown(pattern)}\n  + {shown(value)}{told}")

    def _line(self) -> bytes | None:
        """The next line of the client's, None at the end."""
        while b"\n" not in self._read:
            self._pieces.append(self._read)
            if not select.select([0], [], [], self._seconds)[0]:
                raise Wrong(f"the client writes nothing for {self._seconds:g} s")
            self._read = os.read(0, 1 << 16)
            if not self._read:
                rest, self._pieces = b"".join(self._pieces), []
                return rest or None
        head, _, self._read = self._read.partition(b"\n")
        line, self._pieces = b"".join([*self._pieces, head]), []
        return line

    def _say(self, reply: dict[str, Any]) -> None:
        self._write(json.dumps(reply, separators=(",", ":")).encode() + b"\n")

    def _write(self, data: bytes) -> None:
        while data:
            data = data[os.write(1, data[: 1 << 16]) :]


def main(file: str, name: str, report: str, seconds: str) -> int:
    """Plays a case of a file."""
    case = next(one for one in read(Path(file)) if one.name == name)
    try:
        return Player(case, float(seconds)).play()
    except Wrong as wrong:
        Path(report).write_text(str(wrong))
        return 97
    except (OSError, ValueError) as wrong:
        Path(report).write_text(f"the client has broken the connection: {wrong!r}")
        return 97


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
