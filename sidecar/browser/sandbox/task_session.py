"""One run of a task's script: a CommonJS module whose `main` is called once, in a sandbox of its own."""

import asyncio
import base64
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final, Protocol

import msgspec
from sidecar_protocol.base import Raw
from sidecar_protocol.errors import WireError
from sidecar_protocol.writing import encode

from sidecar.browser.sandbox.action_session import BROWSER_LOST, ActionError, ScriptConsole
from sidecar.browser.sandbox.cdp_pipe import CdpError, MessageTooLarge
from sidecar.browser.sandbox.inbox import decode_messages
from sidecar.browser.sandbox.page_events import cancel_all
from sidecar.browser.sandbox.sandbox import Sandbox, load_program
from sidecar.browser.sandbox.sandbox_pool import SandboxPool
from sidecar.browser.sandbox.wire_values import CallRefused
from sidecar.clock import within
from sidecar.errors import INTERNAL_ERROR, SandboxCrashed, TimedOut
from sidecar.settings import MiB

log = logging.getLogger(__name__)

_SANDBOX_LOST: Final = "the script's sandbox is gone: it left its page, or used too much memory"
_MODULE_HEAD: Final = "(function (module, exports, require) {"
"""On the first line of the script, so that the numbers of its lines stay true."""


@dataclass(frozen=True, slots=True)
class TaskLimits:
    """Bounds of one run; sizes in characters of JavaScript's."""

    timeout: float = 60.0
    result: int = 256 * 1024
    message: int = 8 * MiB
    """One request or answer of `fetch` and `job`."""
    max_requests: int = 200
    """Calls of `fetch` and `job` together."""
    max_concurrent_requests: int = 16
    lines: int = 200
    line: int = 2_000


class FetchRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a script asks of `fetch`; the body travels as base64."""

    url: str
    method: str
    headers: dict[str, str]
    body: bytes | None
    redirect: str


@dataclass(frozen=True, slots=True)
class FetchResponse:
    """What came back; header names may repeat."""

    url: str
    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def wire_members(self) -> dict[str, Any]:
        """Its members, as they travel to the script."""
        body = base64.b64encode(self.body).decode()
        return {"url": self.url, "status": self.status, "headers": self.headers, "body": body}


class HostApi(Protocol):
    """What a script reaches beyond its sandbox. Both may raise WireError, which the script can catch."""

    async def fetch(self, wanted: FetchRequest) -> FetchResponse:
        """One HTTP request."""

    async def job(self, content: Raw) -> Raw:
        """One browser job: `send_job`'s content in JSON, and that of its reply."""


class TaskScriptRunner:
    """Runs scripts, so many at once; more wait for their turn, which does not count as their time."""

    def __init__(self, sandboxes: SandboxPool, limits: TaskLimits, most: int) -> None:
        self._sandboxes = sandboxes
        self._limits = limits
        self._places = asyncio.Semaphore(most)
        told = {"message": limits.message, "result": limits.result, "lines": limits.lines, "line": limits.line}
        self._program = load_program("task.js", told)

    async def run(
        self,
        source: str,
        config: Raw,
        outside: HostApi,
        notes: ScriptConsole,
        on_turn: Callable[[], object] = lambda: None,
    ) -> str:
        """What `main(config)` returns. `on_turn` is called where the wait for a place is over.

        Raises ActionError with the code of what went wrong, SandboxCrashed, TimedOut, BrowserUnavailable, ShuttingDown.
        """
        async with self._places:
            on_turn()
            sandbox = await self._sandboxes.acquire(self._program)
            run = _TaskSession(sandbox, self._limits, outside, notes)
            try:
                async with within(self._limits.timeout) as limit:
                    return await run.result(source, config, limit)
            except TimeoutError:
                raise TimedOut(f"the script took longer than {self._limits.timeout:g} s") from None
            finally:
                self._sandboxes.release(sandbox)
                await run.close()


