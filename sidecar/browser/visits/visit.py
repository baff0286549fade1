"""One job's way through its pages: open, act, settle, extract - step by step in one page."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

from playwright.async_api import Error as PlaywrightError
from playwright.async_api import Page, Response
from playwright.async_api import TimeoutError as PlaywrightTimeout

from protocol.jobs import Cookie, StepResult
from sidecar.browser import failures
from sidecar.browser.addresses import Allows
from sidecar.browser.asking import BadSelector
from sidecar.browser.processes.job_page import JobPage
from sidecar.browser.processes.transport import MOST_VALUE
from sidecar.browser.profiles.capture import NO_CAPTURE, Capture
from sidecar.browser.scripting.job import ActionError, JobScripts
from sidecar.browser.scripting.sandboxes import Sandboxes
from sidecar.browser.scripting.script import Script
from sidecar.browser.visits import extract
from sidecar.browser.visits.actions import BoundAction
from sidecar.browser.visits.cookies import set_cookies
from sidecar.browser.visits.dialogs import Dialogs
from sidecar.browser.visits.notes import Notes
from sidecar.browser.visits.pages import MOST_DOWNLOADED, DialogAnswer, Downloaded
from sidecar.browser.visits.plan import PlannedStep
from sidecar.browser.visits.settle import Movements
from sidecar.browser.visits.values import to_json
from sidecar.browser.watch import Watch
from sidecar.clock import Clock, within
from sidecar.errors import ActionFailed, Forbidden, LimitExceeded, NavigationFailed, TimedOut
from sidecar.scratch import Scratch
from sidecar.texts import Hide

_GRACE = 0.25
"""Seconds that Playwright gets to report its own, better explained timeout before the step's is enforced."""
_FAILURES: Final = {"forbidden": Forbidden, "limit_exceeded": LimitExceeded}
"""Code of a JavaScript action's failure -> what it is raised as."""
_INTERRUPTED = "interrupted by another navigation"


@dataclass(frozen=True, slots=True)
class Visited:
    """What the steps brought."""

    steps: tuple[StepResult, ...]
    extract: dict[str, Any] | None
    """The steps' extracts merged, the later one winning; None where no step has one."""


