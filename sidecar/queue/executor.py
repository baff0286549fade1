"""One attempt at a job: from what is stored to what came of it, with signs of life in between."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any, Final, NoReturn

import msgspec
from saq.job import Job, Status
from sidecar_protocol.base import encode_hook
from sidecar_protocol.errors import ErrorCode, ErrorDetail, WireError

from sidecar.clock import within
from sidecar.encryption import Encryptor
from sidecar.errors import DecryptionKeyMissing, ShuttingDown, StoreFailed, TimedOut
from sidecar.queue.backend import QueueBackend
from sidecar.queue.embedded_worker import EmbeddedWorker
from sidecar.queue.job_completion import CompletingQueue
from sidecar.queue.job_meta import UNREADABLE, JobMeta, given_up, meta_of, put_meta
from sidecar.queue.submission import JobRun, decrypt_content

log = logging.getLogger(__name__)

Perform = Callable[[JobRun], Awaitable[bytes]]
"""Does what a run asks for and gives the content of the reply as JSON; what it raises is the run's failure."""

BEAT: Final = 10.0
"""Seconds between two signs of life."""
PROGRESS_EVERY: Final = 1.0
"""Seconds between two notes of progress in the store."""
FIRST_PAUSE: Final = 2.0
LONGEST_PAUSE: Final = 300.0
"""Seconds before the first further attempt, doubled each time, up to this."""
FIRST_WAIT: Final = 1.0
LONGEST_WAIT: Final = 60.0
"""Seconds before a job asks again for a browser that can't start just now, doubled each time, up to this."""
MOST_WAITS: Final = 65
"""How often it asks: for about an hour."""
_OF_ENDS: Final = (ErrorCode.SHUTTING_DOWN, ErrorCode.BROWSER_CRASHED, ErrorCode.BROWSER_UNAVAILABLE)
"""What a process's end looks like to its jobs: a signal for the whole group or container ends the browser, too."""


class _Told(msgspec.Struct, frozen=True):
    event: str
    content: msgspec.Raw


class _Again(Exception):
    """Has SAQ try again."""


class _Failed(Exception):
    """Has SAQ note a failure."""


