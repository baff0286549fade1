"""A small shop to scrape: a login, and a catalogue of 24 items on 3 pages.

By itself: `python -m examples.shop --port 0` prints one line of JSON with its URL and ends when stdin closes.
"""

import argparse
import asyncio
import secrets
from dataclasses import dataclass
from html import escape
from typing import Final

from aiohttp import web

from examples.serving import serve_until_stdin_closes

USERNAME: Final = "demo-buyer"
PASSWORD: Final = "demo-buyer"
PAGE_SIZE: Final = 8
SESSION_COOKIE: Final = "session"


@dataclass(frozen=True)
class Item:
    """One item of the catalogue."""

    sku: str
    title: str
    description: str
    cents: int
    in_stock: bool

    @property
    def price(self) -> str:
        """The price as the page shows it."""
        return f"€ {self.cents // 100}.{self.cents % 100:02}"


_MATERIALS: Final = (
    ("Oak", "Solid oak from a mill up the road, oiled by hand.", 2400),
    ("Walnut", "Dark walnut, planed thin and left to show its grain.", 3900),
    ("Copper", "Spun copper that darkens with the years.", 3100),
    ("Stoneware", "Fired twice, glazed once, safe in a dishwasher.", 1800),
)
_THINGS: Final = (
    ("tray", 900),
    ("bowl", 350),
    ("candlestick", 0),
    ("bread board", 1250),
    ("pepper mill", 1725),
    ("lamp foot", 4600),
)
_SOLD_OUT: Final = frozenset({3, 10, 16, 21})
"""Numbers of the four sold-out items; twenty are in stock."""

ITEMS: Final = tuple(
    Item(
        sku=f"{material[:3].upper()}-{100 + number}",
        title=f"{material} {thing}",
        description=description,
        cents=base + extra,
        in_stock=number not in _SOLD_OUT,
    )
    for number, ((material, description, base), (thing, extra)) in enumerate(
        (material, thing) for thing in _THINGS for material in _MATERIALS
    )
)

_STYLE: Final = """
body { margin: 0; background: #f6f3ee; color: #2b2723; font: 16px/1.5 Georgia, "DejaVu Serif", serif }
header { background: #2f4b3c; color: #fff; padding: 1.2rem 2rem; display: flex; justify-content: space-between }
header strong { font-size: 1.4rem; letter-spacing: .04em } header a { color: #cfe3d6 }
main { max-width: 62rem; margin: 2rem auto; padding: 0 1.5rem } h1 { font-weight: normal }
.items { display: grid; grid-template-columns: repeat(4, 1fr); gap: 1.2rem; list-style: none; padding: 0 }
.item { background: #fff; border: 1px solid #e2dbd0; border-radius: 8px; padding: 1rem; position: relative }
.item h2 { font-size: 1.1rem; margin: .2rem 0 } .item a { color: #2f4b3c; text-decoration: none }
.sku { color: #8a8177; font-size: .8rem } .description { font-size: .9rem; margin: .4rem 0; min-height: 4em }
.price { font-size: 1.2rem; font-weight: bold } .stock { float: right; color: #2f7d4f; font-size: .85rem }
.sold-out { opacity: .55 } .sold-out .stock { color: #a33c2c }
nav { display: flex; justify-content: space-between; margin: 2rem 0 } nav a { color: #2f4b3c }
form { background: #fff; border: 1px solid #e2dbd0; border-radius: 8px; max-width: 20rem; padding: 2rem; margin: auto }
label { display: block; margin-bottom: 1rem }
input { width: 100%; padding: .5rem; box-sizing: border-box; font: inherit }
button { background: #2f4b3c; color: #fff; border: 0; border-radius: 6px; padding: .6rem 1.4rem; font: inherit }
.wrong { color: #a33c2c }
"""


