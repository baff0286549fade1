"""One call of an action: looked up in the allow-list, its arguments checked, then made on the job's own object."""

import contextlib
import re
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final

from playwright.async_api import BrowserContext, Page, Route

from sidecar.browser import isolated_world, pictures, prints, windows
from sidecar.browser.header_policy import header_error
from sidecar.browser.sandbox.allowlist import Method, methods, to_camel, to_snake
from sidecar.browser.sandbox.handles import HandleTable
from sidecar.browser.sandbox.wire_values import UNDEFINED, CallRefused, RouteRefused, decode, inline_files
from sidecar.browser.url_policy import AllowsUrl, check_url, is_page_navigation
from sidecar.errors import InvalidContent, LimitExceeded

MAX_CHAIN: Final = 100
_NAVIGATING: Final = frozenset({"goto", "reload", "go_back", "go_forward", "set_content", "wait_for_load_state"})
_ON_ELEMENTS: Final = frozenset(
    {"check", "clear", "click", "dblclick", "drag_and_drop", "drag_to", "fill", "focus", "hover", "press", "uncheck"}
    | {"press_sequentially", "select_option", "set_checked", "set_input_files", "tap", "type"}
)
"""They wait for an element, which they are not to find in a page that is being left."""
_WITH_PATH: Final = frozenset({"clear_cookies"})
"""Where `path` is a cookie's, not a file's."""
_WITH_ADDRESS: Final = frozenset({"goto", "continue_", "fallback"})
_WITH_FILES: Final = frozenset({"set_input_files", "set_files"})
_CONTEXT_WIDE: Final = frozenset(
    {"add_init_script", "clear_permissions", "grant_permissions"}
    | {"set_extra_http_headers", "set_geolocation", "set_offline"}
)
_ISOLATED_READS: Final[dict[str, Callable[[Any], Awaitable[Any]]]] = {
    "all_inner_texts": isolated_world.inner_texts,
    "all_text_contents": isolated_world.text_contents,
    "title": isolated_world.title,
}
"""Which Playwright reads by what a page may change."""
_BOUNDED_CALLS: Final[dict[str, Callable[[Any, dict[str, Any]], Awaitable[Any]]]] = {
    "pdf": prints.take,
    "screenshot": pictures.take,
    "set_viewport_size": windows.resize,
}
"""Which a browser may die of."""
_DEFAULT_TIMEOUT: Final = 30_000.0


class RpcCalls:
    """Makes the calls of one job.

    `remaining_ms` gives the time left for the step; `wait_until_settled` waits until a page no longer navigates.
    """

    def __init__(
        self,
        page: Page,
        handles: HandleTable,
        remaining_ms: Callable[[], float],
        wait_until_settled: Callable[[Page], Awaitable[None]],
        allows: AllowsUrl | None = None,
    ) -> None:
        """`allows` says which pages may be opened; None is all of them."""
        self._allows = allows
        self._page = page
        self._handles = handles
        self._remaining_ms = remaining_ms
        self._wait_until_settled = wait_until_settled
        self._timeout: float | None = None
        self._navigation_timeout: float | None = None
        self.changed_context = False
        """Something was asked of the context that holds for all its pages to come."""

    async def call(self, target: Any, name: Any, args: Any) -> Any:
        """The call's result. Raises Refused, and whatever Playwright raises.

        Where it was to answer a request that a route holds, nobody else would answer: it is given up, and where we are
        who refuses (RefusedAnswer), whoever catches that gives it up.
        """
        owner = self._resolve(target)
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
        result = await _call(owner, method.name, arguments)
        return result if method.name != "add_init_script" else None

    def _resolve(self, target: Any) -> Any:
        """The object that a reference means: a handle, and what was asked of it on the way."""
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
        """JavaScript's arguments, by place and then as options, under Python's names."""
        if not isinstance(args, list):
            raise CallRefused("arguments must be a list")
        values = [decode(value, self._resolve) for value in args]
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
        """Rules for single arguments. Raises Refused."""
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
        if method.name == "select_option":
            _selected_options(arguments)

    def _check_scope(self, owner: Any, js_name: str, url: str) -> None:
        """A page that is asked for under another address has to be in the token's scope, too. Raises Refused."""
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
        """The milliseconds that a call may take: never more than its step has, never 0, which would be endless."""
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


async def _call(owner: Any, name: str, arguments: dict[str, Any]) -> Any:
    """Raises Refused where the browser would hold too many pixels, and Playwright's errors."""
    if name in _ISOLATED_READS:
        return await _ISOLATED_READS[name](owner)
    if name not in _BOUNDED_CALLS:
        return await getattr(owner, name)(**arguments)
    try:
        return await _BOUNDED_CALLS[name](owner, arguments)
    except LimitExceeded as large:
        raise CallRefused(large.message, "limit_exceeded") from None


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
