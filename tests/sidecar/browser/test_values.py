"""What scripts return, as JSON."""

import math
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlparse

import pytest

from sidecar.browser.values import to_json


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
    """An object that contains itself is cut off."""
    ring: dict[str, Any] = {}
    ring["ring"] = ring
    depth, inner = 0, to_json(ring)
    while inner is not None:
        depth, inner = depth + 1, inner["ring"]
    assert depth == 200