class _Heartbeat:
    """What a running job shows of itself."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.progress = 0.0
        self.moved = asyncio.Event()

    def move(self, progress: float) -> None:
        """Notes how much is done."""
        progress = min(max(progress, 0.0), 1.0)
        if progress != self.progress:
            self.progress = progress
            self.moved.set()


class JobExecutor:
    """Runs what SAQ's workers take out of the queue."""

    def __init__(
        self,
        backend: QueueBackend,
        encryptor: Encryptor,
        jitter: Callable[[], float],
        on_event: Callable[[str, Any], None],
    ) -> None:
        self.perform: Perform | None = None
        self._backend = backend
        self._encryptor = encryptor
        self._jitter = jitter
        self._on_event = on_event
        self._signs: dict[str, _Heartbeat] = {}

    def progress(self, job_id: str) -> float | None:
        """How far a job is that runs here; None where it does not."""
        sign = self._signs.get(job_id)
        return sign.progress if sign else None

    def on_told(self, line: bytes) -> None:
        """Takes an event that another process has sent for our parent."""
        told = msgspec.json.decode(line, type=_Told)
        self._on_event(told.event, told.content)

    async def run(self, context: Any, **stored: Any) -> None:
        """What SAQ calls for each job.

        What comes of it is staged in the turn of the loop in which the run has told its webhooks and servers of it, so
        that all of it is one transaction.
        """
        job: Job = context["job"]
        queue: CompletingQueue = job.get_queue()  # type: ignore[assignment]  # all of ours are
        try:
            body = await self._outcome(context, job, stored)
        except _Again as again:
            await queue.settle(job, Status.QUEUED, str(again))
            raise
        except _Failed as failed:
            await queue.settle(job, Status.FAILED, str(failed))
            raise
        await self._backend.keep_result(job.key, body, job.ttl)
        job.kwargs = {}  # done: what it was made of need not be kept, secrets least of all
        await queue.settle(job, Status.COMPLETE)

    async def _outcome(self, context: Any, job: Job, stored: dict[str, Any]) -> bytes:
        """An attempt's result. Its failure is noted, and raised as what becomes of the job."""
        meta = meta_of(job)
        if meta.type == UNREADABLE and meta.error:
            self._fail(job, meta, meta.error)
        if job.attempts >= job.retries:  # the last that SAQ allows is ours, to say what became of it
            self._fail(job, meta, given_up(job.attempts - 1))
        try:
            return await self._attempt(context, job, meta, stored)
        except asyncio.CancelledError:
            _put_back(context["worker"], job)
            raise
        except WireError as failure:
            if _is_cut_short(context["worker"], job, failure):
                _put_back(context["worker"], job)
                raise _Again(failure.message) from None
            self._fail(job, meta, failure.detail)
        except Exception:
            log.exception("a job failed in a way that it should not")
            said = "internal error; the log of the sidecar that ran it says more"
            self._fail(job, meta, ErrorDetail(code=ErrorCode.INTERNAL, message=said, retryable=False))

    async def give_up_sealed(self, job: Job) -> None:
        """Ends a job that nobody can open any more."""
        meta = meta_of(job)
        meta.error = DecryptionKeyMissing().detail
        put_meta(job, meta)
        job.kwargs = {}
        await job.get_queue().finish(job, Status.FAILED, error=meta.error.message)

    async def _attempt(self, context: Any, job: Job, meta: JobMeta, stored: dict[str, Any]) -> bytes:
        assert self.perform is not None  # noqa: S101  no worker begins without
        async with self._alive(job) as sign:
            run = JobRun(
                id=job.key,
                type=meta.type,
                content=decrypt_content(self._encryptor, stored),
                attempt=job.attempts,
                name=meta.name,
                origin=meta.origin,
                account_id=meta.scope,
                webhooks=meta.webhooks,
                progress=sign.move,
                emit=partial(self._tell, meta.submitter) if meta.submitter else None,
                will_retry=partial(_again, context, job, meta),
            )
            try:
                async with within(meta.timeout) as limit:
                    return await self.perform(run)
            except TimeoutError:
                if limit.expired():
                    raise TimedOut(f"the job took longer than {meta.timeout:g} s") from None
                raise

    def _fail(self, job: Job, meta: JobMeta, failure: ErrorDetail) -> NoReturn:
        """Raises what makes SAQ do the right thing."""
        meta.error = failure
        if _waits(meta, failure.code, retryable=failure.retryable):  # as `_again` foretells, for both ways to go on
            self._wait(job, meta, failure)
        meta.failures += 1
        put_meta(job, meta)
        if failure.retryable and meta.failures <= meta.retries:
            job.retry_delay = self._pause(FIRST_PAUSE, LONGEST_PAUSE, meta.failures)
            raise _Again(failure.message) from None
        job.retries = 0
        job.kwargs = {}
        raise _Failed(failure.message) from None

    def _wait(self, job: Job, meta: JobMeta, failure: ErrorDetail) -> NoReturn:
        """Has a job ask later for the browser that can't start just now; this attempt does not count."""
        log.warning("job %s waits for a browser: %s", job.key, failure.message)
        meta.waits += 1
        put_meta(job, meta)
        job.retries += 1
        job.retry_delay = self._pause(FIRST_WAIT, LONGEST_WAIT, meta.waits)
        raise _Again(failure.message) from None

    def _pause(self, first: float, longest: float, number: int) -> float:
        """Seconds before the next attempt, after so many: they double, and differ from job to job."""
        return min(longest, first * 2.0 ** (number - 1)) * (0.5 + self._jitter() / 2)

    def _tell(self, submitter: str, event: str, content: Any) -> None:
        if submitter == self._backend.process:
            self._on_event(event, content)
        else:
            line = msgspec.json.encode({"event": event, "content": content}, enc_hook=encode_hook)
            sending = asyncio.ensure_future(self._backend.tell(submitter, line))
            sending.add_done_callback(_ignore_failure)

    @asynccontextmanager
    async def _alive(self, job: Job) -> AsyncIterator[_Heartbeat]:
        sign = self._signs[job.key] = _Heartbeat(job)
        beating = asyncio.create_task(self._beat(sign))
        try:
            yield sign
        finally:
            if self._signs.get(job.key) is sign:
                del self._signs[job.key]
            beating.cancel()  # what it has said already is written before the job's end, which is said after it

    async def _beat(self, sign: _Heartbeat) -> None:
        while self._signs.get(sign.job.key) is sign:  # also where Redis' client has lost the cancellation
            with suppress(TimeoutError):
                async with within(BEAT):
                    await sign.moved.wait()
            sign.moved.clear()
            sign.job.progress = sign.progress
            with suppress(StoreFailed):  # the lease is long enough to miss one
                await sign.job.update()
            await asyncio.sleep(PROGRESS_EVERY)


def _again(context: Any, job: Job, meta: JobMeta, failure: BaseException) -> bool:
    if _is_cut_short(context["worker"], job, failure):
        return True
    if not isinstance(failure, WireError):
        return False
    waits = _waits(meta, failure.code, retryable=failure.retryable)
    return waits or (failure.retryable and meta.failures < meta.retries)


def _waits(meta: JobMeta, code: ErrorCode, *, retryable: bool) -> bool:
    """Whether a job that failed like this waits until its browser can start: it was accepted, so it is not lost."""
    return code == ErrorCode.BROWSER_UNAVAILABLE and retryable and meta.waits < MOST_WAITS


def _is_cut_short(worker: EmbeddedWorker, job: Job, failure: BaseException) -> bool:
    """Whether an attempt failed because this process ends: then the job is as good as not begun."""
    if not worker.interrupts(job):
        return False  # somebody has cancelled it
    if isinstance(failure, asyncio.CancelledError | ShuttingDown):
        return True
    return worker.ends and isinstance(failure, WireError) and failure.code in _OF_ENDS


def _put_back(worker: EmbeddedWorker, job: Job) -> None:
    if worker.interrupts(job):
        job.retries += 1  # it was no fault of the job's
        job.retry_delay = 0 if worker.ends else FIRST_PAUSE
    else:
        job.kwargs = {}


def _ignore_failure(done: asyncio.Future[None]) -> None:
    if not done.cancelled() and done.exception():
        log.warning("an event for another sidecar was lost: %s", done.exception())
