"""RPC calls of actions: looked up in the allowlist, arguments checked, then made on the job's object."""

import asyncio
import contextlib
import re
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final

from playwright.async_api import BrowserContext, Frame, Locator, Page, Route

from sidecar.browser import isolated_world, large_values, pdf, screenshots, viewport
from sidecar.browser.cdp import CdpClient
from sidecar.browser.header_policy import header_error
from sidecar.browser.new_page import open_page
from sidecar.browser.sandbox.allowlist import Method, methods, to_camel, to_snake
from sidecar.browser.sandbox.handles import HandleTable
from sidecar.browser.sandbox.wire_values import UNDEFINED, CallRefused, RouteRefused, decode, inline_files
from sidecar.browser.url_policy import AllowsUrl, check_url, is_page_navigation
from sidecar.errors import InvalidContent, LimitExceeded

MAX_CHAIN: Final = 100
_NAVIGATING: Final = frozenset({"goto", "reload", "go_back", "go_forward", "set_content", "wait_for_load_state"})
_ON_ELEMENTS: Final = frozenset(
    {"check", "clear", "click", "dblclick", "drag_and_drop", "drag_to", "drop", "fill", "focus", "hover", "press"}
    | {"press_sequentially", "select_option", "set_checked", "set_input_files", "tap", "type", "uncheck"}
)
"""Methods that wait for an element, and first for a running navigation, so as not to find it on the old page."""
_WITH_PATH: Final = frozenset({"clear_cookies"})
"""Methods whose `path` is a cookie's, not a file's."""
_WITH_ADDRESS: Final = frozenset({"goto", "continue_", "fallback"})
_WITH_FILES: Final = frozenset({"set_input_files", "set_files"})
_CONTEXT_WIDE: Final = frozenset(
    {"add_init_script", "clear_permissions", "grant_permissions"}
    | {"set_extra_http_headers", "set_geolocation", "set_offline"}
)
_ISOLATED_READS: Final[dict[str, Callable[[Any], Awaitable[Any]]]] = {
    "all_inner_texts": isolated_world.inner_texts,
    "all_text_contents": isolated_world.text_contents,
}
"""Methods that Playwright implements with functions that a page may override."""
_BOUNDED_CALLS: Final[dict[str, Callable[[Any, dict[str, Any]], Awaitable[Any]]]] = {
    "pdf": pdf.print_pdf,
    "screenshot": screenshots.capture,
    "set_viewport_size": viewport.resize,
}
"""Methods that could crash a browser without a limit on pixels."""
_VALUE_CALLS: Final = frozenset(
    {"evaluate", "evaluate_all", "eval_on_selector", "eval_on_selector_all", "json_value"}
    | {"evaluate_handle", "wait_for_function"}
)
"""Methods that return whatever a page's script returns, or give it an argument."""
_DEFAULT_TIMEOUT: Final = 30_000.0


