"""Frozen settings, and the only place that reads the environment."""

import base64
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec
from sidecar_protocol.wire_types import Secret, no_secret

if TYPE_CHECKING:
    from datetime import tzinfo

MiB: Final = 1 << 20
INPUT_LOG: Final = "scraper_client_input.log"
DEBUG_LOG: Final = "scraper_client.log"
SECRETS: Final = frozenset({"queue", "token_secret", "store_key"})
"""Settings that come from the environment or a file it names, never from a flag."""
_SHORTEST_SECRET: Final = 32
_SEAL_KEY_BYTES: Final = 32
_URL_SAFE: Final = str.maketrans("-_", "+/")
_TRUTHY: Final = frozenset({"1", "t", "true"})


class SettingsError(Exception):
    """A variable or flag has an invalid value; the message names it."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """One value for each `SIDECAR_…` variable, and for the flag of the same name (`SIDECAR_MAX_LINE`, `--max-line`)."""

    home: str = ""
    """State folder; empty means the platform's default. See `state_folder`."""
    max_line: Annotated[int, msgspec.Meta(ge=1024)] = 64 * MiB
    """Longest accepted line, in bytes."""
    max_in_flight: Annotated[int, msgspec.Meta(ge=1)] = 64
    """How many requests with an id run at once."""
    concurrency: Annotated[int, msgspec.Meta(ge=1)] = os.cpu_count() or 1
    """How many browser jobs run at once."""
    max_queued_jobs: Annotated[int, msgspec.Meta(ge=0)] = 256
    """How many browser jobs may wait for a browser slot."""
    queue: Secret = msgspec.field(default_factory=no_secret)
    """`redis://…` or `rediss://…` URL of a fleet's Redis, which holds all machines' jobs; empty means the state folder.

    It may hold a password, so it is never a flag. Or in a file: `SIDECAR_QUEUE_FILE`.
    """
    results_ttl: Annotated[int, msgspec.Meta(ge=1, le=31_536_000)] = 86_400
    """Seconds that a finished job and its result are kept, and its key is known."""
    results_max_mb: Annotated[int, msgspec.Meta(ge=1)] = 512
    """Megabytes of all kept results; the oldest are dropped first."""
    request_timeout: Annotated[float, msgspec.Meta(gt=0, le=86_400)] = 30.0
    """Seconds that one HTTP request may take."""
    shutdown_timeout: Annotated[float, msgspec.Meta(ge=0, le=86_400)] = 30.0
    """Seconds that requests in flight get after the end of stdin, SIGTERM or SIGINT."""
    chromium: str = ""
    """Path of a Chromium or headless shell; empty means discovery."""
    firefox: str = ""
    """Path of a Firefox; empty means discovery."""
    webkit: str = ""
    """Path of a WebKit; empty means discovery."""
    browsers_path: str = ""
    """Folder of Playwright's downloaded browsers; empty means its default. Also `PLAYWRIGHT_BROWSERS_PATH`."""
    browser_endpoint: str = ""
    """A remote browser instead of one of our own: `ws://` of a Playwright server, `http://` of a debugging port."""
    chromium_sandbox: bool = True
    """Whether Chromium's own sandbox is on; never for root. Off only where a container has no user namespaces."""
    browser_memory_mb: Annotated[int, msgspec.Meta(ge=0)] = 2048
    """A Chromium whose processes hold more takes no new job and ends after its last; 0 is no limit."""
    living_profiles: Annotated[int, msgspec.Meta(ge=0)] = 4
    """How many profiles keep their browser context open between two jobs; 0 restores it from disk for each."""
    allow_file_urls: bool = False
    """Whether a job's steps may open `file:` URLs, and so read every file that this process can."""
    token_secret: Secret = msgspec.field(default_factory=no_secret)
    """Signs visit tokens, at least 32 bytes; jobs need none without it. Or in a file: `SIDECAR_TOKEN_SECRET_FILE`."""
    token_proxies: bool = False
    """Whether a job with a visit token may name a proxy, which could answer for any site."""
    store_key: Secret = msgspec.field(default_factory=no_secret)
    """A 32-byte base64 key that encrypts stored secrets, or `SIDECAR_STORE_KEY_FILE` names its file."""
    webhook: str = ""
    """URLs of webhooks that every session begins with, separated by spaces; the flag can be given several times."""
    max_stdouterr_size: Annotated[int, msgspec.Meta(ge=0, le=1_000_000)] = 10_000
    """Characters of a step's stdout, and of its stderr, in an update, unless the webhook sets its own limit."""
    allow_private_network: bool = False
    """Whether webhooks and task scripts may reach loopback and private addresses."""
    misfire_grace: Annotated[float, msgspec.Meta(ge=0, le=31_622_400)] = 3600.0
    """Seconds after its time that a missed schedule still runs."""
    scripts_folder: str = ""
    """Folder of tasks' scripts; empty means `scripts` in the state folder."""
    cv_folder: str = ""
    """Folder whose files `send_full_cv` may send by their path; empty means none."""
    script_hosts: str = ""
    """Hosts that scripts may fetch from, separated by commas: `example.com`, `*.example.com`, or `*` for all."""
    script_timeout: Annotated[float, msgspec.Meta(gt=0, le=86_400)] = 60.0
    """Seconds that a script may take, without the browser jobs that it waits for."""
    record: str = ""
    """Folder that the whole session is recorded into, secrets replaced; empty means none."""
    record_max_mb: Annotated[int, msgspec.Meta(ge=1)] = 1024
    """Megabytes of input, output and exchanges after which nothing more is recorded."""
    offline: str = ""
    """Folder of a recorded session that answers in place of servers; nothing leaves the machine."""
    ignore_params: str = ""
    """Query parameters, separated by commas, that don't count where `offline` looks for a recorded request."""
    log_input: str = ""
    """File that every input line is appended to, secrets replaced; empty means none."""
    log_debug: str = ""
    """File that debug messages are appended to; empty means none."""

    def encryption_key(self) -> bytes | None:
        """The bytes of `store_key`; None where it is not set. Raises ValueError."""
        text = self.store_key.reveal()
        if not text:
            return None
        key = base64.b64decode(text.translate(_URL_SAFE), validate=True)
        if len(key) != _SEAL_KEY_BYTES:
            raise ValueError(f"{len(key)} bytes")
        return key

    def state_path(self) -> Path:
        """Where the state folder is, or will be."""
        if self.home:
            return Path(self.home).expanduser()
        import platformdirs  # late: only a login or a job needs the folder

        return Path(platformdirs.user_state_dir("sidecar", appauthor=False))

    def state_folder(self) -> Path:
        """The state folder, made where it is missing: 0700. One that is there keeps its mode: it may be shared."""
        folder = self.state_path()
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return folder

    def scripts_path(self) -> Path:
        """The folder of task scripts, which is not created. Raises OSError for a link in the state folder."""
        if self.scripts_folder:
            return Path(self.scripts_folder).expanduser()
        from sidecar.files import reject_symlink  # late: only tasks need it

        folder = self.state_path() / "scripts"
        reject_symlink(folder)
        return folder

    def artifacts_folder(self) -> Path:
        """Where jobs leave files, made where it is missing: 0700."""
        return self._subfolder("artifacts")

    def profiles_folder(self) -> Path:
        """Where profiles lie, made where it is missing: 0700."""
        return self._subfolder("profiles")

    def _subfolder(self, name: str) -> Path:
        from sidecar.files import ensure_subfolder  # late: only a job needs one

        return ensure_subfolder(self.state_folder(), name)


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
        elif field in SECRETS and environ.get(f"{variable}_FILE"):
            raw[field] = _from_file(f"{variable}_FILE", environ)
    if _truthy(environ, "LOG_SCRAPER_CLIENT_INPUT"):
        raw.setdefault("log_input", INPUT_LOG)
    if _truthy(environ, "ENABLE_SCRAPER_CLIENT_LOG"):
        raw.setdefault("log_debug", DEBUG_LOG)
    if environ.get("PLAYWRIGHT_BROWSERS_PATH"):
        raw.setdefault("browsers_path", environ["PLAYWRIGHT_BROWSERS_PATH"])
    try:
        settings = msgspec.convert(raw, Settings, strict=False, dec_hook=_decoded)
    except msgspec.ValidationError as wrong:
        said, _, path = str(wrong).partition(" - at `$.")
        raise SettingsError(f"{names.get(path.rstrip('`'), 'settings')}: {said.replace('`', '')}") from None
    _check_secrets(settings)
    return settings


