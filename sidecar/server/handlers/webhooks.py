"""set_webhooks, list_deliveries, redeliver."""

from typing import Any

from sidecar_protocol.codec import NO_CONTENT
from sidecar_protocol.webhooks import Deliveries, ListDeliveries, Redeliver, Webhook, WebhooksReply

from sidecar.server.handlers.context import HandlerContext


async def set_webhooks(context: HandlerContext, content: list[Webhook]) -> WebhooksReply:
    """Replaces the session's webhooks; those that were disabled get another chance."""
    for webhook in content:
        for secret in webhook.secret.values if webhook.secret else ():
            context.session.add_secret(secret.reveal())
    storage = await context.storage.get()
    endpoints = storage.delivery_services.endpoints.set_session(content)
    context.session.webhooks = tuple(content)
    return WebhooksReply(endpoints=endpoints)


async def list_deliveries(context: HandlerContext, content: ListDeliveries) -> Deliveries:
    """The deliveries that have not arrived."""
    return (await context.storage.get()).delivery_services.manager.list_page(content.status, content.page)


async def redeliver(context: HandlerContext, content: Redeliver) -> Any:
    """Another attempt, now."""
    await (await context.storage.get()).delivery_services.manager.redeliver(content.id, content.endpoint)
    return NO_CONTENT
