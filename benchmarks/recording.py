"""The cost of recording: of messages, by wall clock and by CPU, and of browser jobs; and the speed of reading it."""

import contextlib
import http.server
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

from benchmarks.bench import SIDECAR, Bench, Figure
from benchmarks.child import Child
from benchmarks.lines import Load, cvs, line, pings, set_references

LOADS: Final[dict[str, Callable[[], Load]]] = {
    "pings": lambda: pings(200_000),
    "set_cached_reference": lambda: set_references(100_000),
    "mock CVs of 2 KB": lambda: cvs(20_000, "recorded"),
}
READ_LINES: Final = 1_000_000
"""Lines of the recording that is read: as many requests as replies."""
JOBS: Final = 20
"""Browser jobs of one round, one after the other."""
REST: Final = 0.5
"""Seconds after them: what is recorded of a job goes on when it has its result."""
PATIENCE: Final = 60.0
"""Seconds that a recorder may be behind."""
_FOLDER: Final = "recording"
_RECORDED: Final = {"SIDECAR_RECORD": _FOLDER}


@dataclass(frozen=True, slots=True)
class _Cost:
    """One run of a load."""

    rate: float
    """Messages a second."""
    session: float
    """Seconds of CPU of the session's process for each message."""
    recorder: float
    """Seconds of CPU of the recorder for each message, until all is on disk."""


def recording(bench: Bench) -> list[Figure]:
    """Messages in a recorded session, compared with one that is not recorded, and how fast a recording is read."""
    figures = []
    for name, make in LOADS.items():
        load = make()
        pairs = [(_cost(bench, load), _cost(bench, load, **_RECORDED)) for _ in range(bench.rounds)]
        off, on = zip(*pairs, strict=True)
        figures += [
            Figure(f"{name}, recorded, compared with not", "1/s", _rate(off), _rate(on), least=0.85, wished=True),
            Figure("  CPU of the session for each", "us", _session(off), _session(on), most=1.15, wished=True),
            Figure("  CPU of the recorder for each", "us", None, _recorder(on), most=20, wished=True),
        ]
    return [*figures, *_reading(bench)]


def recorded_jobs(bench: Bench) -> list[Figure]:
    """Browser jobs without a pause in a recorded session, compared with one that is not recorded.

    Alternating, round by round: what is recorded after a job's result would slow down a job of the other session.
    """
    figures = []
    for name, page in _PAGES.items():
        with _site(page) as url, bench.child(SIDECAR) as plain, bench.child(SIDECAR, **_RECORDED) as recorded:
            job = line("send_job", {"steps": [{"url": url, "actions": [{"inner_text": "h1"}]}]})
            both = [_JobSide(plain), _JobSide(recorded)]
            for _ in range(1 + bench.rounds):  # the first one warms up
                for side in both:
                    side.run(job)
            off, on = ([side.seconds_of_each(), side.cpu_of_each()] for side in both)
        figures += [
            Figure(f"jobs, {name}, recorded / not", "ms", off[0] * 1000, on[0] * 1000, most=1.1, wished=True),
            Figure("  CPU of all processes but the recorder", "ms", off[1] * 1000, on[1] * 1000, most=1.1, wished=True),
        ]
    return figures


_TEXT: Final = "<p>" + "Words of a page that somebody reads. " * 200
_PAGES: Final = {
    "a page at once": ("<title>t</title><h1>Shop</h1>" + _TEXT, 0.0),
    "a page after 0.5 s": ("<title>t</title><h1>Shop</h1>" + _TEXT, 0.5),
}
"""What is served, and the seconds until then."""


class _JobSide:
    """A sidecar that runs jobs."""

    def __init__(self, child: Child) -> None:
        self._child = child
        self._cpu: list[float] = []
        self._seconds: list[float] = []

    def run(self, job: bytes) -> None:
        """Runs one round of jobs, and waits until all is recorded."""
        before, began = _tree_seconds(self._child.process.pid), time.perf_counter()
        for _ in range(JOBS):
            answer = self._child.ask(job)
            if answer["type"] != "ok":
                raise RuntimeError(f"a job failed: {answer}")
        self._seconds.append((time.perf_counter() - began) / JOBS)
        time.sleep(REST)
        self._cpu.append((_tree_seconds(self._child.process.pid) - before) / JOBS)

    def seconds_of_each(self) -> float:
        """Seconds of a job, as the median of the rounds; the first one does not count."""
        return statistics.median(self._seconds[1:])

    def cpu_of_each(self) -> float:
        """Seconds of CPU of a job, as the median of the rounds; the first one does not count."""
        return statistics.median(self._cpu[1:])


