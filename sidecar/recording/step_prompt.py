"""`--step`: asks at a terminal what becomes of each line of a recording before it is sent."""

import json
from functools import partial
from pathlib import Path
from typing import Any, Final, TextIO

from sidecar.recording.recorded_session import SentLine, answers
from sidecar.truncation import truncate

_COMMANDS: Final = "Enter or n: send it, i: inspect, e: edit and send, s: skip, c: send all from here, q: quit"
_SHOWN: Final = 200
"""Characters of a line that are shown before it is inspected."""


class Quit(Exception):
    """The replay ends here."""


class StepPrompt:
    """Asks for one replay. Use `choose` as its `on_line`."""

    def __init__(self, folder: Path, out: TextIO) -> None:
        self._folder = folder
        self._out = out
        self._asks = True

    def choose(self, line: SentLine) -> bytes | None:
        """What is sent in place of a line; None for nothing. Raises Quit."""
        text = line.line.decode(errors="surrogateescape")
        if self._asks:
            self._say(f"request {line.seq}: {truncate(text, _SHOWN, str)}")
        while self._asks:
            command = self._read("next? ").strip().lower()
            if command in ("", "n", "next"):
                break
            if command in ("e", "edit"):
                return self._edited(text)
            if command in ("s", "skip"):
                return None
            if command in ("q", "quit"):
                raise Quit
            if command in ("i", "inspect"):
                self._inspect(line)
            elif command in ("c", "continue"):
                self._asks = False
            else:
                self._say(_COMMANDS)
        return line.line

    def _inspect(self, line: SentLine) -> None:
        self._say(_pretty(line.line))
        answer = next((one for one in answers(self._folder) if one.seq == line.seq), None)
        self._say("recorded reply:" if answer else "no reply is recorded")
        if answer:
            self._say(json.dumps(answer.message, indent=2, ensure_ascii=False))

    def _edited(self, text: str) -> bytes:
        """The line as it was edited at the prompt."""
        import readline  # late: it changes how each `input` of the process reads

        while True:
            readline.set_startup_hook(partial(readline.insert_text, text))
            try:
                text = self._read("send> ")
            finally:
                readline.set_startup_hook(None)
            try:
                if isinstance(json.loads(text), dict):
                    return text.encode(errors="surrogateescape")
                self._say("that is no JSON object; edit it, or press Ctrl-C to end")
            except ValueError as wrong:
                self._say(f"that is not JSON ({wrong}); edit it, or press Ctrl-C to end")

    def _read(self, prompt: str) -> str:
        try:
            return input(prompt)
        except EOFError:
            raise Quit from None

    def _say(self, text: str) -> None:
        self._out.write(
            "".join(char if char.isprintable() or char == "\n" else repr(char)[1:-1] for char in text) + "\n"
        )
        self._out.flush()


def _pretty(line: bytes) -> str:
    try:
        shown: Any = json.loads(line)
    except ValueError:
        return line.decode(errors="replace")
    return json.dumps(shown, indent=2, ensure_ascii=False)
