"""One run of a browser job: validation, a page of the pool, execution."""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any, Final

from sidecar_protocol.jobs import JobResult, SendJob

from sidecar.browser.artifacts.capture import ArtifactKind, WriteArtifact, write_file
from sidecar.browser.background_tasks import BackgroundTasks
from sidecar.browser.execute_job import Redactions, execute_job
from sidecar.browser.failure_evidence import Evidence, failure_options
from sidecar.browser.job_network import JobNetwork
from sidecar.browser.pool import BrowserPool
from sidecar.browser.processes.job_page import JobPage
from sidecar.browser.profiles.context_cache import ProfileUse, Work
from sidecar.browser.profiles.profile_store import MemoryProfileStore, Profile, ProfileStore
from sidecar.browser.sandbox.sandbox_pool import SandboxPool
from sidecar.browser.scope_proxy import NO_WEBRTC, ScopeProxy, unload_pages
from sidecar.browser.step_observer import NO_OBSERVER, StepObserver
from sidecar.browser.steps.actions import BoundAction
from sidecar.browser.steps.context_options import context_arguments, context_errors
from sidecar.browser.steps.cookies import cookie_errors
from sidecar.browser.steps.plan import PlannedStep, leaves_page_reusable, observes_from_start, plan_steps, reads_history
from sidecar.browser.steps.secret_templates import SecretTemplates
from sidecar.clock import Clock
from sidecar.errors import ErrorCollector, Forbidden, InvalidContent, SidecarError, StoreFailed
from sidecar.jobs.job_redaction import add_secrets, redactor_for
from sidecar.jobs.large_jobs import is_large, off_loop
from sidecar.jobs.token_scope import Scope, is_public_suffix, registrable_domain
from sidecar.recording.redaction.redactor import Redactor
from sidecar.templates import MAX_FILLED_BYTES, TextBudget
from sidecar.truncation import SANDBOX_MAX, truncate

log = logging.getLogger(__name__)

MAX_MESSAGE_CHARS: Final = 1_000
"""Characters of a sentence that says why a job failed, and of each place that it names."""
_RECORDING_SECONDS: Final = 5.0
"""Seconds for recordings of jobs at the end of a session."""
Secrets = Mapping[str, Any]
"""Name -> the secret, decoded from JSON."""


def validate(
    job: SendJob, secrets: Secrets | None = None, *, files: bool = False, max_bytes: int = MAX_FILLED_BYTES
) -> tuple[PlannedStep, ...]:
    """Checks all that can be checked without a browser; gives the steps ready to run.

    Raises InvalidContent, and LimitExceeded where secrets that are filled in make more than `max_bytes` bytes of text.

    Without the values of the job's secrets the names alone are checked, and the steps are not ready. `files` says
    whether `file:` addresses may be opened: a setting, which the runner knows.
    """
    errors = ErrorCollector()
    if "PDF" in job.options and job.browser != "CHROMIUM":
        errors.add(InvalidContent("options: PDF needs the browser CHROMIUM", "options"))
    for error in context_errors(job.context, job.browser) if job.context else ():
        errors.add(error)
    for error in cookie_errors(job.cookies, is_public_suffix):
        errors.add(error)
    templates = SecretTemplates(job.secrets or {}, secrets if job.secrets else {}, TextBudget(max_bytes))
    return plan_steps(job.steps, templates, fail_on_status=job.fail_on_status, files=files, errors=errors)


