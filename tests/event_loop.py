"""Where work is done: on the event loop's thread, or in another one.

CPU time of threads, no wall time: other processes of the machine change neither of the two.
"""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from time import process_time, thread_time
from typing import Any, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class LoopUse:
    """How much of some work was done on the event loop."""

    longest_turn: float
    """CPU seconds of the loop's longest turn: so long all others had to wait."""
    elsewhere: float
    """CPU seconds of the process's other threads."""

    @property
    def is_left_to_others(self) -> bool:
        """Whether the work is done in another thread, but for a small part of it."""
        return self.longest_turn < self.elsewhere / 4


async def watched(work: Coroutine[Any, Any, T]) -> tuple[T, LoopUse]:
    """The outcome of some work, and what it did to the event loop. Raises what the work raises."""
    longest = 0.0
    began, elsewhere = thread_time(), process_time() - thread_time()
    task = asyncio.ensure_future(work)
    while not task.done():
        await asyncio.sleep(0)
        now = thread_time()
        longest, began = max(longest, now - began), now
    return await task, LoopUse(longest, process_time() - thread_time() - elsewhere)
