"""Settings: where each value comes from, and what is said of a wrong one."""

from dataclasses import replace
from pathlib import Path

import pytest
from sidecar_protocol.wire_types import Secret

from sidecar.settings import (
    DEBUG_LOG,
    INPUT_LOG,
    SETTINGS,
    Settings,
    SettingsError,
    foreign_variables,
    host_zone,
    load,
)


def test_defaults() -> None:
    """Unset variables give the documented defaults."""
    loaded = load({}, {})
    assert loaded == Settings()
    assert (loaded.max_line, loaded.max_in_flight) == (64 * 1024 * 1024, 64)
    assert (loaded.shutdown_timeout, loaded.request_timeout) == (30, 30)
    assert (loaded.log_input, loaded.log_debug) == ("", "")


def test_flags_go_before_variables_and_those_before_defaults() -> None:
    """An empty variable counts as not set."""
    environ = {"SIDECAR_MAX_LINE": "2048", "SIDECAR_MAX_IN_FLIGHT": "3", "SIDECAR_SHUTDOWN_TIMEOUT": ""}
    loaded = load({"max_line": "4096"}, environ)
    assert (loaded.max_line, loaded.max_in_flight, loaded.shutdown_timeout) == (4096, 3, 30)


@pytest.mark.parametrize("field", SETTINGS)
def test_every_setting_has_its_variable(field: str) -> None:
    """A setting's variable is its name in capitals with the prefix."""
    default = getattr(Settings(), field)
    written: str
    expected: object
    if isinstance(default, bool):
        written, expected = str(not default).lower(), not default
    elif isinstance(default, int | float):
        written, expected = "2048", 2048
    elif field == "log_format":
        written = expected = "json"
    else:
        written = "redis://host" if field == "queue" else "thirty-two_bytes/when+read_as_base64_01234w="
        expected = Secret(written) if isinstance(default, Secret) else written
    assert getattr(load({}, {f"SIDECAR_{field.upper()}": written}), field) == expected


@pytest.mark.parametrize("truthy", ["1", "t", "T", "true", "True", "TRUE"])
def test_v1s_variables(truthy: str) -> None:
    """They turn on the logs of v1's names in the working folder."""
    loaded = load({}, {"LOG_SCRAPER_CLIENT_INPUT": truthy, "ENABLE_SCRAPER_CLIENT_LOG": truthy})
    assert (loaded.log_input, loaded.log_debug) == (INPUT_LOG, DEBUG_LOG)


@pytest.mark.parametrize("falsy", ["", "0", "f", "false", "yes", "on", " 1"])
def test_other_values_of_v1s_variables_mean_no(falsy: str) -> None:
    """Other values of v1's variables mean no, as in v1."""
    assert load({}, {"LOG_SCRAPER_CLIENT_INPUT": falsy, "ENABLE_SCRAPER_CLIENT_LOG": falsy}) == Settings()


def test_our_own_names_go_before_foreign_ones() -> None:
    """v1's and Playwright's variables only fill in what is not set."""
    environ = {
        "LOG_SCRAPER_CLIENT_INPUT": "true",
        "SIDECAR_LOG_INPUT": "other.log",
        "PLAYWRIGHT_BROWSERS_PATH": "/theirs",
    }
    loaded = load({}, environ)
    assert (loaded.log_input, loaded.browsers_path) == ("other.log", "/theirs")
    assert load({"browsers_path": "/ours"}, environ).browsers_path == "/ours"


