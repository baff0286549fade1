"""One run of a task, its script or its job, and its record in the history."""

import asyncio
import json
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, NoReturn, cast

from sidecar_protocol.codec import NotJson
from sidecar_protocol.decoding import decode_stored
from sidecar_protocol.encoding import encode
from sidecar_protocol.errors import ErrorCode, ErrorDetail, WireError
from sidecar_protocol.jobs import SendJob, Step, StepResult
from sidecar_protocol.models import Sparse
from sidecar_protocol.tasks import RunStatus, RunTaskReply, TaskRun, Trigger
from sidecar_protocol.wire_types import Raw

from sidecar.browser.sandbox.sandbox import ScriptError
from sidecar.browser.sandbox.script_files import ScriptFile
from sidecar.browser.sandbox.task_session import TaskScriptRunner
from sidecar.clock import Clock
from sidecar.errors import ActionFailed, CorruptRecord, error_detail
from sidecar.jobs.job_redaction import redactor_for
from sidecar.jobs.run_service import STOPPED
from sidecar.jobs.run_updates import RunListeners, RunUpdates
from sidecar.jobs.step_reporting import report_as_step
from sidecar.queue.submission import JobRun
from sidecar.shutdown import STOP_SECONDS
from sidecar.storage.task_runs import StoredRun, TaskRuns
from sidecar.tasks.script_host import HostAllowlist, Requests, ScriptHost
from sidecar.tasks.script_sources import ScriptSources
from sidecar.tasks.task_record import TaskRecord, TaskRecords
from sidecar.wall_clock import rfc3339
from sidecar.work_log import log_work

MAX_OUTPUT_LINES: Final = 200
MAX_OUTPUT_CHARS: Final = 64 * 1024
"""Characters of one run's output that are kept, the last ones."""
MAX_RESULT_CHARS: Final = 64 * 1024
"""Characters of a script's result, and bytes of a job's, that are remembered."""
_CODES: Final = frozenset(ErrorCode)


class ScriptOutput:
    """A script's console output, and uncaught errors."""

    def __init__(self) -> None:
        self._lines: deque[str] = deque()
        self._size = 0
        self.cut = False

    def log(self, line: str) -> None:
        """One line; the oldest make room for it."""
        self._lines.append(line)
        self._size += len(line)
        while len(self._lines) > MAX_OUTPUT_LINES or (self._size > MAX_OUTPUT_CHARS and len(self._lines) > 1):
            self._size -= len(self._lines.popleft())
            self.cut = True

    def fail(self, line: str) -> None:
        """One error."""
        self.log(f"uncaught {line}")

    @property
    def lines(self) -> tuple[str, ...]:
        """The kept lines."""
        return tuple(self._lines)


class Outcome(Sparse):
    """The stored outcome of a run that has ended."""

    raw_parts = (("result",),)

    result: Raw = Raw(b"null")
    error: ErrorDetail | None = None
    output: tuple[str, ...] = ()
    cut: bool = False
    duration_ms: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RunnerDependencies:
    """The dependencies of runs."""

    runner: Callable[[], TaskScriptRunner]
    """Returns the runner of scripts; created with the first script."""
    scripts: ScriptSources
    requests: Requests
    hosts: HostAllowlist
    listeners_of: Callable[[JobRun], RunListeners]
    """The listeners of a run."""
    perform: Callable[[JobRun], Awaitable[bytes]]
    """Does a `send_job` and gives the content of its reply."""
    job_slots: asyncio.Semaphore
    """Slots for browser jobs: further ones wait here, and not in the pool, whose queue is bounded."""


