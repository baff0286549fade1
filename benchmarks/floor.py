"""The plainest possible loop that answers the same lines: asyncio, orjson, a pydantic union, one dict.

It has no ids, no limits, no order to keep, no store and no errors. What the sidecar is compared with.
"""

import asyncio
import os
import sys
import time
from typing import Annotated, Any, Literal

import orjson
from pydantic import BaseModel, Field, TypeAdapter

KEEP_SECONDS = 3 * 24 * 3600.0


class Ping(BaseModel):
    """The request for a `pong`."""

    type: Literal["ping"]


class SetReference(BaseModel):
    """The request to remember a reference."""

    type: Literal["set_cached_reference"]
    content: str


class HasReference(BaseModel):
    """The request to look up a reference."""

    type: Literal["has_cached_reference"]
    content: str


class SetMock(BaseModel):
    """A message that is accepted and ignored."""

    type: Literal["set_mock"]
    content: dict[str, Any]


class SendCv(BaseModel):
    """A CV, answered as in mock mode: it matches, and is remembered."""

    type: Literal["send_cv"]
    content: dict[str, Any]


Message = Annotated[Ping | SetReference | HasReference | SetMock | SendCv, Field(discriminator="type")]
MESSAGE: TypeAdapter[Message] = TypeAdapter(Message)


def answer(message: Message, references: dict[str, float]) -> bytes:
    """The reply line of one message."""
    if isinstance(message, Ping):
        return b'{"type":"pong"}\n'
    if isinstance(message, SetReference):
        references[message.content] = time.time() + KEEP_SECONDS
        return b'{"type":"ok"}\n'
    if isinstance(message, HasReference):
        known = references.get(message.content, 0.0) > time.time()
        return orjson.dumps({"type": "ok", "content": known}) + b"\n"
    if isinstance(message, SendCv):
        references[message.content["referenceNumber"]] = time.time() + KEEP_SECONDS
        return orjson.dumps({"type": "ok", "content": True}) + b"\n"
    return b'{"type":"ok"}\n'


def write(data: bytes) -> None:
    """Writes all of it to stdout."""
    while data:
        data = data[os.write(1, data) :]


async def main() -> None:
    """Reads until the end of stdin, answers each batch of lines with one write."""
    reader = asyncio.StreamReader(limit=1 << 26)
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    write(b'{"type":"ready","content":"waiting for credentials"}\n')
    references: dict[str, float] = {}
    rest = b""
    while data := await reader.read(1 << 20):
        lines = (rest + data).split(b"\n")
        rest = lines.pop()
        write(b"".join(answer(MESSAGE.validate_python(orjson.loads(line)), references) for line in lines))


if __name__ == "__main__":
    asyncio.run(main())
