"""What stored work needs of its process: settings, clock, session, browsers, network."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sidecar.clock import Clock
from sidecar.runtime.browser_services import BrowserServices
from sidecar.runtime.network import Network
from sidecar.settings import Settings

if TYPE_CHECKING:
    from sidecar.rtcv.stored_logins import CurrentSession


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeContext:
    """One for each process."""

    settings: Settings
    clock: Clock
    session: "CurrentSession"
    browsers: BrowserServices
    network: Network
    on_event: Callable[[str, Any], None]
    """Takes an event's name and content for our parent."""
