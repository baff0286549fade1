"""`sidecar run`: scrapers in three languages, credentials as RT-CV scraper client v2 reads them, and every end."""

import base64
import json
import os
import pty
import select
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import psutil
import pytest
from nacl.public import PrivateKey, SealedBox

from tests.harness import NODE, SECONDS, Rtcv, environment, rtcv
from tests.http_harness import Answer, Serving, curl

SCRAPERS = Path(__file__).parent / "scrapers"
KEYS = PrivateKey.generate()
PUBLIC = base64.b64encode(bytes(KEYS.public_key)).decode()
COMMANDS = {
    "bash": ["bash", str(SCRAPERS / "scraper.sh")],
    "deno": [str(Path(sys.prefix) / "bin" / "deno"), "run", "-A", str(SCRAPERS / "scraper.ts")],
    "node": [NODE, str(SCRAPERS / "scraper.mjs")],
}
USERS = [{"username": "plain", "password": "p"}, {"username": "sealed", "password": "a-long-password"}]
PDF = b"%PDF-1.4\n%%EOF\n"


@pytest.fixture(scope="module")
def real() -> Iterator[Rtcv]:
    """An RT-CV server that keeps logins, some of them encrypted for us."""
    with rtcv() as one:
        sealed = SealedBox(KEYS.public_key).encrypt(os.urandom(32) + b"a-long-password")
        one.server.scraper_users = {
            "scraperPubKey": PUBLIC,
            "users": [
                {"username": "plain", "password": "p"},
                {"username": "sealed", "encryptedPassword": base64.b64encode(sealed).decode()},
                {"username": "neither"},
                {"username": "forged", "encryptedPassword": "AAAA"},
            ],
        }
        yield one


def env_of(server: Rtcv, **more: Any) -> dict[str, Any]:
    """An `env.json`."""
    keys = {"private_key": base64.b64encode(bytes(KEYS)).decode(), "public_key": PUBLIC}
    return {"primary_server": server.credentials, **keys, **more}


def run(
    folder: Path, *command: str, env: dict[str, str] | None = None, stdin: str = ""
) -> subprocess.CompletedProcess[str]:
    """Runs a scraper to its end."""
    return subprocess.run(
        [sys.executable, "-m", "sidecar", "run", "--", *command],
        input=stdin,
        capture_output=True,
        text=True,
        cwd=folder,
        env=environment(folder, {"DENO_DIR": str(folder / "deno"), "DENO_NO_UPDATE_CHECK": "1", **(env or {})}),
        timeout=60,
    )


@pytest.mark.parametrize("language", COMMANDS)
def test_a_scraper(language: str, tmp_path: Path, real: Rtcv) -> None:
    """It has the logins, its CVs arrive once, and its exit code is ours."""
    before = len(real.server.to("scanCV"))
    real.server.keys[real.credentials["api_key_id"]].scanned.clear()
    (tmp_path / "env.json").write_text(json.dumps(env_of(real)))
    done = run(tmp_path, *COMMANDS[language])
    first, *others = done.stdout.splitlines()
    assert json.loads(first) == USERS, done.stderr
    assert others == ["true", "false", "true", "true", "reference number cannot be an empty string"]
    assert done.returncode == 7
    assert [one.json for one in real.server.to("scanCV")[before:]] == [{"cv": {"referenceNumber": "a"}}]
    assert "login user 2 has no password" in done.stderr
    assert "a-long-password" not in done.stderr


