"""Tasks: when they run, when they don't, and their events."""

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
from tests.event_loop import watched
from tests.sidecar.tasks.parts import Queue, TaskHarness, read

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
def harness(database: Database, tmp_path: Path) -> TaskHarness:
    """One process's tasks."""
    return TaskHarness(database, ManualClock(START), Queue(), tmp_path)


def slots(harness: TaskHarness) -> list[int]:
    """The times that were handed to the queue, in seconds from the start."""
    return [int(key.rpartition(":")[2]) // 1000 - START for key in harness.keys]


async def test_a_large_job_leaves_the_loop_to_others(harness: TaskHarness) -> None:
    """Looking for the secrets of thousands of actions keeps no other request waiting; nor does explaining a mistake."""
    steps = [{"url": "https://a.example", "actions": [{"keyboard_type": f"typed-{n}"} for n in range(5_000)]}]
    task, loop = await watched(harness.make(script=None, job={"steps": steps}))
    assert loop.is_left_to_others, loop
    assert b"typed-4711" not in encode(task)
    for changes in ({"job": {"steps": [*steps, {"url": "https://b.example"}]}}, {"config": {"a": 1}}):
        _, loop = await watched(harness.update(**changes))
        assert loop.is_left_to_others, loop
    mistaken = {"id": "t", "job": {"steps": [*steps, {"url": "nothing"}]}}
    _, loop = await watched(harness.tasks.update_mistakes(mistaken))
    assert loop.is_left_to_others, loop


# --- times


async def test_runs_come_at_init_and_every_interval_after_it(harness: TaskHarness) -> None:
    """Runs do not drift, however late each is handled."""
    await harness.make()
    await harness.pass_time(59.9)
    assert slots(harness) == []
    for late in (0.1, 10.4, 9.9, 9.9):
        await harness.pass_time(late)
        harness.queue.end_all()
    assert slots(harness) == [60, 70, 80, 90]
    (one, *_) = harness.queue.submissions
    assert (one.type, one.name, one.origin, one.webhooks, one.account_id) == (
        "run_task",
        "t",
        "task:t",
        "packed",
        "scope",
    )
    assert one.secret is False
    assert harness.changes == 1


async def test_a_job_is_planned_once(harness: TaskHarness) -> None:
    """When the task is made; each run's own check is the job's."""
    await harness.make(script=None, job={"steps": [{"url": "https://a.example/{{n}}"}]}, config={"n": 7})
    assert harness.plans == 1
    assert b"https://a.example/7" in harness.records.job((await harness.stored())[1])
    assert harness.plans == 1


async def test_without_init_it_runs_at_once(harness: TaskHarness) -> None:
    """A task without `init` runs at once, and then at its interval."""
    await harness.make(init=None)
    await harness.on_due()
    harness.queue.end_all()
    await harness.pass_time(10)
    assert slots(harness) == [0, 10]


async def test_an_init_that_has_passed_gives_the_row_of_times(harness: TaskHarness) -> None:
    """The first run is the next of them: those before the task was made are not made up for."""
    await harness.make(init=harness.at(-25))
    await harness.pass_time(4.9)
    assert slots(harness) == []
    await harness.pass_time(0.1)
    assert slots(harness) == [5]
    assert (await harness.status()).coalesced == 0


async def test_a_run_that_still_goes_on_has_the_next_skipped(harness: TaskHarness) -> None:
    """A time during a run is skipped and counted; the next one is on time again."""
    await harness.make()
    await harness.pass_time(60)
    await harness.pass_time(10)
    await harness.pass_time(10)
    assert ((await harness.status()).skipped, (await harness.status()).busy) == (2, True)
    harness.queue.end_all()
    await harness.pass_time(10)
    assert slots(harness) == [60, 90]
    status = await harness.status()
    assert (status.skipped, status.coalesced, status.next_execution) == (2, 0, rfc3339(START + 100))


async def test_runs_missed_while_nothing_ran_become_one(harness: TaskHarness) -> None:
    """The last of them; the others are counted."""
    await harness.make()
    await harness.pass_time(123)
    assert slots(harness) == [120]
    status = await harness.status()
    assert (status.coalesced, status.skipped, status.next_execution) == (6, 0, rfc3339(START + 130))


async def test_a_clock_set_forward_a_day_and_back_an_hour(harness: TaskHarness) -> None:
    """One run for the jump; none twice; after the step back the row goes on where it was."""
    await harness.make(interval=600_000)
    await harness.pass_time(60)
    harness.queue.end_all()
    await harness.pass_time(86_400)
    harness.queue.end_all()
    assert slots(harness) == [60, 86_460]
    assert (await harness.status()).coalesced == 143
    await harness.pass_time(-3_600)
    assert slots(harness) == [60, 86_460]
    await harness.pass_time(4_200)
    assert slots(harness) == [60, 86_460, 87_060]


async def test_cron_runs_when_its_zone_shows_its_times(harness: TaskHarness) -> None:
    """From its making on; the start is 09:00 in Amsterdam."""
    made = await harness.make(init=None, interval=None, cron="*/20 9-10 * * MON-FRI", zone="Europe/Amsterdam")
    assert (made.interval, made.cron, made.zone) == (None, "*/20 9-10 * * MON-FRI", "Europe/Amsterdam")
    assert (await harness.status()).next_execution == rfc3339(START + 1200)
    for _ in range(6):
        await harness.pass_time(1200)
        harness.queue.end_all()
    assert slots(harness) == [1200, 2400, 3600, 4800, 6000]
    assert (await harness.status()).next_execution == rfc3339(START + 3 * 86_400)  # Friday's are over


async def test_cron_without_a_zone_is_in_utc_and_begins_at_init(harness: TaskHarness) -> None:
    """A time that is `init` itself counts."""
    made = await harness.make(interval=None, cron="@hourly", init=harness.at(7200))
    assert made.zone == "UTC"
    await harness.pass_time(7199)
    assert slots(harness) == []
    await harness.pass_time(1)
    assert slots(harness) == [7200]


async def test_cron_times_missed_while_nothing_ran_become_one(harness: TaskHarness) -> None:
    """As those of an interval do: the last of them, at once; the others are counted."""
    await harness.make(init=None, interval=None, cron="*/10 * * * *")
    await harness.pass_time(86_400 + 123)
    assert slots(harness) == [86_400]
    status = await harness.status()
    assert (status.coalesced, status.skipped, status.next_execution) == (144, 0, rfc3339(START + 87_000))
    await harness.pass_time(-3_600)
    assert slots(harness) == [86_400]  # a clock that is set back repeats nothing
    await harness.pass_time(3_600 + 477)
    assert ((await harness.status()).skipped, slots(harness)) == (1, [86_400])  # the one before still goes on


async def test_cron_over_a_clock_change_runs_once_an_hour_shown_twice(database: Database, tmp_path: Path) -> None:
    """An hour shown twice has the runs of one, a skipped hour none."""
    spring = TaskHarness(database, ManualClock(1_743_202_800), Queue(), tmp_path)  # 2025-03-29 00:00 in Amsterdam
    await spring.make(init=None, interval=None, cron="30 2 * * *", zone="Europe/Amsterdam")
    for _ in range(3 * 24):
        await spring.pass_time(3_600)
        spring.queue.end_all()
    assert [key.rpartition(":")[2] for key in spring.keys] == ["1743211800000", "1743381000000"]
    await spring.tasks.delete(TaskRef(id="t"))
    autumn = TaskHarness(database, ManualClock(1_761_429_600), Queue(), tmp_path)  # 2025-10-26 00:00 in Amsterdam
    await autumn.make(init=None, interval=None, cron="*/30 2 * * *", zone="Europe/Amsterdam", running=True)
    for _ in range(48):
        await autumn.pass_time(900)
        autumn.queue.end_all()
    assert [key.rpartition(":")[2] for key in autumn.keys] == ["1761436800000", "1761438600000"]
    assert (await autumn.status()).coalesced == 0


async def test_interval_and_cron_take_each_others_place(harness: TaskHarness) -> None:
    """A zone stays with its pattern; what was handed over under the old times does not hold back the new ones."""
    await harness.make(init=None)
    await harness.on_due()
    harness.queue.end_all()
    changed = await harness.update(cron="30 8 * * *")
    assert (changed.interval, changed.cron, changed.zone) == (None, "30 8 * * *", "UTC")
    assert (await harness.status()).next_execution == rfc3339(START + 1800)
    assert (await harness.update(zone="Europe/Amsterdam")).cron == "30 8 * * *"
    assert (await harness.status()).next_execution == rfc3339(START + 84_600)
    assert (await harness.update(cron="0 10 * * *")).zone == "Europe/Amsterdam"
    await harness.pass_time(3_600)
    assert slots(harness) == [0, 3_600]
    again = await harness.update(interval=60_000)
    assert (again.interval, again.cron, again.zone) == (60_000, None, None)


async def test_a_cron_that_this_machine_can_not_read_waits_for_one_that_can(harness: TaskHarness) -> None:
    """A newer sidecar's pattern, a zone of a newer database: as any record that can't be read."""
    await harness.make(interval=None, cron="@hourly")
    item, record = await harness.stored()
    document = encode(record.replace(zone="Moon/Tranquility"))
    await harness.agenda.replace(item, document, START + 1)
    await harness.pass_time(2)
    assert slots(harness) == []
    left = await harness.agenda.get("t")
    assert left
    assert (left.document, left.due) == (document, START + 2 + CORRUPT_RETRY_SECONDS)


async def test_after_its_end_it_is_deleted(harness: TaskHarness) -> None:
    """The time that is its end is its last run, which is left to end first."""
    await harness.make(end=harness.at(70))
    await harness.pass_time(60)
    harness.queue.end_all()
    await harness.pass_time(10)
    assert slots(harness) == [60, 70]
    assert (await harness.status()).next_execution is None
    await harness.pass_time(2)
    assert (await harness.status()).busy
    harness.queue.end_all()
    await harness.pass_time(5)
    with pytest.raises(NotFound, match="there is no task 't'"):
        await harness.status()
    assert await harness.agenda.next_due() is None


async def test_a_stopped_one_ends_too(harness: TaskHarness) -> None:
    """Without a run."""
    await harness.make(running=False, end=harness.at(70))
    await harness.pass_time(71)
    assert slots(harness) == []
    with pytest.raises(NotFound):
        await harness.tasks.get(TaskRef(id="t"))


async def test_an_end_that_passed_while_nothing_ran_has_no_last_run(harness: TaskHarness) -> None:
    """It is deleted."""
    await harness.make(end=harness.at(100))
    await harness.pass_time(200)
    assert slots(harness) == []


async def test_stop_and_start(harness: TaskHarness) -> None:
    """Stopped it misses nothing; started it takes up its row."""
    await harness.make()
    stopped = await harness.tasks.set_running(TaskRef(id="t"), False)
    assert (stopped.running, stopped.next_execution) == (False, None)
    await harness.pass_time(95)
    assert slots(harness) == []
    started = await harness.tasks.set_running(TaskRef(id="t"), True)
    assert (started.running, started.next_execution) == (True, rfc3339(START + 100))
    await harness.pass_time(5)
    assert slots(harness) == [100]
    assert (await harness.status()).coalesced == 0


# --- several processes, and those that die


async def test_two_processes_hand_over_each_time_once(database: Database, tmp_path: Path) -> None:
    """The later process finds the key taken."""
    time, queue = ManualClock(START), Queue()
    one, other = (TaskHarness(database, time, queue, tmp_path, process=name) for name in ("one", "other"))
    await one.make()
    time.advance(60)
    (item,) = await other.agenda.due(time.time, 10)
    await one.on_due()
    await other.firing._process(item)  # what it read before the other was through
    assert slots(one) == [60]
    assert (await one.status()).skipped == 0


async def test_a_crash_after_queueing_repeats_no_run(harness: TaskHarness) -> None:
    """The key is reused, so there is no second run."""
    await harness.make()
    harness.time.advance(60)
    _, document = await harness.stored()
    await harness.queue.submit(harness.firing._submission("t", document, (START + 60) * 1000))
    harness.queue.end_all()
    await harness.on_due()
    assert slots(harness) == [60]
    assert (await harness.stored())[1].fired == (START + 60) * 1000


async def test_a_queue_that_refuses_is_asked_again(harness: TaskHarness) -> None:
    """The time is not lost."""
    await harness.make()
    harness.queue.refusal = StoreFailed("disk full", retryable=True)
    with pytest.raises(StoreFailed):
        await harness.pass_time(60)
    harness.queue.refusal = None
    await harness.pass_time(3)
    assert slots(harness) == [60]


async def test_what_only_another_process_can_open_is_left_to_it(database: Database, tmp_path: Path) -> None:
    """As long as it lives; after that it fails as a run, which says why."""
    time, queue = ManualClock(START), Queue()
    one, other = (TaskHarness(database, time, queue, tmp_path, process=name) for name in ("one", "other"))
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


async def test_a_job_without_a_secret_is_shown_by_the_same_list(harness: TaskHarness) -> None:
    """It lies in clear, and what follows a webhook's host is no more shown than that of a job with secrets."""
    steps = [{"url": "http://h", "actions": ["page.click('#a')"]}]
    job = {"steps": steps, "webhooks": ["https://hooks.example/T00/token"]}
    made = await harness.make(script=None, job=job)
    _, document = await harness.stored()
    assert (document.job, document.sealed_job) == (job, None)
    assert made.job == {**job, "webhooks": [f"https://hooks.example/{REDACTED}"]}


async def test_a_task_as_it_is_shown(harness: TaskHarness) -> None:
    """Times in UTC; an id where none was given."""
    made = await harness.make(id=None, init="2030-01-31T12:00:00+02:00", end="2031-01-01", config={"a": {"b": [1]}})
    assert len(made.id) == 36
    assert (made.init, made.end, made.created) == ("2030-01-31T10:00:00Z", "2031-01-01T00:00:00Z", rfc3339(START))
    assert (made.script, made.job, made.running, made.interval) == ("a.js", None, True, 10_000)
    assert made.every == "10 s"
    assert made.warnings == (
        "interval is in milliseconds: 10000 is 10 s, so the task runs more than once a minute;"
        ' text names its unit, as in "90s" or "1h"',
    )
    assert await harness.tasks.get(TaskRef(id=made.id)) == made.replace(warnings=())
    changed = await harness.update(id=made.id, running=False)
    assert (changed.every, changed.warnings) == ("10 s", ())


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
async def test_invalid_tasks_are_refused(harness: TaskHarness, content: dict[str, Any], field: str) -> None:
    """Is refused by its place, and nothing is kept."""
    with pytest.raises(WireError) as failed:
        await harness.make(**content)
    assert failed.value.details["field"] == field
    assert await harness.agenda.count() == 0


async def test_an_id_is_taken_once(harness: TaskHarness) -> None:
    """The second is a conflict, whatever it holds."""
    await harness.make()
    with pytest.raises(Conflict, match="the task 't' already exists"):
        await harness.make(script="b.js")


async def test_the_number_of_tasks_is_bounded(harness: TaskHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand; two of them here."""
    monkeypatch.setattr(task_manager, "MAX_TASKS", 2)
    await harness.make(id="a")
    await harness.make(id="b")
    with pytest.raises(LimitExceeded):
        await harness.make(id="c")


async def test_an_update_replaces_what_is_given(harness: TaskHarness) -> None:
    """A config alone does not move the next time."""
    await harness.make(config={"a": 1}, end=harness.at(1000))
    before, _ = await harness.stored()
    changed = await harness.update(config={"b": 2})
    assert (changed.config, changed.script) == ({"b": 2}, "a.js")
    after, _ = await harness.stored()
    assert (after.due, after.version) == (before.due, before.version + 1)
    assert (await harness.update(end=None)).end is None
    swapped = await harness.update(job={"steps": [{"url": "https://a.example/{{b}}"}]})
    assert (swapped.script, swapped.job) == (None, {"steps": [{"url": "https://a.example/{{b}}"}]})
    assert (await harness.update(script="b.js")).job is None


async def test_new_times_count_from_now(harness: TaskHarness) -> None:
    """What was handed over under the old ones does not hold the new ones back."""
    await harness.make()
    await harness.pass_time(60)
    harness.queue.end_all()
    await harness.update(init=harness.at(-1000), interval=7_000)
    await harness.pass_time(7)
    assert slots(harness) == [60, 60 - 1000 + 7 * 143]  # the first of the new row after the update


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
async def test_an_update_that_is_wrong_changes_nothing(
    harness: TaskHarness, content: dict[str, Any], field: str
) -> None:
    """By its place."""
    made = await harness.make()
    with pytest.raises(WireError) as failed:
        await harness.update(**content)
    assert failed.value.details["field"] == field
    assert await harness.tasks.get(TaskRef(id="t")) == made.replace(warnings=())


async def test_a_config_is_checked_against_the_job(harness: TaskHarness) -> None:
    """Whose references it has to fill."""
    await harness.make(script=None, job={"steps": [{"url": "https://a.example/{{n}}"}]}, config={"n": 1})
    with pytest.raises(InvalidContent, match="neither in config"):
        await harness.update(config={})


async def test_list_filters_by_any_field(harness: TaskHarness) -> None:
    """Of objects, by the members that are given."""
    await harness.make(id="a", config={"city": "x", "n": {"m": 1, "k": 2}})
    await harness.make(id="b", script="b.js", running=False, interval=5_000, end="2030-01-01")
    await harness.make(id="c", script=None, job={"steps": [{"url": "https://a.example/"}], "name": "nightly"})
    await harness.make(id="d", script="d.js", running=False, init="2030-01-01", interval=None, cron="0 0 L * *")

    async def ids(**wanted: Any) -> list[str]:
        return [task.id for task in (await harness.tasks.list(read(ListTasks, wanted))).tasks]

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
    assert await ids(init=harness.at(60)) == ["a", "b", "c"]
    with pytest.raises(InvalidContent):
        await ids(init="x")


async def test_lists_have_pages(harness: TaskHarness) -> None:
    """Of fifty, the oldest first; a page past the end is empty."""
    for number in range(53):
        await harness.make(id=f"t{number}")
    first, second, third = [await harness.tasks.list(ListTasks(page=page)) for page in (1, 2, 3)]
    assert (first.total_count, first.total_pages, len(first.tasks), first.tasks[0].id) == (53, 2, 50, "t0")
    assert [task.id for task in second.tasks] == ["t50", "t51", "t52"]
    assert third.tasks == ()


async def test_delete_forgets_its_runs(harness: TaskHarness, tmp_path: Path) -> None:
    """A deleted task's runs are deleted; a new one of that id has none."""
    (tmp_path / "a.js").write_text("exports.main = () => { throw new Error('x') }")
    await harness.make(script=None, job={"steps": [{"url": "https://a.example/"}]})
    await harness.tasks.run_now(TaskRef(id="t"), "", None)
    await harness.tasks.delete(TaskRef(id="t"))
    for wrong in (harness.tasks.delete, harness.tasks.get, harness.tasks.status):
        with pytest.raises(NotFound):
            await wrong(TaskRef(id="t"))
    await harness.make()
    status = await harness.status()
    assert (status.runs, status.last_run) == (0, None)


async def test_what_is_secret_in_a_job_is_nowhere_in_clear(harness: TaskHarness) -> None:
    """Not in the store, and not in what is shown."""
    made = await harness.make(script=None, job=SECRET_JOB, config={"n": 7})
    item, document = await harness.stored()
    assert b"canary" not in item.document
    assert "canary" not in str(made)
    assert made.job
    assert made.job["steps"][0]["url"] == "https://a.example/{{n}}"
    assert b"typed-canary" in harness.records.job(document)
    assert b"cookie-canary" in harness.records.job(document)


async def test_with_a_persistent_key_another_process_decrypts_it(database: Database, tmp_path: Path) -> None:
    """The next process after a restart, say."""
    one, other = (
        TaskHarness(database, ManualClock(START), Queue(), tmp_path, encryptor=Encryptor(b"k" * 32)) for _ in range(2)
    )
    await one.make(script=None, job=SECRET_JOB, config={"n": 7})
    _, document = await other.stored()
    assert b"cookie-canary" in other.records.job(document)


@pytest.mark.parametrize(("status", "shown"), [("pending", "running"), ("cancelled", "cancelled")])
async def test_a_run_whose_process_died(database: Database, tmp_path: Path, status: JobStatus, shown: str) -> None:
    """Goes on where the queue has it repeated, and was cancelled where not."""
    harness = TaskHarness(database, ManualClock(START), Queue(), tmp_path)
    await harness.make()
    harness.queue.statuses["r"] = status
    run = StoredRun("r", "t", "interval", "dead", None, float(START), None, "running", None)
    await harness.task_runs.begin(run)
    last = (await harness.status()).last_run
    assert last
    assert last.status == shown


async def test_an_unreadable_entry_blocks_no_other(harness: TaskHarness) -> None:
    """A newer sidecar's, or a damaged one: it waits as it is, is left out of lists, and can be deleted."""
    await harness.agenda.put_new("strange", b'{"interval":"x"}', START + 1)
    await harness.make()
    await harness.pass_time(60)
    assert slots(harness) == [60]
    left = await harness.agenda.get("strange")
    assert left
    assert (left.document, left.due) == (b'{"interval":"x"}', START + 60 + CORRUPT_RETRY_SECONDS)
    assert [task.id for task in (await harness.tasks.list(ListTasks())).tasks] == ["t"]
    with pytest.raises(CorruptRecord, match="can't be read"):
        await harness.tasks.get(TaskRef(id="strange"))
    await harness.tasks.delete(TaskRef(id="strange"))
    assert await harness.agenda.get("strange") is None
