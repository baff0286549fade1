"""Order without ids, concurrency with them, bounds, barriers and cancellation, with a server that is slow or hangs."""

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.fakes import ApiKey
from tests.harness import Child, Rtcv, error, rtcv

AN_ID = 'write {"type":"cancel","content":{"id":…}}; `sidecar schema cancel` shows what else it holds'
OK = {"type": "ok"}
MATCHED = {"type": "ok", "content": True}
CANCELLED = error("cancelled", "the request was cancelled")


def cv(reference: str, request_id: Any = None) -> dict[str, Any]:
    """A `send_cv`, with an id where one is given."""
    message = {"type": "send_cv", "content": {"referenceNumber": reference}}
    return message if request_id is None else {**message, "id": request_id}


def cancel(request_id: Any, own: Any = None) -> dict[str, Any]:
    """A `cancel`, with an id of its own where one is given."""
    message = {"type": "cancel", "content": {"id": request_id}}
    return message if own is None else {**message, "id": own}


def took(answer: bool, own: Any = None) -> dict[str, Any]:
    """The answer to a `cancel`."""
    reply = {"type": "ok", "content": answer}
    return reply if own is None else {**reply, "id": own}


def by_id(replies: list[dict[str, Any]]) -> dict[Any, dict[str, Any]]:
    """Replies by their id, which must be there once each."""
    found = {reply["id"]: reply for reply in replies}
    assert len(found) == len(replies)
    return found


@pytest.fixture(scope="module")
def server() -> Iterator[Rtcv]:
    """A server, quick unless a test makes it hang; it knows a key for each test, so that none finds references."""
    with rtcv(keys=[ApiKey(f"{number:024x}") for number in range(40)]) as running:
        yield running


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Child]:
    """One sidecar for all tests but the last."""
    with Child(tmp_path_factory.mktemp("concurrency"), "--max-in-flight", "4") as running:
        yield running
        assert running.end() == 0
        assert running.rest() == []
        assert running.stderr == ""


@pytest.fixture
def child(process: Child, server: Rtcv) -> Iterator[Child]:
    """The sidecar, logged in with a key of the test's own; after the test it has nothing more to say."""
    number = len(server.server.to("health"))
    server.server.requests[:] = server.server.to("health")
    login = {**server.credentials, "api_key_id": f"{number:024x}"}
    assert process.ask({"type": "set_credentials", "content": login}) == [OK]
    yield process
    server.release()
    assert process.ask({"type": "ping"}) == [{"type": "pong"}]


def test_without_ids_answers_keep_the_order(child: Child, server: Rtcv) -> None:
    """A slow request holds up what came after it, also bad lines, and is seen by it."""
    server.server.fail("scanCV", "hang")
    child.send(
        cv("a"),
        {"type": "has_cached_reference", "content": "a"},
        b"",
        {"type": "nothing"},
        {"type": "cancel", "content": 1},
        {"type": "ping"},
        cv("a"),
    )
    server.wait_for("scanCV")
    assert child.silent()
    server.release()
    assert child.read_many(7) == [
        MATCHED,
        MATCHED,
        error("parse_error", "the line is blank", hint="leave out blank lines: each line is answered"),
        error("unknown_type", "unknown message type nothing", hint="`hello` answers with all message types"),
        error("invalid_content", "content: expected object, got int", field="content", hint=AN_ID),
        {"type": "pong"},
        OK,
    ]


def test_with_ids_answers_come_as_they_are_done(child: Child, server: Rtcv) -> None:
    """A quick one overtakes a slow one, concurrent or ordered."""
    server.server.fail("scanCV", "hang", count=2)
    child.send(cv("a", 1), cv("b"))
    server.wait_for("scanCV", 2)
    assert child.ask({"type": "ping", "id": "p"}, cv("c", 3)) == [{"type": "pong", "id": "p"}, {**MATCHED, "id": 3}]
    assert child.silent()
    server.release()
    assert sorted(map(str, child.read_many(2))) == sorted(map(str, [MATCHED, {**MATCHED, "id": 1}]))


def test_the_same_reference_twice_at_once_is_sent_once(child: Child, server: Rtcv) -> None:
    """The second waits for the first and then counts as cached."""
    server.server.fail("scanCV", "hang")
    child.send(cv("a", 1), cv("a", 2))
    server.wait_for("scanCV")
    assert child.silent()
    server.release()
    assert by_id(child.read_many(2)) == {1: {**MATCHED, "id": 1}, 2: {**OK, "id": 2}}
    assert len(server.server.to("scanCV")) == 1


def test_the_number_in_flight_is_bounded(child: Child, server: Rtcv) -> None:
    """Beyond the bound requests wait, and after them input is not read any more."""
    server.server.fail("scanCV", "hang", count=None)
    child.send(*[cv(f"r{number}", number) for number in range(6)], {"type": "ping", "id": "same write"})
    server.wait_for("scanCV", 4)
    assert child.silent()
    child.send({"type": "ping", "id": "read later"})
    assert child.silent()
    assert len(server.server.to("scanCV")) == 4
    server.release()
    replies = by_id(child.read_many(8))
    assert set(replies) == {*range(6), "same write", "read later"}
    assert all(replies[number] == {**MATCHED, "id": number} for number in range(6))
    assert len(server.server.to("scanCV")) == 6


