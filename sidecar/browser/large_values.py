"""Large values of pages: a thread encodes and decodes them, so that the event loop goes on. One of 100,000 parts takes
0.5 s.

Playwright decodes a value in four passes on the event loop. For a call by `evaluate`, the transport makes the first two
of them in a thread, and the value comes as a LargeValue, into which the others don't look. A large argument is encoded
before the call, and a text stands for it in Playwright's own encoding, until the transport puts it there.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar
from typing import Any, Final, Self, TypeVar

from playwright._impl._impl_to_api_mapping import ImplToApiMapping
from playwright._impl._js_handle import parse_value, serialize_argument

T = TypeVar("T")

LARGE: Final = 1 << 16
"""Bytes of an answer from which its value counts as large."""
_MANY_PARTS: Final = 1_000
"""Parts of an argument from which it counts as large; of a text each 1,000 characters are one."""
_STAND_IN: Final = "a large argument"
_ENCODED_STAND_IN: Final = json.dumps({"s": _STAND_IN}).encode()
"""As Playwright encodes the text. No text of a message contains it: its quotation marks would be escaped."""
_API: Final = ImplToApiMapping()
_are_taken: Final = ContextVar("are_taken", default=False)


class LargeValue:
    """A value that was decoded in a thread, in the types of Playwright's `evaluate`."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value


class LargeArgument(str):
    """An argument that was encoded in a thread: the text that stands for it in a call."""

    encoded: bytes

    @classmethod
    def of(cls, encoded: bytes) -> Self:
        """Stands for this argument, in Playwright's encoding."""
        made = cls(_STAND_IN)
        made.encoded = encoded
        return made


async def encoded(arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    """The arguments of a call that runs a page's script, `arg` encoded if it is large."""
    argument = arguments.get("arg")
    data = await asyncio.to_thread(_encode, argument) if _is_large(argument) else None
    return {**arguments, "arg": LargeArgument.of(data)} if data else arguments


async def evaluate(call: Callable[..., Awaitable[T]], arguments: Mapping[str, Any]) -> T | LargeValue:
    """The value of a call that returns a page's value; a LargeValue if it is large. Raises what the call raises."""
    token = _are_taken.set(True)
    try:
        return await call(**arguments)
    finally:
        _are_taken.reset(token)


def are_taken() -> bool:
    """Whether the caller takes large values."""
    return _are_taken.get()


async def converted(value: Any, convert: Callable[[Any], T]) -> T:
    """What `convert` makes of a value; of a large one in a thread. Raises what it raises."""
    return await asyncio.to_thread(convert, value.value) if isinstance(value, LargeValue) else convert(value)


def put_argument(message: Mapping[str, Any], encoded: bytes) -> bytes:
    """A call's encoded message, with the argument in the place of the text that stands for it."""
    argument = message.get("params", {}).get("arg")
    text = argument["value"].get("s") if isinstance(argument, dict) and isinstance(argument.get("value"), dict) else ""
    return encoded.replace(_ENCODED_STAND_IN, text.encoded, 1) if isinstance(text, LargeArgument) else encoded


def decode_answer(answer: bytes, decode: Callable[[bytes], Any]) -> Any:
    """An answer of the driver, its value decoded; one without a value as it is."""
    decoded = decode(answer)
    result = decoded.get("result")
    if isinstance(result, dict) and "value" in result:
        result["value"] = LargeValue(parse_value(result["value"]))
    return decoded


def _is_large(argument: Any) -> bool:
    """Whether an argument has many parts; looks at no more of them than it has to."""
    if not isinstance(argument, str | list | tuple | dict):
        return False
    parts, row = 0, [argument]
    while row and parts < _MANY_PARTS:
        parts += len(row)
        inner: list[Any] = []
        for one in row:
            if isinstance(one, str):
                parts += len(one) // 1_000
            elif isinstance(one, dict):
                inner += one.values()
            elif isinstance(one, list | tuple):
                inner += one
        row = inner
    return parts >= _MANY_PARTS


def _encode(argument: Any) -> bytes | None:
    """An argument in Playwright's encoding; None for one with handles, which the call itself has to pass on."""
    made = serialize_argument(_API.to_impl(argument))
    return None if made["handles"] else json.dumps(made["value"], allow_nan=False).encode()
