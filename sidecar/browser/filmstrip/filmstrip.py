"""The filmstrip of one recorded job: what each step and action did, when, and what its page looked like then.

Pictures are taken while the job waits, for at most a share of the time that it has run. What would take longer is left
out, and so is a picture of a page that is busy; that of a failure, or of the last page, may take a second more. Where
the result does not wait for the latter, `late_pictures` says whether it is taken. Nothing here fails a job.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

from playwright.async_api import Error as PlaywrightError
from playwright.async_api import Frame, Locator, Page
from sidecar_protocol.jobs import StepResult

from sidecar.browser import playwright_errors
from sidecar.browser.background_tasks import consume_exception
from sidecar.browser.filmstrip.late_pictures import LatePictures
from sidecar.browser.filmstrip.page_picture import LARGE, SMALL, PagePictures, PictureSize
from sidecar.clock import within
from sidecar.errors import SidecarError
from sidecar.truncation import Redact

SHARE: Final = 0.05
"""Of a job's time, that it may wait for pictures; what they take of a busy processor comes on top."""
FAILURE_SECONDS: Final = 1.0
"""What a failed job waits for the place of its selector and its picture, at most, unless its share is more."""
LAST_SECONDS: Final = 1.0
"""What a job waits at its end for a picture of its last page, at most, unless its share is more."""
LATE_SECONDS: Final = 4.0
"""What such a picture may take where the job's result does not wait for it."""
MAX_PICTURES: Final = 40
"""Of one job; the last one and that of a failure come on top."""
MAX_BYTES: Final = 2 << 20
"""Of one job's pictures."""
MAX_ACTIONS: Final = 1_000
"""Of one step, that are noted."""
MAX_LINES: Final = 200
"""Console lines and errors of one step: the last ones."""
_EMPTY_PAGES: Final = ("about:", "chrome-error:")
_EXPECTED_SECONDS: Final = 0.05
"""What a picture takes, until one has been taken."""


@dataclass(slots=True)
class Film:
    """What is kept of a job. Times are in milliseconds since its beginning."""

    steps: list[dict[str, Any]] = field(default_factory=list)
    pictures: list[bytes] = field(default_factory=list)
    """JPEGs; notes name them by their place here."""
    left_out: int = 0
    """Pictures that would have taken too long, or of pages that were busy."""
    covered: int = 0
    """Pictures that were dropped as a secret could not be kept out of them."""
    failure: dict[str, Any] | None = None

    def redact(self, redact: Redact) -> None:
        """Takes secrets out of all texts."""
        self.steps = self.redacted_steps(redact)
        self.failure = _redacted(self.failure, redact)

    def redacted_steps(self, redact: Redact) -> list[dict[str, Any]]:
        """The steps so far without secrets."""
        return [_redacted(step, redact) for step in self.steps]


