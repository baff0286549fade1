"""The network, the time and the randomness of one job's pages: as they are, recorded, or replayed."""

import json
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import Any, Final, Protocol

from playwright.async_api import BrowserContext, Route, WebSocketRoute
from sidecar_protocol.jobs import JobResult, Option

from sidecar.browser.artifacts.capture import ArtifactKind
from sidecar.browser.cdp import is_chromium
from sidecar.browser.filmstrip.filmstrip import Film, Filmstrip
from sidecar.browser.filmstrip.late_pictures import LatePictures
from sidecar.browser.filmstrip.page_picture import PagePictures
from sidecar.browser.playwright_errors import navigation_advice
from sidecar.browser.processes.job_page import JobPage
from sidecar.errors import NavigationFailed, NotRecorded, SidecarError
from sidecar.http_record import HttpRecord
from sidecar.truncation import Redact, cap_length

_NOWHERE: Final = {"server": "http://127.0.0.1:9", "bypass": "<-loopback>"}
"""A proxy that is not there: what no route answers reaches nothing."""
_ABORTS: Final = {
    "net::ERR_ABORTED": "aborted",
    "net::ERR_ADDRESS_UNREACHABLE": "addressunreachable",
    "net::ERR_CONNECTION_ABORTED": "connectionaborted",
    "net::ERR_CONNECTION_CLOSED": "connectionclosed",
    "net::ERR_CONNECTION_FAILED": "connectionfailed",
    "net::ERR_CONNECTION_REFUSED": "connectionrefused",
    "net::ERR_CONNECTION_RESET": "connectionreset",
    "net::ERR_EMPTY_RESPONSE": "connectionclosed",
    "net::ERR_NAME_NOT_RESOLVED": "namenotresolved",
    "net::ERR_TIMED_OUT": "timedout",
    "NS_ERROR_CONNECTION_REFUSED": "connectionrefused",
    "NS_ERROR_NET_RESET": "connectionreset",
    "NS_ERROR_UNKNOWN_HOST": "namenotresolved",
}
"""Failure of a recorded request -> Playwright's abort reason; others fail without a reason."""
_FAILED: Final = "net::ERR_FAILED"
_NO_STATUS: Final = 3001
"""How a WebSocket is closed that was not recorded."""
_SEEDED: Final = """(() => {{
    const stream = (salt) => {{
        let state = ({seed} ^ Math.imul(salt, 0x9e3779b1)) | 0 || 1;
        return () => {{
            state ^= state << 13; state ^= state >>> 17; state ^= state << 5;
            return state >>> 0;
        }};
    }};
    const next = stream(0), streams = new Map();
    Math.random = function random() {{ return next() / 4294967296; }};
    const prototype = globalThis.Crypto && Crypto.prototype;
    if (!prototype) return;
    const original = prototype.getRandomValues;
    const fill = (array, kind) => {{ // a stream for each size: what replays WebSockets draws some, too
        if (!streams.has(kind)) streams.set(kind, stream(kind));
        const bytes = new Uint8Array(array.buffer, array.byteOffset, array.byteLength), draw = streams.get(kind);
        for (let index = 0; index < bytes.length; index++) bytes[index] = draw() >>> 24;
        return array;
    }};
    prototype.getRandomValues = function getRandomValues(array) {{
        return fill(original.call(this, array), array.byteLength + 1); // it refuses what it has to
    }};
    if (prototype.randomUUID) prototype.randomUUID = function randomUUID() {{
        const bytes = fill(new Uint8Array(16), 1e6);
        bytes[6] = bytes[6] & 15 | 64; bytes[8] = bytes[8] & 63 | 128;
        const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
        return hex.replace(/^(.{{8}})(.{{4}})(.{{4}})(.{{4}})/, '$1-$2-$3-$4-');
    }};
}})()"""
_WORKERS: Final = files(__package__).joinpath("service_workers.js").read_text("utf-8")
"""In place of service workers, which can't be answered from a recording."""


Artifact = tuple[ArtifactKind, Path]
"""A file that a job has written."""


