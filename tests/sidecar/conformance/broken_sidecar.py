"""A sidecar with two faults: it answers no blank line, and its ids pass through a float."""

import json
import os
import signal
import subprocess
import sys
import threading

real = subprocess.Popen([sys.executable, "-m", "sidecar"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
assert real.stdin
assert real.stdout


def answer() -> None:
    """Hands on what the real one answers."""
    for line in real.stdout or ():
        reply = json.loads(line)
        if isinstance(reply.get("id"), int):
            reply["id"] = int(float(reply["id"]))
        print(json.dumps(reply), flush=True)


def end(number: int, _: object) -> None:
    """Ends as the real one does."""
    real.send_signal(number)
    code = real.wait()
    thread.join()
    os._exit(code)


thread = threading.Thread(target=answer)
thread.start()
signal.signal(signal.SIGTERM, end)
signal.signal(signal.SIGINT, end)
for request in sys.stdin.buffer:
    if request.strip():
        real.stdin.write(request)
        real.stdin.flush()
real.stdin.close()
code = real.wait()
thread.join()
sys.exit(code)
