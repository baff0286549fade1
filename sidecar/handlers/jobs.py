"""send_job: one browser job, run while the parent waits."""

import hashlib
import uuid
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import msgspec

from protocol.base import encode_hook
from protocol.cvs import reference_of
from protocol.jobs import JobReply, JobResult, SendJob
from sidecar.handlers import secrets
from sidecar.handlers.cvs import InProgress, deliver, send_cv
from sidecar.session import LONG_TTL, Session


class Runner(Protocol):
    """Runs browser jobs."""

    async def run(self, job: SendJob, secrets: Mapping[str, Any] | None = None) -> JobResult:
        """One job to its end, with the values of the secrets that it names.

        Raises InvalidContent, BrowserFailed, TimedOut, QueueFull.
        """


async def send_job(session: Session, runner: Callable[[], Runner], in_progress: InProgress, job: SendJob) -> JobReply:
    """Runs a job; a cached reference number means that there is nothing left to do."""
    if job.forward:
        session.backend  # noqa: B018  no credentials is better said before the work than after it
    if job.reference_number is None:
        return await _run(session, in_progress, runner(), job)
    await in_progress.enter(job.reference_number)
    try:
        if session.references.has(job.reference_number):
            return JobReply(status="skipped")
        reply = await _run(session, in_progress, runner(), job)
        session.references.remember(job.reference_number, LONG_TTL)
        return reply
    finally:
        in_progress.leave(job.reference_number)


async def _run(session: Session, in_progress: InProgress, runner: Runner, job: SendJob) -> JobReply:
    result = await runner.run(job, await _fetch(session, job)) if job.secrets else await runner.run(job)
    if job.forward is not False:
        await _forward(session, in_progress, job, result)
    return JobReply(status="success", result=result)


async def _fetch(session: Session, job: SendJob) -> dict[str, Any]:
    """Name -> value of each secret that the job names. Raises MissingCredentials, RemoteFailed, RemoteUnreachable."""
    return {
        name: secrets.decode(await secrets.fetch(session, source.key, source.encryption_key), source.key)
        for name, source in (job.secrets or {}).items()
    }


async def _forward(session: Session, in_progress: InProgress, job: SendJob, result: JobResult) -> None:
    """Delivers to every server, directly; the primary's refusal is the job's failure."""
    if job.forward is not True and job.forward and job.forward.as_ == "cv":
        await _forward_cv(session, in_progress, job, result)
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


async def _forward_cv(session: Session, in_progress: InProgress, job: SendJob, result: JobResult) -> None:
    """Sends the extract as `send_cv` would, with the job's reference where it has none of its own."""
    extract = dict(result.extract or {})
    if job.reference_number and not {"referenceNumber", "reference_number"} & extract.keys():
        extract["referenceNumber"] = job.reference_number
    cv = msgspec.Raw(_encode(extract))
    reference = reference_of(cv)
    if reference == job.reference_number:
        await deliver(session, reference, cv)  # the job itself is the one in progress
    else:
        await send_cv(session, in_progress, cv)


def _encode(value: Any) -> bytes:
    return msgspec.json.encode(value, enc_hook=encode_hook)