class BrowserJobRunner:
    """Runs jobs on the pool's browsers."""

    def __init__(
        self,
        pool: BrowserPool,
        artifacts_folder: Callable[[], Path],
        clock: Clock,
        states: Callable[[], ProfileStore] | None = None,
        *,
        allow_files: bool = False,
        max_filled_bytes: int = MAX_FILLED_BYTES,
        network_of: Callable[[SendJob], JobNetwork | None] = lambda _: None,
    ) -> None:
        """`states` returns the store of profiles. `allow_files` lets steps open `file:` addresses.

        `max_filled_bytes` bounds the text that a job's actions become with their secrets. `network_of` says where a
        job's pages get their network from; it may raise NotRecorded.
        """
        self._allow_files = allow_files
        self._max_filled_bytes = max_filled_bytes
        self._pool = pool
        self._network_of = network_of
        self._artifacts_folder = artifacts_folder
        self._clock = clock
        self._recordings = BackgroundTasks()
        in_memory = MemoryProfileStore()
        self._states = states or (lambda: in_memory)

    @property
    def sandboxes(self) -> SandboxPool:
        """The sandboxes in which scripts run."""
        return self._pool.sandbox_pool

    def plan(self, job: SendJob) -> tuple[PlannedStep, ...]:
        """The steps, checked as far as they can be without the values of secrets. Raises InvalidContent."""
        return validate(job, files=self._allow_files)

    async def run(
        self,
        job: SendJob,
        secrets: Secrets | None = None,
        observer: StepObserver = NO_OBSERVER,
        scope: Scope | None = None,
    ) -> JobResult:
        """Runs one job, in at most its `timeout_ms` once it has a place.

        `secrets` are the values of those that the job names; `scope` is what its visit token opens, None for all.
        Raises InvalidContent, QueueFull, BrowserUnavailable, BrowserCrashed, NavigationFailed, ActionFailed,
        LimitExceeded, TimedOut, StoreFailed, ShuttingDown, and Forbidden for a page outside the scope.
        """
        check = partial(validate, job, secrets or {}, files=self._allow_files, max_bytes=self._max_filled_bytes)
        steps = await off_loop(job, check)
        if "RECORD" in job.options:
            self._pool.prepare_recording()
        redactions = _redactions(job, steps, secrets or {})
        if is_large(job):
            await asyncio.to_thread(redactions.all, "")  # later uses find its search made
        use = self._profile_use(job, steps, scope)
        write = self._artifact_writer(job)
        network = self._network_of(job)
        if write and network:
            write = _noted(write, network)
        parts = (write, self._clock, redactions, self._pool.sandbox_pool, self._pool.scratch)
        if use and network:
            use.discard_context = True
        allows = scope.allows if scope else None
        evidence = Evidence()
        ways = partial(execute_job, observer=observer, use=use, allows=allows, network=network, evidence=evidence)
        work = partial(ways, job, steps, *parts)
        try:
            return await self._run_on_page(job, work, _context_arguments(job, steps, network), use, scope, network)
        except SidecarError as error:
            _redact_error(error, redactions)
            evidence.attach(error, redactions.all)
            if not network:
                raise
            await asyncio.to_thread(network.ended, error)
            raise network.explain(error) from None

    async def _run_recorded(self, running: Coroutine[Any, Any, JobResult], network: JobNetwork) -> JobResult:
        """The job's result; it does not wait for what is recorded of the job, which goes on in the background."""
        result: asyncio.Future[JobResult] = asyncio.get_running_loop().create_future()
        network.on_result = result.set_result
        job = asyncio.ensure_future(running)
        try:
            await asyncio.wait((job, result), return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            job.cancel()
            await asyncio.wait((job,))
            raise
        if not result.done():
            return await job  # which has failed
        self._recordings.start(_end_recording(job, network))
        return result.result()

    async def close(self) -> None:
        """Waits, for a limited time, for what is still recorded of jobs that have ended."""
        await self._recordings.wait(_RECORDING_SECONDS)

    async def _run_on_page(
        self,
        job: SendJob,
        work: Work[JobResult],
        arguments: dict[str, Any],
        use: ProfileUse | None,
        scope: Scope | None,
        network: JobNetwork | None,
    ) -> JobResult:
        if scope and scope.strict_resources and not (network and network.is_offline):
            running = self._run_behind_gateway(job, work, arguments, use, scope)
        else:  # also in a replay, where nothing is reached, and what the scope has refused was recorded
            running = self._pool.run(job.browser, work, arguments, use)
        if network is None:
            return await running
        if network.on_har and use is None and scope is None:  # otherwise the job's end may still fail
            return await self._run_recorded(running, network)
        result = await running
        await asyncio.to_thread(network.ended, None)
        return result

    async def _run_behind_gateway(
        self, job: SendJob, work: Work[JobResult], arguments: dict[str, Any], use: ProfileUse | None, scope: Scope
    ) -> JobResult:
        """Limits the resources of the job's pages to the scope, too."""
        if self._pool.is_remote:
            message = "token: strict_resources can't be kept in a browser on another machine (SIDECAR_BROWSER_ENDPOINT)"
            raise Forbidden(message, field="token")

        async def gated(page: JobPage) -> JobResult:
            await page.context.add_init_script(NO_WEBRTC)
            try:
                return await work(page)
            finally:
                if job.browser == "FIREFOX":
                    await unload_pages(page.context)

        async with ScopeProxy(scope.allows_server) as gateway:
            return await self._pool.run(job.browser, gated, {**arguments, "proxy": {"server": gateway.address}}, use)

    def _profile_use(self, job: SendJob, steps: Sequence[PlannedStep], scope: Scope | None) -> ProfileUse | None:
        if job.profile is None:
            return None
        # what one token's jobs have gathered is not shown to another's
        profile = Profile(job.profile, job.browser, (registrable_domain(scope.url) or "") if scope else "")
        return ProfileUse(
            profile,
            self._states(),
            keeps_page=scope is None and leaves_page_reusable(job, steps),
            needs_blank_page=observes_from_start(job, steps),
            needs_fresh_page=reads_history(steps),
            discard_context=not {"HAR", "TRACE"}.isdisjoint((*job.options, *failure_options(job))),
        )

    def _artifact_writer(self, job: SendJob) -> WriteArtifact | None:
        if job.artifacts != "files":
            return None
        try:
            return partial(write_file, self._artifacts_folder())
        except OSError as error:
            message = f"the folder for artifacts can't be used: {error.strerror}"
            raise StoreFailed(message, retryable=False) from None


def _noted(write: WriteArtifact, network: JobNetwork) -> WriteArtifact:
    """A writer whose files the network of a job knows."""

    def write_and_note(kind: ArtifactKind, data: bytes) -> Path:
        path = write(kind, data)
        network.artifact_written(kind, path)
        return path

    return write_and_note


async def _end_recording(job: asyncio.Future[JobResult], network: JobNetwork) -> None:
    await asyncio.wait((job,))
    if job.cancelled() or (failure := job.exception()):
        reason = "cancelled" if job.cancelled() else type(failure).__name__
        log.warning("the recording of a job lacks what its pages have loaded: %s", reason)
    await asyncio.to_thread(network.ended, None)


def _context_arguments(job: SendJob, steps: Sequence[PlannedStep], network: JobNetwork | None) -> dict[str, Any]:
    downloads = any(isinstance(a, BoundAction) and a.method == "download" for step in steps for a in step.actions)
    arguments = context_arguments(job.context, downloads=downloads)
    return {**arguments, **(network.context_arguments if network else {})}


def _redactions(job: SendJob, steps: Sequence[PlannedStep], secrets: Secrets) -> Redactions:
    @cache  # made where something is recorded or cut, which is seldom
    def full_redactor() -> Redactor:
        redactor = redactor_for(job, secrets)
        for action in (action for step in steps for action in step.actions):
            if isinstance(action, BoundAction):
                redactor.add_secret(action.secret_text or "")
        return redactor

    def redact(text: str) -> str:
        return full_redactor().redact_text(text)

    if not secrets:
        return Redactions(all=redact)
    secrets_redactor = Redactor()
    add_secrets(secrets_redactor, secrets)
    return Redactions(secrets_redactor.redact_text, redact, secrets)


def _redact_error(error: SidecarError, redactions: Redactions) -> None:
    def redact(text: str) -> str:
        short = len(text) <= MAX_MESSAGE_CHARS
        return (
            redactions.secrets(text) if short else truncate(text, MAX_MESSAGE_CHARS, redactions.all, whole=SANDBOX_MAX)
        )

    error.message = redact(error.message)
    error.args = (error.message,)
    error.details = {name: redact(value) if isinstance(value, str) else value for name, value in error.details.items()}
