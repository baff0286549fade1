"""The job queue's backend interface, on both stores."""

import asyncio

from saq.job import TERMINAL_STATUSES, Job, Status

from sidecar.queue.redis_backend import RedisBackend
from sidecar.queue.sqlite_backend import SqliteBackend
from tests.sidecar.queue.conftest import Jobs, View
from tests.sidecar.queue.test_semantics import SECONDS, known, swept, taken

PENDING = frozenset(Status) - TERMINAL_STATUSES


async def put(jobs: Jobs, key: str, name: str = "default", ttl: int = 600) -> bool:
    """Puts a job, and has it stored where that does not go by itself."""
    entered = await jobs.put(Job("f", key=key, ttl=ttl, retries=5), name)
    if isinstance(jobs, SqliteBackend):
        await jobs._context.database.flush()
    return entered


async def test_a_key_is_put_once(view: View, jobs: Jobs) -> None:
    """A key is unique in all queues and processes, also after its job has ended."""
    assert await put(jobs, "a")
    assert not await put(jobs, "a")
    assert not await put(jobs, "a", "other")
    assert not await put(await view(), "a")
    await (await taken(jobs.queue("default"))).finish(Status.COMPLETE)
    assert not await put(jobs, "a", "other")
    assert known(await jobs.find("a")).status is Status.COMPLETE


async def test_a_key_is_free_once_its_job_is_forgotten(jobs: Jobs) -> None:
    """A key is taken while its job is kept."""
    assert await put(jobs, "a", ttl=-1)
    await (await taken(jobs.queue("default"))).finish(Status.COMPLETE)
    assert await jobs.find("a") is None
    assert await put(jobs, "a")


async def test_found_in_any_queue(view: View, jobs: Jobs) -> None:
    """A job is found with its queue."""
    await put(jobs, "a", "own:x")
    found = known(await (await view()).find("a"))
    assert found.get_queue().name == "own:x"
    await found.abort("not wanted")
    assert known(await jobs.find("a")).status is Status.ABORTED
    assert await jobs.find("nowhere") is None


async def test_pages(jobs: Jobs) -> None:
    """Newest first, over all queues, with the total."""
    for number in range(12):
        await put(jobs, f"k{number}", "other" if number % 2 else "default")
    done = [await taken(jobs.queue("default")) for _ in range(3)]
    for job, status in zip(done, (Status.COMPLETE, Status.FAILED, Status.ABORTED), strict=True):
        await job.finish(status)
    everything = [f"k{number}" for number in reversed(range(12))]
    total, page = await jobs.page(frozenset(Status), 0, 5)
    assert (total, [job.key for job in page]) == (12, everything[:5])
    total, page = await jobs.page(frozenset(Status), 10, 5)
    assert (total, [job.key for job in page]) == (12, everything[10:])
    assert await jobs.page(frozenset(Status), 12, 5) == (12, [])
    waiting = [key for key in everything if key not in ("k0", "k2", "k4")]
    total, page = await jobs.page(PENDING, 0, 50)
    assert (total, [job.key for job in page]) == (9, waiting)
    for job, status in zip(done, (Status.COMPLETE, Status.FAILED, Status.ABORTED), strict=True):
        total, page = await jobs.page(frozenset({status}), 0, 50)
        assert (total, [(one.key, one.status) for one in page]) == (1, [(job.key, status)])


async def test_what_is_tried_again_is_pending_again(jobs: Jobs) -> None:
    """A retried job is pending again, and still one job."""
    await put(jobs, "a")
    job = await taken(jobs.queue("default"))
    await job.retry("broken")
    assert (await jobs.page(PENDING, 0, 50))[0] == 1
    await (await taken(jobs.queue("default"))).finish(Status.COMPLETE)
    assert [(await jobs.page(some, 0, 50))[0] for some in (PENDING, frozenset({Status.COMPLETE}))] == [0, 1]


async def test_expired_entries_are_not_listed(jobs: Jobs) -> None:
    """Expired entries are not listed after a sweep."""
    await put(jobs, "a", ttl=1)
    await (await taken(jobs.queue("default"))).finish(Status.COMPLETE)
    async with asyncio.timeout(SECONDS):
        while (await jobs.page(frozenset(Status), 0, 50))[0]:
            await jobs.queue("default").sweep(1)
            await asyncio.sleep(0.05)
    assert await jobs.find("a") is None


async def test_orphans(view: View, jobs: Jobs) -> None:
    """Jobs fail that only a dead process could have run, waiting or running, and no others."""
    gone = await view()
    for one in (gone, jobs):
        for number in range(3):
            await put(one, f"{number} of {one.process}", f"own:{one.process}")
    await put(jobs, "anybody's", "jobs")
    await taken(gone.queue(f"own:{gone.process}"))
    assert await jobs.orphans("own:") == []
    await gone.close()
    orphans = await jobs.orphans("own:")
    assert sorted(job.key for job in orphans) == [f"{number} of {gone.process}" for number in range(3)]
    for job in orphans:
        await job.get_queue().finish(job, Status.FAILED, error="gone")
    assert await jobs.orphans("own:") == []
    assert (await jobs.page(frozenset({Status.FAILED}), 0, 50))[0] == 3


async def test_the_holder_of_a_job_is_stored(view: View, jobs: Jobs) -> None:
    """The attempt that counts, until it has ended."""
    gone = await view()
    await put(jobs, "a")
    old = await taken(gone.queue("default"))
    queue = jobs.queue("default")
    assert await queue.is_current(old)
    await gone.close()
    await swept(queue)
    assert not await queue.is_current(old)
    new = await taken(queue)
    assert (await queue.is_current(old), await queue.is_current(new)) == (False, True)
    await new.finish(Status.COMPLETE)
    assert not await queue.is_current(new)


async def test_a_cancelled_job_is_not_put_back(jobs: Jobs) -> None:
    """A job whose process ends at the same time is cancelled, not requeued."""
    await put(jobs, "a")
    job = await taken(jobs.queue("default"))
    await known(await jobs.find("a")).abort("not wanted")
    await job.retry("cancelled")
    kept = known(await jobs.find("a"))
    assert kept.status is Status.ABORTED
    assert kept.completed > 0
    assert (await jobs.page(PENDING, 0, 50))[0] == 0


async def test_results_and_messages_of_a_fleet(view: View, jobs: Jobs) -> None:
    """In Redis every process finds the results, the first one counts, and messages reach their addressee."""
    if not isinstance(jobs, RedisBackend):
        return
    other = await view()
    assert isinstance(other, RedisBackend)
    await jobs.store_result("a", b"first", 60)
    await jobs.store_result("a", b"late", 60)
    assert (await other.get_result("a"), await other.get_result("b")) == (b"first", None)
    heard: asyncio.Queue[bytes] = asyncio.Queue()
    other.subscribe(heard.put_nowait)
    async with asyncio.timeout(SECONDS):
        while heard.empty():
            await jobs.publish(jobs.process, b"not for it")
            await jobs.publish(other.process, b"for it")
            await asyncio.sleep(0.02)
    assert {heard.get_nowait() for _ in range(heard.qsize())} == {b"for it"}
