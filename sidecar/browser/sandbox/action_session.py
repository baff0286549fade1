"""The JavaScript actions of one job: their sandbox, and the messages between it and the job's pages."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, Protocol

from playwright.async_api import Error as PlaywrightError
from playwright.async_api import Locator, Page
from sidecar_protocol.encoding import encode
from sidecar_protocol.wire_types import Raw

from sidecar.browser import playwright_errors
from sidecar.browser.background_tasks import consume_exception
from sidecar.browser.cdp import CdpClient
from sidecar.browser.crash_guard import cancel_or_abandon
from sidecar.browser.large_values import converted
from sidecar.browser.sandbox.allowlist import READ_ONLY, is_method_in_javascript, signatures
from sidecar.browser.sandbox.cdp_pipe import CdpError, MessageTooLarge
from sidecar.browser.sandbox.handles import HandleTable
from sidecar.browser.sandbox.locator_handlers import LocatorHandlers
from sidecar.browser.sandbox.message_pump import MessagePump
from sidecar.browser.sandbox.page_events import PageEvents, cancel_all
from sidecar.browser.sandbox.rpc_calls import RpcCalls
from sidecar.browser.sandbox.sandbox import Sandbox, ScriptError
from sidecar.browser.sandbox.sandbox_pool import SandboxPool
from sidecar.browser.sandbox.wire_values import MAX_BYTES, CallRefused, RouteRefused, to_json
from sidecar.browser.url_policy import AllowsUrl
from sidecar.javascript.python_calls import WrongKeyword, to_javascript
from sidecar.truncation import cap_length

MAX_CALLS: Final = 10_000
"""Calls that one action may make."""
MAX_CONCURRENT_CALLS: Final = 500
_BODY_PROPERTIES: Final = ("postData", "post_data")
"""Request bodies are copied into the sandbox only for actions whose source contains one of these."""
_BODY_BYTES_PER_MESSAGE: Final = 16 << 10
_POLL_DELAY: Final = 0.004
"""Seconds until the sandbox is asked for further calls while one is being made."""

_SANDBOX_LOST: Final = "its sandbox was closed: it navigated away, or used too much memory"

_CODES: Final = frozenset({"forbidden", "limit_exceeded"})
"""Error codes of an action other than `action_failed`."""


class ScriptConsole(Protocol):
    """Receives the console output and the uncaught errors of a script."""

    def log(self, line: str) -> None:
        """Adds a line of output."""

    def fail(self, line: str) -> None:
        """Adds an uncaught error."""


class ActionSession:
    """Runs a job's actions one after the other in one sandbox, which the first of them acquires."""

    def __init__(
        self,
        sandbox_pool: SandboxPool,
        page: Page,
        cdp: CdpClient,
        console: ScriptConsole,
        secrets: Mapping[str, Any],
        remaining_ms: Callable[[], float],
        wait_until_settled: Callable[[Page], Awaitable[None]],
        allows: AllowsUrl | None = None,
    ) -> None:
        """`remaining_ms` gives the time left for the step, `allows` the pages that may be opened (None: all)."""
        self._sandbox_pool = sandbox_pool
        self._page = page
        self._console = console
        self._secrets = secrets
        self._sandbox_task: asyncio.Task[Sandbox] | None = None
        self._sandbox: Sandbox | None = None
        self._pump = MessagePump(self._handle, self._fail, _SANDBOX_LOST, _POLL_DELAY, self._reset_body_bytes)
        self._handles = HandleTable(self._pump.send, self._watch)
        self._calls = RpcCalls(page, cdp, self._handles, remaining_ms, wait_until_settled, allows)
        self._events = PageEvents(self._handles, self._send_current, self._backlog, self._start_task, console.fail)
        self._overlays = LocatorHandlers(self._calls.resolve, self._send_current)
        self._tasks: set[asyncio.Task[Any]] = set()
        self._call_count = 0
        self._was_read_only = True
        self._action_number = 0
        self._outcome: asyncio.Future[Any] | None = None
        self._handler_failure: ScriptError | None = None

    def raise_handler_failure(self) -> None:
        """Raises ScriptError, once, if a call of an event handler was refused while no action ran."""
        failure, self._handler_failure = self._handler_failure, None
        if failure:
            raise failure

    @property
    def changed_context(self) -> bool:
        """Whether the actions have changed the context itself, and so all its future pages."""
        return self._calls.changed_context or self._events.routed_context

    def handles_dialogs(self, page: Page | None) -> bool:
        """Whether a handler of the actions answers the dialogs of this page."""
        return self._events.handles_dialogs(page)

    @property
    def was_read_only(self) -> bool:
        """Whether the last action only read from pages."""
        return self._call_count > 0 and self._was_read_only

    def prepare(self) -> asyncio.Task[Sandbox]:
        """Starts acquiring the sandbox ahead of the first action, which raises what goes wrong."""
        if self._sandbox_task is None:
            self._sandbox_task = asyncio.create_task(self._sandbox_pool.acquire())
            self._sandbox_task.add_done_callback(consume_exception)
        return self._sandbox_task

    @property
    def target(self) -> Locator | None:
        """What the last call of the action looks for, unless it has succeeded."""
        return self._calls.target

    async def run(self, source: str) -> Any:
        """The action's value as plain JSON. Raises ScriptError, SandboxCrashed, BrowserUnavailable.

        Cancelled, it ends the sandbox.
        """
        sandbox = await self._get_sandbox()
        try:
            source = to_javascript(source, signatures, is_method_in_javascript)
        except WrongKeyword as wrong:
            raise ScriptError(str(wrong)) from None
        self._action_number += 1
        self._calls.target = None
        self._call_count, self._was_read_only = 0, not self._tasks  # calls of the action before may still run
        self._outcome = outcome = asyncio.get_running_loop().create_future()
        try:
            if any(name in source for name in _BODY_PROPERTIES):
                self._handles.include_bodies()
            self._send_changes()
            self._pump.flush()
            await self._unless_lost(sandbox, sandbox.run(self._action_number, source))
            return to_json(await self._unless_lost(sandbox, outcome))
        except MessageTooLarge as error:
            raise ScriptError(error.message, "limit_exceeded") from None
        except CallRefused as refused:
            raise ScriptError(str(refused), refused.code) from None
        except CdpError:
            raise sandbox.loss(_SANDBOX_LOST) from None
        except asyncio.CancelledError:
            sandbox.close()
            raise
        finally:
            self._outcome = None

    async def _get_sandbox(self) -> Sandbox:
        """The job's sandbox; it is replaced if it crashed before anything ran in it."""
        sandbox = await asyncio.shield(self.prepare())
        if self._sandbox is None:
            if sandbox.browser_gone or sandbox.lost.done():
                self._sandbox_pool.release(sandbox)
                self._sandbox_task = None
                sandbox = await asyncio.shield(self.prepare())
            self._begin_session(sandbox)
        return sandbox

    async def close(self) -> None:
        """Closes the sandbox, and cancels what the actions have left running."""
        self._events.close()
        self._overlays.close()
        if self._sandbox_task:
            await cancel_or_abandon(self._sandbox_task)
            if self._sandbox_task.done() and not self._sandbox_task.cancelled() and not self._sandbox_task.exception():
                self._sandbox_pool.release(self._sandbox_task.result())
        await cancel_all(self._tasks)

    def _begin_session(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._pump.attach(sandbox)
        page, context = self._handles.handle_of(self._page), self._handles.handle_of(self._page.context)
        self._pump.send(["begin", page, context, dict(self._secrets)])

    async def _unless_lost(self, sandbox: Sandbox, awaitable: Awaitable[Any]) -> Any:
        """The awaited result, unless the sandbox is lost first."""
        task = asyncio.ensure_future(awaitable)
        try:
            await asyncio.wait((task, sandbox.lost), return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                return task.result()
            raise sandbox.lost.result()
        finally:
            task.cancel()

    # --- messages in

    def _send_current(self, message: list[Any]) -> None:
        """Sends a message that resumes the action, after the changes of pages and frames."""
        self._send_changes()
        self._pump.send(message)

    def _send_changes(self) -> None:
        try:
            self._handles.send_changes()
        except CallRefused as refused:
            self._console.fail(str(refused))

    def _reset_body_bytes(self) -> None:
        self._handles.body_bytes = 0

    def _backlog(self) -> int:
        """Queued messages; bodies count as more than one."""
        return self._pump.queued + self._handles.body_bytes // _BODY_BYTES_PER_MESSAGE

    def _watch(self, page: Page) -> None:
        """Keeps the sandbox's copy of a page's state current."""
        page.on("framenavigated", lambda _: self._send_changes())
        page.on("close", lambda _: self._send_changes())

    # --- messages out

    def _handle(self, message: list[Any]) -> None:
        match message:
            case ["call", int() as number, target, name, list() as args]:
                self._was_read_only &= name in READ_ONLY
                self._answer(number, lambda: self._calls.call(target, name, args))
            case ["route", int() as number, handle]:
                self._was_read_only = False
                self._answer(number, lambda: self._events.route(handle))
            case ["add_overlay", int() as number, page, locator, handler_id, options]:
                self._was_read_only = False
                self._answer(number, lambda: self._overlays.add(page, locator, handler_id, options))
            case _:
                self._handle_notice(message)

    def _handle_notice(self, message: list[Any]) -> None:
        """A message that gets no answer."""
        match message:
            case ["on", handle, event]:
                self._was_read_only = False  # the action waits for something
                self._events.subscribe(handle, event)
            case ["off", handle, event]:
                self._events.unsubscribe(handle, event)
            case ["handled", number]:
                self._events.dialog_handled(number)
            case ["overlay_handled", number]:
                self._overlays.handled(number)
            case ["log" | "error" as kind, str() as line]:
                (self._console.log if kind == "log" else self._console.fail)(line)
            case ["refused", str() as reason]:
                self._fail_handler(ScriptError(_sentence(None, reason), "forbidden"))
            case ["done", number, value] if number == self._action_number:
                self._settle(value)
            case ["fail", number, {"message": str() as reason} as failure] if number == self._action_number:
                code = failure.get("code")
                code = code if code in _CODES else "action_failed"
                self._fail(ScriptError(_sentence(failure.get("name"), reason), code))

    def _settle(self, value: Any) -> None:
        if self._outcome and not self._outcome.done():
            self._outcome.set_result(value)

    def _fail(self, failure: Exception) -> None:
        if self._outcome and not self._outcome.done():
            self._outcome.set_exception(failure)
            self._outcome.exception()  # a cancelled action no longer retrieves it

    def _fail_handler(self, failure: ScriptError) -> None:
        """Fails the running action because a handler's call was refused, or else the next check of handlers."""
        if self._outcome is None and self._handler_failure is None:
            self._handler_failure = failure
        self._fail(failure)

    def _answer(self, number: int, call: Callable[[], Awaitable[Any]]) -> None:
        self._call_count += 1
        if self._call_count > MAX_CALLS:
            self._pump.abort(ScriptError(f"the action made more than {MAX_CALLS} calls"))
        elif len(self._tasks) >= MAX_CONCURRENT_CALLS:
            self._refuse(number, f"more than {MAX_CONCURRENT_CALLS} calls at once")
        else:
            self._start_task(self._call(number, call))

    async def _call(self, number: int, call: Callable[[], Awaitable[Any]]) -> None:
        try:
            value = await converted(await call(), lambda plain: encode(self._handles.encode(plain)))
            if len(value) > MAX_BYTES:
                raise CallRefused(f"the result is larger than {MAX_BYTES >> 20} MiB", "limit_exceeded")
            self._send_current(["answer", number, Raw(value)])
        except CallRefused as refused:
            self._refuse(number, str(refused), refused.code)
            if isinstance(
                refused, RouteRefused
            ):  # before the request is aborted, whose failure would be reported instead
                self._fail_handler(ScriptError(str(refused), refused.code))
                await refused.abort()
        except PlaywrightError as error:
            reason = playwright_errors.describe(error)
            code = "limit_exceeded" if playwright_errors.is_too_large(reason) else ""
            self._refuse(number, reason, code, error.name or "Error")
        except Exception as error:  # Playwright also raises bare Exceptions
            self._refuse(number, playwright_errors.first_line(error))

    def _refuse(self, number: int, reason: str, code: str = "", name: str = "Error") -> None:
        self._pump.send(["refuse", number, {"name": name, "message": reason, "code": code}])

    def _start_task(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _sentence(name: Any, reason: str) -> str:
    reason = " ".join(cap_length(reason).split())
    return reason if name in ("Error", "TimeoutError", None) or reason.startswith(str(name)) else f"{name}: {reason}"
