"""The context that all parts of a process share: settings, clock, session, browsers, network."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sidecar.clock import Clock
from sidecar.composition.browsers import BrowserServices
from sidecar.composition.network import Network
from sidecar.settings import Settings

if TYPE_CHECKING:
    from sidecar.rtcv.stored_logins import CurrentSession


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessContext:
    """One for each process."""

    settings: Settings
    clock: Clock
    session: "CurrentSession"
    browsers: BrowserServices
    network: Network
    on_event: Callable[[str, Any], None]
    """Takes the name and content of an event for our parent."""