class Visit:
    """One run over the steps. `step` and `action` say where it is, for whoever has to stop it.

    JavaScript actions run in a sandbox of `sandboxes` and see `secrets`; `close` gives it back.
    """

    def __init__(
        self,
        lent: JobPage,
        clock: Clock,
        sandboxes: Sandboxes | None = None,
        secrets: Mapping[str, Any] | None = None,
        scratch: Scratch | None = None,
        hide: Hide = str,
        allows: Allows | None = None,
    ) -> None:
        """`scratch` is where files lie while they are fetched or recorded; `hide` knows all that is secret.

        `allows` says which addresses the pages may open; None is all of them.
        """
        page = lent.page
        self.scratch = scratch or Scratch()
        self.devtools = lent.devtools
        self._own = page
        self._page = page
        self._clock = clock
        self._notes = Notes(page.context, hide)
        self._moves = Movements(lent)
        self.dialogs = Dialogs(page.context, hide)
        self.downloads: list[Downloaded] = []
        """What the actions fetched, in order."""
        self._scripts: JobScripts | None = None
        if sandboxes:
            self._scripts = JobScripts(sandboxes, page, self._notes, secrets or {}, self._left, allows)
            self.dialogs.is_heard = self._scripts.hears_dialogs
        self._status: int | None = None
        self._deadline = 0.0
        self._last_step: PlannedStep | None = None
        self.capture: Capture = NO_CAPTURE
        """Told when nothing is left to do but the last reading, and what that found."""
        self.step: str | None = None
        self.action: str | None = None

    @property
    def page(self) -> Page:
        """Where the job is: its own page, or a popup that it has gone to, as long as that is open."""
        if self._page.is_closed():
            self._page = self._own
        return self._page

    async def run(self, steps: Sequence[PlannedStep], cookies: Sequence[Cookie], watch: Watch) -> Visited:
        """Visits the steps, and tells `watch` of each.

        Raises NavigationFailed, ActionFailed, Forbidden, TimedOut, BrowserCrashed, BrowserUnavailable, InvalidContent.
        """
        await set_cookies(self._own.context, cookies)
        results: list[StepResult] = []
        merged: dict[str, Any] | None = None
        self._last_step = steps[-1]
        for index, step in enumerate(steps):
            watch.on_step_started(index)
            try:
                result, values = await self._run_step(step)
            except BaseException:
                watch.on_step_broken(index, *self._notes.take())
                raise
            watch.on_step_ended(index, result)
            results.append(result)
            if values is not None:
                merged = {**(merged or {}), **values}
        self.step = self.action = None
        return Visited(tuple(results), merged)

    @property
    def altered_context(self) -> bool:
        """Whether JavaScript actions have changed the context itself, for all its pages to come."""
        return self._scripts is not None and self._scripts.altered_context

    async def close(self) -> None:
        """Listens to nothing any more, and ends what JavaScript actions have left behind."""
        self._notes.detach()
        self.dialogs.detach()
        self._moves.close()
        if self._scripts:
            await self._scripts.close()

    async def _run_step(self, step: PlannedStep) -> tuple[StepResult, dict[str, Any] | None]:
        started = self._clock.monotonic()
        self._deadline = started + step.timeout_ms / 1000
        self.step, self.action = step.name, None
        self._page = self._own
        self._moves.rest()
        async with self._limited(step):
            values: list[Any] = [None] * len(step.actions)
            if self._scripts and any(isinstance(action, Script) for action in step.actions):
                self._scripts.prepare()
            for index, action in enumerate(step.actions):
                if isinstance(action, Script) and action.early:
                    values[index] = await self._script(action, step)
            self.action = None
            self._status = await self._open(step)
            for index, action in enumerate(step.actions):
                if isinstance(action, BoundAction):
                    values[index] = self._take(await self._act(action, step))
                elif not action.early:
                    values[index] = await self._script_and_settle(action, step)
            self.action = "extract" if step.extract is not None else None
            reading = await self._read(step)
        console, errors = await self._notes.taken()
        result = StepResult(
            name=step.name,
            url=failures.public_url(self._page.url),
            status=self._status,
            title=reading.title,
            duration_ms=round((self._clock.monotonic() - started) * 1000),
            values=tuple(values),
            console=console,
            errors=errors,
        )
        return result, reading.values

    async def _open(self, step: PlannedStep) -> int | None:
        try:
            before = self._moves.documents(self._page)
            response = await self._page.goto(step.url, wait_until=step.wait_until, timeout=self._left())
            if step.wait_until != "commit":
                self._moves.opened(self._page, before, step.wait_until)
        except PlaywrightError as error:
            self._check_handlers(step)
            if _INTERRUPTED not in str(error):
                raise failures.navigation(error, step.url, step.name) from None
            response = None  # the page itself went on to another one, which is where the step goes too
            await self._wait_for_load(step)
        self._check_handlers(step)
        return self._checked(response, step) if response else None

    def _check_handlers(self, step: PlannedStep) -> None:
        """Raises Forbidden or ActionFailed where a route's handler has asked for what is refused."""
        if self._scripts:
            try:
                self._scripts.check_handlers()
            except ActionError as error:
                kind = Forbidden if error.code == "forbidden" else ActionFailed
                said = f"the handler of a route failed: {error}"
                raise kind(said, step=step.name, action=self.action) from None

    def _checked(self, response: Response, step: PlannedStep) -> int:
        """The status. Raises NavigationFailed where it is one that the step fails on."""
        if response.status >= 400 and step.fail_on_status:
            url = failures.public_url(response.url)
            said = f"{url} answered with status {response.status}"
            raise NavigationFailed(said, url=url, status=response.status, step=step.name, action=self.action)
        return response.status

    def _take(self, value: Any) -> Any:
        """What an action's value stands for in the result; some are orders for the visit."""
        if isinstance(value, Downloaded):
            if sum(len(file.data) for file in (*self.downloads, value)) > MOST_DOWNLOADED:
                raise LimitExceeded(f"the downloads of one job are limited to {MOST_DOWNLOADED} bytes", step=self.step)
            self.downloads.append(value)
            return {"name": value.name, "size": len(value.data)}
        if isinstance(value, DialogAnswer):
            self.dialogs.answer(value.accept, value.text)
            return None
        if isinstance(value, str) and len(value) > MOST_VALUE:
            said = f"{self.action} failed: the value has more than {MOST_VALUE >> 20} MiB"
            raise LimitExceeded(said, step=self.step, action=self.action)
        return None if isinstance(value, Page) else to_json(value)

    async def _script_and_settle(self, script: Script, step: PlannedStep) -> Any:
        page = self.page
        self._moves.expect_popups()
        self._moves.watch()
        value = await self._script(script, step)
        only_read = self._scripts is not None and self._scripts.only_read
        await self._moves.settled(page, unmoved=only_read)
        self._check_arrival(page, step)
        await self._wait_for_load(step)
        if not only_read:
            state = None if step.wait_until == "commit" else step.wait_until
            await self._moves.popups_settled(self.page, state, self._left() / 1000)
        return value

    async def _script(self, script: Script, step: PlannedStep) -> Any:
        self.action = script.label
        if self._scripts is None:
            raise ActionFailed("there is no sandbox for JavaScript actions", step=step.name, action=script.label)
        try:
            value = await self._scripts.run(script.source)
        except ActionError as error:
            kind = _FAILURES.get(error.code, ActionFailed)
            raise kind(f"{script.label} failed: {error}", step=step.name, action=script.label) from None
        self._status = self._scripts.take_status() or self._status
        return value

    async def _act(self, action: BoundAction, step: PlannedStep) -> Any:
        page = self.page
        self.action = action.label
        try:
            if action.unseen:
                self._moves.watch()
            value = await action.run(page, self._left(), self.scratch)
            if action.unseen:
                await self._moves.settled(page)
                self._check_arrival(page, step)
        except PlaywrightError as error:
            self._check_handlers(step)
            if page is not self._own and page.is_closed() and not self._own.is_closed():
                return None  # a popup that closes itself once it is done with; the job goes on where it came from
            target = getattr(action.arguments, "url", None)
            if action.method == "goto" and target:
                raise failures.navigation(error, target, step.name, action.label) from None
            raise failures.action(error, action.label, step.name, action.hidden) from None
        self._check_handlers(step)
        if isinstance(value, Page):
            self._page = value
        await self._wait_for_load(step)
        if isinstance(value, Response):
            self._status = self._checked(value, step)
        return value

    def _check_arrival(self, page: Page, step: PlannedStep) -> None:
        failure = self._moves.failures.get(page)
        if failure and not failures.called_off(failure):
            said = f"the page that this led to could not be opened: {failure}"
            raise NavigationFailed(said, step=step.name, action=self.action)

    async def _wait_for_load(self, step: PlannedStep) -> None:
        """Where an action led to another page, waits for it; at once where it did not."""
        if step.wait_until != "commit":
            try:
                await self._moves.loaded(self.page, step.wait_until, self._left())
            except PlaywrightTimeout:
                raise self._too_long(step) from None
            except PlaywrightError as error:
                raise failures.navigation(error, self._page.url, step.name, self.action) from None
        if self._page.url.startswith("chrome-error:"):
            raise NavigationFailed("the page that this led to could not be opened", step=step.name, action=self.action)

    async def _read(self, step: PlannedStep) -> extract.Reading:
        last = step is self._last_step
        while True:
            if last:
                self.capture.begin()
            page = self.page
            documents, reading = self._moves.documents(page), None
            try:
                storage = last and self.capture.wants_storage
                reading = await extract.read(page, self.devtools, step.extract, storage=storage)
                if reading.is_of_loaded(step.wait_until):
                    break
            except BadSelector as bad:
                said = f"extract failed: field {bad.field}: {failures.first_line(bad)}"
                raise ActionFailed(said, step=step.name, action="extract") from None
            except PlaywrightError as error:
                if not failures.left_the_page(error):
                    raise failures.action(error, "extract", step.name) from None
            await self._moves.settled(page)  # the news of the document that has come may be on its way
            if reading and self._moves.documents(page) == documents:
                break  # the one that is there has been written anew, and may never be complete
            await self._wait_for_load(step)
        if last:
            self.capture.found(reading.storage)
        return reading

    @asynccontextmanager
    async def _limited(self, step: PlannedStep) -> AsyncIterator[None]:
        try:
            async with within(step.timeout_ms / 1000 + _GRACE):
                yield
        except TimeoutError:
            raise self._too_long(step) from None

    def _too_long(self, step: PlannedStep) -> TimedOut:
        where = f" at {self.action}" if self.action else ""
        return TimedOut(f"{step.name} took longer than {step.timeout_ms} ms{where}", step=step.name, action=self.action)

    def _left(self) -> float:
        """Milliseconds left of the step; never 0, which Playwright takes for no limit."""
        return max(1.0, round((self._deadline - self._clock.monotonic()) * 1000))
