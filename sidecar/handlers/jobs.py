"""send_job: one browser job, run while the parent waits."""

import hashlib
import uuid
from collections.abc import Callable
from typing import Any, Protocol

import msgspec

from protocol.base import encode_hook
from protocol.jobs import JobReply, JobResult, SendJob
from sidecar.errors import InvalidContent
from sidecar.handlers.cvs import InProgress
from sidecar.session import LONG_TTL, Session


class Runner(Protocol):
    """Runs browser jobs."""

    async def run(self, job: SendJob) -> JobResult:
        """One job to its end. Raises InvalidContent, BrowserFailed, TimedOut, QueueFull."""


async def send_job(session: Session, runner: Callable[[], Runner], in_progress: InProgress, job: SendJob) -> JobReply:
    """Runs a job; a cached reference number means that there is nothing left to do."""
    if job.forward:
        session.backend  # noqa: B018  no credentials is better said before the work than after it
    if job.reference_number is None:
        return await _run(session, runner(), job)
    await in_progress.enter(job.reference_number)
    try:
        if session.references.has(job.reference_number):
            return JobReply(status="skipped")
        reply = await _run(session, runner(), job)
        session.references.remember(job.reference_number, LONG_TTL)
        return reply
    finally:
        in_progress.leave(job.reference_number)


async def _run(session: Session, runner: Runner, job: SendJob) -> JobReply:
    result = await runner.run(job)
    if job.forward is not False:
        await _forward(session, job, result)
    return JobReply(status="success", result=result)


async def _forward(session: Session, job: SendJob, result: JobResult) -> None:
    """Delivers to every server, directly; the primary's refusal is the job's failure."""
    if job.forward is not True and job.forward and job.forward.as_ == "cv":
        await session.backend.scan_cv(_encode(_as_cv(job, result)))
        return
    run_reference = str(uuid.uuid4())
    body: dict[str, Any] = {
        "jobReference": hashlib.sha256(_encode(job)).hexdigest(),
        "runReference": run_reference,
        "status": "success",
        "result": result,
    }
    if job.reference_number:
        body["reference_number"] = job.reference_number
    await session.backend.forward(_encode(body), run_reference)


def _as_cv(job: SendJob, result: JobResult) -> dict[str, Any]:
    cv = dict(result.extract or {})
    if job.reference_number:
        cv.setdefault("referenceNumber", job.reference_number)
    if not cv.get("referenceNumber"):
        raise InvalidContent("a job forwarded as cv needs a reference_number, or extracts one", "forward")
    return cv


def _encode(value: Any) -> bytes:
    return msgspec.json.encode(value, enc_hook=encode_hook)
