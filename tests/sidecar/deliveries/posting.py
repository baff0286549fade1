"""A sending sidecar's parts over a database, for tests of deliveries."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from sidecar_protocol.webhooks import Webhook
from sidecar_protocol.wire_types import Secret, Secrets

from sidecar.clock import Clock
from sidecar.deliveries.delivery_manager import DeliveryServices, open_deliveries
from sidecar.encryption import Encryptor
from sidecar.net.http_client import HttpClient
from sidecar.net.public_http import PublicHttpClient
from sidecar.storage.database import Database
from sidecar.storage.outbox import OutboxMessage
from tests.clocks import ManualClock

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
SECONDS = 20.0


class Post:
    """The delivery parts of one process, and the events that it sent."""

    def __init__(self, services: DeliveryServices, database: Database, events: list[tuple[str, Any]]) -> None:
        self.services = services
        self.database = database
        self.events = events
        self.deliveries = services.manager
        self.outbox = services.outbox

    def hook(self, *webhooks: Webhook) -> list[str]:
        """Names the session's webhooks; gives their ids."""
        ids = self.services.endpoints.set_session(webhooks)
        return list(ids)

    def session(self) -> list[str]:
        """The ids of the session's webhooks that are not disabled."""
        return [one.id for one in self.services.endpoints.session]

    def put(self, endpoint: str, *names: str, ordering_key: str = "run") -> None:
        """Puts a message under each name; the name is its body too."""
        self.outbox.put(
            [OutboxMessage(id=name, endpoint=endpoint, ordering_key=ordering_key, body=name.encode()) for name in names]
        )

    def statuses(self) -> dict[str, str]:
        """Id -> status of what has not arrived."""
        return {one.id: one.status for one in self.deliveries.list_page(None, 1).deliveries}

    async def until(self, what: Callable[[], bool]) -> None:
        """Returns once it is so. Raises TimeoutError."""
        async with asyncio.timeout(SECONDS):
            while not what():  # noqa: ASYNC110  it is in a database
                await asyncio.sleep(0.005)

    async def until_empty(self) -> None:
        """Returns once everything has arrived."""
        await self.database.flush()
        await self.until(lambda: not self.statuses())


@asynccontextmanager
async def posting(
    path: Path | None = None,
    clock: Clock | None = None,
    *,
    key: bytes | None = None,
    timeout: float = 5.0,  # noqa: ASYNC109
    start: bool = True,
    public_http: PublicHttpClient | None = None,
) -> AsyncIterator[Post]:
    """The parts over the database in a file, or in memory; closed as a process closes them."""
    clock = clock or ManualClock().clock
    database = await Database.open(path) if path else Database.in_memory()
    events: list[tuple[str, Any]] = []
    public_http = public_http or PublicHttpClient(clock, allow_private=True)
    services = open_deliveries(
        database,
        Encryptor(key),
        path.parent if path else None,
        lambda: public_http,
        lambda: HttpClient(timeout, clock),
        clock,
        lambda event, content: events.append((event, content)),
        timeout=timeout,
        allow_private=True,
        jitter=lambda: 0.5,
    )
    try:
        if start:
            services.manager.start()
        yield Post(services, database, events)
    finally:
        await services.manager.close()
        await public_http.close()
        await database.close()


def hook(url: str, *secrets: str, **options: Any) -> Webhook:
    """A webhook with these secrets."""
    return Webhook(url=url, secret=Secrets(*map(Secret, secrets)) if secrets else None, **options)