class Filmstrip:
    """Notes what a job does. Its methods never raise, but for a cancellation."""

    def __init__(
        self,
        film: Film,
        pictures: PagePictures,
        now: Callable[[], float],
        on_picture: Callable[[], object] = lambda: None,
        *,
        late_pictures: LatePictures | None = None,
        late_end: bool = False,
    ) -> None:
        """`now` gives monotonic seconds. `on_picture` is called when a picture was taken, while the job goes on.

        `late_end`: the last page's picture is left to `finish`, as the result does not wait for that, and taken if
        `late_pictures` allows it.
        """
        self._film = film
        self._pictures = pictures
        self._now = now
        self._on_picture = on_picture
        self._late_end = late_end
        self._late_pictures = late_pictures or LatePictures(now)
        self._late_pictures.job_begins(self)
        self._patience = FAILURE_SECONDS
        """Seconds that a picture may take, unless the job's share is more."""
        self._began = now()
        self._expected = _EXPECTED_SECONDS
        self._spent = 0.0
        self._bytes = 0
        self._pending: asyncio.Task[None] | None = None
        """A picture that took too long, or the last one."""
        self._note: dict[str, Any] = {}
        """What the pending picture belongs to."""
        self._last: Page | None = None
        """The page of the last step, once only its reading is left."""
        self._late: Page | None = None
        """That page, where its picture is left to `finish`."""

    def step_started(self, name: str, url: str) -> None:
        """A step begins."""
        self._film.steps.append({"name": name, "url": url, "at": self._elapsed_ms(), "actions": []})

    async def action_done(self, page: Page, label: str, began: float) -> None:
        """An action has succeeded, which began at this monotonic time."""
        actions = self._film.steps[-1]["actions"]
        if len(actions) >= MAX_ACTIONS:
            return
        note = {"label": label, "at": round((began - self._began) * 1000), "ms": round((self._now() - began) * 1000)}
        actions.append(note)
        await self._take(page, note, SMALL)

    def reading(self, page: Page, *, last: bool) -> None:
        """A step's last part begins, which only reads the page: its picture is taken meanwhile."""
        if last:
            if self._late_end:
                self._late = page  # its picture would keep it from being read
                return
            self._last = page
        if self._is_busy() or (self._is_full() and not last):
            self._film.left_out += not last
        else:
            self._begin(page, self._film.steps[-1], SMALL)

    async def step_done(self, result: StepResult, *, last: bool) -> None:
        """A step has succeeded. The picture of the last one is waited for by `finish`."""
        note = self._film.steps[-1]
        note |= {"ms": self._elapsed_ms() - note["at"], "url": result.url, "status": result.status}
        note |= {"title": result.title, **_lines(result.console, result.errors)}
        if not last:
            await self._wait(self._allowed())

    async def failed(
        self,
        page: Page,
        error: SidecarError,
        target: tuple[str, str | Sequence[str] | None] | Locator | None,
        said: tuple[Sequence[str], Sequence[str]] = ((), ()),
    ) -> None:
        """The step has failed. `target` is the selector of the action that did, and its frame, or what a call of it was
        for; `said` the console lines and errors.
        """
        if self._film.failure is not None:
            return
        self._on_picture = lambda: None
        note: dict[str, Any] = {"code": error.code, "message": error.message, "at": self._elapsed_ms()}
        self._film.failure = note
        if self._film.steps:
            step = self._film.steps[-1]
            step |= {"ms": note["at"] - step["at"], "failed": True, **_lines(*said)}
            note |= {"step": len(self._film.steps) - 1, "action": error.details.get("action")}
        note["url"] = playwright_errors.without_credentials(page.url)
        until = self._now() + max(FAILURE_SECONDS, self._allowed())
        with suppress(PlaywrightError, TimeoutError):
            async with within(until - self._now()):
                if isinstance(target, Locator):
                    note["target"] = {"selector": _selector_of(target)}
                    note["target"] |= await _place(page, target)
                elif target:
                    note["target"] = {"selector": target[0]}
                    note["target"] |= await _place_in_frame(page, *target)
        await self._wait(until - self._now())  # the step's own picture, if it is being taken
        if not self._is_busy() and not page.url.startswith(_EMPTY_PAGES):
            self._begin(page, note, LARGE)
            await self._wait(until - self._now())

    async def forget_pictures(self) -> None:
        """Drops those so far, as they may show what is now known to be a secret; the last one is taken again."""
        if self._pending:
            self._pending.cancel()
            await asyncio.wait((self._pending,), timeout=LAST_SECONDS)
            self._pending = None
        for step in self._film.steps:
            for note in (step, *step["actions"]):
                note.pop("picture", None)
        self._film.covered += len(self._film.pictures)
        self._film.pictures.clear()
        self._note = {}

    async def finish(self, *, late: bool = False) -> None:
        """Waits for the picture of the last page, or of a failure; drops one that takes too long.

        `late`: the job has succeeded, and its result does not wait.
        """
        self._on_picture = lambda: None
        self._late_pictures.job_ends(self)
        seconds = LATE_SECONDS if late else LAST_SECONDS
        if late:
            self._patience = seconds
            self._last = await self._late_page()
        began = self._now()
        until = self._now() + max(self._allowed(), 0.0 if self._shows_end() else seconds)
        await self._wait(until - self._now())
        if self._last and self._pending is None and not self._film.failure and self._note is not self._film.steps[-1]:
            self._begin(self._last, self._film.steps[-1], SMALL)  # another one was being taken when it was due
            await self._wait(until - self._now())
        if late:
            self._late_pictures.took(self._now() - began)
        if self._pending:
            self._film.left_out += 1
            self._pending.cancel()
            self._pending = None

    async def _late_page(self) -> Page | None:
        """The page whose picture was left to `finish`, if it may be taken now."""
        if self._late is None:
            return self._last
        if await self._late_pictures.may_be_taken():
            return self._late
        self._film.left_out += 1
        return None

    def _shows_end(self) -> bool:
        """Whether there is a picture of the last page; of a failed job, any."""
        return bool(self._film.pictures) if self._film.failure else "picture" in (self._film.steps or [{}])[-1]

    def _elapsed_ms(self) -> int:
        return round((self._now() - self._began) * 1000)

    def _allowed(self) -> float:
        """Seconds that pictures may still take."""
        return SHARE * (self._now() - self._began) - self._spent

    def _is_busy(self) -> bool:
        return self._pending is not None and not self._pending.done()

    async def _take(self, page: Page, note: dict[str, Any], size: PictureSize) -> None:
        allowed = self._allowed()
        if self._is_busy() or allowed < self._expected or self._is_full():
            self._film.left_out += 1
            return
        self._begin(page, note, size)
        began = self._now()
        await self._wait(allowed)
        self._expected += (self._now() - began - self._expected) / 3

    def _is_full(self) -> bool:
        return len(self._film.pictures) >= MAX_PICTURES or self._bytes >= MAX_BYTES

    def _begin(self, page: Page, note: dict[str, Any], size: PictureSize) -> None:
        self._note = note
        self._pending = asyncio.create_task(self._photograph(page, note, size))
        self._pending.add_done_callback(consume_exception)

    async def _photograph(self, page: Page, note: dict[str, Any], size: PictureSize) -> None:
        """Takes a picture and keeps it, also if the job did not wait as long."""
        data = await self._pictures.take(page, size, max(self._patience, self._allowed()) * 1000)
        if data is None or len(data) > MAX_BYTES:
            self._film.covered += 1
            return
        self._bytes += len(data)
        note["picture"] = len(self._film.pictures)
        self._film.pictures.append(data)
        self._on_picture()

    async def _wait(self, seconds: float) -> None:
        """Waits for the pending picture."""
        pending = self._pending
        if pending is None:
            return
        began = self._now()
        await asyncio.wait((pending,), timeout=max(0.0, seconds))
        self._spent += self._now() - began
        if pending.done():  # otherwise it goes on to uncover the page; meanwhile no other is taken
            self._pending = None