def host_zone(environ: Mapping[str, str] | None = None) -> "tzinfo | None":
    """This machine's time zone where `TZ` names one; None is what the C library makes of `TZ` and /etc/localtime."""
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError  # late: only schedules ask

    name = (os.environ if environ is None else environ).get("TZ", "")
    try:  # by its name first: a machine without zone files would take every name for UTC
        return ZoneInfo(name) if name else None
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


def zone_name(environ: Mapping[str, str] | None = None) -> str:
    """The IANA name of this machine's zone; a fixed offset as `TZ` takes it where there is no name."""
    name = (os.environ if environ is None else environ).get("TZ", "")
    if name:
        return name
    _, found, name = os.path.realpath("/etc/localtime").partition("/zoneinfo/")
    if found:
        return name
    import time

    return f"UTC{time.timezone // 3600:+d}" if time.timezone else "UTC"


def _decoded(wanted: type, value: Any) -> Any:
    """Builds what msgspec does not know, as it asks it to."""
    if wanted is Secret:
        return Secret(value)
    raise NotImplementedError(wanted)


def _check_secrets(settings: Settings) -> None:
    queue = settings.queue.reveal()
    if queue and not queue.startswith(("redis://", "rediss://")):
        raise SettingsError("SIDECAR_QUEUE: has to begin with redis:// or rediss://")
    token_secret = settings.token_secret.reveal().encode()
    if 0 < len(token_secret) < _SHORTEST_SECRET:
        raise SettingsError(f"SIDECAR_TOKEN_SECRET: has to have at least {_SHORTEST_SECRET} bytes")
    try:
        settings.encryption_key()
    except ValueError:
        said = f"has to be {_SEAL_KEY_BYTES} bytes in base64, as `openssl rand -base64 {_SEAL_KEY_BYTES}` makes them"
        raise SettingsError(f"SIDECAR_STORE_KEY: {said}") from None


def _from_file(variable: str, environ: Mapping[str, str]) -> str:
    try:
        return Path(environ[variable]).read_text().strip()
    except (OSError, UnicodeDecodeError):
        raise SettingsError(f"{variable}: the file can't be read") from None


def child_environment(variables: Mapping[str, str]) -> dict[str, str]:
    """This process's environment with these variables, for a sidecar that is started from it."""
    return {**os.environ, **variables}


@contextmanager
def exported(variables: Mapping[str, str]) -> Iterator[None]:
    """Sets variables for a child that is started within, and hides our own from it.

    The only way to say so to a library that starts it: browsers and their driver need not know our secrets.
    """
    ours = [name for name in os.environ if name.startswith("SIDECAR_")]
    before = {name: os.environ.get(name) for name in (*ours, *variables)}
    for name in ours:
        del os.environ[name]
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _truthy(environ: Mapping[str, str], name: str) -> bool:
    return environ.get(name, "").lower() in _TRUTHY
