"""A Chromium that is driven over a CDP pipe: without an open port, a driver or inherited environment variables."""

import asyncio
import contextlib
import errno
import fcntl
import os
import re
import shutil
import signal
import socket
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, cast

import orjson

from sidecar.browser import lenient_json
from sidecar.errors import BrowserCrashed

PROFILE_PREFIX: Final = "sidecar-sandbox-"
"""The prefix of a browser's profile folder, which its command line shows."""
_MIN_DESCRIPTOR: Final = 10
"""The lowest descriptor used here: Chromium expects its own at 3 and 4."""
_HEAD_BYTES: Final = 40
_NICENESS: Final = 5
"""Added to the niceness of the sidecar."""
_LIMITED: Final = 'ulimit -c 0; ulimit -d "$0" || :; exec "$@"'
"""Starts a program with limits that all its processes inherit: Debian's Chromium is a script that starts another."""
_COMMAND_ID: Final = re.compile(rb'\{"id":(\d+),')


class CdpError(BrowserCrashed):
    """The browser is gone, or it rejected a command."""


class MessageTooLarge(CdpError):
    """The reply to a command exceeds the message limit."""


class CdpPipe(asyncio.Protocol):
    """A CDP connection over a pipe: commands, replies and events. Messages end with a zero byte."""

    def __init__(self, max_message_bytes: int) -> None:
        self._max_message_bytes = max_message_bytes
        self._transport: asyncio.Transport | None = None
        self._pending: dict[int, tuple[str, asyncio.Future[Any]]] = {}
        self._last_id = 0
        self._buffer = bytearray()
        self._skipping = False
        self._listeners: dict[str, Callable[[str], None]] = {}
        self.broken = False
        """The connection is closed."""

    def send(self, method: str, params: Mapping[str, Any] | None = None, session: str = "") -> asyncio.Future[Any]:
        """Sends a command; the future gives its result, or CdpError."""
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        if self.broken or self._transport is None:
            future.set_exception(CdpError("the sandbox's browser is gone"))
            return future
        self._last_id += 1
        command: dict[str, Any] = {"id": self._last_id, "method": method, "params": params or {}}
        if session:
            command["sessionId"] = session
        self._pending[self._last_id] = session, future
        self._transport.write(orjson.dumps(command) + b"\0")
        return future

    def subscribe(self, session: str, callback: Callable[[str], None]) -> None:
        """Calls `callback` with the name of each event of this session, until `unsubscribe`."""
        self._listeners[session] = callback

    def unsubscribe(self, session: str) -> None:
        """Ends the subscription, and fails the session's pending commands."""
        self._listeners.pop(session, None)
        self._fail_pending(session, "the sandbox was closed")

    def close(self) -> None:
        """Closes the connection, which also ends the browser."""
        if self._transport:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Stores the transport."""
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Splits the stream into messages. A message beyond the limit is dropped, and its command fails."""
        start = 0
        while (end := data.find(0, start)) >= 0:
            self._append(data[start:end])
            start = end + 1
            message, self._buffer, self._skipping = self._buffer, bytearray(), False
            if message:
                self._receive(bytes(message))
        self._append(data[start:])

    def _append(self, part: bytes) -> None:
        if self._skipping:
            return
        self._buffer += part
        if len(self._buffer) > self._max_message_bytes:
            head, self._buffer, self._skipping = bytes(self._buffer[:_HEAD_BYTES]), bytearray(), True
            number = _COMMAND_ID.match(head)
            _, future = self._pending.pop(int(number[1]) if number else 0, ("", None))
            if future and not future.done():
                future.set_exception(MessageTooLarge(f"the value is larger than {self._max_message_bytes >> 20} MiB"))
                future.exception()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """Fails all pending commands."""
        self.broken = True
        self._fail_pending(None, "the sandbox's browser crashed")

    def _fail_pending(self, session: str | None, why: str) -> None:
        for number, (owner, future) in tuple(self._pending.items()):
            if session in (None, owner):
                del self._pending[number]
                if not future.done():
                    future.set_exception(CdpError(why))
                    future.exception()  # marks it retrieved: there may be no waiter left

    def _receive(self, raw: bytes) -> None:
        message = _decode(raw)
        number = message.get("id")
        if number is None:
            if callback := self._listeners.get(message.get("sessionId", "")):
                callback(message.get("method", ""))
            return
        _, future = self._pending.pop(number, ("", None))
        if future is None or future.done():
            return
        if error := message.get("error"):
            future.set_exception(CdpError(f"the sandbox's browser refused: {error.get('message', '')}"))
            future.exception()
        else:
            future.set_result(message.get("result", {}))


