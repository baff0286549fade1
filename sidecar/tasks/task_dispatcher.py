"""Submits each due run of a task to the queue, exactly once among all processes."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final, Protocol

from sidecar_protocol.encoding import encode
from sidecar_protocol.job_status import JobState
from sidecar_protocol.models import Sparse

from sidecar.clock import Clock
from sidecar.errors import CorruptRecord, NotFound
from sidecar.queue.submission import Submission
from sidecar.storage.agenda import Agenda, Item, defer_corrupt
from sidecar.storage.task_runs import StoredRun, TaskRuns
from sidecar.tasks.task_record import TaskRecord, TaskRecords, decode
from sidecar.tasks.task_runner import TaskRunner

MAX_TASKS: Final = 1_000
BATCH_SIZE: Final = 250
"""Tasks submitted concurrently."""
RUN_TIMEOUT: Final = 24 * 3600.0
"""Seconds; scripts and jobs have limits of their own, this one only sees to an end."""
_END_RECHECK_MS: Final = 5_000
"""Milliseconds after which it is looked again whether the last run of a task that is over has ended."""
_OWNER_SECONDS: Final = 0.5
"""Seconds that a process gets for a task that only it can run."""


class TaskRunPayload(Sparse):
    """A queued `run_task`, and the time that it is for."""

    id: str
    due: int | None = None
    """Milliseconds of Unix time; null where a schedule pushed it."""


class Queue(Protocol):
    """The part of the job queue that tasks use."""

    async def submit(self, submission: Submission) -> str:
        """Accepts a submission and gives its id, the same for the same key."""

    async def status(self, job_id: str) -> JobState:
        """The state of a job. Raises NotFound."""


class TaskDispatcher:
    """Submits due tasks, and deletes those past their end."""

    def __init__(
        self,
        agenda: Agenda,
        task_runs: TaskRuns,
        records: TaskRecords,
        runner: TaskRunner,
        queue: Queue,
        clock: Clock,
        *,
        is_alive: Callable[[str], Awaitable[bool]],
        wants_events: Callable[[], bool],
        keep_local: bool = False,
    ) -> None:
        """`is_alive` says whether a process of this store is alive.

        `wants_events` says whether our parent asked for events. `keep_local`: other machines take jobs out of the queue
        that don't know our tasks.
        """
        self._agenda = agenda
        self._task_runs = task_runs
        self._records = records
        self._runner = runner
        self._queue = queue
        self._clock = clock
        self._is_alive = is_alive
        self._wants_events = wants_events
        self._keep_local = keep_local

    async def on_due(self) -> None:
        """Deals with what is due. Raises the first of the failures, once all have been tried."""
        items = await self._agenda.due(self._clock.now(), MAX_TASKS)  # all: a stuck one blocks no other
        ended: list[BaseException | None] = []
        for first in range(0, len(items), BATCH_SIZE):
            some = map(self._process, items[first : first + BATCH_SIZE])
            ended += await asyncio.gather(*some, return_exceptions=True)
        for failure in ended:
            if failure is not None:
                raise failure

    async def is_busy(self, task_id: str, record: TaskRecord) -> bool:
        """Whether a run of it is going on here, or at its own time anywhere, or waits for its turn."""
        return self._runner.is_running(task_id) or (bool(record.run) and await self._is_pending(record.run))

    async def is_active(self, run: StoredRun) -> bool:
        """Whether a run that was noted as begun is under way, or will be repeated."""
        return await self._is_alive(run.owner) or await self._is_pending(run.id)

    async def _process(self, item: Item) -> None:
        try:
            record, now = decode(item.document), self._now()
        except CorruptRecord:
            await defer_corrupt(self._agenda, "task", item, self._clock.now())
            return
        busy = await self.is_busy(item.id, record)
        if record.end is not None and now > record.end:
            if busy:
                await self._agenda.replace(item, item.document, seconds(now + _END_RECHECK_MS))
            elif await self._agenda.delete(item.id):
                await self._task_runs.forget(item.id)
        elif not self._records.is_ours(record) and await self._is_alive(record.owner):
            await self._clock.sleep(_OWNER_SECONDS)
        else:
            await self._fire(item, record, now, busy=busy)

    async def _fire(self, item: Item, record: TaskRecord, now: int, *, busy: bool) -> None:
        table = record.timetable
        time, first = table.last(now), table.next(_milliseconds(item) - 1)
        changes: dict[str, Any] = {}
        # a time that was handed over already comes again where the clock was set back
        if record.running and time is not None and (record.fired is None or time > record.fired):
            missed = 0 if first is None else table.count(first, time)
            changes = {"fired": time, "coalesced": record.coalesced + missed}
            if busy:
                changes |= {"skipped": record.skipped + 1}
            else:
                # the queue first, which takes a key once: who dies before the next line is made up for, not repeated
                changes |= {"run": await self._queue.submit(self._submission(item.id, record, time))}
        after = record.replace(**changes)
        await self._agenda.replace(item, encode(after), seconds(after.next(max(now, after.fired or 0))))

    def _submission(self, task_id: str, record: TaskRecord, time: int) -> Submission:
        return Submission(
            type="run_task",
            content=encode(TaskRunPayload(id=task_id, due=time)),
            key=_key(task_id, time),
            name=task_id,
            timeout=RUN_TIMEOUT,
            origin=f"task:{task_id}",
            webhooks=record.webhooks,
            account_id=record.scope,
            notify=self._wants_events(),
            secret=self._keep_local or record.sealed_job is not None,  # what is secret stays with this process
        )

    async def _is_pending(self, job_id: str) -> bool:
        try:
            return (await self._queue.status(job_id)).status == "pending"
        except NotFound:
            return False

    def _now(self) -> int:
        return int(self._clock.now() * 1000)


def seconds(moment: int | None) -> float | None:
    """Milliseconds of Unix time as the agenda's seconds."""
    return None if moment is None else moment / 1000


def _milliseconds(item: Item) -> int:
    return round((item.due or 0) * 1000)


def _key(task_id: str, time: int) -> str:
    return f"task:{task_id}:{time}"
