"""Final updates of runs whose process died, sent once by another process."""

import logging
from collections.abc import Awaitable, Callable
from typing import Final

from sidecar_protocol.codec import NotJson
from sidecar_protocol.decoding import decode_stored
from sidecar_protocol.encoding import encode

from sidecar.clock import Clock
from sidecar.jobs.run_updates import RunSnapshot, WebhookMessage, mark_interrupted, to_outbox, webhook_messages
from sidecar.storage.open_runs import OpenRun, OpenRuns

log = logging.getLogger(__name__)

INTERRUPTED: Final = "the run was interrupted: its sidecar died"
CANCELLED: Final = "the run was cancelled: its sidecar died"
ELSEWHERE: Final = "elsewhere"
"""The status of a run whose end somebody else has told."""


class InterruptedRuns:
    """Notes what is told of runs, and tells the end of those that nobody goes on with."""

    def __init__(self, runs: OpenRuns, process: Callable[[], str], clock: Clock) -> None:
        """`process` is what other processes of this store know this one by. Raises StoreFailed."""
        self._runs = runs
        self._process = process
        self._now = clock.now

    def record(self, run: str, snapshot: RunSnapshot | None, *, until_stored: bool) -> None:
        """Keeps what was told last, or forgets a run whose end was. Raises StoreFailed."""
        if snapshot is None:
            self._runs.close(run, until_stored=until_stored)
        else:
            self._runs.save(OpenRun(run, self._process(), encode(snapshot)), until_stored=until_stored)

    async def report(self, is_alive: Callable[[str], bool], status: Callable[[str], Awaitable[str]]) -> None:
        """Tells of the runs of the dead, each in one transaction with the note that it is told.

        `status` gives that of the queue's job of a run, empty where there is none: one that is pending is done again,
        and tells its end itself. Raises StoreFailed.
        """
        for run in self._runs.fetch_all():
            if is_alive(run.owner):
                continue
            known = await status(run.id.partition(".")[0])  # a script's jobs bear the id of its run, and a number
            if known != "pending":
                await self._end(run, known)

    async def _end(self, run: OpenRun, known: str) -> None:
        messages = [] if known == ELSEWHERE else self._messages(run, CANCELLED if known == "cancelled" else INTERRUPTED)
        await self._runs.end(run, [to_outbox(one) for one in messages])

    def _messages(self, run: OpenRun, reason: str) -> list[WebhookMessage]:
        try:
            return webhook_messages(mark_interrupted(decode_stored(RunSnapshot, run.document), reason), self._now())
        except NotJson:
            log.warning("the snapshot of run %s can't be read; no final update is sent", run.id)
            return []
