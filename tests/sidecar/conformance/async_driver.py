"""Lets the conformance cases use the Python client for asyncio."""

import asyncio
import json
import sys
from typing import Any

from sidecar.client import AsyncSidecar, SidecarEnded, SidecarFailure


def say(line: dict[str, Any]) -> None:
    """Prints what came of something."""
    print(json.dumps(line), flush=True)


async def ask(sidecar: AsyncSidecar, wanted: dict[str, Any]) -> None:
    """Asks for something and prints what is answered."""
    try:
        say({"as": wanted["as"], "content": await sidecar.request(wanted["type"], wanted.get("content"))})
    except SidecarFailure as wrong:
        detail = {"code": wrong.code, "message": wrong.message, "retryable": wrong.retryable, **wrong.fields}
        say({"as": wanted["as"], "error": detail})
    except SidecarEnded:
        say({"as": wanted["as"], "ended": True})


async def main(command: list[str]) -> None:
    """Does what stdin says."""
    sidecar = AsyncSidecar(
        command, on_event=lambda event: say({"event": event["event"], "content": event["content"]}), timeout=30
    )
    try:
        await sidecar.open()
    except SidecarEnded:
        say({"ended": True})
        return
    asked, ids = list[asyncio.Future[Any]](), dict[str, int]()
    while line := await asyncio.to_thread(sys.stdin.readline):
        wanted = json.loads(line)
        if name := wanted.get("cancel"):
            asked.append(asyncio.ensure_future(sidecar.request("cancel", {"id": ids[name]})))
        else:
            asked.append(asyncio.ensure_future(ask(sidecar, wanted)))
            await asyncio.sleep(0)
            ids[wanted["as"]] = max(sidecar._core._waiting, default=0)
    await asyncio.sleep(0)
    await sidecar.close()
    await asyncio.gather(*asked)
    say({"closed": sidecar._core.child.process.returncode})


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
