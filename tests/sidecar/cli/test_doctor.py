"""`sidecar doctor`: each thing is really tried, and what is wrong says what to do about it."""

import json
import re
import sqlite3
import subprocess
import sys
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

import pytest

from sidecar.storage.migrations import MIGRATIONS
from tests.fakes import nobody_listens
from tests.harness import SECONDS, environment
from tests.redis_server import RedisServer

PATIENCE = 6 * SECONDS


def doctor(folder: Path, env: Mapping[str, str] | None = None, *arguments: str) -> tuple[int, str]:
    """Its exit code and what it prints."""
    done = subprocess.run(
        [sys.executable, "-m", "sidecar", "doctor", *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        cwd=folder,
        env=environment(folder, env),
        timeout=PATIENCE,
        text=True,
    )
    assert done.stderr == ""
    return done.returncode, done.stdout


def line(said: str, word: str) -> str:
    """The line about a subject."""
    (found,) = (one for one in said.splitlines() if word in one)
    return found


def broken(folder: Path, complaint: str) -> str:
    """An executable that says something and fails, as a browser does where its machine forbids something."""
    path = folder / "chromium"
    path.write_text(f"#!/bin/sh\necho '{complaint}' >&2\nexit 1\n")
    path.chmod(0o755)
    return str(path)


@pytest.mark.browser
def test_a_sound_machine(tmp_path: Path) -> None:
    """Browsers are started, the sandbox is opened; zone, key, queue, ffmpeg and database are reported."""
    code, said = doctor(tmp_path, {"TZ": "Europe/Amsterdam", "SIDECAR_STORE_KEY": "A" * 43 + "="})
    assert code == 0, said
    assert "MISSING" not in said
    assert re.search(r" opens a page in \d+\.\d s, sandbox o(n|ff: it can't be on for root)$", line(said, "CHROMIUM:"))
    assert "opens a page in" in line(said, "FIREFOX")
    assert "opens in" in line(said, "sandbox of JavaScript actions")
    assert line(said, "time zone").startswith("ok       time zone: Europe/Amsterdam, it is 2")
    assert line(said, "store key").startswith("ok")
    assert line(said, "ffmpeg").startswith("ok")
    assert line(said, "database: none yet").startswith("ok")
    assert "in the state folder" in line(said, "queue:")
    assert re.fullmatch(r"ok       protocol: a child is ready in \d+\.\d s and answers", line(said, "protocol:"))
    assert re.search(r"state holds 0\.0 MB in 0 files, [\d,]+ MB free$", line(said, "state folder:"))
    assert [path.name for path in (tmp_path / "state").iterdir()] == []


def test_a_browser_that_is_found_and_does_not_start(tmp_path: Path) -> None:
    """A container that forbids Chromium's sandbox: every job would fail, and so does the doctor, with the way out."""
    complaint = "[1:1:ERROR:zygote_host_impl_linux.cc(1)] No usable sandbox! Update your kernel"
    code, said = doctor(tmp_path, {"SIDECAR_CHROMIUM": broken(tmp_path, complaint), "SIDECAR_FIREFOX": "/nowhere"})
    assert code == 1
    assert line(said, "CHROMIUM").startswith("MISSING")
    assert "--cap-add SYS_ADMIN" in line(said, "CHROMIUM")
    assert line(said, "sandbox of JavaScript actions").startswith("MISSING")
    assert "FIREFOX" not in said


def test_what_a_state_folder_holds(tmp_path: Path) -> None:
    """Numbers of what waits, databases that were kept aside, and one that a newer sidecar has made."""
    none = {"SIDECAR_CHROMIUM": "/nowhere", "SIDECAR_FIREFOX": "/nowhere"}
    state = tmp_path / "state"
    state.mkdir()
    with closing(sqlite3.connect(state / "sidecar.db", isolation_level=None)) as database:
        for script in MIGRATIONS:
            database.executescript(script)
        database.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
        database.execute(
            "INSERT INTO job (key, queue, status, attempts, document) VALUES ('a', 'jobs', 'queued', 0, x'00')"
        )
    (state / "sidecar.broken-1-2").touch()
    code, said = doctor(tmp_path, none)
    assert code == 1
    assert "SIDECAR_CHROMIUM does not point to an executable: /nowhere" in said
    assert "1 jobs and 0 deliveries that wait" in line(said, "  database:")
    assert line(said, "sidecar.broken-1-2").startswith("note")
    with closing(sqlite3.connect(state / "sidecar.db", isolation_level=None)) as database:
        database.execute("PRAGMA user_version = 2")
        database.execute("DROP TABLE job")
    assert line(doctor(tmp_path, none)[1], "older sidecar").startswith("ok")
    with closing(sqlite3.connect(state / "sidecar.db", isolation_level=None)) as database:
        database.execute("PRAGMA user_version = 1000")
    assert line(doctor(tmp_path, none)[1], "newer sidecar").startswith("MISSING")


def test_the_queue_of_a_fleet(tmp_path: Path) -> None:
    """A Redis is asked; one that is not there is missing."""
    none = {"SIDECAR_CHROMIUM": "/nowhere", "SIDECAR_FIREFOX": "/nowhere"}
    with RedisServer(tmp_path) as redis:
        _, said = doctor(tmp_path, {**none, "SIDECAR_QUEUE": redis.url})
        assert line(said, "queue:") == "ok       queue: the fleet's Redis answers"
        assert line(said, "fleet's clock:") == "ok       fleet's clock: 0.0 s apart"
    with nobody_listens() as url:
        _, said = doctor(tmp_path, {**none, "SIDECAR_QUEUE": url.replace("http", "redis")})
        assert line(said, "queue:").startswith("MISSING  queue: the fleet's Redis can't be used")


def test_a_health_check(tmp_path: Path) -> None:
    """`--quick` starts no browser, `--json` is for programs; what is wrong says what mends it, and is exit code 1."""
    quick = ("--quick", "--json")
    chromium = broken(tmp_path, "is not started")
    foreign = {"SIDECAR_CHROMIUM": chromium, "SIDECAR_IMAGE": "theirs", "SIDECAR_FIREFOX": "/nowhere"}
    code, said = doctor(tmp_path, foreign, *quick)
    told = json.loads(said)
    findings = {one["check"]: one for one in told["findings"]}
    assert (code, told["ok"]) == (0, True), told
    started = {"status": "ok", "check": "CHROMIUM", "said": f"{chromium}, not started", "fix": None}
    assert findings["CHROMIUM"] == started
    assert findings["protocol"]["status"] == "ok"
    assert findings["variables"]["said"].endswith(": SIDECAR_IMAGE")
    (tmp_path / "state").chmod(0o777)
    code, said = doctor(tmp_path, foreign, *quick)
    (wrong,) = (one for one in json.loads(said)["findings"] if one["status"] == "missing")
    assert (code, wrong["check"], wrong["fix"]) == (1, "state folder", f"run `chmod go-w {tmp_path / 'state'}`")
