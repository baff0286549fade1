"""Parents of RT-CV scraper client v1 in the languages of its scrapers: the same small parent in each.

They write one line and read one, or all at once and close stdin without waiting; none reads stderr, which is full from
the start, though there is something to say there.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.fakes import ENCRYPTION_KEY
from tests.harness import NODE, encoded, environment, rtcv

FOLDER = Path(__file__).parent / "parents"
LANGUAGES = ("bash", "deno", "go", "node", "python")
OK = {"type": "ok"}


@pytest.fixture(scope="module")
def parents(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """Language -> command of its parent. The one in Go is built; nothing is fetched for it."""
    built = tmp_path_factory.mktemp("go")
    go = shutil.which("go")
    assert go, "no go here; `make setup` installs it"
    env = os.environ | {"GO111MODULE": "off", "GOPROXY": "off", "GOCACHE": str(built / "cache"), "GOFLAGS": ""}
    command = [go, "build", "-o", str(built / "parent"), str(FOLDER / "parent.go")]
    subprocess.run(command, env=env, check=True, timeout=110)
    return {
        "bash": ["bash", str(FOLDER / "parent.sh")],
        "deno": [str(Path(sys.prefix) / "bin" / "deno"), "run", "--allow-run", str(FOLDER / "parent.ts")],
        "go": [str(built / "parent")],
        "node": [NODE, str(FOLDER / "parent.mjs")],
        "python": [sys.executable, str(FOLDER / "parent.py")],
    }


@pytest.mark.parametrize("how", ["one by one", "at once"])
@pytest.mark.parametrize("language", LANGUAGES)
def test_a_parent_of_v1(parents: dict[str, list[str]], language: str, how: str, tmp_path: Path) -> None:
    """Every line has its answer, in order; the CV arrives; the sidecar ends with 0 when stdin does."""
    (tmp_path / "state").mkdir()
    (tmp_path / "state").chmod(0o777)  # which the sidecar warns of, on stderr
    sidecar = [sys.executable, str(FOLDER / "full_stderr.py"), sys.executable, "-m", "sidecar"]
    with rtcv() as server:
        session = exchanges(server.credentials)
        done = subprocess.run(
            [*parents[language], how, *sidecar],
            input=b"".join(encoded(line) for line, _ in session),
            capture_output=True,
            cwd=tmp_path,
            env=environment(tmp_path, {"DENO_DIR": str(tmp_path / "deno"), "DENO_NO_UPDATE_CHECK": "1"}),
            timeout=110,
        )
        [sent] = server.server.to("scanCV")
    assert (done.returncode, done.stderr) == (0, b"")
    ready, *answers, code = done.stdout.splitlines()
    assert json.loads(ready)["type"] == "ready"
    assert [json.loads(answer) for answer in answers] == [answer for _, answer in session]
    assert sent.json == {"cv": {"referenceNumber": "abcd", "name": "Zoë 😀"}}
    assert code == b"0"


def exchanges(credentials: dict[str, Any]) -> list[tuple[Any, Any]]:
    """Lines of a short session, and their answers."""
    secret = {"encryption_key": ENCRYPTION_KEY, "key": "user"}
    cv = {"type": "send_cv", "content": {"referenceNumber": "abcd", "name": "Zoë 😀"}}
    return [
        ({"type": "set_credentials", "content": credentials}, OK),
        (
            {"type": "get_user_secret", "content": secret},
            OK | {"content": {"username": "demo-buyer", "password": "demo-buyer"}},
        ),
        ({"type": "has_cached_reference", "content": "abcd"}, OK | {"content": False}),
        (cv, OK | {"content": True}),
        (cv, OK),
        ({"type": "ping"}, {"type": "pong"}),
    ]