class Shop:
    """The shop's pages, and who is logged in."""

    def __init__(self) -> None:
        self._sessions: set[str] = set()

    def app(self) -> web.Application:
        """The site's application."""
        app = web.Application()
        app.router.add_get("/", self._home)
        app.router.add_get("/login", self._login_form)
        app.router.add_post("/login", self._login)
        app.router.add_get("/catalogue", self._catalogue)
        app.router.add_get("/items/{sku}", self._item)
        return app

    async def _home(self, _request: web.Request) -> web.Response:
        raise web.HTTPFound("/catalogue")

    async def _login_form(self, _request: web.Request) -> web.Response:
        return _page("Log in", _form())

    async def _login(self, request: web.Request) -> web.Response:
        form = await request.post()
        if (form.get("username"), form.get("password")) != (USERNAME, PASSWORD):
            return _page("Log in", _form("We don't know that name and password."), status=401)
        session = secrets.token_urlsafe()
        self._sessions.add(session)
        answer = web.HTTPFound("/catalogue")
        answer.set_cookie(SESSION_COOKIE, session, httponly=True, samesite="Lax")
        raise answer

    async def _catalogue(self, request: web.Request) -> web.Response:
        self._require_login(request)
        pages = -(-len(ITEMS) // PAGE_SIZE)
        number = request.query.get("page", "1")
        if not number.isdecimal() or not 1 <= int(number) <= pages:
            raise web.HTTPNotFound
        page = int(number)
        cards = "".join(map(_card, ITEMS[(page - 1) * PAGE_SIZE : page * PAGE_SIZE]))
        before = f'<a rel="prev" href="/catalogue?page={page - 1}">← Previous</a>' if page > 1 else "<span></span>"
        after = f'<a rel="next" href="/catalogue?page={page + 1}">Next →</a>' if page < pages else "<span></span>"
        where = f'<span>Page <b class="page">{page}</b> of <b class="pages">{pages}</b></span>'
        return _page("Catalogue", f'<ul class="items">{cards}</ul><nav>{before}{where}{after}</nav>')

    async def _item(self, request: web.Request) -> web.Response:
        self._require_login(request)
        item = next((item for item in ITEMS if item.sku == request.match_info["sku"]), None)
        if item is None:
            raise web.HTTPNotFound
        return _page(item.title, f'<ul class="items">{_card(item)}</ul><p><a href="/catalogue">All items</a></p>')

    def _require_login(self, request: web.Request) -> None:
        if request.cookies.get(SESSION_COOKIE) not in self._sessions:
            raise web.HTTPFound("/login")


def _card(item: Item) -> str:
    return (
        f'<li class="item{"" if item.in_stock else " sold-out"}">'
        f'<span class="sku">{item.sku}</span>'
        f'<h2><a class="title" href="/items/{item.sku}">{escape(item.title)}</a></h2>'
        f'<p class="description">{escape(item.description)}</p>'
        f'<span class="price">{item.price}</span>'
        f'<span class="stock">{"In stock" if item.in_stock else "Sold out"}</span></li>'
    )


def _form(wrong: str = "") -> str:
    return (
        f'<form method="post" action="/login"><p class="wrong">{wrong}</p>'
        '<label>Name <input id="username" name="username" autocomplete="username"></label>'
        '<label>Password <input id="password" name="password" type="password"></label>'
        '<button id="log-in">Log in</button></form>'
    )


def _page(title: str, body: str, status: int = 200) -> web.Response:
    text = (
        f'<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)} - Hearth &amp; Hand</title>'
        f"<style>{_STYLE}</style></head><body>"
        "<header><strong>Hearth &amp; Hand</strong><span>things for a table</span></header>"
        f"<main><h1>{escape(title)}</h1>{body}</main></body></html>"
    )
    return web.Response(text=text, content_type="text/html", status=status)


def main() -> None:
    """Serves until stdin closes."""
    parser = argparse.ArgumentParser(description="A small shop on 127.0.0.1.")
    parser.add_argument("--port", type=int, default=0)
    asyncio.run(serve_until_stdin_closes(Shop().app(), parser.parse_args().port))


if __name__ == "__main__":
    main()
