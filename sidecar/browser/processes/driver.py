"""Playwright's driver with a transport of our own.

Playwright's transport reads in pieces of 32 KiB and copies all that it has for each piece: a message of 50 MB blocks
the process for more than half a minute. This transport reads a message at once, and fails a call whose value would
take too long to decode, by its size or the number of its parts. A cancelled call ends when the driver confirms it; a
driver that no longer responds is killed. Calls record no stack trace. `pyproject.toml` names the versions of Playwright
that this fits.
"""

import asyncio
import contextlib
import json
import re
import traceback
from asyncio.subprocess import Process
from collections.abc import Awaitable, Callable
from typing import Any, Final, cast
from weakref import WeakKeyDictionary, WeakValueDictionary

import orjson
from playwright._impl._connection import Connection
from playwright._impl._object_factory import create_remote_object
from playwright._impl._transport import PipeTransport
from playwright.async_api import BrowserContext, ConsoleMessage, Playwright

from sidecar.browser import isolated_world, large_values
from sidecar.browser.background_tasks import consume_exception

_MAX_OBJECTS: Final = 250_000
"""Objects in one reply, counted by `{"`, which no JSON string contains: Playwright takes 5 µs for each."""
MAX_VALUE_BYTES: Final = 16 << 20
"""The largest value that a page's script or element may return, in bytes."""
_VALUE_METHODS: Final = frozenset(
    {"evaluateExpression", "jsonValue", "ariaSnapshot", "evalOnSelector", "evalOnSelectorAll"}
    | {"innerText", "innerHTML", "textContent", "inputValue", "getAttribute"}
    | {"Runtime.evaluate", "Runtime.callFunctionOn"}
)
"""Calls that return such a value: the driver's own, and CDP commands, which the driver passes on."""
_PING: Final = {"id": "ping", "guid": "nobody", "method": "ping", "params": {}, "metadata": {}}
"""A call on an object that does not exist, to which the driver itself replies with an error."""
_DISPOSE_ID: Final = "drop"
"""The id of all calls that dispose a handle; their replies are ignored."""
_HANDLE_TYPES: Final = frozenset({"JSHandle", "ElementHandle"})
_EMPTY_STACK: Final = traceback.StackSummary.from_list([("playwright", 0, "call", "")])
_CALL_ID: Final = re.compile(rb'\{"id":("[^"]+"|\d+),')


class Driver:
    """A running driver and its `playwright` object."""

    def __init__(self, connection: Connection, transport: "_Transport", playwright: Playwright) -> None:
        self._connection = connection
        self._transport = transport
        self._stopped = False
        self.playwright = playwright
        self.on_death: Callable[[], None] = lambda: None
        """Called when the driver ends unexpectedly."""
        transport.on_death = lambda: self.on_death()

    async def stop(self, seconds: float) -> None:
        """Stops the driver and its browser, and kills what still runs after `seconds`."""
        if self._stopped:
            return
        self._stopped = True
        stopping = asyncio.create_task(self._connection.stop_async())
        stopping.add_done_callback(consume_exception)
        await asyncio.wait((stopping,), timeout=seconds)
        if not stopping.done():
            _kill_process_tree(self._transport.process)
            await asyncio.wait((stopping,), timeout=seconds)


async def start_driver(start_process: Callable[[], Awaitable[Process]], ping_timeout: float) -> Driver:
    """Starts a driver, which is killed if it does not respond to a ping within `ping_timeout` seconds."""
    loop = asyncio.get_running_loop()
    transport = _Transport(loop, start_process, ping_timeout)
    connection = _Connection(None, create_remote_object, transport, loop)
    transport.running = running = loop.create_task(connection.run())
    running.add_done_callback(consume_exception)
    ready = connection.playwright_future
    try:
        await asyncio.wait((transport.on_error_future, ready), return_when=asyncio.FIRST_COMPLETED)
    except asyncio.CancelledError:
        ready.cancel()
        await transport.kill(running)
        raise
    if not ready.done():
        ready.cancel()
        raise transport.on_error_future.exception() or ConnectionError("the driver ended")
    playwright = Playwright(ready.result())
    await isolated_world.register_engine(playwright)
    return Driver(connection, transport, playwright)