def _decode(raw: bytes) -> dict[str, Any]:
    """A message as plain values: numbers are JavaScript's, and so none is larger than what a float holds."""
    try:
        message = orjson.loads(raw)
    except ValueError:
        message = lenient_json.decode(raw)
    return cast(dict[str, Any], message)


class SandboxBrowser:
    """The browser process at the other end of the pipe."""

    def __init__(self, pid: int, pipe: CdpPipe, profile: Path) -> None:
        self._pid = pid
        self._main_pid = pid
        self._profile = profile
        self.pipe = pipe

    async def find_main_process(self) -> None:
        """Finds the browser's main process, which a script may have started. Raises CdpError."""
        listed = (await self.pipe.send("SystemInfo.getProcessInfo")).get("processInfo", ())
        self._main_pid = next((one["id"] for one in listed if one["type"] == "browser"), self._pid)

    def resident_bytes(self) -> int:
        """Resident memory of the main process in bytes; 0 if it is unknown or the process has ended."""
        try:
            with open(f"/proc/{self._main_pid}/statm", "rb") as statm:  # noqa: PTH123 - some microseconds, four times a second
                return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        except (OSError, IndexError, ValueError):
            return 0

    async def close(self, seconds: float) -> None:
        """Ends the process, by SIGKILL if it is still there after `seconds`, and deletes its profile."""
        self.pipe.close()
        if not await self._ended(seconds):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._pid, signal.SIGKILL)
            await self._ended(seconds)
        await asyncio.to_thread(shutil.rmtree, self._profile, ignore_errors=True)

    async def _ended(self, seconds: float) -> bool:
        deadline = asyncio.get_running_loop().time() + seconds
        while asyncio.get_running_loop().time() < deadline:
            try:
                if os.waitpid(self._pid, os.WNOHANG)[0]:  # noqa: ASYNC222 - it does not wait
                    return True
            except ChildProcessError:
                return True
            await asyncio.sleep(0.01)  # a child of posix_spawn gives no sign that asyncio could wait for
        return False


async def spawn(
    path: str, flags: tuple[str, ...], scratch: Path, memory: int, max_message_bytes: int
) -> SandboxBrowser:
    """Starts a browser, whose profile and temporary files are in `scratch`.

    `memory` bounds the data of each of its processes, `max_message_bytes` one message; both in bytes. Raises OSError.
    """
    if not os.access(path, os.X_OK):
        reason = errno.EACCES if os.access(path, os.F_OK) else errno.ENOENT
        raise OSError(reason, os.strerror(reason))
    profile = Path(tempfile.mkdtemp(prefix=PROFILE_PREFIX, dir=scratch))
    command = (path, *flags, "--remote-debugging-pipe", f"--user-data-dir={profile}")
    ours, theirs = socket.socketpair()
    descriptor = fcntl.fcntl(theirs.fileno(), fcntl.F_DUPFD_CLOEXEC, _MIN_DESCRIPTOR)
    theirs.close()
    try:
        pid = os.posix_spawn(  # noqa: ASYNC221 - it does not wait for the end
            "/bin/sh",
            ["/bin/sh", "-c", _LIMITED, str(memory >> 10), *command],
            {"PATH": os.defpath, "HOME": str(profile), "TMPDIR": str(scratch)},
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
                (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
                (os.POSIX_SPAWN_DUP2, descriptor, 3),
                (os.POSIX_SPAWN_DUP2, descriptor, 4),
            ],
            setpgroup=0,  # signals at the terminal are the sidecar's own affair
        )
    except OSError:
        ours.close()
        shutil.rmtree(profile, ignore_errors=True)
        raise
    finally:
        os.close(descriptor)
    with contextlib.suppress(OSError):  # it has ended already; of its group, since it may have started others
        os.setpriority(os.PRIO_PGRP, pid, os.nice(0) + _NICENESS)  # endless scripts leave CPU time to others
    loop = asyncio.get_running_loop()
    _, pipe = await loop.create_connection(lambda: CdpPipe(max_message_bytes), sock=ours)
    return SandboxBrowser(pid, pipe, profile)
