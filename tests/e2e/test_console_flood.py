"""A page that writes without end to its console: what that costs here is bounded, and given back."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.harness import Child

pytestmark = pytest.mark.browser

LINES = 8_000
MOST = 32 << 10
"""Kilobytes more than before, at any time; eight thousand lines with a handle each took 50,000."""
FLOOD = """async (lines) => {
  for (let i = 0; i < lines; i++) {
    console.log('line', i)
    if (i % 1000 === 0) await new Promise((go) => setTimeout(go, 1))
  }
}"""


def memory(pid: int, name: str) -> int:
    """Kilobytes of a process: `VmRSS` is what it has, `VmHWM` the most that it had."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(name)).split()[1])


@pytest.fixture(scope="module")
def child(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Child]:
    """A sidecar with a browser that has done a few jobs."""
    with Child(tmp_path_factory.mktemp("flood")) as running:
        yield running


def run(child: Child, kind: str, *actions: Any, **more: Any) -> Any:
    """The only step's result."""
    step = {"url": "data:text/html,<p>a", "actions": list(actions), "timeout_ms": 100_000}
    content = {"steps": [step], "browser": kind, "timeout_ms": 120_000, **more}
    child.send({"type": "send_job", "content": content})
    reply = child.read(150)
    assert reply["type"] == "ok", reply
    return reply["content"]["result"]["steps"][0]


@pytest.mark.parametrize(
    ("kind", "more"), [("CHROMIUM", {}), ("CHROMIUM", {"profile": "shop"}), ("FIREFOX", {"profile": "shop"})]
)
def test_a_flood_of_lines_costs_bounded_memory(child: Child, kind: str, more: dict[str, Any]) -> None:
    """The last lines are reported, of this job and of the next one only its own."""
    flood = {"evaluate": {"expression": FLOOD, "arg": LINES}}
    run(child, kind, {"evaluate": {"expression": FLOOD, "arg": 10}}, **more)
    before = memory(child.process.pid, "VmRSS")
    Path(f"/proc/{child.process.pid}/clear_refs").write_text("5")  # resets the peak
    reported = run(child, kind, flood, {"evaluate": "console.log('the end')"}, **more)["console"]
    assert 180 <= len(reported) <= 200
    assert reported[-1] == "the end"
    assert reported[:-1] == [f"line {number}" for number in range(LINES - len(reported) + 1, LINES)]
    assert memory(child.process.pid, "VmHWM") - before < MOST
    assert run(child, kind, {"evaluate": "console.log('mine')"}, **more)["console"] == ["mine"]
