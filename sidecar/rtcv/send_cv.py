"""Sends CVs: once for each reference, to every server, byte for byte."""

import asyncio
from typing import Any

from sidecar_protocol.codec import NO_CONTENT
from sidecar_protocol.cvs import reference_of
from sidecar_protocol.wire_types import Raw

from sidecar.rtcv.login import LONG_TTL, LoginContext


class ReferenceLocks:
    """A lock for each reference that is being sent."""

    def __init__(self) -> None:
        self._held: dict[str, asyncio.Event] = {}

    async def acquire(self, reference: str) -> None:
        """Waits for the lock of a reference. `release` must follow."""
        while released := self._held.get(reference):
            await released.wait()
        self._held[reference] = asyncio.Event()

    def release(self, reference: str) -> None:
        """Releases the lock of a reference."""
        self._held.pop(reference).set()


async def send_cv(
    login: LoginContext, reference_locks: ReferenceLocks, content: Raw, *, until_stored: bool = False
) -> Any:
    """Sends a CV unless its reference is cached; remembers the reference if the CV matched.

    `until_stored` where no reply would say that it could not be stored.
    """
    reference = reference_of(content)
    await reference_locks.acquire(reference)
    try:
        return await deliver(login, reference, content, until_stored=until_stored)
    finally:
        reference_locks.release(reference)


async def deliver(login: LoginContext, reference: str, content: Raw, *, until_stored: bool = False) -> Any:
    """Sends a CV whose reference lock is held."""
    backend, references = login.backend, login.references
    if await references.known(reference):
        return NO_CONTENT
    matched = await backend.scan_cv(bytes(content))
    if matched:
        references.remember(reference, LONG_TTL, until_stored=until_stored)
    return matched
