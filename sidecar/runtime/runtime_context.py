"""What stored work needs of the process that it is done in."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sidecar.clock import Clock
from sidecar.runtime.browser_services import BrowserServices
from sidecar.settings import Settings

if TYPE_CHECKING:
    from sidecar.rtcv.stored_logins import CurrentSession


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeContext:
    """Handed to every store."""

    settings: Settings
    clock: Clock
    session: "CurrentSession"
    browsers: BrowserServices
    on_event: Callable[[str, Any], None]
    """Takes an event's name and content for our parent."""
