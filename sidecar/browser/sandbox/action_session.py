"""The JavaScript actions of one job: their sandbox, and the messages between it and the job's pages."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, Protocol

from playwright.async_api import Error as PlaywrightError
from playwright.async_api import Page
from sidecar_protocol.base import Raw
from sidecar_protocol.writing import encode

from sidecar.browser import playwright_errors
from sidecar.browser.crash_guard import cancel_and_wait, consume_exception
from sidecar.browser.sandbox.allowlist import READ_ONLY
from sidecar.browser.sandbox.cdp_pipe import CdpError, MessageTooLarge
from sidecar.browser.sandbox.handles import HandleTable
from sidecar.browser.sandbox.inbox import decode_messages
from sidecar.browser.sandbox.page_events import PageEvents, cancel_all
from sidecar.browser.sandbox.rpc_calls import RpcCalls
from sidecar.browser.sandbox.sandbox import Sandbox
from sidecar.browser.sandbox.sandbox_pool import SandboxPool
from sidecar.browser.sandbox.wire_values import MAX_BYTES, CallRefused, RouteRefused, to_json
from sidecar.browser.url_policy import AllowsUrl
from sidecar.errors import SandboxCrashed
from sidecar.truncation import cap_length

MAX_CALLS: Final = 10_000
"""Calls that one action may make."""
MAX_CONCURRENT_CALLS: Final = 500
_BATCH_SIZE: Final = 250
"""Messages that are taken up before others get their turn."""
_MAX_EXCHANGES: Final = 4
_BODIES: Final = "postData"
"""What the source of an action names that asks for bodies of requests: all others are spared their copies."""
_BODY_OF_A_MESSAGE: Final = 16 << 10
_POLL_DELAY: Final = 0.004
"""Seconds after which we ask for further calls while one is being made."""

_SANDBOX_LOST: Final = "its sandbox is gone: it left its page, or used too much memory"
BROWSER_LOST: Final = "the browser of the sandboxes died, which another script may have brought about"

_CODES: Final = frozenset({"forbidden", "limit_exceeded"})
"""That an action's failure may have beside `action_failed`."""


class ActionError(Exception):
    """An action failed; `code` is the wire's."""

    def __init__(self, reason: str, code: str = "action_failed") -> None:
        super().__init__(reason)
        self.code = code


class ScriptConsole(Protocol):
    """Where an action's console and its unhandled errors go."""

    def log(self, line: str) -> None:
        """One line of output."""

    def fail(self, line: str) -> None:
        """One error that nobody caught."""


