"""Browser jobs, compared with bare Playwright: the same binary, one warm browser, a fresh context for each visit."""

import asyncio
import contextlib
import itertools
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Final

import psutil
from aiohttp import web
from playwright.async_api import Browser, async_playwright
from sidecar_protocol.decoding import decode_as
from sidecar_protocol.encoding import encode
from sidecar_protocol.jobs import SendJob

from benchmarks.bench import SIDECAR, Bench, Figure
from benchmarks.child import Child
from benchmarks.lines import line
from sidecar.browser import discovery
from sidecar.browser.pool import BrowserPool
from sidecar.browser.profiles.profile_store import FileProfileStore
from sidecar.clock import Clock
from sidecar.encryption import Encryptor
from sidecar.jobs.browser_job_runner import BrowserJobRunner
from sidecar.settings import Settings

MB: Final = 1e6
JOBS: Final = 12
"""Number of jobs of one throughput round; `--jobs` lowers it."""
LONE_JOBS: Final = 10
ACTIONS: Final = 100
"""Number of typed actions in a row to time one."""
PAUSE: Final = 0.5
"""Seconds of quiet before a lone job."""
# what a careful user of Playwright passes as root in a closed network
PLAIN_FLAGS: Final = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
_ROWS: Final = "".join(f"<tr><td>Item {i}</td><td>{i * 3}</td><td><a href=/i/{i}>open</a></td></tr>" for i in range(60))
PAGE: Final = (
    "<!doctype html><html><head><title>Listing</title><style>td{padding:30px}</style></head>"
    f"<body><h1>Listing</h1><table>{_ROWS}</table></body></html>"
)
"""5 KB, 1280 by 5,166 pixels or so."""

Job = Callable[[], Awaitable[object]]


def browser(bench: Bench) -> list[Figure]:
    """Throughput without and with a screenshot, a lone job, a profile's jobs, actions, cold start, memory."""
    return [*asyncio.run(_beside_playwright(bench.rounds, bench.jobs)), *_cold_start(bench), *_memory(bench)]


async def _beside_playwright(rounds: int, jobs: int) -> list[Figure]:
    figures = []
    in_round, alone = min(JOBS, jobs), min(LONE_JOBS, jobs)
    async with _site() as url, _floor() as bare, _runner() as runner:
        for shot, callers in itertools.product((False, True), (1, 2, 4)):
            pair = _pair(bare, runner, url, shot=shot)
            floor, ours = await _alternate(rounds, [partial(_rate, job, callers, in_round) for job in pair])
            what = f"jobs{', full-page screenshot' if shot else ''}, {callers} at once"
            figures.append(Figure(what, "1/s", floor, ours, least=1.3 if shot else 1.0))
        lone = _pair(bare, runner, url, shot=False)
        floor, ours = await _alternate(alone, [partial(_lone, job) for job in lone])
        figures.append(Figure("a lone job on an idle sidecar", "ms", floor * 1000, ours * 1000, most=0.5))
        in_profile = decode_as(SendJob, encode({"steps": [{"url": url}], "profile": "shop"}))
        pair = _pair(bare, runner, url, shot=False)[0], lambda: runner.run(in_profile)
        floor, ours = await _alternate(rounds, [partial(_rate, job, 1, in_round) for job in pair])
        figures.append(Figure("jobs of one profile, one after the other", "1/s", floor, ours, least=2.5))
        figures += await _actions(bare, runner, url, alone)
    return figures


async def _actions(bare: Browser, runner: BrowserJobRunner, url: str, rounds: int) -> list[Figure]:
    """The cost of JavaScript actions over typed ones, and of these over Playwright's own calls."""
    page = await bare.new_page()

    def job(*actions: object, **content: object) -> Job:
        sent = decode_as(SendJob, encode({"steps": [{"url": url, "actions": actions}], **content}))
        return lambda: runner.run(sent)

    async def visit(calls: int) -> None:
        # a fresh document too: its first call waits for Playwright's script to be compiled there
        await page.goto(url)
        await page.title()
        for _ in range(calls):
            await page.inner_text("h1")

    two = job({"inner_text": "h1"}, {"title": None}), job("page.innerText('h1')", "page.title()")
    # with a pause, so that neither waits for the page that the other has used up
    typed, scripted = await _alternate(rounds, [partial(_lone, one) for one in two])
    few, many = (job(*[{"inner_text": "h1"}] * count, profile="actions") for count in (1, 1 + ACTIONS))
    four = partial(visit, 1), partial(visit, 1 + ACTIONS), few, many
    bare_few, bare_many, with_few, with_many = await _alternate(rounds, [partial(_once, one) for one in four])
    await page.close()
    return [
        Figure("two JavaScript actions, over two typed ones", "ms", None, (scripted - typed) * 1000, most=25),
        Figure("a typed action", "ms", each(bare_few, bare_many), each(with_few, with_many), most=1.05),
    ]


def each(few: float, many: float) -> float:
    """Milliseconds of one action, from the seconds of a visit with one and with `ACTIONS` more."""
    return (many - few) / ACTIONS * 1000


def _pair(bare: Browser, runner: BrowserJobRunner, url: str, *, shot: bool) -> tuple[Job, Job]:
    options = ["SCREENSHOT"] if shot else []
    job = decode_as(SendJob, encode({"steps": [{"url": url}], "options": options}))

    async def visit() -> None:
        context = await bare.new_context()
        page = await context.new_page()
        await page.goto(url)
        await page.title()
        if shot:
            await page.screenshot(full_page=True)
        await context.close()

    return visit, lambda: runner.run(job)


