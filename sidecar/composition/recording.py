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
REPLAYED_URLS: Final = ("webhook", "push_url")
"""As these, with words for what is behind the host."""


def open_recording(loaded: Settings, clock: Clock) -> "RecorderProcess | None":
    """The recording of a session; None if it isn't recorded. Raises SettingsError."""
    if not loaded.record:
        return None
    import os

    from sidecar.recording.recorder_process import KEY_BYTES, RecorderProcess  # late: few sessions are recorded

    key = os.urandom(KEY_BYTES)
    secrets: list[tuple[str, str]] = []
    about: dict[str, Any] = {
        "sidecar": __version__,
        "protocol": PROTOCOL_VERSION,
        "zone": settings.zone_name(),
        "settings": {name: getattr(loaded, name) for name in REPLAYED_SETTINGS} | _urls(loaded, key, secrets),
        "visit_tokens": bool(loaded.token_secret),
    }
    try:
        recorder = RecorderProcess(Path(loaded.record), about, loaded.record_max_mb * MiB, clock, key)
    except OSError as failure:
        raise SettingsError(f"the session can't be recorded into {loaded.record}: {failure.strerror}") from None
    for secret, name in secrets:
        recorder.name_secret(secret, name)
    return recorder


def _urls(loaded: Settings, key: bytes, secrets: list[tuple[str, str]]) -> dict[str, str]:
    """The settings that hold URLs, as they may be recorded; adds what words stand for, with the name of each."""
    given = {name: getattr(loaded, name) for name in REPLAYED_URLS if getattr(loaded, name)}
    if not given:
        return {}
    from sidecar.recording.recorded_urls import recorded_urls

    return {name: recorded_urls(name, urls, key, lambda *pair: secrets.append(pair)) for name, urls in given.items()}


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
