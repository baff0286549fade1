"""Provokes the failures that no single request has by itself: a full queue, a crash, an end.

Each is that of a real sidecar, of which the machine around it takes something away.
"""

import contextlib
import json
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import psutil

from tests.harness import Child

Exchange = tuple[Any, Any]
"""A request as it is shown, and its reply."""
_PAGE: Final = "data:text/html,<h1>Hello</h1>"
_SECONDS: Final = 60.0


def provoked(folder: Path) -> Iterator[Exchange]:
    """Every one of them; `folder` is for states and recordings."""
    folders = iter(range(10))

    def fresh() -> Path:
        own = folder / f"failure-{next(folders)}"
        own.mkdir()
        return own

    yield _line_too_long(fresh())
    yield from _of_one_browser(fresh())
    yield _not_recorded(fresh())
    yield _internal(fresh())


def _endless_job(request_id: int) -> dict[str, Any]:
    steps = [{"url": _PAGE}, {"url": _PAGE, "actions": [{"wait_for_timeout": 30_000}]}]
    return {"type": "send_job", "id": request_id, "content": {"steps": steps}}


class _Lines:
    """What a child writes; lines that are not waited for yet are kept."""

    def __init__(self, child: Child) -> None:
        self._child = child
        self._kept: list[dict[str, Any]] = []

    def reply(self, request_id: int) -> dict[str, Any]:
        """The reply to the request with that id."""
        return self._first(lambda line: line["type"] != "event" and line.get("id") == request_id)

    def opened(self, request_id: int) -> None:
        """Waits until that job has opened its page: its second step has begun."""
        self._first(
            lambda line: line.get("event") == "progress" and line["id"] == request_id and line["content"]["step"] == 2
        )

    def _first(self, is_wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        for line in self._kept:
            if is_wanted(line):
                self._kept.remove(line)
                return line
        while not is_wanted(line := self._child.read(_SECONDS)):
            self._kept.append(line)
        return line


def _line_too_long(folder: Path) -> Exchange:
    request = {"type": "send_cv", "content": {"referenceNumber": "abcd", "presentation": "A carpenter. " * 100}}
    with Child(folder, env={"SIDECAR_MAX_LINE": "1024"}) as child:
        (reply,) = child.ask(request)
    return {
        "type": "send_cv",
        "content": {"referenceNumber": "abcd", "presentation": "A carpenter. … 1300 letters"},
    }, reply


def _of_one_browser(folder: Path) -> Iterator[Exchange]:
    """What becomes of jobs that are many, cancelled, in a browser that is missing or crashes, or at the end."""
    env = {
        "SIDECAR_CONCURRENCY": "1",
        "SIDECAR_MAX_QUEUED_JOBS": "1",
        "SIDECAR_SHUTDOWN_TIMEOUT": "0",
        "SIDECAR_WEBKIT": "",
        "PLAYWRIGHT_BROWSERS_PATH": str(folder),
    }
    with Child(folder, env=env) as child:
        child.ask({"type": "hello", "content": {"notifications": True}})
        lines = _Lines(child)
        first, second, third = (_endless_job(number) for number in (1, 2, 3))
        child.send(first)
        lines.opened(1)
        child.send(second, third)
        yield third, lines.reply(3)
        child.send({"type": "cancel", "content": {"id": 1}})
        yield first, lines.reply(1)
        lines.opened(2)
        for process in psutil.Process(child.pid).children(recursive=True):
            with contextlib.suppress(psutil.Error):  # one that has ended meanwhile
                if "--type=renderer" in process.cmdline():
                    process.kill()
        yield second, lines.reply(2)
        missing = {"type": "send_job", "id": 4, "content": {"browser": "WEBKIT", "steps": [{"url": _PAGE}]}}
        child.send(missing)
        yield missing, lines.reply(4)
        last = _endless_job(5)
        child.send(last)
        lines.opened(5)
        child.signal(signal.SIGTERM)
        yield last, lines.reply(5)


def _not_recorded(folder: Path) -> Exchange:
    recording = str(folder / "recording")
    request = {"type": "send_job", "content": {"steps": [{"url": "https://shop.example/page-2"}]}}
    with Child(folder, env={"SIDECAR_RECORD": recording}) as child:
        child.ask({"type": "ping"})
        child.end()
    with Child(folder, env={"SIDECAR_OFFLINE": recording}) as child:
        (reply,) = child.ask(request)
    return request, reply


def _internal(folder: Path) -> Exchange:
    state = folder / "state"
    (state / "sidecar.db").mkdir(parents=True)
    request = {"type": "send_job", "content": {"mode": "async", "steps": [{"url": _PAGE}]}}
    with Child(folder) as child:
        (reply,) = child.ask(request)
    return request, json.loads(json.dumps(reply).replace(str(state), "/var/lib/sidecar"))
