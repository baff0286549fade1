"""Playwright's driver, read from by a loop of our own.

Playwright appends what comes from the driver 32 KiB at a time to bytes that it copies each time: an answer of 50 MB
holds up the whole process for more than half a minute. Here it is collected once, and a value that would still hold
up the others for long, by its size or its parts, is a failure of the call: decoding can't be cut into pieces. And a
call that is cancelled ends only when the driver has said that it gives up: one that says nothing at all is killed.
Nothing else of its pipe is changed, and of a call only that nobody notes where it was made; `pyproject.toml` names the
versions whose pipe and calls are such.
"""

import asyncio
import contextlib
import json
import re
import traceback
from collections.abc import Callable
from typing import Any, Final, cast
from weakref import WeakKeyDictionary, WeakValueDictionary

import msgspec
from playwright._impl._connection import Connection
from playwright._impl._object_factory import create_remote_object
from playwright._impl._transport import PipeTransport
from playwright.async_api import BrowserContext, ConsoleMessage, Playwright

from sidecar.browser import isolated_world
from sidecar.browser.crash_guard import consume_exception

_LARGE_ANSWER: Final = 1 << 16
"""Bytes from which an answer may have too many parts."""
_MAX_OBJECTS: Final = 250_000
"""In one answer, counted by how they begin, which no string holds: Playwright takes 5 µs for each of them."""
MAX_VALUE_BYTES: Final = 16 << 20
"""Bytes of one value that a page's script or element gives."""
_VALUE_METHODS: Final = frozenset(
    {"evaluateExpression", "jsonValue", "ariaSnapshot", "evalOnSelector", "evalOnSelectorAll"}
    | {"innerText", "innerHTML", "textContent", "inputValue", "getAttribute"}
    | {"Runtime.evaluate", "Runtime.callFunctionOn"}
)
"""Calls of the driver's protocol that give one, and of Chromium's, which the driver passes on under their `method`."""
_PING: Final = {"id": "ping", "guid": "nobody", "method": "ping", "params": {}, "metadata": {}}
"""A call of an object that is not there, which the driver refuses by itself."""
_DISPOSE_ID: Final = "drop"
"""The number of all calls that let go of a handle; what is answered to them is no matter."""
_HANDLE_TYPES: Final = frozenset({"JSHandle", "ElementHandle"})
_EMPTY_STACK: Final = traceback.StackSummary.from_list([("playwright", 0, "call", "")])
_CALL_ID: Final = re.compile(rb'\{"id":("[^"]+"|\d+),')


class Driver:
    """A running driver; `playwright` is what one talks to."""

    def __init__(self, connection: Connection, transport: "_Transport", playwright: Playwright) -> None:
        self._connection = connection
        self._transport = transport
        self._stopped = False
        self.playwright = playwright
        self.on_death: Callable[[], None] = lambda: None
        """Called when it ends without having been told to."""
        transport.on_death = lambda: self.on_death()

    async def stop(self, seconds: float) -> None:
        """Ends the process and its browser, once: asks them to, and kills what is still there after so long."""
        if self._stopped:
            return
        self._stopped = True
        stopping = asyncio.create_task(self._connection.stop_async())
        stopping.add_done_callback(consume_exception)
        await asyncio.wait((stopping,), timeout=seconds)
        if not stopping.done():
            _kill_process_tree(self._transport.process)
            await asyncio.wait((stopping,), timeout=seconds)


async def start_driver(ping_timeout: float) -> Driver:
    """Starts a driver, which is killed where it is silent for so many seconds. Raises what stands in its way."""
    loop = asyncio.get_running_loop()
    transport = _Transport(loop, ping_timeout)
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
    """Ends the handles of what a page has written to its console, which else live here and in the driver as long as
    the page's context."""
    for channel in message._impl_obj._event["args"]:
        handle = getattr(channel, "_object", None)
        if handle is None:
            continue  # one that was not handed on
        transport = handle._connection._transport
        if isinstance(transport, _Transport):
            transport.dispose_handle(handle._guid)
        else:  # of a browser that runs elsewhere
            handle._channel.send_no_reply("dispose", None, {})


def mute_console(context: BrowserContext) -> None:
    """Hands on no console lines of this context but to others that listen, also none that are on their way by now."""
    own = context._impl_obj
    transport = own._connection._transport
    if isinstance(transport, _Transport):
        transport.muted[own._guid] = own


def unmute_console(context: BrowserContext) -> None:
    """Ends `mute_console`."""
    own = context._impl_obj
    transport = own._connection._transport
    if isinstance(transport, _Transport):
        transport.muted.pop(own._guid, None)


def _has_no_console_listener(context: Any) -> bool:
    heard = context is None or context.listeners("console")
    return not heard and not any(page.listeners("console") for page in context.pages)


