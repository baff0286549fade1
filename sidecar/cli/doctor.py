"""`sidecar doctor`: checks the machine, and says what is missing and how to get it."""

import argparse
import asyncio
import os
import platform
import shutil
import time
from collections.abc import AsyncIterator, Awaitable, Iterator, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, Literal, TextIO

from sidecar_protocol.wire_types import BrowserName

from sidecar import __version__
from sidecar.browser import discovery, ffmpeg
from sidecar.cli.output import standard_output
from sidecar.clock import Clock
from sidecar.errors import BrowserUnavailable, SidecarError, StoreFailed
from sidecar.files import permission_warning
from sidecar.settings import Settings, host_zone, load
from sidecar.storage.inspection import DatabaseSummary, broken_databases, inspect

if TYPE_CHECKING:
    from sidecar.browser.pool import BrowserPool
    from sidecar.browser.processes.job_page import JobPage

Verdict = Literal["ok", "note", "MISSING"]
"""`note` is what some users need; `MISSING` is what keeps jobs from running."""
Finding = tuple[Verdict, str]
_WIDTH: Final = 7


def add_arguments(_: argparse.ArgumentParser) -> None:
    """None but the settings."""


def run(_: argparse.Namespace, flags: Mapping[str, str]) -> int:
    """Checks the machine; gives the exit code. Raises SettingsError."""
    return examine(load(flags), standard_output())


def examine(settings: Settings, out: TextIO) -> int:
    """Prints a line for each check; returns 0, or 1 if something required is missing."""
    return asyncio.run(_examine(settings, out))


async def _examine(settings: Settings, out: TextIO) -> int:
    sound = True
    async for verdict, said in _findings(settings):
        sound = sound and verdict != "MISSING"
        print(f"{verdict:{_WIDTH}}  {said}", file=out, flush=True)
    return 0 if sound else 1


async def _findings(settings: Settings) -> AsyncIterator[Finding]:
    for look in (_process, _state_folder, _database, _store_key, _time_zone):
        for finding in look(settings):
            yield finding
    yield await _queue(settings)
    async for finding in _browsers(settings):
        yield finding
    yield _ffmpeg(settings)


def _process(_: Settings) -> Iterator[Finding]:
    cores = f"{os.cpu_count()} processors"
    yield "ok", f"sidecar {__version__} on Python {platform.python_version()}, {platform.platform(terse=True)}, {cores}"


def _state_folder(settings: Settings) -> Iterator[Finding]:
    try:
        folder = settings.state_folder()
    except OSError as failure:
        yield "MISSING", f"state folder: {failure.strerror}; set SIDECAR_HOME to a folder that can be written"
        return
    if not os.access(folder, os.W_OK):
        yield "MISSING", f"state folder {folder} can't be written; set SIDECAR_HOME to one that can"
    elif wide := permission_warning(folder):
        yield "MISSING", wide
    else:
        yield "ok", f"state folder {folder}, {shutil.disk_usage(folder).free >> 20:,} MB free"


def _database(settings: Settings) -> Iterator[Finding]:
    path = settings.state_path() / "sidecar.db"
    try:
        contents = inspect(path)
        none = "none yet, or of an older sidecar: the next start sees to it"
        yield "ok", f"database: {_told(contents) if contents else none}"
    except (StoreFailed, OSError) as failure:
        yield "MISSING", str(failure)
    for aside in broken_databases(path):
        yield "note", f"a broken database was kept as {aside.name}; what it held is in use no more, delete it at will"


def _told(contents: DatabaseSummary) -> str:
    waiting = f"{contents.jobs} jobs and {contents.waiting} deliveries that wait"
    planned = f"{contents.schedules} schedules, {contents.tasks} tasks"
    lost = f"{contents.dead} deliveries given up, {contents.disabled} endpoints disabled"
    return f"{waiting}, {planned}, {lost}"


def _store_key(settings: Settings) -> Iterator[Finding]:
    if settings.encryption_key():
        yield "ok", "store key: set; secrets on disk outlive this process, and work that needs them continues"
    else:
        said = "after a restart, work that needs a secret waits until it is named again; set SIDECAR_STORE_KEY"
        yield "note", f"store key: none; {said}, for example to $(openssl rand -base64 32)"


def _time_zone(_: Settings) -> Iterator[Finding]:
    zone = host_zone()
    now = datetime.now(UTC).astimezone(zone)
    name = str(zone) if zone else "/".join(dict.fromkeys(time.tzname))
    yield "ok", f"time zone: {name}, it is {now.isoformat(sep=' ', timespec='seconds')}"


async def _queue(settings: Settings) -> Finding:
    url = settings.queue.reveal()
    if not url:
        return "ok", "queue: in the state folder; SIDECAR_QUEUE would share one with other machines"
    try:
        from sidecar.queue.redis_backend import RedisBackend  # late: only a fleet has redis installed
    except ImportError:
        return "MISSING", "queue: SIDECAR_QUEUE needs the extra `fleet` of scraper-sidecar, which brings redis"
    try:
        backend = await RedisBackend.open(url, Clock())
    except StoreFailed as failure:
        return "MISSING", f"queue: {failure.message}"
    await backend.close()
    return "ok", "queue: the fleet's Redis answers"


async def _browsers(settings: Settings) -> AsyncIterator[Finding]:
    found = discovery.available_browsers(settings)
    if "CHROMIUM" not in found:
        try:
            discovery.find("CHROMIUM", settings)
        except BrowserUnavailable as why:
            yield "MISSING", why.message
    if not found:
        return
    from sidecar.browser.pool import BrowserPool  # late: playwright takes 200 ms to import

    pool = BrowserPool(settings, Clock())
    try:
        for kind in (one for one in discovery.KINDS if one in found):
            yield await _tried(_visit(pool, kind), f"{kind} {found[kind]}")
        if "CHROMIUM" in found:
            yield await _tried(_open_sandbox(pool), "sandbox of JavaScript actions and scripts")
    finally:
        await pool.close()


async def _tried(attempt: Awaitable[str], what: str) -> Finding:
    began = time.monotonic()
    try:
        said = await attempt
    except SidecarError as failure:
        return "MISSING", f"{what}: {failure.message}"
    except Exception as failure:
        return "MISSING", f"{what}: {type(failure).__name__}"
    return "ok", f"{what}: {said} in {time.monotonic() - began:.1f} s"


async def _visit(pool: "BrowserPool", kind: BrowserName) -> str:
    """Starts the browser as a job would, and opens a page in it."""
    return f"version {await pool.run(kind, _version)} opens a page"


async def _version(lent: "JobPage") -> str:
    await lent.page.goto("data:text/html,<title>doctor</title>")
    return lent.context.browser.version if lent.context.browser else ""


async def _open_sandbox(pool: "BrowserPool") -> str:
    pool.sandbox_pool.release(await pool.sandbox_pool.acquire())
    return "opens"


def _ffmpeg(settings: Settings) -> Finding:
    if settings.browser_endpoint:
        return "ok", "ffmpeg: the remote browser's own makes videos"
    try:
        return "ok", f"ffmpeg: {ffmpeg.find(settings)} makes the videos of RECORD"
    except BrowserUnavailable as why:
        return "note", f"ffmpeg: {why.message}"
