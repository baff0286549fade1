"""One job's way through its pages: open, act, settle, extract - step by step in one page."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

from playwright.async_api import Error as PlaywrightError
from playwright.async_api import Page, Response
from playwright.async_api import TimeoutError as PlaywrightTimeout
from sidecar_protocol.jobs import Cookie, StepResult

from sidecar.browser import playwright_errors
from sidecar.browser.isolated_world import InvalidSelector
from sidecar.browser.processes.driver import MAX_VALUE_BYTES
from sidecar.browser.processes.job_page import JobPage
from sidecar.browser.profiles.storage_observer import NO_STORAGE_OBSERVER, StorageObserver
from sidecar.browser.sandbox.action_script import ActionScript
from sidecar.browser.sandbox.action_session import ActionSession
from sidecar.browser.sandbox.sandbox import ScriptError
from sidecar.browser.sandbox.sandbox_pool import SandboxPool
from sidecar.browser.step_observer import StepObserver
from sidecar.browser.steps import extract
from sidecar.browser.steps.actions import BoundAction
from sidecar.browser.steps.console import ConsoleRecorder
from sidecar.browser.steps.cookies import set_cookies
from sidecar.browser.steps.dialogs import DialogHandler
from sidecar.browser.steps.event_scope import EventScope
from sidecar.browser.steps.json_values import to_json
from sidecar.browser.steps.navigation import LoadState, NavigationTracker
from sidecar.browser.steps.page_actions import MAX_DOWNLOAD_BYTES, DialogAnswer, DownloadedFile
from sidecar.browser.steps.plan import PlannedStep
from sidecar.browser.url_policy import AllowsUrl
from sidecar.clock import Clock, within
from sidecar.errors import (
    ActionFailed,
    Forbidden,
    LimitExceeded,
    NavigationFailed,
    SandboxCrashed,
    SidecarError,
    TimedOut,
)
from sidecar.scratch_folder import Scratch
from sidecar.truncation import Redact

_GRACE = 0.25
"""Seconds that Playwright gets to report its own, better explained timeout before the step's is enforced."""
_ERROR_CLASSES: Final = {"forbidden": Forbidden, "limit_exceeded": LimitExceeded}
"""Code of a JavaScript action's failure -> what it is raised as."""
_INTERRUPTED = "interrupted by another navigation"
_ERROR_PAGES = ("chrome-error:", "about:neterror", "about:certerror")
MAX_CLIENT_REDIRECTS = 20
"""Pages that lead on at once, one to the other."""


@dataclass(frozen=True, slots=True)
class StepsOutcome:
    """What the steps brought."""

    steps: tuple[StepResult, ...]
    extract: dict[str, Any] | None
    """The steps' extracts merged, the later one winning; None where no step has one."""