class _Connection(Connection):
    """Leaves out what Playwright keeps of each call, to say where it came from if it fails: ten files are looked at."""

    def _send_message_to_server(self, *given: Any, **named: Any) -> Any:
        task = asyncio.current_task(self._loop)
        if task is not None:
            task.__pw_stack_trace__ = _EMPTY_STACK  # type: ignore[attr-defined]
        return super()._send_message_to_server(*given, **named)


class _Transport(PipeTransport):
    def __init__(self, loop: asyncio.AbstractEventLoop, ping_timeout: float) -> None:
        super().__init__(loop)
        self._ping_timeout = ping_timeout
        self.on_death: Callable[[], None] = lambda: None
        self.running: asyncio.Task[None] | None = None
        """Kept, so that it is not collected."""
        self._value_calls: set[str | int] = set()
        """Numbers of the calls that wait for a value."""
        self.muted: WeakValueDictionary[str, Any] = WeakValueDictionary()
        """Contexts, by what the driver calls them, whose console nobody listens to any more."""
        self._held_handles: list[Any] = []
        """Handles that have come, and may be of a console line."""
        self._withheld: WeakKeyDictionary[Any, set[str]] = WeakKeyDictionary()
        """Of each context, those that were not handed on."""
        self._kill_timer: asyncio.TimerHandle | None = None
        """There while it is asked whether it still answers."""

    @property
    def process(self) -> int:
        """The driver's."""
        return int(self._proc.pid)

    async def kill(self, running: asyncio.Task[None]) -> None:
        """Ends a driver that has not come up, and can't be told to end; `running` is what reads from it."""
        if hasattr(self, "_proc"):
            _kill_process_tree(self.process)
        else:
            running.cancel()  # asyncio ends the process that it is just making
        await asyncio.wait((running,))

    def send(self, message: dict[str, Any]) -> None:
        """Passes a call on."""
        if message["params"].get("method", message["method"]) in _VALUE_METHODS:
            self._value_calls.add(message["id"])
        elif message["method"] == "__abort__":
            self._ping()
        super().send(message)

    def dispose_handle(self, guid: str) -> None:
        """Lets go of a handle, at a tenth of what a call of Playwright's costs."""
        super().send({"id": _DISPOSE_ID, "guid": guid, "method": "dispose", "params": {}, "metadata": {}})

    def _ping(self) -> None:
        if not self._kill_timer:
            super().send(_PING)
            self._expect_answer(halves=2)

    def _expect_answer(self, halves: int) -> None:
        """Kills a driver that does not answer in time.

        That has two halves: if it was us who were halted, its answer lies there to be read before the second is over.
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
        """Hands on every message until the driver ends."""
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
                decoded = self._decode(message)
                number = decoded.get("id")
                if number == _PING["id"]:
                    self._on_pong()
                elif number != _DISPOSE_ID:
                    self._dispatch(decoded)
                del message, decoded
                await asyncio.sleep(0)
        except asyncio.IncompleteReadError:
            if not self._is_stopping():
                self.on_error_future.set_exception(Exception("Connection closed while reading from the driver"))
                self.on_error_future.exception()  # whoever waits for an answer is told; nobody else has to ask
                self.on_death()

    def _dispatch(self, message: Any) -> None:
        """Hands it on, unless it is a console line that nobody listens to: such a one comes after its handles."""
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

    def _decode(self, message: bytes) -> Any:
        found = _CALL_ID.match(message)
        if found is None:
            return _decode(message)
        number = json.loads(found[1])
        asks_value = number in self._value_calls
        self._value_calls.discard(number)
        if asks_value and len(message) > MAX_VALUE_BYTES:
            return _error_answer(number, f"the value of the page has more than {MAX_VALUE_BYTES >> 20} MiB")
        if len(message) >= _LARGE_ANSWER and message.count(b'{"') > _MAX_OBJECTS:
            return _error_answer(number, f"the value of the page has more than {_MAX_OBJECTS} parts")
        return _decode(message)


def _decode(message: bytes) -> Any:
    try:
        return msgspec.json.decode(message)
    except msgspec.DecodeError:
        return json.loads(message)  # half a surrogate pair, which a page may well hold


def _error_answer(number: str | int, reason: str) -> dict[str, Any]:
    """What the driver answers where a call fails."""
    return {"id": number, "error": {"error": {"name": "Error", "message": reason, "stack": ""}}}


def _kill_process_tree(process: int) -> None:
    """Kills a process and all its descendants, stopped ones too, without waiting for their end."""
    import psutil  # late: takes 10 ms, and most drivers end by themselves

    with contextlib.suppress(psutil.Error):  # it has ended meanwhile
        root = psutil.Process(process)
        for each in (*root.children(recursive=True), root):
            with contextlib.suppress(psutil.Error):
                each.kill()
