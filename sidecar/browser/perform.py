"""What a job does with the page it was lent: visit its steps, then gather what it made."""

from collections.abc import Callable, Sequence
from pathlib import Path

from playwright.async_api import Page

from protocol.jobs import JobResult, SendJob
from sidecar.browser import artifacts
from sidecar.browser.visit import PlannedStep, Visit, within
from sidecar.clock import Clock

Keep = Callable[[artifacts.Kind, bytes], Path]


async def perform(job: SendJob, steps: Sequence[PlannedStep], keep: Keep | None, clock: Clock, page: Page) -> JobResult:
    """One job on its page, in at most its `timeout_ms`. `keep` writes a file; None leaves all inline.

    Raises BrowserCrashed, NavigationFailed, ActionFailed, TimedOut, StoreFailed.
    """
    visit = Visit(page, clock)
    return await within(visit, job.timeout_ms, _visit_and_gather(job, steps, keep, visit, page))


async def _visit_and_gather(
    job: SendJob, steps: Sequence[PlannedStep], keep: Keep | None, visit: Visit, page: Page
) -> JobResult:
    visited = await visit.run(steps, job.cookies)
    made = await artifacts.collect(page, job.options, job.pdf, keep)
    return JobResult(
        steps=visited.steps,
        screenshot=made.screenshot,
        pdf=made.pdf,
        html=made.html,
        extract=visited.extract,
    )