class StepRunner:
    """One run over the steps. `step` and `action` say where it is, for whoever has to stop it.

    JavaScript actions run in a sandbox of `sandboxes` and see `secrets`; `close` gives it back.
    """

    def __init__(
        self,
        lent: JobPage,
        clock: Clock,
        sandboxes: SandboxPool | None = None,
        secrets: Mapping[str, Any] | None = None,
        scratch: Scratch | None = None,
        hide: Redact = str,
        allows: AllowsUrl | None = None,
    ) -> None:
        """`scratch` is where files lie while they are fetched or recorded; `hide` knows all that is secret.

        `allows` says which addresses the pages may open; None is all of them.
        """
        page = lent.page
        self.scratch = scratch or Scratch()
        self.cdp = lent.cdp
        self._own = page
        self._page = page
        self._clock = clock
        self._time = EventScope(lent)
        self._notes = ConsoleRecorder(lent, hide, self._time)
        self._moves = NavigationTracker(lent)
        self.dialogs = DialogHandler(page.context, hide, self._time)
        self.downloads: list[DownloadedFile] = []
        """What the actions fetched, in order."""
        self._scripts: ActionSession | None = None
        if sandboxes:
            self._scripts = ActionSession(
                sandboxes, page, self._notes, secrets or {}, self._left, self._moves.still, allows
            )
            self.dialogs.is_heard = self._scripts.handles_dialogs
        self._status: int | None = None
        self._status_of: tuple[Page, int] | None = None
        """The page, and the number of its document, whose status that is."""
        self._awaits = False
        """Whether the action is done, and what it leads to is waited for."""
        self._deadline = 0.0
        self._last_step: PlannedStep | None = None
        self.storage_observer: StorageObserver = NO_STORAGE_OBSERVER
        """Told when nothing is left to do but the last reading, and what that found."""
        self.step: str | None = None
        self.action: str | None = None

    @property
    def page(self) -> Page:
        """Where the job is: its own page, or a popup that it has gone to, as long as that is open."""
        if self._page.is_closed():
            self._page = self._own
        return self._page

    async def run(self, steps: Sequence[PlannedStep], cookies: Sequence[Cookie], watch: StepObserver) -> StepsOutcome:
        """Visits the steps, and tells `watch` of each.

        Raises NavigationFailed, ActionFailed, Forbidden, TimedOut, BrowserCrashed, BrowserUnavailable, InvalidContent.
        """
        await self._begin()
        await set_cookies(self._own.context, cookies)
        results: list[StepResult] = []
        merged: dict[str, Any] | None = None
        self._last_step = steps[-1]
        for index, step in enumerate(steps):
            watch.on_step_started(index)
            try:
                result, values = await self._run_step(step)
            except SidecarError:
                watch.on_step_failed(index, *await self._notes.taken())
                raise
            except BaseException:
                watch.on_step_failed(index, *self._notes.take())
                raise
            watch.on_step_ended(index, result)
            results.append(result)
            if values is not None:
                merged = {**(merged or {}), **values}
        self.step = self.action = None
        return StepsOutcome(tuple(results), merged)

    @property
    def changed_context(self) -> bool:
        """Whether the context is none for another job: JavaScript actions have changed it for all its pages to come, or
        a flood of console lines has left much in the driver."""
        return self._notes.flooded or (self._scripts is not None and self._scripts.changed_context)

    async def close(self) -> None:
        """Listens to nothing any more, and ends what JavaScript actions have left behind."""
        self._notes.detach()
        self.dialogs.detach()
        self._time.end()
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
            if self._scripts and any(isinstance(action, ActionScript) for action in step.actions):
                self._scripts.prepare()
            for index, action in enumerate(step.actions):
                if isinstance(action, ActionScript) and action.runs_before_navigation:
                    values[index] = await self._script(action, step)
            self.action = None
            await self._open(step)
            for index, action in enumerate(step.actions):
                if isinstance(action, BoundAction):
                    values[index] = self._take(await self._act(action, step))
                elif not action.runs_before_navigation:
                    values[index] = await self._script_and_settle(action, step)
            self.action, self._awaits = "extract" if step.extract is not None else None, False
            reading = await self._read(step)
        console, errors = await self._notes.taken()
        result = StepResult(
            name=step.name,
            url=playwright_errors.without_credentials(self._page.url),
            status=self._status,
            title=reading.title,
            duration_ms=round((self._clock.monotonic() - started) * 1000),
            values=tuple(values),
            console=console,
            errors=errors,
        )
        return result, reading.values

    async def _begin(self) -> None:
        try:
            await self._moves.begin()
        except PlaywrightError as error:
            raise playwright_errors.to_crash(error) from None

    async def _open(self, step: PlannedStep) -> None:
        page = self._page
        self._moves.failures.clear()
        self._status_of = None
        try:
            before = self._moves.documents(page)
            self._time.await_document()
            coming = page.goto(step.url, wait_until=step.wait_until, timeout=self._left())
            response = await self._moves.unless_broken(page, coming)
            if step.wait_until != "commit":
                self._moves.opened(page, before, step.wait_until)
        except PlaywrightError as error:
            self._check_handlers(step)
            if _INTERRUPTED not in str(error):
                raise playwright_errors.navigation_error(error, step.url, step.name) from None
            response = None  # the page itself went on to another one, which is where the step goes too
        self._check_handlers(step)
        self._note_response(page, response)
        await self._land(step)

    def _check_handlers(self, step: PlannedStep) -> None:
        """Raises Forbidden or ActionFailed where a route's handler has asked for what is refused."""
        if self._scripts:
            try:
                self._scripts.raise_handler_failure()
            except ScriptError as error:
                kind = Forbidden if error.code == "forbidden" else ActionFailed
                said = f"the handler of a route failed: {error}"
                raise kind(said, step=step.name, action=self.action) from None

    def _note_response(self, page: Page, response: Response | None) -> None:
        if response and self._moves.is_of(page, response):
            self._status, self._status_of = response.status, (page, self._moves.document(page))

    async def _land(self, step: PlannedStep) -> None:
        """Where something led to another page: waits for it, and for the one that it leads on to at once."""
        if step.wait_until != "commit":
            await self._wait_for_load(step, step.wait_until)
            for _ in range(MAX_CLIENT_REDIRECTS):
                page = self.page
                if not await self._goes_on(page, step.wait_until):
                    break
                await self._wait_for_load(step, step.wait_until)
            else:
                url = playwright_errors.without_credentials(self.page.url)
                said = f"{url} leads on at once in a loop: {MAX_CLIENT_REDIRECTS} pages, each of which led to the next"
                raise NavigationFailed(said, url=url, step=step.name, action=self.action)
        self._check_error_page(step)
        if step.fail_on_status:
            await self._look_at_status(step)

    async def _look_at_status(self, step: PlannedStep) -> None:
        """Asks for the status of the last document. Raises NavigationFailed where it is one that the step fails on."""
        page = self.page
        here = page, self._moves.document(page)
        if here != self._status_of:
            self._status = await self._moves.status(page)
            self._status_of = here
        if step.fail_on_status and self._status is not None and self._status >= 400:
            url = playwright_errors.without_credentials(page.url)
            said = f"{url} answered with status {self._status}"
            raise NavigationFailed(said, url=url, status=self._status, step=step.name, action=self.action)

    def _take(self, value: Any) -> Any:
        """What an action's value stands for in the result; some are orders for the visit."""
        if isinstance(value, DownloadedFile):
            if sum(len(file.data) for file in (*self.downloads, value)) > MAX_DOWNLOAD_BYTES:
                raise LimitExceeded(
                    f"the downloads of one job are limited to {MAX_DOWNLOAD_BYTES} bytes", step=self.step
                )
            self.downloads.append(value)
            return {"name": value.name, "size": len(value.data)}
        if isinstance(value, DialogAnswer):
            self.dialogs.answer(value.accept, value.text)
            return None
        if isinstance(value, str) and len(value) > MAX_VALUE_BYTES:
            said = f"{self.action} failed: the value has more than {MAX_VALUE_BYTES >> 20} MiB"
            raise LimitExceeded(said, step=self.step, action=self.action)
        return None if isinstance(value, Page) else to_json(value)

    async def _script_and_settle(self, script: ActionScript, step: PlannedStep) -> Any:
        page = self.page
        self._moves.expect_popups()
        self._moves.watch()
        value = await self._script(script, step)
        self._moves.done()
        self._awaits = True
        only_read = self._scripts is not None and self._scripts.was_read_only
        await self._moves.settled(page, unmoved=only_read)
        self._check_arrival(page, step)
        await self._land(step)
        if not only_read:
            state = None if step.wait_until == "commit" else step.wait_until
            await self._moves.popups_settled(self.page, state, self._left() / 1000)
        return value

    async def _script(self, script: ActionScript, step: PlannedStep) -> Any:
        self.action, self._awaits = script.label, False
        if self._scripts is None:
            raise ActionFailed("there is no sandbox for JavaScript actions", step=step.name, action=script.label)
        try:
            return await self._scripts.run(script.source)
        except ScriptError as error:
            kind = (
                TimedOut
                if playwright_errors.AWAITING_NAVIGATION in str(error)
                else _ERROR_CLASSES.get(error.code, ActionFailed)
            )
            raise kind(f"{script.label} failed: {error}", step=step.name, action=script.label) from None
        except SandboxCrashed as error:
            said = f"{script.label} failed: {error.message}"
            raise SandboxCrashed(said, step=step.name, action=script.label) from None

    async def _act(self, action: BoundAction, step: PlannedStep) -> Any:
        page = self.page
        self.action, self._awaits = action.label, False
        if not action.leaves:
            await self._moves.still(page)  # where the page itself is on its way, this is for the next one
        try:
            value = await self._do(action, page)
        except LimitExceeded as large:
            raise LimitExceeded(
                f"{action.label} failed: {large.message}", step=step.name, action=action.label
            ) from None
        except PlaywrightError as error:
            self._check_handlers(step)
            if page is not self._own and page.is_closed() and not self._own.is_closed():
                return None  # a popup that closes itself once it is done with; the job goes on where it came from
            target = getattr(action.arguments, "url", None)
            if action.method == "goto" and target:
                raise playwright_errors.navigation_error(error, target, step.name, action.label) from None
            raise playwright_errors.action_error(error, action.label, step.name, action.hidden) from None
        finally:
            self._moves.done()
        self._check_handlers(step)
        self._check_arrival(page, step)
        if isinstance(value, Page):
            self._page = value
            await self._moves.follow(value)
        elif isinstance(value, Response):
            self._note_response(page, value)
        await self._land(step)
        return value

    async def _do(self, action: BoundAction, page: Page) -> Any:
        """The action itself, and what it has set going in its page. Raises Playwright's errors."""
        unseen = action.unseen or (action.untold and not self._moves.tells(page))
        self._moves.watch(page, seen=not unseen)
        doing = action.run(page, self._left(), self.scratch)
        try:
            if action.leaves:
                doing = self._moves.unless_broken(page, doing)
            elif action.looks_again:
                doing = self._moves.unless_replaced(page, getattr(action.arguments, "selector"), doing)  # noqa: B009
            value = await doing
        except PlaywrightTimeout as error:
            if not (playwright_errors.awaits_navigation(error) and self._moves.target(page)):
                raise
            value = None  # it is done; from now on the step's time counts
        self._awaits = True
        if unseen:
            await self._moves.settled(page)
        else:
            await self._moves.still(page)
        return value

    def _check_arrival(self, page: Page, step: PlannedStep) -> None:
        failure = self._moves.failures.get(page)
        if failure and not playwright_errors.was_aborted(failure):
            said = f"the page that this led to could not be opened: {failure}"
            raise NavigationFailed(said, step=step.name, action=self.action)

    async def _goes_on(self, page: Page, state: LoadState) -> bool:
        try:
            return await self._moves.goes_on(page, state)
        except PlaywrightError as error:
            raise playwright_errors.navigation_error(error, page.url, self.step or "", self.action) from None

    async def _wait_for_load(self, step: PlannedStep, state: LoadState) -> None:
        """Where an action led to another page, waits for it; at once where it did not."""
        try:
            await self._moves.loaded(self.page, state, self._left())
        except PlaywrightTimeout:
            raise self._too_long(step) from None
        except PlaywrightError as error:
            raise playwright_errors.navigation_error(
                error, playwright_errors.requested_url(self._page.url), step.name, self.action
            ) from None

    def _check_error_page(self, step: PlannedStep) -> None:
        if self._page.url.startswith(_ERROR_PAGES):
            raise NavigationFailed("the page that this led to could not be opened", step=step.name, action=self.action)

    async def _read(self, step: PlannedStep) -> extract.PageReading:
        last = step is self._last_step
        while True:
            if last:
                self.storage_observer.reading_started()
            page = self.page
            if step.wait_until != "commit":
                await self._moves.still(page)
            documents, reading = self._moves.documents(page), None
            try:
                storage = last and self.storage_observer.wants_storage
                reading = await extract.read_page(page, self.cdp, step.extract, storage=storage)
                if reading.is_of_loaded(step.wait_until):
                    break
            except InvalidSelector as bad:
                said = f"extract failed: field {bad.field}: {playwright_errors.first_line(bad)}"
                raise ActionFailed(said, step=step.name, action="extract") from None
            except PlaywrightError as error:
                if not playwright_errors.is_context_destroyed(error):
                    raise playwright_errors.action_error(error, "extract", step.name) from None
            await self._moves.settled(page)  # the news of the document that has come may be on its way
            if reading and self._moves.documents(page) == documents:
                break  # the one that is there has been written anew, and may never be complete
            await self._land(step)
        await self._look_at_status(step)
        if last:
            self.storage_observer.reading_finished(reading.storage)
        return reading

    @asynccontextmanager
    async def _limited(self, step: PlannedStep) -> AsyncIterator[None]:
        try:
            async with within(step.timeout_ms / 1000 + _GRACE):
                yield
        except TimeoutError:
            raise self._too_long(step) from None

    def _too_long(self, step: PlannedStep) -> TimedOut:
        said = f"{step.name} took longer than {step.timeout_ms} ms"
        if self.action:
            said += f" at {self.action}"
        target = playwright_errors.without_credentials(self._moves.target(self.page))
        if target and self._awaits:
            said += f": that was done, and the answer of {target} is awaited"
        return TimedOut(said, step=step.name, action=self.action)

    def _left(self) -> float:
        """Milliseconds left of the step; never 0, which Playwright takes for no limit."""
        return max(1.0, round((self._deadline - self._clock.monotonic()) * 1000))
