"""`sidecar worker`: a process without a parent that runs jobs until a signal."""

import asyncio
import os
import signal
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any, Final

from sidecar import logs
from sidecar.clock import Clock
from sidecar.composition.browsers import BrowserServices
from sidecar.composition.network import Network
from sidecar.composition.process_context import ProcessContext
from sidecar.composition.storage import StorageServices
from sidecar.recording.redaction.redactor import Redactor
from sidecar.server.session import Session, check_push_url
from sidecar.settings import Settings
from sidecar.shutdown import CLOSE_SECONDS, StopSignals, force_exit_after
from sidecar.storage.memory_references import MemoryReferences

INTERRUPT_SECONDS: Final = 0.3
"""How long running jobs may take after Ctrl-C, which ends a worker within a second: the others are queued again."""


async def work(
    settings: Settings, clock: Clock, say: Callable[[str], None], on_interrupt: Callable[[], None] = lambda: None
) -> bool:
    """Runs jobs until SIGTERM or SIGHUP, then finishes as a session does; or until SIGINT, then requeues them.

    `on_interrupt` is called at SIGINT. Gives whether it was SIGINT. Raises SettingsError, StoreFailed.
    """
    check_push_url(settings)
    redactor = Redactor()
    logs.configure(settings.log_debug, redactor.redact_text, settings.log_format, work_on_stderr=True)
    stopped = asyncio.Event()
    signals = StopSignals(stopped.set)
    signals.watch()
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
        interrupted = signals.first == signal.SIGINT
        seconds = INTERRUPT_SECONDS if interrupted else settings.shutdown_timeout
        if interrupted:
            on_interrupt()
        else:
            force_exit_after(seconds + CLOSE_SECONDS)
        deadline = clock.monotonic() + seconds
        await storage.stop(seconds)
        await storage.drain(deadline - clock.monotonic())
        return interrupted


def run(settings: Settings, on_interrupt: Callable[[], None]) -> None:
    """The command `sidecar worker`. Raises KeyboardInterrupt after SIGINT, SettingsError, SidecarError."""
    if asyncio.run(work(settings, Clock(), lambda text: print(text, flush=True), on_interrupt)):
        raise KeyboardInterrupt


def _no_parent(event: str, content: Any) -> None:
    """Drops an event: a worker has no parent."""
