"""Builds the listeners of a run from its webhooks and its parent."""

import logging
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

from sidecar_protocol.webhooks import Webhook

from sidecar.deliveries.endpoint_registry import Endpoint, EndpointRegistry
from sidecar.errors import StoreFailed
from sidecar.jobs.interrupted_runs import InterruptedRuns
from sidecar.jobs.run_updates import RunListeners, ignore_progress
from sidecar.jobs.update_messages import RunSnapshot, WebhookMessage, to_outbox
from sidecar.queue.submission import JobRun
from sidecar.storage.outbox import Outbox

log = logging.getLogger(__name__)

Emit = Callable[[str, Any], None]
"""Takes an event's name and content."""


class ListenerFactory:
    """Makes listeners whose messages go to one outbox."""

    def __init__(
        self, endpoints: EndpointRegistry, outbox: Outbox, size: int, interruptions: InterruptedRuns | None = None
    ) -> None:
        """`size`: characters of stdout and stderr in events; `interruptions`: None in a mock session."""
        self._interruptions = interruptions
        self._endpoints = endpoints
        self._outbox = outbox
        self._size = size

    def endpoints(self, urls: Sequence[str]) -> tuple[Endpoint, ...]:
        """The session's webhooks and a job's own, each once. Raises InvalidContent and Forbidden."""
        own = self._endpoints.register([Webhook(url=url) for url in urls]) if urls else ()
        return tuple({one.id: one for one in (*own, *self._endpoints.session)}.values())

    def pack(self, endpoints: Sequence[Endpoint]) -> str:
        """Endpoints as they are kept with a job; empty for none. Raises StoreFailed."""
        return self._endpoints.pack(endpoints) if endpoints else ""

    def create(
        self,
        endpoints: Sequence[Endpoint],
        emit: Emit | None,
        progress: Callable[[float], None] = ignore_progress,
        *,
        queued: bool = False,
    ) -> RunListeners:
        """These webhooks and, where it listens, the parent; `queued`: the run is that of a job in the queue."""
        return RunListeners(
            endpoints=tuple(endpoints),
            enqueue=partial(self._enqueue, queued),
            emit=emit,
            record=partial(self._record, queued),
            progress=progress,
            size=self._size,
        )

    def for_run(self, run: JobRun) -> RunListeners:
        """The listeners of a run out of the queue: the webhooks that are stored with it, and its submitter."""
        return self.create(self._endpoints.unpack(run.webhooks), run.emit, run.progress, queued=True)

    def _enqueue(self, until_stored: bool, messages: Iterable[WebhookMessage]) -> None:
        self._outbox.put(map(to_outbox, messages), until_stored=until_stored)

    def _record(self, queued: bool, run: str, snapshot: RunSnapshot | None) -> None:
        if self._interruptions is None:
            return
        try:
            self._interruptions.record(run, snapshot, queued=queued)
        except StoreFailed as failure:
            log.warning("could not store the snapshot of run %s: %s", run, failure)
