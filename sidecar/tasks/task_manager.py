"""Periodic tasks: made, changed, shown, and handed to the queue at each of their times."""

import uuid
from collections.abc import Callable
from typing import Any, Final

import msgspec
from sidecar_protocol.errors import WireError
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
from sidecar.queue.submission import JobRun
from sidecar.storage.agenda import Agenda, Item
from sidecar.storage.task_runs import StoredRun, TaskRuns
from sidecar.tasks.task_dispatcher import MAX_TASKS, TaskDispatcher, TaskRunPayload, seconds
from sidecar.tasks.task_record import TaskRecord, TaskRecords, decode, encode, matches, show, told
from sidecar.tasks.task_runner import TaskRunner, shown

PAGE_SIZE: Final = 50
_TRIES: Final = 10

Tell = Callable[[str, Any], None] | None
"""Takes events for the parent, their name and content; None where it did not ask for any."""


class TaskManager:
    """The tasks of one store. Every call may raise StoreFailed."""

    def __init__(
        self,
        agenda: Agenda,
        history: TaskRuns,
        documents: TaskRecords,
        runner: TaskRunner,
        firing: TaskDispatcher,
        clock: Clock,
        on_change: Callable[[], None],
    ) -> None:
        """`on_change` is called where a task may be due earlier than any before."""
        self._agenda = agenda
        self._history = history
        self._documents = documents
        self._runner = runner
        self._firing = firing
        self._clock = clock
        self._on_change = on_change

    # --- messages

    async def create(self, content: CreateTask, webhooks: str, account_id: str) -> Task:
        """Adds one; on disk when this returns. Raises InvalidContent, Conflict, LimitExceeded."""
        now = self._now()
        document = self._documents.make(content, now, webhooks, account_id)
        task_id = content.id or str(uuid.uuid4())
        # one that starts now runs now; times before that have passed
        due = document.next(now - 1 if content.init is None else now)
        await self._agenda.put_new(task_id, encode(document), seconds(due), MAX_TASKS)
        self._on_change()
        return show(task_id, document)

    async def update(self, content: UpdateTask) -> Task:
        """Replaces what is given; on disk when this returns. Raises InvalidContent, NotFound, Conflict."""
        return show(
            content.id, await self._change(content.id, lambda old: self._documents.change(old, content, self._now()))
        )

    async def delete(self, content: TaskRef) -> None:
        """Forgets a task and its runs. Raises NotFound."""
        if not await self._agenda.delete(content.id):
            raise _not_found(content.id)
        await self._history.forget(content.id)

    async def get(self, content: TaskRef) -> Task:
        """One task. Raises NotFound."""
        return show(content.id, (await self._find(content.id))[1])

    async def list(self, content: ListTasks) -> TaskPage:
        """Those that match, one page of them; what can't be read is left out. Raises InvalidContent."""
        items = await self._agenda.page(0, MAX_TASKS)
        found = [task for item in items if (task := _readable(item)) and matches(task, content)]
        first = (content.page - 1) * PAGE_SIZE
        return TaskPage(
            total_count=len(found),
            total_pages=_pages(len(found)),
            page=content.page,
            tasks=tuple(found[first : first + PAGE_SIZE]),
        )

    async def set_running(self, content: TaskRef, running: bool) -> TaskStatus:
        """Starts or stops it; a run that goes on is left to end. Raises NotFound, Conflict."""
        await self._change(content.id, lambda old: msgspec.structs.replace(old, running=running))
        return await self.status(content)

    async def status(self, content: TaskRef) -> TaskStatus:
        """What it does and did. Raises NotFound."""
        _, document = await self._find(content.id)
        last = await self._history.page(content.id, 0, 1)
        runs, failed = await self._history.counts(content.id)
        due = document.next_run(max(self._now(), document.fired or 0))  # where the clock was set back
        return TaskStatus(
            id=content.id,
            running=document.running,
            busy=await self._firing.is_busy(content.id, document),
            next_execution=None if due is None else told(due),
            last_run=await self._shown(last[0]) if last else None,
            runs=runs,
            failed=failed,
            skipped=document.skipped,
            coalesced=document.coalesced,
        )

    async def runs(self, content: ListTaskRuns) -> TaskRunPage:
        """Its last runs, the latest first. Raises NotFound."""
        await self._find(content.id)
        kept = await self._history.kept(content.id)
        stored = await self._history.page(content.id, (content.page - 1) * PAGE_SIZE, PAGE_SIZE)
        return TaskRunPage(
            total_count=kept,
            total_pages=_pages(kept),
            page=content.page,
            runs=tuple([await self._shown(one) for one in stored]),
        )

    async def run_now(self, content: TaskRef, webhooks: str, tell: Tell) -> RunTaskReply:
        """Runs it once, also one that is stopped or going. Raises NotFound, and what the run raises."""
        _, document = await self._find(content.id)
        run = _run(str(uuid.uuid4()), content.id, document.webhooks or webhooks, document.scope, tell)
        return await self._runner.run(content.id, document, run, "manual", None)

    async def test(self, content: TestTask, webhooks: str, account_id: str, tell: Tell) -> RunTaskReply:
        """Runs a script that is not kept. Raises what the run raises."""
        run = _run(str(uuid.uuid4()), "", webhooks, account_id, tell)
        return await self._runner.test(content.script_text, content.config, run)

    # --- the queue

    async def perform(self, run: JobRun) -> RunTaskReply:
        """A run that comes out of the queue. Raises NotFound where the task was deleted, and what the run raises."""
        order = msgspec.json.decode(run.content, type=TaskRunPayload)
        try:
            _, document = await self._find(order.id)
        except WireError as failure:  # somebody waits to hear what became of it
            await self._runner.refuse(run, failure)
        trigger: Trigger = "schedule" if order.due is None else "interval"
        named = msgspec.structs.replace(run, name=order.id, account_id=run.account_id or document.scope)
        try:
            return await self._runner.run(order.id, document, named, trigger, order.due)
        except WireError as failure:
            failure.places.pop("output", None)  # it is noted with the run; the job's own error stays short
            raise

    def put_back(self) -> None:
        """Stops runs out of the queue that wait for their turn; the next process, or another, has them."""
        self._runner.put_back()

    async def close(self) -> None:
        """Waits for what is still to be noted."""
        await self._runner.close()

    # --- parts

    async def _find(self, task_id: str) -> tuple[Item, TaskRecord]:
        item = await self._agenda.get(task_id)
        if item is None:
            raise _not_found(task_id)
        return item, decode(item.document)

    async def _change(self, task_id: str, change: Callable[[TaskRecord], TaskRecord]) -> TaskRecord:
        """Changes a task; its next time moves only where its times were changed."""
        for _ in range(_TRIES):
            item, old = await self._find(task_id)
            new = change(old)
            now = self._now()
            moved = (old.init, old.end, old.interval, old.running) != (new.init, new.end, new.interval, new.running)
            if (old.init, old.interval) != (new.init, new.interval):
                new = msgspec.structs.replace(new, fired=None)
            due = seconds(new.next(now)) if moved else item.due
            if await self._agenda.replace(item, encode(new), due):
                self._on_change()
                return new
        raise Conflict(f"the task {task_id!r} is being changed by others", retryable=True)

    async def _shown(self, run: StoredRun) -> TaskRun:
        """A noted run; one whose process died and that nobody will repeat does not go on."""
        told_run = shown(run)
        if run.status == "running" and not await self._firing.goes_on(run):
            return msgspec.structs.replace(told_run, status="cancelled")
        return told_run

    def _now(self) -> int:
        return int(self._clock.now() * 1000)


def _run(run_id: str, task_id: str, webhooks: str, account_id: str, tell: Tell) -> JobRun:
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
        emit=tell,
    )


def _readable(item: Item) -> Task | None:
    try:
        return show(item.id, decode(item.document))
    except CorruptRecord:
        return None


def _pages(count: int) -> int:
    return -(-count // PAGE_SIZE)


def _not_found(task_id: str) -> NotFound:
    return NotFound(f"there is no task {task_id!r}")