class TaskRunner:
    """Runs tasks."""

    def __init__(
        self, records: TaskRecords, task_runs: TaskRuns, dependencies: RunnerDependencies, clock: Clock, process: str
    ) -> None:
        """`process` is what others know this one by."""
        self._records = records
        self._task_runs = task_runs
        self._dependencies = dependencies
        self._clock = clock
        self._process = process
        self._active: dict[str, int] = {}
        self._scripts: TaskScriptRunner | None = None
        self._pending_writes: set[asyncio.Future[None]] = set()
        self._waiting: set[asyncio.Task[Any] | None] = set()
        self._stopping = False

    def is_running(self, task: str) -> bool:
        """Whether a run of it is under way in this process."""
        return task in self._active

    async def run(self, task: str, record: TaskRecord, run: JobRun, trigger: Trigger, due: int | None) -> RunTaskReply:
        """One run from start to end. Raises WireError, with the script's `output` among its places."""
        started = StoredRun(
            id=run.id,
            task=task,
            kind=trigger,
            owner=self._process,
            due=None if due is None else due / 1000,
            started=self._clock.now(),
            ended=None,
            status="running",
            outcome=None,
        )
        if trigger != "manual":
            if self._stopping:  # the queue has given it out again before it knew that this process ends
                raise asyncio.CancelledError
            self._waiting.add(asyncio.current_task())
        self._active[task] = self._active.get(task, 0) + 1
        try:
            return await self._run(record, run, started)
        finally:
            self._stop_waiting()
            self._active[task] -= 1
            if not self._active[task]:
                del self._active[task]

    async def test(self, script_text: str, config: dict[str, Any], run: JobRun) -> RunTaskReply:
        """One run of a script that is not kept. Raises WireError, as `run`."""
        output, start = ScriptOutput(), self._clock.monotonic()
        try:
            files = await self._dependencies.scripts.read_text(script_text)
            result = await self._run_script(files, config, run, output)
        except WireError as failure:
            failure.details["output"] = output.lines or None
            raise
        return RunTaskReply(status="success", result=result, duration_ms=self._since(start), output=output.lines)

    async def refuse(self, run: JobRun, failure: WireError) -> NoReturn:
        """Reports a run that can't start, and raises the reason."""

        async def fail() -> NoReturn:
            raise failure

        await report_as_step(run, run.type, self._dependencies.listeners_of(run), self._clock, fail)

    def requeue_waiting(self) -> None:
        """Stops what came out of the queue and waits for its turn, now and from now on: it waits as well in there."""
        self._stopping = True
        for waiting in self._waiting:
            if waiting:
                waiting.cancel()

    async def close(self) -> None:
        """Waits for what is still to be noted."""
        if self._pending_writes:
            await asyncio.wait(self._pending_writes, timeout=STOP_SECONDS)

    async def _run(self, record: TaskRecord, run: JobRun, started: StoredRun) -> RunTaskReply:
        output, start = ScriptOutput(), self._clock.monotonic()
        await self._task_runs.begin(started)
        try:
            result = await self._result(record, run, output)
        except asyncio.CancelledError:
            self._stopped(run, started, output, start)
            raise
        except Exception as failure:
            if run.will_retry(failure):
                self._stopped(run, started, output, start)
                raise
            detail = error_detail(failure)
            outcome = Outcome(error=detail, output=output.lines, cut=output.cut, duration_ms=self._since(start))
            await self._end(run, started, "failed", outcome)
            if isinstance(failure, WireError):
                failure.details["output"] = output.lines or None
            raise
        kept, cut = _truncate_result(result)
        duration = self._since(start)
        outcome = Outcome(result=kept, output=output.lines, cut=cut or output.cut, duration_ms=duration)
        await self._end(run, started, "success", outcome)
        return RunTaskReply(status="success", result=result, run=run.id, duration_ms=duration, output=output.lines)

    def _stopped(self, run: JobRun, started: StoredRun, output: ScriptOutput, start: float) -> None:
        """Reports an interrupted run at once: the reply to a cancelled request waits for nothing."""
        outcome = Outcome(output=output.lines, cut=output.cut, duration_ms=self._since(start))
        ended = self._ended(started, "cancelled", outcome)
        self._log(ended, None)
        _emit(run, ended)
        self._store_end(ended)

    async def _result(self, record: TaskRecord, run: JobRun, output: ScriptOutput) -> Any:
        """The script's return value, or the job's reply as JSON."""
        if record.script is None:
            try:
                job = replace(run, type="send_job", content=self._records.job(record))
            except WireError as failure:
                await self.refuse(run, failure)
            return Raw(await self._perform(job))
        return await self._run_reported(record.script, record, run, output)

    async def _run_reported(self, script: str, record: TaskRecord, run: JobRun, output: ScriptOutput) -> Any:
        """Runs a script, and reports it as a job with one step."""
        job = SendJob(steps=(Step(url=script, name=script),), name=run.name)
        hide = redactor_for(job).redact_text
        updates = RunUpdates(job, run.id, self._dependencies.listeners_of(run), self._clock, hide, run.name)
        updates.on_started()
        updates.on_step_started(0)
        start = self._clock.monotonic()
        try:
            files = await self._dependencies.scripts.read(script)
            result = await self._run_script(files, record.config, run, output)
        except BaseException as failure:
            updates.on_step_failed(0, output.lines, ())
            stopped = isinstance(failure, asyncio.CancelledError)
            updates.failed(STOPPED if stopped else error_detail(failure).message, will_retry=run.will_retry(failure))
            raise
        ended = StepResult(
            name=script,
            url=script,
            status=None,
            title="",
            duration_ms=self._since(start),
            values=(result,),
            console=output.lines,
            errors=(),
        )
        updates.on_step_ended(0, ended)
        updates.succeeded()
        return result

    async def _run_script(
        self, files: Sequence[ScriptFile], config: dict[str, Any], run: JobRun, output: ScriptOutput
    ) -> Any:
        async def perform(content: bytes, number: int) -> bytes:
            # an id of its own, and the same one should the whole run be repeated
            job = replace(run, id=f"{run.id}.{number}", type="send_job", content=content)
            return await self._perform(job)

        host = ScriptHost(self._dependencies.requests, self._dependencies.hosts, perform)
        given = Raw(encode(config))
        try:
            self._scripts = self._scripts or self._dependencies.runner()
            return await self._scripts.run(files, given, host, output, self._stop_waiting)
        except ScriptError as failure:
            stack = failure.stack or None
            if failure.code in _CODES and failure.code != ErrorCode.ACTION_FAILED:
                raise WireError(ErrorCode(failure.code), str(failure), stack=stack) from None
            raise ActionFailed(f"the script failed: {failure}", stack=stack) from None

    async def _perform(self, job: JobRun) -> bytes:
        async with self._dependencies.job_slots:
            self._stop_waiting()
            return await self._dependencies.perform(job)

    def _stop_waiting(self) -> None:
        self._waiting.discard(asyncio.current_task())

    async def _end(self, run: JobRun, started: StoredRun, status: RunStatus, outcome: Outcome) -> None:
        ended = self._ended(started, status, outcome)
        self._log(ended, outcome.error)
        writing = self._store_end(ended)
        if started.kind == "manual":  # what comes out of the queue is stored together with its job's end, not before it
            await asyncio.shield(writing)
        _emit(run, ended)

    def _store_end(self, ended: StoredRun) -> "asyncio.Future[None]":
        writing = asyncio.ensure_future(self._task_runs.end(ended))
        self._pending_writes.add(writing)
        writing.add_done_callback(self._on_written)
        return writing

    def _ended(self, started: StoredRun, status: RunStatus, outcome: Outcome) -> StoredRun:
        return replace(started, ended=self._clock.now(), status=status, outcome=encode(outcome))

    def _log(self, ended: StoredRun, error: ErrorDetail | None) -> None:
        """One line for the end of a run. A script's own words may be a secret: only the error's code is in it."""
        log_work(
            "task",
            task=ended.task,
            run=ended.id,
            trigger=ended.kind,
            status=ended.status,
            seconds=round((ended.ended or ended.started) - ended.started, 3),
            error=error.code.value if error else None,
        )

    def _since(self, start: float) -> int:
        return round((self._clock.monotonic() - start) * 1000)

    def _on_written(self, writing: "asyncio.Future[None]") -> None:
        self._pending_writes.discard(writing)
        if not writing.cancelled():
            writing.exception()  # the store is closed already, and the run stays recorded as running


