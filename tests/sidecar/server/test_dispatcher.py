"""Lanes, barriers, bounds and cancellation with small handlers and no process; and the exception-to-reply boundary."""

import asyncio
import json
import logging
import time
import tracemalloc
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import pytest
from sidecar_protocol.codec import NO_CONTENT, Request
from sidecar_protocol.errors import ErrorCode, WireError
from sidecar_protocol.wire_types import Raw

from sidecar.errors import INTERNAL_ERROR, ActionFailed, InvalidContent, NotFound, StoreFailed
from sidecar.server.dispatcher import MAX_QUEUED_BYTES, Dispatcher
from sidecar.server.route import Route
from tests.harness import encoded, error

OK = {"type": "ok"}
CANCELLED = error("cancelled", "the request was cancelled")
SHUTTING_DOWN = error("shutting_down", "the sidecar is shutting down and did not finish this request", retryable=True)
INTERNAL = error("internal", INTERNAL_ERROR)


@pytest.fixture(autouse=True)
async def no_task_is_left() -> AsyncIterator[None]:
    """Ends requests that still wait at a gate."""
    yield
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)


class Output:
    """Takes replies, as the writer does."""

    def __init__(self) -> None:
        self.replies: list[dict[str, Any]] = []
        self.instead: list[bytes | None] = []
        self.flushed = 0

    def send(self, line: bytes, instead: Callable[[BaseException], bytes] | None = None) -> None:
        """Notes a reply, and what would be sent were the disk full."""
        self.replies.append(json.loads(line))
        self.instead.append(instead(OSError("full")) if instead else None)

    def flush(self) -> None:
        """Counts."""
        self.flushed += 1


class InputLog:
    """Notes what is recorded."""

    def __init__(self) -> None:
        self.recorded: list[tuple[bytes, bool]] = []

    def record(self, lines: Sequence[bytes], requests: Sequence[Request | None]) -> None:
        """Notes lines."""
        self.recorded += zip(lines, [request is not None for request in requests], strict=True)


class DispatcherHarness:
    """A dispatcher whose requests wait at gates: `send_cv` waits for the gate that its content names."""

    def __init__(self, max_in_flight: int = 2) -> None:
        self.output = Output()
        self.input_log = InputLog()
        self.full: list[bool] = []
        self.events: list[str] = []
        self.gates: dict[str, asyncio.Event] = {}
        self.raised: BaseException | None = None
        routes = {
            "ping": Route(self._ping),
            "send_cv": Route(self._wait, is_async=True, needs_commit=True),
            "send_job": Route(self._wait, is_async=True),
            "set_mock": Route(self._wait, is_async=True, is_barrier=True),
            "set_cached_reference": Route(self._ping, needs_commit=True),
            "has_cached_reference": Route(self._raise),
            "get_secret": Route(self._raise_later, is_async=True),
        }
        self.dispatcher = Dispatcher(
            routes, self.output, self.full.append, max_in_flight=max_in_flight, max_line=99, recorders=(self.input_log,)
        )

    def open(self, name: str) -> None:
        """Lets a request go on."""
        self.gates.setdefault(name, asyncio.Event()).set()

    async def take(self, *messages: Any) -> list[dict[str, Any]]:
        """Accepts a batch of messages (None: a line that was too long), and gives the replies so far."""
        self.dispatcher.accept([None if one is None else encoded(one)[:-1] for one in messages])
        return await self.later()

    async def later(self) -> list[dict[str, Any]]:
        """What was answered since the last time, once all that can happen has happened."""
        for _ in range(20):
            await asyncio.sleep(0)
        replies, self.output.replies = self.output.replies, []
        return replies

    def _ping(self, content: Any) -> Any:
        return NO_CONTENT

    def _raise(self, content: Any) -> Any:
        if self.raised:
            raise self.raised

    async def _raise_later(self, content: Any) -> Any:
        self._raise(content)

    async def _wait(self, content: Any) -> Any:
        name = json.loads(bytes(content))["gate"] if isinstance(content, Raw) else "mock"
        self.events.append(f"{name} begins")
        try:
            await self.gates.setdefault(name, asyncio.Event()).wait()
        except asyncio.CancelledError:
            self.events.append(f"{name} is cancelled")
            raise
        self.events.append(f"{name} ends")
        return NO_CONTENT


def at(gate: str, request_id: Any = None) -> dict[str, Any]:
    """A request that waits at a gate."""
    message = {"type": "send_cv", "content": {"gate": gate}}
    return message if request_id is None else {**message, "id": request_id}


def ping(request_id: Any = None) -> dict[str, Any]:
    """A request that is answered at once."""
    return {"type": "ping"} if request_id is None else {"type": "ping", "id": request_id}


