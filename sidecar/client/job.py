"""A job that was started: its events while it runs, its reply, and a way to stop it."""

import contextlib
import queue
from collections.abc import Callable, Iterator
from typing import Any, cast

from sidecar.client.core import Asked
from sidecar.client.job_run import JobRun
from sidecar.client.results import Event, JobReply


class Job:
    """A job that `Sidecar.start` started."""

    def __init__(self, begin: Callable[[Callable[[Any], None]], JobRun], send: Callable[[Asked], object]) -> None:
        self._events: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        self._send = send
        self._run = begin(self._events.put)
        send(self._run.asked)

    def __iter__(self) -> Iterator[Event]:
        """Its events, until it has ended; each is given once."""
        while (event := self._events.get()) is not None:
            yield cast(Event, event)
        self._events.put(None)  # for the next loop over it

    def result(self, timeout: float | None = None) -> JobReply:
        """The content of its reply. Raises SidecarFailure, SidecarEnded, and TimeoutError after `timeout` seconds."""
        return cast(JobReply, self._run.reply.result(timeout))

    def cancel(self, timeout: float | None = None) -> bool:
        """Stops it: whether that was in time. `result` then raises SidecarFailure with code `cancelled`."""
        if self._run.is_async:
            with contextlib.suppress(Exception):  # then it was not accepted
                self._run.queued_id.result(timeout)
        asked = self._run.cancel()
        if asked is None:
            return False
        self._send(asked)
        return took(asked.answer.result(timeout))

    def done(self) -> bool:
        """Whether it has ended."""
        return self._run.reply.done()


def took(answer: Any) -> bool:
    """Whether `cancel` or `cancel_job` was in time."""
    return bool(answer["cancelled"] if isinstance(answer, dict) else answer)
