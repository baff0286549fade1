"""SAQ's promises of a queue, tested on both backends: equal calls, equal outcomes."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from saq.job import Job, Status
from saq.queue import Queue
from saq.types import WorkerInfo
from saq.utils import now as milliseconds
from saq.worker import Worker

from tests.sidecar.queue.conftest import Jobs, View

SECONDS = 10.0
"""Seconds that an expected event may take."""


@pytest.fixture
def queue(jobs: Jobs) -> Queue:
    """An empty queue."""
    return jobs.queue("default")


async def until(what: Callable[[], Awaitable[bool]]) -> None:
    """Asks again and again until it is so. Raises TimeoutError."""
    async with asyncio.timeout(SECONDS):
        while not await what():  # noqa: ASYNC110  what others do rings no event of ours
            await asyncio.sleep(0.02)


async def ended(queue: Queue, key: str) -> Job:
    """The job, once it has ended."""

    async def has() -> bool:
        job = await queue.job(key)
        return job is not None and job.completed > 0 and job.status in (Status.COMPLETE, Status.FAILED, Status.ABORTED)

    await until(has)
    return known(await queue.job(key))


def known(job: Job | None) -> Job:
    """A job that has to be there."""
    assert job is not None
    return job


async def taken(queue: Queue) -> Job:
    """The next job, begun as a worker begins it."""
    job = known(await queue.dequeue(SECONDS))
    job.attempts += 1
    job.started = milliseconds()
    await job.update(status=Status.ACTIVE)
    return job


async def counts(queue: Queue) -> tuple[int, int, int]:
    """The numbers of queued, active and incomplete jobs."""
    return await queue.count("queued"), await queue.count("active"), await queue.count("incomplete")


async def spoken_of(job: Job) -> None:
    """Has others hear of a job for a while: they may not have begun to listen."""
    for _ in range(20):
        await job.update(progress=0.1)
        await asyncio.sleep(0.02)


# --- enqueue and dequeue


async def test_a_job_comes_out_as_it_went_in(queue: Queue) -> None:
    """A job comes out with its arguments, settings and meta."""
    given = {"text": "é\u0000😀", "number": 2**60, "list": [], "nothing": None}
    await queue.enqueue("f", key="a", timeout=5, heartbeat=7, retries=3, ttl=9, meta={"x": [1]}, **given)
    job = known(await queue.dequeue(SECONDS))
    assert (job.function, job.key, job.kwargs) == ("f", "a", given)
    assert (job.timeout, job.heartbeat, job.retries, job.ttl, job.meta) == (5, 7, 3, 9, {"x": [1]})
    assert job.attempts == 0
    assert job.queued > 0


async def test_first_in_first_out(queue: Queue) -> None:
    """Jobs come in the order of their entering, each once."""
    for number in range(20):
        await queue.enqueue("f", key=f"k{number}")
    assert [known(await queue.dequeue(SECONDS)).key for _ in range(20)] == [f"k{number}" for number in range(20)]
    assert await queue.dequeue(0.05) is None


async def test_a_key_is_queued_once(queue: Queue) -> None:
    """While it waits or runs; once it has ended it may come again."""
    first = await queue.enqueue("f", key="a")
    assert first is not None
    assert await queue.enqueue("f", key="a") is None
    job = await taken(queue)
    assert await queue.enqueue("f", key="a") is None
    await job.finish(Status.COMPLETE, result=1)
    assert known(await queue.job("a")).status is Status.COMPLETE
    assert await queue.enqueue("f", key="a") is not None
    again = known(await queue.dequeue(SECONDS))
    assert (again.key, again.attempts) == ("a", 0)
    assert await counts(queue) == (0, 1, 1)


async def test_queues_are_apart(jobs: Jobs) -> None:
    """Each queue of a store has its own jobs."""
    one, other = jobs.queue("one"), jobs.queue("other")
    await one.enqueue("f", key="a")
    await other.enqueue("f", key="b")
    assert known(await other.dequeue(SECONDS)).key == "b"
    assert await other.dequeue(0.05) is None
    assert await other.job("a") is None
    assert known(await one.dequeue(SECONDS)).key == "a"


async def test_a_job_of_another_queue_is_refused(jobs: Jobs) -> None:
    """SAQ's own check."""
    job = known(await jobs.queue("one").enqueue("f"))
    with pytest.raises(ValueError, match="different queue"):
        await jobs.queue("other").enqueue(job)


