"""What scripts return, as JSON."""

import math
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlparse

import pytest

from sidecar.browser.steps.json_values import to_json
from sidecar.errors import LimitExceeded


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (None, None),
        (True, True),
        ("a", "a"),
        (2**63 - 1, 2**63 - 1),
        (2**63, str(2**63)),
        (-(2**64), str(-(2**64))),
        (1.5, 1.5),
        (math.nan, None),
        (-math.inf, None),
        ({"a": [1, {"b": math.inf}]}, {"a": [1, {"b": None}]}),
        (datetime(2026, 1, 2, tzinfo=UTC), "2026-01-02T00:00:00+00:00"),
        (urlparse("http://example.test/a?b=c"), "http://example.test/a?b=c"),
        (ValueError("bad"), "bad"),
        (object(), None),
    ],
)
def test_values_become_json(value: Any, plain: Any) -> None:
    """Each kind of value that a page can give has one form."""
    assert to_json(value) == plain


def test_a_cycle_ends() -> None:
    """An object that contains itself is cut off where it comes back, also by two ways."""
    ring: dict[str, Any] = {"name": "a"}
    ring["left"] = ring["right"] = ring
    assert to_json(ring) == {"name": "a", "left": None, "right": None}


def test_depth_ends() -> None:
    """What is nested over 200 levels is null from there on."""
    deep: Any = "core"
    for _ in range(300):
        deep = [deep]
    depth, inner = 0, to_json(deep)
    while inner is not None:
        depth, inner = depth + 1, inner[0]
    assert depth == 200


def test_a_value_that_grows_as_json_is_refused() -> None:
    """Forty objects that share their parts are a million million as JSON: that ends at once."""
    shared: Any = "x"
    for _ in range(40):
        shared = {"left": shared, "right": shared}
    with pytest.raises(LimitExceeded, match="more than 100000 parts"):
        to_json(shared)
