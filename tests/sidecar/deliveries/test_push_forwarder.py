"""Pushes in EngageLab's own form on their way to the URL of a setting."""

from pathlib import Path

import pytest

from sidecar.deliveries.push_forwarder import PushForwarder
from sidecar.errors import Conflict, InvalidContent
from tests.fakes import StandInReceiver
from tests.sidecar.deliveries.posting import Post, posting


def forwarder(post: Post, url: str) -> PushForwarder:
    """The one of a process."""
    return PushForwarder(post.services.endpoints, post.outbox, url)


async def test_it_is_posted_under_its_key_until_the_receiver_wants_no_more(tmp_path: Path) -> None:
    """410 disables the endpoint; the next process tries it again."""
    database = tmp_path / "sidecar.db"
    async with StandInReceiver() as receiver:
        async with posting(database) as post:
            pushes = forwarder(post, receiver.url)
            pushes.forward(b'{"to":"all"}', "job-1")
            [first] = await receiver.wait_for("/")
            assert (first.json, first.headers["webhook-id"]) == ({"to": "all"}, "job-1")
            await post.until_empty()
            receiver.fail("/", "error", 1, status=410)
            pushes.forward(b"{}", "job-2")
            await post.until(lambda: post.statuses() == {"job-2": "dead"})
            with pytest.raises(Conflict, match="SIDECAR_PUSH_URL"):
                pushes.forward(b"{}", "job-3")
        async with posting(database) as post:
            forwarder(post, receiver.url).forward(b"{}", "job-4")
            assert (await receiver.wait_for("/", 3))[-1].headers["webhook-id"] == "job-4"


async def test_without_a_url() -> None:
    """The error names the setting."""
    async with posting(start=False) as post:
        for refused in (forwarder(post, "").check, lambda: forwarder(post, "").forward(b"{}", "key")):
            with pytest.raises(InvalidContent, match="SIDECAR_PUSH_URL"):
                refused()