def test_an_id_in_flight_is_not_used_twice(child: Child, server: Rtcv) -> None:
    """The second gets a conflict at once, whatever it asks for; after the answer the id is free again."""
    server.server.fail("scanCV", "hang")
    child.send(cv("a", "x"))
    server.wait_for("scanCV")
    conflict = error("conflict", "the id 'x' is still in flight", id="x")
    assert child.ask({"type": "ping", "id": "x"}, cancel("x", "x")) == [conflict, conflict]
    server.release()
    assert child.read() == {**MATCHED, "id": "x"}
    assert child.ask({"type": "ping", "id": "x"}) == [{"type": "pong", "id": "x"}]


def test_similar_ids_are_different(child: Child, server: Rtcv) -> None:
    """1 and "1" may be in flight together."""
    server.server.fail("scanCV", "hang", count=2)
    child.send(cv("a", 1), cv("b", "1"))
    server.wait_for("scanCV", 2)
    child.send(cancel("1", "c"))
    assert child.read_many(2) == [took(True, "c"), {**CANCELLED, "id": "1"}]
    server.release()
    assert child.read() == {**MATCHED, "id": 1}


# --- cancel


def test_cancel_what_runs(child: Child, server: Rtcv) -> None:
    """The request is answered once, with `cancelled`, and its reference is not cached."""
    server.server.fail("scanCV", "hang")
    child.send(cv("a", 1))
    server.wait_for("scanCV")
    child.send(cancel(1))
    replies = child.read_many(2)
    assert took(True) in replies
    assert {**CANCELLED, "id": 1} in replies
    assert child.ask(cancel(1), {"type": "has_cached_reference", "content": "a"}) == [took(False), took(False)]


def test_cancel_what_waits(child: Child, server: Rtcv) -> None:
    """A request that waits for the bound is answered at once and never starts."""
    server.server.fail("scanCV", "hang", count=None)
    child.send(*[cv(f"r{number}", number) for number in range(5)], cancel(4, "c"))
    assert child.read_many(2) == [{**CANCELLED, "id": 4}, took(True, "c")]
    server.wait_for("scanCV", 4)
    server.release()
    assert set(by_id(child.read_many(4))) == {0, 1, 2, 3}
    assert len(server.server.to("scanCV")) == 4


def test_cancel_what_is_done_or_never_was(child: Child) -> None:
    """There is nothing to stop, and that is no error."""
    assert child.ask(cv("a", 1)) == [{**MATCHED, "id": 1}]
    asked = [cancel(1, "a"), cancel("1", "b"), cancel("never", "c"), cancel(10**30, "d"), cancel("x" * 2000, "e")]
    assert child.ask(*asked) == [took(False, own) for own in "abcde"]


def test_a_cancel_does_not_cancel_itself(child: Child) -> None:
    """Its own id is not in flight, for it is answered at once."""
    assert child.ask(cancel("me", "me")) == [took(False, "me")]


def test_cancel_right_behind_its_target(child: Child, server: Rtcv) -> None:
    """In the same write the target has not begun; it is answered once, and nothing is sent."""
    child.send(cv("a", 1), cancel(1, 2), {"type": "has_cached_reference", "content": "a", "id": 3})
    assert by_id(child.read_many(3)) == {1: {**CANCELLED, "id": 1}, 2: took(True, 2), 3: took(False, 3)}
    assert server.server.to("scanCV") == []


def test_cancel_takes_effect_past_a_busy_lane(child: Child, server: Rtcv) -> None:
    """A `cancel` without id is answered in its place, but acts at once."""
    server.server.fail("scanCV", "hang", count=2)
    child.send(cv("a", 1), cv("b"), cancel(1), {"type": "ping"})
    assert child.read() == {**CANCELLED, "id": 1}
    assert child.silent()
    server.release()
    assert child.read_many(3) == [MATCHED, took(True), {"type": "pong"}]


def test_cancelling_twice_is_answered_once(child: Child, server: Rtcv) -> None:
    """The target has one answer however often it is cancelled."""
    server.server.fail("scanCV", "hang")
    child.send(cv("a", 1))
    server.wait_for("scanCV")
    child.send(*[cancel(1, f"c{number}") for number in range(5)])
    replies = by_id(child.read_many(6))
    assert replies.pop(1) == {**CANCELLED, "id": 1}
    assert replies["c0"] == took(True, "c0")


def test_cancel_frees_the_waiting_twin(child: Child, server: Rtcv) -> None:
    """Who waits for the same reference goes on when the first is cancelled."""
    server.server.fail("scanCV", "hang")
    child.send(cv("a", 1), cv("a", 2))
    server.wait_for("scanCV")
    child.send(cancel(1))
    assert {**MATCHED, "id": 2} in child.read_many(3)
    assert len(server.server.to("scanCV")) == 2


