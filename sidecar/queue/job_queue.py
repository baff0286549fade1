"""The job queue: stores submissions, runs them in SAQ's workers, and reports their state."""

import asyncio
import dataclasses
import logging
import math
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from saq.job import TERMINAL_STATUSES, Job, Status
from sidecar_protocol.job_status import JobState, JobStatus
from sidecar_protocol.pages import PAGE_SIZE, page_offset
from sidecar_protocol.wire_types import Raw

from sidecar.clock import Clock
from sidecar.encryption import Encryptor
from sidecar.errors import NotFound
from sidecar.queue.backend import QueueBackend
from sidecar.queue.embedded_worker import EmbeddedWorker
from sidecar.queue.executor import JobExecutor, JobHandler
from sidecar.queue.job_meta import CANCELLED, FUNCTION, STATUSES, JobMeta, job_state, set_meta
from sidecar.queue.submission import Submission, encrypt_content
from sidecar.shutdown import cancel_and_wait

log = logging.getLogger(__name__)

MAIN_QUEUE: Final = "jobs"
"""The queue that every process serves by default."""
WAITING_QUEUE: Final = "waiting"
"""The queue of jobs that mostly wait for other jobs; many run at once."""
WAITING_CONCURRENCY: Final = 250
_WAITING_TYPES: Final = frozenset({"run_task"})
PRIVATE_PREFIX: Final = "own:"
"""The name prefix of queues that one process alone serves: only it can decrypt their jobs."""
LEASE_SECONDS: Final = 30
"""Seconds without a heartbeat after which a job counts as abandoned."""
MAX_INTERRUPTIONS: Final = 100
"""Interrupted attempts, by crashes mostly, after which a job fails."""
ORPHAN_SCAN_SECONDS: Final = 10.0
"""Seconds between two checks for orphaned jobs."""
_ID_NAMESPACE: Final = uuid.UUID("8f1d2f3e-6c1b-4c53-9f0e-5f5c1c7f2f0a")
_ALL_STATUSES: Final = frozenset(Status)

OnEvent = Callable[[str, Any], None]
"""Emits an event, its name and content, to our own parent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobQueueOptions:
    """Options of a job queue."""

    concurrency: int
    results_ttl: int
    """Seconds for which a finished job and its result are kept."""
    private_secrets: bool
    """Whether jobs with secrets stay in this process, because its encryption key ends with it."""
    private_logins: bool
    """Whether jobs that need their login stay in this process, because others don't have it."""
    jitter: Callable[[], float]
    """Random, from 0 to 1."""
    on_event: OnEvent