def test_what_is_read(tmp_path: Path, real: Rtcv) -> None:
    """A file with comments, the variable, another file; mock mode; none; what is wrong is named by its place."""
    script = 'cat; curl -sS "$SCRAPER_ADDRESS/users"; env | grep -c "^RTCV_SCRAPER_CLIENT_ENV=" || true'
    mock = '{"mock_mode": true, /* yes */ "mock_users": [{"username":"u","password":"p"},], // and so on\n}'
    shown = 'typed[{"username":"u","password":"p"}]0\n'
    (tmp_path / "env.jsonc").write_text(mock)
    assert run(tmp_path, "bash", "-c", script, stdin="typed").stdout == shown
    (tmp_path / "env.jsonc").unlink()
    assert run(tmp_path, "bash", "-c", script, env={"RTCV_SCRAPER_CLIENT_ENV": mock}, stdin="typed").stdout == shown
    (tmp_path / "other").write_text(mock)
    assert (
        run(tmp_path, "bash", "-c", script, env={"RTCV_SCRAPER_CLIENT_ENV_FILE": "other"}, stdin="typed").stdout
        == shown
    )
    none = run(tmp_path, "bash", "-c", script)
    assert (none.returncode, none.stdout) == (0, "missing credentials, call set_credentials before this method0\n")

    def refused(env: Any) -> tuple[int, str]:
        done = run(tmp_path, "echo", "started", env={"RTCV_SCRAPER_CLIENT_ENV": json.dumps(env)})
        assert done.stdout == ""
        return done.returncode, done.stderr.removeprefix("sidecar: ").strip()

    server = real.credentials | {"api_key": ""}
    name = "RTCV_SCRAPER_CLIENT_ENV: "
    assert refused({"primary_server": server}) == (2, f"{name}primary_server.api_key is required")
    wrong = {"primary_server": real.credentials, "alternative_servers": [real.credentials, server]}
    assert refused(wrong) == (2, f"{name}alternative_servers[1].api_key is required")
    another = base64.b64encode(bytes(PrivateKey.generate().public_key)).decode()
    assert refused(env_of(real, public_key=another))[0] == 2
    real.server.scraper_users["scraperPubKey"] = another
    code, said = refused(env_of(real))
    real.server.scraper_users["scraperPubKey"] = PUBLIC
    assert (code, said) == (
        1,
        "the scraper was not started: public_key is not the one that the server has for this scraper",
    )
    code, said = refused(env_of(real, primary_server=real.credentials | {"api_key": "wrong"}))
    assert (code, "auth header is invalid" in said) == (1, True)


def start(folder: Path, script: str, **env: str) -> "subprocess.Popen[bytes]":
    """A scraper in bash that goes on; it has said `up` already."""
    command = [sys.executable, "-m", "sidecar", "run", "--", "bash", "-c", script]
    child = subprocess.Popen(
        command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, cwd=folder, env=environment(folder, env)
    )
    assert child.stdout
    said = b""
    while b"up\n" not in said:
        assert select.select([child.stdout], [], [], SECONDS)[0]
        said += os.read(child.stdout.fileno(), 100)
    return child


def are_gone(processes: list[psutil.Process]) -> bool:
    """Whether all have ended within the time that is promised."""
    _, alive = psutil.wait_procs(processes, timeout=2)
    return not [one for one in alive if one.status() != psutil.STATUS_ZOMBIE]


def test_ends(tmp_path: Path) -> None:
    """A signal is the scraper's; none of its processes outlives us, nor do we outlive it."""
    child = start(tmp_path, "trap 'echo got TERM; exit 9' TERM; echo up; while true; do sleep 0.1; done")
    child.send_signal(signal.SIGTERM)
    said, _ = child.communicate(timeout=SECONDS)
    assert (said, child.returncode) == (b"got TERM\n", 9)

    child = start(tmp_path, "trap '' TERM; sleep 600 & echo up; wait; sleep 600", SIDECAR_SHUTDOWN_TIMEOUT="0.2")
    started = psutil.Process(child.pid).children(recursive=True)
    child.send_signal(signal.SIGTERM)
    child.communicate(timeout=SECONDS)
    assert child.returncode == 128 + signal.SIGKILL
    assert are_gone(started)
    os.mkfifo(tmp_path / "go")

    child = start(tmp_path, "sleep 600 & echo up; sleep 600")
    started = psutil.Process(child.pid).children(recursive=True)
    assert len(started) >= 3
    child.kill()
    assert are_gone(started)
    child.communicate(timeout=SECONDS)

    child = start(tmp_path, "sleep 600 & echo up; read -r line <go; exit 3")
    started = psutil.Process(child.pid).children(recursive=True)
    (tmp_path / "go").write_text("now\n")
    child.communicate(timeout=SECONDS)
    assert child.returncode == 3
    assert are_gone(started)
    failed = [run(tmp_path, "no-such-command"), run(tmp_path, str(tmp_path)), run(tmp_path)]
    assert [one.returncode for one in failed] == [127, 126, 2]
    assert failed[0].stderr == "sidecar: no-such-command: not found\n"


