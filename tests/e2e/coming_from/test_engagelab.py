"""Rows of EngageLab: a request on the left, a message on the right, and what its reply holds in the third cell.

There is one schedule, named `first`, before a request that is no POST: `{schedule_id}` stands for its id, the page's
time for one in the future, and `"…"` for anything. Where the reply is an error, the object is a part of that.
"""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.coming_from.minutes import run_minute
from tests.e2e.coming_from.page import Row, rows
from tests.harness import Child

SECTION = "EngageLab"
THEIR_TIME = "2022-11-23 19:20:00"
ROUTES = {
    ("POST", "/v4/schedules"): "create_schedule",
    ("GET", "/v4/schedules"): "list_schedules",
    ("GET", "/v4/schedules/ID"): "get_schedule",
    ("GET", "/v4/schedules/ID/msg-ids"): "get_schedule_msg_ids",
    ("PUT", "/v4/schedules/ID"): "update_schedule",
    ("DELETE", "/v4/schedules/ID"): "delete_schedule",
}


@pytest.fixture(scope="module")
def child(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Child]:
    """One sidecar for all rows, each of which deletes its schedules."""
    with Child(tmp_path_factory.mktemp("engagelab")) as running:
        assert running.ask({"type": "set_mock"}) == [{"type": "ok"}]
        yield running
        assert running.end() == 0


@pytest.mark.parametrize("row", rows(SECTION), ids=str)
def test_row(row: Row, child: Child) -> None:
    """Our message is the one for their request, holds what it held, and is answered as the row says."""
    ([theirs], [ours]) = (row.theirs, row.ours)
    check_same(theirs, json.loads(ours))
    soon = (datetime.now(UTC) + timedelta(days=30)).strftime("%Y-%m-%d %H:%M:%S")
    single = {"time": soon, "zone_type": 1}
    push = {"type": "set_cached_reference", "content": "abcd"}
    first = {"name": "first", "enabled": True, "trigger": {"single": single}, "push": push}
    made = ""
    if not theirs.startswith("POST"):
        (reply,) = child.ask({"type": "create_schedule", "content": first})
        made = reply["content"]["schedule_id"]
    (reply,) = child.ask(ours.replace("{schedule_id}", made).replace(THEIR_TIME, soon).encode())
    (left,) = child.ask({"type": "list_schedules"})
    for one in left["content"]["schedules"]:
        gone = {"type": "delete_schedule", "content": {"schedule_id": one["schedule_id"]}}
        assert child.ask(gone)[0]["type"] == "ok"
    found: Any = reply["error"] if reply["type"] == "error" else reply.get("content")
    assert bool(row.happens) == (found is not None)
    for span in row.happens:
        expected = json.loads(span.replace("{schedule_id}", made))
        compared = {name: found[name] for name in expected} if reply["type"] == "error" else found
        assert alike(compared, expected), reply


def check_same(theirs: str, message: dict[str, Any]) -> None:
    """Type and content of our message are the route and the body of theirs; a push is another one here."""
    method, place, *body = theirs.split(" ", 2)
    path, _, query = place.partition("?")
    schedule_id = path.split("/")[3] if path.count("/") > 2 else ""
    assert message["type"] == ROUTES[method, path.replace(f"/{schedule_id}", "/ID") if schedule_id else path]
    wanted: dict[str, Any] = json.loads(body[0]) if body else {}
    wanted |= {"schedule_id": schedule_id} if schedule_id else {}
    wanted |= {"page": int(query.removeprefix("page="))} if query else {}
    content = message.get("content", {})
    assert content.keys() == wanted.keys()
    assert {name: content[name] for name in content if name != "push"} == {
        name: wanted[name] for name in wanted if name != "push"
    }


def alike(found: Any, expected: Any) -> bool:
    """Whether a reply is what the row says."""
    if expected == "…":
        return True
    if isinstance(expected, dict) and isinstance(found, dict):
        return found.keys() == expected.keys() and all(alike(found[name], expected[name]) for name in expected)
    if isinstance(expected, list) and isinstance(found, list):
        return len(found) == len(expected) and all(map(alike, found, expected))
    return bool(found == expected)


def test_minute(tmp_path: Path) -> None:
    """A schedule is made, and is there in the next session."""
    *_, listed = run_minute(SECTION, tmp_path).splitlines()
    assert [one["name"] for one in json.loads(listed)["content"]["schedules"]] == ["my first"]