async def test_dequeue_waits(queue: Queue) -> None:
    """A dequeue waits, and wakes when a job comes."""
    waiting = asyncio.create_task(queue.dequeue(SECONDS))
    await asyncio.sleep(0)
    await queue.enqueue("f", key="a")
    assert known(await waiting).key == "a"


async def test_dequeue_wakes_for_another_process(view: View, jobs: Jobs) -> None:
    """A job of one process wakes another."""
    waiting = asyncio.create_task(jobs.queue("default").dequeue(SECONDS))
    await asyncio.sleep(0)
    await (await view()).queue("default").enqueue("f", key="a")
    assert known(await waiting).key == "a"


async def test_many_wait_in_turn(queue: Queue) -> None:
    """Each job goes to the longest waiter; one that gives up, or is cancelled, blocks no other."""
    gone = asyncio.ensure_future(queue.dequeue(0.2))
    cancelled = asyncio.ensure_future(queue.dequeue())
    waiting = [asyncio.ensure_future(queue.dequeue(SECONDS)) for _ in range(3)]
    behind = [asyncio.ensure_future(queue.dequeue()) for _ in range(100)]
    assert await gone is None
    cancelled.cancel()
    await asyncio.wait([cancelled])
    for number, one in enumerate(waiting):
        await queue.enqueue("f", key=str(number))
        assert known(await one).key == str(number)
    assert not any(one.done() for one in behind)
    for one in behind:
        one.cancel()
    await asyncio.wait(behind)
    await queue.enqueue("f", key="late")
    assert known(await queue.dequeue(SECONDS)).key == "late"


async def test_the_time_in_line_counts(queue: Queue) -> None:
    """A dequeue ends when its own time is over, though it never had its turn."""
    first = asyncio.ensure_future(queue.dequeue())
    await asyncio.sleep(0)
    async with asyncio.timeout(SECONDS):
        assert await queue.dequeue(0.05) is None
    assert not first.done()
    first.cancel()
    await asyncio.wait([first])


async def test_each_job_comes_out_once(view: View) -> None:
    """Each job comes out once, with any number of processes and waiters."""
    views = [await view() for _ in range(3)]
    for number in range(60):
        await views[number % 3].queue("default").enqueue("f", key=f"k{number}")
    takers = [one.queue("default").dequeue(SECONDS) for one in views for _ in range(20)]
    keys = [known(job).key for job in await asyncio.gather(*takers)]
    assert sorted(keys) == sorted(f"k{number}" for number in range(60))


async def test_a_scheduled_job_waits_for_its_time(queue: Queue) -> None:
    """A scheduled job is incomplete, and neither queued nor active, until its time."""
    await queue.enqueue("f", key="later", scheduled=int(milliseconds() / 1000) + 3600)
    await queue.enqueue("f", key="past", scheduled=int(milliseconds() / 1000) - 1)
    info = await queue.info()
    assert info["scheduled"] >= 1
    await queue.schedule(1)
    assert known(await queue.dequeue(SECONDS)).key == "past"
    assert await queue.dequeue(0.05) is None
    assert await counts(queue) == (0, 1, 2)


async def test_schedule_returns_the_due_jobs(queue: Queue) -> None:
    """Each due job is returned once."""
    job = known(await queue.enqueue("f", key="a", scheduled=1))
    assert [one.removeprefix("saq:job:default:") for one in await queue.schedule(1)] == [job.key]
    assert await queue.schedule(1) == []
    assert await counts(queue) == (1, 0, 1)


# --- update, finish, retry, abort


