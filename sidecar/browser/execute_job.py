"""Executes one job on its page: runs the steps, then captures the artifacts."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from sidecar_protocol.jobs import Download, JobResult, SendJob, StepResult

from sidecar.browser.artifacts.capture import ArtifactSink, WriteArtifact, capture_artifacts, scratch_folder
from sidecar.browser.artifacts.recordings import RECORDING_OPTIONS, Recorder, with_bodies
from sidecar.browser.crash_guard import cancel_or_abandon
from sidecar.browser.failure_evidence import Evidence, collect, failure_options
from sidecar.browser.job_network import JobNetwork
from sidecar.browser.playwright_errors import timeout_advice
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
    """Redacts texts that leave the job."""

    secrets: Redact = _unchanged
    """Removes the job's `secrets`, from results of steps, alerts and errors."""
    all: Redact = _unchanged
    """Redaction that also removes cookies, passwords and typed text; for recordings and truncated texts."""
    values: Mapping[str, Any] = field(default_factory=dict)
    """The values of the job's `secrets`, for JavaScript actions."""


async def execute_job(
    job: SendJob,
    steps: Sequence[PlannedStep],
    write_artifact: WriteArtifact | None,
    clock: Clock,
    redactions: Redactions,
    sandboxes: SandboxPool,
    scratch: Scratch,
    job_page: JobPage,
    observer: StepObserver = NO_OBSERVER,
    use: ProfileUse | None = None,
    allows: AllowsUrl | None = None,
    network: JobNetwork | None = None,
    evidence: Evidence | None = None,
) -> JobResult:
    """Runs one job on its page, for at most its `timeout_ms`. A failure fills `evidence`.

    `write_artifact` writes a file; None keeps all inline. `allows` decides which addresses its pages
    may open; None allows all. If the page belongs to a profile, `use` gets the changes that the job has made.

    Raises BrowserCrashed, BrowserUnavailable, NavigationFailed, ActionFailed, Forbidden, LimitExceeded, TimedOut,
    StoreFailed.
    """
    strip = network.filmstrip(job_page, redactions.all, job.options) if network else None
    sink = ArtifactSink(write_artifact)
    runner = StepRunner(job_page, clock, sandboxes, redactions.values, scratch, redactions.all, allows, strip)
    if use:
        runner.storage_observer = use.storage_observer
    evidence = evidence or Evidence()
    evidence.runner = runner
    work = partial(_run_in_context, job, steps, runner, sink, redactions, observer, network, evidence)
    if allows:
        work = partial(run_guarded, allows, job_page, work)
    observer.on_started()
    try:
        return await _with_timeout(runner, job.timeout_ms, work())
    except BaseException as failure:
        await sink.clear()
        await collect(evidence, failure, job, runner, ArtifactSink(write_artifact), redactions.all)
        raise
    finally:
        await runner.close()
        if use and runner.changed_context:
            use.discard_context = True


async def _with_timeout(runner: StepRunner, milliseconds: int, work: Coroutine[Any, Any, JobResult]) -> JobResult:
    """The outcome of a job within its time limit. Raises TimedOut with the position in the job."""
    task = asyncio.create_task(work)
    try:
        await asyncio.wait((task,), timeout=milliseconds / 1000)
        if task.done():
            return task.result()
        where = f" at {runner.step}" if runner.step else ""
        said = f"the job took longer than {milliseconds} ms{where}"
        late = TimedOut(said, step=runner.step, action=runner.action, hint=timeout_advice(milliseconds))
        await runner.show_failure(late)
    finally:
        await cancel_or_abandon(task)
    raise late


async def _run_in_context(
    job: SendJob,
    steps: Sequence[PlannedStep],
    runner: StepRunner,
    sink: ArtifactSink,
    redactions: Redactions,
    observer: StepObserver,
    network: JobNetwork | None,
    evidence: Evidence,
) -> JobResult:
    if "READ_ALERTS" in job.options:
        runner.dialogs.listen()
    if network:
        await network.prepare(runner.page.context)
    async with block_resources(runner.page.context, (job.context.block or ()) if job.context else ()):
        return await _run_and_collect(job, steps, runner, sink, redactions, observer, network, evidence)


