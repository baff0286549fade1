"""The observer of a job's steps."""

from collections.abc import Sequence
from typing import Protocol

from sidecar_protocol.jobs import StepResult


class StepObserver(Protocol):
    """Gets an event when a step starts and ends. Steps are counted from 0; handlers must neither raise nor block."""

    def on_started(self) -> None:
        """The job has its page."""

    def on_step_started(self, index: int) -> None:
        """A step begins."""

    def on_step_ended(self, index: int, result: StepResult) -> None:
        """A step has succeeded."""

    def on_step_failed(self, index: int, console: Sequence[str], errors: Sequence[str]) -> None:
        """A step failed or was stopped; this is what its pages said until then. The job's failure says why."""


class NoObserver:
    """An observer that ignores every event."""

    def on_started(self) -> None: ...  # noqa: D102
    def on_step_started(self, index: int) -> None: ...  # noqa: D102
    def on_step_ended(self, index: int, result: StepResult) -> None: ...  # noqa: D102
    def on_step_failed(self, index: int, console: Sequence[str], errors: Sequence[str]) -> None: ...  # noqa: D102


NO_OBSERVER = NoObserver()
