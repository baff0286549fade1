"""A server that says what it was asked, for requests of scripts."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from aiohttp import web

_SHOWN: Final = ("accept", "authorization", "content-type")
_BODIES: Final = {
    "/json": ("application/json", '{"a": 1}'),
    "/text": ("text/plain", "plain"),
    "/number": ("text/plain", "12"),
    "/empty": ("text/plain", ""),
}


async def _answer(request: web.Request) -> web.StreamResponse:
    if request.path.startswith("/status/"):
        status = int(request.path.rpartition("/")[2])
        return web.json_response(None if status == 304 else {"error": status}, status=status)
    if request.path == "/moved":
        raise web.HTTPFound("/json")
    if request.path == "/slow":
        await asyncio.sleep(30)
    if request.path in _BODIES:
        kind, text = _BODIES[request.path]
        answer = web.Response(text=text, content_type=kind, headers={"X-Answer": "yes"})
        answer.set_cookie("a", "1")
        return answer
    headers = {name.lower(): value for name, value in request.headers.items()}
    shown = {name: value for name, value in sorted(headers.items()) if name in _SHOWN or name.startswith("x-")}
    return web.json_response(
        {"method": request.method, "path": request.path_qs, "headers": shown, "body": await request.text()}
    )


@asynccontextmanager
async def echo() -> AsyncIterator[str]:
    """Its URL, without a slash at the end."""
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", _answer)
    server = web.AppRunner(app, shutdown_timeout=0.1)
    await server.setup()
    await web.TCPSite(server, "127.0.0.1", 0).start()
    yield "http://{}:{}".format(*server.addresses[0][:2])
    await server.cleanup()
