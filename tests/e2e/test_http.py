"""The HTTP front with real clients: curl, urllib, and sockets that misbehave."""

import json
import resource
import signal
import socket
import stat
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness import SECONDS, Rtcv, environment, rtcv
from tests.http_harness import TOKEN, Answer, Serving, curl, parsed, read_all, read_until

MAX_LINE = 4096


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """One in mock mode, which wants a token and logs all that it can."""
    folder = tmp_path_factory.mktemp("http")
    env = {"SIDECAR_LOG_INPUT": "input.log", "SIDECAR_LOG_DEBUG": "debug.log", "SIDECAR_MAX_LINE": str(MAX_LINE)}
    with Serving(folder, token=TOKEN, env={**env, "SIDECAR_HTTP_ORIGINS": "https://app.example"}) as serving:
        assert (
            serving.post("set_mock", {"secrets": {"user": {"username": "u", "password": "a-password-here"}}}).status
            == 200
        )
        yield serving
        assert serving.end() == 0
        for log in ("input.log", "debug.log"):
            assert TOKEN not in (folder / log).read_text()
        lines = [json.loads(line) for line in (folder / "input.log").read_text().splitlines()]
        assert [lines[0]["type"], lines[0]["_log"]["seq"]] == ["set_mock", 1]
        assert "a-password-here" not in (folder / "input.log").read_text()
        assert serving.stderr == ""


def test_messages_and_their_errors(server: Serving) -> None:
    """Each message is answered as on stdout; each failure is a problem with the status that its code has."""
    assert server.post("ping").json == {"type": "pong"}
    assert server.post("set_cached_reference", "abc").json == {"type": "ok"}
    assert server.post("has_cached_reference", "abc").json == {"type": "ok", "content": True}
    assert server.post("send_cv", {"referenceNumber": "é\n"}).json == {"type": "ok", "content": True}
    assert server.curl("/v1/send_cv", data='{"referenceNumber":\n"x"}').json == {"type": "ok", "content": True}
    assert server.post("hello", {}, "-H", "X-Request-Id: mine").json["id"] == "mine"
    refused = {
        "parse_error 400": server.curl("/v1/send_cv", data='{"a":'),
        "parse_error  400": server.curl("/v1/set_cached_reference", data='1,"type":"ping"'),
        "parse_error   400": server.curl("/v1/has_cached_reference", data="[" * 1500 + "]" * 1500),
        "invalid_content 400": server.post("job_status", {"id": 5}),
        "unknown_type 404": server.post("no_such_type", {}),
        "not_found 404": server.post("get_task", {"id": "nobody"}),
        "not_found  404": server.curl("/nowhere"),
        "not_found   404": server.curl("/v1/ping/%F0%9F%8D%B5"),
        "unknown_type  404": server.curl("/v1/%F0%9F%8D%B5", "-X", "POST"),
        "invalid_request 400": server.curl("/v1/%FF", "-X", "POST"),
        "invalid_request 405": server.curl("/v1/ping"),
        "invalid_request 415": server.curl("/v1/send_cv", "-d", "x", "-H", "Content-Type: text/xml"),
        "invalid_request  415": server.curl("/v1/send_cv", "-H", "Content-Encoding: gzip", data="{}"),
        "invalid_request 501": server.curl("/v1/send_cv", "-H", "Transfer-Encoding: gzip, chunked", data="{}"),
        "limit_exceeded 413": server.curl("/v1/send_cv", data="1" * (MAX_LINE + 1)),
        "limit_exceeded  413": server.curl(
            "/v1/send_cv", "-H", "Transfer-Encoding: chunked", data="1" * (MAX_LINE + 1)
        ),
    }
    for expected, answer in refused.items():
        assert f"{answer.code} {answer.status}".split() == expected.split()
    assert refused["invalid_request 405"].headers["allow"] == "POST, OPTIONS"
    assert refused["invalid_content 400"].json["error"]["field"] == "id"


def test_a_task_is_there_once(server: Serving) -> None:
    """Its id is in use: 409."""
    task = {"id": "twice", "script": "https://a.example/x.js", "interval": 3_600_000, "running": False}
    assert [server.post("create_task", task).status for _ in range(2)] == [200, 409]


