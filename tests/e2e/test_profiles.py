"""Profiles over the wire: on the disk for real sessions, in memory for mock ones, bad names refused."""

import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.harness import Child, Rtcv, rtcv

COOKIE = {"name": "seen", "value": "yes", "domain": "127.0.0.1", "expires": 4_000_000_000}


@pytest.fixture(scope="module")
def server() -> Iterator[Rtcv]:
    """A shop."""
    with rtcv() as running:
        yield running


def visit(child: Child, server: Rtcv, **content: Any) -> dict[str, Any]:
    """The reply to a job that visits the shop."""
    child.send({"type": "send_job", "content": {"steps": [{"url": f"{server.server.url}/page/shop"}], **content}})
    return child.read(60)


def found(child: Child, server: Rtcv, **content: Any) -> str:
    """The cookies that the shop sees of a job."""
    before = len(server.server.to("/page/shop"))
    reply = visit(child, server, **content)
    assert reply["type"] == "ok", reply
    (request,) = server.server.to("/page/shop")[before:]
    return request.headers.get("Cookie", "")


@pytest.mark.browser
def test_a_profile_outlives_the_process(tmp_path: Path, server: Rtcv) -> None:
    """What a job's cookies left is there in the next process, in a file for its owner alone."""
    with Child(tmp_path) as child:
        assert found(child, server, profile="shop", cookies=[COOKIE]) == "seen=yes"
        assert child.end() == 0
    file = tmp_path / "state" / "profiles" / "shop.chromium.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    with Child(tmp_path) as child:
        assert found(child, server, profile="shop") == "seen=yes"
        assert found(child, server) == ""
        assert child.end() == 0


@pytest.mark.browser
def test_a_mock_session_leaves_nothing(tmp_path: Path, server: Rtcv) -> None:
    """Its profiles live as long as it does, and see nothing of the real ones."""
    with Child(tmp_path) as child:
        assert child.ask({"type": "set_mock"}) == [{"type": "ok"}]
        assert found(child, server, profile="shop", cookies=[COOKIE]) == "seen=yes"
        assert found(child, server, profile="shop") == "seen=yes"
        assert child.ask({"type": "set_mock"}) == [{"type": "ok"}]
        assert found(child, server, profile="shop") == ""  # another mock session
        assert child.end() == 0
    assert not (tmp_path / "state" / "profiles").exists()


def test_a_name_is_no_path(tmp_path: Path, server: Rtcv) -> None:
    """The field is named."""
    with Child(tmp_path) as child:
        reply = visit(child, server, profile="../../etc")
        assert (reply["error"]["code"], reply["error"]["field"]) == ("invalid_content", "profile")
        assert child.end() == 0
