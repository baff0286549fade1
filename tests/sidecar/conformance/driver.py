"""Lets the conformance cases use the Python client that waits."""

import json
import sys
import threading
from typing import Any

from sidecar.client import Sidecar, SidecarEnded, SidecarFailure

_SAYING = threading.Lock()


def say(line: dict[str, Any]) -> None:
    """Prints what came of something."""
    with _SAYING:
        print(json.dumps(line), flush=True)


def told(name: str, answer: Any) -> None:
    """Prints an answer."""
    wrong = answer.exception()
    if isinstance(wrong, SidecarFailure):
        detail = {"code": wrong.code, "message": wrong.message, "retryable": wrong.retryable, **wrong.fields}
        say({"as": name, "error": detail})
    elif wrong is not None:
        say({"as": name, "ended": True})
    else:
        say({"as": name, "content": answer.result()})


def main(command: list[str]) -> None:
    """Does what stdin says."""
    try:
        sidecar = Sidecar(
            command, on_event=lambda event: say({"event": event["event"], "content": event["content"]}), timeout=30
        )
    except SidecarEnded:
        say({"ended": True})
        return
    asked: dict[str, Any] = {}
    for line in sys.stdin:
        wanted = json.loads(line)
        try:
            if name := wanted.get("cancel"):
                cancel = sidecar._core.cancel(asked[name])
                assert cancel is not None
                sidecar._core.send(cancel)
                continue
            name = wanted["as"]
            one = asked[name] = sidecar._core.ask(wanted["type"], wanted.get("content"))
        except SidecarEnded:
            say({"as": name, "ended": True})
            continue
        one.answer.add_done_callback(lambda answer, name=name: told(name, answer))  # type: ignore[misc]
        sidecar._core.send(one)
    sidecar.close()
    say({"closed": sidecar._core.child.process.returncode})


if __name__ == "__main__":
    main(sys.argv[1:])
