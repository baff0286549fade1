"""Recordings replayed with real servers, step by step at a terminal, and for programs."""

import json
import os
import pty
import select
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Self

import pytest

from tests.fakes import ENCRYPTION_KEY, KEY, default_secrets
from tests.harness import SECONDS, Child, Rtcv, environment, rtcv

SESSION: list[dict[str, Any]] = [
    {"type": "get_user_secret", "content": {"encryption_key": ENCRYPTION_KEY, "key": "user"}},
    {"type": "send_cv", "content": {"referenceNumber": "a-1"}},
    {"type": "ping"},
]


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A server, and the folder that holds the recording of a session with it."""
    folder = tmp_path_factory.mktemp("recorded")
    with rtcv() as server:
        with Child(folder, "--record", "recording") as child:
            child.ask({"type": "set_credentials", "content": server.credentials}, *SESSION)
            assert child.end() == 0
        yield server, folder


def replay(folder: Path, *arguments: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Replays in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "sidecar", "replay", *arguments],
        cwd=folder,
        env=environment(folder, env),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_a_recording_is_replayed_with_real_servers(recorded: tuple[Rtcv, Path], tmp_path: Path) -> None:
    """Secrets come from a file and the environment, reach the server, and are printed nowhere."""
    server, folder = recorded
    before = len(server.server.requests)
    secrets = tmp_path / "secrets.json"
    secrets.write_text(json.dumps({"api_key": KEY}))
    secrets.chmod(0o600)
    given = {"SIDECAR_SECRET_ENCRYPTION_KEY": ENCRYPTION_KEY, "SIDECAR_SECRET_TOKENS": "resembles a setting"}
    flags = "--live", "--secrets", str(secrets), "--skip", "send_cv", "--check"  # the server has the CV already
    for shown in ((), ("--json",)):
        done = replay(folder, "recording", *flags, *shown, env=given)
        assert done.returncode == 0, done.stdout + done.stderr
        assert len(server.server.requests) > before
        password: str = json.loads(default_secrets()["user"].json)["password"]
        assert not any(secret in done.stdout + done.stderr for secret in (KEY, ENCRYPTION_KEY, password))
    missing = replay(folder, "recording", "--live", env=given)
    assert "hint: give these secrets with --secrets FILE" in missing.stdout
    assert "SIDECAR_SECRET_API_KEY" in missing.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--live", "--update"), "--update is for offline replays"),
        (("--secrets", "x.json"), "--secrets is for --live"),
        (("--live", "--secrets", "missing.json"), "can't read missing.json"),
        (("--step",), "--step needs a terminal"),
        (("--step", "--json"), "leave out --json and --repeat"),
        (("--repeat", "0"), "--repeat has to be greater than 0"),
    ],
)
def test_what_does_not_fit_together_is_refused(
    recorded: tuple[Rtcv, Path], arguments: tuple[str, ...], said: str
) -> None:
    """Exit code 2 and one sentence."""
    done = replay(recorded[1], "recording", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr


class Terminal:
    """A replay at a real terminal."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self._descriptor, theirs = pty.openpty()
        command = [sys.executable, "-m", "sidecar", "replay", "recording", *arguments]
        variables = {**environment(folder), "TERM": "xterm", "COLUMNS": "120"}
        self.process = subprocess.Popen(
            command, cwd=folder, env=variables, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
        )
        os.close(theirs)
        self.shown = ""
        self._from = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._descriptor)

    def expect(self, text: str) -> None:
        """Reads until a text is shown after what was expected before."""
        deadline = time.monotonic() + SECONDS
        while (found := self.shown.find(text, self._from)) < 0:
            assert self._read(deadline), f"{text!r} is not in {self.shown[self._from :]!r}"
        self._from = found + len(text)

    def type(self, text: str) -> None:
        """Types into the terminal."""
        os.write(self._descriptor, text.encode())

    def end(self) -> int:
        """The exit code, once it has ended by itself."""
        while self._read(time.monotonic() + SECONDS):
            pass
        return self.process.wait(SECONDS)

    def _read(self, deadline: float) -> bool:
        if not select.select([self._descriptor], [], [], max(deadline - time.monotonic(), 0))[0]:
            return False
        try:
            data = os.read(self._descriptor, 65536)
        except OSError:  # the other end is closed
            return False
        self.shown += data.decode(errors="replace")
        return bool(data)


def test_a_person_steps_through_a_recording(recorded: tuple[Rtcv, Path]) -> None:
    """Next, inspect, skip, edit and send, quit."""
    with Terminal(recorded[1], "--step") as terminal:
        terminal.expect('request 1: {"type": "set_credentials"')
        terminal.expect("next? ")
        terminal.type("?\n")
        terminal.expect("i: inspect")
        terminal.type("\n")
        terminal.expect("OUT: ok")
        terminal.expect('request 2: {"type": "get_user_secret"')
        terminal.type("i\n")
        terminal.expect('"type": "get_user_secret"')
        terminal.expect("recorded reply:")
        terminal.type("s\n")
        terminal.expect('request 3: {"type": "send_cv"')
        terminal.expect("next? ")
        terminal.type("e\n")
        terminal.expect("send> ")
        terminal.type("\x01\x0b[]\n")
        terminal.expect("that is no JSON object")
        terminal.expect("send> ")
        terminal.type('\x01\x0b{"type":"nonsense"}\n')
        terminal.expect("unknown message type nonsense")
        terminal.expect("request 4:")
        terminal.type("q\n")
        assert terminal.end() == 0
        assert "ended before the last request" in terminal.shown


def test_a_terminal_has_a_bar_and_a_table(recorded: tuple[Rtcv, Path]) -> None:
    """How far it is while it runs, and what each type took at its end."""
    with Terminal(recorded[1], "--repeat", "2") as terminal:
        assert terminal.end() == 0
        assert "replies" in terminal.shown
        assert "4/4" in terminal.shown
        (row,) = (line for line in terminal.shown.splitlines() if "send_cv" in line and "IN:" not in line)
        assert row.split("│")[2].strip() == "2"
        assert "4 replies" not in terminal.shown
        assert "8 replies, 0 of them errors, 0 other than recorded" in terminal.shown


def test_a_log_is_replayed_for_programs(tmp_path: Path) -> None:
    """`--json` and `--repeat` for a log of v1's: secrets hidden, percentiles in the summary."""
    log = [
        {"type": "set_mock", "content": {"secrets": {"user": {"username": "foo", "password": "bar-secret"}}}},
        {"type": "get_user_secret", "content": {"encryption_key": "any"}},
        {"type": "nonsense"},
    ]
    (tmp_path / "session.log").write_text("".join(json.dumps(line) + "\n" for line in log) + "no JSON\n")
    done = replay(tmp_path, "session.log", "--json", "--repeat", "2")
    assert done.returncode == 1
    *shown, last = [json.loads(line) for line in done.stdout.splitlines()]
    types = "set_mock", "get_user_secret", "nonsense", "error"
    assert [one.get("type", "error") for one in shown] == [*types] * 2
    assert "bar-secret" not in done.stdout
    assert last["summary"]["commands"] == 6
    assert last["summary"]["errors"] == 2
    assert set(last["summary"]["ms"]["nonsense"]) == {"p50", "p90", "p99"}
    text = replay(tmp_path, "session.log", "--repeat", "2")
    assert "nonsense                         2 times: p50 " in text.stdout
