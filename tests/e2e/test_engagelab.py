"""Every rule of EngageLab's *Scheduled Tasks API*, by the sentence that states it, with a real process in mock mode."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.harness import SECONDS, Child

PUSH = {"type": "set_cached_reference", "content": "abcd"}
WHOLE = {
    "name": "schedule push example",
    "enabled": True,
    "trigger": {"single": {"time": "2022-11-23 19:20:00", "zone_type": 1, "zone": "UTC"}},
    "push": PUSH,
}
INVALID, NOT_ALLOWED, NOT_THERE, NO_PUSH = 28100, 28101, 28104, 28105


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Child]:
    """One for all of them."""
    with Child(tmp_path_factory.mktemp("engagelab"), env={"TZ": "America/New_York"}) as running:
        yield running


@pytest.fixture
def child(process: Child) -> Child:
    """A child without schedules: each mock session starts empty."""
    assert process.ask({"type": "set_mock"}) == [{"type": "ok"}]
    return process


def at(seconds: float = 3600, **more: Any) -> dict[str, Any]:
    """A trigger `seconds` from now, in UTC by default."""
    shown = (datetime.now(UTC) + timedelta(seconds=seconds)).strftime("%Y-%m-%d %H:%M:%S")
    return {"single": {"time": shown, "zone_type": 1, "zone": "UTC"} | more}


def create(child: Child, **changes: Any) -> Any:
    """The reply to a `create_schedule`; a change to `...` leaves the member out."""
    return ask(child, "create_schedule", **(WHOLE | {"trigger": at()} | changes))


def ask(child: Child, kind: str, **content: Any) -> Any:
    """What is replied: its content, or the number and field of its error."""
    given = {name: value for name, value in content.items() if value is not ...}
    (reply,) = child.ask({"type": kind, "content": given})
    if reply["type"] == "error":
        return reply["error"]["number"], reply["error"].get("field")
    return reply.get("content")


def count(child: Child) -> int:
    """How many schedules there are."""
    return int(ask(child, "list_schedules")["total_count"])


def expired(child: Child) -> str:
    """The id of a schedule whose time has come."""
    schedule_id = create(child, trigger=at(2))["schedule_id"]
    deadline = time.monotonic() + SECONDS
    while ask(child, "get_schedule", schedule_id=schedule_id)["status"] != "fired":
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return str(schedule_id)


# --- the four fields


@pytest.mark.parametrize("field", ["name", "enabled", "trigger", "push"])
def test_every_schedule_task_includes_name_enabled_trigger_push_those_four_fields(child: Child, field: str) -> None:
    """None may be missing."""
    assert create(child, **{field: ...}) == (NO_PUSH if field == "push" else INVALID, field)
    assert count(child) == 0


@pytest.mark.parametrize("name", ["a" * 255, "定" * 85, "定时任务_2026", "_", "7", "schedule push example"])
def test_name_consists_of_chinese_characters_letters_numbers_and_underscores(child: Child, name: str) -> None:
    """The page's own examples have spaces, too."""
    assert create(child, name=name)["name"] == name


@pytest.mark.parametrize("name", ["a" * 256, "定" * 85 + "a", "定" * 86, "é" * 128])
def test_name_cannot_exceed_255_bytes(child: Child, name: str) -> None:
    """Bytes, not characters: 85 Chinese ones are 255."""
    assert create(child, name=name) == (INVALID, "name")
    assert create(child, name=name.encode()[:255].decode(errors="ignore"))["schedule_id"]


@pytest.mark.parametrize("name", ["", "a-b", "a.b", "a/b", "😀", "a\n"])
def test_a_name_of_anything_else_is_invalid(child: Child, name: str) -> None:
    """28100."""
    assert create(child, name=name) == (INVALID, "name")


def test_cannot_create_a_task_with_enabled_false_otherwise_the_creation_will_fail(child: Child) -> None:
    """The enabled field must be true when it is first created."""
    assert create(child, enabled=False) == (INVALID, "enabled")
    assert count(child) == 0


def test_currently_only_scheduled_tasks_single_are_supported(child: Child) -> None:
    """No periodical ones."""
    assert create(child, trigger={"periodical": {}})[0] == INVALID
    assert create(child, trigger=at() | {"periodical": {}}) == (INVALID, "trigger.periodical")


