"""One run of a browser job: check it, borrow a page, have it performed."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from protocol.jobs import JobResult, SendJob
from sidecar.browser.artifacts import write_file
from sidecar.browser.perform import Keep, perform
from sidecar.browser.pool import BrowserPool
from sidecar.browser.visit import PlannedStep, plan
from sidecar.clock import Clock
from sidecar.errors import InvalidContent, StoreFailed


def validate(job: SendJob) -> tuple[PlannedStep, ...]:
    """Checks all that can be checked without a browser; gives the steps ready to run. Raises InvalidContent."""
    if "PDF" in job.options and job.browser != "CHROMIUM":
        raise InvalidContent("options: PDF needs the browser CHROMIUM", "options")
    return plan(job.steps)


class JobRunner:
    """Runs jobs on the pool's browsers."""

    def __init__(self, pool: BrowserPool, artifacts_folder: Callable[[], Path], clock: Clock) -> None:
        self._pool = pool
        self._artifacts_folder = artifacts_folder
        self._clock = clock

    async def run(self, job: SendJob) -> JobResult:
        """One job from start to end, in at most its `timeout_ms` once it has a place.

        Raises InvalidContent, QueueFull, BrowserUnavailable, BrowserCrashed, NavigationFailed, ActionFailed,
        TimedOut, StoreFailed, ShuttingDown.
        """
        steps = validate(job)
        return await self._pool.run(job.browser, partial(perform, job, steps, self._keep(job), self._clock))

    def _keep(self, job: SendJob) -> Keep | None:
        if job.artifacts != "files":
            return None
        try:
            return partial(write_file, self._artifacts_folder())
        except OSError as error:
            said = f"the folder for artifacts can't be used: {error.strerror}"
            raise StoreFailed(said, retryable=False) from None
