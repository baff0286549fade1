"""A sidecar as a child process over real descriptors, for end-to-end tests. No wait here is without an end.

with Child(tmp_path) as child:
    child.send({"type": "ping"})
    assert child.read() == {"type": "pong"}
    assert child.end() == 0
"""

import asyncio
import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import playwright

from tests.fakes import KEY, KEY_ID, StandInReceiver, StandInRtcv

PIPE = subprocess.PIPE
SECONDS = 20.0
"""How long a test waits for something that must happen; far more than it takes."""
PAUSE = 0.02
"""Seconds between two looks at what gives no sign: looking without a pause takes the CPU from what is waited for."""
NODE = str(Path(playwright.__file__).with_name("driver") / "node")
"""The Node that Playwright brings: there on every machine that passes the tests."""
OURS = ("SIDECAR_", "LOG_SCRAPER_CLIENT", "ENABLE_SCRAPER_CLIENT")
"""Prefixes of variables that would change what a child does."""


def encoded(message: object) -> bytes:
    """One line: an object becomes JSON, bytes stay as they are; the newline is added."""
    return (message if isinstance(message, bytes) else json.dumps(message).encode()) + b"\n"


def without_hints(replies: list[Any]) -> list[Any]:
    """The replies without their errors' hints; what these say is tested by tests/e2e/test_mistakes.py."""
    bare = []
    for reply in replies:
        if "error" in reply:
            kept = {name: value for name, value in reply["error"].items() if name != "hint"}
            reply = {**reply, "error": kept}
        bare.append(reply)
    return bare


def error(code: str, message: str, *, retryable: bool = False, **places: Any) -> dict[str, Any]:
    """The exact `error` reply; `id` goes to its envelope, every other place into the typed form."""
    envelope = {"id": places.pop("id")} if "id" in places else {}
    if code == "invalid_content" and "field" in places:
        places = {"fields": [{"field": places["field"], "message": message}], **places}
    detail = {"code": code, "message": message, "retryable": retryable, **places}
    return {"type": "error", "content": message, "error": detail, **envelope}


