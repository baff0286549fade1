"""Frozen settings, and the only place that reads the environment."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec

MiB: Final = 1 << 20
INPUT_LOG: Final = "scraper_client_input.log"
DEBUG_LOG: Final = "scraper_client.log"
_TRUTHY: Final = frozenset({"1", "t", "true"})


class SettingsError(Exception):
    """A variable or flag that can't be used; the sentence names it."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """One value for each `SIDECAR_…` variable, and for the flag of the same name (`SIDECAR_MAX_LINE`, `--max-line`)."""

    home: str = ""
    """State folder; the platform's own where empty. See `state_folder`."""
    max_line: Annotated[int, msgspec.Meta(ge=1024)] = 64 * MiB
    """Longest accepted line, in bytes."""
    max_in_flight: Annotated[int, msgspec.Meta(ge=1)] = 64
    """How many requests with an id run at once."""
    concurrency: Annotated[int, msgspec.Meta(ge=1)] = os.cpu_count() or 1
    """How many browser jobs run at once."""
    max_queued_jobs: Annotated[int, msgspec.Meta(ge=0)] = 256
    """How many browser jobs may wait for a place."""
    request_timeout: Annotated[float, msgspec.Meta(gt=0)] = 30.0
    """Seconds that one HTTP request may take."""
    shutdown_timeout: Annotated[float, msgspec.Meta(ge=0)] = 30.0
    """Seconds that requests in flight get after the end of stdin, SIGTERM or SIGINT."""
    chromium: str = ""
    """Path of a Chromium or headless shell; discovered where empty."""
    firefox: str = ""
    """Path of a Firefox; discovered where empty."""
    webkit: str = ""
    """Path of a WebKit; discovered where empty."""
    browsers_path: str = ""
    """Folder of Playwright's downloaded browsers; its default where empty. Also `PLAYWRIGHT_BROWSERS_PATH`."""
    log_input: str = ""
    """File that every input line is appended to, secrets replaced; none where empty."""
    log_debug: str = ""
    """File that debug messages are appended to; none where empty."""

    def state_folder(self) -> Path:
        """The state folder, made where it is missing: 0700."""
        if self.home:
            folder = Path(self.home).expanduser()
        else:
            import platformdirs  # late: only a login or a job with files needs the folder

            folder = Path(platformdirs.user_state_dir("sidecar", appauthor=False))
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        folder.chmod(0o700)
        return folder

    def artifacts_folder(self) -> Path:
        """Where jobs leave files, made where it is missing: 0700."""
        folder = self.state_folder() / "artifacts"
        folder.mkdir(exist_ok=True, mode=0o700)
        return folder


def load(flags: Mapping[str, str] | None = None, environ: Mapping[str, str] | None = None) -> Settings:
    """Settings from flags (by field name), then the environment, then defaults. Raises SettingsError."""
    environ = os.environ if environ is None else environ
    raw: dict[str, Any] = {}
    names: dict[str, str] = {}
    for field in Settings.__struct_fields__:
        variable = f"SIDECAR_{field.upper()}"
        if flags and field in flags:
            raw[field], names[field] = flags[field], f"--{field.replace('_', '-')}"
        elif environ.get(variable):
            raw[field], names[field] = environ[variable], variable
    if _truthy(environ, "LOG_SCRAPER_CLIENT_INPUT"):
        raw.setdefault("log_input", INPUT_LOG)
    if _truthy(environ, "ENABLE_SCRAPER_CLIENT_LOG"):
        raw.setdefault("log_debug", DEBUG_LOG)
    if environ.get("PLAYWRIGHT_BROWSERS_PATH"):
        raw.setdefault("browsers_path", environ["PLAYWRIGHT_BROWSERS_PATH"])
    try:
        return msgspec.convert(raw, Settings, strict=False)
    except msgspec.ValidationError as wrong:
        said, _, path = str(wrong).partition(" - at `$.")
        raise SettingsError(f"{names.get(path.rstrip('`'), 'settings')}: {said.replace('`', '')}") from None


def _truthy(environ: Mapping[str, str], name: str) -> bool:
    return environ.get(name, "").lower() in _TRUTHY
