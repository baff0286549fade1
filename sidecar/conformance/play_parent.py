"""The parent's side: sends a case's lines to an implementation of the sidecar and compares what it answers."""

import contextlib
import json
import os
import queue
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import IO, Any, Final, cast

from sidecar.conformance.cases import Case, Step
from sidecar.conformance.patterns import Names, differences, expected, shown

READY: Final = {
    "type": "ready",
    "content": "waiting for credentials",
    "protocol": "<string:protocol>",
    "<more>": "<any>",
}


class Mismatch(Exception):
    """The other side did something else than the case expects."""


class Session:
    """One process of the implementation. Cases share one, but for those that need a fresh one."""

    def __init__(self, command: Sequence[str], env: Mapping[str, str], timeout: float) -> None:
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, env=env)  # noqa: S603
        self._input, self._output = cast(IO[bytes], self._process.stdin), cast(IO[bytes], self._process.stdout)
        self._timeout = timeout
        self._lines: queue.Queue[bytes | None] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self._syncs = 0
        self._is_over = False

    def begin(self) -> None:
        """Reads `ready`. Raises Mismatch."""
        names = Names()
        self._compare(READY, self._line(), names, "ready")
        if not str(names["protocol"]).startswith("2."):
            raise Mismatch(f"ready: protocol: expected 2.x, got {shown(names['protocol'])}")

    def play(self, case: Case) -> None:
        """Plays a case, and looks that nothing else is written. Raises Mismatch."""
        names = Names()
        names["tomorrow"] = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(time.time() + 86_400))
        steps = list(case.steps)
        while steps:
            step = steps.pop(0)
            if step.mark in (">", ">b"):
                self._send(step, names)
            elif step.mark == "!":
                self._act(step)
            else:
                group = [step]
                while step.mark == "?" and steps and steps[0].mark == "?":
                    group.append(steps.pop(0))
                self._expect(group, names)
        if not self._is_over and not self._input.closed:
            self._sync()

    def end(self) -> None:
        """Closes its input and waits for it. Raises Mismatch where it writes more, or ends with another code than 0."""
        try:
            self._close()
            if (line := self._line_or_end()) is not None:
                raise Mismatch(f"after the end of its input: nothing more was expected, got {_text(line)}")
            self._exit(0)
        finally:
            self.kill()

    def kill(self) -> None:
        """Ends it at once."""
        self._process.kill()
        self._process.wait()
        self._reader.join(5)
        self._close()
        self._output.close()

    def _send(self, step: Step, names: Names) -> None:
        line = _bytes(step.text) if step.mark == ">b" else names.fill(step.text).encode() + b"\n"
        try:
            self._input.write(line)
            self._input.flush()
        except (OSError, ValueError):
            raise Mismatch(f"line {step.line}: it does not read any more") from None

    def _act(self, step: Step) -> None:
        what, _, argument = step.text.partition(" ")
        if what == "close":
            self._close()
        elif what == "signal":
            self._process.send_signal(int(argument))
        elif what == "exit":
            while (line := self._line_or_end()) is not None:
                raise Mismatch(f"line {step.line}: nothing more was expected, got {_text(line)}")
            self._exit(int(argument))
        else:
            raise Mismatch(f"line {step.line}: {what} is no action")

    def _expect(self, steps: list[Step], names: Names) -> None:
        """Lines in this order (`<`), or each of these once (`?`)."""
        wanted = [(step, expected(names.fill(step.text))) for step in steps]
        while wanted:
            line = self._line(f"line {wanted[0][0].line}")
            found = [list(differences(pattern, line, Names(names))) for _, pattern in wanted]
            best = min(range(len(wanted)), key=lambda one: len(found[one]))
            step, pattern = wanted.pop(best)
            self._compare(pattern, line, names, f"line {step.line}")

    def _compare(self, pattern: Any, line: Any, names: Names, where: str) -> None:
        found = list(differences(pattern, line, names))
        if found:
            told = "".join(f"\n    {one}" for one in found)
            raise Mismatch(f"{where}:\n  - {shown(pattern)}\n  + {shown(line)}{told}")

    def _sync(self) -> None:
        """A question of our own, whose answer must be the next line: so nothing is left over for the next case."""
        self._syncs += 1
        identity = f"after case {self._syncs}"
        self._input.write(json.dumps({"type": "ping", "id": identity}).encode() + b"\n")
        self._input.flush()
        self._compare({"type": "pong", "id": identity}, self._line(), Names(), "after the case, to one more ping")

    def _line(self, where: str = "") -> Any:
        line = self._line_or_end(where)
        if line is None:
            raise Mismatch(f"{where or 'ready'}: a line was expected, and its output has ended")
        try:
            return json.loads(line)
        except ValueError:
            raise Mismatch(f"{where}: what it writes is no JSON: {_text(line)}") from None

    def _line_or_end(self, where: str = "") -> bytes | None:
        if self._is_over:
            return None
        try:
            line = self._lines.get(timeout=self._timeout)
        except queue.Empty:
            raise Mismatch(f"{where or 'ready'}: nothing within {self._timeout:g} s") from None
        self._is_over = line is None
        return line

    def _exit(self, code: int) -> None:
        try:
            got = self._process.wait(self._timeout)
        except subprocess.TimeoutExpired:
            raise Mismatch(f"it has not ended within {self._timeout:g} s") from None
        if got != code:
            raise Mismatch(f"exit code: expected {code}, got {got}")

    def _read(self) -> None:
        for line in self._output:
            self._lines.put(line)
        self._lines.put(None)

    def _close(self) -> None:
        with contextlib.suppress(OSError):
            self._input.close()


def play(
    cases: Sequence[Case], command: Sequence[str], env: Mapping[str, str], timeout: float
) -> Iterator[tuple[Case, str]]:
    """Each case with what is wrong, empty where nothing is."""
    shared: Session | None = None
    for case in cases:
        fresh = "fresh" in case.needs
        session = Session(command, env, timeout) if fresh or shared is None else shared
        try:
            if session is not shared:
                session.begin()
            session.play(case)
            if fresh:
                session.end()
        except (Mismatch, BrokenPipeError) as wrong:
            session.kill()
            shared = shared if fresh else None
            yield case, str(wrong)
        else:
            shared = shared if fresh else session
            yield case, ""
    if shared is not None:
        shared.kill()


def _bytes(text: str) -> bytes:
    """A line given with Python's escapes; it has its end in it."""
    return text.encode().decode("unicode_escape").encode("latin-1")


def _text(line: bytes) -> str:
    return shown(line.decode(errors="replace").rstrip(os.linesep))
