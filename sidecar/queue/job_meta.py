"""SAQ's jobs and ours: the stored metadata of a submission, and the status that replies show."""

import logging
from collections.abc import Mapping
from typing import Any, Final

import orjson
from pydantic import ConfigDict
from saq.job import TERMINAL_STATUSES, Job, Status
from saq.queue import Queue
from sidecar_protocol.decoding import decode_stored
from sidecar_protocol.encoding import encode
from sidecar_protocol.errors import ErrorCode, ErrorDetail
from sidecar_protocol.job_status import JobState, JobStatus
from sidecar_protocol.models import Sparse

from sidecar.errors import CorruptRecord
from sidecar.wall_clock import rfc3339

log = logging.getLogger(__name__)

CANCELLED: Final = "cancelled"
"""SAQ's error of a cancelled job; any other means that SAQ gave up."""

STATUSES: Final[dict[JobStatus, frozenset[Status]]] = {
    "pending": frozenset(Status) - TERMINAL_STATUSES,
    "success": frozenset({Status.COMPLETE}),
    "failed": frozenset({Status.FAILED}),
    "cancelled": frozenset({Status.ABORTED}),
}
FUNCTION: Final = "run"
"""The function name of all our jobs in SAQ."""
UNREADABLE: Final = "unreadable"
"""The type of a job whose document can't be decoded: it fails when it is taken and blocks no other."""
_JOB_STATUS: Final = {status: ours for ours, statuses in STATUSES.items() for status in statuses}


class JobMeta(Sparse):
    """The fields that we store in addition to SAQ's own."""

    model_config = ConfigDict(frozen=False)

    type: str
    name: str = ""
    origin: str = ""
    scope: str = ""
    submitter: str = ""
    """The process that submitted; empty if its parent wants no events."""
    timeout: float = 0
    retries: int = 0
    failures: int = 0
    """Failed attempts, without interrupted ones."""
    waits: int = 0
    """Attempts whose browser could not start, which are no failures of the job."""
    webhooks: str = ""
    """Packed endpoints, as they were submitted."""
    error: ErrorDetail | None = None


def dump(document: Mapping[Any, Any]) -> bytes:
    """Encodes a job's fields as JSON."""
    return orjson.dumps(document)


def load(document: str | bytes) -> dict[str, Any]:
    """Decodes a job's fields."""
    fields: dict[str, Any] = orjson.loads(document)
    return fields


def decode_job(queue: Queue, key: str, document: bytes, status: str) -> Job:
    """Decodes a stored job; one of the type UNREADABLE if the document is damaged or a newer sidecar's.

    The cause is not logged, as it may contain secrets.
    """
    try:
        job = queue.deserialize(document, status)
        if job is not None and (job.function != FUNCTION or get_meta(job)):
            return job
    except Exception:  # damage takes every form: no JSON, other members, values of other types
        log.warning("job %s can't be decoded; it fails when it is taken", key)
    error = CorruptRecord("this sidecar can't read the stored job").detail
    job = Job(function=FUNCTION, key=key, queue=queue, status=Status(status), error=error.message)
    set_meta(job, JobMeta(type=UNREADABLE, error=error))
    return job


def with_fields(document: bytes, **fields: Any) -> bytes:
    """Returns a document with some fields set; one that can't be decoded is returned unchanged."""
    try:
        return dump({**load(document), **fields})
    except (ValueError, TypeError):
        return document


def get_meta(job: Job) -> JobMeta:
    """Returns our metadata of a job."""
    return decode_stored(JobMeta, encode(job.meta))


def set_meta(job: Job, meta: JobMeta) -> None:
    """Sets a job's metadata, which is stored with the job's next update."""
    job.meta = load(encode(meta))


def job_state(job: Job) -> JobState:
    """Returns a job's state, without its result."""
    meta = get_meta(job)
    status = _JOB_STATUS[job.status]
    if status == "cancelled" and job.error != CANCELLED:
        status, meta.error = "failed", meta.error or attempts_exhausted(job.attempts)
    return JobState(
        id=job.key,
        status=status,
        type=meta.type,
        name=meta.name,
        origin=meta.origin,
        submitted=_timestamp(job.queued),
        started=_timestamp(job.started),
        ended=_timestamp(job.completed) if job.status in TERMINAL_STATUSES else "",
        attempts=job.attempts,
        progress=1.0 if status == "success" else job.progress,
        error=meta.error if status == "failed" else None,
    )


def attempts_exhausted(attempts: int) -> ErrorDetail:
    """Returns the error of a job whose attempts were all interrupted."""
    message = f"gave up after {attempts} interrupted attempts"
    return ErrorDetail(code=ErrorCode.INTERNAL, message=message, retryable=False)


def _timestamp(milliseconds: float) -> str:
    """Formats a time as SAQ keeps it; empty for 0, which is none."""
    return rfc3339(milliseconds / 1000, "milliseconds") if milliseconds else ""
