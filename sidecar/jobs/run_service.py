"""One run of a browser job, started by a parent, the queue, a schedule or a task."""

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from sidecar_protocol.cvs import reference_of
from sidecar_protocol.encoding import encode
from sidecar_protocol.jobs import JobReply, JobResult, SendJob
from sidecar_protocol.wire_types import Raw

from sidecar.clock import Clock
from sidecar.errors import InvalidContent, MissingCredentials, QueueFull, ShuttingDown, SidecarError, error_detail
from sidecar.jobs.job_definition import define
from sidecar.jobs.job_redaction import add_secrets, redactor_for
from sidecar.jobs.large_jobs import is_large, off_loop
from sidecar.jobs.run_updates import NO_LISTENERS, RunListeners, RunUpdates
from sidecar.jobs.token_scope import Scope
from sidecar.recording.redaction.redactor import Redactor
from sidecar.rtcv import secrets
from sidecar.rtcv.login import LONG_TTL, LoginContext
from sidecar.rtcv.send_cv import ReferenceLocks, deliver, send_cv
from sidecar.work_log import is_logged

if TYPE_CHECKING:
    from sidecar.browser.step_observer import StepObserver
    from sidecar.browser.steps.plan import PlannedStep


class Runner(Protocol):
    """Runs browser jobs."""

    def plan(self, job: SendJob) -> "Sequence[PlannedStep]":
        """The steps, checked without a browser and without the secrets' values. Raises InvalidContent."""

    async def run(
        self, job: SendJob, secrets: Mapping[str, Any] | None, watch: "StepObserver", scope: Scope | None
    ) -> JobResult:
        """Runs one job with the values of its secrets, within the scope of its visit token.

        Raises InvalidContent, BrowserFailed, TimedOut, QueueFull, Forbidden.
        """


WillRetry = Callable[[BaseException], bool]
"""Whether a run is retried after this failure."""
SKIPPED: Final = "skipped: its reference number is cached"
STOPPED: Final = "the run was stopped before its end"
_REFUSALS: Final = (InvalidContent, MissingCredentials, QueueFull, ShuttingDown, asyncio.CancelledError)
"""Failures that keep a sync job from becoming a run, unless it has started."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRequest:
    """A job to run once, with its login and its listeners."""

    job: SendJob
    run_id: str
    """The run's reference, and the idempotency key of forwarded results; the same for further attempts."""
    login: LoginContext
    listeners: RunListeners = NO_LISTENERS
    name: str = ""
    """The run's name in updates: the schedule's or task's; the job's own if empty."""
    accepted: bool = False
    """Whether the job was accepted: then every failure is reported as a failed run."""
    will_retry: WillRetry = lambda _: False