@pytest.mark.parametrize("status", [Status.COMPLETE, Status.FAILED, Status.ABORTED])
async def test_a_job_that_ended_is_kept(queue: Queue, status: Status) -> None:
    """An ended job is kept with its result or error, and not counted."""
    await queue.enqueue("f", key="a")
    job = await taken(queue)
    await job.finish(status, result={"x": 1}, error="wrong")
    kept = known(await queue.job("a"))
    assert (kept.status, kept.result, kept.error, kept.attempts) == (status, {"x": 1}, "wrong", 1)
    assert kept.completed > 0
    assert kept.progress == (1.0 if status is Status.COMPLETE else 0.0)
    assert await counts(queue) == (0, 0, 0)
    assert (queue.complete, queue.failed, queue.aborted) == tuple(
        int(status is one) for one in (Status.COMPLETE, Status.FAILED, Status.ABORTED)
    )


async def test_ttl(queue: Queue) -> None:
    """A job is kept `ttl` seconds after its end, for good with 0, and not at all with less."""
    for key, ttl in (("short", 1), ("good", 0), ("gone", -1)):
        await queue.enqueue("f", key=key, ttl=ttl)
        await (await taken(queue)).finish(Status.COMPLETE)
    assert await queue.job("gone") is None
    assert known(await queue.job("short")).status is Status.COMPLETE

    async def expired() -> bool:
        return await queue.job("short") is None

    await until(expired)
    assert known(await queue.job("good")).status is Status.COMPLETE
    assert [job.key async for job in queue.iter_jobs()] == ["good"]


async def test_update_keeps_the_status(queue: Queue) -> None:
    """An update keeps the status unless one is given, and stores everything else."""
    await queue.enqueue("f", key="a")
    job = await taken(queue)
    await job.update(progress=0.5, meta={"page": 3})
    kept = known(await queue.job("a"))
    assert (kept.status, kept.progress, kept.meta) == (Status.ACTIVE, 0.5, {"page": 3})
    assert kept.touched > 0


async def test_retry_queues_it_again(queue: Queue) -> None:
    """A retried job is last in the queue at once, and its attempts stay counted."""
    await queue.enqueue("f", key="a", retries=3)
    job = await taken(queue)
    await queue.enqueue("f", key="b")
    await job.retry("broken")
    kept = known(await queue.job("a"))
    assert (kept.status, kept.error, kept.attempts, kept.started, kept.progress) == (Status.QUEUED, "broken", 1, 0, 0)
    assert [(await taken(queue)).key for _ in range(2)] == ["b", "a"]
    assert known(await queue.job("a")).attempts == 2
    assert queue.retried == 1


async def test_retry_after_a_delay(queue: Queue) -> None:
    """A delayed retry is incomplete until its time."""
    await queue.enqueue("f", key="a", retries=3, retry_delay=1)
    await (await taken(queue)).retry("broken")
    assert await counts(queue) == (0, 0, 1)
    assert await queue.dequeue(0.05) is None

    async def comes() -> bool:
        await queue.schedule(1)
        return await queue.dequeue(0.05) is not None

    await until(comes)


async def test_abort_of_one_that_waits(queue: Queue) -> None:
    """An aborted waiting job ends at once and never runs, also a scheduled one."""
    await queue.enqueue("f", key="a")
    await queue.enqueue("f", key="later", scheduled=int(milliseconds() / 1000) + 3600)
    for key in ("a", "later"):
        job = known(await queue.job(key))
        await job.abort("not wanted")
        assert (job.status, job.error) == (Status.ABORTED, "not wanted")
        kept = known(await queue.job(key))
        assert (kept.status, kept.error) == (Status.ABORTED, "not wanted")
        assert kept.completed > 0
    assert await queue.dequeue(0.05) is None
    assert await counts(queue) == (0, 0, 0)
    assert queue.aborted == 2


async def test_abort_of_one_that_runs(queue: Queue) -> None:
    """A running job is asked to stop, and ends once its worker has stopped it; until then its key is taken."""
    await queue.enqueue("f", key="a")
    running = await taken(queue)
    await known(await queue.job("a")).abort("not wanted")
    kept = known(await queue.job("a"))
    assert (kept.status, kept.error) == (Status.ABORTING, "not wanted")
    assert await queue.enqueue("f", key="a") is None
    await queue.finish_abort(kept)
    await running.finish(Status.ABORTED, error="not wanted")
    kept = known(await queue.job("a"))
    assert (kept.status, kept.error) == (Status.ABORTED, "not wanted")


