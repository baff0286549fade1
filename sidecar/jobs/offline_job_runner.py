"""Stands in for browsers in an offline replay."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sidecar_protocol.jobs import JobResult, SendJob

from sidecar.errors import NotRecorded
from sidecar.jobs.browser_job_runner import validate

if TYPE_CHECKING:
    from sidecar.browser.steps.plan import PlannedStep


class OfflineJobRunner:
    """Checks jobs, and refuses to run them: recordings have no pages."""

    def plan(self, job: SendJob) -> "Sequence[PlannedStep]":
        """The steps. Raises InvalidContent."""
        return validate(job)

    async def run(self, job: SendJob, *_: object) -> JobResult:
        """Raises NotRecorded."""
        url = job.steps[0].url if job.steps else ""
        raise NotRecorded("browser jobs can't be replayed offline: a recording has no pages", url=url)
