"""What the handler of an async job hands to the queue: a real one in memory, which runs nothing here."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from typing import Any

import pytest
from sidecar_protocol.decoding import decode_as
from sidecar_protocol.encoding import encode
from sidecar_protocol.errors import WireError
from sidecar_protocol.job_status import JobId, ListJobs
from sidecar_protocol.jobs import JobScheduled, SendJob
from sidecar_protocol.session import MockOptions

from sidecar.clock import Clock
from sidecar.composition.browsers import BrowserServices
from sidecar.composition.network import Network
from sidecar.composition.process_context import ProcessContext
from sidecar.composition.storage import StorageServices
from sidecar.queue.job_meta import JobMeta, get_meta
from sidecar.server.handlers import jobs
from sidecar.server.handlers.context import HandlerContext
from sidecar.settings import Settings
from tests.sidecar.server.handlers.parts import Parts

STEPS = [{"url": "https://a.example", "actions": [{"fill": {"selector": "#u", "value": "v"}}]}]
WEBHOOK = "https://hook.example/a"


class OneStorage:
    """One store, in force and open."""

    def __init__(self, storage: StorageServices) -> None:
        self.opened = storage

    async def get(self) -> StorageServices:
        """Returns the storage."""
        return self.opened


@pytest.fixture
async def context() -> AsyncIterator[HandlerContext]:
    """The handlers' context of a session before its login."""
    clock, parts = Clock(), Parts()
    browsers = BrowserServices(Settings(), clock, lambda: True)
    runtime_context = ProcessContext(
        settings=Settings(),
        clock=clock,
        session=parts.session,
        browsers=browsers,
        network=Network(Settings(), clock),
        on_event=lambda event, content: None,
    )
    storage = StorageServices.in_memory(runtime_context)
    await storage.stop(0)
    yield replace(parts.context(OneStorage(storage)), run_service=browsers.run_service)
    await storage.close()
    await browsers.close()


def job(**more: Any) -> SendJob:
    """An async job."""
    content: Mapping[str, Any] = {"mode": "async", "steps": STEPS, **more}
    return decode_as(SendJob, encode(content))


async def accepted(context: HandlerContext, wanted: SendJob) -> tuple[str, JobMeta, dict[str, Any]]:
    """The id of an accepted job, and what is stored of it."""
    reply = await jobs.send_job(context, None, wanted)
    assert isinstance(reply, JobScheduled)
    store = await context.storage.get()
    stored = await store.job_queue._backend.find(reply.id)
    assert stored is not None
    return reply.id, get_meta(stored), stored.kwargs or {}


async def test_what_is_kept_of_a_job(context: HandlerContext) -> None:
    """All that a later run needs, and what is secret of it encrypted."""
    await context.session.mock(MockOptions(), context.mock)
    context.session.asked_for_events = True
    cookie = {"name": "n", "value": "c4n4ry", "domain": "a.example"}
    wanted = job(name="listing", retries=3, timeout_ms=5000, webhooks=[WEBHOOK], cookies=[cookie])
    job_id, meta, stored = await accepted(context, wanted)
    assert (meta.type, meta.name, meta.retries, meta.origin) == ("send_job", "listing", 3, "")
    assert meta.timeout >= 5
    assert WEBHOOK in meta.webhooks
    assert meta.submitter
    assert list(stored) == ["sealed"]
    assert "c4n4ry" not in str(stored)
    state = await jobs.job_status(context, JobId(id=job_id))
    assert (state.status, state.name) == ("pending", "listing")


async def test_a_job_without_secrets_is_kept_as_it_is(context: HandlerContext) -> None:
    """Any later process can run such a job; without listeners no update is sent."""
    _, meta, stored = await accepted(context, job(steps=[{"url": "https://a.example"}]))
    assert meta.submitter == ""
    assert meta.webhooks == ""
    again = decode_as(SendJob, stored["content"].encode())
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
async def test_what_is_wrong_is_not_kept(
    context: HandlerContext, wrong: dict[str, Any], code: str, field: str | None
) -> None:
    """An invalid job is not stored."""
    with pytest.raises(WireError) as refused:
        await jobs.send_job(context, None, job(**wrong))
    assert (refused.value.code, refused.value.details.get("field")) == (code, field)
    assert (await jobs.list_jobs(context, ListJobs())).total_count == 0


async def test_pages_and_cancelling(context: HandlerContext) -> None:
    """Pages of 50; a cancelled job is listed as that, and can't be cancelled again."""
    ids = [(await accepted(context, job(name=str(number))))[0] for number in range(51)]
    first = await jobs.list_jobs(context, ListJobs())
    last = await jobs.list_jobs(context, ListJobs(page=2))
    assert (first.total_count, first.total_pages, len(first.jobs)) == (51, 2, 50)
    assert [state.id for state in (*first.jobs, *last.jobs)] == ids[::-1]
    reply = await jobs.cancel_job(context, JobId(id=ids[0]))
    assert (reply.cancelled, reply.status) == (True, "cancelled")
    reply = await jobs.cancel_job(context, JobId(id=ids[0]))
    assert (reply.cancelled, reply.status) == (False, "cancelled")
    cancelled = await jobs.list_jobs(context, ListJobs(status="cancelled"))
    assert [state.name for state in cancelled.jobs] == ["0"]