# --- the time


@pytest.mark.parametrize(
    "text", ["2014-2-15 13:16:59", "2014-12-15 13:16", "2027-02-30 10:00:00", "2027-01-01T10:00:00"]
)
def test_time_uses_the_yyyy_mm_dd_hh_mm_ss_format(child: Child, text: str) -> None:
    """Zero-padded and whole."""
    assert create(child, trigger={"single": {"time": text, "zone_type": 2}}) == (INVALID, "trigger.single.time")


def test_a_time_that_has_passed_is_invalid(child: Child) -> None:
    """The page's own example is of 2014."""
    single = {"time": "2014-02-15 13:16:59", "zone_type": 2}
    assert create(child, trigger={"single": single}) == (INVALID, "trigger.single.time")


def test_the_latest_time_for_scheduled_tasks_cannot_exceed_one_year(child: Child) -> None:
    """A year by the calendar: 365 days, or 366."""
    assert create(child, trigger=at(365 * 86_400 - 60))["schedule_id"]
    assert create(child, trigger=at(366 * 86_400 + 60)) == (INVALID, "trigger.single.time")


def test_zone_type_is_the_required_field(child: Child) -> None:
    """Without it nothing is made."""
    single = at()["single"]
    del single["zone_type"]
    assert create(child, trigger={"single": single}) == (INVALID, "trigger.single.zone_type")


@pytest.mark.parametrize("zone_type", [2, 0, 3, -1])
def test_otherwise_it_will_be_pushed_according_to_the_time_zone_of_the_server(child: Child, zone_type: int) -> None:
    """1 is the parent's zone; 2 and any other are the machine's, which is New York here."""
    wall = datetime.now(UTC).replace(month=1, day=15, hour=12, minute=0, second=0) + timedelta(days=366)
    if wall - datetime.now(UTC) > timedelta(days=365):
        wall = wall.replace(year=wall.year - 1)
    single = {"time": wall.strftime("%Y-%m-%d %H:%M:%S"), "zone_type": zone_type}
    theirs = create(child, trigger={"single": single})["schedule_id"]
    ours = create(child, trigger={"single": single | {"zone_type": 1, "zone": "UTC"}})["schedule_id"]
    due = [ask(child, "get_schedule", schedule_id=one)["due"] for one in (theirs, ours)]
    assert due == [wall.strftime("%Y-%m-%dT17:00:00Z"), wall.strftime("%Y-%m-%dT12:00:00Z")]


# --- how many


def test_the_total_number_of_valid_scheduled_tasks_is_1000(child: Child) -> None:
    """If the total number is exceeded, the new scheduled task will prompt failure; one that goes makes room."""
    one = {"type": "create_schedule", "content": WHOLE | {"trigger": at()}}
    replies = child.ask(*[one] * 1000)
    assert {reply["type"] for reply in replies} == {"ok"}
    assert create(child) == (INVALID, None)
    last = ask(child, "list_schedules", page=20)
    assert (last["total_count"], last["total_pages"], last["page"], len(last["schedules"])) == (1000, 20, 20, 50)
    assert ask(child, "delete_schedule", schedule_id=replies[500]["content"]["schedule_id"]) is None
    assert create(child)["schedule_id"]


# --- the push


@pytest.mark.parametrize(
    ("push", "field"),
    [
        ({}, "push.type"),
        ({"type": "ping"}, "push.type"),
        ({"type": "no_such"}, "push.type"),
        ({"type": "set_cached_reference"}, "push.content"),
        ({"type": "set_cached_reference", "content": ""}, "push.content"),
        ({"type": "send_job", "content": {"steps": []}}, "push.content.steps"),
        ({"alert": "web scheduled task"}, "push.alert"),
    ],
)
def test_push_must_be_a_valid_and_legal_push_action_or_the_creation_fails(child: Child, push: Any, field: str) -> None:
    """With the number of a push without a target."""
    assert create(child, push=push) == (NO_PUSH, field)
    assert count(child) == 0


# --- reading


def test_a_created_schedule_is_answered_by_its_id_and_name(child: Child) -> None:
    """The result is exactly this."""
    assert create(child).keys() == {"schedule_id", "name"}


