"""Large jobs: what takes time in proportion to a job's actions runs in a thread, so that other requests go on."""

import asyncio
from collections.abc import Callable
from typing import Any, Final, TypeVar

from sidecar_protocol.jobs import SendJob

T = TypeVar("T")

_MOST_CHARACTERS: Final = 20_000
"""Characters of actions that are searched for secrets, or planned, in some milliseconds."""
_CHARACTERS_PER_VALUE: Final = 100
"""A value of an action counts as this many characters, in addition to its own."""


def is_large(job: object) -> bool:
    """Whether searching a job's actions would keep the event loop from other requests.

    The job is a SendJob, plain values, or JSON as bytes.
    """
    room = _MOST_CHARACTERS
    values: list[Any] = [step.actions for step in job.steps] if isinstance(job, SendJob) else [job]
    while values and room > 0:
        value = values.pop()
        room -= _CHARACTERS_PER_VALUE
        if isinstance(value, str | bytes):
            room -= len(value)
        elif isinstance(value, dict):
            values.extend(value.values())
        elif isinstance(value, list | tuple):
            values.extend(value)
    return room <= 0


async def off_loop(job: object, work: Callable[[], T]) -> T:
    """The result of work on a job's actions, done in a thread if the job is large; see `is_large`.

    Raises what the work raises.
    """
    return await asyncio.to_thread(work) if is_large(job) else work()
