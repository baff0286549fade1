"""A log of v1's without its secrets, which still replays."""

import json
import subprocess
import sys
from pathlib import Path

from tests.harness import environment

LOG = b"""{"type":"set_cached_reference","content":"seen hunter2-key before it was known"}
{"type":"set_mock","content":{"secrets":{"user":{"username":"ann-user","password":"correct-horse"}}}}
{"type":"set_credentials","content":{"server_location":"http://h","api_key_id":"1","api_key":"hunter2-key"}}

{"type":"get_user_secret","content":{"encryption_key":"my-encryption-key","key":"user"}}
{"broken": "hunter2-
{"type":"ping"}
"""


def redact(folder: Path, name: str) -> subprocess.CompletedProcess[bytes]:
    """Runs the command."""
    command = [sys.executable, "-m", "sidecar", "redact", name]
    return subprocess.run(command, cwd=folder, env=environment(folder), capture_output=True, check=False, timeout=60)


def test_a_log_is_printed_without_its_secrets(tmp_path: Path) -> None:
    """Secrets are hidden even before the line that declares them; the rest stays byte for byte."""
    (tmp_path / "v1.log").write_bytes(LOG)
    done = redact(tmp_path, "v1.log")
    assert done.returncode == 0
    assert done.stderr == b"sidecar: 1 lines were no JSON objects; only their lengths are kept\n"
    for secret in (b"hunter2", b"correct-horse", b"ann-user", b"my-encryption-key"):
        assert secret not in done.stdout
    lines = done.stdout.splitlines()
    assert lines[0] == b'{"type":"set_cached_reference","content":"seen ********** before it was known"}'
    assert json.loads(lines[4])["_log"]["unreadable"] is True
    assert lines[5] == b'{"type":"ping"}'
    (tmp_path / "clean.log").write_bytes(done.stdout)
    assert redact(tmp_path, "clean.log").stdout == done.stdout
    replayed = [sys.executable, "-m", "sidecar", "-replay", "clean.log", "-replaySkipCommands", "set_credentials"]
    reported = subprocess.run(
        replayed, cwd=tmp_path, env=environment(tmp_path), capture_output=True, check=False, timeout=60
    )
    assert b"IN: get_user_secret            OUT: ok" in reported.stdout


def test_a_log_that_is_not_there_is_named(tmp_path: Path) -> None:
    """One sentence, exit code 2."""
    done = redact(tmp_path, "nothing.log")
    assert (done.returncode, done.stderr) == (2, b"sidecar: can't read nothing.log: no such file or directory\n")
