"""What the reference shows of a session is what a sidecar answers now."""

import json

import pytest

from docsite.capture import EXCHANGES, capture

pytestmark = pytest.mark.browser


def test_the_session_of_the_reference_is_answered_as_shown() -> None:
    """Where this fails, run `make reference`, and look at what has changed."""
    shown = [json.loads(line) for line in EXCHANGES.read_text().splitlines()]
    for exchange, before in zip(capture(), shown, strict=True):
        assert exchange == before
