"""From webhooks and a parent that listens to the audience of a run."""

import logging
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

from sidecar_protocol.webhooks import Webhook

from sidecar.deliveries.endpoint_registry import Endpoint, EndpointRegistry
from sidecar.errors import StoreFailed
from sidecar.jobs.interrupted_runs import InterruptedRuns
from sidecar.jobs.run_updates import RunListeners, Told, WebhookMessage, unnoted
from sidecar.storage.outbox import Outbox, OutboxMessage

log = logging.getLogger(__name__)

Tell = Callable[[str, Any], None]
"""Takes an event's name and content."""


class ListenerFactory:
    """Audiences whose letters go to one outbox."""

    def __init__(
        self, endpoints: EndpointRegistry, outbox: Outbox, size: int, interruptions: InterruptedRuns | None = None
    ) -> None:
        """`size`: characters of stdout and stderr that events keep; `interruptions` has others tell the end of runs."""
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

    def of(
        self,
        endpoints: Sequence[Endpoint],
        tell: Tell | None,
        progress: Callable[[float], None] = unnoted,
        *,
        insist: bool = False,
    ) -> RunListeners:
        """These webhooks and, where it listens, the parent; `insist` where no reply says that they were not told."""
        return RunListeners(
            endpoints=tuple(endpoints),
            post=partial(self._post, insist),
            tell=tell,
            note=partial(self._note, insist),
            progress=progress,
            size=self._size,
        )

    def _post(self, insist: bool, letters: Iterable[WebhookMessage]) -> None:
        parcels = (OutboxMessage(id=one.id, endpoint=one.endpoint, lane=one.lane, body=one.body) for one in letters)
        self._outbox.put(parcels, insist=insist)

    def _note(self, insist: bool, run: str, told: Told | None) -> None:
        if self._interruptions is None:
            return
        try:
            self._interruptions.note(run, told, insist=insist)
        except StoreFailed as failure:
            log.warning("the end of the run %s can't be told by others: %s", run, failure)
