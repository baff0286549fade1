"""Plans a job's steps: checks addresses and actions before a browser is used."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sidecar_protocol.jobs import SendJob, Step, WaitUntil

from sidecar.browser.sandbox.action_script import ActionScript
from sidecar.browser.steps import actions, extract
from sidecar.browser.steps.actions import BoundAction
from sidecar.browser.steps.extract import ExtractPlan
from sidecar.browser.steps.secret_templates import SecretTemplates
from sidecar.browser.url_policy import check_url
from sidecar.errors import ErrorCollector, InvalidContent

_LASTING_OPTIONS: Final = frozenset({"RECORD", "PDF"})
_RECORDINGS: Final = frozenset({"RECORD", "HAR", "TRACE"})
_HISTORIES: Final = ("consoleMessages", "pageErrors", "requests", "console_messages", "page_errors")
"""Calls that return a page's events since it was opened."""
_LASTING_ACTIONS: Final = frozenset({"set_viewport_size", "keyboard_down", "mouse_down"})


@dataclass(frozen=True, slots=True)
class PlannedStep:
    """A step with checked address and actions."""

    name: str
    url: str
    actions: tuple[BoundAction | ActionScript, ...]
    extract: ExtractPlan | None
    wait_until: WaitUntil
    timeout_ms: int
    fail_on_status: bool = False

    @property
    def types_secret(self) -> bool:
        """Whether a typed action of it enters a text that no error may repeat."""
        return any(isinstance(action, BoundAction) and action.secret_text for action in self.actions)


def plan_steps(
    steps: Sequence[Step],
    templates: SecretTemplates = SecretTemplates(),  # noqa: B008
    *,
    fail_on_status: bool = False,
    files: bool = False,
    errors: ErrorCollector | None = None,
) -> tuple[PlannedStep, ...]:
    """Checks every step; with `files` one may open `file:` addresses.

    Raises InvalidContent, which names every mistake, and LimitExceeded. `errors` holds the mistakes found before.
    """
    errors = errors or ErrorCollector()
    planned = tuple(
        _plan_step(step, number, templates, fail_on_status, files, errors) for number, step in enumerate(steps)
    )
    errors.raise_if_any()
    return planned


def _plan_step(
    step: Step, number: int, templates: SecretTemplates, fail_on_status: bool, files: bool, errors: ErrorCollector
) -> PlannedStep:
    place = f"steps[{number}]"
    try:
        check_url(step.url, f"{place}.url", files=files)
    except InvalidContent as error:
        errors.add(error)
    bound: list[BoundAction | ActionScript] = []
    for index, raw in enumerate(step.actions):
        if isinstance(raw, str):
            bound.append(ActionScript(raw))
            continue
        try:
            bound.append(actions.parse(raw, f"{place}.actions[{index}]", templates, files=files))
        except InvalidContent as error:
            errors.add(error)
    wanted = extract.compile_extract(step.extract)
    fails = fail_on_status if step.fail_on_status is None else step.fail_on_status
    name = step.name or f"step {number + 1}"
    return PlannedStep(name, step.url, tuple(bound), wanted, step.wait_until, step.timeout_ms, fails)


def leaves_page_reusable(job: SendJob, steps: Sequence[PlannedStep]) -> bool:
    """Whether the next navigation undoes all that the job does to its page, so that another job may reuse it."""
    lasting = not _LASTING_OPTIONS.isdisjoint(job.options)
    actions = (action for step in steps for action in step.actions)
    return not lasting and all(isinstance(a, BoundAction) and a.method not in _LASTING_ACTIONS for a in actions)


def reads_history(steps: Sequence[PlannedStep]) -> bool:
    """Whether an action may ask what its page has seen since it was opened."""
    scripts = (action for step in steps for action in step.actions if isinstance(action, ActionScript))
    return any(name in script.source for script in scripts for name in _HISTORIES)


def observes_from_start(job: SendJob, steps: Sequence[PlannedStep]) -> bool:
    """Whether the job records its page or runs scripts before its first navigation."""
    recorded = not _RECORDINGS.isdisjoint((*job.options, *(job.on_failure or ())))
    return recorded or any(isinstance(action, ActionScript) for step in steps for action in step.actions)
