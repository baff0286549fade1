"""`sidecar`: a session with a parent."""

import gc
import sys
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from sidecar_protocol import codec
from sidecar_protocol.replies import RequestId

from sidecar import logs
from sidecar.clock import Clock
from sidecar.composition.browsers import BrowserServices
from sidecar.composition.job_networks import JobNetworks
from sidecar.composition.network import Network
from sidecar.composition.process_context import ProcessContext
from sidecar.composition.recording import open_recorded, open_recording
from sidecar.recording.redaction.redactor import Redactor
from sidecar.server.capabilities import capabilities
from sidecar.server.dispatcher import Recorder
from sidecar.server.handlers.context import HandlerContext
from sidecar.server.login_service import LoginService
from sidecar.server.message_registry import Routes, routes
from sidecar.server.session import Session, webhooks_of
from sidecar.server.session_process import SessionProcess, Stoppable
from sidecar.server.stdio import Commit
from sidecar.server.stdio_fds import Descriptors
from sidecar.server.storage_provider import StorageProvider
from sidecar.settings import Settings
from sidecar.storage.memory_references import MemoryReferences

if TYPE_CHECKING:
    from sidecar.composition.storage import StorageServices
    from sidecar.recording.input_log import InputLog
    from sidecar.recording.recorder_process import RecorderProcess

PYTHON_FRAMES: Final = 200
"""Levels of recursion for our own calls, in addition to those for nested JSON."""


class Process(Protocol):
    """What connects a session with whom it talks to. See server.session_process, server.http.http_process."""

    def connect(  # noqa: D102
        self,
        routes: Routes,
        commit: Commit,
        recorders: Sequence[Recorder],
        on_write: Callable[[bytes], None] | None = None,
    ) -> None: ...
    def emit(self, request_id: RequestId | None, event: Any, content: Any) -> None: ...  # noqa: D102
    async def run(self, storage: Stoppable, resume: Callable[[], Awaitable[None]]) -> None: ...  # noqa: D102


async def serve(settings: Settings, descriptors: Descriptors, clock: Clock) -> None:
    """Runs one session on stdin and stdout and leaves nothing behind. Raises SettingsError."""
    await serve_session(settings, clock, lambda session: SessionProcess(settings, descriptors, clock, session))


async def serve_session(settings: Settings, clock: Clock, new_process: Callable[[Session], Process]) -> None:
    """Runs one session in its process and leaves nothing behind. Raises SettingsError."""
    sys.setrecursionlimit(codec.MAX_NESTING + PYTHON_FRAMES)
    async with AsyncExitStack() as resources:
        redactor = Redactor()
        logs.configure(settings.log_debug, redactor.redact_text, settings.log_format)
        recording = open_recording(settings, clock)
        if recording:
            resources.callback(recording.close)
        add_secret = _secret_sink(redactor, recording)
        if settings.http_token:
            add_secret(settings.http_token.reveal())
        session = Session(before_login=MemoryReferences(clock), add_secret=add_secret)
        session.webhooks = webhooks_of(settings)
        process = new_process(session)
        job_networks = JobNetworks(settings, clock, recording, redactor.redact_text)
        browsers = BrowserServices(settings, clock, lambda: session.is_mock, job_networks, recording)
        network = Network(settings, clock, recording, open_recorded(settings))
        context = ProcessContext(
            settings=settings,
            clock=clock,
            session=session,
            browsers=browsers,
            network=network,
            on_event=partial(process.emit, None),
        )
        storage = provide_storage(context)
        input_log = _open_input_log(settings, redactor, clock, resources)
        process.connect(
            routes(_handler_context(context, session, storage, process), fleet=bool(settings.queue)),
            storage.commit,
            [recorder for recorder in (input_log, recording) if recorder],
            recording.record_sent if recording else None,
        )
        resources.push_async_callback(storage.close)
        resources.push_async_callback(session.close)
        resources.push_async_callback(browsers.close)

        async def resume() -> None:
            await browsers.sweep()
            await storage.resume()

        gc.freeze()  # what is there by now stays to the end
        gc.enable()
        await process.run(storage, resume)


def _handler_context(
    context: ProcessContext,
    session: Session,
    storage: "StorageProvider[StorageServices]",
    process: Process,
) -> HandlerContext:
    settings, browsers = context.settings, context.browsers
    logins = LoginService(
        storage, context.network.server_client, settings.request_timeout, context.clock, browsers.forget_mock
    )
    return HandlerContext(
        session=session,
        storage=storage,
        log_in=logins.log_in,
        mock=logins.mock,
        reference_locks=browsers.reference_locks,
        documents=browsers.documents,
        run_service=browsers.run_service,
        expect_job=browsers.expect_job,
        visit_tokens=browsers.visit_tokens,
        describe=partial(capabilities, settings),
        emit=process.emit,
    )


def _secret_sink(redactor: Redactor, recording: "RecorderProcess | None") -> Callable[[str], None]:
    """Takes the secrets of a session, for its logs and for its recording."""
    if recording is None:
        return redactor.add_secret

    def add(secret: str) -> None:
        redactor.add_secret(secret)
        recording.add_secret(secret)

    return add


def provide_storage(context: ProcessContext) -> "StorageProvider[StorageServices]":
    """The storage of a session: on disk after a login, in memory for a mock."""

    async def on_disk() -> "StorageServices":
        from sidecar.composition.storage import StorageServices  # late: only stored work needs the disk and its queue

        return await StorageServices.open(context)

    def in_memory() -> "StorageServices":
        from sidecar.composition.storage import StorageServices

        return StorageServices.in_memory(context)

    def has_pending() -> bool:
        from sidecar.storage.pending_work import has_pending

        settings = context.settings
        return bool(settings.queue) or has_pending(settings.state_path() / "sidecar.db")  # a fleet may always have work

    return StorageProvider(on_disk, in_memory, has_pending)


def _open_input_log(
    settings: Settings, redactor: Redactor, clock: Clock, resources: AsyncExitStack
) -> "InputLog | None":
    if not settings.log_input:
        return None
    from sidecar.recording.input_log import InputLog  # late: few sessions have one

    input_log = InputLog.open(Path(settings.log_input), redactor, clock)
    resources.callback(input_log.close)
    return input_log
