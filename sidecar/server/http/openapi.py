"""OpenAPI 3.1 of the HTTP front, made from the models of the messages, and a page to try it."""

import asyncio
import base64
import functools
import hashlib
import html
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from aiohttp import web
from sidecar_protocol import PROTOCOL_VERSION
from sidecar_protocol.encoding import encode
from sidecar_protocol.errors import MEANINGS
from sidecar_protocol.requests import CONTENTS, OPTIONAL

from sidecar.server.http.call import Call, json_response
from sidecar.server.http.refusals import PROBLEM, STATUSES
from sidecar.server.http.route_table import ANY, HttpRoute

_PAGE: Final = Path(__file__).with_name("try_it.html")
_COMPONENTS: Final = "#/components/schemas/"
_DEFINITIONS: Final = "#/$defs/"
_SYSTEMS: Final = (
    ("/v1/", "messages"),
    ("/v4/schedules", "EngageLab"),
    ("/api/v1/tasks", "Director"),
    ("/api/v1/", "Tourist"),
    ("/visit", "Tourist"),
    ("/health", "sidecar"),
    ("/openapi.json", "sidecar"),
    ("/docs", "sidecar"),
)
"""Beginnings of paths, and whose they are; all others are RT-CV's."""
_ID_HEADER: Final = {
    "name": "X-Request-Id",
    "in": "header",
    "description": "the client's own id of the request, for `cancel` and for events",
    "schema": {"type": "string", "minLength": 1, "maxLength": 200},
}


class Description:
    """Serves the document and the page; both need no token, as neither shows any state."""

    def __init__(self, routes: Iterable[HttpRoute]) -> None:
        """`routes` are those of all tables."""
        self._routes = tuple(routes)
        self._document: asyncio.Task[bytes] | None = None

    def routes(self) -> list[HttpRoute]:
        """Both routes."""
        return [
            HttpRoute("GET", "/openapi.json", self.document, is_open=True),
            HttpRoute("GET", "/docs", self.page, is_open=True),
        ]

    async def document(self, _: Call) -> web.Response:
        """The description in OpenAPI 3.1."""
        if self._document is None:  # in a thread: to import every model takes a second
            self._document = asyncio.create_task(asyncio.to_thread(self._made))
        return json_response(await asyncio.shield(self._document))

    async def page(self, _: Call) -> web.Response:
        """A page to try it."""
        text, policy = _page()
        return web.Response(text=text, content_type="text/html", headers={"Content-Security-Policy": policy})

    def _made(self) -> bytes:
        return encode(openapi((*self._routes, *self.routes())))


def openapi(routes: Iterable[HttpRoute]) -> dict[str, Any]:
    """The document: each message type is a path, other routes are named with what they do."""
    from sidecar_protocol.json_schema import request_schema, results_schema

    results = results_schema()
    schemas: dict[str, Any] = dict(results.get("$defs", {}))
    paths: dict[str, dict[str, Any]] = {}
    for kind in CONTENTS:
        request = request_schema(kind)
        schemas |= request.get("$defs", {})
        content = request["properties"].get("content")
        paths[f"/v1/{kind}"] = {"post": _message(kind, content, results["properties"].get(kind))}
    for route in routes:
        if route.path != "/v1/{type}":
            method = "post" if route.method == ANY else route.method.lower()
            paths.setdefault(route.path, {})[method] = _route(route)
    schemas["Problem"] = _problem()
    document = {
        "openapi": "3.1.0",
        "info": {"title": "The sidecar", "version": PROTOCOL_VERSION, "summary": "Its messages over HTTP"},
        "security": [{"token": []}, {"basic": []}, {}],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer"},
                "basic": {"type": "http", "scheme": "basic"},
            },
            "schemas": schemas,
        },
    }
    relocated: dict[str, Any] = _relocated(document)
    return relocated


def _message(kind: str, content: Any, result: Any) -> dict[str, Any]:
    properties: dict[str, Any] = {"type": {"const": "pong" if kind == "ping" else "ok"}}
    if result is not None:
        properties["content"] = result
    reply = {"type": "object", "properties": properties, "required": ["type"]}
    operation: dict[str, Any] = {
        "operationId": kind,
        "tags": ["messages"],
        "parameters": [_ID_HEADER],
        "responses": {"200": {"description": "Done", "content": {"application/json": {"schema": reply}}}, **_failed()},
    }
    if content is not None:
        schema = {"application/json": {"schema": content}}
        operation["requestBody"] = {"required": kind not in OPTIONAL, "content": schema}
    return operation


def _route(route: HttpRoute) -> dict[str, Any]:
    parts = [part.strip("{}") for part in route.path.split("/") if part.startswith("{")]
    summary = (route.handler.__doc__ or "").strip().rstrip(".")
    return {
        "summary": summary,
        "tags": [next((name for start, name in _SYSTEMS if route.path.startswith(start)), "RT-CV scraper client v2")],
        "parameters": [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in parts],
        "responses": {"default": {"description": summary or "The answer"}},
    }


def _failed() -> dict[str, Any]:
    schema = {"$ref": f"{_COMPONENTS}Problem"}
    return {"default": {"description": "Failed", "content": {PROBLEM: {"schema": schema}}}}


def _problem() -> dict[str, Any]:
    error = {
        "type": "object",
        "properties": {
            "code": {"enum": list(STATUSES)},
            "message": {"type": "string"},
            "retryable": {"type": "boolean"},
        },
        "required": ["code", "message", "retryable"],
    }
    text = {"type": "string"}
    properties = {"type": text, "title": text, "status": {"type": "integer"}, "detail": text, "error": error}
    return {"type": "object", "properties": properties, "required": list(properties)}


def _relocated(value: Any) -> Any:
    """With references to where OpenAPI has its schemas."""
    if isinstance(value, list):
        return [_relocated(one) for one in value]
    if not isinstance(value, dict):
        return value
    return {
        name: f"{_COMPONENTS}{member.removeprefix(_DEFINITIONS)}"
        if isinstance(member, str) and member.startswith(_DEFINITIONS)
        else _relocated(member)
        for name, member in value.items()
    }


@functools.cache
def _page() -> tuple[str, str]:
    """The page, and the policy that lets it load nothing and ask us alone."""
    rows = [
        f"<tr id={code}><td><code>{code}</code><td>{STATUSES[code]}<td>{html.escape(meaning)}"
        for code, meaning in MEANINGS.items()
    ]
    text = _PAGE.read_text(encoding="utf-8").replace("<!-- errors -->", "\n".join(rows))
    script = text.split("<script>")[1].split("</script>")[0]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    sources = f"script-src 'sha256-{digest}'; style-src 'unsafe-inline'; connect-src 'self'"
    return text, f"default-src 'none'; {sources}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