def test_gets_the_list_of_currently_valid_unexpired_schedules(child: Child) -> None:
    """One whose time has come is not among them."""
    expired(child)
    kept = create(child)["schedule_id"]
    assert [one["schedule_id"] for one in ask(child, "list_schedules")["schedules"]] == [kept]


def test_if_no_page_is_specified_the_page_is_1(child: Child) -> None:
    """With fewer than 50 the actual number of tasks will be returned, sorted by creation time."""
    ids = [create(child, trigger=at(3600 - number))["schedule_id"] for number in range(3)]
    listed = ask(child, "list_schedules")
    assert (listed["page"], listed["total_count"], listed["total_pages"]) == (1, 3, 1)
    assert [one["schedule_id"] for one in listed["schedules"]] == ids


def test_each_page_can_return_up_to_50_tasks(child: Child) -> None:
    """The rest is on the next one."""
    for _ in range(51):
        create(child)
    assert [len(ask(child, "list_schedules", page=page)["schedules"]) for page in (1, 2)] == [50, 1]


def test_if_the_page_is_greater_than_the_total_number_the_page_is_the_request_value_and_the_schedule_is_empty(
    child: Child,
) -> None:
    """A page past the end is empty, even without any schedule."""
    assert ask(child, "list_schedules", page=7) == {"total_count": 0, "total_pages": 0, "page": 7, "schedules": []}
    create(child)
    assert ask(child, "list_schedules", page=7) == {"total_count": 1, "total_pages": 1, "page": 7, "schedules": []}


def test_it_will_return_the_detail_of_schedule_task(child: Child) -> None:
    """As it was given."""
    trigger = at()
    schedule_id = create(child, trigger=trigger)["schedule_id"]
    detail = ask(child, "get_schedule", schedule_id=schedule_id)
    assert {name: detail[name] for name in ("schedule_id", *WHOLE)} == WHOLE | {
        "schedule_id": schedule_id,
        "trigger": trigger,
    }


@pytest.mark.parametrize("kind", ["get_schedule", "update_schedule", "delete_schedule", "get_schedule_msg_ids"])
def test_if_the_schedule_id_is_not_exists_then_return_404(child: Child, kind: str) -> None:
    """28104: also if it is illegal or not a valid id."""
    more = {"name": "task"} if kind == "update_schedule" else {}
    for schedule_id in ("0eac1b80-c2ac-4b69-948b-c65b34b96512", "not an id", "../x"):
        assert ask(child, kind, schedule_id=schedule_id, **more)[0] == NOT_THERE


def test_get_all_the_message_ids_of_the_scheduled_task(child: Child) -> None:
    """None before its time, those of its jobs after it."""
    waiting = create(child)["schedule_id"]
    assert ask(child, "get_schedule_msg_ids", schedule_id=waiting) == {"count": 0, "msgids": []}
    ids = ask(child, "get_schedule_msg_ids", schedule_id=expired(child))
    assert ids["count"] == len(ids["msgids"]) == 1
    assert ask_status(child, ids["msgids"][0]) in ("pending", "success")


def ask_status(child: Child, job_id: str) -> str:
    """What has become of a job."""
    (reply,) = child.ask({"type": "job_status", "content": {"id": job_id}})
    return str(reply["content"]["status"])


# --- updates


def test_can_not_update_the_scheduled_task_that_had_expired(child: Child) -> None:
    """28100, whatever is to be updated."""
    assert ask(child, "update_schedule", schedule_id=expired(child), name="task") == (INVALID, "schedule_id")


@pytest.mark.parametrize(("before", "after"), [(1, 2), (2, 1), (1, 3)])
def test_terminal_and_master_time_zone_cannot_be_updated_with_each_other(child: Child, before: int, after: int) -> None:
    """The zone's kind can't change in either direction; within one kind the time can."""
    zones = {1: "UTC"}
    schedule_id = create(child, trigger=trigger_of(before, zones))["schedule_id"]
    changed = ask(child, "update_schedule", schedule_id=schedule_id, trigger=trigger_of(after, zones))
    assert changed == (INVALID, "trigger.single.zone_type")
    assert (
        ask(child, "update_schedule", schedule_id=schedule_id, trigger=trigger_of(before, zones))["status"] == "pending"
    )


