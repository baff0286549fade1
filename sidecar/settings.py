"""Frozen settings, and the only place that reads the environment."""

import base64
import operator
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import Field, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sidecar_protocol.wire_types import Secret, no_secret

if TYPE_CHECKING:
    from datetime import tzinfo

MiB: Final = 1 << 20
INPUT_LOG: Final = "scraper_client_input.log"
DEBUG_LOG: Final = "scraper_client.log"
PREFIX: Final = "SIDECAR_"
"""Of the variables that hold settings."""
SECRETS: Final = frozenset({"queue", "token_secret", "store_key", "http_token"})
"""Settings that come from the environment or a file it names, never from a flag."""
_RESEMBLANCE: Final = 0.7
"""The least ratio of letters that two names have in common: of `CHROME` and `CHROMIUM` 0.71."""
_MAX_NAME: Final = 100
"""Characters of a name that are compared and repeated."""
_SHORTEST_SECRET: Final = 32
_MAX_PORT: Final = 65_535
_SEAL_KEY_BYTES: Final = 32
_URL_SAFE: Final = str.maketrans("-_", "+/")
_TRUTHY: Final = frozenset({"1", "t", "true"})
_TRUTHS: Final = frozenset({"1", "true"})
_WRITTEN: Final = {
    int: re.compile(r"-?[0-9]{1,18}"),
    float: re.compile(r"-?[0-9]{1,300}(\.[0-9]{1,300})?([eE][-+]?[0-9]{1,2})?"),
    bool: re.compile("1|true|0|false", re.IGNORECASE),
}
"""The syntax of values that are no texts."""
_COMPARISONS: Final = {">=": operator.ge, ">": operator.gt, "<=": operator.le}


class SettingsError(Exception):
    """A variable or flag has an invalid value; the message names it."""


def _number(default: float, *, ge: float | None = None, gt: float | None = None, le: float | None = None) -> Any:
    """A number with bounds: at least, more than, at most."""
    return field(default=default, metadata={">=": ge, ">": gt, "<=": le})


