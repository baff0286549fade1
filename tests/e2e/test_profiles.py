"""Profiles over the wire: on the disk for real sessions, in memory for mock ones, bad names refused."""

import stat
from pathlib import Path
from typing import Any

import pytest

from tests.harness import Child

COOKIE = {"name": "seen", "value": "yes", "domain": "shop.example", "expires": 4_000_000_000}
COUNT = "context.cookies().then((found) => found.length)"


def visit(child: Child, **content: Any) -> dict[str, Any]:
    """The reply to a job of the profile, which says how many cookies it found."""
    child.send({"type": "send_job", "content": {"steps": [{"url": "about:blank", "actions": [COUNT]}], **content}})
    return child.read(60)


def found(reply: dict[str, Any]) -> int:
    """The number of cookies."""
    return int(reply["content"]["result"]["steps"][0]["values"][0])


@pytest.mark.browser
def test_a_profile_outlives_the_process(tmp_path: Path) -> None:
    """What a job's cookies left is there in the next process, in a file for its owner alone."""
    with Child(tmp_path) as child:
        assert found(visit(child, profile="shop", cookies=[COOKIE])) == 1
        assert child.end() == 0
    file = tmp_path / "state" / "profiles" / "shop.chromium.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    with Child(tmp_path) as child:
        assert found(visit(child, profile="shop")) == 1
        assert found(visit(child)) == 0
        assert child.end() == 0


@pytest.mark.browser
def test_a_mock_session_leaves_nothing(tmp_path: Path) -> None:
    """Its profiles live as long as it does, and see nothing of the real ones."""
    with Child(tmp_path) as child:
        assert child.ask({"type": "set_mock"}) == [{"type": "ok"}]
        assert found(visit(child, profile="shop", cookies=[COOKIE])) == 1
        assert found(visit(child, profile="shop")) == 1
        assert child.ask({"type": "set_mock"}) == [{"type": "ok"}]
        assert found(visit(child, profile="shop")) == 0  # another mock session
        assert child.end() == 0
    assert not (tmp_path / "state" / "profiles").exists()


def test_a_name_is_no_path(tmp_path: Path) -> None:
    """The field is named."""
    with Child(tmp_path) as child:
        reply = visit(child, profile="../../etc")
        assert (reply["error"]["code"], reply["error"]["field"]) == ("invalid_content", "profile")
        assert child.end() == 0
