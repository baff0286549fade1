"""send_cv: which CVs are sent, which references are remembered, and which requests wait."""

import asyncio

import pytest
from sidecar_protocol.codec import NO_CONTENT
from sidecar_protocol.errors import WireError
from sidecar_protocol.wire_types import Raw

from sidecar.errors import MissingCredentials, RemoteFailed
from sidecar.rtcv.login import LONG_TTL
from sidecar.rtcv.send_cv import ReferenceLocks, send_cv
from tests.sidecar.server.handlers.parts import Parts

CV = Raw(b'{"referenceNumber":"a-1"}')
TURNS = 20
"""Turns of the loop after which every task that does not wait has finished."""


async def turns() -> None:
    """Lets everybody run who can."""
    for _ in range(TURNS):
        await asyncio.sleep(0)


@pytest.mark.parametrize(
    ("cv", "said", "field"),
    [
        (b"null", "cv expected to be an object", "content"),
        (b'"a"', "cv expected to be an object", "content"),
        (b"[]", "cv expected to be an object", "content"),
        (b"1", "cv expected to be an object", "content"),
        (b"{}", "referenceNumber field does not exists", "referenceNumber"),
        (b'{"ReferenceNumber":"a"}', "referenceNumber field does not exists", "referenceNumber"),
        (b'{"referenceNumber":1}', "referenceNumber is expected to be a string", "referenceNumber"),
        (b'{"referenceNumber":null}', "referenceNumber is expected to be a string", "referenceNumber"),
        (b'{"referenceNumber":["a"]}', "referenceNumber is expected to be a string", "referenceNumber"),
        (b'{"reference_number":1}', "reference_number is expected to be a string", "reference_number"),
        (b'{"referenceNumber":""}', "reference number cannot be an empty string", "referenceNumber"),
        (b'{"reference_number":""}', "reference number cannot be an empty string", "reference_number"),
        (
            b'{"referenceNumber":"","reference_number":"a"}',
            "reference number cannot be an empty string",
            "referenceNumber",
        ),
    ],
)
async def test_invalid_cvs_are_refused(parts: Parts, cv: bytes, said: str, field: str) -> None:
    """V1's sentences; nothing is sent."""
    session = await parts.logged_in()
    with pytest.raises(WireError) as failed:
        await send_cv(session, ReferenceLocks(), Raw(cv))
    assert (failed.value.message, failed.value.details) == (said, {"field": field})
    assert parts.server.cvs == []


@pytest.mark.parametrize(
    ("cv", "reference"),
    [
        (b'{"referenceNumber":"a"}', "a"),
        (b'{"reference_number":"a"}', "a"),
        (b'{"reference_number":"b","referenceNumber":"a"}', "a"),
        (b'{"referenceNumber":"b","referenceNumber":"a"}', "a"),
        (b'{ "x":{"referenceNumber":"b"},"referenceNumber" : "\\u00e9\\u0000" }', "é\u0000"),
        (b'{"referenceNumber":" "}', " "),
    ],
)
async def test_the_reference_of_a_cv(parts: Parts, cv: bytes, reference: str) -> None:
    """It is found at the top, under either name, and the CV goes out as it came."""
    session = await parts.logged_in()
    assert await send_cv(session, ReferenceLocks(), Raw(cv)) is True
    assert parts.server.cvs == [cv]
    assert parts.references.has(reference)


async def test_a_match_is_remembered_for_three_days(parts: Parts) -> None:
    """Then it is answered without content and without being sent, until it expires."""
    session, reference_locks = await parts.logged_in(), ReferenceLocks()
    assert await send_cv(session, reference_locks, CV) is True
    assert await send_cv(session, reference_locks, CV) is NO_CONTENT
    parts.time.advance(LONG_TTL - 1)
    assert await send_cv(session, reference_locks, CV) is NO_CONTENT
    parts.time.advance(1)
    assert await send_cv(session, reference_locks, CV) is True
    assert len(parts.server.cvs) == 2