def test_the_token(server: Serving) -> None:
    """As a bearer token, as user or password, or where the address begins; health needs none."""
    assert server.curl("/health", token="").json == {"status": "ok"}
    bare = server.url.removeprefix("http://")
    for url in (f"{server.url}/{TOKEN}", f"http://{TOKEN}@{bare}", f"http://any:{TOKEN}@{bare}"):
        assert curl(f"{url}/v1/ping", "-X", "POST").json == {"type": "pong"}
    for token in ("", "wrong", TOKEN[:-1], f"{TOKEN}x", "é"):
        answer = server.curl("/v1/ping", "-X", "POST", "-H", f"Authorization: Bearer {token}", token="")
        assert (answer.status, answer.code) == (401, "unauthorized")
        assert answer.headers["www-authenticate"].startswith("Bearer")
    assert server.curl("/nowhere", token="").status == 401
    assert curl(f"{server.url}/wrong-token/v1/ping", "-X", "POST").status == 401


def test_other_sites(server: Serving) -> None:
    """A page of another site, or one whose name was made to lead here, is refused, whatever it knows."""

    def status(*headers: str) -> int:
        return server.curl("/v1/ping", "-X", "POST", *(part for one in headers for part in ("-H", one))).status

    assert [status(f"Host: {host}") for host in ("localhost", "127.0.0.1:1", "[::1]:1", "a.localhost")] == [200] * 4
    assert [status(f"Host: {host}") for host in ("evil.example", "127.0.0.1.evil.example:80", "evil")] == [403] * 3
    assert [status(f"Origin: {one}") for one in (server.url, "https://app.example")] == [200, 200]
    assert [status(f"Origin: {one}") for one in ("https://evil.example", "null", "http://127.0.0.1:1")] == [403] * 3
    assert [status(f"Sec-Fetch-Site: {one}") for one in ("cross-site", "same-site", "same-origin")] == [403, 403, 200]
    for host, expected in ((f"127.0.0.1:{server.port}", 200), ("evil.example", 403)):
        head = server.head("POST", f"http://{host}/v1/ping", "Content-Length: 0", "Connection: close")
        assert parsed(server.raw(head)).status == expected
    allowed = server.curl("/v1/ping", "-X", "POST", "-H", "Origin: https://app.example")
    assert allowed.headers["access-control-allow-origin"] == "https://app.example"
    asked = server.curl("/v1/ping", "-X", "OPTIONS", "-H", "Origin: https://app.example", token="")
    assert (asked.status, asked.headers["access-control-allow-methods"]) == (204, "POST, OPTIONS")
    assert "Authorization" in asked.headers["access-control-allow-headers"]
    for answer in (server.curl("/v1/ping", "-X", "POST"), server.curl("/v1/ping", "-X", "OPTIONS")):
        assert "access-control-allow-origin" not in answer.headers