class JobNetwork(Protocol):
    """One for each job."""

    @property
    def context_arguments(self) -> Mapping[str, Any]:
        """Further arguments of the job's context."""

    @property
    def is_offline(self) -> bool:
        """Whether nothing may be reached."""

    @property
    def on_har(self) -> Callable[[bytes], None] | None:
        """Takes the HAR of the job's pages, in a thread; None if there is to be none."""

    on_result: Callable[[JobResult], None] | None
    """Takes the job's result before what is recorded of the job is handed over, which takes longer; None if the job's
    end is early enough."""

    def filmstrip(self, page: JobPage, redact: Redact, options: Sequence[Option]) -> Filmstrip | None:
        """Takes notes and pictures of the job on its page; None if there are to be none.

        `redact` takes the job's secrets out of a text; `options` are what the job captures itself.
        """

    def artifact_written(self, kind: ArtifactKind, path: Path) -> None:
        """Notes a file that the job's reply may name; called in a thread."""

    async def prepare(self, context: BrowserContext) -> None:
        """Prepares the context; called before the job's first step."""

    def extracted(self, values: Mapping[str, Any] | None) -> bool:
        """Takes what the job has read of its pages so far; whether there is a secret in it."""

    def ended(self, error: SidecarError | None) -> None:
        """Is called when the job has ended, in a thread."""

    def explain(self, error: SidecarError) -> SidecarError:
        """The error of a failed job: this one, or the reason behind it."""


class RecordedNetwork:
    """The network of a job that is recorded."""

    is_offline = False
    context_arguments: Mapping[str, Any] = {}

    def __init__(
        self,
        seed: int,
        on_har: Callable[[bytes], None],
        on_film: Callable[[Film, SidecarError | None, Sequence[Artifact]], None],
        on_progress: Callable[[Sequence[Mapping[str, Any]], Sequence[bytes], int], None],
        on_extract: Callable[[Mapping[str, Any]], bool],
        redact: Redact,
        now: Callable[[], float],
        late_pictures: LatePictures,
    ) -> None:
        """`seed` is that of `Math.random` in its pages. `on_film` takes the notes of a job that has ended, and the
        files that it has written, in a thread. `on_progress` takes the steps of a job that goes on, the pictures taken
        since it was last called, and how many there were before. `on_extract` takes what was read of pages, and says
        whether there is a secret in it.

        `redact` takes the session's secrets out of a text; `now` gives monotonic seconds. `late_pictures` says whether
        there is a picture of the end of a job whose result does not wait for one.
        """
        self._seed = seed
        self.on_har: Callable[[bytes], None] | None = on_har
        self.on_result: Callable[[JobResult], None] | None = None
        self._late_pictures = late_pictures
        self._on_film = on_film
        self._on_progress = on_progress
        self._on_extract = on_extract
        self._shown = 0
        self._redact = redact
        self._now = now
        self._film = Film()
        self._artifacts: list[Artifact] = []
        self._redact_job: Redact = str

    def filmstrip(self, page: JobPage, redact: Redact, options: Sequence[Option]) -> Filmstrip | None:
        """A new one; that of an attempt before this one is forgotten."""
        self._film, self._redact_job, self._shown = Film(), redact, 0
        scales = "RECORD" not in options  # a video would show it
        pictures = PagePictures(page.cdp, page.page, lambda text: self._redact(redact(text)), scales=scales)
        late_end = self.on_result is not None and not options  # which capture the page without covered secrets
        late, shown = self._late_pictures, self._show_progress
        return Filmstrip(self._film, pictures, self._now, shown, late_pictures=late, late_end=late_end)

    def _show_progress(self) -> None:
        before, self._shown = self._shown, len(self._film.pictures)
        self._on_progress(self._film.redacted_steps(self._redact_job), self._film.pictures[before:], before)

    def extracted(self, values: Mapping[str, Any] | None) -> bool:
        """Makes its secrets known before the pages are recorded."""
        return bool(values) and self._on_extract(values or {})

    def ended(self, error: SidecarError | None) -> None:
        """Hands over the notes, without the job's secrets."""
        self._film.redact(self._redact_job)
        self._on_film(self._film, error, tuple(self._artifacts))

    def artifact_written(self, kind: ArtifactKind, path: Path) -> None:
        """Notes it."""
        self._artifacts.append((kind, path))

    async def prepare(self, context: BrowserContext) -> None:
        """Makes the randomness of pages one that can be had again."""
        await context.add_init_script(_SEEDED.format(seed=self._seed))

    def explain(self, error: SidecarError) -> SidecarError:
        """The error as it is."""
        return error


