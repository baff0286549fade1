"""Stdin and stdout: the reader and the writer of lines."""

import asyncio
import codecs
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.server import stdio
from sidecar.server.stdio import LineReader, LineSplitter, LineWriter

LIMIT = 12
PIECES = st.lists(
    st.sampled_from([b"\n", b"a", b"bc", b"\r\n", b"0123456789", b"x" * LIMIT, b"y" * 3 * LIMIT, b"\xff"])
)


def split(chunks: Sequence[bytes], limit: int = LIMIT) -> list[bytes | None]:
    """What a splitter makes of these chunks and the end."""
    splitter = LineSplitter(limit)
    lines = [line for chunk in chunks for line in splitter.feed(chunk)]
    return lines + splitter.finish()


def plainly(data: bytes, limit: int = LIMIT) -> list[bytes | None]:
    """The expected lines, by a plain implementation of the rule."""
    lines = data.split(b"\n")
    if not lines[-1]:
        lines.pop()
    return [line if len(line) <= limit else None for line in lines]


@given(PIECES, st.data())
def test_where_input_is_cut_does_not_matter(pieces: list[bytes], data: st.DataObject) -> None:
    """Any cutting into chunks gives the same lines, those over the limit included."""
    whole = b"".join(pieces)
    cuts = data.draw(st.lists(st.integers(0, len(whole)), max_size=12).map(sorted))
    chunks = [whole[start:end] for start, end in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    assert split([chunk for chunk in chunks if chunk]) == plainly(whole)
    assert split([bytes([byte]) for byte in whole]) == plainly(whole)


@pytest.mark.parametrize("limit", [stdio.READ_SIZE - 1, stdio.READ_SIZE, stdio.READ_SIZE + 1, 3 * stdio.READ_SIZE])
@pytest.mark.parametrize("over", [-1, 0, 1, stdio.READ_SIZE])
@pytest.mark.parametrize("ending", [b"", b"\n", b"\nnext\n"])
def test_limits_around_what_is_read_at_once(limit: int, over: int, ending: bytes) -> None:
    """The limit is exact also where lines span several reads."""
    whole = b"first\n" + b"x" * (limit + over) + ending
    chunks = [whole[start : start + stdio.READ_SIZE] for start in range(0, len(whole), stdio.READ_SIZE)]
    assert split(chunks, limit) == plainly(whole, limit)


def test_a_long_line_is_reported_once_and_not_held() -> None:
    """A too long line is reported as soon as it is detected, and its rest is dropped."""
    splitter = LineSplitter(LIMIT)
    assert splitter.feed(b"x" * LIMIT) == []
    assert splitter.feed(b"x") == [None]
    assert splitter.feed(b"x" * 1000) == []
    assert splitter.feed(b"x\nok\n") == [b"ok"]
    assert splitter.finish() == []


@pytest.mark.parametrize("rest", [b"", b"\n", b"{}\n", b"{}", b"\n{}\n", b"\xef\xbb\xbf{}\n"])
def test_a_byte_order_mark_before_the_first_line(rest: bytes) -> None:
    """It is no part of that line, in however many pieces it comes; one later is."""
    whole = codecs.BOM_UTF8 + rest
    expected = plainly(rest)
    assert split([whole]) == split([bytes([byte]) for byte in whole]) == expected
    assert split([b"a\n", whole]) == [b"a", *plainly(whole)]
    assert split([b"\xef\xbb"]) == [b"\xef\xbb"]


class Reading:
    """A reader on a pipe, and what it handed on."""

    def __init__(self, descriptor: int) -> None:
        self.lines: list[bytes | None] = []
        self.ended = asyncio.Event()
        self.came = asyncio.Event()
        self.reader = LineReader(descriptor, 100, self._take, self.ended.set)

    def _take(self, lines: Sequence[bytes | None]) -> None:
        assert not self.ended.is_set()
        self.lines += lines
        self.came.set()

    async def next(self) -> None:
        """Waits until something has come."""
        async with asyncio.timeout(5):
            await self.came.wait()
        self.came.clear()

    async def end(self) -> None:
        """Waits for the end."""
        async with asyncio.timeout(5):
            await self.ended.wait()


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """Its reading and its writing end; neither blocks."""
    ends = os.pipe()
    for end in ends:
        os.set_blocking(end, False)
    yield ends
    for end in ends:
        try:
            os.close(end)
        except OSError:
            continue


async def turns(count: int = 5) -> None:
    """Lets the loop go round, so that what is ready happens."""
    for _ in range(count):
        await asyncio.sleep(0)


async def test_nothing_is_read_while_held(pipe: tuple[int, int]) -> None:
    """Every reason has to be released."""
    reading = Reading(pipe[0])
    reading.reader.start()
    reading.reader.hold("a")
    reading.reader.hold("b")
    os.write(pipe[1], b"1\n")
    reading.reader.release("a")
    reading.reader.release("a")
    await turns()
    assert reading.lines == []
    reading.reader.release("b")
    await reading.next()
    assert reading.lines == [b"1"]
    reading.reader.stop()


async def test_a_reader_that_is_held_by_its_own_lines(pipe: tuple[int, int], tmp_path: Path) -> None:
    """A held reader stops, also on a file, which is always readable."""
    path = tmp_path / "lines"
    path.write_bytes(b"line\n" * 40_000)
    descriptor = os.open(path, os.O_RDONLY)
    batches: list[int] = []
    ended = asyncio.Event()

    def take(lines: Sequence[bytes | None]) -> None:
        batches.append(len(lines))
        reader.hold("full")
        asyncio.get_running_loop().call_soon(reader.release, "full")

    reader = LineReader(descriptor, 100, take, ended.set)
    reader.start()
    async with asyncio.timeout(5):
        await ended.wait()
    assert sum(batches) == 40_000
    assert len(batches) > 2
    os.close(descriptor)


async def test_the_last_words_of_a_dead_writer(pipe: tuple[int, int]) -> None:
    """What stands in the pipe counts, its last line without newline too; then it is the end, though it is held open."""
    reading = Reading(pipe[0])
    reading.reader.start()
    os.write(pipe[1], b"1\n2\nrest")
    reading.reader.end_when_empty()
    await reading.end()
    assert reading.lines == [b"1", b"2", b"rest"]


async def test_the_last_words_wait_while_held(pipe: tuple[int, int]) -> None:
    """A death does not overrule back-pressure."""
    reading = Reading(pipe[0])
    reading.reader.start()
    reading.reader.hold("full")
    os.write(pipe[1], b"1\n")
    reading.reader.end_when_empty()
    await turns()
    assert reading.lines == []
    reading.reader.release("full")
    await reading.end()
    assert reading.lines == [b"1"]


class Writing:
    """A writer on a pipe with a disk that commits on command."""

    def __init__(self, descriptor: int) -> None:
        self.clogged: list[bool] = []
        self.closed = asyncio.Event()
        self.commits: list[asyncio.Future[None]] = []
        self.to_commit = False
        self.writer = LineWriter(descriptor, self._commit, self.clogged.append, self.closed.set)

    def _commit(self) -> asyncio.Future[None] | None:
        if not self.to_commit:
            return None
        self.to_commit = False
        self.commits.append(asyncio.get_running_loop().create_future())
        return self.commits[-1]

    async def drain(self) -> None:
        """Waits until all is written."""
        async with asyncio.timeout(5):
            await self.writer.drain()


def read_all(descriptor: int) -> bytes:
    """What the pipe holds."""
    held = b""
    try:
        while chunk := os.read(descriptor, 1 << 20):
            held += chunk
    except BlockingIOError:
        pass
    return held


def instead(text: bytes) -> Callable[[BaseException], bytes]:
    """The line to send where the disk refuses."""
    return lambda failure: text + b": " + str(failure).encode()


async def test_no_line_leaves_before_its_commit(pipe: tuple[int, int]) -> None:
    """No line leaves before its commit or before earlier lines; one commit serves all waiting lines."""
    writing = Writing(pipe[1])
    writing.to_commit = True
    writing.writer.send(b"1")
    writing.writer.send(b"2")
    await turns()
    writing.to_commit = True
    writing.writer.send(b"3")
    await turns()
    assert read_all(pipe[0]) == b""
    writing.commits[0].set_result(None)
    await turns()
    assert read_all(pipe[0]) == b"12"
    writing.commits[1].set_result(None)
    await writing.drain()
    assert read_all(pipe[0]) == b"3"
    assert len(writing.commits) == 2


async def test_a_failed_commit_changes_what_was_promised(pipe: tuple[int, int]) -> None:
    """A failed commit replaces the lines that promised something; others are unchanged."""
    writing = Writing(pipe[1])
    writing.to_commit = True
    writing.writer.send(b"ping ")
    writing.writer.send(b"stored", instead(b"refused"))
    await turns()
    writing.commits[0].set_exception(OSError("full"))
    await writing.drain()
    assert read_all(pipe[0]) == b"ping refused: full"


@pytest.mark.parametrize("how", ["cancelled", "raised"])
async def test_a_commit_that_breaks_off_is_a_failed_one(
    pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """Its lines leave, and so do all after them: nothing that happens to a commit silences the writer."""
    writing = Writing(pipe[1])
    if how == "cancelled":
        writing.to_commit = True
    else:
        monkeypatch.setattr(writing.writer, "_commit", _no_commit)
    writing.writer.send(b"ping ")
    writing.writer.send(b"stored", lambda _: b"refused ")
    await turns()
    if how == "cancelled":
        writing.commits[0].cancel()
    await writing.drain()
    monkeypatch.setattr(writing.writer, "_commit", lambda: None)
    writing.writer.send(b"pong")
    await writing.drain()
    assert read_all(pipe[0]) == b"ping refused pong"


def _no_commit() -> None:
    raise RuntimeError("no new futures after shutdown")


async def test_a_full_pipe_and_its_end_are_reported(pipe: tuple[int, int]) -> None:
    """A full pipe and its end are reported once each, also for a single long line; nothing is lost."""
    writing = Writing(pipe[1])
    data = os.urandom(3 * stdio.HIGH_WATER)
    writing.writer.send(data)
    assert writing.clogged == [True]
    drained = asyncio.create_task(writing.drain())
    await turns()
    assert not drained.done()
    got = b""
    async with asyncio.timeout(5):
        while not drained.done():
            got += read_all(pipe[0])
            await asyncio.sleep(0)
    assert got + read_all(pipe[0]) == data
    assert writing.clogged == [True, False]


async def test_lines_that_wait_for_the_disk_count(pipe: tuple[int, int]) -> None:
    """Many short ones are as bad as one long one."""
    writing = Writing(pipe[1])
    writing.to_commit = True
    count = 2 * stdio.HIGH_WATER // stdio.LINE_WEIGHT
    for _ in range(count):
        writing.writer.send(b"x")
    assert writing.clogged == [True]
    writing.commits[0].set_result(None)
    await writing.drain()
    assert writing.clogged == [True, False]
    assert len(read_all(pipe[0])) == count


async def test_what_goes_on_when_unclogged_is_written_too(pipe: tuple[int, int]) -> None:
    """A line that is sent from within the news that there is room is waited for."""
    writing = Writing(pipe[1])
    writing.writer.send(b"x" * 2 * stdio.HIGH_WATER)
    on_clogged = writing.clogged.append

    def go_on(clogged: bool) -> None:
        on_clogged(clogged)
        if not clogged:
            writing.writer.send(b"last")

    writing.writer._on_clogged = go_on
    drained = asyncio.create_task(writing.drain())
    got = b""
    async with asyncio.timeout(5):
        while not drained.done():
            got += read_all(pipe[0])
            await asyncio.sleep(0)
    assert (got + read_all(pipe[0])).endswith(b"xlast")


async def test_a_reader_that_leaves_is_noticed(pipe: tuple[int, int]) -> None:
    """A closed reader is noticed without a write, and a later write does no harm."""
    writing = Writing(pipe[1])
    await turns()
    assert not writing.closed.is_set()
    os.close(pipe[0])
    async with asyncio.timeout(5):
        await writing.closed.wait()
    writing.writer.send(b"unheard")
    await turns()
