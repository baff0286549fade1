"""`sidecar worker`: a process without a parent that runs jobs until a signal."""

import asyncio
import os
import sys
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any

from sidecar import logs
from sidecar.clock import Clock
from sidecar.composition.browsers import BrowserServices
from sidecar.composition.network import Network
from sidecar.composition.process_context import ProcessContext
from sidecar.composition.storage import StorageServices
from sidecar.errors import SidecarError
from sidecar.recording.redaction.redactor import Redactor
from sidecar.server.session import Session
from sidecar.settings import Settings, SettingsError
from sidecar.shutdown import CLOSE_SECONDS, StopSignals, force_exit_after
from sidecar.storage.memory_references import MemoryReferences


async def work(settings: Settings, clock: Clock, say: Callable[[str], None]) -> None:
    """Runs jobs until SIGTERM or SIGINT, then finishes as a session does. Raises SettingsError, StoreFailed."""
    redactor = Redactor()
    logs.configure(settings.log_debug, redactor.redact_text)
    stopped = asyncio.Event()
    StopSignals(stopped.set).watch()
    async with AsyncExitStack() as resources:
        session = Session(before_login=MemoryReferences(clock), add_secret=redactor.add_secret)
        browsers = BrowserServices(settings, clock, lambda: False)
        context = ProcessContext(
            settings=settings,
            clock=clock,
            session=session,
            browsers=browsers,
            network=Network(settings, clock),
            on_event=_no_parent,
        )
        await browsers.sweep()
        storage = await StorageServices.open(context)
        resources.push_async_callback(storage.close)
        resources.push_async_callback(browsers.close)
        storage.start()
        storage.start_queue()
        say(f"sidecar worker {os.getpid()}: at work")
        await stopped.wait()
        force_exit_after(settings.shutdown_timeout + CLOSE_SECONDS)
        deadline = clock.monotonic() + settings.shutdown_timeout
        await storage.stop(settings.shutdown_timeout)
        await storage.drain(deadline - clock.monotonic())


def run(settings: Settings) -> int:
    """The command `sidecar worker`; gives its exit code."""
    try:
        asyncio.run(work(settings, Clock(), lambda text: print(text, flush=True)))
    except (SettingsError, SidecarError) as failure:
        print(f"sidecar: {failure}", file=sys.stderr)
        return 2
    return 0


def _no_parent(event: str, content: Any) -> None:
    """No parent takes events."""