def _one_of(*choices: str) -> Any:
    """One of these texts; the first is the default."""
    return field(default=choices[0], metadata={"one of": choices})


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """One value for each `SIDECAR_…` variable, and for the flag of the same name (`SIDECAR_MAX_LINE`, `--max-line`).

    `sidecar --help-all` and docs/settings.md are made of the texts below each: its UNIT, its meaning, and the default
    where that is not the value itself.
    """

    home: str = ""
    """FOLDER: holds references, artifacts and temporary files: created with mode 0700, files 0600; symbolic links in it
    are not followed. Default: the platform's state folder.
    """
    max_line: int = _number(64 * MiB, ge=1024)
    """BYTES: longest accepted line."""
    max_in_flight: int = _number(64, ge=1)
    """COUNT: requests with an id that run at once."""
    concurrency: int = _number(os.cpu_count() or 1, ge=1)
    """COUNT: browser jobs that run at once. Default: the number of CPUs."""
    max_queued_jobs: int = _number(256, ge=0)
    """COUNT: browser jobs that may wait for a browser slot."""
    queue: Secret = field(default_factory=no_secret)
    """URL: `redis://…` or `rediss://…` of a fleet's Redis, which holds the jobs of all machines. Default: the state
    folder.
    """
    results_ttl: int = _number(86_400, ge=1, le=31_536_000)
    """SECONDS: how long a finished async job, its key and its result are kept."""
    results_max_mb: int = _number(512, ge=1)
    """MEGABYTES: size of all kept results; the oldest are dropped first."""
    request_timeout: float = _number(30.0, gt=0, le=86_400)
    """SECONDS: how long one HTTP request may take."""
    shutdown_timeout: float = _number(30.0, ge=0, le=86_400)
    """SECONDS: how long requests in flight may take after the end of stdin or a signal."""
    chromium: str = ""
    """FILE: a Chromium or headless shell. Default: discovered."""
    firefox: str = ""
    """FILE: a Firefox. Default: discovered."""
    webkit: str = ""
    """FILE: Playwright's WebKit. Default: discovered."""
    browsers_path: str = ""
    """FOLDER: the browsers that Playwright downloaded; `PLAYWRIGHT_BROWSERS_PATH` works too. Default: Playwright's own.
    """
    browser_endpoint: str = ""
    """URL: a remote browser: `ws://…` of a Playwright server, `http://…` of a Chromium with a debugging port; the
    sidecar disconnects from it and never closes it.
    """
    chromium_sandbox: bool = True
    """BOOL: Chromium's own sandbox; `false` for containers without user namespaces, always off for root."""
    browser_memory_mb: int = _number(2048, ge=0)
    """MEGABYTES: a Chromium whose processes hold more is replaced between jobs; 0 is no limit."""
    living_profiles: int = _number(4, ge=0)
    """COUNT: profiles whose browser context stays open between two jobs; the others are restored from disk."""
    allow_file_urls: bool = False
    """BOOL: allows `file:` URLs in steps and `goto`, which can read every file that the sidecar can."""
    token_secret: Secret = field(default_factory=no_secret)
    """SECRET: at least 32 bytes that sign visit tokens; with it, jobs need a visit token."""
    token_proxies: bool = False
    """BOOL: lets jobs with a visit token name a proxy in `context.proxy`, which could answer for any site."""
    store_key: Secret = field(default_factory=no_secret)
    """SECRET: a 32-byte base64 key that encrypts stored secrets, so pending work resumes after a restart."""
    http_token: Secret = field(default_factory=no_secret)
    """SECRET: what clients of `sidecar serve` have to send; needed on addresses that other machines reach."""
    http_hosts: str = ""
    """NAMES: further names, separated by commas, that HTTP clients may reach the sidecar by (`Host`)."""
    http_origins: str = ""
    """URLS: origins, separated by commas, whose pages may call over HTTP (CORS)."""
    webhook: str = ""
    """URLS: webhooks for every run, separated by spaces; `--webhook URL` can be given several times."""
    push_url: str = ""
    """URL: where due schedules post pushes in EngageLab's own form; without it such a push is refused (28105)."""
    max_stdouterr_size: int = _number(10_000, ge=0, le=1_000_000)
    """CHARACTERS: length of a step's output in an update, unless the webhook sets its own limit."""
    allow_private_network: bool = False
    """BOOL: whether webhooks, pushes and task scripts may reach loopback and private addresses."""
    misfire_grace: float = _number(3600.0, ge=0, le=31_622_400)
    """SECONDS: how long after its time a missed schedule still runs."""
    scripts_folder: str = ""
    """FOLDER: tasks' scripts. Default: `scripts` in the state folder."""
    cv_folder: str = ""
    """FOLDER: the PDFs that `send_full_cv` may send by their path; symbolic links in it are not followed."""
    script_hosts: str = ""
    """HOSTS: where tasks' scripts may fetch from: `a.example, *.b.example`, or `*`."""
    script_timeout: float = _number(60.0, gt=0, le=86_400)
    """SECONDS: how long a script may take, without the browser jobs that it waits for."""
    record: str = ""
    """FOLDER: records the whole session, secrets replaced."""
    record_max_mb: int = _number(1024, ge=1)
    """MEGABYTES: size of input, output, exchanges, pages and pictures after which nothing more is recorded."""
    offline: str = ""
    """FOLDER: a recording that answers in place of servers, so nothing leaves the machine; `sidecar replay` sets it.
    """
    ignore_params: str = ""
    """NAMES: query parameters, separated by commas, that don't count when `SIDECAR_OFFLINE` looks for a request."""
    log_input: str = ""
    """FILE: appends every input line, secrets replaced; v1's `LOG_SCRAPER_CLIENT_INPUT=true` works too."""
    log_debug: str = ""
    """FILE: appends debug messages, secrets replaced; v1's `ENABLE_SCRAPER_CLIENT_LOG=true` works too."""
    log_format: str = _one_of("text", "json")
    """FORMAT: of the debug log and of stderr: `text`, or `json` for an object a line."""

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
        """The path of the state folder, which may not exist yet."""
        if self.home:
            return Path(self.home).expanduser()
        import platformdirs  # late: only a login or a job needs the folder

        return Path(platformdirs.user_state_dir("sidecar", appauthor=False))

    def state_folder(self) -> Path:
        """The state folder, made where it is missing: 0700. One that is there keeps its mode: it may be shared."""
        folder = self.state_path()
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return folder

    def cache_path(self) -> Path | None:
        """The path of the folder for what can be made again, if it exists or not; None for a user without a home."""
        import platformdirs  # late: only a job needs the folder

        try:
            return Path(platformdirs.user_cache_dir("sidecar", appauthor=False))
        except RuntimeError:
            return None

    def scripts_path(self) -> Path:
        """The folder of task scripts, which is not created. Raises OSError for a link in the state folder."""
        if self.scripts_folder:
            return Path(self.scripts_folder).expanduser()
        from sidecar.files import reject_symlink  # late: only tasks need it

        folder = self.state_path() / "scripts"
        reject_symlink(folder)
        return folder

    def artifacts_folder(self) -> Path:
        """The folder for jobs' files, created if missing, with mode 0700."""
        return self._subfolder("artifacts")

    def profiles_folder(self) -> Path:
        """The folder of profiles, created if missing, with mode 0700."""
        return self._subfolder("profiles")

    def _subfolder(self, name: str) -> Path:
        from sidecar.files import ensure_subfolder  # late: only a job needs one

        return ensure_subfolder(self.state_folder(), name)