async def test_an_ended_job_stays_ended(queue: Queue) -> None:
    """A late change by its last worker, or a late cancellation, has no effect."""
    await queue.enqueue("f", key="a", retries=5)
    job = await taken(queue)
    await job.finish(Status.COMPLETE, result=1)
    late = known(await queue.job("a"))
    await late.abort("too late")
    await job.update(status=Status.ACTIVE)
    await job.retry("too late")
    await queue.finish(job, Status.FAILED, error="too late")
    kept = known(await queue.job("a"))
    assert (kept.status, kept.result, kept.error) == (Status.COMPLETE, 1, None)
    assert await counts(queue) == (0, 0, 0)


# --- what can be asked


async def test_jobs_in_the_order_asked_for(queue: Queue) -> None:
    """Jobs come in the requested order, with None for missing ones."""
    await queue.enqueue("f", key="a")
    await queue.enqueue("f", key="b")
    found = await queue.jobs(["b", "nowhere", "a"])
    assert [job.key if job else None for job in found] == ["b", None, "a"]
    assert await queue.jobs([]) == []


async def test_iter_jobs(queue: Queue) -> None:
    """Every job with one of some statuses, once, also over several pages."""
    for number in range(25):
        await queue.enqueue("f", key=f"k{number}")
    for _ in range(5):
        await taken(queue)
    assert len([job async for job in queue.iter_jobs(batch_size=7)]) == 25
    active = [job.key async for job in queue.iter_jobs([Status.ACTIVE], batch_size=7)]
    assert sorted(active) == [f"k{number}" for number in range(5)]


async def test_info_and_count(queue: Queue) -> None:
    """Counts, workers while they live, and some jobs."""
    await queue.enqueue("f", key="a")
    await queue.enqueue("f", key="b")
    await queue.enqueue("f", key="later", scheduled=int(milliseconds() / 1000) + 3600)
    await taken(queue)
    reported: WorkerInfo = await queue.worker_info("worker", "default", {"x": 1}, ttl=60)
    info = await queue.info(jobs=True)
    assert (info["name"], info["queued"], info["active"], info["scheduled"]) == ("default", 1, 1, 1)
    assert info["workers"] == {"worker": reported}
    assert {job["key"] for job in info["jobs"]} == {"a", "b", "later"}
    with pytest.raises(ValueError, match="unknown"):
        await queue.count("odd")  # type: ignore[arg-type]


async def test_workers_are_forgotten(queue: Queue) -> None:
    """Worker records expire."""
    await queue.worker_info("worker", "default", ttl=1)

    async def gone() -> bool:
        return (await queue.info())["workers"] == {}

    assert not await gone()
    await until(gone)


async def test_listen(queue: Queue) -> None:
    """Hears of changes until it has heard enough; and no longer than it is given."""
    await queue.enqueue("f", key="a")
    heard: list[tuple[str, Status]] = []

    def callback(key: str, status: Status) -> bool:
        heard.append((key, status))
        return status is Status.COMPLETE

    listening = asyncio.create_task(queue.listen(["a"], callback, SECONDS))
    job = await taken(queue)

    await asyncio.gather(queue.listen(["a"], lambda *_: True, SECONDS), spoken_of(job))
    await job.finish(Status.COMPLETE)
    await listening
    assert heard[-1] == ("a", Status.COMPLETE)
    assert {key for key, _ in heard} == {"a"}
    with pytest.raises(TimeoutError):
        await queue.listen(["b"], callback, 0.05)


async def test_refresh_until_complete(view: View, queue: Queue) -> None:
    """A job that another process ends."""
    job = known(await queue.enqueue("f", key="a"))
    elsewhere = (await view()).queue("default")
    other = await taken(elsewhere)
    refreshing = asyncio.create_task(job.refresh(SECONDS))

    await asyncio.gather(queue.listen(["a"], lambda *_: True, SECONDS), spoken_of(other))
    await other.finish(Status.COMPLETE, result="done")
    await refreshing
    assert (job.status, job.result) == (Status.COMPLETE, "done")


