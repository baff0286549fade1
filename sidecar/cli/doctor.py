"""`sidecar doctor`: checks the machine, and says what is missing and how to get it."""

import argparse
import asyncio
import json
import os
import platform
import time
from collections.abc import AsyncIterator, Awaitable, Iterator, Mapping
from typing import TYPE_CHECKING, Final, TextIO

from sidecar_protocol.wire_types import BrowserName

from sidecar import __version__
from sidecar.browser import discovery, ffmpeg
from sidecar.cli.doctor_checks import Finding, clock, fleet_clock, protocol, state_folder, variables
from sidecar.cli.output import standard_output
from sidecar.clock import Clock
from sidecar.errors import BrowserUnavailable, SidecarError, StoreFailed
from sidecar.settings import Settings, load
from sidecar.storage.inspection import DatabaseSummary, broken_databases, inspect

if TYPE_CHECKING:
    from sidecar.browser.pool import BrowserPool
    from sidecar.browser.processes.job_page import JobPage

_WIDTH: Final = 7


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """How much is checked, and how it is printed."""
    parser.add_argument("--quick", action="store_true", help="start no browser: for a container's health check")
    parser.add_argument("--json", action="store_true", help="one line of JSON")
    parser.epilog = f"Exit code: 0, or 1 if something is missing. {parser.epilog}"


def run(parsed: argparse.Namespace, flags: Mapping[str, str]) -> int:
    """Checks the machine; gives 0, or 1 if something needed is missing. Raises SettingsError."""
    return asyncio.run(_examine(load(flags), flags, standard_output(), parsed))


async def _examine(settings: Settings, flags: Mapping[str, str], out: TextIO, parsed: argparse.Namespace) -> int:
    findings: list[Finding] = []
    async for finding in _findings(settings, flags, quick=parsed.quick):
        findings.append(finding)
        if not parsed.json:
            print(f"{finding.verdict:{_WIDTH}}  {finding}", file=out, flush=True)
    sound = all(one.verdict != "MISSING" for one in findings)
    if parsed.json:
        rows = [
            {"status": one.verdict.lower(), "check": one.check, "said": one.said, "fix": one.fix or None}
            for one in findings
        ]
        print(json.dumps({"ok": sound, "version": __version__, "findings": rows}), file=out, flush=True)
    return 0 if sound else 1


async def _findings(settings: Settings, flags: Mapping[str, str], *, quick: bool) -> AsyncIterator[Finding]:
    for look in (_process, variables, state_folder, _database, _store_key, clock):
        for finding in look(settings):
            yield finding
    async for finding in _queue(settings):
        yield finding
    yield await asyncio.get_running_loop().run_in_executor(None, protocol, flags)
    async for finding in _browsers(settings, quick=quick):
        yield finding
    yield _ffmpeg(settings)


def _process(_: Settings) -> Iterator[Finding]:
    cores = f"{os.cpu_count()} processors"
    system = f"{platform.platform(terse=True)}, {cores}"
    yield Finding("ok", "sidecar", f"{__version__} on Python {platform.python_version()}, {system}")


def _database(settings: Settings) -> Iterator[Finding]:
    path = settings.state_path() / "sidecar.db"
    try:
        contents = inspect(path)
        none = "none yet, or of an older sidecar: the next start sees to it"
        yield Finding("ok", "database", _told(contents) if contents else none)
    except (StoreFailed, OSError) as failure:
        yield Finding("MISSING", "database", str(failure), "restore the file or set SIDECAR_HOME to another folder")
    for aside in broken_databases(path):
        said = f"{aside.name} was kept aside, as it was damaged; its content is no longer used"
        yield Finding("note", "damaged database", said, "delete it at will")


def _told(contents: DatabaseSummary) -> str:
    waiting = f"{contents.jobs} jobs and {contents.waiting} deliveries that wait"
    planned = f"{contents.schedules} schedules, {contents.tasks} tasks"
    lost = f"{contents.dead} deliveries given up, {contents.disabled} endpoints disabled"
    return f"{waiting}, {planned}, {lost}"


def _store_key(settings: Settings) -> Iterator[Finding]:
    if settings.encryption_key():
        said = "set; secrets on disk outlive this process, and work that needs them continues"
        yield Finding("ok", "store key", said)
    else:
        said = "none; after a restart, work that needs a secret waits until it is named again"
        yield Finding("note", "store key", said, "set SIDECAR_STORE_KEY, for example to $(openssl rand -base64 32)")


async def _queue(settings: Settings) -> AsyncIterator[Finding]:
    url = settings.queue.reveal()
    if not url:
        yield Finding("ok", "queue", "in the state folder; SIDECAR_QUEUE would share one with other machines")
        return
    try:
        from sidecar.queue.redis_backend import RedisBackend  # late: only a fleet has redis installed
    except ImportError:
        fix = "install the sidecar with `pip install '.[fleet]'` in its checkout"
        yield Finding("MISSING", "queue", "SIDECAR_QUEUE needs redis", fix)
        return
    try:
        backend = await RedisBackend.open(url, Clock())
        await backend.close()
        yield Finding("ok", "queue", "the fleet's Redis answers")
        yield await fleet_clock(url, Clock())
    except StoreFailed as failure:
        yield Finding("MISSING", "queue", failure.message, "start it, or correct SIDECAR_QUEUE")


async def _browsers(settings: Settings, *, quick: bool) -> AsyncIterator[Finding]:
    found = discovery.available_browsers(settings)
    if "CHROMIUM" not in found:
        try:
            discovery.find("CHROMIUM", settings)
        except BrowserUnavailable as why:
            yield Finding("MISSING", "CHROMIUM", why.message)
    if quick:
        for kind, path in found.items():
            yield Finding("ok", kind, f"{path}, not started")
    elif found:
        async for finding in _started(found, settings):
            yield finding


async def _started(found: Mapping[str, str], settings: Settings) -> AsyncIterator[Finding]:
    from sidecar.browser.pool import BrowserPool  # late: playwright takes 200 ms to import

    pool = BrowserPool(settings, Clock())
    try:
        for kind in (one for one in discovery.KINDS if one in found):
            sandbox = f", {_sandbox(settings)}" if kind == "CHROMIUM" else ""
            yield await _tried(_visit(pool, kind), kind, f"{found[kind]}: ", sandbox)
        if "CHROMIUM" in found:
            yield await _tried(_open_sandbox(pool), "sandbox of JavaScript actions and scripts", "")
    finally:
        await pool.close()


def _sandbox(settings: Settings) -> str:
    """Whether Chromium's own sandbox is on."""
    if settings.browser_endpoint:
        return "its sandbox is the remote machine's"
    if os.geteuid() == 0:
        return "sandbox off: it can't be on for root"
    return "sandbox on" if settings.chromium_sandbox else "sandbox off: SIDECAR_CHROMIUM_SANDBOX"


async def _tried(attempt: Awaitable[str], check: str, what: str, more: str = "") -> Finding:
    began = time.monotonic()
    try:
        said = await attempt
    except SidecarError as failure:
        return Finding("MISSING", check, f"{what}{failure.message}")
    except Exception as failure:
        return Finding("MISSING", check, f"{what}{type(failure).__name__}", "run it by hand to see what it says")
    return Finding("ok", check, f"{what}{said} in {time.monotonic() - began:.1f} s{more}")


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
        return Finding("ok", "ffmpeg", "the remote browser's own makes videos")
    try:
        return Finding("ok", "ffmpeg", f"{ffmpeg.find(settings)} makes the videos of RECORD")
    except BrowserUnavailable as why:
        return Finding("note", "ffmpeg", why.message)
