"""What the handler of an async job hands to the queue: a real one in memory, which runs nothing here."""

from collections.abc import AsyncIterator, Mapping
from typing import Any

import msgspec
import pytest
from sidecar_protocol.base import decode_hook
from sidecar_protocol.errors import WireError
from sidecar_protocol.jobs import JobScheduled, SendJob
from sidecar_protocol.queued import JobId, ListJobs
from sidecar_protocol.session import MockOptions

from sidecar.clock import Clock
from sidecar.queue.job_meta import JobMeta, get_meta
from sidecar.runtime.browser_services import BrowserServices
from sidecar.runtime.runtime_context import RuntimeContext
from sidecar.runtime.storage_runtime import StorageRuntime
from sidecar.server.handlers import jobs
from sidecar.server.handlers.jobs import Desk
from sidecar.settings import Settings
from tests.sidecar.server.handlers.parts import Parts

STEPS = [{"url": "https://a.example", "actions": [{"fill": {"selector": "#u", "value": "v"}}]}]
WEBHOOK = "https://hook.example/a"


class Stores:
    """One store, in force and open."""

    def __init__(self, durable: StorageRuntime) -> None:
        self.opened = durable

    async def get(self) -> StorageRuntime:
        """The same."""
        return self.opened


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    """Where jobs are handed in, for a session before its login."""
    clock, session = Clock(), Parts().session
    workshop = BrowserServices(Settings(), clock, lambda: True)
    around = RuntimeContext(
        settings=Settings(), clock=clock, session=session, workshop=workshop, on_event=lambda event, content: None
    )
    durable = StorageRuntime.in_memory(around)
    await durable.rest(0)
    yield Desk(session, lambda: workshop.runs, Stores(durable), lambda request, event, content: None)
    await durable.close()
    await workshop.close()


def job(**more: Any) -> SendJob:
    """An async job."""
    content: Mapping[str, Any] = {"mode": "async", "steps": STEPS, **more}
    return msgspec.convert(content, SendJob, dec_hook=decode_hook)


async def accepted(desk: Desk, wanted: SendJob) -> tuple[str, JobMeta, dict[str, Any]]:
    """The id of an accepted job, and what is stored of it."""
    reply = await jobs.send_job(desk, None, wanted)
    assert isinstance(reply, JobScheduled)
    store = await desk.stores.get()
    stored = await store.engine._backend.find(reply.id)
    assert stored is not None
    return reply.id, get_meta(stored), stored.kwargs or {}


async def test_what_is_kept_of_a_job(desk: Desk) -> None:
    """All that a later run needs, and what is secret of it sealed."""
    await desk.session.mock(MockOptions())
    desk.session.notifications = True
    cookie = {"name": "n", "value": "c4n4ry", "domain": "a.example"}
    wanted = job(name="listing", retries=3, timeout_ms=5000, webhooks=[WEBHOOK], cookies=[cookie])
    job_id, meta, stored = await accepted(desk, wanted)
    assert (meta.type, meta.name, meta.retries, meta.origin) == ("send_job", "listing", 3, "")
    assert meta.timeout >= 5
    assert WEBHOOK in meta.webhooks
    assert meta.submitter
    assert list(stored) == ["sealed"]
    assert "c4n4ry" not in str(stored)
    state = await jobs.job_status(desk.stores, JobId(id=job_id))
    assert (state.status, state.name) == ("pending", "listing")


async def test_a_job_without_secrets_is_kept_as_it_is(desk: Desk) -> None:
    """So that whoever comes next can run it; nobody is told where nobody asked."""
    _, meta, stored = await accepted(desk, job(steps=[{"url": "https://a.example"}]))
    assert meta.submitter == ""
    assert meta.webhooks == ""
    again = msgspec.json.decode(stored["content"], type=SendJob, dec_hook=decode_hook)
    assert again == job(steps=[{"url": "https://a.example"}])


@pytest.mark.parametrize(
    ("wrong", "code", "field"),
    [
        ({"key": "task:1"}, "invalid_content", "key"),
        ({"steps": [{"url": "ftp://a.example"}]}, "invalid_content", "steps[0].url"),
        ({"webhooks": ["nonsense"]}, "invalid_content", "webhooks[0].url"),
        ({"forward": True}, "missing_credentials", None),
        ({"secrets": {"user": {"key": "user", "encryption_key": "k"}}}, "missing_credentials", None),
        ({"mode": "sync", "retries": 1}, "invalid_content", "retries"),
    ],
)
async def test_what_is_wrong_is_not_kept(desk: Desk, wrong: dict[str, Any], code: str, field: str | None) -> None:
    """Nothing of it."""
    with pytest.raises(WireError) as refused:
        await jobs.send_job(desk, None, job(**wrong))
    assert (refused.value.code, refused.value.places.get("field")) == (code, field)
    assert (await jobs.list_jobs(desk.stores, ListJobs())).total_count == 0


async def test_pages_and_cancelling(desk: Desk) -> None:
    """Pages of 50; a cancelled job is listed as that, and can't be cancelled again."""
    ids = [(await accepted(desk, job(name=str(number))))[0] for number in range(51)]
    first = await jobs.list_jobs(desk.stores, ListJobs())
    last = await jobs.list_jobs(desk.stores, ListJobs(page=2))
    assert (first.total_count, first.total_pages, len(first.jobs)) == (51, 2, 50)
    assert [state.id for state in (*first.jobs, *last.jobs)] == ids[::-1]
    reply = await jobs.cancel_job(desk.stores, JobId(id=ids[0]))
    assert (reply.cancelled, reply.status) == (True, "cancelled")
    reply = await jobs.cancel_job(desk.stores, JobId(id=ids[0]))
    assert (reply.cancelled, reply.status) == (False, "cancelled")
    cancelled = await jobs.list_jobs(desk.stores, ListJobs(status="cancelled"))
    assert [state.name for state in cancelled.jobs] == ["0"]
