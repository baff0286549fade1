"""A child sidecar that a replay sends lines to."""

import contextlib
import queue
import subprocess
import threading
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import IO, Any, Final, Self

import orjson
from sidecar_protocol import codec

from sidecar import settings

_TERMINATE_TIMEOUT: Final = 0.3
"""Seconds that a sidecar has to end after each of two signals: Ctrl-C ends a replay within a second."""
_READER_TIMEOUT: Final = 2.0
"""Seconds that the reading thread has to end after its sidecar."""
_END_TIMEOUT: Final = 60.0
"""Seconds that a sidecar has to end once its stdin is closed."""
_MAX_UNREAD: Final = 10_000
"""Messages that wait to be read; then the sidecar waits, too."""


class SidecarDied(Exception):
    """The sidecar ended during a replay."""


class ReplayProcess:
    """Sends lines and reads messages; leaving the block ends the session."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str] | None = None) -> None:
        """`environment` is added to this process's own."""
        pipe = subprocess.PIPE
        # Ctrl-C is handled here, so the child has its own process group
        self._process = subprocess.Popen(  # noqa: S603 - ours
            command, stdin=pipe, stdout=pipe, process_group=0, env=settings.child_environment(environment or {})
        )
        self._stdin: IO[bytes] = self._process.stdin  # type: ignore[assignment]
        self._stdout: IO[bytes] = self._process.stdout  # type: ignore[assignment]
        self._messages: queue.Queue[dict[str, Any] | None] = queue.Queue(_MAX_UNREAD)
        self._stopped = threading.Event()
        self._reader = threading.Thread(target=self._read, name="replay-reader", daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        try:
            self.receive()  # ready
        except BaseException:
            self.__exit__(SidecarDied, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, failure: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self._end()
        self.close_input()
        self._stopped.set()
        self._process.wait()
        self._reader.join(_READER_TIMEOUT)
        self._stdout.close()

    def send(self, line: bytes) -> None:
        """Sends one line. Raises SidecarDied."""
        try:
            self._stdin.write(line + b"\n")
            self._stdin.flush()
        except BrokenPipeError:
            raise self._died() from None

    def receive(self, timeout: float | None = None) -> dict[str, Any]:
        """The next message. Raises SidecarDied, and TimeoutError after `timeout` seconds."""
        message = self._next(timeout)
        if message is None:
            raise self._died()
        return message

    def request(self, line: bytes) -> dict[str, Any]:
        """Sends one line; gives the next message that is not an event. Raises SidecarDied."""
        self.send(line)
        while True:
            message = self.receive()
            if message.get("type") != "event":
                return message

    def close_input(self) -> None:
        """Ends the session; what it still has to say can be read."""
        with contextlib.suppress(BrokenPipeError):
            self._stdin.close()

    def remaining(self) -> list[dict[str, Any]]:
        """The output after the end of the input."""
        messages = []
        while (message := self._next(_END_TIMEOUT)) is not None:
            messages.append(message)
        return messages

    def _next(self, timeout: float | None) -> dict[str, Any] | None:
        try:
            message = self._messages.get(timeout=timeout)
        except queue.Empty:
            raise TimeoutError from None
        if message is None:
            self._messages.put(None)  # for further calls
        return message

    def _read(self) -> None:
        for line in self._stdout:
            self._put(_decoded(line))
        self._put(None)

    def _put(self, message: dict[str, Any] | None) -> None:
        while not self._stopped.is_set():
            with contextlib.suppress(queue.Full):
                self._messages.put(message, timeout=0.1)
                return

    def _end(self) -> None:
        """Ends the sidecar and its children with up to two SIGTERMs, or else kills it."""
        for _ in range(2):
            self._process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_TERMINATE_TIMEOUT)
                return
        self._process.kill()

    def _died(self) -> SidecarDied:
        return SidecarDied(f"the sidecar ended with exit code {self._process.wait()}")


def _decoded(line: bytes) -> dict[str, Any]:
    try:
        message: dict[str, Any] = orjson.loads(line)
    except orjson.JSONDecodeError:
        message = codec.plain(line)  # numbers of more than 64 bits
    return message