async def test_batch_is_taken_back(queue: Queue) -> None:
    """If the block of a batch fails, none of its jobs run."""

    async def fail() -> None:
        async with queue.batch():
            await queue.enqueue("f", key="a")
            raise KeyError

    with pytest.raises(KeyError):
        await fail()
    assert known(await queue.job("a")).status is Status.ABORTED


# --- sweep


async def swept(queue: Queue) -> str:
    """The first that a sweep finds."""
    found: list[str] = []

    async def finds() -> bool:
        found.extend(await queue.sweep(1, 0.2))
        return bool(found)

    await until(finds)
    return found[0]


async def test_a_job_whose_process_is_gone_runs_again(view: View, queue: Queue) -> None:
    """The job runs again at once, and the old attempt can't change it."""
    gone = await view()
    await queue.enqueue("f", key="a", retries=5)
    old = await taken(gone.queue("default"))
    assert await queue.sweep(1) == []
    await gone.close()
    assert await swept(queue) == "a"
    kept = known(await queue.job("a"))
    assert (kept.status, kept.attempts, kept.error) == (Status.QUEUED, 1, "swept")
    assert (await taken(queue)).attempts == old.attempts + 1


async def test_the_last_attempt_is_given_up(view: View, queue: Queue) -> None:
    """A lost last attempt ends the job."""
    gone = await view()
    await queue.enqueue("f", key="a", retries=1)
    await taken(gone.queue("default"))
    await gone.close()
    assert await swept(queue) == "a"
    kept = known(await queue.job("a"))
    assert (kept.status, kept.error) == (Status.ABORTED, "swept")


async def test_one_that_was_being_stopped_is_not_run_again(view: View, queue: Queue) -> None:
    """A job whose process died while it was being cancelled does not run again."""
    gone = await view()
    await queue.enqueue("f", key="a", retries=5)
    await taken(gone.queue("default"))
    await known(await queue.job("a")).abort("not wanted")
    await gone.close()
    await swept(queue)
    kept = known(await queue.job("a"))
    assert (kept.status, kept.error) == (Status.ABORTED, "not wanted")


async def test_a_job_without_heartbeats_runs_elsewhere(view: View, queue: Queue) -> None:
    """A frozen process loses its job, and can't change it after it wakes."""
    frozen = (await view()).queue("default")
    await queue.enqueue("f", key="a", retries=5, heartbeat=1)
    old = await taken(frozen)
    assert await swept(queue) == "a"
    new = await taken(queue)
    assert new.attempts == 2
    await old.update(progress=0.9)
    await old.retry("awake again")
    await old.finish(Status.COMPLETE, result="old")
    kept = known(await queue.job("a"))
    assert (kept.status, kept.progress, kept.attempts) == (Status.ACTIVE, 0, 2)
    await new.finish(Status.COMPLETE, result="new")
    await old.finish(Status.FAILED, error="old")
    kept = known(await queue.job("a"))
    assert (kept.status, kept.result, kept.error) == (Status.COMPLETE, "new", None)


async def test_an_attempt_with_heartbeats_is_left_alone(view: View, queue: Queue) -> None:
    """A sign of life in time is enough."""
    busy = (await view()).queue("default")
    await queue.enqueue("f", key="a", retries=5, heartbeat=1)
    job = await taken(busy)
    for _ in range(8):
        await job.update()
        assert await queue.sweep(1) == []
        await asyncio.sleep(0.2)


async def test_a_job_beyond_its_time_is_stopped(view: View, queue: Queue) -> None:
    """A job beyond its time runs again, even if nothing has stopped it."""
    late = (await view()).queue("default")
    await queue.enqueue("f", key="a", retries=5, timeout=1)
    await taken(late)
    assert await swept(queue) == "a"
    assert (await taken(queue)).attempts == 2


