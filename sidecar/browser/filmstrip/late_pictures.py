"""When the last page of a job may still be photographed that has its result: in a lull, or for a share of the time.

The next job may be there already, and a picture takes a tenth of a second of a processor from it.
"""

import asyncio
from collections.abc import Callable
from typing import Final
from weakref import WeakSet

from sidecar.clock import within

LULL_SECONDS: Final = 0.03
"""Without a job that runs or begins: a picture holds up nothing then."""
SHARE: Final = 0.02
"""Of the session's time, that pictures may take while other jobs run."""
MAX_SAVED: Final = 0.15
"""Seconds that may be saved up for pictures: the first jobs of a session have theirs, and those after a rest."""


class LatePictures:
    """One for all jobs of a session."""

    def __init__(self, now: Callable[[], float]) -> None:
        """`now` gives monotonic seconds."""
        self._now = now
        self._running: WeakSet[object] = WeakSet()
        self._begun = asyncio.Event()
        self._saved = MAX_SAVED
        self._saved_at = now()

    def job_begins(self, job: object) -> None:
        """A job begins; `job` is anything that lives as long as it runs."""
        self._running.add(job)
        self._begun.set()

    def job_ends(self, job: object) -> None:
        """A job has its result, or has failed."""
        self._running.discard(job)

    async def may_be_taken(self) -> bool:
        """Whether a picture may be taken now, after the lull that it has waited for."""
        if not self._running:
            self._begun.clear()
            try:
                async with within(LULL_SECONDS):
                    await self._begun.wait()
            except TimeoutError:
                return True
        now = self._now()
        self._saved = min(self._saved + SHARE * (now - self._saved_at), MAX_SAVED)
        self._saved_at = now
        return self._saved > 0

    def took(self, seconds: float) -> None:
        """Notes what a picture has taken."""
        self._saved = max(self._saved - seconds, -MAX_SAVED)
