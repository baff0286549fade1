"""The outbox: ordered, once, bounded, and empty after delivery."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from pathlib import Path
from typing import Any, Literal

import pytest
from sidecar_protocol.pages import PAGE_SIZE

from sidecar.encryption import Encryptor
from sidecar.errors import DecryptionKeyMissing, StoreFailed
from sidecar.storage import outbox as module
from sidecar.storage.database import Batch, Database
from sidecar.storage.endpoint_rows import LEASE, EndpointRows
from sidecar.storage.outbox import Outbox, OutboxMessage
from tests.clocks import ManualClock

NOW = 1_800_000_000.0


class Box:
    """An outbox over a file, and its time."""

    def __init__(self, database: Database) -> None:
        self.time = ManualClock(NOW)
        self.database = database
        self.outbox = Outbox(database, self.time.clock)
        self.rows = EndpointRows(database, self.time.clock)

    async def put(self, *names: str, endpoint: str = "e", ordering_key: str = "l", body: bytes = b"x") -> None:
        """Puts messages of these names, and waits for the disk."""
        self.outbox.put(
            [OutboxMessage(id=name, endpoint=endpoint, ordering_key=ordering_key, body=body) for name in names]
        )
        await self.outbox.flush()

    def due(self, endpoint: str = "e") -> list[str]:
        """Which may go."""
        return [head.id for head in self.outbox.due(endpoint, 100)]

    def kept(self) -> dict[str, str]:
        """Id -> status of all there is, on the first page."""
        return {row.id: row.status for row in self.outbox.page(None, 1)[1]}


@pytest.fixture
async def box(tmp_path: Path) -> AsyncIterator[Box]:
    """An empty one."""
    database = await Database.open(tmp_path / "sidecar.db")
    yield Box(database)
    await database.close()


async def test_one_of_each_lane_may_go(box: Box) -> None:
    """The first of it; the next once that has arrived."""
    await box.put("a1", "a2", "a3", ordering_key="a")
    await box.put("b1", ordering_key="b")
    await box.put("other", endpoint="f", ordering_key="a")
    assert box.due() == ["a1", "b1"]
    [first, _] = box.outbox.due("e", 2)
    assert (first.ordering_key, first.kind, first.attempts, first.size, first.created) == ("a", "webhook", 0, 1, NOW)
    assert box.outbox.body(first.number) == b"x"
    await box.outbox.mark_sent("e", first)
    assert box.outbox.body(first.number) is None
    assert sorted(box.due()) == ["a2", "b1"]
    assert box.due("f") == ["other"]


async def test_the_same_message_is_stored_once(box: Box) -> None:
    """Same id and endpoint, while it is there; another endpoint is another message."""
    await box.put("a", "a")
    await box.put("a")
    await box.put("a", endpoint="f")
    assert box.outbox.page(None, 1)[0] == 2
    await box.outbox.mark_sent("e", box.outbox.due("e", 1)[0])
    await box.put("a")
    assert box.due() == ["a"]


async def test_the_sender_is_notified_of_new_messages(box: Box) -> None:
    """The sender is notified of endpoints with new messages at once, and only of those."""
    reported: list[set[str]] = []
    box.outbox.on_put = reported.append
    box.outbox.put([])
    await box.put("a", endpoint="e")
    await box.put("a", endpoint="f")
    assert reported == [{"e"}, {"f"}]


async def test_rescheduling_blocks_the_ordering_key(box: Box) -> None:
    """A rescheduled message blocks its ordering key until its time."""
    await box.put("a", "b")
    [head] = box.outbox.due("e", 1)
    await box.outbox.reschedule("e", head, "no", 60)
    assert (box.due(), box.outbox.next_due("e")) == ([], NOW + 60)
    [row] = [row for row in box.outbox.page("waiting", 1)[1] if row.id == "a"]
    assert (row.attempts, row.error, row.due) == (1, "no", NOW + 60)
    box.time.advance(60)
    assert box.due() == ["a"]
    assert box.outbox.next_due("nobody") is None


async def test_a_dead_message_lets_the_next_one_go(box: Box) -> None:
    """One, or all that were put before a time."""
    await box.put("a", "b")
    [head] = box.outbox.due("e", 1)
    await box.outbox.mark_dead("e", head, "no")
    assert (box.kept(), box.due()) == ({"a": "dead", "b": "waiting"}, ["b"])
    box.time.advance(10)
    await box.put("c")
    buried = await box.outbox.mark_all_dead("e", "gone", NOW + 5)
    assert ([row.id for row in buried], box.due()) == (["b"], ["c"])
    assert [row.error for row in box.outbox.page("dead", 1)[1]] == ["no", "gone"]


async def test_once_more(box: Box) -> None:
    """A dead one goes last of its ordering key with all its attempts before it; one that waits, at once."""
    await box.put("a", "b")
    [head] = box.outbox.due("e", 1)
    await box.outbox.mark_dead("e", head, "no")
    assert await box.outbox.redeliver("a", None) == ["e"]
    assert (box.due(), box.kept()) == (["b"], {"a": "waiting", "b": "waiting"})
    await box.outbox.reschedule("e", box.outbox.due("e", 1)[0], "no", 1000)
    assert (await box.outbox.redeliver("b", "e"), box.due()) == (["e"], ["b"])
    await box.outbox.mark_sent("e", box.outbox.due("e", 1)[0])
    [redeliver] = box.outbox.due("e", 1)
    assert (redeliver.id, redeliver.attempts) == ("a", 0)
    assert await box.outbox.redeliver("a", "another") == []
    assert box.outbox.endpoints_of("a", None) == ["e"]


async def test_a_message_for_a_disabled_endpoint_is_dead(box: Box) -> None:
    """A message for a disabled endpoint is stored as dead and listed."""
    box.rows.save("e", "webhook", "{}")
    await box.outbox.flush()
    await box.rows.disable("e")
    await box.put("a", "b")
    assert (box.kept(), box.due()) == ({"a": "dead", "b": "dead"}, [])


async def test_pages_of_either_and_of_both(box: Box) -> None:
    """Pages list messages oldest first, whatever their status; the last page has the rest."""
    names = [f"{number:03}" for number in range(PAGE_SIZE + 10)]
    for name in names:
        await box.put(name, ordering_key=name)
    for head in box.outbox.due("e", len(names)):
        if int(head.id) % 2:
            await box.outbox.mark_dead("e", head, "no")

    def shown(status: Literal["waiting", "dead"] | None, page: int) -> tuple[int, list[str]]:
        total, rows = box.outbox.page(status, page)
        return total, [row.id for row in rows]

    assert shown(None, 1) == (len(names), names[:PAGE_SIZE])
    assert shown(None, 2) == (len(names), names[PAGE_SIZE:])
    assert shown(None, 3) == (len(names), [])
    assert shown("waiting", 1) == (len(names) // 2, names[::2])
    assert shown("dead", 1) == (len(names) // 2, names[1::2])
    assert shown("dead", 2) == (len(names) // 2, [])


async def test_the_dead_are_bounded(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    """Dead messages are bounded by number, size and age; the oldest are dropped first."""
    monkeypatch.setattr(module, "MAX_DEAD", 5)
    monkeypatch.setattr(module, "MAX_DEAD_BYTES", 300)
    for number in range(8):
        await box.put(f"{number}")
    await box.outbox.mark_all_dead("e", "no")
    assert list(box.kept()) == ["3", "4", "5", "6", "7"]
    await box.put("large", "larger", body=b"x" * 149)
    await box.outbox.mark_all_dead("e", "no")
    assert list(box.kept()) == ["6", "7", "large", "larger"]
    monkeypatch.setattr(module, "TRIM_COUNT", 2)
    await box.put("one", "two", ordering_key="m")
    for left in (["6", "7", "large", "larger", "one", "two"], ["large", "larger", "one", "two"]):  # every second time
        await box.outbox.mark_dead("e", box.outbox.due("e", 1)[0], "no")
        assert list(box.kept()) == left
    monkeypatch.undo()
    box.time.advance(module.MAX_DEAD_AGE + 1)
    await box.put("waiting")
    await box.outbox.repair_due_times()
    assert list(box.kept()) == ["waiting"]


async def test_a_clock_that_was_set_back(box: Box) -> None:
    """Neither a message nor its endpoint waits longer than it was rescheduled for."""
    box.rows.save("e", "webhook", "{}")
    await box.put("a")
    await box.outbox.reschedule("e", box.outbox.due("e", 1)[0], "no", 60)
    await box.rows.record_failure("e", 1, 64)
    box.time.advance(-3600)
    await box.outbox.repair_due_times()
    row = box.rows.get("e")
    assert row is not None
    assert (box.outbox.next_due("e"), row.retry_at) == (NOW - 3600 + 60, NOW - 3600 + 64)
    box.time.advance(7200)
    await box.outbox.repair_due_times()
    assert box.outbox.next_due("e") == NOW - 3600 + 60


async def test_an_endpoint_belongs_to_one_process_at_a_time(box: Box) -> None:
    """An endpoint belongs to one process until it releases it, dies, or lets the lease expire."""
    living = {"one", "other"}
    box.rows.save("e", "webhook", "{}")
    await box.outbox.flush()

    async def claim(owner: str) -> bool:
        return await box.rows.claim("e", owner, living.__contains__)

    assert await claim("one")
    assert await claim("one")
    assert not await claim("other")
    await box.rows.release("e", "other")
    assert not await claim("other")
    await box.rows.release("e", "one")
    assert await claim("other")
    living.remove("other")
    assert await claim("one")
    living.add("other")
    box.time.advance(LEASE - 1)
    assert not await claim("other")
    box.time.advance(1)
    assert await claim("other")
    box.time.advance(-3600)  # a lease from the future is none
    assert await claim("one")
    await box.rows.disable("e")
    assert not await claim("one")
    assert not await box.rows.claim("nobody", "one", living.__contains__)


async def test_a_quicker_claim_gets_the_lease(box: Box) -> None:
    """A lease that was taken while we waited for the disk is no lease from the future."""
    box.rows.save("e", "webhook", "{}")
    await box.outbox.flush()
    late = box.rows.claim("e", "late", lambda process: True)
    box.time.advance(1)
    assert await box.rows.claim("e", "quick", lambda process: True)
    assert not await late


async def test_what_has_arrived_is_noted_in_one_transaction(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    """Several at a time, with what is put meanwhile; the first that is left of an ordering key may go."""
    await box.put("a1", "a2", "a3", ordering_key="a")
    await box.put("b1", ordering_key="b")
    transact = box.database._run_transaction
    transactions: list[list[Batch]] = []

    def counted(batches: list[Batch]) -> Coroutine[Any, Any, None]:
        transactions.append(batches)
        return transact(batches)

    monkeypatch.setattr(box.database, "_run_transaction", counted)
    a1, a2, _ = box.outbox.pending("e", "a", 10)
    [b1] = box.outbox.pending("e", "b", 10)
    noted = [box.outbox.mark_sent("e", one) for one in (a1, a2, b1)]
    box.outbox.put([OutboxMessage(id="a4", endpoint="e", ordering_key="a", body=b"x")])
    await asyncio.gather(*noted)
    assert len(transactions) == 1
    assert (box.due(), [one.id for one in box.outbox.pending("e", "a", 10)]) == (["a3"], ["a3", "a4"])


async def test_a_detached_copy_blocks_no_other(box: Box) -> None:
    """A detached copy has its own ordering key, and keeps its attempts."""
    await box.put("a", "b")
    [head] = box.outbox.due("e", 1)
    await box.outbox.reschedule("e", head, "no", 60, detach=True)
    assert box.due() == ["b"]
    box.time.advance(60)
    assert [(one.id, one.ordering_key, one.attempts) for one in box.outbox.due("e", 9)] == [
        ("b", "l", 0),
        ("a", "a", 1),
    ]


async def test_bodies_are_encrypted_with_a_lasting_key(tmp_path: Path) -> None:
    """The listed size is the body's own; another key can't decrypt it; dead ones are encrypted too."""
    clock = ManualClock(NOW).clock
    path, body = tmp_path / "sidecar.db", b"what a CV says of somebody"
    for encryptor, clear in ((Encryptor(b"k" * 32), False), (Encryptor(), True)):
        database = await Database.open(path)
        box = Outbox(database, clock, encryptor)
        box.put([OutboxMessage(id=f"{clear}", endpoint="e", ordering_key=f"{clear}", body=body)])
        await box.flush()
        [*_, head] = box.due("e", 9)
        assert (head.size, box.body(head.number)) == (len(body), body)
        await database.close()
        assert (body in path.read_bytes()) is clear
    database = await Database.open(path)
    for other in (None, Encryptor(), Encryptor(b"l" * 32)):
        first, second = Outbox(database, clock, other).due("e", 9)
        assert Outbox(database, clock, other).body(second.number) == body
        with pytest.raises(DecryptionKeyMissing):
            Outbox(database, clock, other).body(first.number)
    box = Outbox(database, clock, Encryptor(b"k" * 32))
    await box.mark_dead("e", first, "no")
    await box.redeliver("False", None)
    [_, head] = sorted(box.due("e", 9), key=lambda one: one.number)
    assert (head.id, head.size, box.body(head.number)) == ("False", len(body), body)
    await database.close()


async def test_the_servers_of_a_login(box: Box) -> None:
    """The servers of a login are those that were named last."""
    assert box.rows.login("scope") == ()
    box.rows.save_login("scope", ["a", "b"])
    box.rows.save_login("scope", ["b"])
    await box.outbox.flush()
    assert box.rows.login("scope") == ("b",)


async def test_messages_survive_a_restart(tmp_path: Path) -> None:
    """Messages keep their order for the next process."""
    path = tmp_path / "sidecar.db"
    database = await Database.open(path)
    await Box(database).put(*map(str, range(10)))
    await database.close()
    database = await Database.open(path)
    box = Box(database)
    arrived = []
    while due := box.outbox.due("e", 1):
        arrived.append(due[0].id)
        await box.outbox.mark_sent("e", due[0])
    assert arrived == list(map(str, range(10)))
    await database.close()


async def test_a_full_disk(box: Box) -> None:
    """The commit reports messages that could not be stored, and they don't reappear later."""
    await box.database.execute(f"PRAGMA max_page_count = {box.database.fetch_one('PRAGMA page_count')[0]}")  # type: ignore[index]
    with pytest.raises(StoreFailed):
        await box.put("a", body=b"x" * 1_000_000)
    await box.database.execute("PRAGMA max_page_count = 1000000")
    await box.put("b")
    assert box.kept() == {"b": "waiting"}
