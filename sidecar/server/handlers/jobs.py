"""send_job, job_status, list_jobs, cancel_job."""

import math
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Protocol

import msgspec
from sidecar_protocol.base import Secret
from sidecar_protocol.jobs import JobReply, JobScheduled, SendJob
from sidecar_protocol.queued import CancelledJob, JobId, Jobs, JobState, ListJobs
from sidecar_protocol.replies import RequestId

from sidecar.errors import InvalidContent
from sidecar.queue.submission import RESERVED_PREFIXES, Submission
from sidecar.server.session import Session

if TYPE_CHECKING:
    from sidecar.deliveries.delivery_manager import DeliveryServices
    from sidecar.jobs.run_listeners import ListenerFactory
    from sidecar.jobs.run_service import RunService
    from sidecar.jobs.run_updates import RunListeners
    from sidecar.queue.job_queue import JobQueue

PAGE: Final = 50
PLACE_SECONDS: Final = 3_600.0
"""What an attempt of an async job may wait for a place in a browser, beside its own `timeout_ms`."""

Emit = Callable[[RequestId | None, str, Any], None]
"""Writes an event to the parent: the request that it belongs to, its name, its content."""


class Store(Protocol):
    """What jobs need of the store in force."""

    @property
    def engine(self) -> "JobQueue":
        """The queue. Raises StoreFailed."""

    @property
    def listener_factory(self) -> "ListenerFactory":
        """Who is told of runs."""

    @property
    def mail(self) -> "DeliveryServices":
        """All that sends."""


class Stores(Protocol):
    """The store in force, opened at first need."""

    @property
    def opened(self) -> Store | None:
        """The one that is open already."""

    async def get(self) -> Store:
        """Opens it. Raises StoreFailed."""


@dataclass(frozen=True, slots=True)
class Desk:
    """Where jobs are handed in."""

    session: Session
    runs: Callable[[], "RunService"]
    stores: Stores
    emit: Emit


async def send_job(desk: Desk, request_id: RequestId | None, job: SendJob) -> JobReply | JobScheduled:
    """Runs a job while the parent waits, or notes it down to be run as soon as there is a place."""
    if job.mode == "async":
        return await _accept(desk, job)
    if job.retries:
        raise InvalidContent("retries: needs the mode async", "retries")
    from sidecar.jobs.run_service import RunRequest  # late: only jobs need what tells of runs

    listeners = await _listeners(desk, request_id, job)
    request = RunRequest(job=job, run_id=uuid.uuid4().hex, login=desk.session, listeners=listeners)
    return await desk.runs().run(request)


async def job_status(stores: Stores, content: JobId) -> JobState:
    """What is known of a job. Raises NotFound."""
    return await (await stores.get()).engine.status(content.id)


async def list_jobs(stores: Stores, content: ListJobs) -> Jobs:
    """One page of the jobs that are kept, newest first; a page past the end is empty."""
    total, jobs = await (await stores.get()).engine.list(content.status, content.page)
    return Jobs(total_count=total, total_pages=math.ceil(total / PAGE), page=content.page, jobs=tuple(jobs))


async def cancel_job(stores: Stores, content: JobId) -> CancelledJob:
    """Stops a job that has not ended. Raises NotFound."""
    engine = (await stores.get()).engine
    cancelled = await engine.cancel(content.id)
    return CancelledJob(cancelled=cancelled, status=(await engine.status(content.id)).status)


async def _accept(desk: Desk, job: SendJob) -> JobScheduled:
    if job.key and job.key.startswith(RESERVED_PREFIXES):
        raise InvalidContent(f"key: must not begin with {' or '.join(RESERVED_PREFIXES)}", "key")
    desk.runs().check(job)
    if job.forward or job.secrets:
        desk.session.backend  # noqa: B018  no credentials is better said now than when it runs
    store = await desk.stores.get()
    endpoints = store.listener_factory.endpoints(job.webhooks)
    submission = Submission(
        type="send_job",
        content=msgspec.json.encode(job, enc_hook=_revealed),
        key=job.key or "",
        name=job.name or "",
        retries=job.retries,
        timeout=job.timeout_ms / 1000 + PLACE_SECONDS,
        webhooks=store.listener_factory.pack(endpoints),
        account_id=desk.session.account_id,
        needs_login=bool(job.forward or job.secrets),
        notify=desk.session.notifications,
    )
    return JobScheduled(id=await store.engine.submit(submission))


async def _listeners(desk: Desk, request_id: RequestId | None, job: SendJob) -> "RunListeners":
    from sidecar.jobs.run_updates import RunListeners

    emit = partial(desk.emit, request_id) if desk.session.notifications else None
    store = await desk.stores.get() if job.webhooks or desk.session.webhooks else desk.stores.opened
    if store is None:
        return RunListeners(emit=emit)
    return store.listener_factory.create(store.listener_factory.endpoints(job.webhooks), emit)


def _revealed(value: Any) -> Any:
    if isinstance(value, Secret):
        return value.reveal()
    raise NotImplementedError(type(value))
