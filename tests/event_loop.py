"""How often others have their turn on the event loop."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

MOST_TURNS = 50
"""More turns of the event loop than work takes that is done on it."""


async def counted(work: Coroutine[Any, Any, T]) -> tuple[T, int]:
    """The outcome of some work, and how many turns the event loop made meanwhile. Raises what the work raises."""
    turns = 0
    task = asyncio.ensure_future(work)
    while not task.done():
        turns += 1
        await asyncio.sleep(0)
    return await task, turns
