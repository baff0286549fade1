"""One run of a task's script: a module whose `main` is called once, in a sandbox of its own."""

import asyncio
import base64
import logging
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Any, Final, Protocol

from pydantic import BeforeValidator
from sidecar_protocol.decoding import decode_value
from sidecar_protocol.encoding import encode
from sidecar_protocol.errors import WireError
from sidecar_protocol.models import Model
from sidecar_protocol.wire_types import Raw

from sidecar.browser.sandbox.action_session import ScriptConsole
from sidecar.browser.sandbox.cdp_pipe import CdpError, MessageTooLarge
from sidecar.browser.sandbox.message_pump import MessagePump, decode_json
from sidecar.browser.sandbox.page_events import cancel_all
from sidecar.browser.sandbox.sandbox import Sandbox, ScriptError, load_program
from sidecar.browser.sandbox.sandbox_pool import SandboxPool
from sidecar.browser.sandbox.script_files import ScriptFile
from sidecar.browser.sandbox.wire_values import CallRefused
from sidecar.clock import within
from sidecar.errors import INTERNAL_ERROR, TimedOut
from sidecar.settings import MiB

log = logging.getLogger(__name__)

_SANDBOX_LOST: Final = "the script's sandbox was closed: it navigated away, or used too much memory"
_AWAIT: Final = re.compile(r"\bawait\b")
_MAX_STACK: Final = 5
_NODE: Final = (
    "assert assert__strict buffer crypto events path path__posix perf_hooks process querystring string_decoder timers "
    "timers__promises url util util__types"
)
_PARTS: Final = {"stacks": "stacks.js", "modules": "modules.js", "axios": "axios.js"} | {
    f"node/{name}": f"node/{name}.js" for name in _NODE.split()
}
"""The parts for `task.js`: the module loader, and the sandbox's own modules."""


_REASONS: Final = {status.value: status.phrase for status in HTTPStatus}


@dataclass(frozen=True, slots=True)
class TaskLimits:
    """Limits of one run; sizes in JavaScript characters."""

    timeout: float = 60.0
    result: int = 256 * 1024
    """Characters of the result: of a string itself, of any other value as JSON."""
    message: int = 8 * MiB
    """One request or answer of `fetch` and `job`."""
    max_requests: int = 200
    """Calls of `fetch` and `job` together."""
    max_concurrent_requests: int = 16
    lines: int = 200
    line: int = 2_000


def _from_base64(value: Any) -> Any:
    return base64.b64decode(value, validate=True) if isinstance(value, str) else value


class FetchRequest(Model):
    """A `fetch` request of a script; the body travels as base64."""

    url: str
    method: str
    headers: dict[str, str]
    body: Annotated[bytes | None, BeforeValidator(_from_base64)]
    redirect: str


@dataclass(frozen=True, slots=True)
class FetchResponse:
    """The response to a `fetch` request; header names may repeat."""

    url: str
    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def wire_members(self) -> dict[str, Any]:
        """The members as they are sent to the script."""
        return {
            "url": self.url,
            "status": self.status,
            "status_text": _REASONS.get(self.status, ""),
            "headers": self.headers,
            "body": base64.b64encode(self.body).decode(),
        }


class HostApi(Protocol):
    """The functions that a script can call outside its sandbox. Both may raise WireError, which it can catch."""

    async def fetch(self, wanted: FetchRequest) -> FetchResponse:
        """Makes an HTTP request."""

    async def job(self, content: Raw) -> Raw:
        """Runs a browser job: takes the content of `send_job`, gives that of its reply."""


class TaskScriptRunner:
    """Runs scripts, at most `max_concurrent` at once; waiting for a slot does not count as run time."""

    def __init__(self, sandbox_pool: SandboxPool, limits: TaskLimits, max_concurrent: int) -> None:
        self._sandbox_pool = sandbox_pool
        self._limits = limits
        self._slots = asyncio.Semaphore(max_concurrent)
        program_limits = {
            "message": limits.message,
            "result": limits.result,
            "lines": limits.lines,
            "line": limits.line,
        }
        self._program = load_program("task.js", program_limits, _PARTS)

    async def run(
        self,
        files: Sequence[ScriptFile],
        config: Raw,
        host: HostApi,
        console: ScriptConsole,
        on_start: Callable[[], object] = lambda: None,
    ) -> Any:
        """The result of `main(config)`, as plain JSON. `files` are the script and the files that it requires.

        `on_start` is called once the script has a slot.

        Raises ScriptError with the code of what went wrong, SandboxCrashed, TimedOut, BrowserUnavailable, ShuttingDown.
        """
        async with self._slots:
            on_start()
            sandbox = await self._sandbox_pool.acquire(self._program)
            run = _TaskSession(sandbox, self._limits, host, console)
            try:
                async with within(self._limits.timeout) as limit:
                    return await run.result(files, config, limit)
            except TimeoutError:
                raise TimedOut(f"the script took longer than {self._limits.timeout:g} s") from None
            finally:
                self._sandbox_pool.release(sandbox)
                await run.close()


