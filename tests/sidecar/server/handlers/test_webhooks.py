"""set_webhooks, list_deliveries and redeliver: what they change, answer and keep to themselves."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from sidecar_protocol import codec
from sidecar_protocol.codec import NO_CONTENT
from sidecar_protocol.errors import WireError
from sidecar_protocol.webhooks import ListDeliveries, Redeliver, Webhook

from sidecar.deliveries.delivery_manager import DeliveryServices
from sidecar.errors import InvalidContent, NotFound
from sidecar.server.handlers.webhooks import list_deliveries, redeliver, set_webhooks
from tests.fakes import StandInReceiver
from tests.sidecar.deliveries.posting import SECRET, Post, hook, posting
from tests.sidecar.server.handlers.parts import Parts

OTHER = "whsec_" + "b3RoZXIgc2VjcmV0IG9mIHNvbWUgbGVuZ3Ro"


@dataclass
class OneStore:
    """The store that is in force, and all of it that these handlers use."""

    delivery_services: DeliveryServices

    async def get(self) -> "OneStore":
        """It is open."""
        return self

    @property
    def opened(self) -> None:
        """Never called here."""
        return None


@asynccontextmanager
async def store() -> AsyncIterator[tuple[OneStore, Post]]:
    """One in memory that sends."""
    async with posting() as post:
        yield OneStore(post.services), post


def read(kind: str, content: str) -> Any:
    """The content of a line."""
    return codec.decode_kept(kind, content.encode())


async def test_the_list_replaces_the_one_before(parts: Parts) -> None:
    """Its ids are the answer, its secrets are learned before anything is done with them."""
    async with store() as (stores, post):
        first = await set_webhooks(parts.context(stores), [hook("http://h/a", SECRET, OTHER), hook("http://h/b")])
        assert (list(first.endpoints), parts.learned) == (post.session(), [SECRET, OTHER])
        second = await set_webhooks(parts.context(stores), [hook("http://h/b")])
        assert second.endpoints == (first.endpoints[1],)
        assert parts.session.webhooks == (hook("http://h/b"),)
        with pytest.raises(InvalidContent):
            await set_webhooks(parts.context(stores), [hook("h")])
        assert parts.session.webhooks == (hook("http://h/b"),)
        assert post.session() == [first.endpoints[1]]


async def test_what_has_not_arrived(parts: Parts) -> None:
    """Listed until it has; what has failed goes once more when it is asked for."""
    async with StandInReceiver() as receiver, store() as (stores, post):
        [one] = (await set_webhooks(parts.context(stores), [hook(receiver.url)])).endpoints
        receiver.fail("/", "error", 10)
        post.put(one, "a")
        await post.until(lambda: post.statuses() == {"a": "dead"})
        page = await list_deliveries(parts.context(stores), ListDeliveries(status="dead"))
        assert [(each.id, each.endpoint, each.attempts) for each in page.deliveries] == [("a", one, 10)]
        assert await redeliver(parts.context(stores), Redeliver(id="a")) is NO_CONTENT
        await post.until_empty()
        with pytest.raises(NotFound):
            await redeliver(parts.context(stores), Redeliver(id="a"))


def test_a_webhook_on_the_wire() -> None:
    """One secret or a list of them; a secret prints as none."""
    [one, other] = read(
        "set_webhooks", f'[{{"url":"http://h","secret":"{SECRET}"}},{{"url":"http://h","secret":["{SECRET}"]}}]'
    )
    assert one == other == Webhook(url="http://h", secret=hook("http://h", SECRET).secret)
    assert SECRET not in repr([one, other])
    assert SECRET.encode() not in codec.encode_ok(None, one)


@pytest.mark.parametrize(
    ("kind", "content", "field"),
    [
        ("set_webhooks", "{}", "content"),
        ("set_webhooks", '[{"url":1}]', "[0].url"),
        ("set_webhooks", '[{"url":""}]', "[0].url"),
        ("set_webhooks", '[{"secret":"x"}]', "[0].url"),
        ("set_webhooks", '[{"url":"http://h","secret":1}]', "[0].secret"),
        ("set_webhooks", '[{"url":"http://h","secret":[1]}]', "[0].secret"),
        ("set_webhooks", '[{"url":"http://h","format":"xml"}]', "[0].format"),
        ("set_webhooks", '[{"url":"http://h","max_stdouterr_size":-1}]', "[0].max_stdouterr_size"),
        ("set_webhooks", '[{"url":"http://h","name":"x"}]', "[0].name"),
        ("list_deliveries", '{"status":"sent"}', "status"),
        ("list_deliveries", '{"page":0}', "page"),
        ("redeliver", "{}", "id"),
        ("redeliver", '{"id":""}', "id"),
    ],
)
def test_wrong_contents(kind: str, content: str, field: str) -> None:
    """The place is named."""
    with pytest.raises(WireError) as failed:
        read(kind, content)
    assert failed.value.details["field"] == field
