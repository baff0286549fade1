"""Lifetimes and timeouts of browsers, contexts and profiles, and limits of values."""

from dataclasses import dataclass
from typing import Final

MAX_ARGUMENT_DEPTH: Final = 100
"""Nesting levels of an argument for a page; the driver fails silently at some more."""
MAX_VALUES: Final = 100_000
"""Parts of one value from or for a page."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Lifetimes and timeouts; times in seconds."""

    launch: float = 30.0
    context: float = 15.0
    """Seconds to open a context and its page."""
    close: float = 5.0
    """Seconds to close a context or a browser."""
    driver_response: float = 10.0
    """Seconds for the driver to respond after a cancelled call; otherwise it is killed."""
    jobs_per_browser: int = 100
    """Jobs after which a browser is replaced; long-lived ones grow."""
    jobs_per_memory_check: int = 10
    """Jobs after which a browser's memory is compared with the limit of the settings."""
    idle: float = 300.0
    """A browser without jobs is closed after this."""
    first_backoff: float = 0.5
    longest_backoff: float = 30.0
    """The pause after a failed launch; it doubles with each failure."""
    save: float = 10.0
    """Seconds to read a profile's cookies and storage after a job."""
    leave_page_after: float = 1.0
    """Seconds without a job after which a profile's page is left, so that the site's scripts stop."""
    profile_idle: float = 120.0
    """A profile's context without jobs is closed after this."""
