"""Runs messages out of the queue, with one handler for each message type."""

from collections.abc import Awaitable, Callable
from typing import Any, Final

from sidecar_protocol import codec
from sidecar_protocol.cv_documents import SendFullCv
from sidecar_protocol.encoding import encode
from sidecar_protocol.errors import ErrorCode, WireError
from sidecar_protocol.jobs import SendJob
from sidecar_protocol.schedules import DEVICE_PUSH
from sidecar_protocol.wire_types import Raw

from sidecar.clock import Clock
from sidecar.jobs.payloads import decode_message
from sidecar.jobs.run_service import RunRequest, RunService
from sidecar.jobs.run_updates import RunListeners
from sidecar.jobs.step_reporting import report_as_step
from sidecar.queue.store_retry import retry_until_stored
from sidecar.queue.submission import JobRun
from sidecar.rtcv.documents import DocumentLoader
from sidecar.rtcv.login import LONG_TTL, SHORT_TTL, LoginContext
from sidecar.rtcv.send_cv import ReferenceLocks, send_cv, send_cvs_list, send_full_cv

RunHandler = Callable[[JobRun], Awaitable[Any]]
"""Executes a run and returns the content of the reply."""
LoginOf = Callable[[str], Awaitable[LoginContext]]
"""Account id -> its login context. Raises StoreFailed."""
ListenersOf = Callable[[JobRun], RunListeners]
"""The listeners of a run."""

_FLUSH_DELAYS: Final = (0.5,)
_TTLS: Final = {"set_cached_reference": LONG_TTL, "set_short_cached_reference": SHORT_TTL}


class BackgroundExecutor:
    """Executes runs out of the queue."""

    def __init__(
        self,
        runs: RunService,
        reference_locks: ReferenceLocks,
        documents: DocumentLoader,
        login_of: LoginOf,
        listeners_of: ListenersOf,
        clock: Clock,
        forward_push: Callable[[bytes, str], None],
        flush: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        """`forward_push` stages a push in EngageLab's own form under a key.

        `flush` returns once everything that a run has written is on disk, and raises StoreFailed.

        It is for a fleet, where the job's end is stored elsewhere; by default both are one transaction.
        """
        self._forward_push = forward_push
        self._flush = flush
        self._listeners_of = listeners_of
        self._clock = clock
        self._runs = runs
        self._reference_locks = reference_locks
        self._documents = documents
        self._login_of = login_of
        self._handlers: dict[str, RunHandler] = {
            "send_job": self._send_job,
            "send_cv": self._send_cv,
            "send_full_cv": self._send_full_cv,
            "send_cvs_list": self._send_cvs_list,
            "set_cached_reference": self._set_reference,
            "set_short_cached_reference": self._set_reference,
            DEVICE_PUSH: self._push,
        }

    def register(self, message_type: str, perform: RunHandler) -> None:
        """Adds the handler of another message type."""
        self._handlers[message_type] = perform

    def supports(self, message_type: str) -> bool:
        """Whether this message type has a handler."""
        return message_type in self._handlers

    async def perform(self, run: JobRun) -> bytes:
        """Executes a run; returns the reply's content as JSON. Raises what the message would."""
        try:
            return await self._perform(run)
        finally:
            if self._flush:
                await retry_until_stored(self._flush, self._clock, _FLUSH_DELAYS)

    async def _perform(self, run: JobRun) -> bytes:
        perform = self._handlers.get(run.type)
        if perform is None:
            raise WireError(ErrorCode.UNKNOWN_TYPE, f"{run.type} can't run in the background")
        done = await perform(run)
        return b"null" if done is codec.NO_CONTENT else encode(done)

    async def _send_job(self, run: JobRun) -> Any:
        job: SendJob = decode_message(run.type, run.content)
        request = RunRequest(
            job=job,
            run_id=run.id,
            login=await self._login_of(run.account_id),
            listeners=self._listeners_of(run),
            name=run.name if run.origin else "",
            accepted=True,
            will_retry=run.will_retry,
        )
        return await self._runs.run(request)

    async def _send_cv(self, run: JobRun) -> Any:
        async def send(login: LoginContext) -> Any:
            return await send_cv(login, self._reference_locks, Raw(run.content), until_stored=True)

        return await self._reported(run, send)

    async def _send_full_cv(self, run: JobRun) -> Any:
        content: SendFullCv = decode_message(run.type, run.content)

        async def send(login: LoginContext) -> Any:
            document = await self._documents.load(content)
            return await send_full_cv(login, self._reference_locks, document, until_stored=True)

        return await self._reported(run, send)

    async def _send_cvs_list(self, run: JobRun) -> Any:
        async def send(login: LoginContext) -> Any:
            return await send_cvs_list(login, Raw(run.content))

        return await self._reported(run, send)

    async def _set_reference(self, run: JobRun) -> Any:
        reference: str = decode_message(run.type, run.content)

        async def remember(login: LoginContext) -> Any:
            login.references.remember(reference, _TTLS[run.type], until_stored=True)
            return codec.NO_CONTENT

        return await self._reported(run, remember)

    async def _push(self, run: JobRun) -> Any:
        async def forward() -> Any:
            self._forward_push(run.content, run.id)
            return codec.NO_CONTENT

        return await report_as_step(run, run.type, self._listeners_of(run), self._clock, forward)

    async def _reported(self, run: JobRun, act: Callable[[LoginContext], Awaitable[Any]]) -> Any:
        """Does what a run is for with its login; its listeners see one step."""

        async def step() -> Any:
            return await act(await self._login_of(run.account_id))

        return await report_as_step(run, run.type, self._listeners_of(run), self._clock, step)
