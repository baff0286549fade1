"""One sidecar process: its pipes, the two threads that read them, and how it is ended."""

import collections
import contextlib
import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from typing import IO, Any, Final, cast

from sidecar.client.errors import SidecarEnded

PROTOCOL: Final = "2"
"""The protocol's major version that this client speaks."""
_LAST_WORDS: Final = 10
"""Lines of the sidecar's stderr that an error repeats."""
_LONGEST_WORDS: Final = 4096
"""Bytes of one of them; a longer line counts as several."""
_INTERRUPTED_SECONDS: Final = 1.0
"""What an interrupted scraper waits for the sidecar, twice."""


class Child:
    """A running sidecar. `on_reply` gets each line after `ready`, and `on_end` why there are no more."""

    def __init__(
        self,
        command: Sequence[str],
        env: Mapping[str, str] | None,
        cwd: str | None,
        on_reply: Callable[[dict[str, Any]], None],
        on_end: Callable[["Child", SidecarEnded], None],
    ) -> None:
        """Spawns it; both callbacks are called by the reading thread."""
        self._on_reply = on_reply
        self._on_end = on_end
        self.ready: Future[dict[str, Any]] = Future()
        """The first line."""
        self.ended: SidecarEnded | None = None
        self._began = time.monotonic()
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, env=env, cwd=cwd)  # noqa: S603
        self._input, self._output = cast(IO[bytes], self.process.stdin), cast(IO[bytes], self.process.stdout)
        self._last_words: collections.deque[str] = collections.deque(maxlen=_LAST_WORDS)
        self._listener = threading.Thread(target=self._listen, name="sidecar-stderr", daemon=True)
        self._listener.start()
        self._writing = threading.Lock()
        self._reader = threading.Thread(target=self._read, name="sidecar-reader", daemon=True)
        self._reader.start()

    def age(self) -> float:
        """Seconds since it was spawned."""
        return time.monotonic() - self._began

    def write(self, line: bytes) -> None:
        """Writes a line. Raises OSError or ValueError where the process no longer reads."""
        with self._writing:
            self._input.write(line)
            self._input.flush()

    def close(self, seconds: float) -> None:
        """Ends its input, waits for it, and kills it after so long."""
        if self._writing.acquire(timeout=1):
            self._close_input()
            self._writing.release()
        else:  # a thread is stuck writing to a sidecar that doesn't read
            self.process.terminate()
        try:
            with contextlib.suppress(subprocess.TimeoutExpired):  # it had its time
                self.process.wait(seconds)
        finally:
            self.kill()

    def interrupt(self) -> None:
        """Ends it as a second signal does: what it has accepted waits for the next one."""
        try:
            for _ in range(2):
                self.process.send_signal(signal.SIGTERM)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self.process.wait(_INTERRUPTED_SECONDS)
                    break
        finally:
            self.kill()

    def kill(self) -> None:
        """Ends it at once. What it holds on disk stays."""
        self.process.kill()
        self.process.wait()
        for thread in (self._reader, self._listener):
            if thread is not threading.current_thread():
                thread.join(5)
        if self._writing.acquire(timeout=1):
            self._close_input()
            self._writing.release()
        if not self._reader.is_alive():
            self._output.close()
        if not self._listener.is_alive():
            cast(IO[bytes], self.process.stderr).close()

    def _read(self) -> None:
        """The reading thread: hands on each line until there are no more."""
        why = ""
        try:
            for line in self._output:
                self._take(json.loads(line))
        except Exception as wrong:
            why = f"the sidecar wrote a line that can't be used: {wrong!r}"
            self.process.kill()
        self.ended = ended = self._how_it_ended(why)
        if not self.ready.done():
            self.ready.set_exception(ended)
        self._on_end(self, ended)

    def _take(self, reply: dict[str, Any]) -> None:
        if self.ready.done():
            self._on_reply(reply)
            return
        if reply["type"] != "ready" or str(reply.get("protocol")).split(".")[0] != PROTOCOL:
            raise ValueError(f"not `ready` of protocol {PROTOCOL}: {reply}")
        self.ready.set_result(reply)

    def _how_it_ended(self, why: str) -> SidecarEnded:
        """Why there are no more lines, how the process ended where it has, and its last words."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(5)
        self._listener.join(1)  # what was said last is still under way
        code = self.process.returncode
        if not why and code is None:
            why = "the sidecar says nothing any more"
        elif not why:
            early = "" if self.ready.done() else " before it was ready"
            how = f"by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
            why = f"the sidecar has ended{early} ({how})"
        words = tuple(self._last_words)
        said = "".join(f"\n  {line}" for line in words)
        return SidecarEnded(f"{why}; its last words:{said}" if said else why, exit_code=code, last_words=words)

    def _listen(self) -> None:
        """The other reading thread: hands on what the sidecar says on stderr, and keeps the end of it."""
        said = cast(IO[bytes], self.process.stderr)
        while line := said.readline(_LONGEST_WORDS):
            self._last_words.append(line.decode(errors="replace").rstrip())
            with contextlib.suppress(OSError):  # the reader is gone
                os.write(2, line)

    def _close_input(self) -> None:
        with contextlib.suppress(OSError):  # what was still buffered can't be written any more
            self._input.close()
