"""Rows of Factotum: flags, and the message that names the form of its last release.

A span of the third cell is the kind of a document and the run's state in it, in the order in which they arrive. The run
has nothing to do, for its reference is cached, so no browser is needed.
"""

import json
import shlex
from pathlib import Path
from typing import Any

import pytest

from tests.documents import SCHEMAS_06, check_factotum_06, check_self_describing
from tests.e2e.coming_from.minutes import run_minute
from tests.e2e.coming_from.page import Row, rows
from tests.harness import Child, receiver

SECTION = "Factotum"
THEIRS = "http://my-collector.com"
JOB = {"type": "send_job", "content": {"reference_number": "seen", "steps": [{"url": "about:blank"}]}}
PRIVATE = {"SIDECAR_ALLOW_PRIVATE_NETWORK": "true"}


@pytest.mark.parametrize("row", rows(SECTION), ids=str)
def test_row(row: Row, tmp_path: Path) -> None:
    """Every receiver gets the documents that the row names, in the form that it means."""
    [given] = row.ours
    last = given.startswith("{")
    with receiver() as real:
        url = real.server.url
        flags = [] if last else shlex.split(given.replace(THEIRS, url))
        with Child(tmp_path, *flags, env=PRIVATE) as child:
            before = [given.replace(THEIRS, url).encode()] if last else []
            seen = {"type": "set_cached_reference", "content": "seen"}
            *_, done = child.ask(*before, seen, JOB)
            assert done["content"] == {"status": "skipped"}
            places = {one for one in shlex.split(given) if one.startswith(THEIRS)} or {THEIRS}
            real.wait_for("/", len(row.happens) * len(places))
            assert child.end() == 0
    for place in places:
        path = place.removeprefix(THEIRS) or "/"
        got = [one.json for one in real.server.requests if one.path == path]
        assert [shown(document, last=last) for document in got] == list(row.happens)


def shown(document: dict[str, Any], *, last: bool) -> str:
    """Its kind and the run's state, once it is checked against its schema."""
    data = check_factotum_06(document) if last else check_self_describing(document)
    assert document["schema"] in SCHEMAS_06
    return f"{document['schema'].split('/')[1]} {data['runState']}"


@pytest.mark.browser
def test_minute(tmp_path: Path) -> None:
    """A job runs, and its receiver gets the updates."""
    with receiver() as real:
        printed = run_minute(SECTION, tmp_path, ("http://127.0.0.1:8080", real.server.url))
        real.wait_for("/", 4)
    job = json.loads(printed.splitlines()[-1])
    assert job["content"]["status"] == "success", job
    data = check_self_describing(real.server.requests[-1].json)
    assert (data["runState"], data["taskStates"][0]["stdout"]) == ("COMPLETED", "alpha")