class Terminal:
    """A terminal with `command` as its session's leader, and what it has shown so far."""

    def __init__(self, folder: Path, *command: str, env: dict[str, str] | None = None) -> None:
        self.master, slave = pty.openpty()
        self.shown = b""
        self.process = subprocess.Popen(
            ["setsid", "--ctty", *command],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            cwd=folder,
            env=environment(folder, env or {}),
        )
        os.close(slave)

    def type(self, keys: bytes) -> None:
        """Presses keys."""
        os.write(self.master, keys)

    def read_until(self, text: bytes, count: int = 1) -> None:
        """Reads until a text has been shown so often."""
        while self.shown.count(text) < count:
            assert select.select([self.master], [], [], SECONDS)[0], self.shown
            self.shown += os.read(self.master, 1 << 16)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *failure: object) -> None:
        self.process.kill()
        self.process.wait(SECONDS)
        os.close(self.master)


RUN = (sys.executable, "-m", "sidecar", "run", "--")


def test_ctrl_c(tmp_path: Path, real: Rtcv) -> None:
    """The scraper gets one SIGINT, and its exit code is ours; without a trap it is 130; its children end, too."""
    trap = "trap 'echo got INT; got=1' INT; sleep 600 & echo up; until [ $got ]; do sleep 0.1; done; echo end; exit 5"
    for script, code, interrupts in ((trap, 5, 1), ("sleep 600 & echo up; cat", 130, 0)):
        with Terminal(tmp_path, *RUN, "bash", "-c", script) as terminal:
            terminal.read_until(b"up\r\n")
            started = psutil.Process(terminal.process.pid).children(recursive=True)
            terminal.type(b"\x03")
            assert terminal.process.wait(SECONDS) == code
            assert are_gone(started)
            if interrupts:
                terminal.read_until(b"end\r\n")
            assert terminal.shown.count(b"got INT") == interrupts
    real.server.fail("keyinfo", "hang", None)
    before, env = len(real.server.to("keyinfo")), {"RTCV_SCRAPER_CLIENT_ENV": json.dumps(env_of(real))}
    with Terminal(tmp_path, *RUN, "echo", "started", env=env) as early:
        real.wait_for("keyinfo", before + 1)
        early.type(b"\x03")
        assert early.process.wait(SECONDS) == 130
        assert b"started" not in early.shown
    real.release()


def test_ctrl_z_and_what_comes_after(tmp_path: Path) -> None:
    """A shell stops and continues scraper and sidecar together; its next command has the terminal."""
    scraper = "echo up; read -r line; echo has $line; read -r line; echo read $line; exit 3"
    command = " ".join(map(shlex.quote, (*RUN, "bash", "-c", scraper)))
    script = f"{command}; echo stopped $?; fg; echo ended $?; read -r line; echo next $line"
    with Terminal(tmp_path, "bash", "--norc", "-m", "-c", script) as terminal:
        terminal.read_until(b"up\r\n")
        terminal.type(b"it\n")  # it has the terminal once it has read: a Ctrl-Z before that is lost with its first stop
        terminal.read_until(b"has it\r\n")
        terminal.type(b"\x1a")
        terminal.read_until(b"stopped 148\r\n")
        terminal.type(b"typed\n")
        terminal.read_until(b"read typed\r\n")
        terminal.read_until(b"ended 3\r\n")
        terminal.type(b"more\n")
        terminal.read_until(b"next more\r\n")
        assert terminal.process.wait(SECONDS) == 0
    script = f"{command}; echo ended $?; read -r line; echo next $line"  # without job control: all in one group
    with Terminal(tmp_path, "bash", "--norc", "-c", script) as terminal:
        terminal.read_until(b"up\r\n")
        terminal.type(b"it\ntyped\n")
        terminal.read_until(b"ended 3\r\n")
        terminal.type(b"more\n")
        terminal.read_until(b"next more\r\n")