SETTINGS: Final = {one.name: one for one in fields(Settings)}
"""Every setting by its name."""


_OWN_VARIABLES: Final = frozenset(f"{PREFIX}{name.upper()}" for name in SETTINGS) | frozenset(
    f"{PREFIX}{name.upper()}_FILE" for name in SECRETS
)


def foreign_variables(environ: Mapping[str, str] | None = None) -> dict[str, str | None]:
    """Variables with our prefix that name no setting, each with the setting that it resembles, or None."""
    environ = os.environ if environ is None else environ
    foreign = sorted(
        name
        for name in environ
        if name.startswith(PREFIX) and not name.startswith(REPLAY_SECRET) and name not in _OWN_VARIABLES
    )
    return {name: nearest_name(name.removeprefix(PREFIX), _OWN_VARIABLES, PREFIX) for name in foreign}


def nearest_name(name: str, names: Iterable[str], prefix: str = "") -> str | None:
    """The name that another resembles, None if there is none; `prefix` is theirs, and counts for nothing."""
    from difflib import get_close_matches  # late: only mistakes need it

    by_rest = {one.removeprefix(prefix): one for one in sorted(names)}
    near = get_close_matches(name[:_MAX_NAME], by_rest, cutoff=_RESEMBLANCE)
    near.sort(key=lambda one: one[0] != name[0])  # `CHROME` is as good as `HOME`, and more likely `CHROMIUM`
    return by_rest[near[0]] if near else None


def load(flags: Mapping[str, str] | None = None, environ: Mapping[str, str] | None = None) -> Settings:
    """Settings from flags (by field name), then the environment, then defaults. Raises SettingsError."""
    environ = os.environ if environ is None else environ
    _check_variables(environ)
    raw: dict[str, str] = {}
    names: dict[str, str] = {}
    for name in SETTINGS:
        variable = f"{PREFIX}{name.upper()}"
        if flags and name in flags:
            raw[name], names[name] = flags[name], f"--{name.replace('_', '-')}"
        elif environ.get(variable):
            raw[name], names[name] = environ[variable], variable
        elif name in SECRETS and environ.get(f"{variable}_FILE"):
            raw[name] = _from_file(f"{variable}_FILE", environ)
    if _truthy(environ, "LOG_SCRAPER_CLIENT_INPUT"):
        raw.setdefault("log_input", INPUT_LOG)
    if _truthy(environ, "ENABLE_SCRAPER_CLIENT_LOG"):
        raw.setdefault("log_debug", DEBUG_LOG)
    if environ.get("PLAYWRIGHT_BROWSERS_PATH"):
        raw.setdefault("browsers_path", environ["PLAYWRIGHT_BROWSERS_PATH"])
    values: dict[str, Any] = {}
    for name, text in raw.items():
        try:
            values[name] = _read(SETTINGS[name], text)
        except ValueError as wrong:
            raise SettingsError(f"{names.get(name, 'settings')}: {wrong}") from None
    settings = Settings(**values)
    _check_secrets(settings)
    return settings