def _cost(bench: Bench, load: Load, **variables: str) -> _Cost:
    with bench.child(SIDECAR, **variables) as child:
        child.ask(line("set_mock", {}))
        recorder = _recorder_of(child)
        if recorder:
            _wait_for_reply(child, 1)  # what its start costs is no cost of a message
        before = _seconds_of(child.process.pid)
        recorder_before = _seconds_of(recorder) if recorder else 0.0
        run = child.pipeline(load.lines, load.answers)
        session = _seconds_of(child.process.pid) - before
        recorded = 0.0
        if recorder:
            _wait_for_reply(child, 1 + run.lines)
            recorded = _seconds_of(recorder) - recorder_before
        return _Cost(run.rate, session / run.lines, recorded / run.lines)


def _rate(costs: Sequence[_Cost]) -> float:
    return statistics.median(cost.rate for cost in costs)


def _session(costs: Sequence[_Cost]) -> float:
    """The least, which neighbours disturb the least."""
    return min(cost.session for cost in costs) * 1e6


def _recorder(costs: Sequence[_Cost]) -> float:
    return min(cost.recorder for cost in costs) * 1e6


def _recorder_of(child: Child) -> int | None:
    """The process that records a session."""
    for process in psutil.Process(child.process.pid).children():
        if "sidecar.recording.recorder" in process.cmdline():
            return process.pid
    return None


def _wait_for_reply(child: Child, seq: int) -> None:
    """Waits until the recorder has written the reply to a request."""
    path = Path(f"/proc/{child.process.pid}/cwd") / _FOLDER / "replies.jsonl"
    deadline = time.monotonic() + PATIENCE
    while not path.exists() or b'"seq":%d,' % seq not in _last_bytes(path):
        if time.monotonic() > deadline:
            raise RuntimeError(f"the reply to request {seq} is not recorded")
        time.sleep(0.01)


def _last_bytes(path: Path) -> bytes:
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 200))
        return file.read()


def _seconds_of(process: int) -> float:
    """CPU of a process by now. Source: Linux's /proc, in nanoseconds."""
    total = 0
    for task in Path(f"/proc/{process}/task").iterdir():
        with contextlib.suppress(OSError):  # a thread that has just ended
            total += int((task / "schedstat").read_text().split()[0])
    return total / 1e9


def _tree_seconds(process: int) -> float:
    """CPU of a process and all that it has started, by now, without the recorder."""
    parent = psutil.Process(process)
    total = 0.0
    for one in (parent, *parent.children(recursive=True)):
        with contextlib.suppress(psutil.NoSuchProcess):
            if "sidecar.recording.recorder" not in one.cmdline():
                total += sum(one.cpu_times()[:4])
    return total


@contextlib.contextmanager
def _site(page: tuple[str, float]) -> Iterator[str]:
    """Serves a page, whose answer takes that time in seconds."""
    text, seconds = page

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            time.sleep(seconds)
            body = text.encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


_READ: Final = """
import resource, sys, time
from pathlib import Path
from sidecar.recording.recorded_session import answers, sent_lines
began = time.perf_counter()
lines = peak = 0
for reader in (sent_lines, answers):
    for _ in reader(Path(sys.argv[1])):
        lines += 1
        if lines == 10_000:
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(lines, time.perf_counter() - began, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak) / 1024)
"""
"""Prints lines, seconds, and the MB by which memory has grown after the first 10,000 lines."""


def _reading(bench: Bench) -> list[Figure]:
    """A recording of a million lines, read as a replay reads it."""
    folder = bench.folder / "long"
    folder.mkdir()
    with (folder / "session.jsonl").open("w") as sent, (folder / "replies.jsonl").open("w") as replies:
        for seq in range(1, READ_LINES // 2 + 1):
            at = f"2026-01-01T00:{seq // 60_000 % 60:02}:{seq // 1_000 % 60:02}.{seq % 1_000:03}Z"
            message = f'"type":"set_cached_reference","content":"reference-{seq}","id":{seq}'
            sent.write(f'{{{message},"_log":{{"seq":{seq},"at":"{at}"}}}}\n')
            replies.write(f'{{"type":"ok","id":{seq},"_log":{{"seq":{seq},"read":{seq},"at":"{at}","ms":0.500}}}}\n')
    command = (sys.executable, "-c", _READ, str(folder))

    def read() -> tuple[float, ...]:
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        lines, seconds, grown = map(float, done.stdout.split())
        assert lines == READ_LINES
        return lines / seconds, grown

    rates, grown = zip(*(read() for _ in range(bench.rounds)), strict=True)
    return [
        Figure("a recording of a million lines is read, lines", "1/s", None, statistics.median(rates), least=50_000),
        Figure("  its memory after the first 10,000 lines", "MB more", None, max(grown), most=5),
    ]
