"""From webhooks and a parent that listens to the audience of a run."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from protocol.webhooks import Webhook
from sidecar.store.outbox import Outbox, Parcel
from sidecar.work.delivery.endpoints import Endpoint, Endpoints
from sidecar.work.jobs.updates import Audience, Letter, unnoted

Tell = Callable[[str, Any], None]
"""Takes an event's name and content."""


class Audiences:
    """Audiences whose letters go to one outbox."""

    def __init__(self, endpoints: Endpoints, outbox: Outbox, size: int) -> None:
        """`size`: characters of stdout and stderr that events keep."""
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
        self, endpoints: Sequence[Endpoint], tell: Tell | None, progress: Callable[[float], None] = unnoted
    ) -> Audience:
        """These webhooks and, where it listens, the parent."""
        return Audience(endpoints=tuple(endpoints), post=self._post, tell=tell, progress=progress, size=self._size)

    def _post(self, letters: Iterable[Letter]) -> None:
        self._outbox.put(
            Parcel(id=letter.id, endpoint=letter.endpoint, lane=letter.lane, body=letter.body) for letter in letters
        )
