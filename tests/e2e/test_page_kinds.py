"""Pages of different kinds, recorded in one session and replayed without their site: each row of the table in
docs/replaying.md is a case here, with what is the same and what can't be.
"""

import asyncio
import base64
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote

import pytest
from aiohttp import WSMsgType, web

from tests.harness import Child, environment, serving

pytestmark = pytest.mark.browser

SCRIPT = """<!doctype html><meta charset=utf-8><title>{kind}</title><h1>{kind}</h1><p id=out></p><script>
const out = document.getElementById('out'), wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const done = () => document.body.append(Object.assign(document.createElement('i'), {{id: 'done', textContent: '.'}}));
(async () => {{ {script} }})().catch((error) => {{ out.textContent = `failed: ${{error}}`; done(); }});
</script>"""
GRAPH = """const ask = (query) => fetch('/graph', {method: 'POST', body: JSON.stringify({query, at: Date.now()})});
for (const query of ['lamps', 'chairs', 'lamps']) out.textContent += await (await ask(query)).text() + ' ';
done();"""
SOCKET = """const socket = new WebSocket(`ws://${location.host}/chat`);
socket.onmessage = ({data}) => {
  out.textContent += data + ' ';
  if (data === 'hello') socket.send('price?'); else done();
};"""
WORKER = """const registration = await navigator.serviceWorker.register('/worker.js');
const active = (await navigator.serviceWorker.ready).active;
if (!navigator.serviceWorker.controller)
  await new Promise((resolve) => navigator.serviceWorker.addEventListener('controllerchange', resolve, {once: true}));
const refused = await navigator.serviceWorker.register('/nowhere.js').then(() => 'registered', (error) => error.name);
const found = await (await fetch('/from-worker')).text();
out.textContent = [new URL(registration.scope).pathname, active === registration.active, refused, found].join(' ');
done();"""
TIMERS = """const order = [];
setTimeout(() => order.push('b'), 40); setTimeout(() => order.push('a'), 10);
const ticks = await new Promise((resolve) => {
  let count = 0;
  const timer = setInterval(() => { if (++count === 3) { clearInterval(timer); resolve(count); } }, 20);
});
await wait(60); await new Promise(requestAnimationFrame);
out.textContent = [new Date().getFullYear(), Math.random(), Math.random(), order.join(''), ticks].join(' ');
done();"""
SCROLL = """let page = 0, busy = false;
const more = async () => {
  if (busy || page === 3) return;
  busy = true;
  for (const item of await (await fetch('/items?page=' + ++page)).json())
    document.body.insertAdjacentHTML('beforeend', `<p class=item style="height: 300px">${item}</p>`);
  busy = false;
  if (page === 3) done();
};
addEventListener('scroll', () => { if (innerHeight + scrollY > document.body.scrollHeight - 50) more(); });
await more();"""
POPUP = """document.body.insertAdjacentHTML('beforeend', '<button id=ask>ask</button><button id=open>open</button>');
document.getElementById('ask').onclick = () => { out.textContent = confirm('sure?') ? 'yes' : 'no'; alert('thanks'); };
document.getElementById('open').onclick = () => open('/pages/inner');"""
FRAMES = """for (const host of ['127.0.0.1', 'localhost']) {
  const frame = document.createElement('iframe');
  frame.id = host[0] === '1' ? 'near' : 'far';
  frame.src = `http://${host}:${location.port}/pages/inner`;
  await new Promise((resolve) => { frame.onload = resolve; document.body.append(frame); });
}
done();"""
CANVAS = """const canvas = document.createElement('canvas'), pen = canvas.getContext('2d');
pen.fillStyle = '#c33'; pen.fillRect(5, 5, 60, 30); pen.fillText('price', 10, 60);
document.body.append(canvas);
const bytes = new TextEncoder().encode(canvas.toDataURL());
out.textContent = [...new Uint8Array(await crypto.subtle.digest('SHA-256', bytes))].slice(0, 8).join('.');
done();"""
CRYPTO = """const key = await crypto.subtle.importKey('raw', new Uint8Array(16), 'AES-GCM', false, ['encrypt']);
const iv = crypto.getRandomValues(new Uint8Array(12));
const sealed = await crypto.subtle.encrypt({name: 'AES-GCM', iv}, key, new TextEncoder().encode('price'));
out.textContent = [crypto.randomUUID().slice(0, 8), [...iv], [...new Uint8Array(sealed)].slice(0, 8)].join(' ');
done();"""
KEYS = """const kind = {name: 'ECDSA', namedCurve: 'P-256'};
const {publicKey} = await crypto.subtle.generateKey(kind, true, ['sign', 'verify']);
out.textContent = (await crypto.subtle.exportKey('jwk', publicKey)).x;
done();"""
EVENTS = """const source = new EventSource('/events');
source.onmessage = ({data}) => { out.textContent += data + ' '; };
source.onerror = () => { source.close(); done(); };"""
STREAM = """const reader = (await fetch('/stream')).body.getReader(), decoder = new TextDecoder();
for (let part; !(part = await reader.read()).done;) out.textContent += decoder.decode(part.value, {stream: true});
done();"""
INNER = "<!doctype html><title>inner</title><h2>Inner</h2><script>document.title += ' ' + Math.random()</script>"
LOGIN = """<!doctype html><title>login</title><form method=post action=/enter><input name=user>
<input name=password type=password><button>log in</button></form>"""
ENDLESS = """const source = new EventSource('/endless');
source.onmessage = ({data}) => { out.textContent += data + ' '; if (data === 'two') done(); };"""