class JobQueue:
    """The queue of one store, as this process sees it."""

    def __init__(self, backend: QueueBackend, encryptor: Encryptor, clock: Clock, options: JobQueueOptions) -> None:
        self._backend = backend
        self._encryptor = encryptor
        self._clock = clock
        self._options = options
        self._executor = JobExecutor(backend, encryptor, options.jitter, options.on_event)
        self._workers: dict[str, EmbeddedWorker] = {}
        self._orphan_scan: asyncio.Task[None] | None = None
        self._queue_names = {MAIN_QUEUE}
        self._stopped = False
        self._subscribed = False

    # --- submissions

    async def submit(self, submission: Submission) -> str:
        """Accepts a submission and returns its id; the job is on disk with the next commit. Raises StoreFailed.

        A key that was used before returns the same id and creates no new job.
        """
        job_id = job_id_for(submission.key)
        secret = self._encryptor.persistent or submission.secret
        options = self._options
        private = (secret and options.private_secrets) or (submission.needs_login and options.private_logins)
        job = Job(
            function=FUNCTION,
            key=job_id,
            kwargs=encrypt_content(self._encryptor, submission.content, secret=secret),
            timeout=0,  # the executor has a timeout with an error of ours
            heartbeat=LEASE_SECONDS,
            retries=submission.retries + 2 + MAX_INTERRUPTIONS,  # the last one only reports the failure
            ttl=self._options.results_ttl,
            scheduled=math.ceil(submission.due) if submission.due > self._clock.now() else 0,
        )
        meta = JobMeta(
            type=submission.type,
            name=submission.name,
            origin=submission.origin,
            scope=submission.account_id,
            submitter=self._backend.process if submission.notify else "",
            timeout=submission.timeout,
            retries=submission.retries,
            webhooks=submission.webhooks,
        )
        set_meta(job, meta)
        if submission.notify and not self._subscribed:
            self._subscribed = True  # other processes may run it and publish its events
            self._backend.subscribe(self._executor.on_message)
        shared = WAITING_QUEUE if submission.type in _WAITING_TYPES else MAIN_QUEUE
        name = f"{PRIVATE_PREFIX}{self._backend.process}" if private else shared
        if await self._backend.put(job, name) and private:
            self._start_worker(name)
        return job_id

    @property
    def process(self) -> str:
        """This process's id in the store."""
        return self._backend.process

    async def is_alive(self, process: str) -> bool:
        """Whether a process of this store is alive."""
        return await self._backend.is_alive(process)

    async def status(self, job_id: str) -> JobState:
        """Returns a job's state. Raises NotFound, StoreFailed."""
        job = await self._find(job_id)
        state = job_state(job)
        if job.status is Status.COMPLETE:
            body = await self._backend.get_result(job_id)
            kept: dict[str, Any] = {"result": Raw(body)} if body else {"result_dropped": True}
            return state.replace(**kept)
        progress = self._executor.progress(job_id)
        return state if progress is None else state.replace(progress=progress)

    async def list(self, status: JobStatus | None, page: int) -> tuple[int, list[JobState]]:
        """Returns how many jobs have this status (None: any) and one page of them, newest first, without results."""
        wanted = STATUSES[status] if status else _ALL_STATUSES
        total, jobs = await self._backend.page(wanted, page_offset(page), PAGE_SIZE)
        return total, [_without_evidence(job_state(job)) for job in jobs]

    async def cancel(self, job_id: str) -> bool:
        """Cancels a job: at once if it is queued, as soon as it stops if it runs. Returns False if it has ended."""
        job = await self._find(job_id)
        if job.status in TERMINAL_STATUSES:
            return False
        queue, waits = job.get_queue(), job.status is Status.QUEUED
        if waits:
            job.kwargs = {}
        await queue.abort(job, CANCELLED)
        for worker in self._workers.values():
            await worker.abort_cancelled()
        if waits:
            left = await self._backend.find(job_id)
            if left and left.status is Status.ABORTING:  # SAQ on Redis leaves scheduled jobs in this status
                await queue.finish(left, Status.ABORTED, error=CANCELLED)
        return True

    # --- running

    def start(self, handler: JobHandler) -> None:
        """Starts running jobs."""
        self._executor.handler = handler
        for name in tuple(self._queue_names):
            self._start_worker(name)
        self._start_worker(WAITING_QUEUE)
        self._orphan_scan = asyncio.create_task(self._fail_orphans())

    async def stop(self, seconds: float) -> None:
        """Takes no more jobs, lets running ones finish for `seconds`, and requeues the rest."""
        self._stopped = True
        await cancel_and_wait(self._orphan_scan)
        self._orphan_scan = None
        workers, self._workers = self._workers, {}
        await asyncio.gather(*(worker.stop(seconds) for worker in workers.values()))

    async def close(self) -> None:
        """Requeues running jobs and closes the backend."""
        await self.stop(0)
        self._backend.subscribe(None)
        await self._backend.close()

    def _start_worker(self, name: str) -> None:
        self._queue_names.add(name)
        if name not in self._workers and self._executor.handler and not self._stopped:
            most = WAITING_CONCURRENCY if name == WAITING_QUEUE else self._options.concurrency
            worker = EmbeddedWorker(self._backend.queue(name), self._executor.run, most)
            self._workers[name] = worker
            worker.start()

    async def _find(self, job_id: str) -> Job:
        job = await self._backend.find(job_id)
        if job is None:
            raise NotFound(f"there is no job {job_id!r}")
        return job

    async def _fail_orphans(self) -> None:
        """Fails jobs that only a dead process could have run."""
        while True:
            try:
                for job in await self._backend.orphans(PRIVATE_PREFIX):
                    await self._executor.fail_undecryptable(job)
            except Exception as failure:
                log.warning("could not check for orphaned jobs: %s", failure)
            await self._clock.sleep(ORPHAN_SCAN_SECONDS)


def job_id_for(key: str) -> str:
    """Returns the id of the job with that key; a new id for an empty key."""
    return str(uuid.uuid5(_ID_NAMESPACE, key) if key else uuid.uuid4())


def _without_evidence(state: JobState) -> JobState:
    """The state for a list: an error without what `job_status` alone shows, which may be large."""
    if state.error is None:
        return state
    return state.replace(error=dataclasses.replace(state.error, artifacts=None, extract=None, console=None))
