"""A child that answers on cue, for the tests of both clients."""

import sys
from typing import Any

from sidecar.client import Sidecar

CHILD = """
import json, sys, time

def say(reply):
    print(json.dumps(reply), flush=True)

say({"type": "ready", "content": "waiting for credentials", "protocol": "2.0", "version": "0", "pid": 1})
held = []
for line in sys.stdin:
    request = json.loads(line)
    kind, content, ident = request["type"], request.get("content"), {"id": request["id"]}
    if len(line) > 100_000:
        error = {"code": "line_too_long", "message": "long", "retryable": False}
        say({"type": "error", "content": "long", "error": error})
    elif kind == "hold":
        held.append(ident)
    elif kind == "release":
        for other in reversed([ident, *held]):
            say({"type": "ok", "content": other["id"], **other})
    elif kind == "fail":
        error = {"code": "action_failed", "message": "no button", "retryable": False, "step": "list", "action": "click"}
        say({"type": "error", "content": "no button", "error": error, **ident})
    elif kind == "notify":
        say({"type": "event", "event": "progress", "content": content})
        say({"type": "ok", **ident})
    elif kind == "ping":
        say({"type": "pong", **ident})
    elif kind == "nonsense":
        print("Traceback", flush=True)
    elif kind == "die":
        sys.exit(3)
    elif kind == "stay":
        say({"type": "ok", **ident})
        sys.stdin.read()
        time.sleep(600)
    elif kind == "deaf":
        say({"type": "ok", **ident})
        time.sleep(600)
    else:
        say({"type": "ok", "content": {"type": kind, "content": content}, **ident})
for other in held:
    say({"type": "ok", "content": "late", **other})
"""


def child(**options: Any) -> Sidecar:
    """A client whose child follows the script above."""
    return Sidecar([sys.executable, "-c", CHILD], timeout=30, **options)
