"""The job queue on a real database: accepting, retrying, keeping, encrypting and reporting jobs."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest
from sidecar_protocol.encoding import encode
from sidecar_protocol.errors import ErrorCode, WireError
from sidecar_protocol.job_status import JobState
from sidecar_protocol.wire_types import Raw

from sidecar.clock import Clock
from sidecar.encryption import Encryptor
from sidecar.errors import BrowserUnavailable, NotFound, ShuttingDown, TimedOut
from sidecar.queue import executor
from sidecar.queue.job_queue import MAX_INTERRUPTIONS, JobQueue, JobQueueOptions, job_id_for
from sidecar.queue.sqlite_backend import SqliteBackend
from sidecar.queue.submission import JobRun, Submission
from sidecar.storage.database import Database

MB = 1 << 20
SECONDS = 20.0
PAUSE = 0.01
LOOKS = int(SECONDS / PAUSE)
KEY = b"k" * 32
SECRET = b"the-canary"


class Place:
    """One process's engine, and what it has run and heard."""

    def __init__(
        self, database: Database, folder: Path | None, *, key: bytes | None = None, max_bytes: int = MB
    ) -> None:
        self.database = database
        self.runs: list[JobRun] = []
        self.events: list[tuple[str, Any]] = []
        self.answer: Callable[[JobRun], Awaitable[bytes]] = _done
        options = JobQueueOptions(
            concurrency=2,
            results_ttl=3600,
            private_secrets=key is None,
            private_logins=False,
            jitter=lambda: 0.0,
            on_event=lambda event, content: self.events.append((event, content)),
        )
        self.backend = SqliteBackend.open(database, folder, Clock(), max_bytes)
        self.engine = JobQueue(self.backend, Encryptor(key), Clock(), options)

    def start(self) -> None:
        """Begins to run jobs."""
        self.engine.start(self._perform)

    async def submit(self, content: bytes = b"{}", **fields: Any) -> str:
        """Submits, and waits until it is on disk."""
        job_id = await self.engine.submit(
            Submission(type="send_job", content=content, **{"secret": SECRET in content, **fields})
        )
        await self.database.flush()
        return job_id

    async def ended(self, job_id: str) -> JobState:
        """The job's state once it has ended."""
        for _ in range(LOOKS):
            if (state := await self.engine.status(job_id)).status != "pending":
                return state
            await asyncio.sleep(PAUSE)
        raise TimeoutError

    async def _perform(self, run: JobRun) -> bytes:
        self.runs.append(run)
        return await self.answer(run)


