"""Serves one page and its data on loopback, to who knows its address, until a signal ends it."""

import asyncio
import hashlib
import hmac
import secrets
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

from aiohttp import web

HOST: Final = "127.0.0.1"
TOKEN_BYTES: Final = 24
_HEADERS: Final = {
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
_SHUTDOWN_SECONDS: Final = 1.0
Make = Callable[[], Awaitable[bytes]]
Find = Callable[[str, str], Path | None]
"""The path of a job's file, by the folder and the name."""


class LocalPage:
    """The page at `/TOKEN/`, its data in JSON at `/TOKEN/data`, with an ETag, and files of jobs in `/TOKEN/jobs/`."""

    def __init__(self, page: Make, data: Make, artifact: Find, port: int = 0) -> None:
        """`page` and `data` make what is served, `artifact` finds a file; `port` 0 takes a free one."""
        self._artifact = artifact
        self._page = page
        self._data = data
        self._port = port
        self._token = secrets.token_urlsafe(TOKEN_BYTES)
        self._turn = asyncio.Lock()
        """One is made at a time."""

    async def serve(self, on_ready: Callable[[str], None]) -> None:
        """Serves until SIGINT, SIGTERM or SIGHUP; `on_ready` gets the address. Raises OSError for a port in use."""
        application = web.Application(middlewares=[self._guard])
        application.router.add_get("/{token}/", self._get_page)
        application.router.add_get("/{token}/data", self._get_data)
        application.router.add_get("/{token}/jobs/{job}/{name}", self._get_artifact)
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=_SHUTDOWN_SECONDS)
        await runner.setup()
        try:
            site = web.TCPSite(runner, HOST, self._port)
            await site.start()
            self._port = runner.addresses[0][1]
            on_ready(f"http://{HOST}:{self._port}/{self._token}/")
            await _until_signal()
        finally:
            await runner.cleanup()

    @web.middleware
    async def _guard(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        """Refuses what another site, or another name for this address, could ask for."""
        names = {f"{HOST}:{self._port}", f"localhost:{self._port}"}
        origin, site = request.headers.get("Origin"), request.headers.get("Sec-Fetch-Site", "none")
        foreign = (origin is not None and origin.removeprefix("http://") not in names) or site == "cross-site"
        token = request.match_info.get("token", "")
        if request.host not in names or foreign:
            response: web.StreamResponse = web.Response(status=403, text="this page is for its own machine\n")
        elif not hmac.compare_digest(token.encode(errors="replace"), self._token.encode()):
            response = web.Response(status=404, text="not found\n")
        else:
            response = await handler(request)
        response.headers.update(_HEADERS)
        return response

    async def _get_page(self, _: web.Request) -> web.Response:
        async with self._turn:
            return web.Response(body=await self._page(), content_type="text/html", charset="utf-8")

    async def _get_data(self, request: web.Request) -> web.Response:
        async with self._turn:
            data = await self._data()
        tag = f'"{hashlib.sha256(data).hexdigest()[:32]}"'
        if request.headers.get("If-None-Match") == tag:
            return web.Response(status=304, headers={"ETag": tag})
        return web.Response(body=data, content_type="application/json", charset="utf-8", headers={"ETag": tag})

    async def _get_artifact(self, request: web.Request) -> web.StreamResponse:
        """A file that a job made: a page that it kept can't run anything at this address."""
        path = await asyncio.to_thread(self._artifact, request.match_info["job"], request.match_info["name"])
        if path is None:
            return web.Response(status=404, text="not found\n")
        return web.FileResponse(path, headers={"Content-Security-Policy": "sandbox"})


async def _until_signal() -> None:
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, ended.set)
    await ended.wait()
