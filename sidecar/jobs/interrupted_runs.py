"""Final updates of runs whose process died, sent once by another process."""

import logging
from collections.abc import Awaitable, Callable
from typing import Final

from sidecar_protocol.codec import NotJson
from sidecar_protocol.decoding import decode_stored
from sidecar_protocol.encoding import encode

from sidecar.clock import Clock
from sidecar.errors import NotFound, SidecarError
from sidecar.jobs.update_messages import RunSnapshot, WebhookMessage, mark_interrupted, to_outbox, webhook_messages
from sidecar.storage.open_runs import OpenRun, OpenRuns

log = logging.getLogger(__name__)

INTERRUPTED: Final = "the run was interrupted: its sidecar died"
CANCELLED: Final = "the run was cancelled: its sidecar died"
ELSEWHERE: Final = "elsewhere"
"""The status of a run whose end another machine has reported."""
SCAN_SECONDS: Final = 15.0
"""Seconds between two scans for interrupted runs."""


class InterruptedRuns:
    """Records the last update of every open run, and reports the end of runs whose process died."""

    def __init__(self, runs: OpenRuns, process: Callable[[], str], clock: Clock, *, fleet: bool) -> None:
        """`process` returns this process's id in the store; it may raise StoreFailed.

        In a fleet, a queued job that is no longer pending was run by another machine, which has reported its end. The
        queue may have forgotten it since: results are kept for `SIDECAR_RESULTS_TTL`.
        """
        self._fleet = fleet
        self._sleep = clock.sleep
        self._runs = runs
        self._process = process
        self._now = clock.now

    def record(self, run: str, snapshot: RunSnapshot | None, *, queued: bool) -> None:
        """Stores the last update of a run; None for a run whose end was reported. Raises StoreFailed.

        `queued`: the run is that of a job in the queue, so it is stored again until it is on disk.
        """
        if snapshot is None:
            self._runs.close(run, until_stored=queued)
        else:
            document = encode(snapshot.replace(queued=queued))
            self._runs.save(OpenRun(run, self._process(), document), until_stored=queued)

    async def watch(self, is_alive: Callable[[str], bool], status: Callable[[str], Awaitable[str]]) -> None:
        """Reports again and again, until it is cancelled. For the arguments see `report`."""
        while True:
            try:
                await self.report(is_alive, status)
            except SidecarError as failure:
                log.warning("could not look for interrupted runs: %s", failure)
            await self._sleep(SCAN_SECONDS)

    async def report(self, is_alive: Callable[[str], bool], status: Callable[[str], Awaitable[str]]) -> None:
        """Sends the final update of each run whose process is dead, in one transaction with the end of its record.

        `status` returns the status of a run's job, or raises NotFound. A pending job runs again and reports its own
        end. Raises StoreFailed.
        """
        for run in self._runs.fetch_all():
            if is_alive(run.owner):
                continue
            snapshot = _decode(run)
            queued = snapshot is not None and snapshot.queued
            known = await self._status(run.id.partition(".")[0], status, queued)  # a script's jobs: its id and a number
            if known != "pending":
                messages = [] if known == ELSEWHERE or snapshot is None else self._messages(snapshot, known)
                await self._runs.end(run, [to_outbox(one) for one in messages])

    async def _status(self, job_id: str, status: Callable[[str], Awaitable[str]], queued: bool) -> str:
        try:
            found = await status(job_id)
        except NotFound:
            return ELSEWHERE if self._fleet and queued else ""
        return ELSEWHERE if self._fleet and found != "pending" else found

    def _messages(self, snapshot: RunSnapshot, known: str) -> list[WebhookMessage]:
        reason = CANCELLED if known == "cancelled" else INTERRUPTED
        return webhook_messages(mark_interrupted(snapshot, reason), self._now())


def _decode(run: OpenRun) -> RunSnapshot | None:
    try:
        return decode_stored(RunSnapshot, run.document)
    except NotJson:
        log.warning("the snapshot of run %s can't be read; no final update is sent", run.id)
        return None
