"""References that live as long as the process: before a login, and in mock mode."""

from sidecar.clock import Clock


class MemoryReferences:
    """Reference -> Unix time at which it expires."""

    def __init__(self, clock: Clock) -> None:
        self._now = clock.now
        self._expires: dict[str, float] = {}

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
        """The same: nobody shares them."""
        return self.has(reference)

    def remember(self, reference: str, ttl: float) -> None:
        """Remembers it for so many seconds from now; a later call wins."""
        self._expires[reference] = self._now() + ttl
