"""Runs the demo's servers: on 127.0.0.1, as children that print their address and end with their parent."""

import asyncio
import json
import os
import threading
from collections.abc import Mapping

from aiohttp import web


async def serve_until_stdin_closes(app: web.Application, port: int, also_tell: Mapping[str, str] | None = None) -> None:
    """Prints one line of JSON with the `url` and other details, then serves until stdin ends."""
    closed = asyncio.Event()
    loop = asyncio.get_running_loop()

    def watch() -> None:
        while os.read(0, 4096):
            pass
        loop.call_soon_threadsafe(closed.set)

    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
        print(json.dumps({"url": f"http://127.0.0.1:{runner.addresses[0][1]}", **(also_tell or {})}), flush=True)
        threading.Thread(target=watch, daemon=True).start()  # a thread reads from files and terminals too
        await closed.wait()
    finally:
        await runner.cleanup()
