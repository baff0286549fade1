"""What handlers of schedules add to them: the session's zone and login, and numbers for errors."""

from typing import Any

import pytest
from sidecar_protocol.errors import ErrorCode, ErrorDetail
from sidecar_protocol.session import Hello

from sidecar.errors import InvalidContent
from sidecar.server.handlers.schedules import error_number
from sidecar.server.handlers.session import hello
from tests.sidecar.server.handlers.parts import Parts


@pytest.mark.parametrize(
    ("number", "code", "places"),
    [
        (28100, ErrorCode.INVALID_CONTENT, {"field": "trigger.single.time"}),
        (28100, ErrorCode.INVALID_CONTENT, {"field": "page"}),
        (28100, ErrorCode.INVALID_CONTENT, {}),
        (28100, ErrorCode.LIMIT_EXCEEDED, {}),
        (28100, ErrorCode.INVALID_CONTENT, {"field": "pushed"}),
        (28101, ErrorCode.UNAUTHORIZED, {}),
        (28101, ErrorCode.FORBIDDEN, {}),
        (28101, ErrorCode.MISSING_CREDENTIALS, {}),
        (28104, ErrorCode.NOT_FOUND, {}),
        (28105, ErrorCode.INVALID_CONTENT, {"field": "push"}),
        (28105, ErrorCode.INVALID_CONTENT, {"field": "push.content.steps[0].url"}),
        (28200, ErrorCode.INTERNAL, {}),
        (28203, ErrorCode.INTERNAL, {"retryable": True}),
        (28203, ErrorCode.TIMEOUT, {"retryable": True}),
    ],
)
def test_every_error_has_its_number(number: int, code: ErrorCode, places: dict[str, Any]) -> None:
    """EngageLab's: invalid, not allowed, not there, no push, a fault, try later."""
    assert error_number(ErrorDetail(**{"code": code, "message": "said", "retryable": False, **places})) == number


def test_hello_sets_the_parents_zone(parts: Parts) -> None:
    """`hello` sets the zone of schedules in the parent's time."""
    hello(parts.context(), Hello(zone="Europe/Amsterdam"))
    assert parts.session.zone == "Europe/Amsterdam"


def test_hello_with_an_invalid_zone(parts: Parts) -> None:
    """Says so, and changes nothing."""
    with pytest.raises(InvalidContent) as refused:
        hello(parts.context(), Hello(notifications=True, zone="Mars/Olympus"))
    assert refused.value.detail.field == "zone"
    assert (parts.session.zone, parts.session.notifications) == ("", False)
