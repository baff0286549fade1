"""Schedules: EngageLab's rules, limits and errors, one test for each, and what happens when the time comes."""

import asyncio
import json
import random
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import pytest
from sidecar_protocol import codec
from sidecar_protocol.encoding import encode
from sidecar_protocol.errors import ErrorCode, FieldError, WireError
from sidecar_protocol.jobs import SendJob
from sidecar_protocol.pages import PAGE_SIZE
from sidecar_protocol.schedules import ListSchedules, Schedule, ScheduleFired
from sidecar_protocol.wire_types import REDACTED

from sidecar.browser.steps.plan import PlannedStep
from sidecar.encryption import Encryptor
from sidecar.errors import (
    CorruptRecord,
    Forbidden,
    InvalidContent,
    LimitExceeded,
    MissingCredentials,
    NotFound,
    QueueFull,
    Unauthorized,
)
from sidecar.jobs.browser_job_runner import validate
from sidecar.queue.job_queue import job_id_for
from sidecar.queue.submission import Submission
from sidecar.rtcv.documents import DocumentLoader
from sidecar.schedules.schedule_dispatcher import BATCH_SIZE, OWNER_SECONDS, RETENTION_SECONDS, ScheduleDispatcher
from sidecar.schedules.schedule_manager import MAX_OPEN, ScheduleManager
from sidecar.schedules.scheduled_messages import ScheduledMessages
from sidecar.server.handlers.schedules import error_number
from sidecar.storage.agenda import CORRUPT_RETRY_SECONDS, Agenda
from sidecar.storage.database import Database
from tests.clocks import ManualClock
from tests.event_loop import watched

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
KINDS: Final = {"send_job", "send_cv", "set_cached_reference", "set_short_cached_reference"}
GRACE: Final = 3600.0
JOB: dict[str, Any] = {"type": "send_job", "content": {"steps": [{"url": "https://shop.example/"}]}}
REFERENCE: dict[str, Any] = {"type": "set_cached_reference", "content": "abcd"}
LOGGED_IN: Final = "a login"


def _takes_pushes() -> None:
    """Takes pushes in EngageLab's own form."""


class ScheduleHarness:
    """Schedules of one process over a database that others may share, and the jobs that they made."""

    def __init__(self, database: Database, time: ManualClock, encryptor: Encryptor | None = None) -> None:
        self.database = database
        self.time = time
        self.agenda = Agenda(database, "schedule")
        self.token_is_good = True
        self.plans = 0
        self.submitted: list[Submission] = []
        self.failure: Exception | None = None
        self.fired: list[ScheduleFired] = []
        self.changes: list[tuple[str, float]] = []
        self.refused_webhook: Exception | None = None
        pushes = ScheduledMessages(
            encryptor or Encryptor(), KINDS.__contains__, self._check_job, DocumentLoader(""), self._pack, _takes_pushes
        )
        self.schedules = ScheduleManager(self.agenda, pushes, time.clock, ZoneInfo("Europe/Amsterdam"), self._on_change)
        self.firing = ScheduleDispatcher(self.agenda, pushes, self._submit, time.clock, GRACE, self.fired.append)

    async def create(self, account_id: str = "", zone: str = "", **changes: Any) -> str:
        """Makes one, an hour from now unless `changes` say otherwise; gives its id."""
        content = self.read("create_schedule", self.wanted(**changes))
        created = await self.schedules.create(content, zone=zone, account_id=account_id)
        return created.schedule_id

    async def update(self, schedule_id: str, account_id: str = "", **parts: Any) -> Schedule:
        """Changes one."""
        content = self.read("update_schedule", {"schedule_id": schedule_id, **parts})
        return await self.schedules.update(content, account_id=account_id)

    def wanted(self, **changes: Any) -> dict[str, Any]:
        """The content of `create_schedule`."""
        content: dict[str, Any] = {"name": "nightly", "enabled": True, "trigger": self.at(3600), "push": JOB}
        return {**content, **changes}

    def at(self, seconds: float, zone_type: int = 1, zone: str | None = "UTC") -> dict[str, Any]:
        """A trigger `seconds` from now."""
        shown = datetime.fromtimestamp(self.time.time + seconds, ZoneInfo(zone or "UTC")).strftime("%Y-%m-%d %H:%M:%S")
        single = {"time": shown, "zone_type": zone_type, "zone": zone}
        return {"single": {name: value for name, value in single.items() if value is not None}}

    def read(self, kind: str, content: object) -> Any:
        """What a handler gets."""
        return codec.decode_kept(kind, json.dumps(content).encode())

    async def run(self, seconds: float) -> None:
        """Lets `seconds` pass and handles due entries, like the timer."""
        self.time.advance(seconds)
        while (due := await self.firing.next_due()) is not None and due <= self.time.time:
            await self.firing.on_due()

    async def status(self, schedule_id: str) -> str:
        """What `get_schedule` says."""
        return (await self.schedules.get(schedule_id)).status

    def _check_job(self, job: SendJob, due: float) -> Sequence[PlannedStep]:
        assert due > self.time.time
        self.plans += 1
        steps = validate(job, files=True)
        if not self.token_is_good:
            raise Unauthorized("a visit token is needed")
        return steps

    def _pack(self, urls: Sequence[str]) -> str:
        if self.refused_webhook:
            raise self.refused_webhook
        return ",".join(("the session's", *urls))

    async def _submit(self, submission: Submission) -> str:
        await asyncio.sleep(0)
        if self.failure:
            raise self.failure
        self.submitted.append(submission)
        return job_id_for(submission.key)

    def _on_change(self, schedule_id: str, due: float) -> None:
        self.changes.append((schedule_id, due))
        self.firing.watch(schedule_id, due)


