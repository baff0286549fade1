"""What a job does with the page it was lent: visit its steps, then gather what it made."""

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from sidecar_protocol.jobs import Download, JobResult, SendJob, StepResult

from sidecar.browser.artifacts.capture import Keep, Shelf, collect, scratch_folder
from sidecar.browser.artifacts.recordings import RECORDED, Recorder
from sidecar.browser.crash_guard import unwind
from sidecar.browser.processes.job_page import JobPage
from sidecar.browser.profiles.context_cache import ProfileUse
from sidecar.browser.sandbox.sandbox_pool import SandboxPool
from sidecar.browser.step_observer import NOBODY, Watch
from sidecar.browser.steps.context_options import blocked
from sidecar.browser.steps.navigation_guard import guarded
from sidecar.browser.steps.plan import PlannedStep
from sidecar.browser.steps.step_runner import Visit
from sidecar.browser.url_policy import Allows
from sidecar.clock import Clock
from sidecar.errors import TimedOut
from sidecar.scratch_folder import Scratch
from sidecar.truncation import Redact


def _nothing(text: str) -> str:
    return text


@dataclass(frozen=True, slots=True)
class Hiding:
    """What is taken out of texts that leave."""

    secrets: Redact = _nothing
    """The job's `secrets`: out of what the steps, the alerts and the errors say."""
    all: Redact = _nothing
    """These, cookies, passwords and whatever is typed: out of recordings, and out of what is cut."""
    values: Mapping[str, Any] = field(default_factory=dict)
    """The job's `secrets` themselves, for JavaScript actions."""


async def perform(
    job: SendJob,
    steps: Sequence[PlannedStep],
    keep: Keep | None,
    clock: Clock,
    hiding: Hiding,
    sandboxes: SandboxPool,
    scratch: Scratch,
    lent: JobPage,
    watch: Watch = NOBODY,
    use: ProfileUse | None = None,
    allows: Allows | None = None,
) -> JobResult:
    """One job on its page, in at most its `timeout_ms`. `keep` writes a file; None leaves all inline.

    `allows` says which addresses its pages may open; None is all of them. Where the page belongs to a profile, `use`
    is told what the job has changed for those that come after it.

    Raises BrowserCrashed, BrowserUnavailable, NavigationFailed, ActionFailed, Forbidden, LimitExceeded, TimedOut,
    StoreFailed.
    """
    visit, shelf = Visit(lent, clock, sandboxes, hiding.values, scratch, hiding.all, allows), Shelf(keep)
    if use:
        visit.storage_observer = use.storage_observer
    work = partial(_visit_and_gather, job, steps, visit, shelf, hiding, watch)
    if allows:
        work = partial(guarded, allows, lent, work)
    watch.on_started()
    try:
        return await _within(visit, job.timeout_ms, work())
    except BaseException:
        await shelf.clear()
        raise
    finally:
        await visit.close()
        if use and visit.changed_context:
            use.discard_context = True


async def _within(visit: Visit, milliseconds: int, work: Coroutine[Any, Any, JobResult]) -> JobResult:
    """The outcome of a job's work in its time. Raises TimedOut, which says where the job was."""
    task = asyncio.create_task(work)
    try:
        await asyncio.wait((task,), timeout=milliseconds / 1000)
        if task.done():
            return task.result()
    finally:
        await unwind(task)
    where = f" at {visit.step}" if visit.step else ""
    said = f"the job took longer than {milliseconds} ms{where}"
    raise TimedOut(said, step=visit.step, action=visit.action)


async def _visit_and_gather(
    job: SendJob, steps: Sequence[PlannedStep], visit: Visit, shelf: Shelf, hiding: Hiding, watch: Watch
) -> JobResult:
    if "READ_ALERTS" in job.options:
        visit.dialogs.listen()
    async with blocked(visit.page.context, (job.context.block or ()) if job.context else ()):
        return await _gather(job, steps, visit, shelf, hiding, watch)


async def _gather(
    job: SendJob, steps: Sequence[PlannedStep], visit: Visit, shelf: Shelf, hiding: Hiding, watch: Watch
) -> JobResult:
    made: dict[str, Any] = {}
    with scratch_folder(visit.scratch) if RECORDED & set(job.options) else nullcontext(Path()) as folder:
        recorder = Recorder(visit.page, job.options, folder, hiding.all)
        await recorder.start()
        visited = await visit.run(steps, job.cookies, watch)
        for kind, data in await recorder.finish():
            made[kind] = await shelf.put(kind, data)
    made |= await collect(visit.page, visit.devtools, job.options, job.pdf, shelf)
    if visit.downloads:
        made["downloads"] = tuple(
            [await _download(hiding.secrets(file.name), file.data, shelf) for file in visit.downloads]
        )
    if "READ_ALERTS" in job.options:
        made["messages"] = tuple(map(hiding.secrets, visit.dialogs.messages))
    told = tuple(_without_secrets(step, hiding.secrets) for step in visited.steps)
    return JobResult(steps=told, extract=visited.extract, **made)


async def _download(name: str, data: bytes, shelf: Shelf) -> Download:
    put = await shelf.put("download", data)
    if shelf.in_files:
        return Download(name=name, size=len(data), path=put)
    return Download(name=name, size=len(data), content=put)


def _without_secrets(step: StepResult, hide: Redact) -> StepResult:
    if hide is _nothing:
        return step
    return step.replace(
        url=hide(step.url),
        title=hide(step.title),
        values=_hidden(step.values, hide),
        console=tuple(map(hide, step.console)),
        errors=tuple(map(hide, step.errors)),
    )


def _hidden(value: Any, hide: Redact) -> Any:
    if isinstance(value, str):
        return hide(value)
    if isinstance(value, dict):
        return {hide(name): _hidden(item, hide) for name, item in value.items()}
    return type(value)(_hidden(item, hide) for item in value) if isinstance(value, list | tuple) else value
