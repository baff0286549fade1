"""Drives any child that speaks JSON lines: starts it, sends lines as fast as it takes them, checks every answer."""

import contextlib
import json
import os
import select
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

CHUNK = 64 << 10
"""Bytes written at once: a pipe's capacity."""
PATIENCE = 60.0
"""Seconds until a child that does not answer is killed."""
GATHER = 0.0003
"""Seconds that the reader lets small answers pile up, so its own speed is not measured."""


class WrongAnswerError(Exception):
    """The child died, hung, or gave another answer."""


@dataclass(frozen=True, slots=True)
class Run:
    """The cost of one run of lines."""

    lines: int
    seconds: float

    @property
    def rate(self) -> float:
        """Lines a second."""
        return self.lines / self.seconds


class Child:
    """One process under measurement. Use it as a context manager."""

    def __init__(self, command: Sequence[str], folder: Path, environ: Mapping[str, str]) -> None:
        self._log = (folder / "stderr.log").open("ab")
        started = time.perf_counter()
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log, bufsize=0, cwd=folder, env=environ
        )
        assert self.process.stdin
        assert self.process.stdout
        self._stdin, self._stdout = self.process.stdin.fileno(), self.process.stdout.fileno()
        self._rest = b""
        with self._watchdog():
            if self._read()["type"] != "ready":
                raise WrongAnswerError("the first line is not `ready`")
        self.seconds_to_ready = time.perf_counter() - started

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
        self._log.close()

    def ask(self, line: bytes) -> dict[str, Any]:
        """Sends one line and waits for its reply; skips events."""
        self.send(line)
        while (answer := self.receive())["type"] == "event":
            pass
        return answer

    def event(self, name: str) -> dict[str, Any]:
        """The content of the next event of that name; skips others."""
        while (line := self.receive()).get("event") != name:
            if line["type"] != "event":
                raise WrongAnswerError(f"{line}, not an event")
        content: dict[str, Any] = line["content"]
        return content

    def send(self, line: bytes) -> None:
        """Sends one line; `receive` reads the answers."""
        os.write(self._stdin, line)

    def receive(self) -> dict[str, Any]:
        """The next line of output."""
        with self._watchdog():
            return self._read()

    def one_by_one(self, line: bytes, times: int) -> Run:
        """Sends one line repeatedly, each time as soon as the last one is answered."""
        expected = json.dumps(self.ask(line))
        with self._watchdog():
            started = time.perf_counter()
            for _ in range(times):
                os.write(self._stdin, line)
                answer = os.read(self._stdout, CHUNK)
            seconds = time.perf_counter() - started
        if json.dumps(json.loads(answer)) != expected:
            raise WrongAnswerError(f"{answer!r}, not {expected}")
        return Run(times, seconds)

    def pipeline(self, lines: Sequence[bytes], expected: Sequence[dict[str, Any]], *, ordered: bool = True) -> Run:
        """Sends lines as fast as they are taken, while a thread reads. Raises WrongAnswerError.

        Answers to requests with ids come as they are ready: with `ordered=False` they are put in order by their ids.
        """
        answers: list[bytes] = []
        ended: list[float] = []
        chunks = list(_chunks(lines))
        reader = threading.Thread(target=self._collect, args=(len(lines), answers, ended), daemon=True)
        with self._watchdog():
            started = time.perf_counter()
            reader.start()
            for chunk in chunks:
                _write(self._stdin, chunk)
            reader.join()
        _compare(b"".join(answers).splitlines(), expected, ordered=ordered)
        return Run(len(lines), ended[0] - started)

    def resident(self) -> float:
        """Resident memory of the child, in bytes. Source: Linux's /proc."""
        pages = Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]
        return float(int(pages) * os.sysconf("SC_PAGE_SIZE"))

    def _read(self) -> dict[str, Any]:
        while b"\n" not in self._rest:
            data = os.read(self._stdout, CHUNK)
            if not data:
                raise WrongAnswerError("the child closed its stdout; its stderr.log may say why")
            self._rest += data
        line, _, self._rest = self._rest.partition(b"\n")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _collect(self, wanted: int, answers: list[bytes], ended: list[float]) -> None:
        while wanted > 0:
            select.select([self._stdout], [], [])
            data = os.read(self._stdout, 4 * CHUNK)
            if not data:
                break
            answers.append(data)
            wanted -= data.count(b"\n")
            if wanted > 0 and len(data) < CHUNK // 2:
                time.sleep(GATHER)
        ended.append(time.perf_counter())

    @contextlib.contextmanager
    def _watchdog(self) -> Iterator[None]:
        """Kills the child if it hangs; blocked reads and writes then end."""
        timer = threading.Timer(PATIENCE, self.process.kill)
        timer.start()
        try:
            yield
        finally:
            timer.cancel()


def _chunks(lines: Sequence[bytes]) -> Iterator[bytes]:
    some: list[bytes] = []
    size = 0
    for line in lines:
        some.append(line)
        size += len(line)
        if size >= CHUNK:
            yield b"".join(some)
            some, size = [], 0
    yield b"".join(some)


def _write(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _compare(rows: Sequence[bytes], expected: Sequence[dict[str, Any]], *, ordered: bool) -> None:
    if len(rows) != len(expected):
        raise WrongAnswerError(f"{len(rows)} answers to {len(expected)} lines")
    known: dict[bytes, dict[str, Any]] = {}
    answers = [known.get(row) or known.setdefault(row, json.loads(row)) for row in rows]
    if not ordered:
        answers.sort(key=lambda answer: str(answer.get("id")).zfill(20))
    for answer, wanted in zip(answers, expected, strict=True):
        if answer != wanted:
            raise WrongAnswerError(f"{answer}, not {wanted}")