class ActionSession:
    """Runs a job's actions one after the other in one sandbox, which it takes with the first of them."""

    def __init__(
        self,
        sandboxes: SandboxPool,
        page: Page,
        notes: ScriptConsole,
        secrets: Mapping[str, Any],
        left: Callable[[], float],
        still: Callable[[Page], Awaitable[None]],
        allows: AllowsUrl | None = None,
    ) -> None:
        """`left` tells the step's milliseconds, `allows` which pages may be opened; None is all of them."""
        self._sandboxes = sandboxes
        self._page = page
        self._notes = notes
        self._secrets = secrets
        self._opening: asyncio.Task[Sandbox] | None = None
        self._sandbox: Sandbox | None = None
        self._handles = HandleTable(self._send, self._watch)
        self._calls = RpcCalls(page, self._handles, left, still, allows)
        self._events = PageEvents(self._handles, self._tell, self._backlog, self._begin, notes.fail)
        self._queue: list[list[Any]] = []
        self._heard: deque[list[Any]] = deque()
        """Messages that have come and are not taken up yet."""
        self._planned = False
        self._exchanges = 0
        self._tasks: set[asyncio.Task[Any]] = set()
        self._made = 0
        self._moved = False
        self._number = 0
        self._outcome: asyncio.Future[Any] | None = None
        self._refusal: ActionError | None = None

    def raise_handler_failure(self) -> None:
        """Raises ActionError where a handler has asked for what is refused while no action ran; once."""
        refusal, self._refusal = self._refusal, None
        if refusal:
            raise refusal

    @property
    def changed_context(self) -> bool:
        """Whether the actions have changed the context itself, for all its pages to come."""
        return self._calls.changed_context or self._events.routed_context

    def handles_dialogs(self, page: Page | None) -> bool:
        """Whether a handler of the actions answers the dialogs of this page."""
        return self._events.handles_dialogs(page)

    @property
    def was_read_only(self) -> bool:
        """Whether all that the last action asked of pages was what they show."""
        return self._made > 0 and not self._moved

    def prepare(self) -> asyncio.Task[Sandbox]:
        """Takes the sandbox beside whatever comes before the first action, which meets its failure."""
        if self._opening is None:
            self._opening = asyncio.create_task(self._sandboxes.acquire())
            self._opening.add_done_callback(consume_exception)
        return self._opening

    async def run(self, source: str) -> Any:
        """The action's value as plain JSON. Raises ActionError, SandboxCrashed, BrowserUnavailable.

        Cancelled, it ends the sandbox.
        """
        sandbox = await self._ready()
        self._number += 1
        self._made, self._moved = 0, bool(self._tasks)  # also where the action before has left calls behind
        self._outcome = outcome = asyncio.get_running_loop().create_future()
        try:
            if _BODIES in source:
                self._handles.include_bodies()
            self._refresh()
            self._flush()
            await self._race(sandbox, sandbox.run(self._number, source))
            return to_json(await self._race(sandbox, outcome))
        except MessageTooLarge as large:
            raise ActionError(large.message, "limit_exceeded") from None
        except CallRefused as refused:
            raise ActionError(str(refused), refused.code) from None
        except CdpError:
            raise self._gone() from None
        except asyncio.CancelledError:
            sandbox.close()
            raise
        finally:
            self._outcome = None

    async def _ready(self) -> Sandbox:
        """The job's sandbox; another one where it died before anything ran in it."""
        sandbox = await asyncio.shield(self.prepare())
        if self._sandbox is None:
            if sandbox.browser_gone or sandbox.lost.done():
                self._sandboxes.release(sandbox)
                self._opening = None
                sandbox = await asyncio.shield(self.prepare())
            self._enter(sandbox)
        return sandbox

    async def close(self) -> None:
        """Ends the sandbox, and all that the actions have left behind."""
        self._events.close()
        if self._opening:
            await cancel_and_wait(self._opening)
            if self._opening.done() and not self._opening.cancelled() and not self._opening.exception():
                self._sandboxes.release(self._opening.result())
        await cancel_all(self._tasks)

    def _enter(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        page, context = self._handles.handle_of(self._page), self._handles.handle_of(self._page.context)
        self._queue.append(["begin", page, context, dict(self._secrets)])

    async def _race(self, sandbox: Sandbox, wanted: Awaitable[Any]) -> Any:
        """What is wanted, unless the sandbox is lost first."""
        task = asyncio.ensure_future(wanted)
        try:
            await asyncio.wait((task, sandbox.lost), return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                return task.result()
            raise ActionError(sandbox.lost.result())
        finally:
            task.cancel()

    # --- messages in

    def _send(self, message: list[Any]) -> None:
        self._queue.append(message)
        if not self._planned:
            self._planned = True
            asyncio.get_running_loop().call_soon(self._flush)

    def _tell(self, message: list[Any]) -> None:
        """Sends what makes the action go on: it must find pages and frames as they are."""
        self._refresh()
        self._send(message)

    def _refresh(self) -> None:
        try:
            self._handles.send_changes()
        except CallRefused as refused:
            self._notes.fail(str(refused))

    def _flush(self) -> None:
        self._planned = False
        sandbox = self._sandbox
        if sandbox is None or sandbox.lost.done() or self._exchanges >= _MAX_EXCHANGES:
            return  # with the answer to an exchange it goes on
        messages, self._queue = self._queue, []
        self._handles.body_bytes = 0
        self._exchanges += 1
        sandbox.exchange(encode(messages).decode()).add_done_callback(self._receive)

    def _backlog(self) -> int:
        """Messages that wait; bodies count as more than one."""
        return len(self._queue) + self._handles.body_bytes // _BODY_OF_A_MESSAGE

    def _watch(self, page: Page) -> None:
        """Keeps the sandbox's copy of a page's state true."""
        page.on("framenavigated", lambda _: self._refresh())
        page.on("close", lambda _: self._refresh())

    # --- messages out

    def _receive(self, answer: "asyncio.Future[str]") -> None:
        self._exchanges -= 1
        if answer.cancelled():
            return
        if answer.exception():
            self._fail(self._gone())
            return
        try:
            self._heard.extend(decode_messages(answer.result()))
        except CallRefused as refused:
            self._break(ActionError(str(refused), refused.code))
        self._take_up()

    def _take_up(self) -> None:
        """Hears some of the messages that have come; the loop has others to serve."""
        if self._sandbox is None or self._sandbox.lost.done():
            self._heard.clear()
            return
        try:
            for _ in range(min(_BATCH_SIZE, len(self._heard))):
                if self._heard:  # one of them may have been the last
                    self._hear(self._heard.popleft())
        except (ValueError, TypeError, IndexError, KeyError, AttributeError) as wrong:
            self._fail(ActionError(f"the sandbox wrote what we can't read: {wrong}"))
        except CallRefused as refused:
            self._fail(ActionError(str(refused), refused.code))
        if self._heard:
            asyncio.get_running_loop().call_soon(self._take_up)
        elif self._queue:
            self._flush()  # also those that had to wait for one of several exchanges
        elif self._exchanges == 0:
            asyncio.get_running_loop().call_later(_POLL_DELAY, self._ask)

    def _ask(self) -> None:
        if self._exchanges == 0:
            self._flush()

    def _hear(self, message: list[Any]) -> None:
        match message:
            case ["call", int() as number, target, name, list() as args]:
                self._moved |= name not in READ_ONLY
                self._answer(number, lambda: self._calls.call(target, name, args))
            case ["route", int() as number, handle]:
                self._moved = True
                self._answer(number, lambda: self._events.route(handle))
            case ["on", handle, event]:
                self._moved = True  # it waits for something
                self._events.subscribe(handle, event)
            case ["off", handle, event]:
                self._events.unsubscribe(handle, event)
            case ["handled", number]:
                self._events.dialog_handled(number)
            case ["log" | "error" as kind, str() as line]:
                (self._notes.log if kind == "log" else self._notes.fail)(line)
            case ["refused", str() as said]:
                self._fail_handler(ActionError(_sentence(None, said), "forbidden"))
            case ["done", number, value] if number == self._number:
                self._settle(value)
            case ["fail", number, {"message": str() as said} as failed] if number == self._number:
                code = failed.get("code")
                self._fail(
                    ActionError(_sentence(failed.get("name"), said), code if code in _CODES else "action_failed")
                )

    def _settle(self, value: Any) -> None:
        if self._outcome and not self._outcome.done():
            self._outcome.set_result(value)

    def _gone(self) -> Exception:
        """Why the sandbox says nothing any more: what dies with its browser need not have been the reason."""
        if self._sandbox and self._sandbox.browser_gone:
            return SandboxCrashed(BROWSER_LOST)
        return ActionError(self._sandbox.loss_reason(_SANDBOX_LOST) if self._sandbox else _SANDBOX_LOST)

    def _fail(self, failure: Exception) -> None:
        if self._outcome and not self._outcome.done():
            self._outcome.set_exception(failure)
            self._outcome.exception()  # an action that was given up in between does not look at it any more

    def _break(self, failure: ActionError) -> None:
        """Fails the action, and ends the sandbox: what it has written beside is heard no more."""
        self._fail(failure)
        self._heard.clear()
        if self._sandbox:
            self._sandbox.close()

    def _fail_handler(self, failure: ActionError) -> None:
        """What a handler asked for is refused: the action that runs fails, else whatever its request was for."""
        if self._outcome is None and self._refusal is None:
            self._refusal = failure
        self._fail(failure)

    def _answer(self, number: int, make: Callable[[], Awaitable[Any]]) -> None:
        self._made += 1
        if self._made > MAX_CALLS:
            self._break(ActionError(f"the action made more than {MAX_CALLS} calls"))
        elif len(self._tasks) >= MAX_CONCURRENT_CALLS:
            self._refuse(number, f"more than {MAX_CONCURRENT_CALLS} calls at once")
        else:
            self._begin(self._make(number, make))

    async def _make(self, number: int, make: Callable[[], Awaitable[Any]]) -> None:
        try:
            value = encode(self._handles.encode(await make()))
            if len(value) > MAX_BYTES:
                raise CallRefused(f"the result is larger than {MAX_BYTES >> 20} MiB", "limit_exceeded")
            self._tell(["answer", number, Raw(value)])
        except CallRefused as refused:
            self._refuse(number, str(refused), refused.code)
            if isinstance(refused, RouteRefused):  # told first: then nobody is told of the request's end instead
                self._fail_handler(ActionError(str(refused), refused.code))
                await refused.abort()
        except PlaywrightError as error:
            said = playwright_errors.describe(error)
            code = "limit_exceeded" if playwright_errors.is_too_large(said) else ""
            self._refuse(number, said, code, error.name or "Error")
        except Exception as error:  # Playwright's Python side also raises what it does not foresee
            self._refuse(number, playwright_errors.first_line(error))

    def _refuse(self, number: int, reason: str, code: str = "", name: str = "Error") -> None:
        self._send(["refuse", number, {"name": name, "message": reason, "code": code}])

    def _begin(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _sentence(name: Any, said: str) -> str:
    said = " ".join(cap_length(said).split())
    return said if name in ("Error", "TimeoutError", None) or said.startswith(str(name)) else f"{name}: {said}"