@pytest.fixture
async def harness() -> AsyncIterator[ScheduleHarness]:
    """A harness without schedules."""
    database = Database.in_memory()
    yield ScheduleHarness(database, ManualClock(NOW.timestamp()))
    await database.close()


async def refusal(harness: ScheduleHarness, account_id: str = "", **changes: Any) -> tuple[int, str]:
    """Number and field of the error that making such a schedule ends with."""
    with pytest.raises(WireError) as refused:
        await harness.create(account_id, **changes)
    assert await harness.agenda.count() == 0
    return error_number(refused.value.detail), refused.value.detail.field or ""


# --- names


@pytest.mark.parametrize(
    "name",
    ["nightly", "schedule push example", "定时任务", "报表_2026 nightly", "Überprüfung", "_", "a" * 255, "表" * 85],
)
async def test_valid_names_are_accepted(harness: ScheduleHarness, name: str) -> None:
    """1 to 255 bytes of Chinese characters, letters, digits, underscores and spaces."""
    assert (await harness.schedules.get(await harness.create(name=name))).name == name


@pytest.mark.parametrize("name", ["", "a" * 256, "表" * 86, "a-b", "a.b", "a\n", "a\t", "½", "😀", "a\0", 5, None])
async def test_invalid_names_are_refused(harness: ScheduleHarness, name: object) -> None:
    """28100, and the field."""
    assert await refusal(harness, name=name) == (28100, "name")


@pytest.mark.parametrize("enabled", [False, None, 1, "true"])
async def test_a_schedule_is_enabled_when_it_is_made(harness: ScheduleHarness, enabled: object) -> None:
    """28100 for anything but true."""
    assert await refusal(harness, enabled=enabled) == (28100, "enabled")


@pytest.mark.parametrize("missing", ["name", "enabled", "trigger", "push"])
async def test_every_part_is_needed(harness: ScheduleHarness, missing: str) -> None:
    """A schedule without a push has its own number: 28105."""
    content = harness.wanted()
    del content[missing]
    with pytest.raises(WireError) as refused:
        harness.read("create_schedule", content)
    assert refused.value.detail.field == missing
    assert error_number(refused.value.detail) == (28105 if missing == "push" else 28100)


async def test_unknown_members_are_refused(harness: ScheduleHarness) -> None:
    """Unknown members are refused by name at any depth."""
    assert await refusal(harness, other=1) == (28100, "other")
    trigger = harness.at(60)
    assert await refusal(harness, trigger={**trigger, "periodical": {}}) == (28100, "trigger.periodical")
    assert await refusal(harness, push={**JOB, "from": "x"}) == (28105, "push.from")


# --- times


@pytest.mark.parametrize("text", ["2026-4-1 10:00:00", "2026-04-01 10:00", "2026-04-31 10:00:00", "tomorrow", 5])
async def test_invalid_times_are_refused(harness: ScheduleHarness, text: object) -> None:
    """28100."""
    trigger = {"single": {"time": text, "zone_type": 2}}
    assert await refusal(harness, trigger=trigger) == (28100, "trigger.single.time")


@pytest.mark.parametrize("seconds", [0, -1, -86_400, 365 * 86_400 + 1])
async def test_times_out_of_range(harness: ScheduleHarness, seconds: float) -> None:
    """28100 for what is not in the future, or more than a year ahead."""
    assert await refusal(harness, trigger=harness.at(seconds)) == (28100, "trigger.single.time")


