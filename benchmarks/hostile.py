"""Sends input that is made to block the process, at two sizes, while pings check whether it still answers.

Exits 1 if four times the size costs more than linear time or a line more than ten times its memory, if a line is
not answered with one reply, if an answer is `internal`, or if another job fails. `--only` selects by words
of a name, `--quick` those that need no browser.

Time is the CPU time of the sidecar's own process, which neighbours on the machine change least. The worst ping is
printed and not judged: on a quiet machine it should be below 100 ms for one line; for thousands of lines it waits
for all of them.
"""

import argparse
import contextlib
import http.server
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

from rich.console import Console
from rich.table import Table

from benchmarks.hostility import KINDS, Kind

TIMES = 4
"""The larger size divided by the smaller one."""
MOST_GROWTH = 2.0 * TIMES
LEAST_SECONDS = 0.03
"""Less CPU counts as this much: the clock ticks in hundredths."""
MOST_MEMORY = 10
"""The allowed memory, in multiples of a line's bytes."""
LEAST_MEMORY = 24 << 20
"""Bytes that any work may take in addition: a loaded module, an automaton, a browser's driver."""
PATIENCE = 90.0
WIDTH = 130


@dataclass(frozen=True, slots=True)
class Cost:
    """The cost of one size of a kind."""

    line: int
    seconds: float
    """Seconds of CPU."""
    memory: int
    """Peak growth in bytes."""
    ping: float
    wrong: str
    """The first wrong answer; empty if there is none."""


class Target:
    """A sidecar that is sent hostile lines. Use it as a context manager."""

    def __init__(self, folder: Path, environ: Mapping[str, str]) -> None:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("SIDECAR_")}
        self._errors = (folder / "stderr.log").open("ab")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "sidecar"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            cwd=folder,
            env={**kept, "SIDECAR_HOME": str(folder / "state"), **environ},
        )
        self._said = threading.Condition()
        self._replies: list[dict[str, Any]] = []
        self._pongs: set[str] = set()
        self._spared: list[dict[str, Any]] = []
        self._writing = threading.Lock()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self._wait(lambda: len(self._replies) == 1)  # `ready`

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        self._reader.join()
        for stream in (self._process.stdin, self._process.stdout, self._errors):
            with contextlib.suppress(BrokenPipeError):
                assert stream
                stream.close()

    def ask(self, lines: Sequence[bytes]) -> list[dict[str, Any]]:
        """Sends lines and waits for a reply to each. Raises TimeoutError."""
        before = len(self._replies)
        self._send(b"".join(lines))
        self._wait(lambda: len(self._replies) >= before + len(lines))
        return self._replies[before:]

    def cost(self, lines: Sequence[bytes], *, spares: bool) -> Cost:
        """The cost of these lines, while pings are sent."""
        Path(f"/proc/{self._process.pid}/clear_refs").write_text("5")
        seconds, memory = self._seconds(), self._memory("VmRSS")
        over, pings = threading.Event(), [0.0]
        pinging = threading.Thread(target=self._ping, args=(over, pings))
        pinging.start()
        try:
            wrong = self._watched(lines, spares=spares)
        finally:
            over.set()
            pinging.join()
        used = self._seconds() - seconds, self._memory("VmHWM") - memory
        return Cost(sum(map(len, lines)), *used, max(pings), wrong)

    def _watched(self, lines: Sequence[bytes], *, spares: bool) -> str:
        spared = len(self._spared)
        if spares:
            steps = [{"url": "data:,", "actions": ["new Promise((r) => setTimeout(() => r(page.title()), 3000))"]}]
            self._send(json.dumps({"type": "send_job", "id": "spared", "content": {"steps": steps}}).encode() + b"\n")
        try:
            replies = self.ask(lines)
            if spares:
                self._wait(lambda: len(self._spared) > spared)
        except TimeoutError as wrong:
            return str(wrong)
        said = [reply for reply in replies if reply.get("error", {}).get("code") == "internal"]
        said += [reply for reply in self._spared[spared:] if _blames(reply)]
        return str(said[0].get("content"))[:200] if said else ""

    def _ping(self, over: threading.Event, pings: list[float]) -> None:
        number = 0
        while not over.wait(0.02):
            number += 1
            name, began = f"ping-{number}-{id(over)}", time.monotonic()
            self._send(b'{"type":"ping","id":"%b"}\n' % name.encode())
            with contextlib.suppress(TimeoutError):
                self._wait(lambda name=name: name in self._pongs)
            pings.append(time.monotonic() - began)

    def _read(self) -> None:
        assert self._process.stdout
        for line in self._process.stdout:
            reply = json.loads(line)
            with self._said:
                if reply["type"] == "pong" and str(reply.get("id")).startswith("ping-"):
                    self._pongs.add(reply["id"])
                elif reply.get("id") == "spared":
                    self._spared.append(reply)
                elif reply["type"] != "event":
                    self._replies.append(reply)
                self._said.notify_all()
        with self._said:
            self._said.notify_all()

    def _wait(self, done: Any) -> None:
        with self._said:
            if not self._said.wait_for(lambda: done() or self._process.poll() is not None, PATIENCE):
                raise TimeoutError(f"no answer in {PATIENCE:.0f} s")
            if not done():
                raise TimeoutError("the process has ended")

    def _send(self, data: bytes) -> None:
        assert self._process.stdin
        with self._writing, contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(data)
            self._process.stdin.flush()

    def _seconds(self) -> float:
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def _memory(self, which: str) -> int:
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        return next(int(line.split()[1]) << 10 for line in status.splitlines() if line.startswith(f"{which}:"))


