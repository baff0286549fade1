"""Rows of RT-CV scraper client v2: its routes and its credentials on the left, lines on the right.

What a route's body or `env.json` holds has to stand in our lines. The third cell is read as in the rows of v1.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.coming_from.minutes import run_minute
from tests.e2e.coming_from.page import Row, rows
from tests.e2e.coming_from.test_rtcv_v1 import LOGINS, THEIR_SERVER, check_requests, login, server
from tests.harness import Child

SECTION = "RT-CV scraper client v2"
PDF = b"%PDF-1.4\n%%EOF\n"
ROUTES = {
    "/users": "get_users_secret",
    "/send_cv": "send_cv",
    "/send_full_cv": "send_full_cv",
    "/cvs_list": "send_cvs_list",
    "/set_cached_reference": "set_cached_reference",
    "/set_short_cached_reference": "set_short_cached_reference",
    "/get_cached_reference": "has_cached_reference",
}
"""Route -> message."""


def test_every_route_has_a_row() -> None:
    """But those of the server's websocket, which are not served."""
    named = {span.split()[1] for row in rows(SECTION) for span in row.theirs if span.startswith(("POST", "GET"))}
    assert named == ROUTES.keys()


@pytest.fixture(scope="module")
def child(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Child]:
    """One sidecar for all rows: each logs in to a server of its own, and knows no reference there."""
    folder = tmp_path_factory.mktemp("rows")
    (folder / "cvs").mkdir()
    (folder / "cvs" / "ann.pdf").write_bytes(PDF)
    with Child(folder, env={"SIDECAR_CV_FOLDER": str(folder / "cvs")}) as running:
        yield running
        assert running.end() == 0


@pytest.mark.parametrize("row", rows(SECTION), ids=str)
def test_row(row: Row, child: Child) -> None:
    """Our lines hold what theirs do, and do what the row says."""
    messages = [json.loads(line) for line in row.ours]
    assert len(row.theirs) == len(messages)
    for theirs, message in zip(row.theirs, messages, strict=True):
        check_same(theirs, message)
    with server() as real:
        if not LOGINS & {message["type"] for message in messages}:
            assert child.ask(login(real.server.url)) == [{"type": "ok"}]
        answers = child.ask(*(line.replace(THEIR_SERVER, real.server.url).encode() for line in row.ours))
    assert answers == [json.loads(span) for span in row.happens if span.startswith("{")]
    parts = [span for span in row.happens if span in ("metadata", "cv")]
    check_requests([span for span in row.happens if span.startswith(("GET", "POST"))], real)
    if parts:
        assert list(real.server.to("scanCVDocument")[0].form) == parts
    known = ("{", "GET", "POST", "metadata", "cv", "SIDECAR_CV_FOLDER")
    assert all(span.startswith(known) for span in row.happens)


def check_same(theirs: str, message: dict[str, Any]) -> None:
    """Our message is the one for their call, and holds what it held."""
    first, _, rest = theirs.partition(" ")
    content = message["content"]
    if first == "env.json":
        check_credentials(json.loads(rest), content)
        return
    path, _, body = rest.partition(" ")
    assert message["type"] == ROUTES[path]
    given = content["metadata"] if path == "/send_full_cv" else content
    if body:
        assert given == (json.loads(body) if body[0] in "[{" else body)


def check_credentials(env: dict[str, Any], content: Any) -> None:
    """Every server, and every mock user."""
    if "mock_users" in env:
        assert content["secrets"]["users"] == env["mock_users"]
        return
    servers = content if isinstance(content, list) else [content]
    ours = [{name: value for name, value in one.items() if name != "primary"} for one in servers]
    assert ours == [env["primary_server"], *env.get("alternative_servers", [])]
    assert len(servers) == 1 or servers[0]["primary"]


def test_minute(tmp_path: Path) -> None:
    """A CV, and one with its PDF."""
    (tmp_path / "cvs").mkdir()
    (tmp_path / "cvs" / "ann.pdf").write_bytes(PDF)
    assert run_minute(SECTION, tmp_path).count('{"type":"ok","content":true}') == 2
