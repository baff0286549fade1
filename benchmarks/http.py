"""The HTTP front: pings on connections that are kept, and browser jobs compared with the same jobs on stdin."""

import json
import os
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, Final

from benchmarks.bench import SIDECAR, Bench, Figure
from benchmarks.lines import line

PINGS: Final = 10_000
CONNECTIONS: Final = 8
"""Connections that are written to in turn, so that the client's own time is not what is measured."""
PIPELINED: Final = 16
"""Requests on their way on each of them; a client for itself has one."""
JOBS: Final = 24
AT_ONCE: Final = 4
_JOB: Final = {"steps": [{"url": "data:text/html,<title>x</title>"}]}
_HEAD: Final = "POST /v1/{} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n"


def http(bench: Bench) -> list[Figure]:
    """Requests a second, and jobs a second by either way."""
    alone, several, many, by_stdin, by_http = bench.medians(
        lambda: _pings(bench, 1, 1),
        lambda: _pings(bench, CONNECTIONS, 1),
        lambda: _pings(bench, CONNECTIONS, PIPELINED),
        lambda: _lines(bench),
        lambda: _jobs(bench),
    )
    return [
        Figure(
            "pings over HTTP, one kept connection that waits for each", "1/s", None, alone, least=3_000, wished=True
        ),
        Figure(f"  {CONNECTIONS} connections", "1/s", None, several, least=3_000),
        Figure(f"  {CONNECTIONS} connections, {PIPELINED} requests at a time", "1/s", None, many, least=3_000),
        Figure("jobs over HTTP beside stdin", "1/s", by_stdin, by_http, least=0.9),
    ]


@contextmanager
def _server(bench: Bench) -> Iterator[int]:
    """A server with an empty state folder; gives its port."""
    with tempfile.TemporaryDirectory(dir=bench.folder) as folder:
        clean = {name: value for name, value in os.environ.items() if not name.startswith("SIDECAR_")}
        command = (*SIDECAR, "serve", "--http", "127.0.0.1:0")
        environment = {**clean, "SIDECAR_HOME": f"{folder}/state", "SIDECAR_CONCURRENCY": str(AT_ONCE)}
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=folder, env=environment) as process:
            assert process.stdout
            yield int(process.stdout.readline().rpartition(":")[2])
            process.terminate()


def _pings(bench: Bench, connections: int, pipelined: int) -> float:
    request = _HEAD.format("ping", 0).encode() * pipelined
    with _server(bench) as port:
        open_ones = [socket.create_connection(("127.0.0.1", port)) for _ in range(connections)]
        began = time.perf_counter()
        for _ in range(PINGS // (connections * pipelined)):
            for one in open_ones:
                one.sendall(request)
            for one in open_ones:
                _read(one, pipelined)
        seconds = time.perf_counter() - began
        for one in open_ones:
            one.close()
    return PINGS // (connections * pipelined) * connections * pipelined / seconds


def _read(connection: socket.socket, answers: int) -> None:
    received = b""
    while received.count(b'{"type":"pong"}') < answers:
        chunk = connection.recv(1 << 16)
        if not chunk:
            raise RuntimeError("the connection was closed")
        received += chunk


def _jobs(bench: Bench) -> float:
    """Jobs a second, as many at once as run at once."""
    body = json.dumps(_JOB).encode()
    request = _HEAD.format("send_job", len(body)).encode() + body

    def ask(connection: socket.socket, count: int) -> None:
        for _ in range(count):
            connection.sendall(request)
            received = b""
            while b"\r\n\r\n" not in received or not received.endswith(b"}"):
                received += connection.recv(1 << 20)
            if b" 200 OK" not in received.partition(b"\r\n")[0]:
                raise RuntimeError(received[:500])

    with _server(bench) as port, ThreadPoolExecutor(AT_ONCE) as threads:
        open_ones = [socket.create_connection(("127.0.0.1", port)) for _ in range(AT_ONCE)]
        ask(open_ones[0], 2)
        began = time.perf_counter()
        for done in [threads.submit(ask, one, JOBS // AT_ONCE) for one in open_ones]:
            done.result()
        seconds = time.perf_counter() - began
        for one in open_ones:
            one.close()
    return JOBS / seconds


def _lines(bench: Bench) -> float:
    """The same jobs on stdin."""
    with bench.child(SIDECAR, SIDECAR_CONCURRENCY=str(AT_ONCE)) as child:
        for _ in range(2):
            child.ask(line("send_job", _JOB))
        began = time.perf_counter()
        for number in range(AT_ONCE):
            child.send(line("send_job", _JOB, number))
        left, sent = JOBS, AT_ONCE
        while left:
            answer: dict[str, Any] = child.receive()
            if answer["type"] != "ok":
                raise RuntimeError(f"a job failed: {answer}")
            left -= 1
            if sent < JOBS:
                child.send(line("send_job", _JOB, sent))
                sent += 1
        return JOBS / (time.perf_counter() - began)
