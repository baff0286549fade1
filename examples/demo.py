"""The demo: a shop and a stand-in RT-CV server on 127.0.0.1, and two runs of the Python scraper.

Then a second script leaves work behind, which reports to a webhook, and the first scrape, which was recorded, is
replayed with the shop and the server gone. `make demo` runs it. What it leaves is in `demo-output/`, which each run
begins afresh. The exit code is 0 only if the first scrape sent twenty items, the second one none, the receiver heard of
the work's end, and the replay answered the same. `--again COMMAND` brings the same two servers up for a command.
"""

import argparse
import asyncio
import json
import os
import shlex
import shutil
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from aiohttp import web

from examples.receiver import SECRET, Receiver
from examples.shop import ITEMS, Shop
from tests.fakes import ENCRYPTION_KEY, KEY, KEY_ID, StandInRtcv

ROOT: Final = Path(__file__).parent.parent
SCRAPER: Final = ROOT / "examples" / "python" / "scraper.py"
LATER: Final = ROOT / "examples" / "python" / "later.py"
INPUT_LOG: Final = "scraper_client_input.log"
EXPECTED: Final = sum(item.in_stock for item in ITEMS)
TIME_LIMIT: Final = 120.0
"""Seconds that one child may take."""


@dataclass(frozen=True)
class Output:
    """The folder for the demo's output."""

    folder: Path

    @property
    def state(self) -> Path:
        """The sidecar's state folder."""
        return self.folder / "state"

    @property
    def log(self) -> Path:
        """The input log of both scrapes."""
        return self.folder / INPUT_LOG

    @property
    def secrets(self) -> Path:
        """The secrets that a replay fills in for the log's placeholders."""
        return self.folder / "secrets.json"

    @property
    def recording(self) -> Path:
        """The first scrape as it was recorded."""
        return self.folder / "recording"

    @property
    def ports(self) -> Path:
        """The servers' ports, for a later replay."""
        return self.folder / "ports.json"

    def begin(self) -> None:
        """Removes an earlier demo's output, and nothing else."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for folder in (self.state, self.recording):
            shutil.rmtree(folder, ignore_errors=True)
        for file in (self.log, self.secrets, self.ports):
            file.unlink(missing_ok=True)
        self.secrets.touch(0o600)
        self.secrets.write_text(json.dumps({"api_key": KEY, "encryption_key": ENCRYPTION_KEY}))


@asynccontextmanager
async def servers(shop_port: int = 0, rtcv_port: int = 0) -> AsyncIterator[tuple[str, StandInRtcv]]:
    """The shop's URL and the stand-in server, until the block ends."""
    runner = web.AppRunner(Shop().app(), access_log=None, shutdown_timeout=1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", shop_port).start()
        async with StandInRtcv(port=rtcv_port) as rtcv:
            yield f"http://127.0.0.1:{runner.addresses[0][1]}", rtcv
    finally:
        await runner.cleanup()


async def run(*command: str | Path, cwd: Path, env: Mapping[str, str]) -> int:
    """Runs a command, its output on ours; returns its exit code."""
    child = await asyncio.create_subprocess_exec(*command, cwd=cwd, env=os.environ | env)
    try:
        async with asyncio.timeout(TIME_LIMIT):
            return await child.wait()
    except TimeoutError:
        child.kill()
        return await child.wait()


async def demonstrate(output: Output) -> list[str]:
    """Scrapes twice; returns broken promises."""
    async with servers() as (shop, rtcv):
        print(f"A shop at {shop}, a stand-in RT-CV server at {rtcv.url}.")
        output.ports.write_text(json.dumps([int(url.rpartition(":")[2]) for url in (shop, rtcv.url)]))
        wrong = []
        for name, expected in (("first", EXPECTED), ("second", 0)):
            print(f"\nThe {name} scrape")
            before, began = len(rtcv.to("scanCV")), time.monotonic()
            recorded = {"SIDECAR_RECORD": str(output.recording)} if name == "first" else {}
            code = await scrape(output, shop, rtcv.url, recorded)
            cvs = [request.json["cv"] for request in rtcv.to("scanCV")[before:]]
            print(f"  done in {time.monotonic() - began:.1f} s; the server received {described(cvs)}")
            if code != 0:
                wrong.append(f"the {name} scrape ended with exit code {code}")
            if len(cvs) != expected or len({cv["referenceNumber"] for cv in cvs}) != expected:
                wrong.append(f"the {name} scrape sent {len(cvs)} CVs and should have sent {expected} different ones")
        return wrong + await leave_work(output, shop)


async def leave_work(output: Output, shop: str) -> list[str]:
    """Queues a job and creates a task; returns broken promises."""
    print("\nWork that is left behind")
    receiver = Receiver()
    async with receiver.listening():
        env = {
            "SHOP_URL": shop,
            "WEBHOOK_URL": receiver.url,
            "WEBHOOK_SECRET": SECRET,
            "SIDECAR_HOME": str(output.state),
            "SIDECAR_ALLOW_PRIVATE_NETWORK": "true",  # the receiver is on this machine
            "PYTHONUNBUFFERED": "1",
        }
        code = await run(sys.executable, LATER, cwd=output.folder, env=env)
    states = [update["runState"] for update in receiver.updates if update["jobName"] == "look in"]
    print(f"  the webhook received, signed: {', '.join(states)}")
    print("\nWhat is planned, and what ran")
    agenda = await run(sys.executable, "-m", "sidecar", "agenda", cwd=ROOT, env={"SIDECAR_HOME": str(output.state)})
    as_promised = code == agenda == 0 and states[-1:] == ["COMPLETED"]
    return [] if as_promised else [f"the work left behind ended with exit code {code}, reported as {states}"]


async def scrape(output: Output, shop: str, rtcv: str, more: Mapping[str, str]) -> int:
    """Runs the scraper once; returns its exit code."""
    env = {
        "SHOP_URL": shop,
        "RTCV_URL": rtcv,
        "RTCV_KEY_ID": KEY_ID,
        "RTCV_KEY": KEY,
        "RTCV_ENCRYPTION_KEY": ENCRYPTION_KEY,
        "SIDECAR_HOME": str(output.state),
        "LOG_SCRAPER_CLIENT_INPUT": "true",  # into the working folder
        "PYTHONUNBUFFERED": "1",
        **more,
    }
    return await run(sys.executable, SCRAPER, cwd=output.folder, env=env)


async def replay_offline(output: Output) -> list[str]:
    """Replays the first scrape, with the shop and the server gone; returns what was not as promised."""
    print("\nThe first scrape again, offline: the shop and the server are switched off")
    command = "-m", "sidecar", "replay", str(output.recording), "--check"
    code = await run(sys.executable, *command, cwd=ROOT, env={"SIDECAR_HOME": str(output.state)})
    return [] if code == 0 else ["the offline replay answered other than the shop and the server did"]


def described(cvs: list[dict[str, Any]]) -> str:
    """The number of CVs, the first and the last."""
    if not cvs:
        return "no CVs: all are remembered"
    return f"{len(cvs)} CVs, from {cvs[0]['referenceNumber']} to {cvs[-1]['referenceNumber']}"


def show_files(output: Output) -> list[str]:
    """Prints the scrapes' files; returns the missing ones."""
    print("\nWhat is left")
    left = {"screenshot": sorted(output.state.glob("**/*.png")), "input log": [output.log], "store": [output.state]}
    left["recording"] = [output.recording / "manifest.json"]
    wrong = []
    for what, files in left.items():
        for file in files:
            print(f"  {what:<11} {shown(file)}")
        if not files or not all(file.exists() for file in files):
            wrong.append(f"no {what} was left")
    return wrong


def show_replay(output: Output) -> None:
    """Prints the commands that show and replay the scrapes."""
    where = [] if output.folder == ROOT / "demo-output" else ["--output", shown(output.folder)]
    sidecar, report = shown(Path(sys.executable).with_name("sidecar")), shown(output.folder / "report.html")
    print("\nSee what happened, on one page:")
    print("  " + shlex.join([sidecar, "report", shown(output.recording), "-o", report]))
    print("\nReplay the session, with the shop and the server up again:")
    replay = [sidecar, "-replay", shown(output.log), "--secrets", shown(output.secrets)]
    print("  " + shlex.join([shown(Path(sys.executable)), "-m", "examples.demo", *where, "--again", *replay]))


def shown(file: Path) -> str:
    """A path relative to the working folder, if it is below it."""
    return str(file.relative_to(Path.cwd()) if file.is_relative_to(Path.cwd()) else file)


async def run_again(output: Output, command: list[str]) -> int:
    """Runs a command with the servers on their old ports; returns its exit code."""
    shop_port, rtcv_port = json.loads(output.ports.read_text())
    async with servers(shop_port, rtcv_port):
        return await run(*command, cwd=Path.cwd(), env={"SIDECAR_HOME": str(output.state)})


def main() -> int:
    """Runs the demo. The exit code is 1 if a promise was broken."""
    parser = argparse.ArgumentParser(prog="python -m examples.demo", description="The sidecar's demo.")
    parser.add_argument("--output", type=Path, default=ROOT / "demo-output", help="folder for what the demo leaves")
    parser.add_argument("--again", nargs=argparse.REMAINDER, metavar="COMMAND", help="run this with the servers up")
    options = parser.parse_args()
    output = Output(options.output.absolute())
    if options.again:
        return asyncio.run(run_again(output, options.again))
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    output.begin()
    wrong = asyncio.run(demonstrate(output)) + asyncio.run(replay_offline(output)) + show_files(output)
    for sentence in wrong:
        print(f"NOT AS PROMISED: {sentence}", file=sys.stderr)
    if not wrong:
        show_replay(output)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
