"""Executes one attempt at a job, from the stored submission to the stored outcome, with heartbeats in between."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any, Final, NoReturn

from saq.job import Job, Status
from sidecar_protocol.decoding import decode_stored
from sidecar_protocol.encoding import encode
from sidecar_protocol.errors import ErrorCode, ErrorDetail, WireError
from sidecar_protocol.models import Model
from sidecar_protocol.wire_types import Raw

from sidecar.clock import within
from sidecar.encryption import Encryptor
from sidecar.errors import DecryptionKeyMissing, ShuttingDown, StoreFailed, TimedOut, error_detail
from sidecar.queue.backend import QueueBackend
from sidecar.queue.embedded_worker import SaqWorker
from sidecar.queue.job_completion import CompletingQueue
from sidecar.queue.job_meta import UNREADABLE, JobMeta, attempts_exhausted, get_meta, set_meta
from sidecar.queue.submission import JobRun, decrypt_content

log = logging.getLogger(__name__)

JobHandler = Callable[[JobRun], Awaitable[bytes]]
"""Runs a job and returns the reply's content as JSON; what it raises is the job's failure."""

HEARTBEAT_SECONDS: Final = 10.0
"""Seconds between two heartbeats."""
PROGRESS_SECONDS: Final = 1.0
"""The shortest time in seconds between two updates of a job's progress."""
FIRST_RETRY_DELAY: Final = 2.0
MAX_RETRY_DELAY: Final = 300.0
"""Seconds before the first retry, doubled for each further one up to the maximum."""
FIRST_BROWSER_DELAY: Final = 1.0
MAX_BROWSER_DELAY: Final = 60.0
"""Seconds before the first retry of a job whose browser can't start, doubled up to the maximum."""
MAX_BROWSER_RETRIES: Final = 65
"""Retries of a job whose browser can't start, for about an hour."""
_SHUTDOWN_CODES: Final = (ErrorCode.SHUTTING_DOWN, ErrorCode.BROWSER_CRASHED, ErrorCode.BROWSER_UNAVAILABLE)
"""Errors of jobs while their process stops: a signal to the whole group or container kills the browser as well."""


class _PublishedEvent(Model):
    raw_parts = (("content",),)

    event: str
    content: Raw


class _Retry(Exception):
    """Makes SAQ retry the job."""


class _Failed(Exception):
    """Makes SAQ mark the job as failed."""


