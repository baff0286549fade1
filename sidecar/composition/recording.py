"""Opens what a session is recorded into, or the recording that it is answered from."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sidecar_protocol import PROTOCOL_VERSION

from sidecar import __version__, settings
from sidecar.clock import Clock
from sidecar.settings import MiB, Settings, SettingsError

if TYPE_CHECKING:
    from sidecar.recording.exchange_matcher import ExchangeMatcher
    from sidecar.recording.recorder_process import RecorderProcess

REPLAYED_SETTINGS: Final = (
    "max_line",
    "max_in_flight",
    "max_queued_jobs",
    "request_timeout",
    "max_stdouterr_size",
    "misfire_grace",
    "script_hosts",
    "script_timeout",
    "allow_private_network",
    "token_proxies",
)
"""Settings that change what is answered: they are recorded, and a replay has the same."""


def open_recording(loaded: Settings, clock: Clock) -> "RecorderProcess | None":
    """The recording of a session; None if it isn't recorded. Raises SettingsError."""
    if not loaded.record:
        return None
    import os

    from sidecar.recording.recorder_process import RecorderProcess  # late: few sessions are recorded

    about: dict[str, Any] = {
        "sidecar": __version__,
        "protocol": PROTOCOL_VERSION,
        "zone": settings.zone_name(),
        "settings": {name: getattr(loaded, name) for name in REPLAYED_SETTINGS},
        "visit_tokens": bool(loaded.token_secret),
    }
    try:
        return RecorderProcess(Path(loaded.record), about, loaded.record_max_mb * MiB, clock, os.urandom)
    except OSError as failure:
        raise SettingsError(f"the session can't be recorded into {loaded.record}: {failure.strerror}") from None


def recorded_clock(loaded: Settings, clock: Clock) -> Clock:
    """A clock that begins when the recording began. Raises SettingsError."""
    from datetime import datetime

    from sidecar.recording.recording_folder import RecordingError, read_manifest

    try:
        started = datetime.fromisoformat(str(read_manifest(Path(loaded.offline)).get("started_at"))).timestamp()
    except RecordingError as wrong:
        raise SettingsError(f"--offline: {wrong}") from None
    except ValueError:
        raise SettingsError("--offline: the recording's manifest has no `started_at`") from None
    offset = started - clock.now()
    return replace(clock, now=lambda: clock.now() + offset)


def open_recorded(loaded: Settings) -> "ExchangeMatcher | None":
    """The recording that answers instead of servers; None if they answer themselves. Raises SettingsError."""
    if not loaded.offline:
        return None
    from sidecar.recording.exchange_matcher import open_matcher
    from sidecar.recording.recording_folder import RecordingError

    try:
        return open_matcher(Path(loaded.offline), loaded.ignore_params.split(","))
    except RecordingError as wrong:
        raise SettingsError(f"--offline: {wrong}") from None