def ok(request_id: Any, content: Any = NO_CONTENT) -> dict[str, Any]:
    """The reply `ok`."""
    return {**OK, "id": request_id} if content is NO_CONTENT else {**OK, "content": content, "id": request_id}


BARRIER = {"type": "set_mock"}


async def test_ordered_requests_run_one_after_the_other() -> None:
    """The second begins when the first has ended, and answers come in order."""
    harness = DispatcherHarness()
    assert await harness.take(at("a"), at("b"), ping()) == []
    assert harness.events == ["a begins"]
    harness.open("b")
    assert await harness.later() == []
    harness.open("a")
    assert await harness.later() == [OK, OK, OK]
    assert harness.events == ["a begins", "a ends", "b begins", "b ends"]


async def test_what_needs_no_waiting_is_answered_in_its_batch() -> None:
    """Plain handlers answer within the batch, with one flush."""
    harness = DispatcherHarness()
    harness.dispatcher.accept([encoded(ping())[:-1], encoded(ping(1))[:-1]])
    assert harness.output.replies == [OK, ok(1)]
    assert harness.output.flushed == 1


async def test_requests_with_ids_run_concurrently_up_to_the_limit() -> None:
    """Requests with ids run next to an ordered one, which does not count; beyond the limit reading stops."""
    harness = DispatcherHarness(max_in_flight=2)
    await harness.take(at("ordered"), at("a", 1), at("b", 2))
    assert (harness.events, harness.full) == (["ordered begins", "a begins", "b begins"], [])
    await harness.take(at("c", 3))
    assert harness.full == [True]
    harness.open("b")
    assert await harness.later() == [ok(2)]
    assert harness.events[-2:] == ["b ends", "c begins"]
    assert harness.full == [True, False]
    for gate in ("a", "c", "ordered"):
        harness.open(gate)
    assert await harness.later() == [ok(1), ok(3), OK]


async def test_a_barrier_runs_alone() -> None:
    """What came before ends first, and what comes after begins when it has ended."""
    harness = DispatcherHarness()
    await harness.take(at("a"), at("b", 1), BARRIER, at("c", 2), ping(3), ping())
    harness.open("a")
    assert await harness.later() == [OK]
    harness.open("b")
    assert await harness.later() == [ok(1)]
    assert harness.events[-1] == "mock begins"
    harness.open("mock")
    assert await harness.later() == [OK, ok(3), OK]
    assert harness.events[-1] == "c begins"


async def test_barriers_follow_each_other() -> None:
    """One at a time, in order."""
    harness = DispatcherHarness()
    harness.open("mock")
    assert await harness.take({**BARRIER, "id": 1}, BARRIER, {**BARRIER, "id": 2}) == [ok(1), OK, ok(2)]
    assert harness.events == ["mock begins", "mock ends"] * 3