class RpcCalls:
    """Makes the calls of one job.

    `remaining_ms` gives the time left for the step; `wait_until_settled` waits until a page no longer navigates.
    """

    def __init__(
        self,
        page: Page,
        cdp: CdpClient,
        handles: HandleTable,
        remaining_ms: Callable[[], float],
        wait_until_settled: Callable[[Page], Awaitable[None]],
        allows: AllowsUrl | None = None,
    ) -> None:
        """`allows` says which pages may be opened (None: all)."""
        self._allows = allows
        self._page = page
        self._cdp = cdp
        self._handles = handles
        self._remaining_ms = remaining_ms
        self._wait_until_settled = wait_until_settled
        self._timeout: float | None = None
        self._navigation_timeout: float | None = None
        self._sending = asyncio.Lock()
        """Held while a large argument is encoded: calls are sent in the order in which they were made."""
        self.target: Locator | None = None
        """What the last call looks for, unless it has succeeded."""
        self.changed_context = False
        """Whether a call has changed the context for all its future pages."""

    async def call(self, target: Any, name: Any, args: Any) -> Any:
        """The call's result. Raises CallRefused and Playwright's errors.

        A failed call on a route would leave its request pending: the request is aborted here, or, if the call is
        refused (RouteRefused), by the caller.
        """
        owner = self.resolve(target)
        try:
            return await self._call(owner, name, args)
        except Exception as failure:
            if isinstance(owner, Route):
                if isinstance(failure, CallRefused):
                    raise RouteRefused(failure, partial(_abort, owner)) from None
                await _abort(owner)
            raise

    async def _call(self, owner: Any, name: Any, args: Any) -> Any:
        method = self._method(owner, name, "call")
        arguments = self._bind(method, args)
        self._check(owner, method, arguments)
        if method.name in ("set_default_timeout", "set_default_navigation_timeout"):
            return self._set_timeout(method.name, arguments["timeout"])
        if "timeout" in method.options:
            arguments["timeout"] = self._timeout_for(method.name, arguments.get("timeout"))
        if isinstance(owner, BrowserContext) and method.name in _CONTEXT_WIDE:
            self.changed_context = True
        if method.name in _ON_ELEMENTS:
            await self._wait_until_settled(self._page)
        async with self._sending:
            arguments = dict(await large_values.encoded(arguments))
        if method.name == "title":
            return await self._cdp.ask(owner, "title")
        if method.name == "new_page":
            return await open_page(owner)
        self.target = _locator_of(owner, arguments)
        result = await _call(owner, method.name, arguments)
        self.target = None
        return result if method.name != "add_init_script" else None

    def resolve(self, target: Any) -> Any:
        """Resolves a reference: a handle, followed by chained calls."""
        match target:
            case {"h": number, "c": list() as chain} if len(chain) <= MAX_CHAIN:
                obj = self._handles.get(number)
            case _:
                raise CallRefused("a call needs a target object and at most 100 chained steps")
        for step in chain:
            if not isinstance(step, list) or len(step) != 2:
                raise CallRefused("a chained step needs a name and arguments")
            method = self._method(obj, step[0], "chain")
            if method.is_property:
                obj = getattr(obj, method.name)
            else:
                obj = getattr(obj, method.name)(**self._bind(method, step[1]))
        return obj

    def _method(self, owner: Any, name: Any, kind: str) -> Method:
        known = methods().get(type(owner).__name__, {})
        method = known.get(name) if isinstance(name, str) else None
        if method is None or method.kind != kind:
            raise CallRefused(f"actions may not call {name} on a {type(owner).__name__}", "forbidden")
        return method

    def _bind(self, method: Method, args: Any) -> dict[str, Any]:
        """Maps JavaScript's positional arguments and options to Python's names."""
        if not isinstance(args, list):
            raise CallRefused("arguments must be a list")
        values = [decode(value, self.resolve) for value in args]
        while values and values[-1] is UNDEFINED:
            values.pop()
        arguments = {
            name: value for name, value in zip(method.positional, values, strict=False) if value is not UNDEFINED
        }
        rest = values[len(method.positional) :]
        js_name = to_camel(method.name)
        if len(rest) > 1 or (rest and not isinstance(rest[0], dict | None)):
            raise CallRefused(f"{js_name} takes {len(method.positional)} arguments and options")
        for key, value in (rest[0] or {}).items() if rest else ():
            if key in ("path", "har") and method.name not in _WITH_PATH:
                raise CallRefused(f"{js_name}: the option {key} is refused: actions can't access files", "forbidden")
            if to_snake(key) not in method.options:
                raise CallRefused(f"{js_name} has no option {key}")
            if value is not UNDEFINED:
                arguments[to_snake(key)] = value
        return arguments

    def _check(self, owner: Any, method: Method, arguments: dict[str, Any]) -> None:
        """Checks single arguments. Raises CallRefused."""
        js_name = to_camel(method.name)
        if method.name == "close" and owner is self._page:
            raise CallRefused("page.close is refused: the job's own page is closed after its last step", "forbidden")
        if any(isinstance(value, re.Pattern) for value in arguments.values()):
            raise CallRefused(f"{js_name} takes no regular expression here")
        if method.name in _WITH_ADDRESS and arguments.get("url") is not None:
            try:
                check_url(str(arguments["url"]), js_name)
            except InvalidContent as wrong:
                raise CallRefused(wrong.message, "forbidden") from None
            self._check_scope(owner, js_name, str(arguments["url"]))
        if method.name == "set_extra_http_headers":
            _check_headers(arguments.get("headers"))
        if method.name in _WITH_FILES:
            arguments["files"] = inline_files(arguments.get("files"))
        if method.name == "drop":
            arguments["payload"] = _dropped(arguments.get("payload"))
        if method.name == "select_option":
            _selected_options(arguments)

    def _check_scope(self, owner: Any, js_name: str, url: str) -> None:
        """Checks that a page navigation sent to another URL stays in the token's scope. Raises CallRefused."""
        if self._allows and isinstance(owner, Route) and is_page_navigation(owner.request) and not self._allows(url):
            raise CallRefused(f"{js_name}: the token's scope does not cover this address", "forbidden")

    def _set_timeout(self, name: str, value: Any) -> None:
        if not isinstance(value, int | float) or isinstance(value, bool) or value < 0:
            raise CallRefused("a timeout must be a number of milliseconds")
        if name == "set_default_timeout":
            self._timeout = value
        else:
            self._navigation_timeout = value

    def _timeout_for(self, name: str, requested: Any) -> float:
        """The call's timeout in milliseconds: at most the step's remaining time, and never 0 (no timeout)."""
        default = (
            self._navigation_timeout if name in _NAVIGATING and self._navigation_timeout is not None else self._timeout
        )
        timeout = requested if isinstance(requested, int | float) else default
        if timeout is None:
            timeout = _DEFAULT_TIMEOUT
        remaining_ms = max(1.0, self._remaining_ms())
        return min(timeout, remaining_ms) if timeout > 0 else remaining_ms


