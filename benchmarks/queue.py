"""Async jobs: the speed of acceptance and look-ups, and their cost compared with sync jobs."""

import sqlite3
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any, Final

from benchmarks.bench import SIDECAR, Bench, Figure
from benchmarks.child import Child
from benchmarks.lines import line
from sidecar.queue.job_queue import job_id_for
from tests.redis_server import RedisServer

JOBS: Final = 2_000
LOOKS: Final = 10_000
ALONE: Final = 12
"""Number of consecutive jobs of each kind."""
BATCH: Final = 64
"""Rows that the floor commits together: the number of requests that may be in flight."""
PAUSE: Final = 0.001
"""Seconds between two status requests for a job."""
_STEPS: Final = [{"url": "data:text/html,<title>x</title>"}]


def queue(bench: Bench) -> list[Figure]:
    """Acceptance and status look-ups a second, and the latency of an async job over the same sync job."""
    with tempfile.TemporaryDirectory(dir=bench.folder) as folder, RedisServer(Path(folder), lasting=True) as redis:
        rounds = [
            (*_busy(bench), _bare_rows(bench.folder), *_alone(bench), *_alone(bench, SIDECAR_QUEUE=redis.url))
            for _ in range(bench.rounds)
        ]
    accepted, looked, floor, sync, over, redis_sync, redis_over = map(statistics.median, zip(*rounds, strict=True))
    return [
        Figure("async jobs accepted, on disk", "1/s", None, accepted, least=1_500),
        Figure("  compared with rows of the same size, 64 to a synchronous commit", "1/s", floor, accepted, least=0.05),
        Figure("job_status", "1/s", None, looked, least=10_000),
        Figure("an async job, compared with the same sync job", "ms", sync * 1000, (sync + over) * 1000, most=1.5),
        Figure("  what the queue adds", "ms", None, over * 1000, most=15),
        Figure("  the same on Redis", "ms", redis_sync * 1000, (redis_sync + redis_over) * 1000, most=2),
        Figure("  what that queue adds", "ms", None, redis_over * 1000, most=15),
    ]


def _busy(bench: Bench) -> tuple[float, float]:
    """Jobs accepted a second, and look-ups of waiting jobs a second."""
    with bench.child(SIDECAR, SIDECAR_CONCURRENCY="1", SIDECAR_SHUTDOWN_TIMEOUT="0") as child:
        _ended(child, _submit(child))
        # nothing else runs while it is measured: the one place is taken
        _submit(child, steps=[{**_STEPS[0], "actions": [{"wait_for_timeout": 25_000}]}])
        jobs = [line("send_job", {"mode": "async", "steps": _STEPS, "key": f"k{i}"}, i) for i in range(JOBS)]
        ids = [job_id_for(f"k{i}") for i in range(JOBS)]
        answers = [{"type": "ok", "content": {"id": ids[i], "status": "scheduled"}, "id": i} for i in range(JOBS)]
        accepted = child.pipeline(jobs, answers, ordered=False).rate
        looks = [line("job_status", {"id": ids[i % JOBS]}) for i in range(LOOKS)]
        seen = [child.ask(look) for look in looks[:JOBS]]
        return accepted, child.pipeline(looks, [seen[i % JOBS] for i in range(LOOKS)]).rate


def _alone(bench: Bench, **variables: str) -> tuple[float, float]:
    """Median seconds of a lone sync job, and the additional seconds of a lone async job.

    Its end is an event, followed by one status request: polling would slow the job down.
    """
    with bench.child(SIDECAR, **variables) as child:
        _ended(child, _submit(child))
        child.ask(line("hello", {"notifications": True}))
        taken: list[tuple[float, float]] = []
        for _ in range(ALONE):
            began = time.perf_counter()
            answer = child.ask(line("send_job", {"steps": _STEPS}))
            between = time.perf_counter()
            if answer["type"] != "ok":
                raise RuntimeError(f"a job failed: {answer}")
            time.sleep(0.3)  # the page for the next one is prepared
            again = time.perf_counter()
            job_id = _submit(child)
            while child.event("progress")["percentage"] != 100:
                pass
            _ended(child, job_id)
            taken.append((between - began, time.perf_counter() - again))
            time.sleep(0.3)
        sync, asynchronous = (statistics.median(column) for column in zip(*taken, strict=True))
        return sync, asynchronous - sync


def _bare_rows(folder: Path) -> float:
    """Rows a second that SQLite stores, equally durable."""
    path = folder / f"bare-{time.monotonic_ns()}.db"
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("CREATE TABLE job (id INTEGER PRIMARY KEY, key TEXT UNIQUE, document BLOB)")
    began = time.perf_counter()
    for start in range(0, JOBS, BATCH):
        connection.execute("BEGIN IMMEDIATE")
        rows = [(f"k{i}", b"x" * 700) for i in range(start, start + BATCH)]
        connection.executemany("INSERT INTO job (key, document) VALUES (?, ?)", rows)
        connection.execute("COMMIT")
    seconds = time.perf_counter() - began
    connection.close()
    return JOBS / seconds


def _submit(child: Child, **more: Any) -> str:
    answer = child.ask(line("send_job", {"mode": "async", "steps": _STEPS, **more}))
    job_id: str = answer["content"]["id"]
    return job_id


def _ended(child: Child, job_id: str) -> None:
    while (state := child.ask(line("job_status", {"id": job_id}))["content"])["status"] == "pending":
        time.sleep(PAUSE)
    if state["status"] != "success":
        raise RuntimeError(f"a job failed: {state}")
