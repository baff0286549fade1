"""Tasks: when they run, when they don't, and what is told of it."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from sidecar_protocol.encoding import encode
from sidecar_protocol.errors import WireError
from sidecar_protocol.job_status import JobStatus
from sidecar_protocol.tasks import ListTaskRuns, ListTasks, TaskRef
from sidecar_protocol.wire_types import REDACTED

from sidecar.encryption import Encryptor
from sidecar.errors import (
    Conflict,
    CorruptRecord,
    DecryptionKeyMissing,
    InvalidContent,
    LimitExceeded,
    NotFound,
    StoreFailed,
)
from sidecar.storage.agenda import CORRUPT_RETRY_SECONDS
from sidecar.storage.database import Database
from sidecar.storage.task_runs import StoredRun
from sidecar.tasks import task_manager
from sidecar.wall_clock import rfc3339
from tests.clocks import ManualClock
from tests.sidecar.tasks.parts import Desk, Queue, read

START = 1_800_000_000
SECRET_JOB = {
    "steps": [{"url": "https://a.example/{{n}}", "actions": [{"fill": {"selector": "#p", "value": "typed-canary"}}]}],
    "cookies": [{"name": "c", "value": "cookie-canary", "domain": "a.example"}],
}


@pytest_asyncio.fixture
async def database() -> AsyncIterator[Database]:
    """In memory."""
    database = Database.in_memory()
    yield database
    await database.close()


@pytest.fixture
def desk(database: Database, tmp_path: Path) -> Desk:
    """One process's tasks."""
    return Desk(database, ManualClock(START), Queue(), tmp_path)


