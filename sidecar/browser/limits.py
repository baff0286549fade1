"""How long browsers, their contexts and profiles live, how long they may take, and what one value may hold."""

from dataclasses import dataclass
from typing import Final

MAX_ARGUMENT_DEPTH: Final = 100
"""Levels of what is handed to a page; its driver says nothing at all about some more."""
MAX_VALUES: Final = 100_000
"""Of one value that comes from a page, or goes to one."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How long and how often; times in seconds."""

    launch: float = 30.0
    context: float = 15.0
    """For a fresh context and its page."""
    close: float = 5.0
    """For the end of a context, and of a browser."""
    silence: float = 10.0
    """For an answer of the driver's own, once a call was cancelled; one that says nothing for longer is killed."""
    jobs_per_browser: int = 100
    """After so many a new process takes over; long-lived ones grow."""
    jobs_per_memory_check: int = 10
    """After so many the browser's memory is compared with the settings' limit."""
    idle: float = 300.0
    """A browser without a job is closed after this."""
    first_backoff: float = 0.5
    longest_backoff: float = 30.0
    """After a failed launch the next is not tried sooner; the wait doubles with each failure."""
    save: float = 10.0
    """For reading a profile's cookies and storage after a job."""
    quiet: float = 1.0
    """After so long without a job a profile's page is left, so that no script of the site's runs on."""
    profile_idle: float = 120.0
    """A profile's context without a job is closed after this."""
