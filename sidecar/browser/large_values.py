"""Large values of pages: a thread decodes them, so that the event loop goes on. A value of 100,000 parts takes 0.5 s.

Playwright decodes a value in four passes on the event loop. For a call by `take`, the transport makes the first two of
them in a thread, and the value comes as a LargeValue, into which the others don't look.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Any, Final, TypeVar

from playwright._impl._js_handle import parse_value

T = TypeVar("T")

LARGE: Final = 1 << 16
"""Bytes of an answer from which its value counts as large."""
_are_taken: Final = ContextVar("are_taken", default=False)


class LargeValue:
    """A value that was decoded in a thread, in the types of Playwright's `evaluate`."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value


async def take(call: Callable[[], Awaitable[T]]) -> T | LargeValue:
    """The value of a call that returns a page's value; a LargeValue if it is large. Raises what the call raises."""
    token = _are_taken.set(True)
    try:
        return await call()
    finally:
        _are_taken.reset(token)


def are_taken() -> bool:
    """Whether the caller takes large values."""
    return _are_taken.get()


async def converted(value: Any, convert: Callable[[Any], T]) -> T:
    """What `convert` makes of a value; of a large one in a thread. Raises what it raises."""
    return await asyncio.to_thread(convert, value.value) if isinstance(value, LargeValue) else convert(value)


def decode_answer(answer: bytes, decode: Callable[[bytes], Any]) -> Any:
    """An answer of the driver, its value decoded; one without a value as it is."""
    decoded = decode(answer)
    result = decoded.get("result")
    if isinstance(result, dict) and "value" in result:
        result["value"] = LargeValue(parse_value(result["value"]))
    return decoded
