"""Replies on their way to the HTTP requests that wait for them. None leaves before what it says is on disk."""

import asyncio
from collections.abc import Callable
from typing import Final

from sidecar_protocol.encoding import encode
from sidecar_protocol.replies import RequestId

from sidecar.server.stdio import Commit

_ID: Final = b',"id":'
"""Begins the last member of a reply; within a text its quotes would be escaped."""


class ReplyRouter:
    """Takes the dispatcher's lines, and hands each to whom it answers once its commit is done."""

    def __init__(self, commit: Commit, on_write: Callable[[bytes], None] | None = None) -> None:
        """`on_write` takes each line before it is handed over."""
        self._commit = commit
        self._on_write = on_write
        self._loop = asyncio.get_running_loop()
        self._waiting: dict[bytes, asyncio.Future[bytes]] = {}
        """The id of a request as JSON -> its reply."""
        self._lines: list[tuple[bytes, Callable[[BaseException], bytes] | None]] = []
        self._scheduled = False
        self._committing = False

    def expect(self, request_id: RequestId) -> "asyncio.Future[bytes]":
        """What will be the reply to a request, as a line without its newline."""
        return self._waiting.setdefault(_key(request_id), self._loop.create_future())

    def expects(self, request_id: RequestId) -> bool:
        """Whether a request with this id waits for its reply."""
        return _key(request_id) in self._waiting

    def forget(self, request_id: RequestId) -> None:
        """Drops the reply to a request that nothing waits for any more."""
        self._waiting.pop(_key(request_id), None)

    def send(self, line: bytes, on_commit_failure: Callable[[BaseException], bytes] | None = None) -> None:
        """Takes one reply; `on_commit_failure` makes the one to send where the disk refuses what this one promises."""
        self._lines.append((line, on_commit_failure))
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._flush_scheduled)

    def _flush_scheduled(self) -> None:
        self._scheduled = False
        self.flush()

    def flush(self) -> None:
        """Hands over what was taken, after the commit that it depends on."""
        if self._committing or not self._lines:
            return
        lines, self._lines = self._lines, []
        try:
            committed = self._commit()
        except Exception as failure:
            self._deliver(lines, failure)
            return
        if committed is None:
            self._deliver(lines, None)
            return
        self._committing = True
        committed.add_done_callback(lambda done: self._on_committed(done, lines))

    def _on_committed(
        self, done: "asyncio.Future[None]", lines: list[tuple[bytes, Callable[[BaseException], bytes] | None]]
    ) -> None:
        self._committing = False
        self._deliver(lines, asyncio.CancelledError() if done.cancelled() else done.exception())
        self.flush()

    def _deliver(
        self,
        lines: list[tuple[bytes, Callable[[BaseException], bytes] | None]],
        failure: BaseException | None,
    ) -> None:
        for line, on_commit_failure in lines:
            sent = on_commit_failure(failure) if failure is not None and on_commit_failure else line
            if self._on_write:
                self._on_write(sent)
            waiting = self._waiting.pop(sent[sent.rindex(_ID) + len(_ID) : -2], None)
            if waiting and not waiting.done():
                waiting.set_result(sent[:-1])


def _key(request_id: RequestId) -> bytes:
    return b"%d" % request_id if isinstance(request_id, int) else encode(request_id)


def without_id(line: bytes) -> bytes:
    """A reply without its last member, the id."""
    return line.rpartition(_ID)[0] + b"}"