async def _abort(route: Route) -> None:
    with contextlib.suppress(Exception):  # it was answered before
        await route.abort("blockedbyclient")


def _locator_of(owner: Any, arguments: dict[str, Any]) -> Locator | None:
    """The elements that a call is for, as far as its object and arguments say so."""
    selector = arguments.get("selector")
    if isinstance(owner, Page | Frame) and isinstance(selector, str):
        return owner.locator(selector)
    return owner if isinstance(owner, Locator) else None


async def _call(owner: Any, name: str, arguments: dict[str, Any]) -> Any:
    """Makes the call. Raises CallRefused for too many pixels, and Playwright's errors."""
    if name in _ISOLATED_READS:
        return await _ISOLATED_READS[name](owner)
    if name in isolated_world.ELEMENT_READS and isinstance(owner, Page | Frame | Locator):
        return await isolated_world.read_element(owner, name, arguments)
    if name in _VALUE_CALLS:
        return await large_values.evaluate(getattr(owner, name), arguments)
    if name not in _BOUNDED_CALLS:
        return await getattr(owner, name)(**arguments)
    try:
        return await _BOUNDED_CALLS[name](owner, arguments)
    except LimitExceeded as large:
        raise CallRefused(large.message, "limit_exceeded") from None


def _dropped(payload: Any) -> dict[str, Any]:
    """drop's payload, its files inline. Raises CallRefused."""
    if not isinstance(payload, dict) or not payload.keys() <= {"files", "data"}:
        raise CallRefused("drop takes {files, data}")
    return {**payload, "files": inline_files(payload["files"])} if payload.get("files") is not None else payload


def _check_headers(headers: Any) -> None:
    for name, value in headers.items() if isinstance(headers, dict) else ():
        fault = header_error(str(name), str(value))
        if fault:
            raise CallRefused(f"setExtraHTTPHeaders: {name}: {fault}")


def _selected_options(arguments: dict[str, Any]) -> None:
    """selectOption's values: texts, `{value, label, index}` or elements, or lists of one kind, by Python's names."""
    values = arguments.pop("value", None)
    for option in values if isinstance(values, list) else [values]:
        match option:
            case None:
                continue
            case str():
                arguments.setdefault("value", []).append(option)
            case {"value": str() as value}:
                arguments.setdefault("value", []).append(value)
            case {"label": str() as label}:
                arguments.setdefault("label", []).append(label)
            case {"index": int() as index}:
                arguments.setdefault("index", []).append(index)
            case dict():
                raise CallRefused("selectOption takes value, label or index")
            case _:
                arguments.setdefault("element", []).append(option)
