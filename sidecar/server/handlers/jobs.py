"""send_job, job_status, list_jobs, cancel_job.

Models are imported late: meanwhile a driver starts, in the loop's next turn.
"""

import uuid
from functools import partial
from typing import TYPE_CHECKING, Final

from sidecar_protocol.codec import member
from sidecar_protocol.encoding import encode_revealed
from sidecar_protocol.replies import RequestId

from sidecar.errors import InvalidContent
from sidecar.queue.submission import RESERVED_PREFIXES, Submission
from sidecar.server.handlers.context import HandlerContext

if TYPE_CHECKING:
    from sidecar_protocol.job_status import CancelledJob, JobId, Jobs, JobState, ListJobs
    from sidecar_protocol.jobs import JobReply, JobScheduled, SendJob

    from sidecar.jobs.run_updates import RunListeners

PLACE_SECONDS: Final = 3_600.0
"""Seconds for which an attempt of an async job may wait for a browser slot, in addition to its `timeout_ms`."""


async def send_job(context: HandlerContext, request_id: RequestId | None, job: "SendJob") -> "JobReply | JobScheduled":
    """Runs a job, or accepts it to be run as soon as there is a slot."""
    if job.mode == "async":
        return await _accept(context, job)
    if job.retries:
        raise InvalidContent("retries: needs the mode async", "retries")
    from sidecar.jobs.run_service import RunRequest  # late: only jobs need updates of runs

    listeners = await _listeners(context, request_id, job)
    request = RunRequest(job=job, run_id=uuid.uuid4().hex, login=context.session, listeners=listeners)
    return await context.run_service().run(request)


async def job_status(context: HandlerContext, content: "JobId") -> "JobState":
    """The state of a job. Raises NotFound."""
    state = await (await context.storage.get()).job_queue.status(content.id)
    return state if state.result is None or state.type != "send_job" else _with_result(state, bytes(state.result))


async def list_jobs(context: HandlerContext, content: "ListJobs") -> "Jobs":
    """One page of the jobs that are kept, newest first; a page past the end is empty."""
    from sidecar_protocol.job_status import Jobs
    from sidecar_protocol.pages import page_count

    total, jobs = await (await context.storage.get()).job_queue.list(content.status, content.page)
    return Jobs(total_count=total, total_pages=page_count(total), page=content.page, jobs=tuple(jobs))


async def cancel_job(context: HandlerContext, content: "JobId") -> "CancelledJob":
    """Stops a job that has not ended. Raises NotFound."""
    from sidecar_protocol.job_status import CancelledJob

    job_queue = (await context.storage.get()).job_queue
    cancelled = await job_queue.cancel(content.id)
    return CancelledJob(cancelled=cancelled, status=(await job_queue.status(content.id)).status)


def _with_result(state: "JobState", reply: bytes) -> "JobState":
    """The state of a browser job, in Tourist's shape: the result of its reply and not the reply itself."""
    skipped = member(reply, "status") == b'"skipped"'
    return state.replace(result=None if skipped else member(reply, "result"), outcome="skipped" if skipped else None)


async def _accept(context: HandlerContext, job: "SendJob") -> "JobScheduled":
    from sidecar_protocol.jobs import JobScheduled

    if job.key and job.key.startswith(RESERVED_PREFIXES):
        raise InvalidContent(f"key: must not begin with {' or '.join(RESERVED_PREFIXES)}", "key")
    steps = await context.run_service().check_async(job)
    from sidecar.jobs.large_jobs import off_loop  # late: with the runner, which the check has imported
    from sidecar.jobs.payloads import contains_secrets

    if job.forward or job.secrets:
        context.session.backend  # noqa: B018  no credentials is better said now than when it runs
    storage = await context.storage.get()
    endpoints = storage.listener_factory.endpoints(job.webhooks)
    submission = Submission(
        type="send_job",
        content=encode_revealed(job),
        key=job.key or "",
        name=job.name or "",
        retries=job.retries,
        timeout=job.timeout_ms / 1000 + PLACE_SECONDS,
        webhooks=storage.listener_factory.pack(endpoints),
        account_id=context.session.account_id,
        needs_login=bool(job.forward or job.secrets),
        secret=await off_loop(job, partial(contains_secrets, job, steps)),
        notify=context.session.notifications,
    )
    return JobScheduled(id=await storage.job_queue.submit(submission))


async def _listeners(context: HandlerContext, request_id: RequestId | None, job: "SendJob") -> "RunListeners":
    from sidecar.jobs.run_updates import RunListeners

    emit = partial(context.emit, request_id) if context.session.notifications else None
    storage = await context.storage.get() if job.webhooks or context.session.webhooks else context.storage.opened
    if storage is None:
        return RunListeners(emit=emit)
    return storage.listener_factory.create(storage.listener_factory.endpoints(job.webhooks), emit)