def test_bodies_that_wait_or_break_off(server: Serving) -> None:
    """A body that is held back is asked for, unless nothing would be done with it; one cut off is no message."""
    body = b'{"referenceNumber":"held back"}'
    expecting = server.head(
        "POST", "/v1/send_cv", f"Content-Length: {len(body)}", "Expect: 100-continue", "Connection: close"
    )
    with server.connect() as connection:
        connection.sendall(expecting)
        assert read_until(connection, b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(body)
        assert parsed(read_all(connection)).json == {"type": "ok", "content": True}
    body = b'"of HTTP/1.0"'
    older = server.head("POST", "/v1/has_cached_reference", f"Content-Length: {len(body)}", "Expect: 100-continue")
    assert server.raw(older.replace(b"HTTP/1.1", b"HTTP/1.0") + body).startswith(b"HTTP/1.0 200")
    too_long = server.head("POST", "/v1/send_cv", f"Content-Length: {MAX_LINE + 1}", "Expect: 100-continue")
    assert parsed(server.raw(too_long)).status == 413
    stranger = ("Host: localhost", "Connection: close", "Content-Length: 9", "Expect: 100-continue", "", "")
    assert parsed(server.raw("\r\n".join(("POST /v1/ping HTTP/1.1", *stranger)).encode())).status == 401
    with server.connect() as connection:
        connection.sendall(server.head("POST", "/v1/set_cached_reference", "Content-Length: 9") + b'"cut')
    with server.connect() as connection:
        connection.sendall(server.head("POST", "/v1/set_cached_reference", "Transfer-Encoding: chunked") + b"zz\r\n")
        assert parsed(read_all(connection)).status == 400
    assert server.post("has_cached_reference", "cut").json == {"type": "ok", "content": False}
    for strange in (b"\x16\x03\x01\x02\x00", b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 20_000 + b"\r\n\r\n"):
        assert parsed(server.raw(strange)).status == 400


def test_a_connection_is_kept(server: Serving) -> None:
    """Requests that are written one after the other without a wait are answered in order."""
    with server.connect() as connection:
        connection.sendall(server.head("POST", "/v1/ping", "Content-Length: 0") * 50)
        received = b""
        while received.count(b'{"type":"pong"}') < 50:
            received += connection.recv(1 << 16)
    request = urllib.request.Request(
        f"{server.url}/v1/ping", b"", {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=SECONDS) as answer:
        assert json.load(answer) == {"type": "pong"}


def test_a_thousand_idle_connections(server: Serving) -> None:
    """They cost nothing, and no other client has to wait for them."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 4096)), hard))
    connections: list[socket.socket] = []
    try:
        for number in range(1_000):
            connections.append(server.connect())
            if number % 2:
                connections[-1].sendall(b"POST /v1/ping HTTP/1.1\r\nHost: ")
        assert server.post("ping").json == {"type": "pong"}
    finally:
        for connection in connections:
            connection.close()


@pytest.fixture
def real() -> Iterator[Rtcv]:
    """An RT-CV server."""
    with rtcv() as one:
        yield one


def in_thread(server: Serving, answers: dict[str, Answer], name: str, *arguments: str) -> threading.Thread:
    """Sends a CV without waiting for its answer."""

    def send() -> None:
        answers[name] = server.post("send_cv", {"referenceNumber": name}, "-H", f"X-Request-Id: {name}", *arguments)

    thread = threading.Thread(target=send)
    thread.start()
    return thread


def test_full(tmp_path: Path, real: Rtcv) -> None:
    """Where stdin would not be read, requests are put off; a `cancel` makes room, `/health` answers."""
    with Serving(tmp_path, env={"SIDECAR_MAX_IN_FLIGHT": "1"}) as server:
        assert server.post("set_credentials", real.credentials).status == 200
        real.server.fail("scanCV", "hang", None)
        answers: dict[str, Answer] = {}
        first = in_thread(server, answers, "first")
        real.wait_for("scanCV")
        second = in_thread(server, answers, "second")
        while (full := server.post("ping")).status == 200:
            pass
        assert (full.status, full.code, full.headers["retry-after"]) == (429, "queue_full", "1")
        assert server.curl("/health").status == 200
        for name in ("second", "first"):
            assert server.post("cancel", {"id": name}).json == {"type": "ok", "content": True}
        first.join(SECONDS)
        second.join(SECONDS)
        assert {name: (one.status, one.code) for name, one in answers.items()} == {
            "first": (409, "cancelled"),
            "second": (409, "cancelled"),
        }
        assert server.post("ping").status == 200


def test_a_client_that_goes_away(tmp_path: Path, real: Rtcv) -> None:
    """Its request is cancelled, unless it asked for that not to happen."""
    with Serving(tmp_path, env={"SIDECAR_MAX_IN_FLIGHT": "1"}) as server:
        assert server.post("set_credentials", real.credentials).status == 200
        real.server.fail("scanCV", "hang", None)
        for count, header in enumerate(("X-Nothing: 1", "Prefer: respond-async"), 1):
            body = b'{"referenceNumber":"%d"}' % count
            with server.connect() as connection:
                connection.sendall(server.head("POST", "/v1/send_cv", f"Content-Length: {len(body)}", header) + body)
                real.wait_for("scanCV", count)
        # the first was given up, or there would have been no room for the second
        real.release()
        while server.post("has_cached_reference", "2").json["content"] is not True:
            pass
        assert server.post("has_cached_reference", "1").json["content"] is False


def test_the_end(tmp_path: Path, real: Rtcv) -> None:
    """After SIGTERM what is in flight is answered, nothing more is taken, and what was accepted is on disk."""
    task = {"id": "kept", "script": "https://a.example/x.js", "interval": 3_600_000, "running": False}
    with Serving(tmp_path) as server:
        assert server.post("set_credentials", real.credentials).status == 200
        assert server.post("create_task", task).status == 200
        real.server.fail("scanCV", "hang", None)
        answers: dict[str, Answer] = {}
        waiting = in_thread(server, answers, "late")
        real.wait_for("scanCV")
        with server.connect() as kept:
            kept.sendall(server.head("POST", "/v1/ping", "Content-Length: 0"))
            read_until(kept, b"pong")
            server.process.send_signal(signal.SIGTERM)
            ending = b""
            while b"503" not in ending:
                kept.sendall(server.head("GET", "/health"))
                ending = read_until(kept, b'"}')
            kept.sendall(server.head("POST", "/v1/ping", "Content-Length: 0"))
            assert b"shutting_down" in read_until(kept, b"}}")
        real.release()
        waiting.join(SECONDS)
        assert answers["late"].json == {"type": "ok", "content": True, "id": "late"}
        assert server.process.wait(SECONDS) == 0
    with Serving(tmp_path) as server:
        assert server.post("get_task", {"id": "kept"}).status == 200
        assert server.end(signal.SIGKILL) == -signal.SIGKILL


def test_events(tmp_path: Path, real: Rtcv) -> None:
    """Who listens hears what happens from then on, and after an interruption what came meanwhile."""
    with rtcv() as failing, Serving(tmp_path) as server:
        failing.server.fail("scanCV", "error", None, status=500)
        servers = [real.credentials | {"primary": True}, failing.credentials]
        assert server.post("set_multiple_credentials", servers).status == 200
        with server.connect() as listener:
            listener.sendall(server.head("GET", "/v1/events"))
            assert b"text/event-stream" in read_until(listener, b": listening")
            assert server.post("send_cv", {"referenceNumber": "a"}).status == 200
            heard = read_until(listener, b"}}\n\n")
        assert b"event: delivery_failed\n" in heard
        data = json.loads(heard.split(b"data: ")[1].split(b"\n")[0])
        assert (data["type"], data["event"]) == ("event", "delivery_failed")
        number = heard.split(b"id: ")[1].split(b"\n")[0].decode()
        assert server.post("send_cv", {"referenceNumber": "b"}).status == 200
        failing.wait_for("scanCV", 2)
        with server.connect() as listener:
            listener.sendall(server.head("GET", "/v1/events", f"Last-Event-ID: {number.rpartition('-')[0]}-0"))
            assert f"id: {number}\n".encode() in read_until(listener, b"}}\n\n")
        with server.connect() as listener:
            listener.sendall(server.head("GET", "/v1/events", "Last-Event-ID: another-1"))
            assert b'event: gap\ndata: {"missed":null}' in read_until(listener, b"null}")
            server.process.send_signal(signal.SIGTERM)
            read_all(listener)
        assert server.process.wait(SECONDS) == 0


def test_a_unix_socket(tmp_path: Path) -> None:
    """Only this user may use it; it goes with the process; one that was left behind is replaced, a file is not."""
    path = tmp_path / "sidecar.sock"
    for ending in (signal.SIGKILL, signal.SIGTERM):
        with Serving(tmp_path, http=f"unix:{path}") as server:
            assert server.url == f"unix:{path}"
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
            assert curl("http://any.example/v1/ping", "-X", "POST", "--unix-socket", str(path)).json == {"type": "pong"}
            server.end(ending)
        assert path.exists() == (ending == signal.SIGKILL)
    path.write_text("a file")
    assert (
        refusal(tmp_path, f"unix:{path}") == "sidecar: --http: can't listen there: there is a file that is no socket\n"
    )
    assert path.read_text() == "a file"


def test_addresses_that_are_refused(tmp_path: Path) -> None:
    """Other machines can't connect without a token, and what is no address is said."""
    assert "SIDECAR_HTTP_TOKEN" in refusal(tmp_path, "0.0.0.0:0")
    assert "SIDECAR_HTTP_TOKEN" in refusal(tmp_path, ":0")
    assert "expected HOST:PORT" in refusal(tmp_path, "4000")
    with Serving(tmp_path, http="0.0.0.0:0", token=TOKEN) as server:
        host = ("-H", "Host: sidecar:4000")
        url = f"http://127.0.0.1:{server.port}/v1/ping"
        given = ("-X", "POST", "-H", f"Authorization: Bearer {TOKEN}")
        assert curl(url, *given, *host).status == 200
        assert curl(url, *given, "-H", "Host: evil.example").status == 403
        assert refusal(tmp_path, f"127.0.0.1:{server.port}").startswith("sidecar: --http: can't listen there")


def refusal(folder: Path, address: str) -> str:
    """What `sidecar serve` says where it does not begin."""
    command = [sys.executable, "-m", "sidecar", "serve", "--http", address]
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, cwd=folder, env=environment(folder))
    assert (done.returncode, done.stdout) == (2, "")
    return done.stderr


def test_the_blocks_of_the_page(tmp_path: Path) -> None:
    """Those of docs/http.md work as they stand, on a port that is free."""
    page = (Path(__file__).parents[2] / "docs" / "http.md").read_text()
    first, second = (part.split("```")[0] for part in page.split("```sh\n")[1:])
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (tmp_path / ".venv").symlink_to(sys.prefix)
    command = ["bash", "-euo", "pipefail", "-c", f"{first}wait\n{second}".replace("4000", str(port))]
    done = subprocess.run(command, cwd=tmp_path, env=environment(tmp_path), capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    said = [line for line in done.stdout.replace("}{", "}\n{").replace("}[", "}\n[").splitlines() if line[0] in "{["]
    answers = ['{"status":"ok"}', '{"type":"pong"}', '{"type":"ok"}', '{"type":"ok","content":true}']
    assert said == [*answers, '[{"username":"foo","password":"bar"}]']
