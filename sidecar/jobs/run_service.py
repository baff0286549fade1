"""What one run of a browser job is, whoever started it: a parent that waits, the queue, a schedule or a task."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

import msgspec
from sidecar_protocol.cvs import reference_of
from sidecar_protocol.jobs import JobReply, JobResult, SendJob

from sidecar.clock import Clock
from sidecar.errors import InvalidContent, MissingCredentials, QueueFull, ShuttingDown, SidecarError
from sidecar.jobs.job_definition import define
from sidecar.jobs.job_redaction import learn, redactor_for
from sidecar.jobs.run_updates import NO_LISTENERS, RunListeners, RunUpdates, sentence
from sidecar.recording.redaction.redactor import Redactor
from sidecar.rtcv import secrets
from sidecar.rtcv.login import LONG_TTL, LoginContext
from sidecar.rtcv.send_cv import ReferenceLocks, deliver, send_cv

if TYPE_CHECKING:
    from sidecar.browser.step_observer import Watch


class Runner(Protocol):
    """Runs browser jobs."""

    def check(self, job: SendJob) -> None:
        """Checks all that can be checked without a browser and without the secrets' values. Raises InvalidContent."""

    async def run(self, job: SendJob, secrets: Mapping[str, Any] | None, watch: "Watch") -> JobResult:
        """One job to its end, with the values of the secrets that it names.

        Raises InvalidContent, BrowserFailed, TimedOut, QueueFull.
        """


Again = Callable[[BaseException], bool]
"""Whether a run that failed like this is tried again."""
SKIPPED: Final = "its reference number is cached: there was nothing left to do"
STOPPED: Final = "the run was stopped before its end"
_REFUSALS: Final = (InvalidContent, MissingCredentials, QueueFull, ShuttingDown, asyncio.CancelledError)
"""What keeps a job that a parent waits for from becoming a run, where it has not become one yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRequest:
    """A job to be run once, and what is said of the run."""

    job: SendJob
    run_id: str
    """The run's reference, and the idempotency key of what it forwards; the same for further attempts."""
    parts: LoginContext
    audience: RunListeners = NO_LISTENERS
    name: str = ""
    """What updates call it: the schedule's or task's name; the job's own where empty."""
    accepted: bool = False
    """Whether somebody was told that it will be run: then every failure is a run's failure, and no refusal."""
    again: Again = lambda _: False


class RunService:
    """Runs jobs: checks the token, skips what is done, fetches secrets, drives the browser, forwards, remembers."""

    def __init__(
        self,
        runner: Callable[[], Runner],
        check_token: Callable[[SendJob], object],
        in_progress: ReferenceLocks,
        clock: Clock,
    ) -> None:
        self._runner = runner
        self._check_token = check_token
        self._in_progress = in_progress
        self._clock = clock

    def check(self, job: SendJob) -> None:
        """Checks all that can be checked before a run. Raises InvalidContent, Unauthorized and Forbidden."""
        self._check_token(job)
        self._runner().check(job)

    async def run(self, order: RunRequest) -> JobReply:
        """One run from start to end; its audience is told of each change.

        Raises Unauthorized and Forbidden for its token, MissingCredentials, and whatever ends a run early.
        """
        listens = order.audience.listens
        redactor = redactor_for(order.job) if listens else None
        hide = redactor.text if redactor else _as_it_is
        updates = RunUpdates(order.job, order.run_id, order.audience, self._clock, hide, order.name)
        try:
            self._check_token(order.job)
        except SidecarError as refused:
            if order.accepted:
                updates.failed(refused.message)
            raise
        try:
            reply = await self._once(order, updates, redactor)
        except BaseException as failure:
            again = order.again(failure)
            if updates.begun or not (again if order.accepted else isinstance(failure, _REFUSALS)):
                stopped = isinstance(failure, asyncio.CancelledError)
                updates.failed(STOPPED if stopped else sentence(failure), again=again)
            raise
        if reply.status == "skipped":
            updates.skipped(SKIPPED)
        else:
            updates.succeeded()
        return reply

    async def _once(self, order: RunRequest, updates: RunUpdates, redactor: Redactor | None) -> JobReply:
        """Does nothing where the job's reference is remembered, and remembers it after success."""
        job, parts = order.job, order.parts
        if job.forward:
            parts.backend  # noqa: B018  no credentials is better said before the work than after it
        if job.reference_number is None:
            return await self._run(order, updates, redactor)
        await self._in_progress.enter(job.reference_number)
        try:
            if await parts.references.known(job.reference_number):
                return JobReply(status="skipped")
            reply = await self._run(order, updates, redactor)
            parts.references.remember(job.reference_number, LONG_TTL)
            return reply
        finally:
            self._in_progress.leave(job.reference_number)

    async def _run(self, order: RunRequest, updates: RunUpdates, redactor: Redactor | None) -> JobReply:
        job, runner = order.job, self._runner()
        fetched = None
        if job.secrets:
            runner.check(job)  # nothing is fetched for a job that can't be run
            fetched = await _fetch(order.parts, job)
            if redactor:
                learn(redactor, fetched)
        result = await runner.run(job, fetched, updates)
        if job.forward is not False:
            await self._forward(order, result)
        return JobReply(status="success", result=result)

    async def _forward(self, order: RunRequest, result: JobResult) -> None:
        """Delivers to every server; the primary's refusal is the job's failure."""
        job = order.job
        if job.forward is not True and job.forward and job.forward.as_ == "cv":
            await self._forward_cv(job, order.parts, result)
            return
        body: dict[str, Any] = {
            "jobReference": define(job).reference,
            "runReference": order.run_id,
            "status": "success",
            "result": result,
        }
        if job.reference_number:
            body["reference_number"] = job.reference_number
        await order.parts.backend.forward(msgspec.json.encode(body), order.run_id)

    async def _forward_cv(self, job: SendJob, parts: LoginContext, result: JobResult) -> None:
        """Sends the extract as `send_cv` would, with the job's reference where it has none of its own."""
        extract = dict(result.extract or {})
        if job.reference_number and not {"referenceNumber", "reference_number"} & extract.keys():
            extract["referenceNumber"] = job.reference_number
        cv = msgspec.Raw(msgspec.json.encode(extract))
        reference = reference_of(cv)
        if reference == job.reference_number:
            await deliver(parts, reference, cv)  # the job itself is the one in progress
        else:
            await send_cv(parts, self._in_progress, cv)


async def _fetch(parts: LoginContext, job: SendJob) -> dict[str, Any]:
    """Name -> value of each secret that the job names. Raises MissingCredentials, RemoteFailed, RemoteUnreachable."""
    return {
        name: secrets.decode(await secrets.fetch(parts, source.key, source.encryption_key), source.key)
        for name, source in (job.secrets or {}).items()
    }


def _as_it_is(text: str) -> str:
    return text