def environment(folder: Path, extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """This process's environment without what would change a sidecar, its state folder inside `folder`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    return {**kept, "SIDECAR_HOME": str(folder / "state"), **(extra or {})}


MISSING_CREDENTIALS = error(
    "missing_credentials",
    "missing credentials, call set_credentials before this method",
    hint="log in with set_credentials, or try it out with set_mock; browser jobs that name no `secrets` and"
    " have no `forward` need neither",
)
"""What a message that needs a login is answered without one."""


class Child:
    """A running `python -m sidecar`, in `folder`; `ready` is read already where stdout is ours to read."""

    def __init__(
        self,
        folder: Path,
        *arguments: str,
        env: Mapping[str, str] | None = None,
        stdin: int = PIPE,
        stdout: int = PIPE,
        command: Sequence[str] | None = None,
    ) -> None:
        """`stdin` and `stdout` are descriptors for the child, or PIPE; `command` replaces the whole command line."""
        self._errors = folder / f"stderr-{time.monotonic_ns()}"
        with self._errors.open("wb") as errors:
            self.process = subprocess.Popen(
                command or [sys.executable, "-m", "sidecar", *arguments],
                stdin=stdin,
                stdout=stdout,
                stderr=errors,
                cwd=folder,
                env=environment(folder, env),
            )
        self.stdin = -1
        self.stdout = -1
        self._unread = bytearray()
        if self.process.stdin:
            self.stdin = os.dup(self.process.stdin.fileno())
            self.process.stdin.close()
            os.set_blocking(self.stdin, False)
        if self.process.stdout:
            self.stdout = os.dup(self.process.stdout.fileno())
            self.process.stdout.close()
            self.ready = self.read()

    @property
    def pid(self) -> int:
        """The child's process id."""
        return self.process.pid

    @property
    def stderr(self) -> str:
        """All that it has written to stderr so far."""
        return self._errors.read_text()

    def write(self, data: bytes) -> None:
        """Writes bytes, and reads answers meanwhile as a good parent does. Raises TimeoutError."""
        deadline = time.monotonic() + SECONDS
        left = memoryview(data)
        while left:
            readers = [self.stdout] if self.stdout >= 0 else []
            readable, writable, _ = select.select(readers, [self.stdin], [], _left(deadline, "to be read"))
            if writable:
                left = left[os.write(self.stdin, left[: 1 << 16]) :]
            if readable and not self._take():
                raise EOFError(f"stdout ended; stderr: {self.stderr}")

    def send(self, *messages: object) -> None:
        """Writes messages, all in one write where they fit."""
        self.write(b"".join(map(encoded, messages)))

    def offer(self, data: bytes, quiet: float = 0.5) -> int:
        """Writes without reading answers, until the child has taken nothing for `quiet` seconds; says how much."""
        taken = 0
        left = memoryview(data)
        while left and select.select([], [self.stdin], [], quiet)[1]:
            wrote = os.write(self.stdin, left[: 1 << 16])
            left, taken = left[wrote:], taken + wrote
        return taken

    def read_line(self, seconds: float = SECONDS) -> bytes:
        """The next line as it came. Raises TimeoutError, and EOFError where there is none."""
        deadline = time.monotonic() + seconds
        start = 0
        while (end := self._unread.find(b"\n", start)) < 0:
            start = len(self._unread)
            if not select.select([self.stdout], [], [], _left(deadline, "to answer"))[0]:
                continue
            if not self._take():
                raise EOFError(f"stdout ended; stderr: {self.stderr}")
        line = bytes(self._unread[: end + 1])
        del self._unread[: end + 1]
        return line

    def read(self, seconds: float = SECONDS) -> dict[str, Any]:
        """The next line, decoded."""
        line = json.loads(self.read_line(seconds))
        assert isinstance(line, dict), line
        return line

    def read_many(self, count: int) -> list[dict[str, Any]]:
        """The next `count` lines, decoded."""
        return [self.read() for _ in range(count)]

    def ask(self, *messages: object) -> list[dict[str, Any]]:
        """Sends messages and reads one answer for each."""
        self.send(*messages)
        return self.read_many(len(messages))

    def rest(self) -> list[dict[str, Any]]:
        """Every line up to the end of stdout, which must come soon."""
        lines = []
        while True:
            try:
                lines.append(self.read())
            except EOFError:
                assert not self._unread, bytes(self._unread)
                return lines

    def silent(self, seconds: float = 0.2) -> bool:
        """Whether nothing is said for so long: for what must not be answered yet."""
        return not self._unread and not select.select([self.stdout], [], [], seconds)[0]

    def close_stdin(self) -> None:
        """Ends the child's input."""
        if self.stdin >= 0:
            os.close(self.stdin)
            self.stdin = -1

    def close_stdout(self) -> None:
        """Goes away as a reader."""
        if self.stdout >= 0:
            os.close(self.stdout)
            self.stdout = -1

    def signal(self, number: int) -> None:
        """Sends a signal."""
        self.process.send_signal(number)

    def wait(self, seconds: float = SECONDS) -> int:
        """The exit code. Raises subprocess.TimeoutExpired."""
        return self.process.wait(seconds)

    def end(self) -> int:
        """Ends the child's input and gives its exit code."""
        self.close_stdin()
        return self.wait()

    def memory(self, which: str = "VmRSS") -> int:
        """Bytes of memory: now (`VmRSS`), or at most so far (`VmHWM`)."""
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith(f"{which}:"):
                return int(line.split()[1]) * 1024
        raise ProcessLookupError(self.pid)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *failure: object) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
        self.process.wait(SECONDS)
        self.close_stdin()
        self.close_stdout()

    def _take(self) -> int:
        chunk = os.read(self.stdout, 1 << 16)
        self._unread += chunk
        return len(chunk)


class Rtcv:
    """A stand-in RT-CV server that runs in a thread of its own, for tests that wait in theirs."""

    def __init__(self, server: StandInRtcv, loop: asyncio.AbstractEventLoop) -> None:
        self.server = server
        self._loop = loop

    @property
    def credentials(self) -> dict[str, Any]:
        """Content of `set_credentials` for this server."""
        return {"server_location": self.server.url, "api_key_id": KEY_ID, "api_key": KEY}

    def wait_for(self, path: str, count: int = 1) -> None:
        """Returns once `count` requests to `path` have arrived. Raises TimeoutError."""
        waiting = self.server.wait_for(path, count, SECONDS)
        asyncio.run_coroutine_threadsafe(waiting, self._loop).result(SECONDS + 1)

    def release(self) -> None:
        """Lets every request that hangs have its answer."""
        self._loop.call_soon_threadsafe(self.server.release)


@contextmanager
def rtcv(**options: Any) -> Iterator[Rtcv]:
    """Runs a stand-in server for as long as the block lasts; `options` are StandInRtcv's."""
    with serving(StandInRtcv(**options)) as server:
        yield server


@contextmanager
def receiver(**options: Any) -> Iterator[Rtcv]:
    """Runs a stand-in receiver of webhooks, in the same way."""
    with serving(StandInReceiver(**options)) as server:
        yield server


@contextmanager
def serving(server: StandInRtcv) -> Iterator[Rtcv]:
    """Runs a stand-in in a thread of its own for as long as the block lasts."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="rtcv", daemon=True)
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(server.__aenter__(), loop).result(SECONDS)
        yield Rtcv(server, loop)
        asyncio.run_coroutine_threadsafe(server.__aexit__(), loop).result(SECONDS)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(SECONDS)
        loop.close()


def _left(deadline: float, what: str) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError(f"the child took too long {what}")
    return left