class _TaskSession:
    """The messages between one script and the sidecar."""

    def __init__(self, sandbox: Sandbox, limits: TaskLimits, host: HostApi, console: ScriptConsole) -> None:
        self._sandbox = sandbox
        self._limits = limits
        self._host = host
        self._console = console
        self._outcome: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._pump = MessagePump(self._handle, self._fail, _SANDBOX_LOST)
        self._pump.attach(sandbox)
        self._request_count = 0
        self._tasks: set[asyncio.Task[Any]] = set()
        self._timeout: asyncio.Timeout | None = None
        self._running_jobs = 0
        self._remaining = 0.0
        self._request_slots = asyncio.Semaphore(limits.max_concurrent_requests)

    async def result(self, files: Sequence[ScriptFile], config: Raw, limit: asyncio.Timeout) -> Any:
        """The result of `main`; the time limit is paused while the script waits for jobs. Raises ScriptError."""
        self._timeout = limit
        self._pump.send(["begin", config])
        self._pump.flush()
        started = asyncio.ensure_future(self._start(files))
        self._tasks.add(started)
        try:
            await asyncio.wait((self._outcome, started, self._sandbox.lost), return_when=asyncio.FIRST_COMPLETED)
            if started.done():
                started.result()
            await asyncio.wait((self._outcome, self._sandbox.lost), return_when=asyncio.FIRST_COMPLETED)
        except MessageTooLarge as error:
            raise ScriptError(error.message, "limit_exceeded") from None
        except CdpError:
            raise self._sandbox.loss(_SANDBOX_LOST) from None
        if self._outcome.done():
            return self._outcome.result()
        raise self._sandbox.lost.result()

    async def close(self) -> None:
        """Cancels what the script has left running."""
        self._outcome.cancel()
        await cancel_all(self._tasks)

    async def _start(self, files: Sequence[ScriptFile]) -> None:
        """Compiles each file and runs the first. Raises CdpError."""
        compiled = await asyncio.gather(*(self._compile(file) for file in files))
        listed, values = zip(*compiled, strict=True)
        await self._sandbox.call("start", {"value": encode(listed).decode()}, *values)

    async def _compile(self, file: ScriptFile) -> tuple[dict[str, Any], dict[str, Any]]:
        """The description of a file for the program, and its function."""
        if file.kind == "json":
            return file.described(0, None, waits=False), {"value": None}
        source, head = file.compiled()
        compiled, waits = await self._sandbox.compile(source, head), False
        if file.scope and compiled.failed and _AWAIT.search(file.source):
            source, head = file.compiled(waits=True)
            compiled, waits = await self._sandbox.compile(source, head), True
        error = compiled.syntax_error and (*compiled.syntax_error, file.hint(*compiled.syntax_error))
        return file.described(head, error, waits=waits), compiled.argument

    def _handle(self, message: list[Any]) -> None:
        match message:
            case ["fetch", int() as number, dict() as content]:
                self._start_request(number, lambda: self._fetch(content))
            case ["job", int() as number, content]:
                self._start_request(number, lambda: self._wait_for_job(Raw(encode(content))))
            case ["log", str() as line]:
                self._console.log(line[: self._limits.line])
            case ["error", str() as line]:
                self._console.fail(line[: self._limits.line])
            case ["done", str() as text] if not self._outcome.done():
                self._outcome.set_result(self._decoded(text))
            case [
                "fail",
                {"name": str() as name, "message": str() as reason, "code": str() as code, "stack": list() as stack},
            ]:
                reason = " ".join(reason.split())
                lines = tuple(str(line)[: self._limits.line] for line in stack[:_MAX_STACK])
                self._fail(ScriptError(reason if name == "Error" else f"{name}: {reason}", code, lines))
            case _:
                raise ValueError("unknown kind")

    def _decoded(self, text: str) -> Any:
        """The result. Raises CallRefused where it is larger than the program lets through."""
        value = decode_json(text)
        length = len(value) if isinstance(value, str) else len(text)
        if length > self._limits.result:
            raise CallRefused(f"the result is longer than {self._limits.result} characters", "limit_exceeded")
        return value

    async def _fetch(self, content: dict[str, Any]) -> FetchResponse:
        return await self._host.fetch(decode_value(FetchRequest, content))

    async def _wait_for_job(self, content: Raw) -> Raw:
        """A job has a time limit of its own."""
        loop, limit = asyncio.get_running_loop(), self._timeout
        self._running_jobs += 1
        if self._running_jobs == 1 and limit and not limit.expired():
            self._remaining = (limit.when() or loop.time()) - loop.time()
            limit.reschedule(None)
        try:
            return await self._host.job(content)
        finally:
            self._running_jobs -= 1
            if self._running_jobs == 0 and limit and not limit.expired() and not self._outcome.done():
                limit.reschedule(loop.time() + self._remaining)

    def _fail(self, failure: Exception) -> None:
        if not self._outcome.done():
            self._outcome.set_exception(failure)
            self._outcome.exception()  # a cancelled run no longer retrieves it

    def _start_request(self, number: int, call: Callable[[], Awaitable[Any]]) -> None:
        self._request_count += 1
        if self._request_count > self._limits.max_requests:
            self._refuse(number, f"the script made more than {self._limits.max_requests} requests", "limit_exceeded")
            return
        task = asyncio.ensure_future(self._answer(number, call))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer(self, number: int, call: Callable[[], Awaitable[Any]]) -> None:
        try:
            async with self._request_slots:
                answer = encode(await call())
            if len(answer) > self._limits.message:
                message = f"the answer is larger than {self._limits.message >> 20} MiB"
                self._refuse(number, message, "limit_exceeded")
            else:
                self._pump.send(["answer", number, Raw(answer)])
        except WireError as failed:
            self._refuse(number, failed.message, failed.code)
        except Exception:
            log.exception("unexpected error while handling a script's request")
            self._refuse(number, INTERNAL_ERROR, "internal")

    def _refuse(self, number: int, reason: str, code: str) -> None:
        self._pump.send(["refuse", number, {"name": "Error", "message": reason, "code": str(code)}])
