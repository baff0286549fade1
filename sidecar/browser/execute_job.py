"""What a job does with the page it was lent: visit its steps, then gather what it made."""

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from sidecar_protocol.jobs import Download, JobResult, SendJob, StepResult

from sidecar.browser.artifacts.capture import ArtifactSink, WriteArtifact, capture_artifacts, scratch_folder
from sidecar.browser.artifacts.recordings import RECORDING_OPTIONS, Recorder
from sidecar.browser.crash_guard import cancel_and_wait
from sidecar.browser.processes.job_page import JobPage
from sidecar.browser.profiles.context_cache import ProfileUse
from sidecar.browser.sandbox.sandbox_pool import SandboxPool
from sidecar.browser.step_observer import NO_OBSERVER, StepObserver
from sidecar.browser.steps.context_options import block_resources
from sidecar.browser.steps.navigation_guard import run_guarded
from sidecar.browser.steps.plan import PlannedStep
from sidecar.browser.steps.step_runner import StepRunner
from sidecar.browser.url_policy import AllowsUrl
from sidecar.clock import Clock
from sidecar.errors import TimedOut
from sidecar.scratch_folder import Scratch
from sidecar.truncation import Redact


def _unchanged(text: str) -> str:
    return text


@dataclass(frozen=True, slots=True)
class Redactions:
    """What is taken out of texts that leave."""

    secrets: Redact = _unchanged
    """The job's `secrets`: out of what the steps, the alerts and the errors say."""
    all: Redact = _unchanged
    """These, cookies, passwords and whatever is typed: out of recordings, and out of what is cut."""
    values: Mapping[str, Any] = field(default_factory=dict)
    """The job's `secrets` themselves, for JavaScript actions."""


async def execute_job(
    job: SendJob,
    steps: Sequence[PlannedStep],
    keep: WriteArtifact | None,
    clock: Clock,
    hiding: Redactions,
    sandboxes: SandboxPool,
    scratch: Scratch,
    lent: JobPage,
    watch: StepObserver = NO_OBSERVER,
    use: ProfileUse | None = None,
    allows: AllowsUrl | None = None,
) -> JobResult:
    """One job on its page, in at most its `timeout_ms`. `keep` writes a file; None leaves all inline.

    `allows` says which addresses its pages may open; None is all of them. Where the page belongs to a profile, `use`
    is told what the job has changed for those that come after it.

    Raises BrowserCrashed, BrowserUnavailable, NavigationFailed, ActionFailed, Forbidden, LimitExceeded, TimedOut,
    StoreFailed.
    """
    visit, shelf = StepRunner(lent, clock, sandboxes, hiding.values, scratch, hiding.all, allows), ArtifactSink(keep)
    if use:
        visit.storage_observer = use.storage_observer
    work = partial(_run_in_context, job, steps, visit, shelf, hiding, watch)
    if allows:
        work = partial(run_guarded, allows, lent, work)
    watch.on_started()
    try:
        return await _with_timeout(visit, job.timeout_ms, work())
    except BaseException:
        await shelf.clear()
        raise
    finally:
        await visit.close()
        if use and visit.changed_context:
            use.discard_context = True


async def _with_timeout(visit: StepRunner, milliseconds: int, work: Coroutine[Any, Any, JobResult]) -> JobResult:
    """The outcome of a job's work in its time. Raises TimedOut, which says where the job was."""
    task = asyncio.create_task(work)
    try:
        await asyncio.wait((task,), timeout=milliseconds / 1000)
        if task.done():
            return task.result()
    finally:
        await cancel_and_wait(task)
    where = f" at {visit.step}" if visit.step else ""
    said = f"the job took longer than {milliseconds} ms{where}"
    raise TimedOut(said, step=visit.step, action=visit.action)


async def _run_in_context(
    job: SendJob,
    steps: Sequence[PlannedStep],
    visit: StepRunner,
    shelf: ArtifactSink,
    hiding: Redactions,
    watch: StepObserver,
) -> JobResult:
    if "READ_ALERTS" in job.options:
        visit.dialogs.listen()
    async with block_resources(visit.page.context, (job.context.block or ()) if job.context else ()):
        return await _run_and_collect(job, steps, visit, shelf, hiding, watch)


async def _run_and_collect(
    job: SendJob,
    steps: Sequence[PlannedStep],
    visit: StepRunner,
    shelf: ArtifactSink,
    hiding: Redactions,
    watch: StepObserver,
) -> JobResult:
    made: dict[str, Any] = {}
    with scratch_folder(visit.scratch) if RECORDING_OPTIONS & set(job.options) else nullcontext(Path()) as folder:
        recorder = Recorder(visit.page, job.options, folder, hiding.all)
        await recorder.start()
        visited = await visit.run(steps, job.cookies, watch)
        for kind, data in await recorder.finish():
            made[kind] = await shelf.put(kind, data)
    made |= await capture_artifacts(visit.page, visit.cdp, job.options, job.pdf, shelf)
    if visit.downloads:
        made["downloads"] = tuple(
            [await _store_download(hiding.secrets(file.name), file.data, shelf) for file in visit.downloads]
        )
    if "READ_ALERTS" in job.options:
        made["messages"] = tuple(map(hiding.secrets, visit.dialogs.messages))
    told = tuple(_redact_step(step, hiding.secrets) for step in visited.steps)
    return JobResult(steps=told, extract=visited.extract, **made)


async def _store_download(name: str, data: bytes, shelf: ArtifactSink) -> Download:
    put = await shelf.put("download", data)
    if shelf.in_files:
        return Download(name=name, size=len(data), path=put)
    return Download(name=name, size=len(data), content=put)


def _redact_step(step: StepResult, hide: Redact) -> StepResult:
    if hide is _unchanged:
        return step
    return step.replace(
        url=hide(step.url),
        title=hide(step.title),
        values=_redact_value(step.values, hide),
        console=tuple(map(hide, step.console)),
        errors=tuple(map(hide, step.errors)),
    )


def _redact_value(value: Any, hide: Redact) -> Any:
    if isinstance(value, str):
        return hide(value)
    if isinstance(value, dict):
        return {hide(name): _redact_value(item, hide) for name, item in value.items()}
    return type(value)(_redact_value(item, hide) for item in value) if isinstance(value, list | tuple) else value
