"""A client with two faults: it reads at most 64 KiB of a line, and takes each answer for the oldest request's."""

import json
import subprocess
import sys
from typing import Any

child = subprocess.Popen(sys.argv[1:], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
assert child.stdin
assert child.stdout


def read() -> Any:
    """The next line that is no event."""
    while True:
        line = (child.stdout.readline(1 << 16) if child.stdout else b"") or b'{"type":"gone"}'
        try:
            reply = json.loads(line)
        except ValueError:
            return {"type": "gone"}
        if reply["type"] != "event":
            return reply
        print(json.dumps({"event": reply["event"], "content": reply["content"]}), flush=True)


def write(kind: str, content: Any, number: int) -> None:
    """Sends a request."""
    message = {"id": number, "type": kind} | ({} if content is None else {"content": content})
    try:
        child.stdin.write(json.dumps(message).encode() + b"\n")  # type: ignore[union-attr]
        child.stdin.flush()  # type: ignore[union-attr]
    except OSError:
        pass


ready = read()
if ready["type"] != "ready" or not str(ready.get("protocol")).startswith("2."):
    print(json.dumps({"ended": True}))
    child.kill()
    sys.exit()
write("hello", {"notifications": True}, 0)
read()
wishes = [json.loads(line) for line in sys.stdin]
for number, wish in enumerate(wishes, 1):
    if "cancel" in wish:
        write("cancel", {"id": number - 1}, number)
    else:
        write(wish["type"], wish.get("content"), number)
for wish in wishes:
    reply = read()
    if "as" in wish:
        came = {"error": reply["error"]} if reply["type"] == "error" else {"content": reply.get("content")}
        print(json.dumps({"as": wish["as"]} | ({"ended": True} if reply["type"] == "gone" else came)), flush=True)
child.stdin.close()
print(json.dumps({"closed": child.wait()}), flush=True)