DONE: dict[str, Any] = {"wait_for_selector": {"selector": "#done", "state": "attached"}}
OUT = {"out": "#out"}
SCROLLS = [
    action for part in (1, 2) for action in ({"wait_for_selector": f"text=item {part}.2"}, {"scroll_to": "bottom"})
]
TYPED = [
    {"fill": {"selector": "[name=user]", "value": "ann-of-the-test"}},
    {"fill": {"selector": "[name=password]", "value": "correct-horse-9"}},
    {"click": "button"},
]
KINDS: dict[str, dict[str, Any]] = {
    "static": {"actions": [], "extract": {"title": "h1"}},
    "login form": {"actions": TYPED, "extract": {"hello": "h1"}},
    "GraphQL": {"script": GRAPH},
    "WebSocket": {"script": SOCKET},
    "service worker": {"script": WORKER},
    "timers": {"script": TIMERS},
    "infinite scroll": {"script": SCROLL, "before": SCROLLS, "extract": {"items": {"selector": ".item", "all": True}}},
    "download": {"actions": [{"download": "#file"}], "extract": {"title": "h1"}},
    "popup and dialog": {
        "script": POPUP,
        "actions": [{"click": "#ask"}, {"switch_to_popup": "#open"}, {"title": None}],
        "extract": {"inner": "h2"},
        "options": ["READ_ALERTS"],
    },
    "iframes": {
        "script": FRAMES,
        "more": [{"inner_text": {"selector": "h2", "frame": frame}} for frame in ("#near", "#far")],
    },
    "canvas": {"script": CANVAS, "options": ["SCREENSHOT"]},
    "crypto": {"script": CRYPTO},
    "keys": {"script": KEYS},
    "server-sent events": {"script": EVENTS},
    "endless events": {"script": ENDLESS},
    "streamed answer": {"script": STREAM},
}
DIFFERENT = {"keys", "endless events"}
"""Kinds that a replay can't make the same."""


class Site:
    """The pages, each at `/pages/KIND`, and what they ask for."""

    def __init__(self) -> None:
        self.url = ""
        self._asked = 0
        app = web.Application()
        app.router.add_get("/pages/{kind}", self._page)
        for path, handler in (
            ("/chat", _chat),
            ("/worker.js", _worker),
            ("/items", _items),
            ("/file", _file),
            ("/events", _events),
            ("/endless", _endless),
            ("/stream", _stream),
            ("/welcome", _welcome),
        ):
            app.router.add_get(path, handler)
        app.router.add_post("/graph", self._graph)
        app.router.add_post("/enter", _enter)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)

    async def __aenter__(self) -> None:
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    async def _page(self, request: web.Request) -> web.Response:
        kind = request.match_info["kind"]
        about = KINDS.get(kind, {})
        text = {"inner": INNER, "login form": LOGIN}.get(kind) or SCRIPT.format(
            kind=kind, script=about.get("script", "")
        )
        if kind == "download":
            text += "<a id=file href=/file>file</a>"
        return web.Response(text=text, content_type="text/html")

    async def _graph(self, request: web.Request) -> web.Response:
        self._asked += 1
        return web.Response(text=f"{(await request.json())['query']}:{self._asked}")


async def _chat(request: web.Request) -> web.WebSocketResponse:
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    await socket.send_str("hello")
    async for message in socket:
        if message.type is WSMsgType.TEXT:
            await socket.send_str(f"{message.data[:-1]}:12")
    return socket


