"""The measurements, one function for each group; each returns rows of the table."""

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from benchmarks.agenda import schedules, tasks
from benchmarks.bench import FLOOR, SIDECAR, Bench, Figure
from benchmarks.browser import browser
from benchmarks.child import Child
from benchmarks.delivery import delivery
from benchmarks.http import http
from benchmarks.lines import LOADS, Load, cvs, cvs_with_ids, has_references, line, pings, set_references
from benchmarks.queue import queue
from benchmarks.recording import recorded_jobs, recording
from benchmarks.updates import updates

MB: Final = 1e6
PINGS: Final = 200_000
REFERENCES: Final = 100_000
CVS: Final = 10_000
SLOW_CVS: Final = 4_000
ONE_BY_ONE: Final = 5_000
STARTS: Final = 5
"""Number of starts of one round."""


def start(bench: Bench) -> list[Figure]:
    """Start to `ready`, and to the first `pong`, compared with an interpreter with the floor's imports."""

    def imports(modules: str) -> Callable[[], float]:
        command = (sys.executable, "-c", f"import {modules}")
        return lambda: _middle(lambda: _seconds(lambda: subprocess.run(command, check=True)))

    def to_ready() -> float:
        with bench.child(SIDECAR) as child:
            return child.seconds_to_ready

    def to_pong() -> float:
        with bench.child(SIDECAR) as child:
            return child.seconds_to_ready + _seconds(lambda: child.ask(line("ping")))

    bare, ready, loaded, pong = bench.medians(
        imports("asyncio"), lambda: _middle(to_ready), imports("asyncio, orjson, pydantic"), lambda: _middle(to_pong)
    )
    return [
        Figure("start to ready, compared with `import asyncio`", "ms", bare * 1000, ready * 1000, most=1.3),
        Figure(
            "start to pong, compared with `import asyncio, orjson, pydantic`",
            "ms",
            loaded * 1000,
            pong * 1000,
            most=1.3,
        ),
    ]


def pipelined_pings(bench: Bench) -> list[Figure]:
    """Pings, written as fast as they are read."""
    load = pings(PINGS)

    def rate(command: Sequence[str]) -> float:
        with bench.child(command) as child:
            return child.pipeline(load.lines, load.answers).rate

    floor, sidecar = bench.medians(lambda: rate(FLOOR), lambda: rate(SIDECAR))
    return [Figure("pings", "1/s", floor, sidecar, least=0.6)]


def single_ping(bench: Bench) -> list[Figure]:
    """One ping at a time, driver and child on one core, which leaves out an idle machine's wake-ups."""

    def microseconds(command: Sequence[str]) -> float:
        cores = os.sched_getaffinity(0)
        os.sched_setaffinity(0, {min(cores)})
        try:
            with bench.child(command) as child:
                return 1e6 / child.one_by_one(line("ping"), ONE_BY_ONE).rate
        finally:
            os.sched_setaffinity(0, cores)

    floor, sidecar = bench.medians(lambda: microseconds(FLOOR), lambda: microseconds(SIDECAR))
    return [Figure("one ping at a time, one core", "us", floor, sidecar, most=0.7, wished=True)]


def references(bench: Bench) -> list[Figure]:
    """References in memory and on disk, each compared with the floor's one dict."""
    known, asked = set_references(REFERENCES), has_references(REFERENCES, REFERENCES)

    def rates(command: Sequence[str], opening: bytes) -> tuple[float, float]:
        with bench.child(command) as child:
            child.ask(opening)
            return child.pipeline(known.lines, known.answers).rate, child.pipeline(asked.lines, asked.answers).rate

    with bench.server() as url:
        sides = ((FLOOR, _mock()), (SIDECAR, _mock()), (SIDECAR, _login(url)))
        taken = [[rates(*side) for side in sides] for _ in range(bench.rounds)]
    floor, memory, disk = (
        [statistics.median(pair[i] for pair in side) for i in (0, 1)] for side in zip(*taken, strict=True)
    )
    return [
        Figure("set_cached_reference in memory", "1/s", floor[0], memory[0], least=0.6),
        Figure("has_cached_reference in memory", "1/s", floor[1], memory[1], least=0.6),
        Figure("set_cached_reference on disk", "1/s", floor[0], disk[0], least=0.4),
        Figure("has_cached_reference on disk", "1/s", floor[1], disk[1], least=0.4),
    ]


