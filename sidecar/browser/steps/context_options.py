"""Converts a job's `context` to arguments of Playwright's `new_context`, and blocks resources."""

import contextlib
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final
from urllib.parse import urlsplit

from playwright.async_api import BrowserContext, Route
from playwright.async_api import Error as PlaywrightError
from sidecar_protocol.browser_context import BrowserContextOptions, Proxy
from sidecar_protocol.models import Model
from sidecar_protocol.wire_types import BrowserName, Secret

from sidecar.browser import capture_limits
from sidecar.browser.header_policy import header_error
from sidecar.errors import InvalidContent

_EVERYTHING: Final = re.compile("")
_PROXY_SCHEMES: Final = ("http", "https", "socks4", "socks5")


def context_errors(context: BrowserContextOptions, kind: BrowserName) -> Iterator[InvalidContent]:
    """Finds mistakes that the model can't express. Raises LimitExceeded with the field."""
    if context.viewport:
        capture_limits.check_viewport(context.viewport.width, context.viewport.height, field="context.viewport")
    names: set[str] = set()
    for name, value in (context.extra_http_headers or {}).items():
        place = f"context.extra_http_headers.{name}"
        fault = "this header is duplicated" if name.lower() in names else header_error(name, value.reveal())
        if fault:
            yield InvalidContent(f"{place}: {fault}", place)
        names.add(name.lower())
    if context.user_agent and not context.user_agent.isprintable():
        yield InvalidContent("context.user_agent: has to be one line of printable characters", "context.user_agent")
    if context.proxy:
        yield from _proxy_errors(context.proxy)
    if context.http_credentials and context.http_credentials.origin:
        yield from _origin_errors(context.http_credentials.origin)
    if context.is_mobile and kind == "FIREFOX":
        yield InvalidContent("context.is_mobile: FIREFOX can't do that", "context.is_mobile")


def _proxy_errors(proxy: Proxy) -> Iterator[InvalidContent]:
    place = "context.proxy.server"
    server = proxy.server if "://" in proxy.server else f"http://{proxy.server}"
    try:
        parts = urlsplit(server)
        known = parts.scheme in _PROXY_SCHEMES and bool(parts.hostname)
        parts.port  # noqa: B018 - reading it checks it
    except ValueError:
        known = False
    if not known or not server.isprintable():
        yield InvalidContent(f"{place}: expected http, https, socks4 or socks5, a host and a port", place)
        return
    if "@" in parts.netloc:
        yield InvalidContent(f"{place}: user and password have fields of their own, username and password", place)
    if parts.scheme.startswith("socks") and proxy.username:
        place = "context.proxy.username"
        yield InvalidContent(f"{place}: browsers can't log in to SOCKS proxies", place)


def _origin_errors(origin: str) -> Iterator[InvalidContent]:
    place = "context.http_credentials.origin"
    try:
        parts = urlsplit(origin)
        known = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.path in ("", "/")
    except ValueError:
        known = False
    if not known:
        yield InvalidContent(f"{place}: expected an origin, as in https://example.com", place)


def context_arguments(context: BrowserContextOptions | None, *, downloads: bool) -> dict[str, Any]:
    """Arguments of `new_context` that differ from the defaults; empty if any fresh context will do."""
    given: dict[str, Any] = {"accept_downloads": True} if downloads else {}
    if context is None:
        return given
    for name, value in context:
        if name != "block" and value != _DEFAULTS[name]:
            given[name] = _plain(value)
    if context.viewport:
        given["screen"] = given["viewport"]
    if context.block:
        given["service_workers"] = "block"  # routes don't see what service workers answer
    if context.is_mobile:
        given.setdefault("has_touch", True)
    return given


@asynccontextmanager
async def block_resources(context: BrowserContext, kinds: tuple[str, ...]) -> AsyncIterator[None]:
    """Blocks resources of these types in the context."""

    async def judge(route: Route) -> None:
        if route.request.resource_type in kinds:
            await route.abort("blockedbyclient")
        else:
            await route.fallback()

    if not kinds:
        yield
        return
    await context.route(_EVERYTHING, judge)
    try:
        yield
    finally:
        with contextlib.suppress(PlaywrightError):  # the context is closed
            await context.unroute(_EVERYTHING, judge)


def _plain(value: Any) -> Any:
    if isinstance(value, Secret):
        return value.reveal()
    if isinstance(value, Model):
        return {name: _plain(item) for name, item in value if item is not None}
    if isinstance(value, Mapping):
        return {name: _plain(item) for name, item in value.items()}
    return list(value) if isinstance(value, tuple) else value


_DEFAULTS: Final = dict(BrowserContextOptions())