def slots(desk: Desk) -> list[int]:
    """The times that were handed to the queue, in seconds from the start."""
    return [int(key.rpartition(":")[2]) // 1000 - START for key in desk.keys]


# --- times


async def test_runs_come_at_init_and_every_interval_after_it(desk: Desk) -> None:
    """However late each is looked at: no drift."""
    await desk.make()
    await desk.pass_time(59.9)
    assert slots(desk) == []
    for late in (0.1, 10.4, 9.9, 9.9):
        await desk.pass_time(late)
        desk.queue.end_all()
    assert slots(desk) == [60, 70, 80, 90]
    (one, *_) = desk.queue.submissions
    assert (one.type, one.name, one.origin, one.webhooks, one.account_id) == (
        "run_task",
        "t",
        "task:t",
        "packed",
        "scope",
    )
    assert one.secret is False
    assert desk.changes == 1


async def test_a_job_is_planned_once(desk: Desk) -> None:
    """When the task is made; each run's own check is the job's."""
    await desk.make(script=None, job={"steps": [{"url": "https://a.example/{{n}}"}]}, config={"n": 7})
    assert desk.plans == 1
    assert b"https://a.example/7" in desk.records.job((await desk.stored())[1])
    assert desk.plans == 1


async def test_without_init_it_runs_at_once(desk: Desk) -> None:
    """And from then on at its interval."""
    await desk.make(init=None)
    await desk.on_due()
    desk.queue.end_all()
    await desk.pass_time(10)
    assert slots(desk) == [0, 10]


async def test_an_init_that_has_passed_gives_the_row_of_times(desk: Desk) -> None:
    """The first run is the next of them: those before the task was made are not made up for."""
    await desk.make(init=desk.at(-25))
    await desk.pass_time(4.9)
    assert slots(desk) == []
    await desk.pass_time(0.1)
    assert slots(desk) == [5]
    assert (await desk.status()).coalesced == 0


async def test_a_run_that_still_goes_on_has_the_next_skipped(desk: Desk) -> None:
    """And counted; the time after it is on time again."""
    await desk.make()
    await desk.pass_time(60)
    await desk.pass_time(10)
    await desk.pass_time(10)
    assert ((await desk.status()).skipped, (await desk.status()).busy) == (2, True)
    desk.queue.end_all()
    await desk.pass_time(10)
    assert slots(desk) == [60, 90]
    status = await desk.status()
    assert (status.skipped, status.coalesced, status.next_execution) == (2, 0, rfc3339(START + 100))


async def test_runs_missed_while_nothing_ran_become_one(desk: Desk) -> None:
    """The last of them; the others are counted."""
    await desk.make()
    await desk.pass_time(123)
    assert slots(desk) == [120]
    status = await desk.status()
    assert (status.coalesced, status.skipped, status.next_execution) == (6, 0, rfc3339(START + 130))


async def test_a_clock_set_forward_a_day_and_back_an_hour(desk: Desk) -> None:
    """One run for the jump; none twice; after the step back the row goes on where it was."""
    await desk.make(interval=600_000)
    await desk.pass_time(60)
    desk.queue.end_all()
    await desk.pass_time(86_400)
    desk.queue.end_all()
    assert slots(desk) == [60, 86_460]
    assert (await desk.status()).coalesced == 143
    await desk.pass_time(-3_600)
    assert slots(desk) == [60, 86_460]
    await desk.pass_time(4_200)
    assert slots(desk) == [60, 86_460, 87_060]


async def test_cron_runs_when_its_zone_shows_its_times(desk: Desk) -> None:
    """From its making on; the start is 09:00 in Amsterdam."""
    made = await desk.make(init=None, interval=None, cron="*/20 9-10 * * MON-FRI", zone="Europe/Amsterdam")
    assert (made.interval, made.cron, made.zone) == (None, "*/20 9-10 * * MON-FRI", "Europe/Amsterdam")
    assert (await desk.status()).next_execution == rfc3339(START + 1200)
    for _ in range(6):
        await desk.pass_time(1200)
        desk.queue.end_all()
    assert slots(desk) == [1200, 2400, 3600, 4800, 6000]
    assert (await desk.status()).next_execution == rfc3339(START + 3 * 86_400)  # Friday's are over


async def test_cron_without_a_zone_is_in_utc_and_begins_at_init(desk: Desk) -> None:
    """A time that is `init` itself counts."""
    made = await desk.make(interval=None, cron="@hourly", init=desk.at(7200))
    assert made.zone == "UTC"
    await desk.pass_time(7199)
    assert slots(desk) == []
    await desk.pass_time(1)
    assert slots(desk) == [7200]


async def test_cron_times_missed_while_nothing_ran_become_one(desk: Desk) -> None:
    """As those of an interval do: the last of them, at once; the others are counted."""
    await desk.make(init=None, interval=None, cron="*/10 * * * *")
    await desk.pass_time(86_400 + 123)
    assert slots(desk) == [86_400]
    status = await desk.status()
    assert (status.coalesced, status.skipped, status.next_execution) == (144, 0, rfc3339(START + 87_000))
    await desk.pass_time(-3_600)
    assert slots(desk) == [86_400]  # a clock that is set back repeats nothing
    await desk.pass_time(3_600 + 477)
    assert ((await desk.status()).skipped, slots(desk)) == (1, [86_400])  # the one before still goes on


async def test_cron_over_a_clock_change_runs_once_an_hour_shown_twice(database: Database, tmp_path: Path) -> None:
    """And not in an hour that is skipped."""
    spring = Desk(database, ManualClock(1_743_202_800), Queue(), tmp_path)  # 2025-03-29 00:00 in Amsterdam
    await spring.make(init=None, interval=None, cron="30 2 * * *", zone="Europe/Amsterdam")
    for _ in range(3 * 24):
        await spring.pass_time(3_600)
        spring.queue.end_all()
    assert [key.rpartition(":")[2] for key in spring.keys] == ["1743211800000", "1743381000000"]
    await spring.tasks.delete(TaskRef(id="t"))
    autumn = Desk(database, ManualClock(1_761_429_600), Queue(), tmp_path)  # 2025-10-26 00:00 in Amsterdam
    await autumn.make(init=None, interval=None, cron="*/30 2 * * *", zone="Europe/Amsterdam", running=True)
    for _ in range(48):
        await autumn.pass_time(900)
        autumn.queue.end_all()
    assert [key.rpartition(":")[2] for key in autumn.keys] == ["1761436800000", "1761438600000"]
    assert (await autumn.status()).coalesced == 0


async def test_interval_and_cron_take_each_others_place(desk: Desk) -> None:
    """A zone stays with its pattern; what was handed over under the old times does not hold back the new ones."""
    await desk.make(init=None)
    await desk.on_due()
    desk.queue.end_all()
    changed = await desk.update(cron="30 8 * * *")
    assert (changed.interval, changed.cron, changed.zone) == (None, "30 8 * * *", "UTC")
    assert (await desk.status()).next_execution == rfc3339(START + 1800)
    assert (await desk.update(zone="Europe/Amsterdam")).cron == "30 8 * * *"
    assert (await desk.status()).next_execution == rfc3339(START + 84_600)
    assert (await desk.update(cron="0 10 * * *")).zone == "Europe/Amsterdam"
    await desk.pass_time(3_600)
    assert slots(desk) == [0, 3_600]
    again = await desk.update(interval=60_000)
    assert (again.interval, again.cron, again.zone) == (60_000, None, None)


async def test_a_cron_that_this_machine_can_not_read_waits_for_one_that_can(desk: Desk) -> None:
    """A newer sidecar's pattern, a zone of a newer database: as any record that can't be read."""
    await desk.make(interval=None, cron="@hourly")
    item, record = await desk.stored()
    document = encode(record.replace(zone="Moon/Tranquility"))
    await desk.agenda.replace(item, document, START + 1)
    await desk.pass_time(2)
    assert slots(desk) == []
    left = await desk.agenda.get("t")
    assert left
    assert (left.document, left.due) == (document, START + 2 + CORRUPT_RETRY_SECONDS)


async def test_after_its_end_it_is_deleted(desk: Desk) -> None:
    """The time that is its end is its last run, which is left to end first."""
    await desk.make(end=desk.at(70))
    await desk.pass_time(60)
    desk.queue.end_all()
    await desk.pass_time(10)
    assert slots(desk) == [60, 70]
    assert (await desk.status()).next_execution is None
    await desk.pass_time(2)
    assert (await desk.status()).busy
    desk.queue.end_all()
    await desk.pass_time(5)
    with pytest.raises(NotFound, match="there is no task 't'"):
        await desk.status()
    assert await desk.agenda.next_due() is None


async def test_a_stopped_one_ends_too(desk: Desk) -> None:
    """Without a run."""
    await desk.make(running=False, end=desk.at(70))
    await desk.pass_time(71)
    assert slots(desk) == []
    with pytest.raises(NotFound):
        await desk.tasks.get(TaskRef(id="t"))


async def test_an_end_that_passed_while_nothing_ran_has_no_last_run(desk: Desk) -> None:
    """It is deleted."""
    await desk.make(end=desk.at(100))
    await desk.pass_time(200)
    assert slots(desk) == []


async def test_stop_and_start(desk: Desk) -> None:
    """Stopped it misses nothing; started it takes up its row."""
    await desk.make()
    stopped = await desk.tasks.set_running(TaskRef(id="t"), False)
    assert (stopped.running, stopped.next_execution) == (False, None)
    await desk.pass_time(95)
    assert slots(desk) == []
    started = await desk.tasks.set_running(TaskRef(id="t"), True)
    assert (started.running, started.next_execution) == (True, rfc3339(START + 100))
    await desk.pass_time(5)
    assert slots(desk) == [100]
    assert (await desk.status()).coalesced == 0


# --- several processes, and those that die


async def test_two_processes_hand_over_each_time_once(database: Database, tmp_path: Path) -> None:
    """Whoever is later finds the key taken."""
    time, queue = ManualClock(START), Queue()
    one, other = (Desk(database, time, queue, tmp_path, process=name) for name in ("one", "other"))
    await one.make()
    time.advance(60)
    (item,) = await other.agenda.due(time.time, 10)
    await one.on_due()
    await other.firing._process(item)  # what it read before the other was through
    assert slots(one) == [60]
    assert (await one.status()).skipped == 0


async def test_who_died_after_the_queue_took_it_is_made_up_for(desk: Desk) -> None:
    """The same key again: no second run."""
    await desk.make()
    desk.time.advance(60)
    _, document = await desk.stored()
    await desk.queue.submit(desk.firing._submission("t", document, (START + 60) * 1000))
    desk.queue.end_all()
    await desk.on_due()
    assert slots(desk) == [60]
    assert (await desk.stored())[1].fired == (START + 60) * 1000


async def test_a_queue_that_refuses_is_asked_again(desk: Desk) -> None:
    """The time is not lost."""
    await desk.make()
    desk.queue.refusal = StoreFailed("disk full", retryable=True)
    with pytest.raises(StoreFailed):
        await desk.pass_time(60)
    desk.queue.refusal = None
    await desk.pass_time(3)
    assert slots(desk) == [60]


async def test_what_only_another_process_can_open_is_left_to_it(database: Database, tmp_path: Path) -> None:
    """As long as it lives; after that it fails as a run, which says why."""
    time, queue = ManualClock(START), Queue()
    one, other = (Desk(database, time, queue, tmp_path, process=name) for name in ("one", "other"))
    other.alive = {"one", "other"}
    await one.make(script=None, job=SECRET_JOB, config={"n": 1})
    time.advance(60)
    await other.firing.on_due()
    assert slots(one) == []
    assert time.slept == [0.5]
    await one.on_due()
    assert slots(one) == [60]
    assert queue.submissions[0].secret is True
    queue.end_all()
    other.alive = {"other"}
    time.advance(10)
    await other.on_due()
    assert slots(one) == [60, 70]
    with pytest.raises(DecryptionKeyMissing):
        await other.tasks.run_now(TaskRef(id="t"), "", None)
    (run,) = (await other.tasks.runs(read_runs())).runs
    assert run.error
    assert (run.status, run.error.code) == ("failed", "missing_credentials")


def read_runs(**content: Any) -> Any:
    """Content of `list_task_runs`."""
    return read(ListTaskRuns, {"id": "t"} | content)


# --- messages


async def test_a_job_without_a_secret_is_shown_by_the_same_list(desk: Desk) -> None:
    """It lies in clear, and what follows a webhook's host is no more shown than that of a job with secrets."""
    steps = [{"url": "http://h", "actions": ["page.click('#a')"]}]
    job = {"steps": steps, "webhooks": ["https://hooks.example/T00/token"]}
    made = await desk.make(script=None, job=job)
    _, document = await desk.stored()
    assert (document.job, document.sealed_job) == (job, None)
    assert made.job == {**job, "webhooks": [f"https://hooks.example/{REDACTED}"]}


async def test_a_task_as_it_is_shown(desk: Desk) -> None:
    """Times in UTC; an id where none was given."""
    made = await desk.make(id=None, init="2030-01-31T12:00:00+02:00", end="2031-01-01", config={"a": {"b": [1]}})
    assert len(made.id) == 36
    assert (made.init, made.end, made.created) == ("2030-01-31T10:00:00Z", "2031-01-01T00:00:00Z", rfc3339(START))
    assert (made.script, made.job, made.running, made.interval) == ("a.js", None, True, 10_000)
    assert await desk.tasks.get(TaskRef(id=made.id)) == made


@pytest.mark.parametrize(
    ("content", "field"),
    [
        ({"script": None}, "script"),
        ({"job": {"steps": [{"url": "https://a.example"}]}}, "script"),
        ({"script": "/etc/passwd"}, "script"),
        ({"script": "../a.js"}, "script"),
        ({"script": "a/../../b.js"}, "script"),
        ({"script": "ftp://a.example/x.js"}, "script"),
        ({"script": "https://user:pass@a.example/x.js"}, "script"),
        ({"init": "soon"}, "init"),
        ({"end": "2020-01-01"}, "end"),
        ({"init": "2031-01-01", "end": "2030-01-01"}, "end"),
        ({"init": "9999-12-31T23:59:59Z"}, "init"),
        ({"script": None, "job": {"steps": []}}, "job.steps"),
        ({"script": None, "job": {"steps": [{"url": "https://a.example/{{x}}"}]}}, "job.steps[0].url"),
        ({"interval": None}, "interval"),
        ({"cron": "@daily"}, "interval"),
        ({"zone": "Europe/Amsterdam"}, "zone"),
        ({"interval": None, "cron": "@daily", "zone": "Europe/Nowhere"}, "zone"),
        ({"interval": None, "cron": "* * * *"}, "cron"),
        ({"interval": None, "cron": "0 0 30 2 *"}, "cron"),
        ({"interval": None, "cron": "* 2 8-14 3 +SUN", "zone": "America/New_York"}, "cron"),
        ({"interval": None, "cron": "0 0 1 1 *", "init": "2030-01-02", "end": "2030-12-31"}, "cron"),
        ({"interval": None, "cron": "@daily", "init": "9999-12-31T23:59:59Z"}, "cron"),
    ],
)
async def test_what_can_be_no_task(desk: Desk, content: dict[str, Any], field: str) -> None:
    """Is refused by its place, and nothing is kept."""
    with pytest.raises(WireError) as failed:
        await desk.make(**content)
    assert failed.value.details["field"] == field
    assert await desk.agenda.count() == 0


async def test_an_id_is_taken_once(desk: Desk) -> None:
    """The second is a conflict, whatever it holds."""
    await desk.make()
    with pytest.raises(Conflict, match="the task 't' already exists"):
        await desk.make(script="b.js")


async def test_there_is_a_most(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand; two of them here."""
    monkeypatch.setattr(task_manager, "MAX_TASKS", 2)
    await desk.make(id="a")
    await desk.make(id="b")
    with pytest.raises(LimitExceeded):
        await desk.make(id="c")


async def test_an_update_replaces_what_is_given(desk: Desk) -> None:
    """A config alone does not move the next time."""
    await desk.make(config={"a": 1}, end=desk.at(1000))
    before, _ = await desk.stored()
    changed = await desk.update(config={"b": 2})
    assert (changed.config, changed.script) == ({"b": 2}, "a.js")
    after, _ = await desk.stored()
    assert (after.due, after.version) == (before.due, before.version + 1)
    assert (await desk.update(end=None)).end is None
    swapped = await desk.update(job={"steps": [{"url": "https://a.example/{{b}}"}]})
    assert (swapped.script, swapped.job) == (None, {"steps": [{"url": "https://a.example/{{b}}"}]})
    assert (await desk.update(script="b.js")).job is None


async def test_new_times_count_from_now(desk: Desk) -> None:
    """What was handed over under the old ones does not hold the new ones back."""
    await desk.make()
    await desk.pass_time(60)
    desk.queue.end_all()
    await desk.update(init=desk.at(-1000), interval=7_000)
    await desk.pass_time(7)
    assert slots(desk) == [60, 60 - 1000 + 7 * 143]  # the first of the new row after the update


@pytest.mark.parametrize(
    ("content", "field"),
    [
        ({"script": "a.js", "job": {}}, "script"),
        ({"script": "../x"}, "script"),
        ({"job": {"steps": []}}, "job.steps"),
        ({"end": "2020-01-01"}, "end"),
        ({"init": "x"}, "init"),
        ({"interval": 5_000, "cron": "@daily"}, "interval"),
        ({"interval": 5_000, "zone": "UTC"}, "zone"),
        ({"zone": "UTC"}, "zone"),
        ({"cron": "@daily", "zone": "Nowhere"}, "zone"),
        ({"cron": "0 0 30 2 *"}, "cron"),
    ],
)
async def test_an_update_that_is_wrong_changes_nothing(desk: Desk, content: dict[str, Any], field: str) -> None:
    """By its place."""
    made = await desk.make()
    with pytest.raises(WireError) as failed:
        await desk.update(**content)
    assert failed.value.details["field"] == field
    assert await desk.tasks.get(TaskRef(id="t")) == made


async def test_a_config_is_checked_against_the_job(desk: Desk) -> None:
    """Whose references it has to fill."""
    await desk.make(script=None, job={"steps": [{"url": "https://a.example/{{n}}"}]}, config={"n": 1})
    with pytest.raises(InvalidContent, match="neither in config"):
        await desk.update(config={})


async def test_list_filters_by_any_field(desk: Desk) -> None:
    """Of objects, by the members that are given."""
    await desk.make(id="a", config={"city": "x", "n": {"m": 1, "k": 2}})
    await desk.make(id="b", script="b.js", running=False, interval=5_000, end="2030-01-01")
    await desk.make(id="c", script=None, job={"steps": [{"url": "https://a.example/"}], "name": "nightly"})
    await desk.make(id="d", script="d.js", running=False, init="2030-01-01", interval=None, cron="0 0 L * *")

    async def ids(**wanted: Any) -> list[str]:
        return [task.id for task in (await desk.tasks.list(read(ListTasks, wanted))).tasks]

    assert await ids() == ["a", "b", "c", "d"]
    assert await ids(cron="0 0 L * *") == await ids(zone="UTC") == ["d"]
    assert await ids(id="b") == ["b"]
    assert await ids(script="a.js") == ["a"]
    assert await ids(running=True) == ["a", "c"]
    assert await ids(interval=10_000, running=True) == ["a", "c"]
    assert await ids(config={"city": "x"}) == await ids(config={"n": {"m": 1}}) == ["a"]
    assert await ids(config={"city": None}) == []
    assert await ids(end="2030-01-01T01:00:00+01:00") == ["b"]
    assert await ids(job={"name": "nightly"}) == ["c"]
    assert await ids(init=desk.at(60)) == ["a", "b", "c"]
    with pytest.raises(InvalidContent):
        await ids(init="x")


async def test_lists_have_pages(desk: Desk) -> None:
    """Of fifty, the oldest first; a page past the end is empty."""
    for number in range(53):
        await desk.make(id=f"t{number}")
    first, second, third = [await desk.tasks.list(ListTasks(page=page)) for page in (1, 2, 3)]
    assert (first.total_count, first.total_pages, len(first.tasks), first.tasks[0].id) == (53, 2, 50, "t0")
    assert [task.id for task in second.tasks] == ["t50", "t51", "t52"]
    assert third.tasks == ()


async def test_delete_forgets_its_runs(desk: Desk, tmp_path: Path) -> None:
    """A new one of that id begins anew."""
    (tmp_path / "a.js").write_text("exports.main = () => { throw new Error('x') }")
    await desk.make(script=None, job={"steps": [{"url": "https://a.example/"}]})
    await desk.tasks.run_now(TaskRef(id="t"), "", None)
    await desk.tasks.delete(TaskRef(id="t"))
    for wrong in (desk.tasks.delete, desk.tasks.get, desk.tasks.status):
        with pytest.raises(NotFound):
            await wrong(TaskRef(id="t"))
    await desk.make()
    status = await desk.status()
    assert (status.runs, status.last_run) == (0, None)


async def test_what_is_secret_in_a_job_is_nowhere_in_clear(desk: Desk) -> None:
    """Not in the store, and not in what is shown."""
    made = await desk.make(script=None, job=SECRET_JOB, config={"n": 7})
    item, document = await desk.stored()
    assert b"canary" not in item.document
    assert "canary" not in str(made)
    assert made.job
    assert made.job["steps"][0]["url"] == "https://a.example/{{n}}"
    assert b"typed-canary" in desk.records.job(document)
    assert b"cookie-canary" in desk.records.job(document)


async def test_with_a_lasting_seal_another_process_opens_it(database: Database, tmp_path: Path) -> None:
    """The next process after a restart, say."""
    one, other = (
        Desk(database, ManualClock(START), Queue(), tmp_path, encryptor=Encryptor(b"k" * 32)) for _ in range(2)
    )
    await one.make(script=None, job=SECRET_JOB, config={"n": 7})
    _, document = await other.stored()
    assert b"cookie-canary" in other.records.job(document)


@pytest.mark.parametrize(("status", "shown"), [("pending", "running"), ("cancelled", "cancelled")])
async def test_a_run_whose_process_died(database: Database, tmp_path: Path, status: JobStatus, shown: str) -> None:
    """Goes on where the queue has it repeated, and was cancelled where not."""
    desk = Desk(database, ManualClock(START), Queue(), tmp_path)
    await desk.make()
    desk.queue.statuses["r"] = status
    run = StoredRun("r", "t", "interval", "dead", None, float(START), None, "running", None)
    await desk.task_runs.begin(run)
    last = (await desk.status()).last_run
    assert last
    assert last.status == shown


async def test_one_that_can_not_be_read_holds_up_no_other(desk: Desk) -> None:
    """A newer sidecar's, or a damaged one: it waits as it is, is left out of lists, and can be deleted."""
    await desk.agenda.put_new("strange", b'{"interval":"x"}', START + 1)
    await desk.make()
    await desk.pass_time(60)
    assert slots(desk) == [60]
    left = await desk.agenda.get("strange")
    assert left
    assert (left.document, left.due) == (b'{"interval":"x"}', START + 60 + CORRUPT_RETRY_SECONDS)
    assert [task.id for task in (await desk.tasks.list(ListTasks())).tasks] == ["t"]
    with pytest.raises(CorruptRecord, match="can't be read"):
        await desk.tasks.get(TaskRef(id="strange"))
    await desk.tasks.delete(TaskRef(id="strange"))
    assert await desk.agenda.get("strange") is None