async def test_no_match_is_not_remembered(parts: Parts) -> None:
    """A CV without a match is not remembered, since it may match later."""
    session, reference_locks = await parts.logged_in(), ReferenceLocks()
    parts.server.answer = False
    assert [await send_cv(session, reference_locks, CV) for _ in range(2)] == [False, False]
    assert len(parts.server.cvs) == 2


async def test_a_failure_is_not_remembered(parts: Parts) -> None:
    """A failed CV is not remembered and can be sent again."""
    session, reference_locks = await parts.logged_in(), ReferenceLocks()
    parts.server.answer = RemoteFailed("no")
    with pytest.raises(RemoteFailed):
        await send_cv(session, reference_locks, CV)
    parts.server.answer = True
    assert await send_cv(session, reference_locks, CV) is True


async def test_the_shape_is_checked_before_the_login(parts: Parts) -> None:
    """A CV that is none is that, with and without a server; a good one needs the server."""
    with pytest.raises(WireError, match="expected to be an object"):
        await send_cv(parts.session, ReferenceLocks(), Raw(b"[]"))
    with pytest.raises(MissingCredentials):
        await send_cv(parts.session, ReferenceLocks(), CV)


@pytest.mark.parametrize(("answer", "sent", "second"), [(True, 1, NO_CONTENT), (False, 2, False)])
async def test_the_same_reference_twice_at_once(parts: Parts, answer: bool, sent: int, second: object) -> None:
    """The second waits, and is answered as cached if the first was; else it is sent itself."""
    session, reference_locks = await parts.logged_in(), ReferenceLocks()
    parts.server.go.clear()
    parts.server.answer = answer
    one = asyncio.create_task(send_cv(session, reference_locks, CV))
    other = asyncio.create_task(send_cv(session, reference_locks, CV))
    await turns()
    assert len(parts.server.cvs) == 1
    parts.server.go.set()
    assert (await one, await other) == (answer, second)
    assert len(parts.server.cvs) == sent


async def test_a_failure_lets_the_next_one_in(parts: Parts) -> None:
    """What failed for one is tried for the other."""
    session, reference_locks = await parts.logged_in(), ReferenceLocks()
    parts.server.answer = RemoteFailed("no")
    tasks = [asyncio.create_task(send_cv(session, reference_locks, CV)) for _ in range(2)]
    await asyncio.wait(tasks)
    assert [str(task.exception()) for task in tasks] == ["no", "no"]
    assert len(parts.server.cvs) == 2


async def test_many_of_the_same_are_one_after_the_other(parts: Parts) -> None:
    """Never two of them are at the server at once, and all of them end."""
    session, reference_locks = await parts.logged_in(), ReferenceLocks()
    parts.server.answer = False
    tasks = [asyncio.create_task(send_cv(session, reference_locks, CV)) for _ in range(50)]
    assert await asyncio.wait_for(asyncio.gather(*tasks), 10) == [False] * 50


async def test_other_references_do_not_wait(parts: Parts) -> None:
    """Only requests with the same reference wait."""
    session, reference_locks = await parts.logged_in(), ReferenceLocks()
    parts.server.go.clear()
    cvs = [Raw(b'{"referenceNumber":"%d"}' % number) for number in range(10)]
    tasks = [asyncio.create_task(send_cv(session, reference_locks, cv)) for cv in cvs]
    await turns()
    assert len(parts.server.cvs) == 10
    parts.server.go.set()
    assert await asyncio.gather(*tasks) == [True] * 10


async def test_a_cancelled_waiter_lets_the_next_one_in(parts: Parts) -> None:
    """Whether it was sending or waiting itself."""
    session, reference_locks = await parts.logged_in(), ReferenceLocks()
    parts.server.go.clear()
    sending, waiting, last = [asyncio.create_task(send_cv(session, reference_locks, CV)) for _ in range(3)]
    await turns()
    waiting.cancel()
    sending.cancel()
    await asyncio.wait([sending, waiting])
    parts.server.go.set()
    assert await asyncio.wait_for(last, 10) is True
    assert len(parts.server.cvs) == 2
