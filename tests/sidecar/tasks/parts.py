"""Tasks on a store; the queue is played by the test."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sidecar_protocol.decoding import decode_as
from sidecar_protocol.encoding import encode
from sidecar_protocol.job_status import JobState, JobStatus
from sidecar_protocol.jobs import SendJob
from sidecar_protocol.tasks import CreateTask, Task, TaskRef, TaskStatus, UpdateTask

from sidecar.browser.sandbox.sandbox_pool import SandboxPool
from sidecar.browser.sandbox.task_session import TaskLimits, TaskScriptRunner
from sidecar.browser.steps.plan import PlannedStep
from sidecar.clock import Clock
from sidecar.encryption import Encryptor
from sidecar.errors import NotFound, SidecarError
from sidecar.jobs.browser_job_runner import validate
from sidecar.jobs.run_updates import RunListeners
from sidecar.net.public_http import PublicHttpClient
from sidecar.queue.job_queue import job_id_for
from sidecar.queue.submission import JobRun, Submission
from sidecar.settings import Settings
from sidecar.storage.agenda import Agenda, Item
from sidecar.storage.database import Database
from sidecar.storage.task_runs import TaskRuns
from sidecar.tasks.script_host import HostAllowlist
from sidecar.tasks.script_sources import ScriptSources
from sidecar.tasks.task_dispatcher import TaskDispatcher
from sidecar.tasks.task_manager import TaskManager
from sidecar.tasks.task_record import TaskRecord, TaskRecords, decode
from sidecar.tasks.task_runner import RunnerDependencies, TaskRunner
from sidecar.wall_clock import rfc3339
from tests.clocks import ManualClock


class Queue:
    """Notes what it is given; the test says what becomes of it."""

    def __init__(self) -> None:
        self.submissions: list[Submission] = []
        self.statuses: dict[str, JobStatus] = {}
        self.refusal: SidecarError | None = None

    async def submit(self, submission: Submission) -> str:
        """Takes a key once."""
        if self.refusal:
            raise self.refusal
        job_id = job_id_for(submission.key)
        if job_id not in self.statuses:
            self.submissions.append(submission)
            self.statuses[job_id] = "pending"
        return job_id

    async def status(self, job_id: str) -> JobState:
        """As the test has set it."""
        if job_id not in self.statuses:
            raise NotFound(job_id)
        return JobState(id=job_id, status=self.statuses[job_id], type="run_task")

    def end_all(self) -> None:
        """Everything has succeeded."""
        self.statuses = dict.fromkeys(self.statuses, "success")


class TaskHarness:
    """One process's tasks. `database` may be shared with another harness."""

    def __init__(
        self, database: Database, time: ManualClock, queue: Queue, folder: Path, *, process: str = "here",
        encryptor: Encryptor | None = None, sandboxes: SandboxPool | None = None,
    ) -> None:  # fmt: skip
        self.database = database
        self.time = time
        self.queue = queue
        self.alive = {"here"}
        self.changes = 0
        self.plans = 0
        self.wants_events = False
        self.jobs: list[JobRun] = []
        self.reply: bytes | SidecarError = b'{"status":"success"}'
        self.agenda = Agenda(database, "task")
        self.task_runs = TaskRuns(database)
        self.sandboxes = sandboxes or SandboxPool(Settings())
        self.public_http = PublicHttpClient(Clock(), allow_private=True)
        scripts = ScriptSources(self.public_http, lambda: folder, allow_private=True)
        self.records = TaskRecords(encryptor or Encryptor(), scripts, process, self._plan, lambda _: None)
        dependencies = RunnerDependencies(
            runner=lambda: TaskScriptRunner(self.sandboxes, TaskLimits(timeout=5), 4),
            scripts=scripts,
            requests=self.public_http,
            hosts=HostAllowlist("127.0.0.1"),
            listeners_of=lambda run: RunListeners(emit=run.emit, progress=run.progress),
            perform=self._perform,
            job_slots=asyncio.Semaphore(2),
        )
        self.runner = TaskRunner(self.records, self.task_runs, dependencies, time.clock, process)
        self.firing = TaskDispatcher(
            self.agenda,
            self.task_runs,
            self.records,
            self.runner,
            queue,
            time.clock,
            is_alive=self._lives,
            wants_events=lambda: self.wants_events,
        )
        self.tasks = TaskManager(
            self.agenda, self.task_runs, self.records, self.runner, self.firing, scripts, time.clock, self._on_change
        )

    def _plan(self, job: SendJob) -> Sequence[PlannedStep]:
        self.plans += 1
        return validate(job)

    async def make(self, **content: Any) -> Task:
        """Creates a task: every ten seconds from a minute ahead on, unless the test says otherwise."""
        given = {"id": "t", "script": "a.js", "init": self.at(60), "interval": 10_000} | content
        return await self.tasks.create(read(CreateTask, given), "packed", "scope")

    async def update(self, **content: Any) -> Task:
        """Changes it."""
        return await self.tasks.update(read(UpdateTask, {"id": "t"} | content))

    async def pass_time(self, seconds: float) -> None:
        """Advances the clock, and handles due tasks until nothing is due."""
        self.time.advance(seconds)
        await self.on_due()

    async def on_due(self) -> None:
        """Handles due tasks as the timer does."""
        while (due := await self.agenda.next_due()) is not None and due <= self.time.time:
            await self.firing.on_due()

    async def status(self, task: str = "t") -> TaskStatus:
        """What it does and did."""
        return await self.tasks.status(TaskRef(id=task))

    async def stored(self, task: str = "t") -> tuple[Item, TaskRecord]:
        """As it lies in the store."""
        item = await self.agenda.get(task)
        assert item
        return item, decode(item.document)

    def at(self, seconds: float) -> str:
        """The time `seconds` from now, in a message's format."""
        return rfc3339(self.time.time + seconds)

    @property
    def keys(self) -> list[str]:
        """Of what was handed to the queue."""
        return [one.key for one in self.queue.submissions]

    async def _perform(self, run: JobRun) -> bytes:
        self.jobs.append(run)
        if isinstance(self.reply, SidecarError):
            raise self.reply
        return self.reply

    async def _lives(self, process: str) -> bool:
        return process in self.alive

    def _on_change(self) -> None:
        self.changes += 1


def read(wanted: Any, content: dict[str, Any]) -> Any:
    """A message's content, read as the codec reads it."""
    return decode_as(wanted, encode(content))