def mock_cvs(bench: Bench) -> list[Figure]:
    """CVs of 2 KB in mock mode."""
    load = cvs(CVS, "mock")
    floor, sidecar = bench.medians(lambda: _mock_rate(bench, FLOOR, load), lambda: _mock_rate(bench, SIDECAR, load))
    return [Figure("mock CVs of 2 KB", "1/s", floor, sidecar, least=0.6)]


def slow_server(bench: Bench) -> list[Figure]:
    """CVs with ids to a server that takes 20 ms for each."""
    load = cvs_with_ids(SLOW_CVS, "slow")

    def rate() -> float:
        with bench.server(latency_ms=20) as url, bench.child(SIDECAR) as child:
            child.ask(_login(url))
            return child.pipeline(load.lines, load.answers, ordered=False).rate

    (sidecar,) = bench.medians(rate)
    return [Figure("CVs with ids, server takes 20 ms", "1/s", None, sidecar, least=1410)]


def input_log(bench: Bench) -> list[Figure]:
    """The loads with the input log on, compared with the log off."""
    figures = []
    for name, make in LOADS.items():
        load = make(CVS if name == "send_cv" else REFERENCES)
        rate = partial(_mock_rate, bench, SIDECAR, load)
        off, on = bench.medians(rate, partial(rate, LOG_SCRAPER_CLIENT_INPUT="true"))
        figures.append(Figure(f"{name}, input log on, compared with off", "1/s", off, on, least=0.5))
    return figures


def memory(bench: Bench) -> list[Figure]:
    """Resident memory when nothing happens, after a login, and with 100,000 references."""
    known = set_references(REFERENCES)

    def idle() -> float:
        with bench.child(SIDECAR) as child:
            child.ask(line("ping"))
            return _settled(child)

    def logged_in() -> tuple[float, float]:
        with bench.server() as url, bench.child(SIDECAR) as child:
            child.ask(_login(url))
            before = _settled(child)
            child.pipeline(known.lines, known.answers)
            return before, _settled(child) - before

    def in_memory() -> float:
        with bench.child(SIDECAR) as child:
            child.ask(_mock())
            before = _settled(child)
            child.pipeline(known.lines, known.answers)
            return _settled(child) - before

    before, on_disk = logged_in()
    return [
        Figure("idle", "MB", None, idle() / MB, most=60),
        Figure("idle after a login", "MB", None, before / MB, most=60),
        Figure("100,000 references in memory, above idle", "MB", None, in_memory() / MB, most=40),
        Figure("100,000 references on disk, above idle", "MB", None, on_disk / MB, most=40),
    ]


GROUPS: Final[dict[str, Callable[[Bench], list[Figure]]]] = {
    "start": start,
    "pings": pipelined_pings,
    "ping": single_ping,
    "references": references,
    "cvs": mock_cvs,
    "server": slow_server,
    "log": input_log,
    "recording": recording,
    "recorded-jobs": recorded_jobs,
    "memory": memory,
    "browser": browser,
    "queue": queue,
    "updates": updates,
    "delivery": delivery,
    "schedules": schedules,
    "tasks": tasks,
    "http": http,
}
"""The groups that `--only` selects from."""


def _mock_rate(bench: Bench, command: Sequence[str], load: Load, **variables: str) -> float:
    with bench.child(command, **variables) as child:
        child.ask(_mock())
        return child.pipeline(load.lines, load.answers).rate


def _mock() -> bytes:
    return line("set_mock", {})


def _login(url: str) -> bytes:
    return line("set_credentials", {"server_location": url, "api_key_id": "2" * 24, "api_key": "bbb"})


def _settled(child: Child) -> float:
    """Resident bytes after the background start-up."""
    time.sleep(1.0)
    return child.resident()


def _seconds(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def _middle(measure: Callable[[], float]) -> float:
    """The median of a few measurements, for values that take milliseconds and vary."""
    return statistics.median(measure() for _ in range(STARTS))