def measure(kind: Kind) -> list[Cost]:
    """The costs of a kind at its two sizes, after a small warm-up run."""
    with (
        tempfile.TemporaryDirectory(prefix="sidecar-hostile-") as folder,
        _site() as site,
        Target(Path(folder), {"SIDECAR_ALLOW_PRIVATE_NETWORK": "true", **kind.environ}) as target,
    ):
        costs = []
        target.ask(kind.opening)
        for size in (max(1, kind.size // 8), kind.size, kind.size * TIMES):
            lines = [line.replace(b"{site}", site.encode()) for line in kind.lines(size)]
            cost = target.cost(lines, spares=kind.spares)
            costs.append(replace(cost, line=max(cost.line, size)) if kind.hands else cost)
            if costs[-1].wrong:
                return costs
        return costs[1:]


def verdict(costs: Sequence[Cost]) -> str:
    """The violation in a kind's costs; empty if there is none."""
    for cost in costs:
        if cost.wrong:
            return cost.wrong
        if cost.memory > MOST_MEMORY * cost.line + LEAST_MEMORY:
            return f"{cost.memory >> 20} MB for a line of {cost.line / 1e6:.1f} MB"
    return "" if growth(costs) <= MOST_GROWTH else f"{growth(costs):.1f} times the time for {TIMES} times the size"


def growth(costs: Sequence[Cost]) -> float:
    """The CPU time of the larger size divided by that of the smaller one."""
    return max(costs[-1].seconds, LEAST_SECONDS) / max(costs[0].seconds, LEAST_SECONDS)


def main() -> int:
    """Exits 1 if a kind costs too much."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="words of a kind's name")
    parser.add_argument("--quick", action="store_true", help="only what needs no browser")
    options = parser.parse_args()
    names = [name for name, kind in KINDS.items() if options.only in name and not (options.quick and kind.browser)]
    console = Console(width=WIDTH)
    table = Table("kind", *("CPU", f"of {TIMES}x", "growth", "memory", "worst ping"), "")
    failed = 0
    for name in names:
        with console.status(name):
            costs = measure(KINDS[name])
        said = verdict(costs)
        failed += bool(said)
        seconds = [f"{cost.seconds:.2f} s" for cost in (costs[0], costs[-1])]
        memory, ping = max(cost.memory for cost in costs), max(cost.ping for cost in costs)
        table.add_row(
            name, *seconds, f"{growth(costs):.1f}", f"{memory >> 20} MB", f"{ping * 1000:.0f} ms", said or "ok"
        )
    console.print(table)
    return 1 if failed else 0


def _blames(reply: Mapping[str, Any]) -> bool:
    """Whether a harmless job failed for good."""
    error = reply.get("error")
    return error is not None and not (error["code"] == "browser_crashed" and error["retryable"])


class _Page(http.server.BaseHTTPRequestHandler):
    """A server with an empty page that accepts posts."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """An empty page."""
        self._answer(b"<!doctype html><title>a</title>")

    def do_POST(self) -> None:
        """Reads the body and answers without content."""
        left = int(self.headers["Content-Length"])
        while left > 0:
            left -= len(self.rfile.read(min(left, 1 << 16)))
        self._answer(b"")

    def log_message(self, *_: Any) -> None:
        """Logs nothing."""

    def _answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@contextlib.contextmanager
def _site() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Page)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/"
    finally:
        server.shutdown()
        server.server_close()


if __name__ == "__main__":
    sys.exit(main())
