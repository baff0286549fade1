"""Reports work that is no browser job as a job of one step."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from sidecar_protocol.codec import NO_CONTENT
from sidecar_protocol.jobs import SendJob, Step, StepResult

from sidecar.clock import Clock
from sidecar.errors import error_detail
from sidecar.jobs.run_service import STOPPED
from sidecar.jobs.run_updates import RunListeners, RunUpdates
from sidecar.queue.submission import JobRun

T = TypeVar("T")


async def report_as_step(
    run: JobRun, step: str, listeners: RunListeners, clock: Clock, work: Callable[[], Awaitable[T]]
) -> T:
    """Returns the result of `work`; reports its start and end to the listeners as a run of one step."""
    job = SendJob(steps=(Step(url=f"sidecar:{step}", name=step),))
    updates = RunUpdates(job, run.id, listeners, clock, str, run.name or step)
    updates.on_started()
    updates.on_step_started(0)
    start = clock.monotonic()
    try:
        value = await work()
    except BaseException as failure:
        updates.on_step_failed(0, (), ())
        stopped = isinstance(failure, asyncio.CancelledError)
        updates.failed(STOPPED if stopped else error_detail(failure).message, will_retry=run.will_retry(failure))
        raise
    updates.on_step_ended(0, _result(step, None if value is NO_CONTENT else value, clock.monotonic() - start))
    updates.succeeded()
    return value


def _result(step: str, value: Any, seconds: float) -> StepResult:
    return StepResult(
        name=step,
        url=f"sidecar:{step}",
        status=None,
        title="",
        duration_ms=round(seconds * 1000),
        values=(value,),
        console=(),
        errors=(),
    )