async def _worker(_: web.Request) -> web.Response:
    text = """addEventListener('install', () => skipWaiting());
addEventListener('activate', (event) => event.waitUntil(clients.claim()));
addEventListener('fetch', (event) => {
  if (event.request.url.endsWith('/from-worker')) event.respondWith(new Response('from the worker'));
});"""
    return web.Response(text=text, content_type="text/javascript")


async def _items(request: web.Request) -> web.Response:
    return web.json_response([f"item {request.query['page']}.{number}" for number in range(3)])


async def _file(_: web.Request) -> web.Response:
    return web.Response(body=FILE, headers={"Content-Disposition": "attachment; filename=prices.bin"})


async def _enter(request: web.Request) -> web.Response:
    form = await request.post()
    raise web.HTTPFound("/welcome", headers={"Set-Cookie": f"user={form['user']!s}; Path=/"})


async def _welcome(request: web.Request) -> web.Response:
    text = f"<title>in</title><h1>Hello {request.cookies['user']}</h1>"
    return web.Response(text=text, content_type="text/html")


async def _events(request: web.Request) -> web.StreamResponse:
    return await _streamed(request, "text/event-stream", *(f"data: {one}\n\n" for one in ("one", "two", "last")))


async def _stream(request: web.Request) -> web.StreamResponse:
    return await _streamed(request, "text/plain", "first ", "second ", "third")


async def _endless(request: web.Request) -> web.StreamResponse:
    response = await _streamed(request, "text/event-stream", "data: one\n\n", "data: two\n\n", ended=False)
    while request.transport is not None and not request.transport.is_closing():
        await response.write(b": still there\n\n")
        await asyncio.sleep(0.2)
    return response


async def _streamed(request: web.Request, kind: str, *parts: str, ended: bool = True) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": kind})
    await response.prepare(request)
    for part in parts:
        await response.write(part.encode())
    if ended:
        await response.write_eof()
    return response


FILE = bytes(range(256)) * 8


def job(url: str, kind: str) -> dict[str, Any]:
    """The job that visits a page of this kind."""
    about = KINDS[kind]
    actions = about.get("actions", [*about.get("before", ()), DONE, *about.get("more", ())])
    step = {
        "url": f"{url}/pages/{quote(kind)}",
        "actions": actions,
        "extract": about.get("extract", OUT),
        "timeout_ms": 8_000,
    }
    return {"name": kind, "steps": [step], "options": about.get("options", [])}


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Any, Any, list[Any]]]:
    """Kind -> the reply when it was recorded, the one of the replay without the site, and where these differ."""
    folder = tmp_path_factory.mktemp("kinds")
    site = Site()
    with serving(cast(Any, site)), Child(folder, "--record", "recording") as child:
        jobs = ({"type": "send_job", "content": job(site.url, kind)} for kind in KINDS)
        _, *recorded = child.ask({"type": "set_mock", "content": {}}, *jobs)
        assert child.end() == 0
    done = subprocess.run(
        [sys.executable, "-m", "sidecar", "replay", "recording", "--json"],
        cwd=folder,
        env=environment(folder),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    replayed = [json.loads(line) for line in done.stdout.splitlines()[1:-1]]
    return {
        kind: (before, after["message"], after["differences"])
        for kind, before, after in zip(KINDS, recorded, replayed, strict=True)
    }


@pytest.mark.parametrize("kind", KINDS)
def test_a_page_of_each_kind(outcomes: dict[str, tuple[Any, Any, list[Any]]], kind: str) -> None:
    """The same reply as recorded, or the known difference."""
    recorded, replayed, differences = outcomes[kind]
    assert recorded["type"] == "ok", recorded
    assert "failed" not in json.dumps(recorded["content"]["result"]["extract"])
    assert (differences == []) is (kind not in DIFFERENT), (differences, replayed)
    if kind == "download":
        (file,) = replayed["content"]["result"]["downloads"]
        assert base64.b64decode(file["content"]) == FILE


def test_the_table_has_a_row_for_each_kind() -> None:
    """docs/replaying.md says for each whether it is the same."""
    page = (Path(__file__).parents[2] / "docs" / "replaying.md").read_text()
    rows = dict(re.findall(r"^\| ([^|]+?) \| (yes|no)\b", page, re.MULTILINE))
    assert rows == {kind: "no" if kind in DIFFERENT else "yes" for kind in KINDS}