@pytest.mark.parametrize(
    ("flags", "environ", "said"),
    [
        ({}, {"SIDECAR_MAX_LINE": "10"}, "SIDECAR_MAX_LINE: Expected int >= 1024"),
        ({}, {"SIDECAR_MAX_LINE": "much"}, "SIDECAR_MAX_LINE: Expected int, got str"),
        ({}, {"SIDECAR_MAX_IN_FLIGHT": "0"}, "SIDECAR_MAX_IN_FLIGHT: Expected int >= 1"),
        ({}, {"SIDECAR_CONCURRENCY": "1.5"}, "SIDECAR_CONCURRENCY: Expected int, got str"),
        ({}, {"SIDECAR_REQUEST_TIMEOUT": "-1"}, "SIDECAR_REQUEST_TIMEOUT: Expected float > 0.0"),
        ({"shutdown_timeout": "soon"}, {}, "--shutdown-timeout: Expected float, got str"),
        ({"max_line": ""}, {"SIDECAR_MAX_LINE": "2048"}, "--max-line: Expected int, got str"),
        ({"max_line": "1"}, {"SIDECAR_MAX_LINE": "2048"}, "--max-line: Expected int >= 1024"),
        ({}, {"SIDECAR_QUEUE": "amqp://:a-password@host"}, "SIDECAR_QUEUE: has to begin with redis:// or rediss://"),
        ({}, {"SIDECAR_RESULTS_TTL": "0"}, "SIDECAR_RESULTS_TTL: Expected int >= 1"),
    ],
)
def test_a_wrong_value_is_named_where_it_was_given(flags: dict[str, str], environ: dict[str, str], said: str) -> None:
    """A wrong value is named by its variable or its flag."""
    with pytest.raises(SettingsError) as caught:
        load(flags, environ)
    assert str(caught.value) == said


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("SIDECAR_CHROME", "SIDECAR_CHROMIUM"),
        ("SIDECAR_MAXLINE", "SIDECAR_MAX_LINE"),
        ("SIDECAR_WEBHOOKS", "SIDECAR_WEBHOOK"),
        ("SIDECAR_STORE_KEYFILE", "SIDECAR_STORE_KEY_FILE"),
    ],
)
def test_a_mistyped_variable(typed: str, meant: str) -> None:
    """It would be without effect: it is an error that names what was meant, and the way out for other programs."""
    with pytest.raises(SettingsError, match=f"^{typed} is not a setting; did you mean {meant}\\? Unset it if "):
        load({}, {typed: "a value that is not repeated"})


def test_variables_of_other_programs() -> None:
    """What Kubernetes sets for a service named `sidecar`, and names that resemble none of ours, change nothing."""
    kinds = ("", "_PROTO", "_PORT", "_ADDR")
    foreign = [f"SIDECAR_PORT_8080_TCP{kind}" for kind in kinds]
    foreign += [f"SIDECAR_{name}" for name in ("SERVICE_HOST", "SERVICE_PORT", "SERVICE_PORT_HTTP", "PORT", "HOST")]
    foreign += [f"SIDECAR_{name}" for name in ("IMAGE", "VERSION", "ENABLED", "NAME", "CONFIG", "LOG_LEVEL", "PID", "")]
    environ = dict.fromkeys(foreign, "1") | {"SIDECARS": "1", "sidecar_home": "x"}
    assert load({}, environ) == Settings()
    assert foreign_variables(environ) == dict.fromkeys(sorted(foreign))


def test_settings_are_frozen() -> None:
    """Settings are immutable."""
    with pytest.raises(AttributeError):
        load({}, {}).max_line = 5  # type: ignore[misc]
    assert replace(load({}, {}), max_line=5).max_line == 5


def test_the_state_folder_is_made_private(tmp_path: Path) -> None:
    """0700 where we make it; a folder that is there is its owner's: `/tmp` must not become ours."""
    loaded = Settings(home=str(tmp_path / "a" / "b"))
    assert loaded.state_folder() == tmp_path / "a" / "b"
    assert loaded.artifacts_folder() == tmp_path / "a" / "b" / "artifacts"
    for folder in (loaded.state_folder(), loaded.artifacts_folder()):
        assert folder.stat().st_mode & 0o777 == 0o700
    loaded.state_folder().chmod(0o755)
    assert loaded.state_folder().stat().st_mode & 0o777 == 0o755


def test_the_state_folder_is_the_platforms_by_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The state folder is the platform's by default, and `~` is expanded."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert Settings().state_folder() == tmp_path / "state" / "sidecar"
    assert Settings(home="~/mine").state_folder() == tmp_path / "home" / "mine"


@pytest.mark.parametrize("written", ["x", "ä", "%%%%", "c2hvcnQ="])
def test_a_store_key_is_32_bytes_in_base64(written: str) -> None:
    """Anything else is refused by the variable's name, without its value."""
    with pytest.raises(SettingsError, match=r"^SIDECAR_STORE_KEY: has to be 32 bytes in base64"):
        load({}, {"SIDECAR_STORE_KEY": written})
    assert load({}, {"SIDECAR_STORE_KEY": "A" * 43 + "="}).encryption_key() == bytes(32)
    assert load({}, {}).encryption_key() is None


@pytest.mark.parametrize(
    ("environ", "zone"),
    [
        ({"TZ": "Europe/Amsterdam"}, "Europe/Amsterdam"),
        ({"TZ": "UTC"}, "UTC"),
        ({"TZ": "CET-1CEST,M3.5.0,M10.5.0/3"}, "None"),
        ({"TZ": ":/etc/localtime"}, "None"),
        ({"TZ": "Europe"}, "None"),
        ({"TZ": ""}, "None"),
        ({}, "None"),
    ],
)
def test_the_machines_zone_is_the_one_in_tz(environ: dict[str, str], zone: str) -> None:
    """An IANA name in TZ is used; other values are left to the C library."""
    assert str(host_zone(environ)) == zone
