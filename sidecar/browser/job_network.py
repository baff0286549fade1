"""The network, the time and the randomness of one job's pages: as they are, recorded, or replayed."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Protocol

from playwright.async_api import BrowserContext, Route

from sidecar.browser.filmstrip.filmstrip import Film, Filmstrip
from sidecar.browser.filmstrip.page_picture import PagePictures
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
_SEEDED: Final = """(() => {{
    let state = {seed} | 0 || 1;
    Math.random = function random() {{
        state ^= state << 13; state ^= state >>> 17; state ^= state << 5;
        return (state >>> 0) / 4294967296;
    }};
}})()"""


class JobNetwork(Protocol):
    """One for each job."""

    @property
    def context_arguments(self) -> Mapping[str, Any]:
        """Further arguments of the job's context."""

    @property
    def on_har(self) -> Callable[[bytes], None] | None:
        """Takes the HAR of the job's pages, in a thread; None if there is to be none."""

    def filmstrip(self, page: JobPage, redact: Redact, *, scales: bool) -> Filmstrip | None:
        """Takes notes and pictures of the job on its page; None if there are to be none.

        `redact` takes the job's secrets out of a text. `scales`: whether a picture may be taken at a smaller scale.
        """

    async def prepare(self, context: BrowserContext) -> None:
        """Prepares the context; called before the job's first step."""

    def ended(self, error: SidecarError | None) -> None:
        """Is called when the job has ended, in a thread."""

    def explain(self, error: SidecarError) -> SidecarError:
        """The error of a failed job: this one, or the reason behind it."""


class RecordedNetwork:
    """The network of a job that is recorded."""

    context_arguments: Mapping[str, Any] = {}

    def __init__(
        self,
        seed: int,
        on_har: Callable[[bytes], None],
        on_film: Callable[[Film, SidecarError | None], None],
        redact: Redact,
        now: Callable[[], float],
    ) -> None:
        """`seed` is that of `Math.random` in its pages. `on_film` takes the notes of a job that has ended, in a thread.

        `redact` takes the session's secrets out of a text; `now` gives monotonic seconds.
        """
        self._seed = seed
        self.on_har: Callable[[bytes], None] | None = on_har
        self._on_film = on_film
        self._redact = redact
        self._now = now
        self._film = Film()
        self._redact_job: Redact = str

    def filmstrip(self, page: JobPage, redact: Redact, *, scales: bool) -> Filmstrip | None:
        """A new one; that of an attempt before this one is forgotten."""
        self._film, self._redact_job = Film(), redact
        pictures = PagePictures(page.cdp, page.page, lambda text: self._redact(redact(text)), scales=scales)
        return Filmstrip(self._film, pictures, self._now)

    def ended(self, error: SidecarError | None) -> None:
        """Hands over the notes, without the job's secrets."""
        self._film.redact(self._redact_job)
        self._on_film(self._film, error)

    async def prepare(self, context: BrowserContext) -> None:
        """Makes the randomness of pages one that can be had again."""
        await context.add_init_script(_SEEDED.format(seed=self._seed))

    def explain(self, error: SidecarError) -> SidecarError:
        """The error as it is."""
        return error


class OfflineNetwork:
    """The network of a job that is replayed: every request is answered from a recording, or fails."""

    context_arguments: Mapping[str, Any] = {"proxy": _NOWHERE, "service_workers": "block"}
    on_har: Callable[[bytes], None] | None = None

    def __init__(self, seed: int, began: float, har: Path, find: Callable[[str, str, bytes], HttpRecord]) -> None:
        """`began` is the Unix time at which the recorded job began.

        `find` gives the recorded exchange for method, URL and body, or raises NotRecorded; `har` holds the same for
        Playwright, which follows redirects with it.
        """
        self._seed = seed
        self._began = datetime.fromtimestamp(began, UTC)
        self._har = har
        self._find = find
        self._missing: NotRecorded | None = None
        self._failure = ""
        """The recorded failure of a request, if Playwright can't reproduce it."""

    def filmstrip(self, page: JobPage, redact: Redact, *, scales: bool) -> Filmstrip | None:  # noqa: ARG002
        """None: a replay is not recorded."""
        return None

    def ended(self, error: SidecarError | None) -> None:
        """Nothing is left to do."""

    async def prepare(self, context: BrowserContext) -> None:
        """Answers requests, sets the clock and the randomness of pages."""
        await context.add_init_script(_SEEDED.format(seed=self._seed))
        await context.clock.install(time=self._began)
        await context.route_from_har(self._har, not_found="abort")
        await context.route("**/*", self._answer)

    def explain(self, error: SidecarError) -> SidecarError:
        """The first request that was not recorded, if there was one."""
        if self._failure and isinstance(error, NavigationFailed):
            error.message = error.message.replace(_FAILED, self._failure)
        return self._missing or error

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
        elif 300 <= found.status < 400 and any(name.lower() == "location" for name, _ in found.response_fields):
            await route.fallback()
        else:
            await route.fulfill(status=found.status, headers=_headers(found), body=found.response_body)


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
