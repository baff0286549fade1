"""A server under two names, one of which is outside a visit token's scope, with pages that try to get there."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from aiohttp import web

from sidecar.jobs.token_scope import Scope
from tests.scopes import ScopedRunner

RunnerOf = Callable[[Scope], ScopedRunner]
"""A runner whose jobs all have this scope."""

LOADS = """<title>in</title><link rel=stylesheet href="ELSEWHERE/style"><link rel=prefetch href="ELSEWHERE/prefetch">
<link rel=preconnect href="ELSEWHERE"><img src="ELSEWHERE/image"><img src="/away.png"><img src="/near.png">
<iframe src="ELSEWHERE/framed"></iframe><iframe src="/near"></iframe><script src="ELSEWHERE/script.js"></script>
<object data="ELSEWHERE/object"></object><embed src="ELSEWHERE/embed">
<script type=speculationrules>{"prefetch": [{"source": "list", "urls": ["ELSEWHERE/spec"], "eagerness": "immediate"}]}
</script><script>
  const there = "ELSEWHERE", socket = there.replace("http", "ws"), done = [];
  const worker = `fetch("${there}/worker", {mode: "no-cors"}).catch(() => 0).then(() => postMessage(1));
    new WebSocket("${socket}/worker-socket"); try { importScripts("${there}/imported.js") } catch {}`;
  done.push(fetch(there + "/fetch", {mode: "no-cors"}).catch(() => 0));
  navigator.sendBeacon(there + "/beacon", "x");
  done.push(new Promise((resolve) => { new EventSource(there + "/events").onerror = resolve }));
  done.push(new Promise((resolve) => { new WebSocket(socket + "/socket").onclose = resolve }));
  done.push(new Promise((resolve) => {
    new Worker(URL.createObjectURL(new Blob([worker]))).onmessage = resolve;
  }));
  new SharedWorker(URL.createObjectURL(new Blob([`fetch("${there}/shared", {mode: "no-cors"})`])));
  Promise.all(done).then(() => { document.title = "loaded, peers: " + typeof RTCPeerConnection });
</script>"""
"""A page that loads from elsewhere in every way there is."""


class TwoHosts:
    """One server under two names: 127.0.0.1 is inside the scope, localhost is not."""

    def __init__(self) -> None:
        self.outside: list[str] = []
        """Paths that were asked for under the name that is outside."""
        self.scripts: list[str] = []
        """Paths of scripts that were asked for."""
        self.inside = self.elsewhere = ""

    async def answer(self, request: web.Request) -> web.Response:
        """`/away` redirects to the other name, `/far` to `/away`; all else is a page with ways out."""
        if request.host.startswith("localhost"):
            self.outside.append(request.path)
        if request.path in ("/away", "/away.png"):
            raise web.HTTPFound(f"{self.elsewhere}/redirected")
        if request.path == "/far":
            raise web.HTTPFound("/away")
        if request.path == "/refresh":
            return web.Response(text="x", headers={"Refresh": f"0; url={self.elsewhere}/refreshed"})
        if request.path.endswith(".js"):
            self.scripts.append(request.path)
            return web.Response(text="", content_type="text/javascript")
        if request.path == "/load":
            return web.Response(text=LOADS.replace("ELSEWHERE", self.elsewhere), content_type="text/html")
        if request.path == "/objects":
            objects = f"""<title>in</title><button onclick="document.title = 'clicked'">go</button>
              <object data="{self.elsewhere}/object"></object>
              <object data="/away"></object><embed src="{self.elsewhere}/embed"><embed src="http://127.0.0.1:9/refused">"""
            return web.Response(text=objects, content_type="text/html")
        body = f"""<title>in</title><a id=link href="{self.elsewhere}/linked">out</a><a id=near href="/near">near</a>
          <a id=pop target=_blank href="{self.elsewhere}/popped">pop</a><a id=away href="/away">away</a>
          <button id=js onclick="location = '{self.elsewhere}/scripted'">go</button>
          <iframe src="{self.elsewhere}/framed"></iframe>"""
        return web.Response(text=body if request.path != "/framed" else "x", content_type="text/html")


@asynccontextmanager
async def two_hosts() -> AsyncIterator[TwoHosts]:
    """The server, running."""
    hosts = TwoHosts()
    app = web.Application()
    app.router.add_get("/{path:.*}", hosts.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    port = runner.addresses[0][1]
    hosts.inside, hosts.elsewhere = f"http://127.0.0.1:{port}", f"http://localhost:{port}"
    yield hosts
    await runner.cleanup()