class RunService:
    """Runs jobs: checks the token, skips what is done, fetches secrets, drives the browser, forwards, remembers."""

    def __init__(
        self,
        runner: Callable[[], Runner],
        check_token: Callable[[SendJob, float | None], Scope | None],
        reference_locks: ReferenceLocks,
        clock: Clock,
    ) -> None:
        """`check_token` returns the scope of a job's visit token at a Unix time (None: now); None if tokens are off."""
        self._runner = runner
        self._check_token = check_token
        self._reference_locks = reference_locks
        self._clock = clock

    def plan(self, job: SendJob) -> "Sequence[PlannedStep]":
        """Checks all but the token of a job that runs later; returns its steps. Raises InvalidContent."""
        return self._runner().plan(job)

    def check(self, job: SendJob, at: float | None = None) -> "Sequence[PlannedStep]":
        """Checks a job, and its token at a Unix time (None: now); returns its steps.

        Raises InvalidContent, Unauthorized and Forbidden.
        """
        self._check_token(job, at)
        return self.plan(job)

    async def check_async(self, job: SendJob) -> "Sequence[PlannedStep]":
        """As `check`, for now; other requests go on while a large job is checked."""
        self._check_token(job, None)
        return await off_loop(job, partial(self._runner().plan, job))

    async def run(self, request: RunRequest) -> JobReply:
        """Runs a job, and reports each change to its listeners.

        Raises Unauthorized and Forbidden for its token, MissingCredentials, and the failures of the run.
        """
        try:
            updates, redactor = await off_loop(request.job, partial(self._prepare_updates, request))
        except asyncio.CancelledError as cancelled:
            if request.accepted and not request.will_retry(cancelled):
                self._prepare_updates(request)[0].failed(STOPPED)
            raise
        try:
            scope = self._check_token(request.job, None)
        except SidecarError as refused:
            if request.accepted:
                updates.failed(refused.message)
            raise
        try:
            reply = await self._run_once(request, updates, redactor, scope)
        except BaseException as failure:
            will_retry = request.will_retry(failure)
            if will_retry and isinstance(failure, SidecarError) and request.job.artifacts == "files":
                await asyncio.to_thread(_remove_artifacts, failure)  # only the last attempt's error is kept
            if updates.announced or not (will_retry if request.accepted else isinstance(failure, _REFUSALS)):
                stopped = isinstance(failure, asyncio.CancelledError)
                updates.failed(STOPPED if stopped else error_detail(failure).message, will_retry=will_retry)
            raise
        if reply.status == "skipped":
            updates.skipped(SKIPPED)
        else:
            updates.succeeded()
        return reply

    def _prepare_updates(self, request: RunRequest) -> tuple[RunUpdates, Redactor | None]:
        """The updates of a run, and what takes the job's secrets out of them; None if nothing is reported."""
        listens = request.listeners.listens
        redactor = redactor_for(request.job) if listens or is_logged() else None
        redact = redactor.redact_text if redactor else _unchanged
        updates = RunUpdates(request.job, request.run_id, request.listeners, self._clock, redact, request.name)
        if listens and is_large(request.job):
            updates.prepare_definition()
        return updates, redactor

    async def _run_once(
        self, request: RunRequest, updates: RunUpdates, redactor: Redactor | None, scope: Scope | None
    ) -> JobReply:
        """Skips the job if its reference is cached, and caches it after success."""
        job, login = request.job, request.login
        if job.forward:
            login.backend  # noqa: B018  no credentials is better said before the work than after it
        if job.reference_number is None:
            return await self._execute(request, updates, redactor, scope)
        await self._reference_locks.acquire(job.reference_number)
        try:
            if await login.references.known(job.reference_number):
                return JobReply(status="skipped")
            reply = await self._execute(request, updates, redactor, scope)
            login.references.remember(job.reference_number, LONG_TTL, until_stored=request.accepted)
            return reply
        finally:
            self._reference_locks.release(job.reference_number)

    async def _execute(
        self, request: RunRequest, updates: RunUpdates, redactor: Redactor | None, scope: Scope | None
    ) -> JobReply:
        job, runner = request.job, self._runner()
        fetched = None
        if job.secrets:
            await off_loop(job, partial(runner.plan, job))  # no secrets are fetched for an invalid job
            fetched = await _fetch_secrets(request.login, job)
            if redactor:
                add_secrets(redactor, fetched)
        result = await runner.run(job, fetched, updates, scope)
        if job.forward is not False:
            await self._forward(request, result)
        return JobReply(status="success", result=result)

    async def _forward(self, request: RunRequest, result: JobResult) -> None:
        """Delivers to every server; the job fails if the primary rejects the result."""
        job = request.job
        if job.forward is not True and job.forward and job.forward.as_ == "cv":
            await self._forward_cv(request, result)
            return
        body: dict[str, Any] = {
            "jobReference": (await off_loop(job, partial(define, job))).reference,
            "runReference": request.run_id,
            "status": "success",
            "result": result,
        }
        if job.reference_number:
            body["reference_number"] = job.reference_number
        await request.login.backend.forward(encode(body), request.run_id)

    async def _forward_cv(self, request: RunRequest, result: JobResult) -> None:
        """Sends the extract as `send_cv` would; the job's reference is the default."""
        job, login, unanswered = request.job, request.login, request.accepted
        extract = dict(result.extract or {})
        if job.reference_number and not {"referenceNumber", "reference_number"} & extract.keys():
            extract["referenceNumber"] = job.reference_number
        cv = Raw(encode(extract))
        reference = reference_of(cv)
        if reference == job.reference_number:
            await deliver(login, reference, cv, until_stored=unanswered)  # the job itself holds the lock
        else:
            await send_cv(login, self._reference_locks, cv, until_stored=unanswered)


def _remove_artifacts(failure: SidecarError) -> None:
    """Removes the files that a failed attempt has left."""
    artifacts = failure.details.get("artifacts")
    for path in artifacts.values() if isinstance(artifacts, dict) else ():
        with contextlib.suppress(OSError):
            Path(path).unlink(missing_ok=True)


async def _fetch_secrets(login: LoginContext, job: SendJob) -> dict[str, Any]:
    """The values of the job's secrets by name. Raises MissingCredentials, RemoteFailed, RemoteUnreachable."""
    return {
        name: secrets.decode(await secrets.fetch(login, source.key, source.encryption_key), source.key)
        for name, source in (job.secrets or {}).items()
    }


def _unchanged(text: str) -> str:
    return text
