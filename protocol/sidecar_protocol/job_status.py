"""Messages about work that is done later: `job_status`, `list_jobs`, `cancel_job`."""

from typing import Annotated, Literal

from sidecar_protocol.errors import ErrorDetail
from sidecar_protocol.models import Bound, Model, Sparse
from sidecar_protocol.wire_types import Raw

JobStatus = Literal["pending", "success", "failed", "cancelled"]


class JobId(Model):
    """Content of `job_status` and `cancel_job`."""

    id: Annotated[str, Bound(min_length=1, max_length=255)]
    """The id that `send_job` returned in mode `async`."""


class ListJobs(Model):
    """Content of `list_jobs`."""

    status: JobStatus | None = None
    """The status of listed jobs; default all."""
    page: Annotated[int, Bound(ge=1, le=1_000_000_000)] = 1


class JobState(Sparse):
    """The state of one job. Also the content of the reply to `job_status`."""

    id: str
    status: JobStatus
    """`pending` until it has ended, also while it runs."""
    type: str
    """`send_job`, or what else a schedule or a task has the sidecar do."""
    name: str = ""
    origin: str = ""
    """`schedule:<id>` or `task:<id>`; absent for jobs that the parent sent."""
    submitted: str = ""
    """RFC 3339, as the times below; absent where it has not come to that."""
    started: str = ""
    """The start of the last attempt."""
    ended: str = ""
    attempts: int = 0
    progress: float = 0
    """The progress, from 0 to 1."""
    result: Raw | None = None
    """The result of a successful job, in `job_status` only: a `send_job`'s `result`, else the reply's content."""
    outcome: Literal["skipped"] | None = None
    """Set for a `send_job` that was not done because its reference was cached. It has no result."""
    result_dropped: bool = False
    """Whether there was a result that had to make room for newer ones."""
    error: ErrorDetail | None = None
    """Why it failed."""


class Jobs(Model):
    """Content of the reply to `list_jobs`: pages of 50, newest first, without results."""

    total_count: int
    total_pages: int
    page: int
    jobs: tuple[JobState, ...]


class CancelledJob(Model):
    """Content of the reply to `cancel_job`."""

    cancelled: bool
    """Whether it took; a job that has ended stays as it is."""
    status: JobStatus
    """`pending` while the browser is being stopped."""
