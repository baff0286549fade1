"""A sandbox: an isolated page without network or files, in which the scripts of one job run."""

import asyncio
import importlib.resources
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from pydantic import ConfigDict
from pydantic.alias_generators import to_camel
from sidecar_protocol.decoding import decode_answer
from sidecar_protocol.encoding import encode
from sidecar_protocol.models import Lenient

from sidecar.browser.sandbox.allowlist import describe_api
from sidecar.browser.sandbox.cdp_pipe import CdpError, CdpPipe
from sidecar.errors import SandboxCrashed

_POLICY: Final = "default-src 'none'; base-uri 'none'; form-action 'none'; webrtc 'block'"
_PAGE: Final = f'data:text/html,<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
_LOADED: Final = "document.readyState === 'complete' || new Promise((done) => addEventListener('load', done))"
_BROWSER_LOST: Final = "the browser of the sandboxes crashed, possibly because of another script"
_LOST: Final = {
    "Page.frameAttached": "its sandbox was closed: it can't have frames",
    "Page.frameNavigated": "its sandbox was closed: it navigated away",
    "Inspector.targetCrashed": "its sandbox crashed, probably out of memory",
    "Inspector.detached": "its sandbox was closed",
}


class ScriptError(Exception):
    """A script failed in its sandbox; `code` is the wire's, `stack` says where in the script's own files."""

    def __init__(self, reason: str, code: str = "action_failed", stack: tuple[str, ...] = ()) -> None:
        super().__init__(reason)
        self.code = code
        self.stack = stack


@dataclass(frozen=True, slots=True)
class Compiled:
    """A source that was evaluated: its value, or what it failed with, for `call`."""

    argument: dict[str, Any]
    failed: bool
    syntax_error: tuple[int, int] | None
    """Line and column, counted from 1, where it could not be parsed."""


class _CdpModel(Lenient):
    """A response of Chromium, by the names of its protocol."""

    model_config = ConfigDict(alias_generator=to_camel)


class _RemoteObject(_CdpModel):
    """A JavaScript value as CDP represents it."""

    type: str = "undefined"
    object_id: str | None = None
    value: Any = None
    unserializable_value: str | None = None
    description: str = ""
    class_name: str = ""


class _ExceptionDetails(_CdpModel):
    line_number: int = 0
    column_number: int = 0
    script_id: str = ""
    """Set only if the source could not be parsed."""


class _EvaluateResult(_CdpModel):
    result: _RemoteObject
    exception_details: _ExceptionDetails | None = None
    """Set if `result` was thrown."""


class _Target(_CdpModel):
    browser_context_id: str = ""
    target_id: str = ""
    session_id: str = ""