def _with_downloads(on_har: Callable[[bytes], None], runner: StepRunner) -> Callable[[bytes], None]:
    """Takes a HAR, and adds the files that were downloaded."""

    def take(har: bytes) -> None:
        files = {file.url: file.data for file in runner.downloads}
        on_har(with_bodies(har, files) if files else har)

    return take


async def _run_and_collect(
    job: SendJob,
    steps: Sequence[PlannedStep],
    runner: StepRunner,
    sink: ArtifactSink,
    redactions: Redactions,
    observer: StepObserver,
    network: JobNetwork | None,
    evidence: Evidence,
) -> JobResult:
    on_har = _with_downloads(network.on_har, runner) if network and network.on_har else None
    artifacts: dict[str, Any] = {}
    traces = "TRACE" in failure_options(job)
    records = on_har or traces or RECORDING_OPTIONS & set(job.options)
    with scratch_folder(runner.scratch) if records else nullcontext(Path()) as folder:
        recorder = Recorder(runner.page, job.options, folder, redactions.all, on_har, trace_failure=traces)
        await recorder.start()
        try:
            outcome = await runner.run(steps, job.cookies, observer)
            await _learn_secrets(runner, network)
        except BaseException:
            await _learn_secrets(runner, network)
            await recorder.abandon()
            evidence.trace = recorder.failure_trace
            if runner.filmstrip:
                await runner.filmstrip.finish()
            raise
        for kind, data in await recorder.finish():
            artifacts[kind] = await sink.put(kind, data)
        film, runner.filmstrip = runner.filmstrip, None
        if film and job.options:
            await film.finish()  # while a picture is taken, secrets are covered, which captures would show
        artifacts |= await _capture(job, runner, sink, redactions)
        redacted = tuple(_redact_step(step, redactions.secrets) for step in outcome.steps)
        result = JobResult(steps=redacted, extract=outcome.extract, **artifacts)
        if network and network.on_result:
            network.on_result(result)
        await recorder.hand_over()
        if film:  # last: a session that ends waits for both together, and can do without a picture
            await film.finish(late=bool(network and network.on_result))
    return result


async def _capture(job: SendJob, runner: StepRunner, sink: ArtifactSink, redactions: Redactions) -> dict[str, Any]:
    artifacts: dict[str, Any] = await capture_artifacts(runner.page, runner.cdp, job.options, job.pdf, sink)
    if runner.downloads:
        artifacts["downloads"] = tuple(
            [await _store_download(redactions.secrets(file.name), file.data, sink) for file in runner.downloads]
        )
    if "READ_ALERTS" in job.options:
        artifacts["messages"] = tuple(map(redactions.secrets, runner.dialogs.messages))
    return artifacts


async def _learn_secrets(runner: StepRunner, network: JobNetwork | None) -> None:
    """Makes secrets that the job has extracted known to what records it, before that records their pages."""
    if network and network.extracted(runner.extract_so_far) and runner.filmstrip:
        await runner.filmstrip.forget_pictures()


async def _store_download(name: str, data: bytes, sink: ArtifactSink) -> Download:
    put = await sink.put("download", data)
    if sink.writes_files:
        return Download(name=name, size=len(data), path=put)
    return Download(name=name, size=len(data), content=put)


def _redact_step(step: StepResult, redact: Redact) -> StepResult:
    if redact is _unchanged:
        return step
    return step.replace(
        url=redact(step.url),
        title=redact(step.title),
        values=_redact_value(step.values, redact),
        console=tuple(map(redact, step.console)),
        errors=tuple(map(redact, step.errors)),
    )


def _redact_value(value: Any, redact: Redact) -> Any:
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, dict):
        return {redact(name): _redact_value(item, redact) for name, item in value.items()}
    return type(value)(_redact_value(item, redact) for item in value) if isinstance(value, list | tuple) else value
