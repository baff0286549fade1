"""Pages that lead elsewhere, and answers that come to nothing, late, or in pieces: `add_routes` puts them on a site."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import web

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_LINKS: Final = """<!doctype html><title>Moves</title><h1>Moves</h1>
<a id="to" href="{to}">on</a> <a id="tab" target="_blank" href="{to}">in a tab</a>
<button id="by-script" onclick="location = '{to}'">on</button>
<form id="form" method="post" action="{to}"><input id="field" name="field"><button id="submit">on</button></form>
<input type="checkbox" id="box" onchange="location = '{to}'">
<select id="choice" onchange="location = '{to}'"><option>a</option><option>b</option></select>
<button id="never" disabled>never</button>"""


def add_routes(app: web.Application) -> None:
    """`/moves?to=…` leads to what follows: `/answers/204`, `/refresh?…`, `/broken/gzip` and so on."""
    app.router.add_get("/moves", _moves)
    app.router.add_route("*", "/answers/{status}", _answers)
    app.router.add_route("*", "/late", _late)
    app.router.add_get("/refresh", _refresh)
    app.router.add_get("/refresh-once", _refresh_once)
    app.router.add_get("/broken/{how}", _broken)


def _page(text: str, **more: object) -> web.Response:
    return web.Response(text=text, content_type="text/html", **more)  # type: ignore[arg-type]


async def _moves(request: web.Request) -> web.Response:
    """A page with every way to go on to `?to=`."""
    return _page(_LINKS.format(to=request.query["to"]))


async def _answers(request: web.Request) -> web.Response:
    """This status, whatever was sent."""
    status = int(request.match_info["status"])
    if status in (204, 205):
        return web.Response(status=status)
    return _page(f"<!doctype html><title>Status {status}</title><h1>{status}</h1>", status=status)


async def _late(request: web.Request) -> web.Response:
    """Answers after `?ms=`: a slow server is the point."""
    await asyncio.sleep(int(request.query.get("ms", "60000")) / 1000)
    return _page("<!doctype html><title>Late</title><h1>Late</h1>")


async def _refresh(request: web.Request) -> web.Response:
    """An interim page with the header `?header=`, and `?head=` in its head; `?image=` makes its load take so long."""
    header, slow = request.query.get("header"), request.query.get("image")
    image = f"<img src='/late?ms={slow}'>" if slow else ""
    text = f"<!doctype html><title>Interim</title>{request.query.get('head', '')}<h1>Interim</h1>{image}"
    return _page(text, headers={"Refresh": header} if header else {})


async def _refresh_once(request: web.Request) -> web.Response:
    """A page that sets a cookie and asks to be loaded again, until it has that."""
    if "seen" in request.cookies:
        return _page("<!doctype html><title>Seen</title><h1>Seen</h1>")
    answer = _page("<!doctype html><title>Interim</title><meta http-equiv=refresh content=0>")
    answer.set_cookie("seen", "1")
    return answer


async def _broken(request: web.Request) -> web.StreamResponse:
    """A document that comes in pieces: cut off, shorter than it says, or packed in no way."""
    how = request.match_info["how"]
    headers = {"Content-Type": "text/html"}
    if how == "gzip":
        return web.Response(body=b"<h1>this is not packed</h1>", headers={**headers, "Content-Encoding": "gzip"})
    answer = web.StreamResponse(headers=headers | ({"Content-Length": "1000"} if how == "short" else {}))
    if how == "cut":
        answer.enable_chunked_encoding()
    await answer.prepare(request)
    await answer.write(b"<!doctype html><title>Half</title><h1>Half</h1>")
    if request.transport is not None:
        request.transport.close()
    with contextlib.suppress(ConnectionError):
        await answer.write_eof()
    return answer
