"""A small site for browser tests, on 127.0.0.1: forms, links, slow, hanging, endless and broken pages."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import TracebackType

import aiohttp
from aiohttp import web

from tests.site.moves import add_routes

PAGES = Path(__file__).parent / "pages"


class TestSite:
    """`async with TestSite() as url`: serves until the block is left. `url` has no slash at its end."""

    __test__ = False

    def __init__(self) -> None:
        self.hanging = asyncio.Event()
        """Set as soon as a request to `/hang` has come in."""
        self._over = asyncio.Event()
        app = web.Application()
        app.router.add_get("/", _index)
        app.router.add_get("/hang", self._hang)
        app.router.add_get("/slow", _slow)
        app.router.add_get("/loop", _loop)
        app.router.add_get("/goes-on", _goes_on)
        app.router.add_get("/in-parts", _in_parts)
        app.router.add_get("/redirect", _redirect)
        app.router.add_get("/status/{status}", _status)
        app.router.add_get("/cookies", _cookies)
        app.router.add_get("/set-cookie", _set_cookie)
        app.router.add_post("/welcome", _welcome)
        app.router.add_get("/empty", _empty)
        app.router.add_get("/download", _download)
        app.router.add_get("/download/endless", self._endless)
        app.router.add_get("/headers", _headers)
        app.router.add_get("/login-asked", _login_asked)
        app.router.add_post("/upload", _upload)
        add_routes(app)
        app.router.add_static("/", PAGES)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)  # 0 would wait for every handler

    async def __aenter__(self) -> str:
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        host, port = self._runner.addresses[0][:2]
        return f"http://{host}:{port}"

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        await self._runner.cleanup()

    async def _hang(self, request: web.Request) -> web.Response:
        self.hanging.set()
        await self._over.wait()
        return web.Response()

    async def _endless(self, request: web.Request) -> web.StreamResponse:
        """A file that never ends, and does not say so."""
        response = web.StreamResponse(headers={"Content-Disposition": "attachment; filename=endless.bin"})
        await response.prepare(request)
        with contextlib.suppress(ConnectionError):  # the client has closed the connection
            while not self._over.is_set():
                await response.write(bytes(1 << 20))
        return response


Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


async def _index(request: web.Request) -> web.FileResponse:
    return web.FileResponse(PAGES / "index.html")


async def _slow(request: web.Request) -> web.Response:
    """Answers after `?ms=`: a slow server is the point."""
    await asyncio.sleep(int(request.query.get("ms", "300")) / 1000)
    return _page("Slow", "<h1>slow but there</h1>")


async def _goes_on(request: web.Request) -> web.Response:
    """A page that by itself leads to `/in-parts`, `?ms=` after it has loaded."""
    script = f"onload = () => setTimeout(() => {{ location = '/in-parts' }}, {int(request.query['ms'])})"
    return _page("First", f"<h1>First</h1><script>{script}</script>")


async def _in_parts(request: web.Request) -> web.StreamResponse:
    """A page whose heading comes after its title."""
    response = web.StreamResponse(headers={"Content-Type": "text/html"})
    await response.prepare(request)
    await response.write(b"<!doctype html><title>Last</title><!--" + b"x" * 2_000 + b"-->")
    await asyncio.sleep(0.05)
    await response.write(b"<h1>Last</h1>")
    return response


async def _loop(request: web.Request) -> web.Response:
    number = int(request.query.get("n", "0"))
    raise web.HTTPFound(f"/loop?n={number + 1}")


async def _redirect(request: web.Request) -> web.Response:
    raise web.HTTPFound("/second.html")


async def _status(request: web.Request) -> web.Response:
    status = int(request.match_info["status"])
    return _page(f"Status {status}", f"<h1>{status}</h1>", status)


async def _cookies(request: web.Request) -> web.Response:
    rows = "".join(f"<li>{name}={value}</li>" for name, value in sorted(request.cookies.items()))
    return _page("Cookies", f"<ul>{rows}</ul>")


async def _set_cookie(request: web.Request) -> web.Response:
    response = _page("Cookie set", "<p>set</p>")
    response.set_cookie("visitor", request.query["value"])
    return response


async def _welcome(request: web.Request) -> web.Response:
    form = await request.post()
    reported = "".join(f"<dt>{name}</dt><dd id='{name}'>{value!s}</dd>" for name, value in form.items())
    return _page("Welcome", f"<h1>Welcome {form.get('user', '')!s}</h1><dl>{reported}</dl>")


async def _empty(request: web.Request) -> web.Response:
    return web.Response(status=204)


async def _download(request: web.Request) -> web.Response:
    return web.Response(body=b"data", headers={"Content-Disposition": "attachment; filename=a.bin"})


async def _headers(request: web.Request) -> web.Response:
    """What the browser sent of itself, as JSON."""
    return web.json_response({name.lower(): value for name, value in request.headers.items()})


async def _login_asked(request: web.Request) -> web.Response:
    """Opens for ann with the password s3cret-word."""
    if request.headers.get("Authorization") != aiohttp.encode_basic_auth("ann", "s3cret-word"):
        headers = {"WWW-Authenticate": 'Basic realm="test"'}
        return web.Response(text="outside", status=401, headers=headers)
    return _page("Inside", "<h1>inside</h1>")


async def _upload(request: web.Request) -> web.Response:
    """Returns the received files: name, type, content."""
    form = await request.post()
    files = [field for field in form.values() if isinstance(field, web.FileField)]
    rows = "".join(f"<li>{file.filename} {file.content_type} {file.file.read().decode()}</li>" for file in files)
    return _page("Uploaded", f"<ul>{rows}</ul>")


def _page(title: str, body: str, status: int = 200) -> web.Response:
    text = f"<!doctype html><html><head><title>{title}</title></head><body>{body}</body></html>"
    return web.Response(text=text, content_type="text/html", status=status)
