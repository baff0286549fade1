"""Periodic tasks: create, update, list, run."""

import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, Final

from sidecar_protocol.decoding import decode_stored
from sidecar_protocol.encoding import encode
from sidecar_protocol.errors import FieldError, WireError
from sidecar_protocol.pages import PAGE_SIZE, page_count, page_offset
from sidecar_protocol.tasks import (
    CreateTask,
    ListTaskRuns,
    ListTasks,
    RunTaskReply,
    Task,
    TaskPage,
    TaskRef,
    TaskRun,
    TaskRunPage,
    TaskStatus,
    TestTask,
    Trigger,
    UpdateTask,
)

from sidecar.clock import Clock
from sidecar.errors import Conflict, CorruptRecord, NotFound
from sidecar.jobs.large_jobs import off_loop
from sidecar.queue.submission import JobRun
from sidecar.storage.agenda import Agenda, Item
from sidecar.storage.task_runs import StoredRun, TaskRuns
from sidecar.tasks.config_file import complete
from sidecar.tasks.script_sources import ScriptSources
from sidecar.tasks.task_dispatcher import MAX_TASKS, TaskDispatcher, TaskRunPayload, seconds
from sidecar.tasks.task_record import (
    TaskRecord,
    TaskRecords,
    decode,
    format_ms,
    interval_warnings,
    matches,
    to_task,
)
from sidecar.tasks.task_runner import TaskRunner, to_task_run

_MAX_ATTEMPTS: Final = 10

Emit = Callable[[str, Any], None] | None
"""Takes events for the parent, their name and content; None where it did not ask for any."""