def dispose_console_handles(message: ConsoleMessage) -> None:
    """Disposes the handles of a console message, which would otherwise live as long as the page's context."""
    for channel in message._impl_obj._event["args"]:
        handle = getattr(channel, "_object", None)
        if handle is None:
            continue  # a handle that was withheld
        transport = handle._connection._transport
        if isinstance(transport, _Transport):
            transport.dispose_handle(handle._guid)
        else:  # of a browser that runs elsewhere
            handle._channel.send_no_reply("dispose", None, {})


def mute_console(context: BrowserContext) -> None:
    """Drops console messages of this context, those under way included, unless it has other listeners."""
    own = context._impl_obj
    transport = own._connection._transport
    if isinstance(transport, _Transport):
        transport.muted[own._guid] = own


def unmute_console(context: BrowserContext) -> None:
    """Delivers console messages of this context again."""
    own = context._impl_obj
    transport = own._connection._transport
    if isinstance(transport, _Transport):
        transport.muted.pop(own._guid, None)


def _has_no_console_listener(context: Any) -> bool:
    heard = context is None or context.listeners("console")
    return not heard and not any(page.listeners("console") for page in context.pages)


class _Connection(Connection):
    """A connection that records no stack trace for each call, for which Playwright reads ten files."""

    def _send_message_to_server(self, *given: Any, **named: Any) -> Any:
        task = asyncio.current_task(self._loop)
        if task is not None:
            task.__pw_stack_trace__ = _EMPTY_STACK  # type: ignore[attr-defined]
        return super()._send_message_to_server(*given, **named)