def host_zone(environ: Mapping[str, str] | None = None) -> "tzinfo | None":
    """This machine's time zone if `TZ` names one; None is the C library's reading of `TZ` and /etc/localtime."""
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


def _read(setting: "Field[Any]", text: str) -> Any:
    """A setting's value from its text. Raises ValueError, which says what was expected.

    No model reads it: pydantic is not imported before `ready`.
    """
    kind: Any = setting.type
    wanted = _WRITTEN.get(kind)
    if wanted and not wanted.fullmatch(text):
        raise ValueError(f"Expected {kind.__name__}, got str")
    if kind is bool:
        return text.lower() in _TRUTHS
    if "one of" in setting.metadata:
        choices: tuple[str, ...] = setting.metadata["one of"]
        if text not in choices:
            raise ValueError(f"Expected one of {', '.join(choices)}")
        return text
    value = kind(text)
    for sign, bound in setting.metadata.items():
        if bound is not None and not _COMPARISONS[sign](value, bound):
            raise ValueError(f"Expected {kind.__name__} {sign} {kind(bound)}")
    return value


def _check_variables(environ: Mapping[str, str]) -> None:
    """Rejects a variable that resembles a setting's; others with our prefix may belong to another program."""
    for name, near in foreign_variables(environ).items():
        if near:
            said = (
                f"{name[:_MAX_NAME]} is not a setting; did you mean {near}? Unset it if it belongs to another program"
            )
            raise SettingsError(said)


def _check_secrets(settings: Settings) -> None:
    queue = settings.queue.reveal()
    if queue and not queue.startswith(("redis://", "rediss://")):
        raise SettingsError("SIDECAR_QUEUE: has to begin with redis:// or rediss://")
    http_token = settings.http_token.reveal()
    if not (http_token.isascii() and http_token.isprintable() and " " not in http_token):
        raise SettingsError("SIDECAR_HTTP_TOKEN: has to consist of printable ASCII characters without spaces")
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


REPLAY_SECRET: Final = "SIDECAR_SECRET_"  # noqa: S105 - how such variables begin
"""Variables that begin so hold secrets for `sidecar replay --live`."""


def replay_secrets() -> dict[str, str]:
    """Name -> secret, of the variables `SIDECAR_SECRET_<NAME>`."""
    return {
        name.removeprefix(REPLAY_SECRET): value for name, value in os.environ.items() if name.startswith(REPLAY_SECRET)
    }


def child_environment(variables: Mapping[str, str]) -> dict[str, str]:
    """This process's environment with these variables, for a sidecar that is started from it."""
    return {**{name: value for name, value in os.environ.items() if not name.startswith(REPLAY_SECRET)}, **variables}


@dataclass(frozen=True, slots=True)
class ScraperVariables:
    """What RT-CV scraper client v2 reads of its environment, for `sidecar run`."""

    env: str
    """The text of an `env.json`."""
    env_file: str
    """The path of one."""
    health_port: int
    """0: none."""


def scraper_variables(environ: Mapping[str, str] | None = None) -> ScraperVariables:
    """Those of this process. Raises SettingsError."""
    environ = os.environ if environ is None else environ
    port = environ.get("RTCV_SCRAPER_CLIENT_HEALTH_CHECK_PORT", "")
    if port and not (port.isascii() and port.isdigit() and 0 < int(port[:6]) <= _MAX_PORT):
        raise SettingsError(f"RTCV_SCRAPER_CLIENT_HEALTH_CHECK_PORT: expected a port, 1 to {_MAX_PORT}")
    name = "RTCV_SCRAPER_CLIENT_ENV"
    return ScraperVariables(environ.get(name, ""), environ.get(f"{name}_FILE", ""), int(port or 0))


def scraper_environment(variables: Mapping[str, str]) -> dict[str, str]:
    """This process's environment with these variables, for a scraper, which needs none of our secrets."""
    ours = {f"{PREFIX}{name.upper()}" for name in SECRETS} | {"RTCV_SCRAPER_CLIENT_ENV"}
    return {**{name: value for name, value in os.environ.items() if name not in ours}, **variables}


def _truthy(environ: Mapping[str, str], name: str) -> bool:
    return environ.get(name, "").lower() in _TRUTHY