def trigger_of(zone_type: int, zones: dict[int, str]) -> dict[str, Any]:
    """A trigger of that type, far enough from now in every zone."""
    single = {"time": at(14 * 86_400)["single"]["time"], "zone_type": zone_type}
    return {"single": single | ({"zone": zones[zone_type]} if zone_type in zones else {})}


@pytest.mark.parametrize("field", ["name", "enabled", "trigger", "push"])
def test_can_update_the_one_or_multiple_fields(child: Child, field: str) -> None:
    """What is not given stays, and the whole is answered."""
    schedule_id = create(child, trigger=at(7200))["schedule_id"]
    new: dict[str, Any] = {
        "name": "task",
        "enabled": False,
        "trigger": at(4000),
        "push": {"type": "send_cv", "content": {"referenceNumber": "a"}},
    }
    before = ask(child, "get_schedule", schedule_id=schedule_id)
    after = ask(child, "update_schedule", schedule_id=schedule_id, **{field: new[field]})
    assert after[field] == new[field]
    assert {name: after[name] for name in WHOLE.keys() - {field}} == {
        name: before[name] for name in WHOLE.keys() - {field}
    }
    assert ask(child, "update_schedule", schedule_id=schedule_id, **new)["push"] == new["push"]


def test_an_update_of_nothing_is_an_illegal_update_operation(child: Child) -> None:
    """28100."""
    assert ask(child, "update_schedule", schedule_id=create(child)["schedule_id"])[0] == INVALID


@pytest.mark.parametrize(
    "part",
    [{"alert": "web scheduled task"}, {"content": "efgh"}, {"type": "set_cached_reference"}, {}],
)
def test_the_update_body_can_not_a_part_need_to_be_a_whole_body(child: Child, part: dict[str, Any]) -> None:
    """Incorrect: only update the alert in the push field. Nothing has changed then, and the whole push is taken."""
    schedule_id = create(child)["schedule_id"]
    number, field = ask(child, "update_schedule", schedule_id=schedule_id, push=part)
    assert (number, field.partition(".")[0]) == (NO_PUSH, "push")
    assert ask(child, "get_schedule", schedule_id=schedule_id)["push"] == PUSH
    assert (
        ask(child, "update_schedule", schedule_id=schedule_id, push=PUSH | {"content": "efgh"})["push"]["content"]
        == "efgh"
    )


def test_the_trigger_of_an_update_is_whole_too(child: Child) -> None:
    """Its time alone is a part."""
    schedule_id = create(child)["schedule_id"]
    single = {"time": at()["single"]["time"]}
    assert ask(child, "update_schedule", schedule_id=schedule_id, trigger={"single": single}) == (
        INVALID,
        "trigger.single.zone_type",
    )


def test_the_push_field_must_be_valid_or_it_will_update_failed(child: Child) -> None:
    """With the number of a push without a target."""
    schedule_id = create(child)["schedule_id"]
    assert ask(child, "update_schedule", schedule_id=schedule_id, push={"type": "ping"}) == (NO_PUSH, "push.type")


# --- deleting and errors


def test_delete_schedule_task(child: Child) -> None:
    """It is gone, and a second time it is not there."""
    schedule_id = create(child)["schedule_id"]
    assert ask(child, "delete_schedule", schedule_id=schedule_id) is None
    assert ask(child, "delete_schedule", schedule_id=schedule_id)[0] == NOT_THERE
    assert count(child) == 0


def test_basic_authentication_failed(child: Child, tmp_path: Path) -> None:
    """What needs a login, and has none: 28101."""
    with Child(tmp_path) as other:
        assert create(other, push={"type": "send_cv", "content": {"referenceNumber": "a"}})[0] == NOT_ALLOWED


def test_the_schedule_task_is_invalid_section_is_invalid_request_data_is_not_json(child: Child) -> None:
    """28100: a part of another type, an unknown part, no object."""
    assert create(child, trigger="2027-01-01 00:00:00") == (INVALID, "trigger")
    assert create(child, other=1) == (INVALID, "other")
    (reply,) = child.ask({"type": "create_schedule", "content": "{}"})
    assert reply["error"]["number"] == INVALID