def _emit(run: JobRun, ended: StoredRun) -> None:
    if run.emit:
        run.emit("task_run", to_task_run(ended))


def to_task_run(run: StoredRun) -> TaskRun:
    """A noted run as parents see it."""
    outcome = _outcome(run.outcome) if run.outcome else Outcome()
    ended = run.outcome is not None
    return TaskRun(
        run=run.id,
        task=run.task,
        trigger=cast(Trigger, run.kind),
        status=cast(RunStatus, run.status),
        due=None if run.due is None else rfc3339(run.due),
        started=rfc3339(run.started),
        duration_ms=outcome.duration_ms if ended else None,
        result=json.loads(outcome.result),
        error=outcome.error,
        output=outcome.output,
        cut=outcome.cut,
    )


def _outcome(document: bytes) -> Outcome:
    try:
        return decode_stored(Outcome, document)
    except NotJson:
        return Outcome(error=CorruptRecord("the stored outcome can't be read by this version").detail)


def _truncate_result(result: Any) -> tuple[Raw, bool]:
    """The stored part of a result as JSON, and whether it was truncated."""
    if isinstance(result, str):
        text = result[:MAX_RESULT_CHARS]
        return Raw(encode(text)), len(text) < len(result)
    encoded = encode(result)
    if len(encoded) > MAX_RESULT_CHARS:
        return Raw(b"null"), True
    return Raw(encoded), False