class OfflineNetwork:
    """The network of a job that is replayed: every request is answered from a recording, or fails."""

    is_offline = True
    context_arguments: Mapping[str, Any] = {"proxy": _NOWHERE, "service_workers": "block"}
    on_har: Callable[[bytes], None] | None = None
    on_result: Callable[[JobResult], None] | None = None

    def __init__(
        self,
        seed: int,
        began: float,
        har: Path,
        find: Callable[[str, str, bytes], HttpRecord],
        sockets: Mapping[str, deque[list[tuple[bool, str | bytes]]]],
        workers: Mapping[str, Mapping[str, object]],
    ) -> None:
        """`began` is the Unix time at which the recorded job began.

        `find` gives the recorded exchange for method, URL and body, or raises NotRecorded; `har` holds the same for
        Playwright, which follows redirects with it. `sockets`: the URL of a WebSocket -> for each connection its
        messages, and whether the page sent them. `workers`: the script of a service worker -> its `status`, and whether
        it `claims` pages.
        """
        self._sockets = sockets
        self._workers = workers
        self._seed = seed
        self._began = datetime.fromtimestamp(began, UTC)
        self._har = har
        self._find = find
        self._missing: NotRecorded | None = None
        self._failure = ""
        """The recorded failure of a request, if Playwright can't reproduce it."""

    def filmstrip(self, page: JobPage, redact: Redact, options: Sequence[Option]) -> Filmstrip | None:  # noqa: ARG002
        """None: a replay is not recorded."""
        return None

    def extracted(self, values: Mapping[str, Any] | None) -> bool:  # noqa: ARG002
        """False: a replay is not recorded."""
        return False

    def ended(self, error: SidecarError | None) -> None:
        """Nothing is left to do."""

    def artifact_written(self, kind: ArtifactKind, path: Path) -> None:
        """A replay is not recorded."""

    async def prepare(self, context: BrowserContext) -> None:
        """Answers requests, sets the clock and the randomness of pages."""
        await context.add_init_script(_SEEDED.format(seed=self._seed))
        browser = context.browser
        workers = self._workers if browser is not None and is_chromium(browser) else None  # Firefox does not show them
        await context.add_init_script(f"({_WORKERS})({json.dumps(workers)})")
        await context.clock.install(time=self._began)
        await context.route_from_har(self._har, not_found="abort")
        await context.route("**/*", self._answer)
        await context.route_web_socket("**/*", self._connect)

    def explain(self, error: SidecarError) -> SidecarError:
        """The first request that was not recorded, if there was one."""
        if self._failure and isinstance(error, NavigationFailed):
            error.message = error.message.replace(_FAILED, self._failure)
            if advice := navigation_advice(self._failure):
                error.details["hint"] = advice
        return self._missing or error

    async def _connect(self, socket: WebSocketRoute) -> None:
        """Sends what the server sent: at once, and after each message of the page what came after it."""
        connections = self._sockets.get(socket.url)
        if not connections:
            shown = cap_length(socket.url)
            self._missing = self._missing or NotRecorded(f"the WebSocket {shown} was not recorded", url=shown)
            await socket.close(code=_NO_STATUS)
            return
        messages = deque(connections.popleft())

        def answer(_: str | bytes | None = None) -> None:
            while messages and not messages[0][0]:
                socket.send(messages.popleft()[1])

        def take(message: str | bytes) -> None:
            if messages:
                messages.popleft()
            answer(message)

        socket.on_message(take)
        answer()

    async def _answer(self, route: Route) -> None:
        request = route.request
        try:
            found = self._find(request.method, request.url, request.post_data_buffer or b"")
        except NotRecorded as missing:
            self._missing = self._missing or NotRecorded(missing.message, url=cap_length(request.url))
            await route.abort()
            return
        if found.failure:
            reason = _ABORTS.get(found.failure.message)
            self._failure = self._failure if reason else found.failure.message
            await route.abort(reason or "failed")
        elif _is_open_stream(found):
            said = f"the stream {cap_length(request.url)} had not ended when it was recorded: what it sent is not known"
            self._missing = self._missing or NotRecorded(
                said, url=cap_length(request.url)
            )  # it stays without an answer
        elif 300 <= found.status < 400 and any(name.lower() == "location" for name, _ in found.response_fields):
            await route.fallback()
        else:
            await route.fulfill(status=found.status, headers=_headers(found), body=found.response_body)


def _is_open_stream(found: HttpRecord) -> bool:
    """Whether it is a stream of events of which the browser gave no content."""
    kinds = [value for name, value in found.response_fields if name.lower() == "content-type"]
    return not found.response_body and any(kind.startswith("text/event-stream") for kind in kinds)


def _headers(found: HttpRecord) -> dict[str, str]:
    """Headers as `fulfill` takes them; several of one name are joined as Playwright joins them."""
    headers: dict[str, str] = {}
    for name, value in found.response_fields:
        name = name.lower()
        if name in ("content-encoding", "content-length", "transfer-encoding"):
            continue  # the body is as it was decoded
        separator = "\n" if name == "set-cookie" else ", "
        headers[name] = f"{headers[name]}{separator}{value}" if name in headers else value
    return headers
