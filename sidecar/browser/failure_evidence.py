"""What a failed job leaves: where it was, what it had, and captures of its page."""

import asyncio
import contextlib
import re
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from playwright.async_api import Error as PlaywrightError
from sidecar_protocol.encoding import encode
from sidecar_protocol.jobs import FailureOption, SendJob

from sidecar.browser import playwright_errors
from sidecar.browser.artifacts.capture import ArtifactKind, ArtifactSink, capture_artifacts
from sidecar.browser.crash_guard import cancel_or_abandon
from sidecar.browser.steps.step_runner import StepRunner
from sidecar.errors import BrowserCrashed, Forbidden, SandboxCrashed, SidecarError
from sidecar.truncation import Redact, cap_length, truncate

EVIDENCE_SECONDS: Final = 3.0
"""Seconds for which the end of a failed job waits for its evidence."""
TITLE_SECONDS: Final = 1.0
"""Seconds, if it is the page's title alone: a page that is busy has none for a while."""
MAX_EXTRACT_BYTES: Final = 64 << 10
"""Bytes of an extract in an error, as JSON; a larger one is left out."""
MAX_INLINE_BYTES: Final = 1 << 20
"""Bytes of an artifact in an error, unless it is a file; a larger one is left out."""
MAX_URL_CHARS: Final = 4_000
"""Characters of a page's address in an error; a longer one, of a `data:` page, is left out."""
MAX_TITLE_CHARS: Final = 500
BLANK_PAGE: Final = "about:blank"
_SKELETON: Final = re.compile(r"</?(?:html|head|body)>|\s+")
"""What the HTML of an empty page consists of."""
DEFAULT_OPTIONS: Final[tuple[FailureOption, ...]] = ("SCREENSHOT", "HTML")


def failure_options(job: SendJob) -> tuple[FailureOption, ...]:
    """What a failure captures: what the job asks for, by default a picture and the HTML where artifacts are files."""
    if job.on_failure is not None:
        return job.on_failure
    return DEFAULT_OPTIONS if job.artifacts == "files" else ()


@dataclass(slots=True)
class Evidence:
    """What is known of a job that failed; empty until then."""

    runner: StepRunner | None = None
    """The job's, until `note`: a crash ends a job from outside, maybe before `collect`."""
    url: str = ""
    title: str = ""
    extract: dict[str, Any] | None = None
    console: tuple[str, ...] = ()
    trace: bytes | None = None
    """Playwright's trace, redacted, until `collect` stores it."""
    artifacts: dict[str, str] = field(default_factory=dict)
    """Kind -> path, or base64 (the text itself for HTML)."""

    @property
    def is_error_page(self) -> bool:
        """Whether the browser shows its own page instead of the one that did not open."""
        return self.url.startswith(playwright_errors.ERROR_PAGES)

    def note(self, runner: StepRunner) -> None:
        """Takes what is known without asking the browser, which may have crashed."""
        self.url = playwright_errors.without_credentials(runner.page.url)
        self.extract = runner.extract_so_far
        self.console = tuple(runner.console_tail)
        self.runner = None

    def attach(self, error: SidecarError, redact: Redact) -> None:
        """Adds it to the job's error, secrets replaced."""
        if self.runner:
            self.note(self.runner)
        is_page = self.url != BLANK_PAGE and not self.is_error_page
        url = self.url if is_page and len(self.url) <= MAX_URL_CHARS else ""
        known: dict[str, Any] = {
            "url": redact(url) or None,
            "title": truncate(redact(cap_length(self.title)), MAX_TITLE_CHARS, redact) or None,
            "artifacts": self.artifacts or None,
            "extract": _redact_value(self._small_extract(), redact) or None,
            "console": tuple(map(redact, self.console)) or None,
        }
        for name, value in known.items():
            if value is not None and error.details.get(name) is None:
                error.details[name] = value

    def _small_extract(self) -> dict[str, Any] | None:
        return self.extract if len(encode(self.extract)) <= MAX_EXTRACT_BYTES else None


async def collect(
    evidence: Evidence, failure: BaseException, job: SendJob, runner: StepRunner, sink: ArtifactSink, redact: Redact
) -> None:
    """Notes what is known; captures title and artifacts of the page, for a bounded time. Raises nothing.

    Nothing is captured after a crash or a cancellation, and nothing of a page that the job may not open. A page that
    did not open has no picture and no HTML: both would be blank.
    """
    evidence.note(runner)
    is_crash = isinstance(failure, BrowserCrashed) and not isinstance(failure, SandboxCrashed)
    if is_crash or isinstance(failure, Forbidden) or not isinstance(failure, SidecarError):
        return
    work: dict[str, Callable[[], Coroutine[Any, Any, None]]] = {
        "SCREENSHOT": lambda: _screenshot(evidence, job, runner, sink),
        "HTML": lambda: _html(evidence, runner, sink, redact),
        "TRACE": lambda: _trace(evidence, sink),
    }
    options = dict.fromkeys(failure_options(job))
    captures = [_title(evidence, runner), *(work[option]() for option in options)]
    tasks = [asyncio.create_task(_attempt(capture)) for capture in captures]
    try:
        await asyncio.wait(tasks, timeout=EVIDENCE_SECONDS if options else TITLE_SECONDS)
    finally:
        await asyncio.gather(*(cancel_or_abandon(task) for task in tasks if not task.done()))


async def _attempt(capture: Coroutine[Any, Any, None]) -> None:
    with contextlib.suppress(SidecarError, PlaywrightError, OSError, ValueError):  # the job's own error counts
        await capture


async def _title(evidence: Evidence, runner: StepRunner) -> None:
    evidence.title = str(await runner.cdp.ask(runner.page, "title"))


async def _shows_something(evidence: Evidence, runner: StepRunner) -> bool:
    if evidence.is_error_page:
        return False
    return evidence.url != BLANK_PAGE or bool(_SKELETON.sub("", await runner.page.content()))


async def _screenshot(evidence: Evidence, job: SendJob, runner: StepRunner, sink: ArtifactSink) -> None:
    if not await _shows_something(evidence, runner):
        return
    made = await capture_artifacts(runner.page, runner.cdp, ("SCREENSHOT",), job.pdf, sink)
    _keep(evidence, "screenshot", made["screenshot"], sink)


async def _html(evidence: Evidence, runner: StepRunner, sink: ArtifactSink, redact: Redact) -> None:
    if not await _shows_something(evidence, runner):
        return
    text = await asyncio.to_thread(redact, await runner.page.content())
    _keep(evidence, "html", await sink.put_text("html", text), sink)


async def _trace(evidence: Evidence, sink: ArtifactSink) -> None:
    trace, evidence.trace = evidence.trace, None
    if trace:
        _keep(evidence, "trace", await sink.put("trace", trace), sink)


def _keep(evidence: Evidence, kind: ArtifactKind, made: str, sink: ArtifactSink) -> None:
    if sink.writes_files or len(made) <= MAX_INLINE_BYTES:
        evidence.artifacts[kind] = made


def _redact_value(value: Any, redact: Redact) -> Any:
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, dict):
        return {redact(name): _redact_value(item, redact) for name, item in value.items()}
    return [_redact_value(item, redact) for item in value] if isinstance(value, Sequence) else value
