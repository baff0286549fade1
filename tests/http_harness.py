"""A sidecar that is spoken to over HTTP, and clients that are not ours: curl, and bare sockets.

with Serving(tmp_path) as server:
    assert server.curl("/v1/ping", "-X", "POST").json == {"type": "pong"}
"""

import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from tests.harness import SECONDS, environment

TOKEN = "a-token-of-the-tests"


@dataclass(frozen=True)
class Answer:
    """What an HTTP client got."""

    status: int
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes

    @property
    def json(self) -> Any:
        """The body, decoded."""
        return json.loads(self.body)

    @property
    def code(self) -> Any:
        """The typed error's code, of a problem."""
        assert self.headers["content-type"].startswith("application/problem+json"), self
        problem = self.json
        assert (problem["status"], problem["detail"]) == (self.status, problem["error"]["message"])
        return problem["error"]["code"]


class Serving:
    """A running `sidecar serve --http`, in `folder`."""

    def __init__(
        self,
        folder: Path,
        *arguments: str,
        http: str = "127.0.0.1:0",
        token: str = "",
        env: Mapping[str, str] | None = None,
    ) -> None:
        self.token = token
        self._errors = folder / f"stderr-{time.monotonic_ns()}"
        extra = {**({"SIDECAR_HTTP_TOKEN": token} if token else {}), **(env or {})}
        with self._errors.open("wb") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "sidecar", *arguments, "serve", "--http", http],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                cwd=folder,
                env=environment(folder, extra),
            )
        assert self.process.stdout
        if not select.select([self.process.stdout], [], [], SECONDS)[0]:
            raise TimeoutError(self.stderr)
        said = os.read(self.process.stdout.fileno(), 4096).decode()
        assert "listening on " in said, self.stderr
        self.url = said.split("listening on ")[1].strip()

    @property
    def stderr(self) -> str:
        """All that it has written to stderr so far."""
        return self._errors.read_text()

    @property
    def port(self) -> int:
        """The port that it listens on."""
        port = urlsplit(self.url).port
        assert port
        return port

    def curl(self, path: str, *arguments: str, data: object = None, token: str | None = None) -> Answer:
        """Sends one request with curl; `data` becomes its body, as JSON unless it is text."""
        token = self.token if token is None else token
        given = ["-H", f"Authorization: Bearer {token}"] if token else []
        if data is not None:
            text = data if isinstance(data, str) else json.dumps(data)
            given += ["-H", "Content-Type: application/json", "--data-binary", text]
        return curl(self.url + path, *given, *arguments)

    def post(self, kind: str, content: object = None, *arguments: str) -> Answer:
        """Sends one message."""
        data = [] if content is None else ["--data-binary", json.dumps(content), "-H", "Content-Type: application/json"]
        return self.curl(f"/v1/{kind}", "-X", "POST", *data, *arguments)

    def connect(self) -> socket.socket:
        """A bare connection."""
        return socket.create_connection(("127.0.0.1", self.port), SECONDS)

    def raw(self, data: bytes) -> bytes:
        """What comes back for these bytes, up to the end of the connection."""
        with self.connect() as connection:
            connection.sendall(data)
            return read_all(connection)

    def head(self, method: str, path: str, *headers: str) -> bytes:
        """The head of a request."""
        token = [f"Authorization: Bearer {self.token}"] if self.token else []
        lines = [f"{method} {path} HTTP/1.1", f"Host: 127.0.0.1:{self.port}", *token, *headers, "", ""]
        return "\r\n".join(lines).encode()

    def end(self, number: int = signal.SIGTERM) -> int:
        """Ends it with a signal; gives its exit code."""
        self.process.send_signal(number)
        return self.process.wait(SECONDS)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *failure: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(SECONDS)
        assert self.process.stdout
        self.process.stdout.close()


def curl(url: str, *arguments: str) -> Answer:
    """Sends one request with curl."""
    done = subprocess.run(
        ["curl", "-sS", "-i", "--max-time", str(SECONDS), "--path-as-is", *arguments, url],
        capture_output=True,
        timeout=2 * SECONDS,
    )
    assert done.returncode == 0, done.stderr
    return parsed(done.stdout)


def parsed(answer: bytes) -> Answer:
    """An HTTP response as its parts; those of 100 are left out."""
    head, _, body = answer.partition(b"\r\n\r\n")
    while head.split(b" ", 2)[1] == b"100":
        head, _, body = body.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return Answer(int(first.split(" ", 2)[1]), headers, body)


def read_all(connection: socket.socket) -> bytes:
    """Everything up to the end of a connection."""
    parts = []
    while chunk := connection.recv(1 << 16):
        parts.append(chunk)
    return b"".join(parts)


def read_until(connection: socket.socket, end: bytes) -> bytes:
    """What comes up to these bytes, and whatever came with them."""
    received = b""
    while end not in received:
        chunk = connection.recv(1 << 16)
        if not chunk:
            raise EOFError(received)
        received += chunk
    return received