class _TaskSession:
    """The messages between one script and the sidecar."""

    def __init__(self, sandbox: Sandbox, limits: TaskLimits, outside: HostApi, notes: ScriptConsole) -> None:
        self._sandbox = sandbox
        self._limits = limits
        self._outside = outside
        self._notes = notes
        self._outcome: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._queue: list[list[Any]] = []
        self._planned = False
        self._exchanges = 0
        self._requests = 0
        self._tasks: set[asyncio.Task[Any]] = set()
        self._limit: asyncio.Timeout | None = None
        self._jobs = 0
        self._left = 0.0
        self._at_once = asyncio.Semaphore(limits.max_concurrent_requests)

    async def result(self, source: str, config: Raw, limit: asyncio.Timeout) -> str:
        """What `main` returns, within a time that stands still while it waits for jobs. Raises ActionError."""
        self._limit = limit
        self._send(["begin", config])
        self._flush()
        text = f"//{source}" if source.startswith("#!") else source
        before = len(_MODULE_HEAD) + len(text) - len(source)
        begun = asyncio.ensure_future(self._sandbox.run(1, f"{_MODULE_HEAD}{text}\n}})", before))
        self._tasks.add(begun)
        try:
            await asyncio.wait((self._outcome, begun, self._sandbox.lost), return_when=asyncio.FIRST_COMPLETED)
            if begun.done():
                begun.result()
            await asyncio.wait((self._outcome, self._sandbox.lost), return_when=asyncio.FIRST_COMPLETED)
        except MessageTooLarge as large:
            raise ActionError(large.message, "limit_exceeded") from None
        except CdpError:
            raise self._gone() from None
        if self._outcome.done():
            return self._outcome.result()
        raise ActionError(self._sandbox.lost.result())

    async def close(self) -> None:
        """Ends what the script has left behind."""
        self._outcome.cancel()
        await cancel_all(self._tasks)

    # --- messages in

    def _send(self, message: list[Any]) -> None:
        self._queue.append(message)
        if not self._planned:
            self._planned = True
            asyncio.get_running_loop().call_soon(self._flush)

    def _flush(self) -> None:
        self._planned = False
        if self._sandbox.lost.done() or self._outcome.done():
            return
        messages, self._queue = self._queue, []
        self._exchanges += 1
        self._sandbox.exchange(encode(messages).decode()).add_done_callback(self._receive)

    # --- messages out

    def _receive(self, answer: "asyncio.Future[str]") -> None:
        self._exchanges -= 1
        if answer.cancelled():
            return
        if answer.exception():
            self._fail(self._gone())
            return
        try:
            for message in decode_messages(answer.result()):
                self._hear(message)
        except (CallRefused, msgspec.MsgspecError, ValueError, TypeError, RecursionError) as wrong:
            self._fail(ActionError(f"the sandbox wrote what we can't read: {wrong}"))
        if self._exchanges == 0 and not self._planned:
            self._flush()

    def _hear(self, message: list[Any]) -> None:
        match message:
            case ["fetch", int() as number, dict() as content]:
                self._ask(number, lambda: self._fetch(content))
            case ["job", int() as number, content]:
                self._ask(number, lambda: self._wait_for_job(Raw(encode(content))))
            case ["log", str() as line]:
                self._notes.log(line[: self._limits.line])
            case ["error", str() as line]:
                self._notes.fail(line[: self._limits.line])
            case ["done", str() as value] if len(value) <= self._limits.result and not self._outcome.done():
                self._outcome.set_result(value)
            case ["fail", {"name": str() as name, "message": str() as said, "code": str() as code}]:
                said = " ".join(said.split())
                self._fail(ActionError(said if name == "Error" else f"{name}: {said}", code))
            case _:
                self._fail(ActionError("the sandbox wrote what we can't read"))

    async def _fetch(self, content: dict[str, Any]) -> FetchResponse:
        return await self._outside.fetch(msgspec.convert(content, FetchRequest))

    async def _wait_for_job(self, content: Raw) -> Raw:
        """A job has a time limit of its own."""
        loop, limit = asyncio.get_running_loop(), self._limit
        self._jobs += 1
        if self._jobs == 1 and limit and not limit.expired():
            self._left = (limit.when() or loop.time()) - loop.time()
            limit.reschedule(None)
        try:
            return await self._outside.job(content)
        finally:
            self._jobs -= 1
            if self._jobs == 0 and limit and not limit.expired() and not self._outcome.done():
                limit.reschedule(loop.time() + self._left)

    def _gone(self) -> Exception:
        if self._sandbox.browser_gone:
            return SandboxCrashed(BROWSER_LOST)
        return ActionError(self._sandbox.loss_reason(_SANDBOX_LOST))

    def _fail(self, failure: Exception) -> None:
        if not self._outcome.done():
            self._outcome.set_exception(failure)
            self._outcome.exception()  # who was cancelled does not look at it any more

    def _ask(self, number: int, make: Callable[[], Awaitable[Any]]) -> None:
        self._requests += 1
        if self._requests > self._limits.max_requests:
            self._refuse(number, f"the script made more than {self._limits.max_requests} requests", "limit_exceeded")
            return
        task = asyncio.ensure_future(self._answer(number, make))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer(self, number: int, make: Callable[[], Awaitable[Any]]) -> None:
        try:
            async with self._at_once:
                answer = encode(await make())
            if len(answer) > self._limits.message:
                said = f"the answer is larger than {self._limits.message >> 20} MiB"
                self._refuse(number, said, "limit_exceeded")
            else:
                self._send(["answer", number, Raw(answer)])
        except WireError as failed:
            self._refuse(number, failed.message, failed.code)
        except msgspec.ValidationError as wrong:
            self._refuse(number, str(wrong), "invalid_content")
        except Exception:
            log.exception("unexpected error while handling a script's request")
            self._refuse(number, INTERNAL_ERROR, "internal")

    def _refuse(self, number: int, reason: str, code: str) -> None:
        self._send(["refuse", number, {"name": "Error", "message": reason, "code": str(code)}])
