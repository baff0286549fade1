"""Mixed work for minutes, and the growth of memory: `python -m benchmarks.soak --minutes 10`.

CVs for two servers of which the second always fails, signed webhooks, a script and a browser task that run all the
time, and references that are set and asked for. Exits 1 when memory still grows at the end by more than the bound.
"""

import argparse
import sys
import tempfile
import time
from itertools import count
from pathlib import Path
from typing import Any

import psutil

from tests.harness import Child, Rtcv, receiver, rtcv

MOST_GROWTH = 0.3
"""Allowed MB a minute over the second half: less is the noise of a reused heap."""
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
SCRIPT = "module.exports.main = () => { console.log('x'.repeat(500)); return 'done' }"
ROUND = 0.1
"""Seconds between two batches of CVs and references."""
PATIENCE = 120.0
"""Seconds that one answer may take on a busy machine."""
SETTLE = 60
"""Seconds before the first reading counts."""
MB = 1 << 20


def main() -> int:
    """Prints a line a minute; exits 1 when the second half grows too fast."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--command", nargs=argparse.REMAINDER, help="another child than `python -m sidecar`")
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="sidecar-soak-") as name,
        rtcv() as first,
        rtcv() as second,
        receiver() as hooks,
    ):
        second.server.fail("scanCV", "error", count=None)
        growth = _run(Path(name), (first, second, hooks), options.minutes * 60, options.command)
    print(f"the second half grew by {growth:.2f} MB a minute; at most {MOST_GROWTH}")
    return 0 if growth <= MOST_GROWTH else 1


def _run(folder: Path, servers: tuple[Rtcv, Rtcv, Rtcv], seconds: float, command: list[str] | None) -> float:
    scripts = folder / "scripts"
    scripts.mkdir()
    (scripts / "s.js").write_text(SCRIPT)
    env = {"SIDECAR_ALLOW_PRIVATE_NETWORK": "true", "SIDECAR_SCRIPTS_FOLDER": str(scripts)}
    readings: list[tuple[float, float]] = []
    with Child(folder, env=env, command=command) as child:
        _prepare(child, *servers)
        process, begun, numbers = psutil.Process(child.pid), time.monotonic(), count()
        while (passed := time.monotonic() - begun) < SETTLE + seconds:
            _batch(child, next(numbers))
            for one in servers:
                one.server.requests.clear()
            if passed > SETTLE and passed - SETTLE > len(readings) * 10:
                readings.append((passed / 60, process.memory_info().rss / MB))
                if len(readings) % 6 == 1:
                    print(f"{passed / 60:5.1f} min  {readings[-1][1]:6.1f} MB  {next(numbers)} batches", flush=True)
            time.sleep(ROUND)
    return _slope(readings[len(readings) // 2 :])


def _prepare(child: Child, first: Rtcv, second: Rtcv, hooks: Rtcv) -> None:
    servers = [{**first.credentials, "primary": True, "name": "a"}, {**second.credentials, "name": "b"}]
    for message in (
        {"type": "hello", "content": {"notifications": True}},
        {"type": "set_multiple_credentials", "content": servers},
        {"type": "set_webhooks", "content": [{"url": f"{hooks.server.url}/hook", "secret": SECRET}]},
        {"type": "create_task", "content": {"id": "script", "interval": 2_000, "script": "s.js"}},
        {
            "type": "create_task",
            "content": {"id": "job", "interval": 3_000, "job": {"steps": [{"url": "data:text/html,<h1>x</h1>"}]}},
        },
    ):
        _ask(child, message)


def _batch(child: Child, number: int) -> None:
    """One CV that matches, and twenty references set and looked up, as a scraper would."""
    _ask(child, {"type": "send_cv", "content": {"referenceNumber": f"cv-{number}", "text": "x" * 2_000}})
    for one in range(20):
        reference = f"page-{(number * 20 + one) % 5_000}"
        _ask(child, {"type": "set_short_cached_reference", "content": reference})
        _ask(child, {"type": "has_cached_reference", "content": reference})


def _ask(child: Child, message: dict[str, Any]) -> None:
    child.send(message)
    while (reply := child.read(PATIENCE))["type"] == "event":
        pass
    if reply["type"] != "ok":
        raise SystemExit(f"{message['type']}: {reply}")


def _slope(readings: list[tuple[float, float]]) -> float:
    """MB a minute, by least squares."""
    mean_x = sum(x for x, _ in readings) / len(readings)
    mean_y = sum(y for _, y in readings) / len(readings)
    spread = sum((x - mean_x) ** 2 for x, _ in readings)
    return sum((x - mean_x) * (y - mean_y) for x, y in readings) / spread if spread else 0.0


if __name__ == "__main__":
    sys.exit(main())
