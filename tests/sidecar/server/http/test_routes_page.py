"""docs/http.md has a row for each route, and each of its rows stands for one."""

import re
from pathlib import Path
from typing import Any, cast

import pytest

from sidecar.server.http.compat_director import DirectorRoutes
from sidecar.server.http.compat_engagelab import EngagelabRoutes
from sidecar.server.http.compat_rtcv import RtcvRoutes
from sidecar.server.http.compat_tourist import TouristRoutes
from sidecar.server.http.messages import Messages
from sidecar.server.http.openapi import Description

PAGE = (Path(__file__).parents[4] / "docs" / "http.md").read_text()
NOTHING = cast("Any", None)
"""What a table needs to answer, and not to name its routes."""
TABLES = (
    Messages(NOTHING, NOTHING, NOTHING),
    Description(()),
    RtcvRoutes(NOTHING),
    TouristRoutes(None, "http://127.0.0.1/"),
    DirectorRoutes(),
    EngagelabRoutes(),
)
ROUTES = sorted({route.path for table in TABLES for route in table.routes()})
CELLS = re.findall(r"^\| ([^|]*`[^|]*/[^|]*`[^|]*) \|", PAGE, re.MULTILINE)
"""First cells of rows that name a path."""
LAST_PARTS = {path.rpartition("/")[2] for path in ROUTES if not path.endswith("}")}


@pytest.mark.parametrize("path", ROUTES)
def test_every_route_has_a_row(path: str) -> None:
    """With its whole path, or its last part where its neighbours are in the row."""
    last = path.rpartition("/")[2].replace("{action}", "start")
    assert any(path in cell or f"/{last}`" in cell or f"`{last}`" in cell for cell in CELLS), path


def test_every_row_is_a_route() -> None:
    """The words of its first cell are parts of paths, methods and variables."""
    known = {part for path in ROUTES for part in path.strip("/").split("/")} | {"start", "stop", "switch", "…", "{id}"}
    named = {
        part
        for cell in CELLS
        for words in re.findall(r"`([^`]*)`", cell)
        for word in words.split()
        for part in word.partition("?")[0].strip("/").split("/")
    }
    assert named - {"GET", "POST", "PUT", "DELETE"} <= known
    assert LAST_PARTS - {"start", "test"} <= named