async def _place_in_frame(page: Page, selector: str, frame: str | Sequence[str] | None) -> dict[str, Any]:
    """How many elements a selector matches, and where the first one is in the viewport. Raises Playwright's errors."""
    target: Page | Frame = page
    for one in [frame] if isinstance(frame, str) else frame or ():
        found = await target.query_selector(one)
        inner = await found.content_frame() if found else None
        if inner is None:
            return {"found": 0}
        target = inner
    return await _place(page, target.locator(selector))


def _selector_of(locator: Locator) -> str:
    return repr(locator).partition("> selector=")[2][1:-2]


async def _place(page: Page, locator: Locator) -> dict[str, Any]:
    """How many elements a locator matches, and where the first one is. Raises Playwright's errors."""
    count = await locator.count()
    box = await locator.first.bounding_box(timeout=FAILURE_SECONDS * 1000) if count else None
    seen = page.viewport_size
    place: dict[str, Any] = {"found": count, "box": dict(box) if box else None}
    return {**place, "viewport": dict(seen)} if seen else place


def _redacted(value: Any, redact: Redact) -> Any:
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, dict):
        return {name: _redacted(one, redact) for name, one in value.items()}
    return [_redacted(one, redact) for one in value] if isinstance(value, list) else value


def _lines(console: Sequence[str], errors: Sequence[str]) -> Mapping[str, list[str]]:
    return {"console": list(console[-MAX_LINES:]), "errors": list(errors[-MAX_LINES:])}
