"""What stored work needs of the process that it is done in."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sidecar.clock import Clock
from sidecar.runtime.browser_services import Workshop
from sidecar.settings import Settings

if TYPE_CHECKING:
    from sidecar.browser.sandbox.sandbox_pool import Sandboxes
    from sidecar.jobs.run_service import Runs
    from sidecar.rtcv.stored_logins import InForce


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """Handed to every store."""

    settings: Settings
    clock: Clock
    session: "InForce"
    workshop: Workshop
    on_event: Callable[[str, Any], None]
    """Takes an event's name and content for our parent."""

    @property
    def runs(self) -> "Runs":
        """What runs browser jobs."""
        return self.workshop.runs

    def sandboxes(self) -> "Sandboxes":
        """Where scripts run; made when it is first asked for."""
        return self.workshop.sandboxes()