async def _done(run: JobRun) -> bytes:
    return b'{"done":' + run.content + b"}"


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes retries immediate."""
    monkeypatch.setattr(executor, "FIRST_RETRY_DELAY", 0.0)
    monkeypatch.setattr(executor, "FIRST_BROWSER_DELAY", 0.0)


Open = Callable[..., Awaitable[Place]]


@asynccontextmanager
async def opener(folder: Path) -> AsyncIterator[Open]:
    """Opens engines as processes of one state folder."""
    places: list[Place] = []

    async def open_one(**options: Any) -> Place:
        database = await Database.open(folder / "sidecar.db")
        places.append(Place(database, folder, **options))
        return places[-1]

    yield open_one
    for place in places:
        await place.engine.close()
        await place.database.close()


@pytest.fixture
async def places(tmp_path: Path) -> AsyncIterator[Open]:
    """Opens engines as processes of one state folder."""
    async with opener(tmp_path) as open_one:
        yield open_one


@pytest.fixture
async def place(places: Open) -> Place:
    """One that runs jobs."""
    one = await places()
    one.start()
    return one


async def test_a_submission_is_run_and_its_result_is_kept(place: Place) -> None:
    """Byte for byte, and what was submitted with it arrives."""
    job_id = await place.submit(b'{"a": 1.50}', name="n", origin="task:t", account_id="s", webhooks="[]")
    state = await place.ended(job_id)
    assert (state.status, state.name, state.origin, state.attempts) == ("success", "n", "task:t", 1)
    assert state.result == Raw(b'{"done":{"a": 1.50}}')
    (run,) = place.runs
    assert (run.id, run.type, run.content, run.attempt) == (job_id, "send_job", b'{"a": 1.50}', 1)
    assert (run.account_id, run.webhooks, run.emit) == ("s", "[]", None)


async def test_a_key_is_one_job(place: Place) -> None:
    """The same key gives the same job at once, later, and for other callers."""
    first, second = await asyncio.gather(place.submit(key="k"), place.submit(key="k"))
    assert first == second == job_id_for("k")
    await place.ended(first)
    assert await place.submit(b'{"other":1}', key="k") == first
    assert len(place.runs) == 1
    assert await place.submit() != await place.submit()


async def test_a_failure_that_may_pass_is_tried_again(place: Place) -> None:
    """A job is retried as often as requested; each attempt knows whether another would follow."""
    foretold = []

    async def fail(run: JobRun) -> bytes:
        failure = TimedOut("too slow")
        foretold.append(run.will_retry(failure))
        raise failure

    place.answer = fail
    state = await place.ended(await place.submit(retries=2))
    assert (state.status, state.attempts) == ("failed", 3)
    assert state.error == TimedOut("too slow").detail
    assert foretold == [True, True, False]


async def test_a_failure_that_will_not_pass_is_final(place: Place) -> None:
    """A final failure is not retried; an internal error is reported without its text."""

    async def refuse(run: JobRun) -> bytes:
        raise WireError(ErrorCode.FORBIDDEN, "no")

    async def break_down(run: JobRun) -> bytes:
        raise ZeroDivisionError("some secret")

    place.answer = refuse
    state = await place.ended(await place.submit(retries=5))
    assert (state.attempts, state.error and state.error.code) == (1, "forbidden")
    place.answer = break_down
    state = await place.ended(await place.submit(retries=5))
    assert (state.attempts, state.error and state.error.code) == (1, "internal")
    assert "some secret" not in str(state)


async def test_what_succeeds_later_is_a_success(place: Place) -> None:
    """The failures before it are forgotten."""

    async def fail_once(run: JobRun) -> bytes:
        if run.attempt == 1:
            raise TimedOut("too slow")
        return b"1"

    place.answer = fail_once
    state = await place.ended(await place.submit(retries=1))
    assert (state.status, state.attempts, state.error) == ("success", 2, None)


async def test_an_attempt_has_its_time(place: Place) -> None:
    """Longer is a timeout."""

    async def hang(run: JobRun) -> bytes:
        await asyncio.Event().wait()
        raise AssertionError

    place.answer = hang
    state = await place.ended(await place.submit(timeout=0.05))
    assert state.error is not None
    assert (state.error.code, state.error.message) == ("timeout", "the job took longer than 0.05 s")


async def test_what_waits_and_what_runs_is_cancelled(place: Place) -> None:
    """A running job is interrupted, and knows that it will not be retried."""
    began, foretold = asyncio.Event(), []

    async def hang(run: JobRun) -> bytes:
        began.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError as stopped:
            foretold.append(run.will_retry(stopped))
            raise
        raise AssertionError

    place.answer = hang
    running = await place.submit()
    later = await place.submit(due=Clock().now() + 3600)
    async with asyncio.timeout(SECONDS):
        await began.wait()
    assert await place.engine.cancel(later)
    assert (await place.engine.status(later)).status == "cancelled"
    assert await place.engine.cancel(running)
    assert (await place.ended(running)).status == "cancelled"
    assert not await place.engine.cancel(running)
    assert foretold == [False]
    with pytest.raises(NotFound):
        await place.engine.cancel("x")


@pytest.mark.parametrize("retryable", [True, False])
async def test_a_job_waits_for_a_browser_that_cannot_start_just_now(place: Place, *, retryable: bool) -> None:
    """An accepted job asks again, which counts as no failure of its own; one that can never start ends it."""
    foretold: list[bool] = []

    async def starts_at_the_third_try(run: JobRun) -> bytes:
        if len(place.runs) < 3:
            failure = BrowserUnavailable("chromium did not start", retryable=retryable)
            foretold.append(run.will_retry(failure))
            raise failure
        return b"1"

    place.answer = starts_at_the_third_try
    state = await place.ended(await place.submit(retries=0))
    if retryable:
        assert (state.status, state.attempts, foretold) == ("success", 3, [True, True])
    else:
        assert (state.status, state.attempts, foretold) == ("failed", 1, [False])
        assert state.error
        assert state.error.code == ErrorCode.BROWSER_UNAVAILABLE


async def test_a_job_does_not_wait_for_its_browser_for_ever(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """A job whose browser never starts fails after the last try, with the reason."""
    monkeypatch.setattr(executor, "MAX_BROWSER_RETRIES", 4)
    foretold: list[bool] = []

    async def never(run: JobRun) -> bytes:
        failure = BrowserUnavailable("chromium did not start", retryable=True)
        foretold.append(run.will_retry(failure))
        raise failure

    place.answer = never
    state = await place.ended(await place.submit(retries=0))
    assert (state.status, state.attempts, foretold) == ("failed", 5, [True] * 4 + [False])
    assert state.error
    assert state.error.message == "chromium did not start"


async def test_progress_is_seen_while_it_runs(place: Place) -> None:
    """The progress is the run's last one, within 0 and 1."""
    go = asyncio.Event()

    async def half(run: JobRun) -> bytes:
        run.progress(0.5)
        await go.wait()
        return b"1"

    place.answer = half
    job_id = await place.submit()
    seen = 0.0
    for _ in range(LOOKS):
        if seen := (await place.engine.status(job_id)).progress:
            break
        await asyncio.sleep(PAUSE)
    assert seen == 0.5
    go.set()
    assert (await place.ended(job_id)).progress == 1


