"""What people read of us: each thing said once in a while, however often it happens."""

import logging

from sidecar.logs import MAX_REMEMBERED, REPEAT_INTERVAL, RateLimitFilter, StderrHandler
from tests.clocks import ManualClock


def record(text: str, *values: object, name: str = "sidecar.storage", failure: bool = False) -> logging.LogRecord:
    """A warning, with a traceback where it is a failure."""
    trace = (ValueError, ValueError(), None) if failure else None
    return logging.LogRecord(name, logging.WARNING, __file__, 1, text, values, trace)


def test_a_repeated_warning_is_logged_at_intervals() -> None:
    """Equal texts from one place are rate-limited; a traceback is never dropped."""
    clock = ManualClock()
    once = RateLimitFilter(clock.clock.monotonic)
    assert [once.filter(record("no room: %s", "full")) for _ in range(3)] == [True, False, False]
    assert once.filter(record("no room: %s", "locked"))
    assert once.filter(record("no room: %s", "full", name="sidecar.queue"))
    assert [once.filter(record("broken", failure=True)) for _ in range(2)] == [True, True]
    clock.advance(REPEAT_INTERVAL - 1)
    assert not once.filter(record("no room: %s", "full"))
    clock.advance(1)
    assert [once.filter(record("no room: %s", "full")) for _ in range(2)] == [True, False]


def test_a_bounded_amount_is_remembered() -> None:
    """The oldest is forgotten first."""
    once = RateLimitFilter(ManualClock().clock.monotonic)
    assert all(once.filter(record("number %s", number)) for number in range(MAX_REMEMBERED + 1))
    assert not once.filter(record("number 1"))
    assert once.filter(record("number 0"))


def test_what_stderr_does_not_take_is_counted() -> None:
    """The next message that it takes says how many are missing."""
    written: list[str] = []
    taken = iter([True, False, False, True, True])

    def write(text: str) -> bool:
        done = next(taken)
        written.extend([text] * done)
        return done

    handler = StderrHandler(write)
    for number in range(5):
        handler.handle(record(f"number {number}"))
    assert written == [
        "number 0\n",
        "(2 messages are missing here: stderr was not read)\nnumber 3\n",
        "number 4\n",
    ]
