"""Sends CVs, with or without their PDF: once for each reference, to every server, byte for byte."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from sidecar_protocol.codec import NO_CONTENT
from sidecar_protocol.cvs import CvsListReply, list_of, reference_of
from sidecar_protocol.wire_types import Raw

from sidecar.rtcv.documents import CvDocument
from sidecar.rtcv.login import LONG_TTL, LoginContext, References


class ReferenceLocks:
    """A lock for each reference that is being sent."""

    def __init__(self) -> None:
        self._held: dict[str, asyncio.Event | None] = {}
        """The event that wakes waiters of a lock, if there are any."""

    def try_acquire(self, reference: str) -> bool:
        """Takes the lock of a reference if it is free. `release` must follow."""
        if reference in self._held:
            return False
        self._held[reference] = None
        return True

    async def acquire(self, reference: str) -> None:
        """Waits for the lock of a reference. `release` must follow."""
        while not self.try_acquire(reference):
            released = self._held[reference] = self._held[reference] or asyncio.Event()
            await released.wait()

    @asynccontextmanager
    async def held(self, reference: str) -> AsyncIterator[None]:
        """Holds the lock of a reference for as long as the block lasts."""
        await self.acquire(reference)
        try:
            yield
        finally:
            self.release(reference)

    def release(self, reference: str) -> None:
        """Releases the lock of a reference."""
        if released := self._held.pop(reference):
            released.set()


async def send_cv(
    login: LoginContext, reference_locks: ReferenceLocks, content: Raw, *, until_stored: bool = False
) -> Any:
    """Sends a CV unless its reference is cached; remembers the reference if the CV matched.

    `until_stored` where no reply would say that it could not be stored.
    """
    reference = reference_of(content)
    if not reference_locks.try_acquire(reference):
        await reference_locks.acquire(reference)
    try:
        return await deliver(login, reference, content, until_stored=until_stored)
    finally:
        reference_locks.release(reference)


async def send_full_cv(
    login: LoginContext, reference_locks: ReferenceLocks, document: CvDocument, *, until_stored: bool = False
) -> Any:
    """Does the same with a CV and its PDF."""
    reference = document.reference
    async with reference_locks.held(reference):
        backend, references = login.backend, login.references
        if await references.known(reference):
            return NO_CONTENT
        matched = await backend.scan_document(document)
        return _remembered(references, reference, matched, until_stored=until_stored)


async def send_cvs_list(login: LoginContext, content: Raw) -> CvsListReply:
    """Sends a list of CVs, each reference once, without those that have none."""
    given = list_of(content)
    backend = login.backend
    if given.cvs:
        await backend.post_cvs(given.body)
    return CvsListReply(sent=len(given.cvs), duplicates=given.duplicates, without_reference=given.without_reference)


async def deliver(login: LoginContext, reference: str, content: Raw, *, until_stored: bool = False) -> Any:
    """Sends a CV whose reference lock is held."""
    backend, references = login.backend, login.references
    if await references.known(reference):
        return NO_CONTENT
    return _remembered(references, reference, await backend.scan_cv(bytes(content)), until_stored=until_stored)


def _remembered(references: References, reference: str, matched: bool, *, until_stored: bool) -> bool:
    """Whether a CV matched, in which case its reference is remembered."""
    if matched:
        references.remember(reference, LONG_TTL, until_stored=until_stored)
    return matched
