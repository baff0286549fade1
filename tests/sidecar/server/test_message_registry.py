"""The registry names every message, and each route runs as its handler does."""

import inspect

import pytest
from sidecar_protocol.requests import CONTENTS

from sidecar.server.message_registry import FLEET_MESSAGES, MESSAGES, routes
from tests.sidecar.server.handlers.parts import Parts


def test_every_message_has_a_handler() -> None:
    """Every message has a handler, except `cancel`, which is the dispatcher's."""
    assert set(MESSAGES) == set(FLEET_MESSAGES) == set(CONTENTS) - {"cancel"}


@pytest.mark.parametrize("fleet", [False, True])
def test_plain_functions_are_answered_in_their_batch(fleet: bool) -> None:
    """What waits gets a task; only a fleet has to ask others for a reference."""
    late = routes(Parts().context(), fleet=fleet)
    bound = {message_type: late[message_type] for message_type in MESSAGES}
    assert all(route.is_async == inspect.iscoroutinefunction(route.handler) for route in bound.values())
    plain = {message_type for message_type, route in bound.items() if not route.is_async}
    quick = {"hello", "ping", "set_cached_reference", "set_short_cached_reference", "issue_token"}
    assert plain == (quick if fleet else quick | {"has_cached_reference"})


def test_what_a_job_needs_is_begun_once() -> None:
    """A job's needs are started once, with the first message that has a job."""
    parts = Parts()
    late = routes(parts.context())
    for message_type in (*MESSAGES, *MESSAGES):
        assert parts.expected_jobs == ("send_job" in late)
        late[message_type]
    assert parts.expected_jobs == 1
