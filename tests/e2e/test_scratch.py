"""What a process has under way lies in its scratch folder alone, also when it is killed; the next one sweeps it."""

import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.harness import SECONDS, Child, Rtcv, rtcv

RECORDED = ["TRACE", "HAR", "RECORD"]
ACTIONS = [{"fill": {"selector": "h1", "value": "canary-typed", "timeout": 60_000}}]


@pytest.fixture
def server() -> Iterator[Rtcv]:
    """Serves pages."""
    with rtcv() as running:
        yield running
        running.release()


@pytest.fixture
def temporary(tmp_path: Path) -> Path:
    """The system's folder for temporary files, as children see it."""
    folder = tmp_path / "t"
    folder.mkdir()
    return folder


def recorded(server: Rtcv, browser: str = "CHROMIUM", script: str = "await page.title()") -> dict[str, Any]:
    """A job that records all it can, with a JavaScript action, and then waits for something that does not come."""
    content = {
        "browser": browser,
        "steps": [{"url": f"{server.server.url}/page/a", "actions": [script, *ACTIONS], "timeout_ms": 60_000}],
        "options": RECORDED if browser == "CHROMIUM" else [],
    }
    return {"id": 1, "type": "send_job", "content": content}


def found(*folders: Path) -> set[str]:
    """Names of all files below the folders; sockets and locks too."""
    # `os.walk` does not mind what goes away under it
    walks = (walked for folder in folders for walked in os.walk(folder))
    return {name for _, inside, names in walks for name in (*inside, *names)}


def wait_for(*names: str, below: Path) -> None:
    """Until there are files whose names begin so. Raises TimeoutError."""
    deadline = time.monotonic() + 2 * SECONDS
    while not all(any(there.startswith(name) for there in found(below)) for name in names):
        if time.monotonic() > deadline:
            raise TimeoutError(f"{names} are not among {found(below)}")
        time.sleep(0.02)


def wait_until_swept(*folders: Path) -> None:
    """Until nothing is left in them. Raises TimeoutError."""
    deadline = time.monotonic() + SECONDS
    while left := found(*folders):
        if time.monotonic() > deadline:
            raise TimeoutError(f"{left} are still there")
        time.sleep(0.02)


def kill(child: Child) -> None:
    """As `kill -9` does, and waits until its browsers have ended, too."""
    below = psutil.Process(child.pid).children(recursive=True)
    child.process.kill()
    child.wait()
    assert psutil.wait_procs(below, timeout=SECONDS)[1] == []


def env(temporary: Path, **more: str) -> Mapping[str, str]:
    """With a folder for temporary files of its own."""
    return {"TMPDIR": str(temporary), **more}


LONG = "a-state-folder-with-a-name-that-is-far-too-long-for-any-socket-" * 2


@pytest.mark.browser
@pytest.mark.parametrize("name", ["state", LONG])
def test_a_killed_process_leaves_nothing_elsewhere(tmp_path: Path, temporary: Path, server: Rtcv, name: str) -> None:
    """Raw recordings, profiles and what Playwright makes lie in the state folder, and the next process sweeps them.

    So does one whose session is over at once, at its end.
    """
    home = tmp_path / name
    with Child(tmp_path, env=env(temporary, SIDECAR_HOME=str(home))) as child:
        child.send(recorded(server))
        wait_for("playwright-tracing", "har.har", "sidecar-sandbox-", below=home / "scratch")
        assert {path.name for path in temporary.rglob("*") if path.is_file()} <= {".owner"}
        kill(child)
    assert any(there.startswith("playwright") for there in found(home / "scratch"))
    with Child(tmp_path, env=env(temporary, SIDECAR_HOME=str(home))) as child:
        if name == LONG:
            wait_until_swept(home / "scratch", temporary)
        assert child.end() == 0
    assert found(home / "scratch", temporary) == set()


@pytest.mark.browser
@pytest.mark.timeout(120)
def test_browsers_start_below_a_long_name(tmp_path: Path, temporary: Path, server: Rtcv) -> None:
    """Sockets have short names; at the end nothing is left, there or elsewhere."""
    home = tmp_path / LONG
    with Child(tmp_path, env=env(temporary, SIDECAR_HOME=str(home))) as child:
        for browser in ("CHROMIUM", "FIREFOX"):
            job = recorded(server, browser)
            # the script of the first one has its own browser, which is the same in both
            del job["content"]["steps"][0]["actions"][1 if browser == "CHROMIUM" else 0 :]
            child.send(job)
            reply = child.read(3 * SECONDS)
            assert reply["type"] == "ok", (browser, reply)
        assert child.end() == 0
    assert found(home / "scratch", temporary) == set()


@pytest.mark.browser
def test_a_mock_session_leaves_nothing_at_all(tmp_path: Path, temporary: Path, server: Rtcv) -> None:
    """It has no state folder: what is under way lies in a private temporary folder, swept where it was killed."""
    for last in (False, True):
        with Child(tmp_path, env=env(temporary)) as child:
            wait_until_swept(temporary)
            child.ask({"type": "set_mock"})
            job = recorded(server)
            if not last:
                del job["content"]["steps"][0]["actions"][0]  # one of them with a script is enough
            child.send(job)
            wait_for("playwright-tracing", "har.har", below=temporary)
            (own,) = temporary.iterdir()
            assert own.stat().st_mode & 0o777 == 0o700
            if last:
                child.send({"type": "cancel", "content": {"id": 1}})
                child.read_many(2)
                assert child.end() == 0
            else:
                kill(child)
                assert own.exists()
    assert found(temporary) == set()
    assert not (tmp_path / "state").exists()


def test_a_folder_with_wide_rights_is_reported(tmp_path: Path, server: Rtcv) -> None:
    """On stderr, with what to do."""
    (tmp_path / "state").mkdir()
    (tmp_path / "state").chmod(0o777)
    with Child(tmp_path) as child:
        child.ask({"type": "set_credentials", "content": server.credentials})
        assert child.end() == 0
        assert "is writable by others" in child.stderr