async def test_lists_have_pages(place: Place) -> None:
    """Pages have 50 jobs, newest first, all or those of one status."""
    ids = [await place.engine.submit(Submission(type="send_job", content=b"1", secret=False)) for _ in range(60)]
    for job_id in ids:
        await place.ended(job_id)
    total, first = await place.engine.list(None, 1)
    _, second = await place.engine.list("success", 2)
    assert total == 60
    assert [state.id for state in (*first, *second)] == ids[::-1]
    assert await place.engine.list("failed", 1) == (0, [])
    assert await place.engine.list(None, 9) == (60, [])


async def test_results_have_a_bound(places: Open) -> None:
    """The oldest make room, and their jobs say so."""
    place = await places(max_bytes=1000)
    place.start()

    async def large(run: JobRun) -> bytes:
        return b'"' + b"x" * 300 + b'"'

    place.answer = large
    ids = [await place.submit()]
    for _ in range(5):
        await place.ended(ids[-1])
        ids.append(await place.submit())
    await place.ended(ids[-1])
    states = [await place.engine.status(job_id) for job_id in ids]
    assert {state.status for state in states} == {"success"}
    assert states[0].result_dropped
    assert states[0].result is None
    assert not states[-1].result_dropped
    assert sum(len(bytes(state.result)) for state in states if state.result) <= 1000


async def test_secrets_are_encrypted_and_a_job_s_content_goes_with_its_end(tmp_path: Path, places: Open) -> None:
    """The database file contains neither in clear."""
    place = await places()
    job_id = await place.submit(b'"' + SECRET + b'"')
    later = await place.submit(b'"in-clear"', due=Clock().now() + 3600)

    def on_disk() -> bytes:
        return b"".join(path.read_bytes() for path in tmp_path.glob("sidecar.db*"))

    assert SECRET not in on_disk()
    assert b"in-clear" in on_disk()
    place.start()
    assert (await place.ended(job_id)).status == "success"
    assert place.runs[0].content == b'"' + SECRET + b'"'
    assert await place.engine.cancel(later)
    row = place.database.fetch_one("SELECT document FROM job WHERE key = ?", later)
    assert row is not None
    assert b"in-clear" not in row[0]


async def test_another_process_runs_what_it_can_open(places: Open) -> None:
    """Plain jobs are anybody's; a secret one without a lasting key stays, and ends when its process is gone."""
    submitter, other = await places(), await places()
    plain, secret = await submitter.submit(), await submitter.submit(SECRET)
    other.start()
    assert (await other.ended(plain)).status == "success"
    assert (await other.engine.status(secret)).status == "pending"
    await submitter.engine.close()
    for job in await other.backend.orphans("own:"):
        await other.engine._executor.fail_undecryptable(job)
    state = await other.engine.status(secret)
    assert (state.status, state.error and state.error.code) == ("failed", "missing_credentials")


async def test_a_lasting_key_opens_everywhere(places: Open) -> None:
    """Any process with the same store key decrypts; another key is refused."""
    submitter, other = await places(key=KEY), await places(key=KEY)
    job_id = await submitter.submit(SECRET)
    other.start()
    assert (await other.ended(job_id)).status == "success"
    stranger = await places(key=b"s" * 32)
    await other.engine.close()
    job_id = await submitter.submit(SECRET)
    stranger.start()
    state = await stranger.ended(job_id)
    assert (state.status, state.error and state.error.code) == ("failed", "missing_credentials")


async def test_a_rest_puts_back_what_does_not_finish(places: Open) -> None:
    """Another process does it; being interrupted is no failure, and is foretold."""
    place, other = await places(), await places()
    began, foretold = asyncio.Event(), []

    async def hang(run: JobRun) -> bytes:
        began.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError as stopped:
            foretold.append(run.will_retry(stopped))
            raise
        raise AssertionError

    place.answer = hang
    place.start()
    job_id = await place.submit()
    async with asyncio.timeout(SECONDS):
        await began.wait()
    await place.engine.stop(0)
    assert foretold == [True]
    assert (await place.engine.status(job_id)).status == "pending"
    other.start()
    state = await other.ended(job_id)
    assert (state.status, state.attempts, state.error) == ("success", 2, None)


