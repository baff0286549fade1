"""Jobs with the scope of a visit token, as the run service hands it to the runner."""

from collections.abc import Callable

from sidecar_protocol.jobs import JobResult, SendJob

from sidecar.jobs.browser_job_runner import BrowserJobRunner
from sidecar.jobs.token_scope import Scope


class ScopedRunner:
    """A runner whose jobs all run within the scope that `check_token` returns."""

    def __init__(self, runner: BrowserJobRunner, check_token: Callable[[SendJob], Scope | None]) -> None:
        self._runner = runner
        self._check_token = check_token

    async def run(self, job: SendJob) -> JobResult:
        """Runs one job."""
        return await self._runner.run(job, scope=self._check_token(job))