async def test_a_cancelled_dequeue_loses_nothing(queue: Queue) -> None:
    """Whenever it is cancelled, the job is there for the next."""
    for number in range(30):
        await queue.enqueue("f", key="a", ttl=-1)
        waiting = asyncio.create_task(queue.dequeue(SECONDS))
        for _ in range(number % 10):
            await asyncio.sleep(0)
        waiting.cancel()
        [outcome] = await asyncio.gather(waiting, return_exceptions=True)
        job = outcome if isinstance(outcome, Job) else None
        while job is None:
            await queue.sweep(1)
            job = await queue.dequeue(0.5)
        assert job.attempts == 0 or number
        job.attempts += 1
        await job.finish(Status.COMPLETE)


# --- with SAQ's own worker


class Working:
    """A worker that runs while the block lasts."""

    def __init__(self, queue: Queue, **functions: Callable[..., Any]) -> None:
        timers = {"schedule": 1, "worker_info": 1, "sweep": 1, "abort": 1}
        self.worker = Worker[Any](queue, list(functions.items()), concurrency=4, timers=timers)  # type: ignore[arg-type]
        self.worker.SIGNALS = []

    async def __aenter__(self) -> Worker[Any]:
        self._running = asyncio.create_task(self.worker.start())
        return self.worker

    async def __aexit__(self, *failure: object) -> None:
        await self.worker.stop()
        await self._running


async def test_worker_runs_jobs(queue: Queue) -> None:
    """A result, an error, a result after two errors."""
    tries: list[int] = []

    async def fine(_: Any, x: int) -> int:
        return x + 1

    async def broken(_: Any) -> None:
        raise KeyError("broken")

    async def third(ctx: Any) -> int:
        tries.append(ctx["job"].attempts)
        if len(tries) < 3:
            raise KeyError("not yet")
        return len(tries)

    async with Working(queue, fine=fine, broken=broken, third=third):
        await queue.enqueue("fine", key="fine", x=1)
        await queue.enqueue("broken", key="broken")
        await queue.enqueue("third", key="third", retries=3, retry_delay=0.01)
        assert (await ended(queue, "fine")).result == 2
        failed = await ended(queue, "broken")
        assert failed.status is Status.FAILED
        assert "KeyError" in (failed.error or "")
        assert (await ended(queue, "third")).result == 3
        assert tries == [1, 2, 3]
        assert await queue.apply("fine", x=41, timeout=SECONDS) == 42
        assert await queue.map("fine", [{"x": 1}, {"x": 2}], timeout=SECONDS) == [2, 3]


async def test_worker_stops_what_is_aborted(queue: Queue) -> None:
    """Within the time of its look around."""
    stopped = asyncio.Event()

    async def forever(_: Any) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()

    async with Working(queue, forever=forever):
        job = known(await queue.enqueue("forever", key="a", timeout=0))

        async def runs() -> bool:
            return known(await queue.job("a")).status is Status.ACTIVE

        await until(runs)
        await job.abort("not wanted")
        kept = await ended(queue, "a")
        assert (kept.status, kept.error) == (Status.ABORTED, "not wanted")
        assert stopped.is_set()


async def test_worker_that_ends_puts_back_what_runs(queue: Queue) -> None:
    """A worker that ends requeues its jobs, and another one runs them."""
    begun = asyncio.Event()

    async def forever(_: Any) -> None:
        begun.set()
        await asyncio.Event().wait()

    async def fine(_: Any) -> str:
        return "fine"

    async with Working(queue, f=forever):
        await queue.enqueue("f", key="a", timeout=0, retries=5)
        await asyncio.wait_for(begun.wait(), SECONDS)
    assert known(await queue.job("a")).status is Status.QUEUED
    async with Working(queue, f=fine):
        kept = await ended(queue, "a")
        assert (kept.result, kept.attempts) == ("fine", 2)


async def test_workers_of_several_processes_share_the_work(view: View, queue: Queue) -> None:
    """Each job once."""
    ran: list[int] = []

    async def note(_: Any, number: int) -> None:
        ran.append(number)
        await asyncio.sleep(0.001)

    others = [(await view()).queue("default") for _ in range(2)]
    async with Working(queue, f=note), Working(others[0], f=note), Working(others[1], f=note):
        for number in range(100):
            await queue.enqueue("f", key=f"k{number}", number=number)
        for number in range(100):
            await ended(queue, f"k{number}")
    assert sorted(ran) == list(range(100))