@pytest.mark.parametrize("code", [ErrorCode.SHUTTING_DOWN, ErrorCode.BROWSER_CRASHED, ErrorCode.BROWSER_UNAVAILABLE])
async def test_a_failure_caused_by_shutdown_requeues_the_job(places: Open, code: ErrorCode) -> None:
    """A browser that was closed, or crashed, during shutdown neither ends nor fails a job."""
    place, other = await places(), await places()
    began, foretold = asyncio.Event(), []

    async def breaks(run: JobRun) -> bytes:
        began.set()
        async with asyncio.timeout(SECONDS):
            while not place.engine._stopped:  # noqa: ASYNC110
                await asyncio.sleep(PAUSE)
        await asyncio.sleep(PAUSE)  # the workers know it, too
        failure = WireError(code, "gone", retryable=False)
        foretold.append(run.will_retry(failure))
        raise failure

    place.answer = breaks
    place.start()
    job_id = await place.submit()
    async with asyncio.timeout(SECONDS):
        await began.wait()
        await place.engine.stop(SECONDS)
    assert foretold == [True]
    assert (await place.engine.status(job_id)).status == "pending"
    other.start()
    state = await other.ended(job_id)
    assert (state.status, state.attempts, state.error) == ("success", 2, None)


async def test_shutting_down_is_never_an_end(place: Place) -> None:
    """`shutting_down` is no job's end, even if it comes before the queue knows of the shutdown."""
    place.answer = _shut_down
    job_id = await place.submit()
    for _ in range(LOOKS):
        if len(place.runs) > 1:
            break
        await asyncio.sleep(PAUSE)
    place.answer = _done
    state = await place.ended(job_id)
    assert (state.status, state.error) == ("success", None)


async def test_a_script_can_t_pretend_that_the_process_ends(place: Place) -> None:
    """An error that only says `shutting_down` is an error like any other: it is not repeated for ever."""

    async def pretends(run: JobRun) -> bytes:
        raise WireError(ErrorCode.SHUTTING_DOWN, "so says a script", retryable=False)

    place.answer = pretends
    assert (await place.ended(await place.submit())).status == "failed"


async def _shut_down(run: JobRun) -> bytes:
    raise ShuttingDown


async def test_a_rest_lets_finish_what_can(place: Place) -> None:
    """Shutdown lets running jobs finish and starts no more."""
    began, go = asyncio.Event(), asyncio.Event()

    async def held(run: JobRun) -> bytes:
        began.set()
        await go.wait()
        return b"1"

    place.answer = held
    job_id = await place.submit()
    async with asyncio.timeout(SECONDS):
        await began.wait()
        resting = asyncio.create_task(place.engine.stop(SECONDS))
        await asyncio.sleep(0)
        go.set()
        await resting
    assert (await place.engine.status(job_id)).status == "success"
    left = await place.submit()
    assert (await place.engine.status(left)).status == "pending"


@pytest.mark.parametrize("here", [True, False])
async def test_events_reach_the_submitter(places: Open, here: bool) -> None:
    """Whichever process runs the job, if its parent asked."""
    submitter = await places()
    runner = submitter if here else await places()

    async def report(run: JobRun) -> bytes:
        assert run.emit is not None
        run.emit("progress", {"percentage": 50})
        return b"1"

    runner.answer = report
    runner.start()
    job_id = await submitter.submit(notify=True)
    await runner.ended(job_id)
    for _ in range(LOOKS):
        if submitter.events:
            break
        await asyncio.sleep(PAUSE)
    ((event, content),) = submitter.events
    assert event == "progress"
    assert orjson.loads(encode(content)) == {"percentage": 50}
    assert here or runner.events == []


async def test_a_job_that_is_always_cut_short_fails(places: Open) -> None:
    """After a number of interrupted attempts a job fails with that reason, is listed so, and its content is deleted."""
    place = await places()
    job_id = await place.submit(b'"a"', retries=1)
    most = MAX_INTERRUPTIONS + 2

    def age(connection: sqlite3.Connection) -> None:
        connection.execute("UPDATE job SET attempts = ? WHERE key = ?", (most, job_id))

    await place.database.write(age)
    place.start()
    state = await place.ended(job_id)
    assert (state.status, place.runs) == ("failed", [])
    assert state.error
    assert state.error.message == f"gave up after {most} interrupted attempts"
    assert [job.id for job in (await place.engine.list("failed", 1))[1]] == [job_id]
    assert (await place.engine.list("cancelled", 1))[0] == 0
    kept = await place.backend.find(job_id)
    assert kept
    assert not kept.kwargs
