"""The end of runs whose process has died, as another process of a fleet reports it. The queue is played."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sidecar_protocol.updates import ApplicationContext, JobUpdate, TaskState

from sidecar.encryption import Encryptor
from sidecar.errors import NotFound
from sidecar.jobs.interrupted_runs import InterruptedRuns
from sidecar.jobs.update_messages import RunSnapshot
from sidecar.storage.database import Database
from sidecar.storage.open_runs import OpenRuns
from sidecar.storage.outbox import Outbox
from tests.clocks import ManualClock

UPDATE = JobUpdate(
    job_name="job",
    job_reference="0" * 64,
    run_reference="r",
    factfile="",
    application_context=ApplicationContext(version="1"),
    run_state="RUNNING",
    start_time="2026-01-01T00:00:00Z",
    run_duration="PT0S",
    task_states=(TaskState(task_name="s", state="RUNNING"),),
)
SNAPSHOT = RunSnapshot(started=0.0, number=2, endpoints=(("e", "factotum", 100),), update=UPDATE)


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    """An empty one."""
    database = await Database.open(tmp_path / "sidecar.db")
    yield database
    await database.close()


@pytest.mark.parametrize(
    ("queued", "fleet", "known", "states"),
    [
        (True, True, None, []),
        (True, True, "complete", []),
        (True, True, "cancelled", []),
        (False, True, None, ["FAILED"]),
        (True, False, None, ["FAILED"]),
        (True, False, "cancelled", ["FAILED"]),
    ],
)
async def test_one_process_reports_an_end(
    database: Database, queued: bool, fleet: bool, known: str | None, states: list[str]
) -> None:
    """In a fleet a job of the queue ends elsewhere, and may be forgotten there before its first machine is back."""
    clock = ManualClock().clock
    outbox = Outbox(database, clock)
    open_runs = OpenRuns(database, outbox, Encryptor())

    async def status(_: str) -> str:
        if known is None:
            raise NotFound("there is no such job")
        return known

    InterruptedRuns(open_runs, lambda: "dead", clock, fleet=fleet).record("r", SNAPSHOT, queued=queued)
    await database.flush()
    await InterruptedRuns(open_runs, lambda: "alive", clock, fleet=fleet).report(lambda _: False, status)
    sent = [json.loads(outbox.body(one.number) or b"")["data"]["runState"] for one in outbox.due("e", 9)]
    assert sent == states
    assert open_runs.fetch_all() == []