class _Heartbeat:
    """The progress of a running job."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.progress = 0.0
        self.changed = asyncio.Event()

    def set_progress(self, progress: float) -> None:
        """Sets the progress, from 0 to 1."""
        progress = min(max(progress, 0.0), 1.0)
        if progress != self.progress:
            self.progress = progress
            self.changed.set()


class JobExecutor:
    """Executes the jobs that SAQ's workers dequeue."""

    def __init__(
        self,
        backend: QueueBackend,
        encryptor: Encryptor,
        jitter: Callable[[], float],
        on_event: Callable[[str, Any], None],
    ) -> None:
        self.handler: JobHandler | None = None
        self._backend = backend
        self._encryptor = encryptor
        self._jitter = jitter
        self._on_event = on_event
        self._heartbeats: dict[str, _Heartbeat] = {}

    def progress(self, job_id: str) -> float | None:
        """Returns the progress of a job that runs in this process, else None."""
        heartbeat = self._heartbeats.get(job_id)
        return heartbeat.progress if heartbeat else None

    def on_message(self, message: bytes) -> None:
        """Emits an event that another process has published for this process's parent."""
        published = decode_stored(_PublishedEvent, message)
        self._on_event(published.event, published.content)

    async def run(self, context: Any, **stored: Any) -> None:
        """Executes a job; SAQ calls it.

        The outcome is staged in the same loop iteration as the run's webhook messages and forwarded results, so
        that all of it is one transaction.
        """
        job: Job = context["job"]
        queue: CompletingQueue = job.get_queue()  # type: ignore[assignment]  # all of ours are
        try:
            body = await self._run_attempt(context, job, stored)
        except _Retry as retry:
            await queue.settle(job, Status.QUEUED, str(retry))
            raise
        except _Failed as failed:
            await queue.settle(job, Status.FAILED, str(failed))
            raise
        await self._backend.store_result(job.key, body, job.ttl)
        job.kwargs = {}  # a finished job's content is not kept, as it may contain secrets
        await queue.settle(job, Status.COMPLETE)

    async def _run_attempt(self, context: Any, job: Job, stored: dict[str, Any]) -> bytes:
        """Returns an attempt's result; raises `_Retry` or `_Failed` after recording a failure."""
        meta = get_meta(job)
        if meta.type == UNREADABLE and meta.error:
            self._fail(job, meta, meta.error)
        if job.attempts >= job.retries:  # SAQ's last attempt is reserved for reporting the failure
            self._fail(job, meta, attempts_exhausted(job.attempts - 1))
        try:
            return await self._execute(context, job, meta, stored)
        except asyncio.CancelledError:
            _prepare_requeue(context["worker"], job)
            raise
        except WireError as failure:
            if _is_interrupted(context["worker"], job, failure):
                _prepare_requeue(context["worker"], job)
                raise _Retry(failure.message) from None
            self._fail(job, meta, failure.detail)
        except Exception as failure:
            log.exception("unexpected error while running a job")
            self._fail(job, meta, error_detail(failure))

    async def fail_undecryptable(self, job: Job) -> None:
        """Fails a job whose content can't be decrypted any more."""
        meta = get_meta(job)
        meta.error = DecryptionKeyMissing().detail
        set_meta(job, meta)
        job.kwargs = {}
        await job.get_queue().finish(job, Status.FAILED, error=meta.error.message)

    async def _execute(self, context: Any, job: Job, meta: JobMeta, stored: dict[str, Any]) -> bytes:
        assert self.handler is not None  # noqa: S101  workers start after it is set
        async with self._heartbeat(job) as heartbeat:
            run = JobRun(
                id=job.key,
                type=meta.type,
                content=decrypt_content(self._encryptor, stored),
                attempt=job.attempts,
                name=meta.name,
                origin=meta.origin,
                account_id=meta.scope,
                webhooks=meta.webhooks,
                progress=heartbeat.set_progress,
                emit=partial(self._send_event, meta.submitter) if meta.submitter else None,
                will_retry=partial(_will_retry, context, job, meta),
            )
            try:
                async with within(meta.timeout) as limit:
                    return await self.handler(run)
            except TimeoutError:
                if limit.expired():
                    raise TimedOut(f"the job took longer than {meta.timeout:g} s") from None
                raise

    def _fail(self, job: Job, meta: JobMeta, failure: ErrorDetail) -> NoReturn:
        """Raises what makes SAQ retry or fail the job."""
        meta.error = failure
        # the same rules as in `_will_retry`
        if _waits_for_browser(meta, failure.code, retryable=failure.retryable):
            self._retry_for_browser(job, meta, failure)
        meta.failures += 1
        set_meta(job, meta)
        if failure.retryable and meta.failures <= meta.retries:
            job.retry_delay = self._backoff(FIRST_RETRY_DELAY, MAX_RETRY_DELAY, meta.failures)
            raise _Retry(failure.message) from None
        job.retries = 0
        job.kwargs = {}
        raise _Failed(failure.message) from None

    def _retry_for_browser(self, job: Job, meta: JobMeta, failure: ErrorDetail) -> NoReturn:
        """Retries a job later because its browser can't start; the attempt does not count."""
        log.warning("job %s is retried when a browser can start: %s", job.key, failure.message)
        meta.waits += 1
        set_meta(job, meta)
        job.retries += 1
        job.retry_delay = self._backoff(FIRST_BROWSER_DELAY, MAX_BROWSER_DELAY, meta.waits)
        raise _Retry(failure.message) from None

    def _backoff(self, first: float, maximum: float, number: int) -> float:
        """Returns the seconds before the next attempt: exponential backoff with jitter."""
        return min(maximum, first * 2.0 ** (number - 1)) * (0.5 + self._jitter() / 2)

    def _send_event(self, submitter: str, event: str, content: Any) -> None:
        if submitter == self._backend.process:
            self._on_event(event, content)
        else:
            message = encode({"event": event, "content": content})
            publishing = asyncio.ensure_future(self._backend.publish(submitter, message))
            publishing.add_done_callback(_log_failure)

    @asynccontextmanager
    async def _heartbeat(self, job: Job) -> AsyncIterator[_Heartbeat]:
        heartbeat = self._heartbeats[job.key] = _Heartbeat(job)
        sender = asyncio.create_task(self._send_heartbeats(heartbeat))
        try:
            yield heartbeat
        finally:
            if self._heartbeats.get(job.key) is heartbeat:
                del self._heartbeats[job.key]
            sender.cancel()  # updates it has sent are written before the job's end

    async def _send_heartbeats(self, heartbeat: _Heartbeat) -> None:
        # the condition ends the loop where Redis' client has lost the cancellation
        while self._heartbeats.get(heartbeat.job.key) is heartbeat:
            with suppress(TimeoutError):
                async with within(HEARTBEAT_SECONDS):
                    await heartbeat.changed.wait()
            heartbeat.changed.clear()
            heartbeat.job.progress = heartbeat.progress
            with suppress(StoreFailed):  # the lease is long enough to miss one heartbeat
                await heartbeat.job.update()
            await asyncio.sleep(PROGRESS_SECONDS)


def _will_retry(context: Any, job: Job, meta: JobMeta, failure: BaseException) -> bool:
    if _is_interrupted(context["worker"], job, failure):
        return True
    if not isinstance(failure, WireError):
        return False
    waits = _waits_for_browser(meta, failure.code, retryable=failure.retryable)
    return waits or (failure.retryable and meta.failures < meta.retries)


def _waits_for_browser(meta: JobMeta, code: ErrorCode, *, retryable: bool) -> bool:
    """Whether a failed job waits until its browser can start: an accepted job must not be lost."""
    return code == ErrorCode.BROWSER_UNAVAILABLE and retryable and meta.waits < MAX_BROWSER_RETRIES


def _is_interrupted(worker: SaqWorker, job: Job, failure: BaseException) -> bool:
    """Whether an attempt failed because this process stops, which does not count as a failure."""
    if not worker.is_interrupting(job):
        return False  # it was cancelled
    if isinstance(failure, asyncio.CancelledError | ShuttingDown):
        return True
    return worker.is_stopping and isinstance(failure, WireError) and failure.code in _SHUTDOWN_CODES


def _prepare_requeue(worker: SaqWorker, job: Job) -> None:
    if worker.is_interrupting(job):
        job.retries += 1  # the interruption does not count
        job.retry_delay = 0 if worker.is_stopping else FIRST_RETRY_DELAY
    else:
        job.kwargs = {}


def _log_failure(done: asyncio.Future[None]) -> None:
    if not done.cancelled() and done.exception():
        log.warning("an event for another sidecar was lost: %s", done.exception())
