"""`sidecar worker`: a process without a parent that runs jobs until a signal."""

import asyncio
import os
import sys
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any

from sidecar import logs
from sidecar.clock import Clock
from sidecar.errors import SidecarError
from sidecar.recording.redaction.redactor import Redactor
from sidecar.runtime.browser_services import BrowserServices
from sidecar.runtime.network import Network
from sidecar.runtime.runtime_context import RuntimeContext
from sidecar.runtime.storage_provider import StorageProvider
from sidecar.server.session import Session
from sidecar.settings import Settings, SettingsError
from sidecar.shutdown import CLOSE_SECONDS, StopSignals, force_exit_after
from sidecar.storage.memory_references import MemoryReferences


async def work(settings: Settings, clock: Clock, say: Callable[[str], None]) -> None:
    """Runs jobs until SIGTERM or SIGINT, then finishes as a session does. Raises SettingsError, StoreFailed."""
    redactor = Redactor()
    try:
        logs.configure(settings.log_debug, redactor.redact_text)
    except OSError as failure:
        raise SettingsError(f"the debug log {settings.log_debug} can't be used: {failure.strerror}") from None
    stopped = _stop_signals()
    async with AsyncExitStack() as resources:
        session = Session(before_login=MemoryReferences(clock), add_secret=redactor.add_secret)
        browsers = BrowserServices(settings, clock, lambda: False)
        storage = StorageProvider(
            RuntimeContext(
                settings=settings,
                clock=clock,
                session=session,
                browsers=browsers,
                network=Network(settings, clock),
                on_event=_nobody_listens,
            )
        )
        resources.push_async_callback(storage.close)
        resources.push_async_callback(browsers.close)
        await browsers.sweep()
        (await storage.on_disk()).serve()
        say(f"sidecar worker {os.getpid()}: at work")
        await stopped.wait()
        force_exit_after(settings.shutdown_timeout + CLOSE_SECONDS)
        deadline = clock.monotonic() + settings.shutdown_timeout
        await storage.rest(settings.shutdown_timeout)
        await storage.drain(deadline - clock.monotonic())


def run(settings: Settings) -> int:
    """The command `sidecar worker`; gives its exit code."""
    try:
        asyncio.run(work(settings, Clock(), lambda text: print(text, flush=True)))
    except (SettingsError, SidecarError) as failure:
        print(f"sidecar: {failure}", file=sys.stderr)
        return 2
    return 0


def _stop_signals() -> asyncio.Event:
    stopped = asyncio.Event()
    StopSignals(stopped.set).watch()
    return stopped


def _nobody_listens(event: str, content: Any) -> None:
    """There is no parent to tell."""