def test_a_second_cancel_reaches_past_the_bound_of_a_barrier(child: Child, server: Rtcv) -> None:
    """While a barrier waits for a request that hangs, that request can be cancelled, and all goes on."""
    server.server.fail("scanCV", "hang")
    child.send(cv("a", 1))
    server.wait_for("scanCV")
    child.send({"type": "set_mock", "id": "m"}, {"type": "ping"}, {"type": "ping", "id": "p"})
    assert child.silent()
    child.send(cancel(1, "c"))
    assert child.read() == took(True, "c")
    assert child.read_many(4) == [
        {**CANCELLED, "id": 1},
        {**OK, "id": "m"},
        {"type": "pong", "id": "p"},
        {"type": "pong"},
    ]


def test_a_barrier_that_waits_can_be_cancelled(child: Child, server: Rtcv) -> None:
    """Then what waited behind it starts, and the login stays in force."""
    server.server.fail("scanCV", "hang")
    child.send(cv("a", 1))
    server.wait_for("scanCV")
    child.send({"type": "set_mock", "id": "m"}, {"type": "ping", "id": "p"})
    assert child.silent()
    child.send(cancel("m", "c"))
    assert child.read_many(3) == [{**CANCELLED, "id": "m"}, {"type": "pong", "id": "p"}, took(True, "c")]
    server.release()
    assert child.read() == {**MATCHED, "id": 1}
    assert child.ask(cv("b")) == [MATCHED]
    assert len(server.server.to("scanCV")) == 2


def test_a_login_that_hangs_can_be_cancelled(child: Child, server: Rtcv) -> None:
    """The session before it stays in force."""
    server.server.fail("health", "hang")
    asked = len(server.server.to("health"))
    child.send({"type": "set_credentials", "content": server.credentials, "id": "login"})
    server.wait_for("health", asked + 1)
    child.send(cancel("login", "c"))
    assert child.read_many(2) == [took(True, "c"), {**CANCELLED, "id": "login"}]
    assert child.ask(cv("a")) == [MATCHED]


# --- barriers


def test_a_barrier_waits_and_is_waited_for(child: Child, server: Rtcv) -> None:
    """What was sent before `set_mock` reaches the server, what comes after it does not."""
    server.server.fail("scanCV", "hang", count=2)
    child.send(cv("a", 1), cv("b"), {"type": "set_mock", "content": {"cv_matches": False}}, cv("c", 3), cv("d"))
    server.wait_for("scanCV", 2)
    assert child.silent()
    server.release()
    first = child.read_many(2)
    assert MATCHED in first
    assert {**MATCHED, "id": 1} in first
    assert child.read() == OK
    after = child.read_many(2)
    assert {"type": "ok", "content": False} in after
    assert {"type": "ok", "content": False, "id": 3} in after
    assert len(server.server.to("scanCV")) == 2


# --- everything at once


def mixed(chance: random.Random, count: int) -> list[dict[str, Any]]:
    """Valid and invalid requests, with and without ids; ids are used once each."""
    messages = []
    for number in range(count):
        reference = f"r{chance.randrange(20)}"
        message: dict[str, Any] = chance.choice(
            [
                {"type": "ping"},
                cv(reference),
                {"type": "set_cached_reference", "content": reference},
                {"type": "has_cached_reference", "content": reference},
                {"type": "get_secret", "content": {"key": "a"}},
                {"type": "get_user_secret", "content": {"key": "a"}},
                {"type": "set_mock", "content": {"secrets": {"a": number}}},
                {"type": "nothing"},
                {"type": "send_cv", "content": []},
                cancel(chance.randrange(count)),
            ]
        )
        messages.append({**message, "id": number} if chance.random() < 0.5 else message)
    return messages


def kind_of(message: dict[str, Any]) -> set[str]:
    """What the type of a reply to this message may be."""
    kinds = {"ping": {"pong"}, "nothing": {"error"}, "get_user_secret": {"error"}}.get(message["type"], {"ok"})
    return {"error"} if message.get("content") == [] else kinds


@pytest.mark.parametrize("seed", range(3))
def test_each_request_of_a_mix_has_one_answer(tmp_path: Path, seed: int) -> None:
    """Each id comes back once, and the answers without id fit the requests without id, one by one."""
    messages = mixed(random.Random(seed), 2000)
    with Child(tmp_path) as child:
        assert child.ask({"type": "set_mock"}) == [OK]
        child.send(*messages)
        child.close_stdin()
        replies = child.rest()
        assert child.wait() == 0
    assert len(replies) == len(messages)
    with_id = by_id([reply for reply in replies if "id" in reply])
    assert set(with_id) == {message["id"] for message in messages if "id" in message}
    for message in messages:
        if "id" in message:
            assert with_id[message["id"]]["type"] in kind_of(message) | {"error"}
    ordered = [message for message in messages if "id" not in message]
    for message, reply in zip(ordered, (reply for reply in replies if "id" not in reply), strict=True):
        assert reply["type"] in kind_of(message), (message, reply)