async def _alternate(rounds: int, measures: list[Callable[[], Awaitable[float]]]) -> list[float]:
    """Runs the measures alternately, A B A B; the first round only warms up."""
    taken = [[await measure() for measure in measures] for _ in range(rounds + 1)][1:]
    return [statistics.median(values) for values in zip(*taken, strict=True)]


async def _rate(job: Job, callers: int, jobs: int) -> float:
    left = iter(range(jobs))

    async def call() -> None:
        for _ in left:
            await job()

    started = time.perf_counter()
    await asyncio.gather(*(call() for _ in range(callers)))
    return jobs / (time.perf_counter() - started)


async def _lone(job: Job) -> float:
    await asyncio.sleep(PAUSE)
    return await _once(job)


async def _once(job: Job) -> float:
    started = time.perf_counter()
    await job()
    return time.perf_counter() - started


@contextlib.asynccontextmanager
async def _site() -> AsyncIterator[str]:
    async def page(_: web.Request) -> web.Response:
        return web.Response(text=PAGE, content_type="text/html")

    app = web.Application()
    app.router.add_get("/", page)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}/"
    await runner.cleanup()


@contextlib.asynccontextmanager
async def _floor() -> AsyncIterator[Browser]:
    path = discovery.find("CHROMIUM", Settings()).path
    async with async_playwright() as playwright:
        yield await playwright.chromium.launch(executable_path=path, args=PLAIN_FLAGS)


@contextlib.asynccontextmanager
async def _runner() -> AsyncIterator[BrowserJobRunner]:
    pool = BrowserPool(Settings(), Clock())
    with tempfile.TemporaryDirectory() as folder:
        states = FileProfileStore(lambda: Path(folder), Encryptor())
        yield BrowserJobRunner(pool, lambda: Path(folder), Clock(), states=lambda: states)
        await pool.close()


def _cold_start(bench: Bench) -> list[Figure]:
    """Time from the start of the process to the end of its first job, divided into its parts."""

    def whole() -> tuple[float, float, float]:
        with bench.child(SIDECAR) as child:
            started = time.perf_counter()
            _ask(child, [_DATA_PAGE])
            first = time.perf_counter()
            _ask(child, [_DATA_PAGE])
            return child.seconds_to_ready, first - started, time.perf_counter() - first

    taken = [whole() for _ in range(bench.rounds)]
    ready, first, second = (statistics.median(values) * 1000 for values in zip(*taken, strict=True))
    parts = asyncio.run(_start_parts())
    bare = sum(parts.values())
    figures = [Figure("cold: process start to ready", "ms", None, ready, most=500)]
    for name, value in parts.items():
        figures.append(Figure(f"  Playwright's own part: {name}", "ms", None, value, most=5000, wished=True))
    figures.append(
        Figure("cold: ready to the first job's end, compared with Playwright's parts", "ms", bare, first, most=1.5)
    )
    figures.append(Figure("  the second job, its page prepared", "ms", first, second, most=0.5))
    return figures


async def _start_parts() -> dict[str, float]:
    started = time.perf_counter()
    importing = await asyncio.create_subprocess_exec(sys.executable, "-c", "import playwright.async_api")
    await importing.wait()
    imported = time.perf_counter()
    playwright = await async_playwright().start()
    driven = time.perf_counter()
    path = discovery.find("CHROMIUM", Settings()).path
    bare = await playwright.chromium.launch(executable_path=path, args=PLAIN_FLAGS)
    launched = time.perf_counter()
    page = await bare.new_page()
    await page.goto("data:text/html,<title>x</title>")
    visited = time.perf_counter()
    await playwright.stop()
    moments = (started, imported, driven, launched, visited)
    names = ("interpreter and import", "driver", "browser", "first page")
    return {name: (after - before) * 1000 for name, before, after in zip(names, moments, moments[1:], strict=False)}


_DATA_PAGE: Final = {"steps": [{"url": "data:text/html,<title>x</title>"}]}
_WAITING: Final = {"steps": [{"url": "data:text/html,<title>x</title>", "actions": [{"wait_for_timeout": 3000}]}]}


def _memory(bench: Bench) -> list[Figure]:
    jobs = bench.jobs
    with bench.child(SIDECAR, SIDECAR_CONCURRENCY="2") as child:
        for _ in range(jobs // 5):
            _ask(child, [_DATA_PAGE])
        before = child.resident()
        for _ in range(jobs - jobs // 5):
            _ask(child, [_DATA_PAGE])
        slope = (child.resident() - before) / 1024 / (jobs - jobs // 5)
        for number in (1, 2):
            child.send(line("send_job", _WAITING, number))
        time.sleep(1.5)
        tree = [psutil.Process(child.process.pid), *psutil.Process(child.process.pid).children(recursive=True)]
        used = sum(_pss(process) for process in tree)
        for _ in range(2):
            child.receive()
    return [
        Figure(f"our own memory over {jobs} jobs in a row, but for the first fifth", "KB a job", None, slope, most=20),
        Figure("two jobs at once, all processes", "MB of PSS", None, used / MB, most=700),
    ]


def _pss(process: psutil.Process) -> float:
    try:
        return float(process.memory_full_info().pss)
    except psutil.NoSuchProcess:
        return 0.0


def _ask(child: Child, jobs: list[object]) -> None:
    for job in jobs:
        answer = child.ask(line("send_job", job))
        if answer["type"] != "ok":
            raise RuntimeError(f"a job failed: {answer}")
