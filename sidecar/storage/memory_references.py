"""References in memory: before a login, and in mock mode."""

from typing import Final

from sidecar.clock import Clock

FIRST_SWEEP: Final = 10_000
"""The number of references at which expired ones are first deleted; again whenever it has doubled."""


class MemoryReferences:
    """Reference -> Unix time at which it expires."""

    def __init__(self, clock: Clock) -> None:
        self._now = clock.now
        self._expires: dict[str, float] = {}
        self._sweep_at = FIRST_SWEEP

    def has(self, reference: str) -> bool:
        """Whether the reference is remembered and has not expired."""
        expires = self._expires.get(reference)
        if expires is None:
            return False
        if expires > self._now():
            return True
        del self._expires[reference]
        return False

    async def known(self, reference: str) -> bool:
        """Whether the reference is remembered; no other process has them."""
        return self.has(reference)

    def remember(self, reference: str, ttl: float, *, until_stored: bool = False) -> None:  # noqa: ARG002
        """Remembers a reference for `ttl` seconds from now; a later call replaces it."""
        self._expires[reference] = self._now() + ttl
        if len(self._expires) >= self._sweep_at:
            self._sweep()

    def _sweep(self) -> None:
        now = self._now()
        self._expires = {reference: expires for reference, expires in self._expires.items() if expires > now}
        self._sweep_at = max(FIRST_SWEEP, 2 * len(self._expires))