class _Transport(PipeTransport):
    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        start_process: Callable[[], Awaitable[Process]],
        ping_timeout: float,
    ) -> None:
        super().__init__(loop)
        self._start_process = start_process
        self._ping_timeout = ping_timeout
        self.on_death: Callable[[], None] = lambda: None
        self.running: asyncio.Task[None] | None = None
        """A reference, so that the task is not garbage collected."""
        self._value_calls: set[str | int] = set()
        """The ids of pending calls that return a value."""
        self._large_value_calls: set[str | int] = set()
        """Those of them whose caller takes a LargeValue."""
        self.muted: WeakValueDictionary[str, Any] = WeakValueDictionary()
        """Contexts with a muted console, by their guid."""
        self._held_handles: list[Any] = []
        """Handles that have arrived and may belong to a console message."""
        self._withheld: WeakKeyDictionary[Any, set[str]] = WeakKeyDictionary()
        """The guids of withheld handles by context."""
        self._kill_timer: asyncio.TimerHandle | None = None
        """Set while a ping is pending."""

    @property
    def process(self) -> int:
        """The driver's process id."""
        return int(self._proc.pid)

    async def connect(self) -> None:
        """Starts the process, in place of Playwright's own way, which would need a child's variables in ours."""
        self._stopped_future: asyncio.Future[None] = self._loop.create_future()
        try:
            self._proc = await self._start_process()
        except Exception as failure:
            self.on_error_future.set_exception(failure)
            raise
        self._output = self._proc.stdin

    async def kill(self, running: asyncio.Task[None]) -> None:
        """Kills a driver that has not started up; `running` is the task that reads from it."""
        if hasattr(self, "_proc"):
            _kill_process_tree(self.process)
        else:
            running.cancel()  # asyncio ends the process that it is just making
        await asyncio.wait((running,))

    def send(self, message: dict[str, Any]) -> None:
        """Sends a call to the driver."""
        if message["params"].get("method", message["method"]) in _VALUE_METHODS:
            self._value_calls.add(message["id"])
            if large_values.are_taken():
                self._large_value_calls.add(message["id"])
        elif message["method"] == "__abort__":
            self._ping()
        super().send(message)

    def serialize_message(self, message: dict[str, Any]) -> bytes:
        """Encodes a call; a thread has encoded a large argument of it."""
        return large_values.put_argument(message, super().serialize_message(message))

    def dispose_handle(self, guid: str) -> None:
        """Disposes a handle, at a tenth of the cost of Playwright's own call."""
        super().send({"id": _DISPOSE_ID, "guid": guid, "method": "dispose", "params": {}, "metadata": {}})

    def _ping(self) -> None:
        if not self._kill_timer:
            super().send(_PING)
            self._expect_answer(halves=2)

    def _expect_answer(self, halves: int) -> None:
        """Kills a driver that does not reply in time.

        The time has two halves: if the sidecar itself was stopped, it reads the reply before the second one is over.
        """
        if halves:
            self._kill_timer = self._loop.call_later(self._ping_timeout / 2, self._expect_answer, halves - 1)
        else:
            _kill_process_tree(self.process)

    def _on_pong(self) -> None:
        if self._kill_timer:
            self._kill_timer.cancel()
            self._kill_timer = None

    async def run(self) -> None:
        """Dispatches every message until the driver ends."""
        try:
            await self._dispatch_messages()
            await self._proc.communicate()
        finally:
            self._on_pong()
            if not self._stopped_future.done():
                self._stopped_future.set_result(None)

    async def _dispatch_messages(self) -> None:
        output = cast(asyncio.StreamReader, self._proc.stdout)
        try:
            while True:
                length = int.from_bytes(await output.readexactly(4), "little")
                message = await output.readexactly(length)
                if self._is_stopping():
                    break
                decoded = await self._decode(message)
                number = decoded.get("id")
                if number == _PING["id"]:
                    self._on_pong()
                elif number != _DISPOSE_ID:
                    self._dispatch(decoded)
                # for what the driver creates or disposes nothing waits: it belongs to a message that follows
                waited_for = not str(decoded.get("method", "")).startswith("__")
                del message, decoded
                if waited_for:
                    await asyncio.sleep(0)
        except asyncio.IncompleteReadError:
            if not self._is_stopping():
                self.on_error_future.set_exception(Exception("Connection closed while reading from the driver"))
                self.on_error_future.exception()  # marks it retrieved: there may be no waiter
                self.on_death()

    def _dispatch(self, message: Any) -> None:
        """Dispatches a message, unless it is a muted console message, which arrives after its handles."""
        if not self.muted and not self._withheld:
            self.on_message(message)
            return
        params = message.get("params") or {}
        if message.get("method") == "__create__" and params.get("type") in _HANDLE_TYPES:
            self._held_handles.append(message)
            return
        held, self._held_handles = self._held_handles, []
        guid = message.get("guid")
        context = self.muted.get(guid)
        if message.get("method") == "console" and _has_no_console_listener(context):
            self._withheld.setdefault(context, set()).update(one["params"]["guid"] for one in held)
            return
        for one in held:
            self.on_message(one)
        if not any(guid in unknown for unknown in self._withheld.values()):
            self.on_message(message)

    def _is_stopping(self) -> bool:
        return self._stopped

    async def _decode(self, message: bytes) -> Any:
        found = _CALL_ID.match(message)
        if found is None:
            return _decode(message)
        number = json.loads(found[1])
        asks_value, takes_large = number in self._value_calls, number in self._large_value_calls
        self._value_calls.discard(number)
        self._large_value_calls.discard(number)
        if len(message) < large_values.LARGE:
            return _decode(message)
        if asks_value and len(message) > MAX_VALUE_BYTES:
            return _error_answer(number, f"the value of the page has more than {MAX_VALUE_BYTES >> 20} MiB")
        if message.count(b'{"') > _MAX_OBJECTS:
            return _error_answer(number, f"the value of the page has more than {_MAX_OBJECTS} parts")
        if takes_large:
            return await asyncio.to_thread(large_values.decode_answer, message, _decode)
        return _decode(message)


def _decode(message: bytes) -> Any:
    try:
        return orjson.loads(message)
    except orjson.JSONDecodeError:
        return json.loads(message)  # lone surrogates, which a page may contain


def _error_answer(number: str | int, reason: str) -> dict[str, Any]:
    """The driver's reply to a failed call."""
    return {"id": number, "error": {"error": {"name": "Error", "message": reason, "stack": ""}}}


def _kill_process_tree(process: int) -> None:
    """Kills a process and all its descendants, stopped ones too, without waiting for their end."""
    import psutil  # late: takes 10 ms, and most drivers end by themselves

    with contextlib.suppress(psutil.Error):  # it has ended meanwhile
        root = psutil.Process(process)
        for each in (*root.children(recursive=True), root):
            with contextlib.suppress(psutil.Error):
                each.kill()
