"""Statuses of errors: every code has one, and docs/http.md names it."""

import re
from pathlib import Path

from sidecar_protocol.errors import ErrorCode

from sidecar.server.http.refusals import STATUSES

PAGE = (Path(__file__).parents[4] / "docs" / "http.md").read_text()


def test_the_table_of_the_page() -> None:
    """Each code of the wire stands in the row of its status, and no row names a code that there is not."""
    section = PAGE.split("## Errors")[1].split("\n## ")[0]
    rows = re.findall(r"^\| ([\d, ]+) \| (.*) \|$", section, re.MULTILINE)
    assert rows
    named = {
        (word, int(status))
        for statuses, text in rows
        for status in statuses.split(", ")
        for word in re.findall(r"`([a-z_]+)`", text)
    }
    assert {code.value for code in ErrorCode} == {word for word, _ in named}
    assert set(STATUSES) == set(ErrorCode)
    assert {(code.value, status) for code, status in STATUSES.items()} <= named
