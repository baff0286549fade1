"""What goes wrong with tasks, in a real process: scripts of every bad kind, and clocks that are set."""

import contextlib
import signal
import sys
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

import pytest

from tests.clocks import STEPPED
from tests.e2e.test_tasks import ask, script, wait_until
from tests.harness import SECONDS, Child

pytestmark = pytest.mark.browser

FINE: Final = "exports.main = () => 'fine'"
PUBLIC: Final = "127.0.0.2"
"""An address of this machine that plays a public one: no test leaves the machine."""
INTO_THE_WORLD: Final = f"""
import signal
import sys
from sidecar.net import addresses
from sidecar.tasks import script_sources
addresses.is_private = lambda address: str(address) != {PUBLIC!r}
script_sources.SCRIPT_SECONDS = 1.5
sys.argv[0] = "sidecar"
from sidecar.__main__ import main
main()
"""
"""Runs a sidecar for which that address is a public one, and that waits less long for scripts."""
FILES: Final = {  # one that loops is in tests/e2e/test_tasks.py: it takes a core for as long as it may
    "leaks": ("const all = []; for (;;) all.push(new Array(1000).fill(1.5))", "action_failed"),
    "throws": ("exports.main = () => { throw new Error('bad') }", "action_failed"),
    "returns a megabyte": ("exports.main = () => 'x'.repeat(1 << 20)", "limit_exceeded"),
}
URLS: Final = {"gone": "not_found", "private": "forbidden", "slow": "timeout"}


class Shelf:
    """A server of scripts that can't be had, until all is well."""

    def __init__(self) -> None:
        self.well = threading.Event()
        self.over = threading.Event()
        self.leads_to = ""


class _Handler(BaseHTTPRequestHandler):
    shelf: Shelf

    def do_GET(self) -> None:
        """A script, or what there is in its place."""
        if not self.shelf.well.is_set() and self.path == "/slow.js":
            self.shelf.over.wait(SECONDS)
        if not self.shelf.well.is_set() and self.path == "/gone.js":
            self.send_error(404)
        elif not self.shelf.well.is_set() and self.path == "/private.js":
            self.send_response(302)
            self.send_header("Location", self.shelf.leads_to)
            self.send_header("Content-Length", "0")
            self.end_headers()
        else:
            self.send_response(200)
            self.send_header("Content-Length", str(len(FINE)))
            self.end_headers()
            self.wfile.write(FINE.encode())

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's name
        """Nothing to say."""


@pytest.fixture
def shelf() -> Iterator[tuple[Shelf, str]]:
    """A running one, and its address."""
    made = Shelf()
    server = ThreadingHTTPServer((PUBLIC, 0), type("Handler", (_Handler,), {"shelf": made}))
    server.daemon_threads = True
    server.handle_error = lambda *_: None  # type: ignore[method-assign]  # the slow one's answer is not awaited
    made.leads_to = f"http://127.0.0.1:{server.server_port}/inside.js"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield made, f"http://{PUBLIC}:{server.server_port}"
    made.over.set()
    server.shutdown()
    server.server_close()
    thread.join(SECONDS)


def runs(child: Child, task: str, status: str) -> list[dict[str, Any]]:
    """The runs that have ended so, the latest first."""
    return [run for run in ask(child, "list_task_runs", id=task)["runs"] if run["status"] == status]


def look(child: Child) -> None:
    """Lets the timer check the clock, as it does every 15 seconds; returns when it has."""
    ask(child, "create_task", id="other", script="a.js", interval=1_000)
    wait_until(lambda: len(runs(child, "other", "success")) >= 2)
    ask(child, "delete_task", id="other")


def test_every_bad_script_is_noted_and_the_next_run_is_fine(tmp_path: Path, shelf: tuple[Shelf, str]) -> None:
    """All at once, each at the task's own time: typed, recorded, and mended by nothing but a script that is well."""
    served, url = shelf
    codes = {name: code for name, (_, code) in FILES.items()} | URLS
    for name, (text, _) in FILES.items():
        script(tmp_path, text, f"{name}.js")
    command = [sys.executable, "-c", INTO_THE_WORLD]
    with Child(tmp_path, command=command, env={"SIDECAR_SCRIPT_TIMEOUT": "6"}) as child:
        for name in codes:
            source = f"{url}/{name}.js" if name in URLS else f"{name}.js"
            ask(child, "create_task", id=name, script=source, interval=3_600_000)
        wait_until(lambda: all(runs(child, name, "failed") for name in codes), 40)
        failed = {name: runs(child, name, "failed") for name in codes}
        assert {name: [run["error"]["code"] for run in kept] for name, kept in failed.items()} == {
            name: [code] for name, code in codes.items()
        }
        for (run,) in failed.values():
            assert (run["trigger"], "due" in run, run["duration_ms"] >= 0) == ("interval", True, True)
        served.well.set()
        for name in codes:
            if name in FILES:
                script(tmp_path, FINE, f"{name}.js")
            ask(child, "update_task", id=name, interval=1_000)
        wait_until(lambda: all(runs(child, name, "success") for name in codes), 40)
        assert {runs(child, name, "success")[-1]["result"] for name in codes} == {"fine"}
        assert {len(runs(child, name, "failed")) for name in codes} == {1}
        assert child.end() == 0


@contextlib.contextmanager
def stepped(folder: Path) -> Iterator[tuple[Child, Path]]:
    """A sidecar with a task script, and the file that says by how many seconds its clock is set."""
    script(folder, FINE)
    steps = folder / "steps"
    steps.write_text("0")
    with Child(folder, command=[sys.executable, "-c", STEPPED, str(steps)]) as child:
        yield child, steps


def test_the_clock_is_set(tmp_path: Path) -> None:
    """A day forward: one run replaces all missed. An hour back: no time repeats, and the next one is reported right."""
    with stepped(tmp_path) as (child, steps):
        ask(child, "create_task", id="t", script="a.js", interval=3_600_000)
        wait_until(lambda: len(runs(child, "t", "success")) == 1)
        steps.write_text(str(timedelta(days=1).total_seconds()))
        look(child)
        wait_until(lambda: len(runs(child, "t", "success")) == 2, 40)
        assert ask(child, "get_task_status", id="t")["coalesced"] == 23
        due = runs(child, "t", "success")[0]["due"]
        before = ask(child, "get_task_status", id="t")["next_execution"]
        steps.write_text(str(timedelta(hours=23).total_seconds()))
        look(child)
        assert ask(child, "get_task_status", id="t")["next_execution"] == before > due
        assert len(runs(child, "t", "success")) == 2
        assert child.end() == 0


def test_the_clock_of_a_suspended_process_is_set(tmp_path: Path) -> None:
    """What a suspended machine does: both at once, and one run more."""
    with stepped(tmp_path) as (child, steps):
        ask(child, "create_task", id="t", script="a.js", interval=60_000)
        wait_until(lambda: len(runs(child, "t", "success")) == 1)
        child.signal(signal.SIGSTOP)
        began = time.monotonic()
        steps.write_text(str(timedelta(minutes=1).total_seconds()))
        wait_until(lambda: time.monotonic() > began + 1)
        child.signal(signal.SIGCONT)
        look(child)
        wait_until(lambda: len(runs(child, "t", "success")) == 2, 40)
        assert ask(child, "get_task_status", id="t")["coalesced"] == 0
        assert child.end() == 0
