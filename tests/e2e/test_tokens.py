"""Visit tokens from the outside: the commands that print them, `issue_token`, and a job that needs one."""

import subprocess
import sys
from pathlib import Path

from tests.harness import Child, environment

KEY = "a signing secret of enough bytes!"
PAGE = {"steps": [{"url": "data:text/html,<title>x</title>"}]}


def printed(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """What `sidecar token` prints."""
    command = [sys.executable, "-m", "sidecar", "token", *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, env=environment(folder, variables), timeout=30, check=False
    )


def test_from_issuer_to_job(tmp_path: Path) -> None:
    """The issuer token gives visit tokens; a job without one, or outside its scope, is refused; none is ever logged."""
    issuer = printed(tmp_path, "issuer", SIDECAR_TOKEN_SECRET=KEY).stdout.strip()
    secret = tmp_path / "secret"
    secret.write_text(f"{KEY}\n")
    with Child(tmp_path, "--log-input", "input.log", env={"SIDECAR_TOKEN_SECRET_FILE": str(secret)}) as child:
        wanted = {"scope": "https://a.example", "issuer_token": issuer}
        (issued,) = child.ask({"type": "issue_token", "content": wanted})
        token = issued["content"]["token"]
        refused = child.ask(
            {"type": "send_job", "content": PAGE},
            {"type": "send_job", "content": {**PAGE, "token": token}},
            {"type": "issue_token", "content": {**wanted, "issuer_token": token}},
        )
        assert [answer["error"]["code"] for answer in refused] == ["unauthorized", "forbidden", "forbidden"]
        assert child.end() == 0
        reported = (tmp_path / "input.log").read_text() + child.stderr + str(refused)
        assert not [word for word in (token, issuer, KEY) if word in reported]


def test_the_commands_need_a_secret(tmp_path: Path) -> None:
    """Without one, with a short one, or with a scope that is no page: exit code 2 and a sentence."""
    for arguments, variables, said in (
        (("issuer",), {}, "SIDECAR_TOKEN_SECRET turns them on"),
        (("issuer",), {"SIDECAR_TOKEN_SECRET": "short"}, "at least 32 bytes"),
        (("issuer",), {"SIDECAR_TOKEN_SECRET_FILE": "/nowhere"}, "SIDECAR_TOKEN_SECRET_FILE"),
        (("visit", "--scope", "file:///etc"), {"SIDECAR_TOKEN_SECRET": KEY}, "scope"),
    ):
        ended = printed(tmp_path, *arguments, **variables)
        assert ended.returncode == 2
        assert said in ended.stderr
    ended = printed(tmp_path, "visit", "--scope", "https://a.example", "--strict", SIDECAR_TOKEN_SECRET=KEY)
    assert ended.stdout.count(".") == 2


def test_the_secret_is_no_flag(tmp_path: Path) -> None:
    """A command line is seen by every user of the machine."""
    command = [sys.executable, "-m", "sidecar", "--token-secret", KEY]
    ended = subprocess.run(command, capture_output=True, text=True, env=environment(tmp_path), timeout=30, check=False)
    assert ended.returncode == 2
    assert ended.stdout == ""