class Sandbox:
    """A page in its own browser context, and so in its own process."""

    def __init__(self, pipe: CdpPipe, context: str, session: str) -> None:
        self._pipe = pipe
        self._context = context
        self._session = session
        self._bridge = ""
        self._closing: asyncio.Future[Any] | None = None
        self.lost: asyncio.Future[Exception] = asyncio.get_running_loop().create_future()
        """Done once the sandbox can't run scripts any more; the result is why."""
        pipe.subscribe(session, self._on_event)

    @property
    def browser_gone(self) -> bool:
        """Whether its whole browser has ended, for which another sandbox may be the reason."""
        return self._pipe.broken

    def loss(self, reason: str) -> Exception:
        """The error of a sandbox that no longer answers; `reason` is the default text."""
        if self.browser_gone:
            return SandboxCrashed(_BROWSER_LOST)
        return self.lost.result() if self.lost.done() else ScriptError(reason)

    async def run(self, number: int, source: str, prefix_length: int = 0) -> None:
        """Starts a script; its outcome arrives as a message with this number. Raises CdpError.

        `prefix_length` is the number of characters on its first line that its author did not write.
        """
        compiled = await self.compile(source, prefix_length)
        place = "line {}, column {}".format(*compiled.syntax_error) if compiled.syntax_error else ""
        await self.call("fail" if compiled.failed else "settle", {"value": number}, compiled.argument, {"value": place})

    async def compile(self, source: str, prefix_length: int = 0) -> Compiled:
        """Evaluates a source, which stays in the sandbox. Raises CdpError."""
        params = {"expression": source, "replMode": True, "silent": True, "allowUnsafeEvalBlockedByCSP": False}
        outcome = decode_answer(_EvaluateResult, await self._send("Runtime.evaluate", params))
        position = _syntax_error_position(outcome, prefix_length)
        return Compiled(_argument(outcome.result), outcome.exception_details is not None, position)

    async def call(self, method: str, *arguments: dict[str, Any]) -> None:
        """Calls a method of the program. Raises CdpError."""
        params = {
            "objectId": self._bridge,
            "functionDeclaration": f"function (...given) {{ this.{method}(...given) }}",
            "arguments": arguments,
        }
        await self._send("Runtime.callFunctionOn", params)

    def exchange(self, messages: str) -> "asyncio.Future[str]":
        """Sends messages; gives outgoing ones once there are any, or when `exchange` is called again (long polling)."""
        arguments = {
            "objectId": self._bridge,
            "functionDeclaration": "function (messages) { return this.exchange(messages) }",
            "arguments": [{"value": messages}],
            "returnByValue": True,
            "awaitPromise": True,
        }
        return asyncio.ensure_future(self._exchange_result(self._send("Runtime.callFunctionOn", arguments)))

    async def _exchange_result(self, answer: asyncio.Future[Any]) -> str:
        outcome = decode_answer(_EvaluateResult, await answer)
        if outcome.exception_details or not isinstance(outcome.result.value, str):
            raise CdpError("the sandbox's page no longer answers")
        return outcome.result.value

    def close(self, why: Exception | None = None) -> asyncio.Future[Any]:
        """Closes the page and its process, endless loops included; repeated calls share one result.

        `why` is what the script did wrong: pending calls fail with that, not with the sandbox's end.
        """
        if self._closing is None:
            self._mark_lost(why or ScriptError("its sandbox was closed"))
            self._pipe.unsubscribe(self._session)
            self._closing = self._pipe.send("Target.disposeBrowserContext", {"browserContextId": self._context})
        return self._closing

    async def load(self, program: str) -> None:
        """Loads the program that scripts run in, whose value `run` and `exchange` call. Raises CdpError."""
        self._send("Inspector.enable")
        await self._send("Page.navigate", {"url": _PAGE})
        await self._send("Runtime.evaluate", {"expression": _LOADED, "awaitPromise": True})
        self._send("Page.enable")
        params = {"expression": program, "allowUnsafeEvalBlockedByCSP": False}
        outcome = decode_answer(_EvaluateResult, await self._send("Runtime.evaluate", params))
        if outcome.exception_details or not outcome.result.object_id:
            raise CdpError(f"the sandbox could not be prepared: {outcome.result.description}")
        self._bridge = outcome.result.object_id

    def _send(self, method: str, params: dict[str, Any] | None = None) -> asyncio.Future[Any]:
        return self._pipe.send(method, params, self._session)

    def _on_event(self, event: str) -> None:
        if event in _LOST:
            self._mark_lost(ScriptError(_LOST[event]))
            self.close()

    def _mark_lost(self, why: Exception) -> None:
        if not self.lost.done():
            self.lost.set_result(why)


async def open_sandbox(pipe: CdpPipe, program: str) -> Sandbox:
    """Opens a sandbox and loads the program. Raises CdpError."""
    context = await _target(pipe, "createBrowserContext", disposeOnDetach=True)
    page = await _target(pipe, "createTarget", url="about:blank", browserContextId=context.browser_context_id)
    attached = await _target(pipe, "attachToTarget", targetId=page.target_id, flatten=True)
    sandbox = Sandbox(pipe, context.browser_context_id, attached.session_id)
    await sandbox.load(program)
    return sandbox


async def _target(pipe: CdpPipe, command: str, **params: Any) -> _Target:
    return decode_answer(_Target, await pipe.send(f"Target.{command}", params))


def _syntax_error_position(outcome: _EvaluateResult, prefix_length: int) -> tuple[int, int] | None:
    """Line and column of a syntax error, as the script's author counts them."""
    thrown = outcome.exception_details
    if thrown is None or not thrown.script_id or outcome.result.class_name != "SyntaxError":
        return None
    column = thrown.column_number - (prefix_length if thrown.line_number == 0 else 0)
    return thrown.line_number + 1, max(column, 0) + 1


def _argument(value: _RemoteObject) -> dict[str, Any]:
    if value.object_id:
        return {"objectId": value.object_id}
    if value.unserializable_value:
        return {"unserializableValue": value.unserializable_value}
    return {} if value.type == "undefined" else {"value": value.value}


def load_program(name: str, argument: object, parts: Mapping[str, str] | None = None) -> str:
    """The source of a program in this package, called with `argument` as JSON, `base.js`, and functions by name.

    `parts` gives the file of each function.
    """
    members = ", ".join(f'"{part}": {_read(file)}' for part, file in (parts or {}).items())
    return f"({_read(name)})\n({encode(argument).decode()}, {_read('base.js')}, {{{members}}})"


def _read(name: str) -> str:
    return importlib.resources.files(__package__).joinpath(name).read_text("utf-8").rstrip()


@cache
def actions_program() -> str:
    """The program for JavaScript actions."""
    return load_program("proxy.js", describe_api())