async def test_much_input_behind_a_slow_request_stops_reading() -> None:
    """Queued lines of any kind stop reading: requests, and errors that keep their place."""
    for line, count in ((ping(), MAX_QUEUED_BYTES // 15), (b"", MAX_QUEUED_BYTES // 100), (b"x" * 99, 9000)):
        harness = DispatcherHarness()
        await harness.take(at("a"))
        assert await harness.take(*[line] * (count + 100)) == []
        assert harness.full == [True]
        harness.open("a")
        assert len(await harness.later()) == count + 101
        assert harness.full == [True, False]


async def test_a_waiting_barrier_does_not_stop_reading() -> None:
    """Else the `cancel` that it waits for could not come."""
    harness = DispatcherHarness(max_in_flight=1)
    await harness.take(at("a", 1), {**BARRIER, "id": 2})
    assert harness.full == [True]
    harness = DispatcherHarness(max_in_flight=2)
    await harness.take(at("a", 1), {**BARRIER, "id": 2})
    assert harness.full == []


async def test_nothing_starts_while_replies_are_unread() -> None:
    """Out of order; and then it goes on where it stopped."""
    harness = DispatcherHarness()
    await harness.take(at("a"), at("b"), at("c", 1))
    harness.dispatcher.pause(True)
    for gate in "abc":
        harness.open(gate)
    assert await harness.later() == [OK, ok(1)]
    assert await harness.take(at("d", 2), ping()) == []
    finishing = asyncio.create_task(harness.dispatcher.finish(5))
    assert await harness.later() == []
    assert not finishing.done()
    harness.open("d")
    harness.dispatcher.pause(False)
    assert await harness.later() == [OK, OK, ok(2)]
    await asyncio.wait_for(finishing, 5)


# --- cancel


def cancel(request_id: Any) -> dict[str, Any]:
    """A `cancel` with the id `c`."""
    return {"type": "cancel", "content": {"id": request_id}, "id": "c"}


async def test_cancel_reaches_the_handler() -> None:
    """Which can clean up; the request is answered once, and its id is free."""
    harness = DispatcherHarness()
    await harness.take(at("a", 1))
    assert await harness.take(cancel(1)) == [ok("c", True), {**CANCELLED, "id": 1}]
    assert harness.events == ["a begins", "a is cancelled"]
    assert await harness.take(cancel(1), ping(1)) == [ok("c", False), ok(1)]


async def test_cancel_before_the_first_step() -> None:
    """A request cancelled in its own batch never starts."""
    harness = DispatcherHarness()
    assert await harness.take(at("a", 1), cancel(1), cancel(1)) == [
        ok("c", True),
        ok("c", True),
        {**CANCELLED, "id": 1},
    ]
    assert harness.events == []


async def test_cancel_what_waits_for_its_turn() -> None:
    """A request that waits for its turn is cancelled at once, also a barrier, and the rest continues."""
    harness = DispatcherHarness(max_in_flight=1)
    await harness.take(at("a", 1), at("b", 2), {**BARRIER, "id": 3}, at("d", 4), ping(5))
    for waiting in (2, 3, 4):
        replies = await harness.take(cancel(waiting))
        assert replies[0] == {**CANCELLED, "id": waiting}
        assert ok("c", True) in replies
    harness.open("a")
    assert await harness.later() == [ok(1)]
    assert harness.events == ["a begins", "a ends"]
    assert harness.full[-1] is False
    assert await harness.take(ping(2), ping(3)) == [ok(2), ok(3)]


async def test_a_cancelled_barrier_lets_the_others_go() -> None:
    """Requests behind a cancelled barrier start."""
    harness = DispatcherHarness()
    await harness.take(at("a", 1), {**BARRIER, "id": 2}, at("b", 3), ping(4))
    assert await harness.take(cancel(2)) == [{**CANCELLED, "id": 2}, ok(4), ok("c", True)]
    assert harness.events == ["a begins", "b begins"]


async def test_a_running_barrier_can_be_cancelled() -> None:
    """A running barrier can be cancelled, and the requests behind it start."""
    harness = DispatcherHarness()
    await harness.take({**BARRIER, "id": 1}, at("a", 2))
    assert await harness.take(cancel(1)) == [ok("c", True), {**CANCELLED, "id": 1}]
    assert harness.events == ["mock begins", "mock is cancelled", "a begins"]


async def test_each_of_many_waiting_requests_is_cancelled_once() -> None:
    """In any order, their ids free at once, also twice under one id; the end answers none of them again."""
    harness = DispatcherHarness(max_in_flight=1)
    await harness.take(at("a", 0), *(at("b", number) for number in range(1, 300)))
    for number in (*range(299, 0, -2), *range(2, 300, 2)):
        assert (await harness.take(cancel(number)))[0] == {**CANCELLED, "id": number}
        assert await harness.take(cancel(number)) == [ok("c", False)]
    await harness.take(at("b", 7))
    assert (await harness.take(cancel(7)))[0] == {**CANCELLED, "id": 7}
    await harness.take(at("b", 7), at("b", 8))
    assert (await harness.take(cancel(8)))[0] == {**CANCELLED, "id": 8}
    await harness.dispatcher.finish(0.01)
    assert await harness.later() == [{**SHUTTING_DOWN, "id": 0}, {**SHUTTING_DOWN, "id": 7}]


async def test_cancels_cost_no_more_for_all_that_waits() -> None:
    """Four times as many of what waits, and of cancels, cost about four times as much, whether they hit or miss."""
    fewest = [min([await _cancelling(number) for _ in range(3)]) for number in (1_000, 4_000)]
    assert fewest[1] < 10 * fewest[0]


async def _cancelling(number: int) -> float:
    harness = DispatcherHarness(max_in_flight=1)
    await harness.take(at("a", -1), *(at("b", each) for each in range(number)))
    began = time.process_time()
    for each in reversed(range(number)):
        harness.dispatcher.accept([encoded(cancel(f"none-{each}"))[:-1], encoded(cancel(each))[:-1]])
    spent = time.process_time() - began
    answers = await harness.later()
    assert sum(answer == ok("c", True) for answer in answers) == number
    assert sum(answer == ok("c", False) for answer in answers) == number
    return spent


async def test_what_is_wrong_with_many_lines_keeps_no_stack() -> None:
    """A batch may hold thousands of such lines."""
    tracemalloc.start()
    try:
        harness = DispatcherHarness()
        harness.dispatcher.accept([b"{}"] * 5_000)
        assert tracemalloc.get_traced_memory()[1] < 5_000 * 1_500
    finally:
        tracemalloc.stop()


# --- the boundary


FAILURES = [
    (NotFound("no such"), error("not_found", "no such")),
    (NotFound("no such", retryable=True), error("not_found", "no such", retryable=True)),
    (InvalidContent("bad", "a.b"), error("invalid_content", "bad", field="a.b")),
    (
        ActionFailed("no", step="s", action="click", url="u"),
        error("action_failed", "no", url="u", step="s", action="click"),
    ),
    (WireError(ErrorCode.TIMEOUT, "slow"), error("timeout", "slow", retryable=True)),
    (ValueError("the password is hush"), INTERNAL),
    (RecursionError(), INTERNAL),
    (TimeoutError(), INTERNAL),
]


@pytest.mark.parametrize("kind", ["has_cached_reference", "get_secret"])
@pytest.mark.parametrize(("failure", "reply"), FAILURES)
async def test_failures_become_replies(
    kind: str, failure: Exception, reply: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    """Known ones as they say; others say nothing but that they are ours, and the log says the rest."""
    harness = DispatcherHarness()
    harness.raised = failure
    content = "x" if kind == "has_cached_reference" else {}
    with caplog.at_level(logging.ERROR):
        assert await harness.take({"type": kind, "content": content, "id": 1}) == [{**reply, "id": 1}]
        assert await harness.take({"type": kind, "content": content}) == [reply]
    said = [record for record in caplog.records if record.name.startswith("sidecar")]
    assert len(said) == (2 if reply is INTERNAL else 0)


async def test_what_could_not_be_stored_is_not_promised() -> None:
    """Replies of those that accept something have another form for the disk's refusal; the others don't."""
    harness = DispatcherHarness()
    harness.open("a")
    await harness.take({"type": "set_cached_reference", "content": "a", "id": 1}, ping(2), at("a", 3))
    refused = error("internal", "could not be stored", retryable=True)
    instead = [line and json.loads(line) for line in harness.output.instead]
    assert instead == [{**refused, "id": 1}, None, {**refused, "id": 3}]


async def test_the_stores_own_words_are_kept() -> None:
    """The store's error keeps its own text."""
    harness = DispatcherHarness()
    sent: list[Callable[[BaseException], bytes] | None] = []
    harness.output.send = lambda line, instead=None: sent.append(instead)  # type: ignore[method-assign]
    await harness.take({"type": "set_cached_reference", "content": "a"})
    assert sent[0] is not None
    assert json.loads(sent[0](StoreFailed("the disk is full"))) == error("internal", "the disk is full")


async def test_every_line_is_recorded_before_it_is_handled() -> None:
    """Every line is recorded before it is handled, with its validity; a too long one as empty."""
    harness = DispatcherHarness()
    replies = await harness.take(ping(), b"x", None, {"type": "nothing"})
    assert harness.input_log.recorded == [
        (b'{"type": "ping"}', True),
        (b"x", False),
        (b"", False),
        (b'{"type": "nothing"}', True),
    ]
    assert [reply["type"] for reply in replies] == ["ok", "error", "error", "error"]
    assert replies[2] == error("line_too_long", "the line is longer than 99 bytes")


# --- the end


async def test_finish_waits_for_ordered_and_concurrent_requests() -> None:
    """`finish` waits for ordered, concurrent and blocked requests."""
    harness = DispatcherHarness()
    await harness.take(at("a"), at("b", 1), BARRIER, at("c", 2), at("d"))
    finishing = asyncio.create_task(harness.dispatcher.finish(5))
    for gate in ("a", "b", "mock", "c"):
        harness.open(gate)
    assert len(await harness.later()) == 4
    assert not finishing.done()
    harness.open("d")
    await asyncio.wait_for(finishing, 5)
    assert await harness.later() == [OK]


async def test_the_deadline_keeps_the_order() -> None:
    """What runs is stopped and answered first, then what waits, in the order it came; answers known already stay."""
    harness = DispatcherHarness()
    await harness.take(at("a"), at("b"), {"type": "nothing"}, at("x", 1), BARRIER, at("y", 2), at("c"), b"")
    await harness.dispatcher.finish(0.01)
    replies = await harness.later()
    assert [reply for reply in replies if "id" not in reply] == [
        SHUTTING_DOWN,
        SHUTTING_DOWN,
        error("unknown_type", "unknown message type nothing", hint="`hello` answers with all message types"),
        SHUTTING_DOWN,
        SHUTTING_DOWN,
        error("parse_error", "the line is blank", hint="leave out blank lines: each line is answered"),
    ]
    assert [reply["id"] for reply in replies if "id" in reply] == [1, 2]
    assert sorted(harness.events) == ["a begins", "a is cancelled", "x begins", "x is cancelled"]


async def test_finish_without_work_is_at_once() -> None:
    """`finish` without work returns at once, also without a time limit."""
    harness = DispatcherHarness()
    await harness.dispatcher.finish(0)
    assert await harness.later() == []
