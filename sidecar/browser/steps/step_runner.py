"""Runs the steps of a job in one page: navigate, act, wait, extract."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

from playwright.async_api import Error as PlaywrightError
from playwright.async_api import Page, Response
from playwright.async_api import TimeoutError as PlaywrightTimeout
from sidecar_protocol.jobs import Cookie, StepResult

from sidecar.browser import playwright_errors
from sidecar.browser.filmstrip.filmstrip import Filmstrip
from sidecar.browser.isolated_world import InvalidSelector
from sidecar.browser.large_values import converted
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
from sidecar.browser.steps.extract_values import typed_reading
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
"""Seconds for Playwright to report its own timeout, which explains more, before the step's is enforced."""
_ERROR_CLASSES: Final = {"forbidden": Forbidden, "limit_exceeded": LimitExceeded}
"""Error codes of JavaScript actions -> the exceptions to raise."""
MAX_CLIENT_REDIRECTS = 20
"""Immediate redirects in a row."""


@dataclass(frozen=True, slots=True)
class StepsOutcome:
    """The results of all steps."""

    steps: tuple[StepResult, ...]
    extract: dict[str, Any] | None
    """The merged extracts of the steps, later ones taking precedence; None without any."""


class StepRunner:
    """One run over the steps. `step` and `action` say where it is, for errors about the time limit.

    JavaScript actions run in a sandbox of `sandboxes` and see `secrets`; `close` gives it back.
    """

    def __init__(
        self,
        job_page: JobPage,
        clock: Clock,
        sandboxes: SandboxPool | None = None,
        secrets: Mapping[str, Any] | None = None,
        scratch: Scratch | None = None,
        hide: Redact = str,
        allows: AllowsUrl | None = None,
        filmstrip: Filmstrip | None = None,
    ) -> None:
        """`scratch` is the folder for files that are fetched or recorded; `hide` knows all secrets.

        `allows` says which addresses the pages may open; None is all of them. `filmstrip` is that of a recorded job.
        """
        self.filmstrip, self._hide = filmstrip, hide
        page, self.cdp = job_page.page, job_page.cdp
        self.scratch = scratch or Scratch()
        self._main_page = self._page = page
        self._clock = clock
        self._scope = EventScope(job_page)
        self._console = ConsoleRecorder(job_page, hide, self._scope)
        self._navigation = NavigationTracker(job_page)
        self.dialogs = DialogHandler(page.context, hide, self._scope)
        self.downloads: list[DownloadedFile] = []
        """Files that the actions have downloaded, in order."""
        self._actions: ActionSession | None = None
        if sandboxes:
            waits = self._remaining_ms, self._navigation.wait_idle
            self._actions = ActionSession(sandboxes, page, self.cdp, self._console, secrets or {}, *waits, allows)
            self.dialogs.is_handled_elsewhere = self._actions.handles_dialogs
        self._status: int | None = None
        self._status_document: tuple[Page, int] | None = None
        """The page, and the number of its document, whose status it is."""
        self._awaits_navigation = False
        """Whether the action is done, and its navigation is waited for."""
        self._deadline = 0.0
        self._last_step: PlannedStep | None = None
        self.storage_observer: StorageObserver = NO_STORAGE_OBSERVER
        """Called when only the last reading is left, with its result."""
        self.extract_so_far: dict[str, Any] | None = None
        """The merged extracts of the steps that have ended."""
        self.step: str | None = None
        self.action: str | None = None
        self._action: BoundAction | None = None

    @property
    def console_tail(self) -> Sequence[str]:
        """The last console lines of the steps that have ended or failed."""
        return tuple(self._console.tail)

    @property
    def page(self) -> Page:
        """The job's current page: its own, or a popup that it has switched to, while that is open."""
        if self._page.is_closed():
            self._page = self._main_page
        return self._page

    async def run(
        self, steps: Sequence[PlannedStep], cookies: Sequence[Cookie], observer: StepObserver
    ) -> StepsOutcome:
        """Visits the steps, and notifies `observer` of each.

        Raises NavigationFailed, ActionFailed, Forbidden, TimedOut, BrowserCrashed, BrowserUnavailable, InvalidContent.
        """
        await self._start()
        await set_cookies(self._main_page.context, cookies)
        results: list[StepResult] = []
        self._last_step = steps[-1]
        for index, step in enumerate(steps):
            observer.on_step_started(index)
            if self.filmstrip:
                self.filmstrip.step_started(step.name, step.url)
            try:
                result, values = await self._run_step(step)
            except SidecarError as error:
                said = await self._console.drain_all()
                observer.on_step_failed(index, *said)
                await self.show_failure(error, said)
                raise
            except BaseException:
                observer.on_step_failed(index, *self._console.drain())
                raise
            if self.filmstrip:
                await self.filmstrip.step_done(result, last=step is self._last_step)
            observer.on_step_ended(index, result)
            results.append(result)
            if values is not None:
                self.extract_so_far = {**(self.extract_so_far or {}), **values}
        self.step = self.action = None
        return StepsOutcome(tuple(results), self.extract_so_far)

    @property
    def changed_context(self) -> bool:
        """Whether no other job may use the context: JavaScript actions have changed it, or many console lines have left
        memory in the driver.
        """
        return self._console.flooded or (self._actions is not None and self._actions.changed_context)

    async def show_failure(self, error: SidecarError, said: tuple[Sequence[str], Sequence[str]] = ((), ())) -> None:
        """Keeps what a recorded job's page looks like at its failure; `said` are its console lines and errors."""
        if self.filmstrip:
            target = _target(self._action) or (self._actions.target if self._actions and not self._action else None)
            await self.filmstrip.failed(self.page, error, target, said)

    async def close(self) -> None:
        """Stops listening, and closes the sandbox of JavaScript actions."""
        self._console.close()
        self.dialogs.close()
        self._scope.close()
        self._navigation.close()
        if self._actions:
            await self._actions.close()

    async def _run_step(self, step: PlannedStep) -> tuple[StepResult, dict[str, Any] | None]:
        started = self._clock.monotonic()
        self._deadline = started + step.timeout_ms / 1000
        self.step, self.action, self._action = step.name, None, None
        self._page = self._main_page
        self._navigation.stop_watching()
        async with self._within_timeout(step):
            values: list[Any] = [None] * len(step.actions)
            if self._actions and any(isinstance(action, ActionScript) for action in step.actions):
                self._actions.prepare()
            for index, action in enumerate(step.actions):
                if isinstance(action, ActionScript) and action.runs_before_navigation:
                    values[index] = await self._run_script(action, step)
            self.action = None
            await self._goto(step)
            for index, action in enumerate(step.actions):
                began = self._clock.monotonic()
                if isinstance(action, BoundAction):
                    values[index] = await self._to_result(await self._run_action(action, step))
                elif action.runs_before_navigation:
                    continue
                else:
                    values[index] = await self._run_script_and_settle(action, step)
                if self.filmstrip:
                    await self.filmstrip.action_done(self.page, action.label, began)
            self.action, self._action = "extract" if step.extract is not None else None, None
            self._awaits_navigation = False
            if self.filmstrip:
                self.filmstrip.reading(self.page, last=step is self._last_step)
            reading = await self._read(step)
        console, errors = await self._console.drain_all()
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

    async def _start(self) -> None:
        try:
            await self._navigation.start()
        except PlaywrightError as error:
            raise playwright_errors.to_crash(error) from None

    async def _goto(self, step: PlannedStep) -> None:
        page = self._page
        self._navigation.failures.clear()
        self._status_document = None
        before = self._navigation.arrivals(page)
        try:
            self._scope.expect_document()
            coming = page.goto(step.url, wait_until=step.wait_until, timeout=self._remaining_ms())
            response = await self._navigation.unless_failed(page, coming)
            if step.wait_until != "commit":
                self._navigation.note_opened(page, before, step.wait_until)
        except PlaywrightError as error:
            self._check_handlers(step)
            if not playwright_errors.is_interrupted(error):
                busy, limit = _busy_network(step, self._navigation.arrivals(page) - before), step.timeout_ms
                failed = playwright_errors.navigation_error(error, step.url, step.name, addition=busy, limit=limit)
                raise failed from None
            response = None  # the page itself has navigated on, and the step with it
        self._check_handlers(step)
        self._note_response(page, response)
        await self._wait_arrival(step)

    def _check_handlers(self, step: PlannedStep) -> None:
        """Raises Forbidden or ActionFailed if a route's handler has requested something forbidden."""
        if self._actions:
            try:
                self._actions.raise_handler_failure()
            except ScriptError as error:
                kind = Forbidden if error.code == "forbidden" else ActionFailed
                said = f"the handler of a route failed: {error}"
                raise kind(said, step=step.name, action=self.action) from None

    def _note_response(self, page: Page, response: Response | None) -> None:
        if response and self._navigation.is_response_of(page, response):
            self._status, self._status_document = response.status, (page, self._navigation.document_number(page))

    async def _wait_arrival(self, step: PlannedStep) -> None:
        """Waits for a navigation, if there is one, and for its immediate redirects."""
        if step.wait_until != "commit":
            await self._wait_for_load(step, step.wait_until)
            for _ in range(MAX_CLIENT_REDIRECTS):
                page = self.page
                if not await self._follow_client_redirect(page, step.wait_until):
                    break
                await self._wait_for_load(step, step.wait_until)
            else:
                url = playwright_errors.without_credentials(self.page.url)
                said = f"{url} is in a redirect loop: {MAX_CLIENT_REDIRECTS} client redirects in a row"
                raise NavigationFailed(said, url=url, step=step.name, action=self.action)
        self._check_error_page(step)
        if step.fail_on_status:
            await self._check_status(step)

    async def _check_status(self, step: PlannedStep) -> None:
        """Gets the status of the last document. Raises NavigationFailed if the step fails on it."""
        page = self.page
        here = page, self._navigation.document_number(page)
        if here != self._status_document:
            self._status = await self._navigation.status(page)
            self._status_document = here
        if step.fail_on_status and self._status is not None and self._status >= 400:
            url = playwright_errors.without_credentials(page.url)
            said = f"{url} answered with status {self._status}"
            raise NavigationFailed(said, url=url, status=self._status, step=step.name, action=self.action)

    async def _to_result(self, value: Any) -> Any:
        """The value of an action in the result; some actions change the state of the run instead."""
        if isinstance(value, DownloadedFile):
            if sum(len(file.data) for file in (*self.downloads, value)) > MAX_DOWNLOAD_BYTES:
                raise LimitExceeded(
                    f"the downloads of one job are limited to {MAX_DOWNLOAD_BYTES} bytes", step=self.step
                )
            self.downloads.append(value)
            return {"name": value.name, "size": len(value.data)}
        if isinstance(value, DialogAnswer):
            self.dialogs.set_answer(value.accept, value.text)
            return None
        if isinstance(value, str) and len(value) > MAX_VALUE_BYTES:
            said = f"{self.action} failed: the value has more than {MAX_VALUE_BYTES >> 20} MiB"
            raise LimitExceeded(said, step=self.step, action=self.action)
        return None if isinstance(value, Page) else await converted(value, to_json)

    async def _run_script_and_settle(self, script: ActionScript, step: PlannedStep) -> Any:
        page = self.page
        self._navigation.prepare_popups()
        self._navigation.start_watching()
        value = await self._run_script(script, step)
        self._navigation.action_done()
        self._awaits_navigation = True
        only_read = self._actions is not None and self._actions.was_read_only
        await self._navigation.wait_settled(page, read_only=only_read)
        self._check_arrival(page, step)
        await self._wait_arrival(step)
        if not only_read:
            state = None if step.wait_until == "commit" else step.wait_until
            await self._navigation.wait_popups(self.page, state, self._remaining_ms() / 1000)
        return value

    async def _run_script(self, script: ActionScript, step: PlannedStep) -> Any:
        self.action, self._action, self._awaits_navigation = script.label, None, False
        if self._actions is None:
            raise ActionFailed("there is no sandbox for JavaScript actions", step=step.name, action=script.label)
        try:
            return await self._actions.run(script.source)
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

    async def _run_action(self, action: BoundAction, step: PlannedStep) -> Any:
        page = self.page
        self.action, self._action, self._awaits_navigation = action.label, action, False
        if not action.navigates:
            await self._navigation.wait_idle(
                page
            )  # if the page itself is navigating, this belongs to the next document
        try:
            value = await self._execute(action, page)
        except LimitExceeded as error:
            raise LimitExceeded(
                f"{action.label} failed: {error.message}", step=step.name, action=action.label
            ) from None
        except PlaywrightError as error:
            self._check_handlers(step)
            if page is not self._main_page and page.is_closed() and not self._main_page.is_closed():
                return None  # a popup that closes itself at its end; the job continues in the page before
            target = getattr(action.arguments, "url", None)
            if action.method == "goto" and target:
                raise playwright_errors.navigation_error(error, target, step.name, action.label) from None
            raise playwright_errors.action_error(error, action.label, step.name, action.secret_text) from None
        finally:
            self._navigation.action_done()
        self._check_handlers(step)
        self._check_arrival(page, step)
        if isinstance(value, Page):
            self._page = value
            await self._navigation.track(value)
        elif isinstance(value, Response):
            self._note_response(page, value)
        await self._wait_arrival(step)
        return value

    async def _execute(self, action: BoundAction, page: Page) -> Any:
        """Runs the action itself, and waits for its effects in the page. Raises Playwright's errors."""
        may_navigate = action.may_navigate or (
            action.may_navigate_unannounced and not self._navigation.announces_navigations(page)
        )
        self._navigation.start_watching(page, announced=not may_navigate)
        doing = action.run(page, self._remaining_ms(), self.scratch, self.cdp)
        try:
            if action.navigates:
                doing = self._navigation.unless_failed(page, doing)
            elif action.rechecks_element:
                doing = self._navigation.unless_replaced(page, getattr(action.arguments, "selector"), doing)  # noqa: B009
            value = await doing
        except PlaywrightTimeout as error:
            if not (playwright_errors.awaits_navigation(error) and self._navigation.target_url(page)):
                raise
            value = None  # it is done; from now on the step's time limit applies
        self._awaits_navigation = True
        if may_navigate:
            await self._navigation.wait_settled(page)
        else:
            await self._navigation.wait_idle(page)
        return value

    def _check_arrival(self, page: Page, step: PlannedStep) -> None:
        failure = self._navigation.failures.get(page)
        if failure and not playwright_errors.was_aborted(failure):
            said = f"the page that the action led to could not be opened: {failure}"
            raise NavigationFailed(said, step=step.name, action=self.action)

    async def _follow_client_redirect(self, page: Page, state: LoadState) -> bool:
        try:
            return await self._navigation.follow_client_redirect(page, state)
        except PlaywrightError as error:
            raise playwright_errors.navigation_error(error, page.url, self.step or "", self.action) from None

    async def _wait_for_load(self, step: PlannedStep, state: LoadState) -> None:
        """Waits for the navigation of an action, if there is one."""
        try:
            await self._navigation.wait_loaded(self.page, state, self._remaining_ms())
        except PlaywrightTimeout:
            raise self._timed_out(step, _busy_network(step, 1)) from None
        except PlaywrightError as error:
            raise playwright_errors.navigation_error(
                error, playwright_errors.requested_url(self._page.url), step.name, self.action
            ) from None

    def _check_error_page(self, step: PlannedStep) -> None:
        if self._page.url.startswith(playwright_errors.ERROR_PAGES):
            raise NavigationFailed(
                "the page that the action led to could not be opened", step=step.name, action=self.action
            )

    async def _read(self, step: PlannedStep) -> extract.PageReading:
        last = step is self._last_step
        while True:
            if last:
                self.storage_observer.reading_started()
            page = self.page
            if step.wait_until != "commit":
                await self._navigation.wait_idle(page)
            documents, reading = self._navigation.arrivals(page), None
            try:
                storage = last and self.storage_observer.wants_storage
                reading = await extract.read_page(page, self.cdp, step.extract, storage=storage)
                if reading.is_of_loaded(step.wait_until):
                    break
            except InvalidSelector as bad:
                said = f"extract failed: field {bad.field}: {playwright_errors.first_line(bad)}"
                raise ActionFailed(said, step=step.name, action="extract", field=bad.field) from None
            except PlaywrightError as error:
                if not playwright_errors.is_context_destroyed(error):
                    raise playwright_errors.action_error(error, "extract", step.name) from None
            await self._navigation.wait_settled(page)  # the event of the arrived document may still be pending
            if reading and self._navigation.arrivals(page) == documents:
                break  # the document was replaced by `document.write`, and may never load
            await self._wait_arrival(step)
        await self._check_status(step)
        if last:
            self.storage_observer.reading_finished(reading.storage)
        return typed_reading(step, reading, self._hide)

    @asynccontextmanager
    async def _within_timeout(self, step: PlannedStep) -> AsyncIterator[None]:
        try:
            async with within(step.timeout_ms / 1000 + _GRACE):
                yield
        except TimeoutError:
            raise self._timed_out(step) from None

    def _timed_out(self, step: PlannedStep, addition: str = "") -> TimedOut:
        said = f"{step.name} took longer than {step.timeout_ms} ms" + (f" at {self.action}" if self.action else "")
        target = playwright_errors.without_credentials(self._navigation.target_url(self.page))
        if target and self._awaits_navigation:
            said += f": the action is done, but {target} has not responded"
        advice = playwright_errors.timeout_advice(step.timeout_ms)
        return TimedOut(said + addition, step=step.name, action=self.action, hint=advice)

    def _remaining_ms(self) -> float:
        """Milliseconds left of the step; never 0, which means no limit to Playwright."""
        return max(1.0, round((self._deadline - self._clock.monotonic()) * 1000))


def _target(action: BoundAction | None) -> tuple[str, str | Sequence[str] | None] | None:
    """The selector of an action, and the frame in which it looks."""
    selector = getattr(action.arguments, "selector", None) if action else None
    return (selector, getattr(action.arguments, "frame", None)) if action and isinstance(selector, str) else None


def _busy_network(step: PlannedStep, documents: int) -> str:
    """Advice for a step that waits for an idle network in vain, by the number of documents that have arrived."""
    if step.wait_until != "networkidle" or documents < 1:
        return ""
    arrived = (
        "the document has arrived" if documents == 1 else f"{documents} documents have arrived one after the other"
    )
    return f"; {arrived}, but the network was never idle for half a second: `wait_until: load` does not wait for that"
