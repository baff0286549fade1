"""One CV on its way: once for each reference, to every server, byte for byte."""

import asyncio
from typing import Any

import msgspec
from sidecar_protocol.codec import NOTHING
from sidecar_protocol.cvs import reference_of

from sidecar.rtcv.login import LONG_TTL, LoginContext


class ReferenceLocks:
    """The references that are being sent right now: who comes second waits for the first."""

    def __init__(self) -> None:
        self._ends: dict[str, asyncio.Event] = {}

    async def enter(self, reference: str) -> None:
        """Returns when nobody else is inside with the same reference. `leave` has to follow."""
        while end := self._ends.get(reference):
            await end.wait()
        self._ends[reference] = asyncio.Event()

    def leave(self, reference: str) -> None:
        """Lets the next one in."""
        self._ends.pop(reference).set()


async def send_cv(parts: LoginContext, in_progress: ReferenceLocks, content: msgspec.Raw) -> Any:
    """Sends a CV unless its reference is cached; remembers the reference if the CV matched."""
    reference = reference_of(content)
    await in_progress.enter(reference)
    try:
        return await deliver(parts, reference, content)
    finally:
        in_progress.leave(reference)


async def deliver(parts: LoginContext, reference: str, content: msgspec.Raw) -> Any:
    """The same for who is inside with this reference already."""
    backend, references = parts.backend, parts.references
    if await references.known(reference):
        return NOTHING
    matched = await backend.scan_cv(bytes(content))
    if matched:
        references.remember(reference, LONG_TTL)
    return matched