class TaskManager:
    """The tasks of one store. Every call may raise StoreFailed."""

    def __init__(
        self,
        agenda: Agenda,
        task_runs: TaskRuns,
        records: TaskRecords,
        runner: TaskRunner,
        dispatcher: TaskDispatcher,
        scripts: ScriptSources,
        clock: Clock,
        on_change: Callable[[], None],
    ) -> None:
        """`on_change` is called where a task may be due earlier than any before."""
        self._agenda = agenda
        self._task_runs = task_runs
        self._records = records
        self._runner = runner
        self._dispatcher = dispatcher
        self._scripts = scripts
        self._clock = clock
        self._on_change = on_change

    # --- messages

    async def create(self, content: CreateTask, webhooks: str, account_id: str) -> Task:
        """Adds one; on disk when this returns. Raises InvalidContent, Conflict, LimitExceeded."""
        content = await complete(content, self._scripts)
        now = self._now()
        make = partial(self._records.make, content, now, webhooks, account_id)
        record = await off_loop((content.job, content.config), make)
        task_id = content.id or str(uuid.uuid4())
        # one that starts now runs now; times before that have passed
        due = record.next(now - 1 if content.init is None else now)
        await self._agenda.put_new(task_id, encode(record), seconds(due), MAX_TASKS)
        self._on_change()
        return to_task(task_id, record, interval_warnings(record.interval))

    async def update(self, content: UpdateTask) -> Task:
        """Replaces what is given; on disk when this returns. Raises InvalidContent, NotFound, Conflict."""
        now = self._now()

        async def change(old: TaskRecord) -> TaskRecord:
            jobs = (content.job, content.config, old.job, old.sealed_job, old.config)
            return await off_loop(jobs, partial(self._records.change, old, content, now))

        changed = await self._change(content.id, change)
        return to_task(content.id, changed, interval_warnings(content.interval))

    def mistakes(self, content: Mapping[str, Any]) -> list[FieldError]:
        """The mistakes of the parts of a `create_task`, as plain values, that have the right shape."""
        config = content.get("config")
        return self._records.mistakes(content, {} if config is None else config, self._now(), is_new=True)

    async def update_mistakes(self, content: Mapping[str, Any]) -> list[FieldError]:
        """The same of an `update_task`. Raises NotFound."""
        config = content.get("config")
        if config is None and isinstance(task_id := content.get("id"), str):
            config = (await self._find(task_id))[1].config
        find = partial(self._records.mistakes, content, config, self._now(), is_new=False)
        return await off_loop((content, config), find)

    async def delete(self, content: TaskRef) -> None:
        """Forgets a task and its runs. Raises NotFound."""
        if not await self._agenda.delete(content.id):
            raise _not_found(content.id)
        await self._task_runs.forget(content.id)

    async def get(self, content: TaskRef) -> Task:
        """One task. Raises NotFound."""
        return to_task(content.id, (await self._find(content.id))[1])

    async def list(self, content: ListTasks) -> TaskPage:
        """One page of the tasks that match; unreadable ones are left out. Raises InvalidContent."""
        if all(value is None for name, value in content if name != "page"):
            return await self._list_all(content.page)
        items = await self._agenda.page(0, MAX_TASKS)
        found = [task for item in items if (task := _to_task_or_none(item)) and matches(task, content)]
        first = page_offset(content.page)
        return TaskPage(
            total_count=len(found),
            total_pages=page_count(len(found)),
            page=content.page,
            tasks=tuple(found[first : first + PAGE_SIZE]),
        )

    async def _list_all(self, page: int) -> TaskPage:
        """One page of all tasks, for which no other is read."""
        total = await self._agenda.count()
        first = page_offset(page)
        items = await self._agenda.page(first, PAGE_SIZE) if first < total else []
        tasks = tuple(task for item in items if (task := _to_task_or_none(item)))
        return TaskPage(total_count=total, total_pages=page_count(total), page=page, tasks=tasks)

    async def set_running(self, content: TaskRef, running: bool) -> TaskStatus:
        """Starts or stops a task; a current run may end. Raises NotFound, Conflict."""

        async def change(old: TaskRecord) -> TaskRecord:
            return old.replace(running=running)

        await self._change(content.id, change)
        return await self.status(content)

    async def status(self, content: TaskRef) -> TaskStatus:
        """The state and the counts of a task. Raises NotFound."""
        _, record = await self._find(content.id)
        last = await self._task_runs.page(content.id, 0, 1)
        runs, failed = await self._task_runs.counts(content.id)
        due = record.next_run(max(self._now(), record.fired or 0))  # where the clock was set back
        return TaskStatus(
            id=content.id,
            running=record.running,
            busy=await self._dispatcher.is_busy(content.id, record),
            next_execution=None if due is None else format_ms(due),
            last_run=await self._to_task_run(last[0]) if last else None,
            runs=runs,
            failed=failed,
            skipped=record.skipped,
            coalesced=record.coalesced,
        )

    async def runs(self, content: ListTaskRuns) -> TaskRunPage:
        """The task's last runs, the latest first. Raises NotFound."""
        await self._find(content.id)
        kept = await self._task_runs.kept(content.id)
        stored = await self._task_runs.page(content.id, page_offset(content.page), PAGE_SIZE)
        return TaskRunPage(
            total_count=kept,
            total_pages=page_count(kept),
            page=content.page,
            runs=tuple([await self._to_task_run(one) for one in stored]),
        )

    async def run_now(self, content: TaskRef, webhooks: str, emit: Emit) -> RunTaskReply:
        """Runs it once, also one that is stopped or going. Raises NotFound, and what the run raises."""
        _, record = await self._find(content.id)
        run = _run(str(uuid.uuid4()), content.id, record.webhooks or webhooks, record.scope, emit)
        return await self._runner.run(content.id, record, run, "manual", None)

    async def test(self, content: TestTask, webhooks: str, account_id: str, emit: Emit) -> RunTaskReply:
        """Runs a script that is not kept. Raises what the run raises."""
        run = _run(str(uuid.uuid4()), "", webhooks, account_id, emit)
        return await self._runner.test(content.script_text, content.config, run)

    # --- the queue

    async def perform(self, run: JobRun) -> RunTaskReply:
        """A run that comes out of the queue. Raises NotFound where the task was deleted, and what the run raises."""
        payload = decode_stored(TaskRunPayload, run.content)
        try:
            _, record = await self._find(payload.id)
        except WireError as failure:  # the caller waits for the outcome
            await self._runner.refuse(run, failure)
        trigger: Trigger = "schedule" if payload.due is None else "interval" if record.cron is None else "cron"
        named = replace(run, name=payload.id, account_id=run.account_id or record.scope)
        try:
            return await self._runner.run(payload.id, record, named, trigger, payload.due)
        except WireError as failure:
            failure.details.pop("output", None)  # it is noted with the run; the job's own error stays short
            raise

    def requeue_waiting(self) -> None:
        """Stops runs out of the queue that wait for their turn; the next process, or another, has them."""
        self._runner.requeue_waiting()

    async def close(self) -> None:
        """Waits for what is still to be noted."""
        await self._runner.close()

    # --- parts

    async def _find(self, task_id: str) -> tuple[Item, TaskRecord]:
        item = await self._agenda.get(task_id)
        if item is None:
            raise _not_found(task_id)
        return item, decode(item.document)

    async def _change(self, task_id: str, change: Callable[[TaskRecord], Awaitable[TaskRecord]]) -> TaskRecord:
        """Changes a task; its next time moves only where its times were changed."""
        for _ in range(_MAX_ATTEMPTS):
            item, old = await self._find(task_id)
            new = await change(old)
            now = self._now()
            moved = (old.times, old.end, old.running) != (new.times, new.end, new.running)
            if old.times != new.times:
                new = new.replace(fired=None)
            due = seconds(new.next(now)) if moved else item.due
            if await self._agenda.replace(item, encode(new), due):
                self._on_change()
                return new
        raise Conflict(f"the task {task_id!r} was changed concurrently", retryable=True)

    async def _to_task_run(self, run: StoredRun) -> TaskRun:
        """A recorded run; an interrupted run that is not repeated is not running."""
        task_run = to_task_run(run)
        if run.status == "running" and not await self._dispatcher.is_active(run):
            return task_run.replace(status="cancelled")
        return task_run

    def _now(self) -> int:
        return int(self._clock.now() * 1000)


def _run(run_id: str, task_id: str, webhooks: str, account_id: str, emit: Emit) -> JobRun:
    return JobRun(
        id=run_id,
        type="run_task",
        content=b"{}",
        attempt=1,
        name=task_id,
        origin=f"task:{task_id}" if task_id else "",
        account_id=account_id,
        webhooks=webhooks,
        progress=lambda _: None,
        emit=emit,
    )


def _to_task_or_none(item: Item) -> Task | None:
    try:
        return to_task(item.id, decode(item.document))
    except CorruptRecord:
        return None


def _not_found(task_id: str) -> NotFound:
    return NotFound(f"there is no task {task_id!r}")
