"""set_webhooks, list_deliveries, redeliver."""

from typing import Any

from sidecar_protocol.codec import NOTHING
from sidecar_protocol.webhooks import Deliveries, ListDeliveries, Redeliver, Webhook, WebhooksReply

from sidecar.server.handlers.jobs import Stores
from sidecar.server.session import Session


async def set_webhooks(session: Session, stores: Stores, content: list[Webhook]) -> WebhooksReply:
    """Replaces the session's webhooks; those that were disabled get another chance."""
    for webhook in content:
        for secret in webhook.secret.values if webhook.secret else ():
            session.add_secret(secret.reveal())
    store = await stores.get()
    endpoints = store.mail.endpoints.set_session(content)
    session.webhooks = tuple(content)
    return WebhooksReply(endpoints=endpoints)


async def list_deliveries(stores: Stores, content: ListDeliveries) -> Deliveries:
    """What has not arrived."""
    return (await stores.get()).mail.deliveries.listed(content.status, content.page)


async def redeliver(stores: Stores, content: Redeliver) -> Any:
    """Another attempt, now."""
    await (await stores.get()).mail.deliveries.redeliver(content.id, content.endpoint)
    return NOTHING
