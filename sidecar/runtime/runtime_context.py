"""What stored work needs of the process that it is done in."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sidecar.clock import Clock
from sidecar.runtime.browser_services import BrowserServices
from sidecar.settings import Settings

if TYPE_CHECKING:
    from sidecar.browser.sandbox.sandbox_pool import Sandboxes
    from sidecar.jobs.run_service import RunService
    from sidecar.rtcv.stored_logins import CurrentSession


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeContext:
    """Handed to every store."""

    settings: Settings
    clock: Clock
    session: "CurrentSession"
    workshop: BrowserServices
    on_event: Callable[[str, Any], None]
    """Takes an event's name and content for our parent."""

    @property
    def runs(self) -> "RunService":
        """What runs browser jobs."""
        return self.workshop.runs

    def sandboxes(self) -> "Sandboxes":
        """Where scripts run; made when it is first asked for."""
        return self.workshop.sandboxes()