def test_the_health_port(tmp_path: Path) -> None:
    """Another listener says `true` to everything."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    child = start(tmp_path, "echo up; sleep 600", RTCV_SCRAPER_CLIENT_HEALTH_CHECK_PORT=str(port))
    assert curl(f"http://127.0.0.1:{port}/any/thing", "-X", "PUT").json is True
    child.send_signal(signal.SIGINT)
    child.communicate(timeout=SECONDS)
    assert child.returncode == 128 + signal.SIGINT
    refused = run(tmp_path, "true", env={"RTCV_SCRAPER_CLIENT_HEALTH_CHECK_PORT": "x"})
    assert (refused.returncode, "expected a port" in refused.stderr) == (2, True)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, real: Rtcv) -> Iterator[Serving]:
    """A server that is logged in by a message; the folder has the keys of that client."""
    folder = tmp_path_factory.mktemp("rtcv")
    (folder / "env.json").write_text(json.dumps(env_of(real)))
    with Serving(folder) as serving:
        assert serving.post("set_credentials", real.credentials).status == 200
        yield serving


def said(answer: Answer) -> tuple[int, str]:
    """Status and text."""
    return answer.status, answer.body.decode()


def test_every_route_of_v2(server: Serving, real: Rtcv, tmp_path: Path) -> None:
    """With any method; errors are plain text."""
    assert said(server.curl("/set_cached_reference", data="a b")) == (200, "true")
    assert said(server.curl("/get_cached_reference", "-X", "PUT", data="a b")) == (200, "true")
    assert said(server.curl("/get_cached_reference", data="nobody")) == (200, "false")
    assert said(server.curl("/send_cv", data={"referenceNumber": "a b"})) == (200, "false")
    assert said(server.curl("/send_cv", data={"referenceNumber": "x", "n": 1e400}))[0] == 400
    bodies: list[Any] = [{"referenceNumber": ""}, {"referenceNumber": 1}, {}, [], "{"]
    for body in bodies:
        assert server.curl("/send_cv", data=body).status == 400
    real.server.fail("scanCV", "error", status=500)
    failed = server.curl("/send_cv", data={"referenceNumber": "fails"})
    assert (failed.status, failed.headers["content-type"]) == (500, "text/plain; charset=utf-8")
    cvs = [
        {"referenceNumber": "1", "personalDetails": {"zip": "9779AB"}},
        {"referenceNumber": "1", "personalDetails": {"zip": "9779 AB"}},
        {"referenceNumber": "2", "personalDetails": {"zip": " 9779 "}},
        {"referenceNumber": "3", "personalDetails": {"zip": "AB9779"}},
        {"referenceNumber": "4"},
    ]
    assert said(server.curl("/cvs_list", data=cvs)) == (200, "true")
    assert real.server.to("allCVs")[-1].json == {"cvs": [cvs[0], cvs[2]]}
    assert server.curl("/cvs_list", data={}).status == 400
    (tmp_path / "a.pdf").write_bytes(PDF)
    form = (
        "-F",
        'metadata={"referenceNumber":"form"};type=application/json',
        "-F",
        f"cv=@{tmp_path}/a.pdf;type=application/pdf",
    )
    assert said(server.curl("/send_full_cv", *form)) == (200, "true")
    assert said(server.curl("/send_full_cv", *form)) == (200, "false")
    sent = real.server.to("scanCVDocument")[-1].form
    assert (sent["cv"].content, sent["cv"].filename, sent["cv"].content_type) == (PDF, "cv.pdf", "application/pdf")
    assert json.loads(sent["metadata"].content) == {"referenceNumber": "form"}
    assert said(server.curl("/send_full_cv", "-F", "cv=x")) == (400, "metadata is required in the form")
    assert server.curl("/send_full_cv", data="{}").status == 400
    assert server.curl("/server_request").status == server.curl("/server_response").status == 501


def test_users_after_a_login_by_message(server: Serving, real: Rtcv) -> None:
    """The primary server's logins, fetched once for each login of the session; those of a mock are its secret."""
    before = len(real.server.to("scraperUsers"))
    for fetched in (1, 2):
        assert server.post("set_credentials", real.credentials).status == 200
        for _ in range(2):
            assert server.curl("/users").json == USERS
        assert len(real.server.to("scraperUsers")) == before + fetched
    assert server.post("set_credentials", real.credentials).status == 200
    real.server.fail("scraperUsers", "error", status=500)
    assert server.curl("/users").status == 500
    assert server.curl("/users").json == USERS
    assert "a-long-password" not in server.stderr
    mocked = [{"username": "u", "password": "p"}]
    assert server.post("set_mock", {"secrets": {"users": mocked}}).status == 200
    assert server.curl("/users").json == mocked