async def test_a_year_ahead_and_a_second_ahead_may_be(harness: ScheduleHarness) -> None:
    """The bounds themselves."""
    for seconds in (1, 365 * 86_400):
        shown = await harness.schedules.get(await harness.create(trigger=harness.at(seconds)))
        assert shown.due == (NOW + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


@pytest.mark.parametrize(
    ("zone_type", "zone", "hello", "due"),
    [
        (1, "America/New_York", "", "2026-07-01T14:00:00Z"),
        (1, "America/New_York", "Asia/Tokyo", "2026-07-01T14:00:00Z"),
        (1, None, "Asia/Tokyo", "2026-07-01T01:00:00Z"),
        (1, None, "", "2026-07-01T08:00:00Z"),  # the machine's: parent and sidecar run on the same one
        (2, None, "Asia/Tokyo", "2026-07-01T08:00:00Z"),
        (0, None, "Asia/Tokyo", "2026-07-01T08:00:00Z"),
        (3, None, "", "2026-07-01T08:00:00Z"),
        (-7, None, "", "2026-07-01T08:00:00Z"),
    ],
)
async def test_the_zone_decides_the_time(
    harness: ScheduleHarness, zone_type: int, zone: str | None, hello: str, due: str
) -> None:
    """1: the parent's, as the trigger or `hello` names it; 2 and anything else: the machine's, here Amsterdam's."""
    single = {"time": "2026-07-01 10:00:00", "zone_type": zone_type}
    trigger = {"single": {**single, "zone": zone} if zone else single}
    shown = await harness.schedules.get(await harness.create(zone=hello, trigger=trigger))
    assert shown.due == due
    assert shown.trigger.single.time == "2026-07-01 10:00:00"


@pytest.mark.parametrize(
    ("zone", "shown", "due"),
    [
        ("Europe/Amsterdam", "2026-03-29 02:30:00", "2026-03-29T01:30:00Z"),
        ("Europe/Amsterdam", "2026-10-25 02:30:00", "2026-10-25T00:30:00Z"),
        ("America/New_York", "2026-03-08 02:30:00", "2026-03-08T07:30:00Z"),
        ("America/New_York", "2026-11-01 01:30:00", "2026-11-01T05:30:00Z"),
        ("Australia/Lord_Howe", "2026-10-04 02:15:00", "2026-10-03T15:45:00Z"),
        ("Australia/Lord_Howe", "2026-04-05 01:45:00", "2026-04-04T14:45:00Z"),
    ],
)
async def test_skipped_and_repeated_times(harness: ScheduleHarness, zone: str, shown: str, due: str) -> None:
    """PEP 495 with fold=0, in three zones."""
    trigger = {"single": {"time": shown, "zone_type": 1, "zone": zone}}
    assert (await harness.schedules.get(await harness.create(trigger=trigger))).due == due


@pytest.mark.parametrize(
    ("single", "field"),
    [
        ({"zone_type": 1, "zone": "Mars/Olympus"}, "zone"),
        ({"zone_type": 1, "zone": ""}, "zone"),
        ({"zone_type": 2, "zone": "Europe/Amsterdam"}, "zone"),
        ({"zone_type": "1"}, "zone_type"),
        ({"zone_type": 1.5}, "zone_type"),
        ({}, "zone_type"),
    ],
)
async def test_invalid_zones_are_refused(harness: ScheduleHarness, single: dict[str, Any], field: str) -> None:
    """28100; `zone` belongs to zone_type 1."""
    trigger = {"single": {"time": "2026-07-01 10:00:00", **single}}
    assert await refusal(harness, trigger=trigger) == (28100, f"trigger.single.{field}")


# --- pushes


@pytest.mark.parametrize(
    ("push", "field"),
    [
        ({"type": "send_job"}, "push.content"),
        ({"type": "send_job", "content": []}, "push.content"),
        ({"type": "send_job", "content": {}}, "push.content.steps"),
        ({"type": "send_job", "content": {"steps": []}}, "push.content.steps"),
        ({"type": "send_job", "content": {"steps": [{"url": "ftp://a"}]}}, "push.content.steps[0].url"),
        ({"type": "send_job", "content": {**JOB["content"], "other": 1}}, "push.content.other"),
        (
            {"type": "send_job", "content": {"steps": [{"url": "about:blank", "actions": [{"clik": "#a"}]}]}},
            "push.content.steps[0].actions[0].clik",
        ),
        ({"type": "send_cv", "content": {}}, "push.content.referenceNumber"),
        ({"type": "set_cached_reference", "content": ""}, "push.content"),
        ({"type": "set_cached_reference", "content": 5}, "push.content"),
        ({"type": "ping"}, "push.type"),
        ({"type": "get_secret", "content": {"key": "a", "encryption_key": "b"}}, "push.type"),
        ({"type": "create_schedule", "content": {}}, "push.type"),
        ({"type": "nonsense", "content": {}}, "push.type"),
        ({"type": "", "content": {}}, "push.type"),
        ({"content": {}}, "push.type"),
        ({}, "push.type"),
        ("send_job", "push"),
    ],
)
async def test_pushes_that_can_not_be_run(harness: ScheduleHarness, push: object, field: str) -> None:
    """28105, as strictly as the message itself, by the same names below `push`."""
    assert await refusal(harness, LOGGED_IN, push=push) == (28105, field)


async def test_a_webhook_that_can_not_be_is_named(harness: ScheduleHarness) -> None:
    """28105, with its place, whatever the code."""
    harness.refused_webhook = Forbidden("127.0.0.1 is a private address", field="webhooks[0].url")
    push = {"type": "send_job", "content": {**JOB["content"], "webhooks": ["http://127.0.0.1/"]}}
    assert await refusal(harness, push=push) == (28105, "push.content.webhooks[0].url")


async def test_an_error_in_a_push_says_what_the_message_would(harness: ScheduleHarness) -> None:
    """An error in a push names its place once."""
    with pytest.raises(WireError) as refused:
        await harness.create(push={"type": "send_job", "content": {"steps": [{"url": 1}]}})
    assert refused.value.detail.message == "push.content.steps[0].url: expected str, got int"


async def test_every_mistake_of_a_push_is_named_from_outside(harness: ScheduleHarness) -> None:
    """Every mistake has the push's prefix in `fields` and `field`."""
    with pytest.raises(WireError) as refused:
        await harness.create(push={"type": "send_job", "content": {"steps": [{"url": 1}, {"url": 2}]}})
    assert refused.value.detail.fields == tuple(
        FieldError(f"push.content.steps[{step}].url", f"push.content.steps[{step}].url: expected str, got int")
        for step in (0, 1)
    )


@pytest.mark.parametrize(
    "push",
    [
        {"type": "send_cv", "content": {"referenceNumber": "a"}},
        {"type": "send_job", "content": {**JOB["content"], "forward": True}},
        {"type": "send_job", "content": {**JOB["content"], "secrets": {"user": {"key": "a", "encryption_key": "b"}}}},
    ],
)
async def test_what_needs_a_server_needs_a_login(harness: ScheduleHarness, push: dict[str, Any]) -> None:
    """28101 without; with one, the schedule belongs to it."""
    with pytest.raises(MissingCredentials) as refused:
        await harness.create(push=push)
    assert error_number(refused.value.detail) == 28101
    await harness.create(LOGGED_IN, push=push)
    await harness.run(3600)
    assert harness.submitted[0].account_id == "a login"


async def test_a_visit_token_is_checked_at_once(harness: ScheduleHarness) -> None:
    """28101, where tokens are on."""
    harness.token_is_good = False
    with pytest.raises(Unauthorized) as refused:
        await harness.create()
    assert error_number(refused.value.detail) == 28101


async def test_a_large_job_leaves_the_loop_to_others(harness: ScheduleHarness) -> None:
    """Looking for the secrets of thousands of actions keeps no other request waiting."""
    steps = [{"url": "https://a.example", "actions": [{"keyboard_type": f"typed-{n}"} for n in range(5_000)]}]
    push = {"type": "send_job", "content": {"steps": steps}}
    schedule_id, loop = await watched(harness.create(push=push))
    assert loop.is_left_to_others, loop
    _, loop = await watched(harness.update(schedule_id, push=push))
    assert loop.is_left_to_others, loop
    assert b"typed-4711" not in encode(await harness.schedules.get(schedule_id))


async def test_a_job_is_planned_once(harness: ScheduleHarness) -> None:
    """A job is planned when it is scheduled; its run validates it again."""
    await harness.create(push=JOB)
    await harness.run(3600)
    assert len(harness.submitted) == 1
    assert harness.plans == 1


@pytest.mark.parametrize("push", [JOB, {"type": "send_job", "content": {**JOB["content"], "token": "good till two"}}])
async def test_a_visit_token_is_checked_again_when_the_time_moves(
    harness: ScheduleHarness, push: dict[str, Any]
) -> None:
    """28101, and nothing is changed; not where the time stays."""
    schedule_id = await harness.create(push=push)
    before = await harness.schedules.get(schedule_id)
    harness.token_is_good = False
    with pytest.raises(Unauthorized) as refused:
        await harness.update(schedule_id, trigger=harness.at(7200))
    assert error_number(refused.value.detail) == 28101
    assert await harness.schedules.get(schedule_id) == before
    await harness.update(schedule_id, name="other", enabled=False)
    harness.token_is_good = True
    assert (await harness.update(schedule_id, trigger=harness.at(7200))).due == "2026-03-01T14:00:00Z"


async def test_another_process_s_encrypted_push_is_moved_unread(harness: ScheduleHarness) -> None:
    """The token is checked when the schedule fires, by a process that can decrypt it."""
    other = ScheduleHarness(harness.database, harness.time)
    schedule_id = await other.create(LOGGED_IN, push={"type": "send_job", "content": SECRETS})
    harness.token_is_good = False
    assert (await harness.update(schedule_id, trigger=harness.at(7200))).due == "2026-03-01T14:00:00Z"


SECRETS = {
    "steps": [
        {
            "url": "https://shop.example/",
            "actions": [{"fill": {"selector": "#p", "value": "typed-canary"}}, "page.fill('#p', 'script-canary')"],
        }
    ],
    "cookies": [{"name": "n", "value": "cookie-canary", "domain": "shop.example"}],
    "secrets": {"user": {"key": "user", "encryption_key": "key-canary"}},
    "context": {"http_credentials": {"username": "ann", "password": "password-canary"}},
    "token": "token-canary",
}


def contents(folder: Path) -> list[bytes]:
    """The bytes of every file."""
    return [path.read_bytes() for path in folder.iterdir() if path.is_file()]


@pytest.mark.parametrize("key", [None, bytes(32)])
async def test_secrets_are_encrypted_and_never_shown(tmp_path: Path, key: bytes | None) -> None:
    """Neither by `get_schedule` nor by the list nor by an update, and not on disk; the job gets them."""
    database = await Database.open(tmp_path / "sidecar.db")
    harness = ScheduleHarness(database, ManualClock(NOW.timestamp()), Encryptor(key))
    push = {"type": "send_job", "content": SECRETS}
    schedule_id = await harness.create(LOGGED_IN, push=push)
    said = [await harness.schedules.get(schedule_id), await harness.schedules.list(ListSchedules())]
    said.append(await harness.update(schedule_id, LOGGED_IN, push=push, name="again"))
    assert b"canary" not in b"".join(map(encode, said))
    shown = json.loads(encode(said[0]))["push"]
    assert shown["type"] == "send_job"
    assert shown["content"]["steps"][0]["actions"][0] == {"fill": {"selector": "#p", "value": REDACTED}}
    assert shown["content"]["cookies"][0] == {"name": "n", "value": REDACTED, "domain": "shop.example"}
    assert shown["content"]["context"]["http_credentials"]["password"] == REDACTED
    await harness.run(3600)
    assert json.loads(harness.submitted[0].content) == SECRETS
    await database.close()
    files = contents(tmp_path)
    assert files
    assert b"canary" not in b"".join(files)


async def test_webhooks_are_shown_by_their_hosts(harness: ScheduleHarness) -> None:
    """A path or query may be as good as a secret."""
    urls = ["https://hooks.example/T0/canary", "https://b.example?canary", "https://c.example"]
    schedule_id = await harness.create(push={"type": "send_job", "content": {**JOB["content"], "webhooks": urls}})
    shown = json.loads(encode(await harness.schedules.get(schedule_id)))["push"]["content"]["webhooks"]
    assert shown == [f"https://hooks.example/{REDACTED}", f"https://b.example?{REDACTED}", "https://c.example"]


# --- bounds and pages


async def test_at_most_a_thousand_unexpired(harness: ScheduleHarness) -> None:
    """28100 for one more; what was fired or deleted makes room."""
    ids = [await harness.create() for _ in range(MAX_OPEN)]
    with pytest.raises(LimitExceeded) as refused:
        await harness.create()
    assert error_number(refused.value.detail) == 28100
    await harness.schedules.delete(ids[0])
    ids.append(await harness.create(trigger=harness.at(10)))
    with pytest.raises(LimitExceeded):
        await harness.create()
    await harness.run(10)
    await harness.create()


async def test_pages_hold_fifty_oldest_first(harness: ScheduleHarness) -> None:
    """A page past the end is empty, and says its number and the totals all the same."""
    ids = [await harness.create(name=str(n), trigger=harness.at(9000 - n)) for n in range(2 * PAGE_SIZE + 3)]
    first, last, past = [await harness.schedules.list(ListSchedules(page=page)) for page in (1, 3, 4)]
    assert [one.schedule_id for one in first.schedules] == ids[:PAGE_SIZE]
    assert [one.schedule_id for one in last.schedules] == ids[2 * PAGE_SIZE :]
    assert (past.total_count, past.total_pages, past.page, past.schedules) == (103, 3, 4, ())
    assert (first.total_count, first.total_pages, first.page) == (103, 3, 1)
    one = first.schedules[0]
    assert (one.name, one.enabled, one.status) == ("0", True, "pending")
    assert json.loads(encode(one.push)) == JOB


async def test_a_list_of_nothing(harness: ScheduleHarness) -> None:
    """The first page is asked for where none is named."""
    page = await harness.schedules.list(harness.read("list_schedules", {}))
    assert json.loads(encode(page)) == {"total_count": 0, "total_pages": 0, "page": 1, "schedules": []}


@pytest.mark.parametrize("page", [0, -1, "1", 1.5, None])
def test_invalid_pages_are_refused(page: object) -> None:
    """28100."""
    with pytest.raises(WireError) as refused:
        codec.decode_kept("list_schedules", json.dumps({"page": page}).encode())
    assert (error_number(refused.value.detail), refused.value.detail.field) == (28100, "page")


async def test_a_page_beyond_all_numbers_is_empty(harness: ScheduleHarness) -> None:
    """A huge page number gives an empty page."""
    await harness.create()
    assert (await harness.schedules.list(ListSchedules(page=10**9))).schedules == ()


async def test_the_list_holds_what_is_to_come(harness: ScheduleHarness) -> None:
    """What was fired or missed is in a list of its own."""
    soon, later = await harness.create(trigger=harness.at(60)), await harness.create()
    await harness.run(60)
    assert [one.schedule_id for one in (await harness.schedules.list(ListSchedules())).schedules] == [later]
    expired = await harness.schedules.list(ListSchedules(expired=True))
    assert [(one.schedule_id, one.status) for one in expired.schedules] == [(soon, "fired")]


# --- what is not there


async def test_a_schedule_that_is_not_there(harness: ScheduleHarness) -> None:
    """28104, for each message that names one."""
    asked = [
        harness.schedules.get("x"),
        harness.update("x", name="y"),
        harness.schedules.delete("x"),
        harness.schedules.msg_ids("x"),
    ]
    for one in asked:
        with pytest.raises(NotFound) as refused:
            await one
        assert error_number(refused.value.detail) == 28104


async def test_a_deleted_schedule_is_gone(harness: ScheduleHarness) -> None:
    """A deleted schedule is not found and not fired."""
    schedule_id = await harness.create()
    await harness.schedules.delete(schedule_id)
    with pytest.raises(NotFound):
        await harness.schedules.delete(schedule_id)
    await harness.run(3600)
    assert harness.submitted == []


# --- updates


async def test_an_update_takes_any_parts(harness: ScheduleHarness) -> None:
    """Each whole; the others stay."""
    schedule_id = await harness.create(trigger=harness.at(3600))
    shown = await harness.update(schedule_id, name="other")
    assert (shown.name, shown.enabled, json.loads(encode(shown.push))) == ("other", True, JOB)
    shown = await harness.update(schedule_id, enabled=False, push=REFERENCE)
    assert (shown.status, shown.push.type) == ("paused", "set_cached_reference")
    shown = await harness.update(schedule_id, enabled=True, trigger=harness.at(7200))
    assert (shown.status, shown.due) == ("pending", "2026-03-01T14:00:00Z")
    assert shown == await harness.schedules.get(schedule_id)
    await harness.run(3600)
    assert harness.submitted == []
    await harness.run(3600)
    assert [(one.type, one.content, one.name) for one in harness.submitted] == [
        ("set_cached_reference", b'"abcd"', "other")
    ]


@pytest.mark.parametrize(
    ("parts", "number", "field"),
    [
        ({}, 28100, "content"),
        ({"name": ""}, 28100, "name"),
        ({"name": "a-b"}, 28100, "name"),
        ({"name": None}, 28100, "name"),
        ({"enabled": 1}, 28100, "enabled"),
        ({"trigger": {"single": {"time": "2026-07-01 10:00:00"}}}, 28100, "trigger.single.zone_type"),
        ({"trigger": {"single": {"time": "2020-07-01 10:00:00", "zone_type": 1}}}, 28100, "trigger.single.time"),
        ({"push": {"content": {}}}, 28105, "push.type"),
        ({"push": {"type": "send_job", "content": {"name": "only a part"}}}, 28105, "push.content.steps"),
        ({"other": 1}, 28100, "other"),
    ],
)
async def test_updates_that_can_not_be(
    harness: ScheduleHarness, parts: dict[str, Any], number: int, field: str
) -> None:
    """A part of a part is none; nothing is changed."""
    schedule_id = await harness.create()
    before = await harness.schedules.get(schedule_id)
    with pytest.raises(WireError) as refused:
        await harness.update(schedule_id, **parts)
    assert (error_number(refused.value.detail), refused.value.detail.field) == (number, field)
    assert await harness.schedules.get(schedule_id) == before


@pytest.mark.parametrize(("before", "after"), [(1, 2), (2, 1), (1, 3), (0, 1)])
async def test_the_zone_type_stays(harness: ScheduleHarness, before: int, after: int) -> None:
    """28100 for a change from the parent's clock to the machine's or back; among the machine's it may change."""
    schedule_id = await harness.create(trigger=harness.at(36_000, before, None))
    with pytest.raises(InvalidContent) as refused:
        await harness.update(schedule_id, trigger=harness.at(72_000, after, None))
    assert refused.value.detail.field == "trigger.single.zone_type"
    other_of_its_kind = {1: 1, 2: 5, 0: 2}[before]
    await harness.update(schedule_id, trigger=harness.at(72_000, other_of_its_kind, None))


@pytest.mark.parametrize("how", ["fired", "missed", "due"])
async def test_an_expired_schedule_is_not_updated(harness: ScheduleHarness, how: str) -> None:
    """28100; also in the moment before it is fired."""
    schedule_id = await harness.create()
    if how == "due":
        harness.time.advance(3600)
    else:
        await harness.run(3600 if how == "fired" else 3601 + GRACE)
        assert await harness.status(schedule_id) == how
    with pytest.raises(InvalidContent) as refused:
        await harness.update(schedule_id, name="too late", trigger=harness.at(3600))
    assert (refused.value.detail.code, error_number(refused.value.detail)) == (ErrorCode.INVALID_CONTENT, 28100)


async def test_updates_at_once_are_all_done(harness: ScheduleHarness) -> None:
    """None overwrites what another one has changed."""
    schedule_id = await harness.create()
    later = harness.at(7200)
    await asyncio.gather(
        harness.update(schedule_id, name="one"),
        harness.update(schedule_id, push=REFERENCE),
        harness.update(schedule_id, trigger=later),
    )
    shown = await harness.schedules.get(schedule_id)
    assert (shown.name, shown.push.type, shown.due) == ("one", "set_cached_reference", "2026-03-01T14:00:00Z")


# --- when the time comes


async def test_a_schedule_is_fired_once_at_its_time(harness: ScheduleHarness) -> None:
    """A schedule fires as a job with its name; `get_schedule_msg_ids` lists it, and the parent gets the event."""
    push = {"type": "send_job", "content": {**JOB["content"], "retries": 3, "webhooks": ["https://hooks.example/"]}}
    schedule_id = await harness.create(push=push)
    assert await harness.schedules.msg_ids(schedule_id) == (await harness.schedules.msg_ids(schedule_id))
    await harness.run(3599)
    assert harness.submitted == []
    await harness.run(1)
    await harness.run(86_400)
    key = f"schedule:{schedule_id}:2026-03-01T13:00:00Z"
    (submitted,) = harness.submitted
    assert submitted == Submission(
        type="send_job",
        content=json.dumps(push["content"]).encode(),
        key=key,
        name="nightly",
        origin=f"schedule:{schedule_id}",
        retries=3,
        timeout=3660.0,
        secret=False,
        notify=True,
        webhooks="the session's,https://hooks.example/",
    )
    ids = await harness.schedules.msg_ids(schedule_id)
    assert (ids.count, ids.msgids) == (1, (job_id_for(key),))
    assert await harness.status(schedule_id) == "fired"
    assert harness.fired == [
        ScheduleFired(schedule_id=schedule_id, name="nightly", due="2026-03-01T13:00:00Z", msgid=job_id_for(key))
    ]


async def test_a_schedule_that_was_not_fired_has_no_msgids(harness: ScheduleHarness) -> None:
    """None before its time."""
    ids = await harness.schedules.msg_ids(await harness.create())
    assert json.loads(encode(ids)) == {"count": 0, "msgids": []}


async def test_a_paused_schedule_is_not_fired(harness: ScheduleHarness) -> None:
    """Its time passes, and it was missed."""
    schedule_id = await harness.create()
    await harness.update(schedule_id, enabled=False)
    assert await harness.status(schedule_id) == "paused"
    await harness.run(3600)
    assert (harness.submitted, await harness.status(schedule_id)) == ([], "missed")


@pytest.mark.parametrize(("late", "status"), [(GRACE, "fired"), (GRACE + 1, "missed")])
async def test_what_was_due_while_nothing_ran(harness: ScheduleHarness, late: float, status: str) -> None:
    """Fired at most `misfire_grace` late, else marked missed."""
    schedule_id = await harness.create()
    await harness.run(3600 + late)
    assert await harness.status(schedule_id) == status
    assert len(harness.submitted) == (status == "fired")


async def test_the_clock_is_set_back_after_firing(harness: ScheduleHarness) -> None:
    """Its time comes again, and nothing happens."""
    await harness.create()
    await harness.run(3600)
    harness.time.advance(-3600)
    await harness.run(3600)
    assert len(harness.submitted) == 1


async def test_two_sidecars_make_one_job() -> None:
    """Two processes fire and update in any order of their steps."""
    for seed in range(20):
        database = Database.in_memory()
        time, encryptor = ManualClock(NOW.timestamp()), Encryptor(bytes(32))
        one, two = ScheduleHarness(database, time, encryptor), ScheduleHarness(database, time, encryptor)
        ids = [await one.create() for _ in range(5)]
        chance = random.Random(seed)
        time.advance(3600)

        async def on_due(harness: ScheduleHarness, chance: random.Random = chance) -> None:
            while await harness.agenda.next_due() is not None:
                for _ in range(chance.randrange(5)):
                    await asyncio.sleep(0)
                await harness.firing.on_due()

        await asyncio.gather(on_due(one), on_due(two))
        await one.firing.next_due()
        assert len({submitted.key for submitted in one.submitted + two.submitted}) == len(ids)
        assert sorted(reported.schedule_id for reported in one.fired) == sorted(ids)  # whichever process has fired it
        assert all([len((await one.schedules.msg_ids(id_)).msgids) == 1 for id_ in ids])
        await database.close()


@pytest.mark.parametrize("steps", range(4))
async def test_killed_while_firing(steps: int, tmp_path: Path) -> None:
    """A kill after any step gives the same job or none, and the schedule ends as fired."""
    time, encryptor = ManualClock(NOW.timestamp()), Encryptor(bytes(32))
    database = await Database.open(tmp_path / "sidecar.db")
    before = ScheduleHarness(database, time, encryptor)
    schedule_id = await before.create()
    time.advance(3600)
    for _ in range(steps):
        await before.firing.on_due()
    await database.close()
    database = await Database.open(tmp_path / "sidecar.db")
    after = ScheduleHarness(database, time, encryptor)
    await after.run(10)
    keys = {submitted.key for submitted in before.submitted + after.submitted}
    assert keys == {f"schedule:{schedule_id}:2026-03-01T13:00:00Z"}
    assert await after.status(schedule_id) == "fired"
    await database.close()


async def test_changed_in_the_moment_of_firing(harness: ScheduleHarness) -> None:
    """An update that was answered `ok` counts, and so does a firing that had begun."""
    schedule_id = await harness.create()
    harness.time.advance(3600)
    await harness.firing.on_due()  # begun
    harness.time.advance(-10)  # as a clock may
    with pytest.raises(InvalidContent):
        await harness.update(schedule_id, enabled=False)
    await harness.run(10)
    assert await harness.status(schedule_id) == "fired"


async def test_a_full_queue_is_tried_again(harness: ScheduleHarness) -> None:
    """Within the grace; then it was missed, and says why."""
    schedule_id = await harness.create()
    harness.failure = QueueFull("the queue is full")
    with pytest.raises(QueueFull):
        await harness.run(3600)
    harness.failure = None
    await harness.run(1)
    assert await harness.status(schedule_id) == "fired"

    schedule_id = await harness.create()
    harness.failure = QueueFull("the queue is full")
    with pytest.raises(QueueFull):
        await harness.run(3600)
    await harness.run(GRACE + 1)
    shown = await harness.schedules.get(schedule_id)
    assert shown.status == "missed"
    assert shown.error
    assert shown.error.code is ErrorCode.QUEUE_FULL


async def test_a_failing_entry_blocks_no_other(harness: ScheduleHarness) -> None:
    """The others are fired all the same."""
    await harness.create()
    encryptor, office_of_another = Encryptor(), harness
    other = ScheduleHarness(harness.agenda._database, harness.time, encryptor)
    schedule_id = await other.create(LOGGED_IN, push={"type": "send_job", "content": SECRETS})
    harness.time.advance(3600)
    for _ in range(3):
        with pytest.raises(WireError):
            await office_of_another.firing.on_due()
    assert len(harness.submitted) == 1
    assert await harness.status(schedule_id) == "pending"
    await other.run(1)
    assert (len(other.submitted), await harness.status(schedule_id)) == (1, "fired")


async def test_encrypted_by_a_process_that_is_gone(harness: ScheduleHarness) -> None:
    """It can't be fired, and says why; its owner would have had time to."""
    gone = ScheduleHarness(harness.agenda._database, harness.time, Encryptor())
    schedule_id = await gone.create(LOGGED_IN, push={"type": "send_job", "content": SECRETS})
    harness.time.advance(3600)
    with pytest.raises(WireError):
        await harness.firing.on_due()
    await harness.run(OWNER_SECONDS + 1)
    shown = await harness.schedules.get(schedule_id)
    assert shown.status == "missed"
    assert shown.error
    assert shown.error.code is ErrorCode.MISSING_CREDENTIALS
    assert "canary" not in repr(shown)


async def test_many_at_once(harness: ScheduleHarness) -> None:
    """More than are dealt with together."""
    for _ in range(BATCH_SIZE + 50):
        await harness.create()
    await harness.run(3600)
    assert len({submitted.key for submitted in harness.submitted}) == len(harness.submitted) == BATCH_SIZE + 50


async def test_expired_ones_are_kept_for_a_week(harness: ScheduleHarness) -> None:
    """Then they are gone."""
    schedule_id = await harness.create()
    await harness.run(3600)
    await harness.create(trigger=harness.at(RETENTION_SECONDS - 1))
    await harness.run(RETENTION_SECONDS - 1)
    assert await harness.status(schedule_id) == "fired"
    await harness.create(trigger=harness.at(1))
    await harness.run(1)
    with pytest.raises(NotFound):
        await harness.schedules.get(schedule_id)


async def test_a_change_wakes_the_timer(harness: ScheduleHarness) -> None:
    """A schedule that is made or changed."""
    schedule_id = await harness.create()
    await harness.update(schedule_id, name="other")
    assert harness.changes == [(schedule_id, harness.time.time + 3600)] * 2


async def test_an_unreadable_entry_blocks_no_other(harness: ScheduleHarness) -> None:
    """A newer sidecar's, or a damaged one: it waits as it is, is left out of lists, and can be deleted."""
    await harness.agenda.put_new("strange", b'{"name":1}', harness.time.time + 10)
    good = await harness.create(trigger=harness.at(20))
    await harness.run(20)
    assert (await harness.status(good), len(harness.submitted)) == ("fired", 1)
    left = await harness.agenda.get("strange")
    assert left
    assert (left.document, left.due) == (b'{"name":1}', harness.time.time + CORRUPT_RETRY_SECONDS)
    page = await harness.schedules.list(ListSchedules())
    assert (page.total_count, page.schedules) == (1, ())
    with pytest.raises(CorruptRecord, match="can't be read"):
        await harness.schedules.get("strange")
    await harness.schedules.delete("strange")
    assert await harness.agenda.next_due() is None


async def test_an_unreadable_schedule_is_not_reported(harness: ScheduleHarness) -> None:
    """Somebody has changed it since."""
    schedule_id = await harness.create()
    item = await harness.agenda.get(schedule_id)
    assert item
    assert await harness.agenda.replace(item, b"[]", None, harness.time.time + RETENTION_SECONDS)
    await harness.run(3600)
    assert harness.fired == []


async def test_hundreds_of_stuck_entries_block_no_other(harness: ScheduleHarness) -> None:
    """Stuck entries of a dead process are due first, and more than one batch."""
    gone = ScheduleHarness(harness.agenda._database, harness.time, Encryptor())
    for _ in range(BATCH_SIZE + 10):
        await gone.create(LOGGED_IN, push={"type": "send_job", "content": SECRETS}, trigger=harness.at(10))
    good = await harness.create(trigger=harness.at(11))
    harness.time.advance(11)
    for _ in range(2):
        with pytest.raises(WireError):
            await harness.firing.on_due()
    assert await harness.status(good) == "fired"


async def test_deleted_before_it_is_handed_over(harness: ScheduleHarness) -> None:
    """A deleted schedule runs nothing."""
    schedule_id = await harness.create()
    harness.time.advance(3600)
    await harness.firing.on_due()  # begun
    (item,) = await harness.agenda.due(harness.time.time, 1)
    await harness.schedules.delete(schedule_id)
    await harness.firing._process(item)  # read before that
    assert (harness.submitted, harness.fired) == ([], [])


async def test_deleted_while_it_is_handed_over(harness: ScheduleHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    """Too late: its job runs, and is reported."""
    schedule_id = await harness.create()
    harness.firing._watched.clear()  # as in another sidecar
    harness.time.advance(3600)
    await harness.firing.on_due()

    async def submit(submission: Submission) -> str:
        await harness.schedules.delete(schedule_id)
        return job_id_for(submission.key)

    monkeypatch.setattr(harness.firing, "_submit", submit)
    await harness.firing.on_due()
    assert [reported.schedule_id for reported in harness.fired] == [schedule_id]
    assert await harness.firing.next_due() is None
