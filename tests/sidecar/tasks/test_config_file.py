"""Configuration files of scripts: what a task takes from them, and what is wrong with them."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web
from sidecar_protocol.errors import WireError
from sidecar_protocol.tasks import CreateTask, Task

from sidecar.storage.database import Database
from tests.clocks import ManualClock
from tests.sidecar.tasks.modules import put
from tests.sidecar.tasks.parts import Queue, TaskHarness, read


@pytest_asyncio.fixture
async def harness(tmp_path: Path) -> AsyncIterator[TaskHarness]:
    """One process's tasks; scripts lie in `tmp_path`."""
    database = Database.in_memory()
    harness = TaskHarness(database, ManualClock(), Queue(), tmp_path)
    yield harness
    await harness.tasks.close()
    await harness.public_http.close()
    await database.close()


async def make(harness: TaskHarness, **content: Any) -> Task:
    """Creates a task of exactly this."""
    return await harness.tasks.create(read(CreateTask, content), "", "")


TIMES = {"init": "2040-01-31T12:00:00Z", "end": "2041-01-31T12:00:00.000Z", "interval": 3_600_000}


async def test_times_and_config_come_from_the_file(harness: TaskHarness, tmp_path: Path) -> None:
    """Its own form, that of a whole task, and a cron."""
    whole = {"id": "x", "script": "y", "running": False, **TIMES, "config": {"agreementId": 7}}
    put(
        tmp_path,
        {"shop/prices.json": {**TIMES, "shop": "a", "list": [1]}, "whole.json": whole, "at.json": {"cron": "@daily"}},
    )
    made = await make(harness, script="shop/prices.js")
    assert (made.init, made.end, made.interval) == ("2040-01-31T12:00:00Z", "2041-01-31T12:00:00Z", 3_600_000)
    assert (made.config, made.running) == ({"shop": "a", "list": [1]}, True)
    made = await make(harness, id="w", script="whole.mjs")
    assert (made.id, made.script, made.running, made.config) == ("w", "whole.mjs", True, {"agreementId": 7})
    made = await make(harness, script="at.cjs")
    assert (made.cron, made.zone, made.interval, made.config) == ("@daily", "UTC", None, {})


async def test_what_the_message_gives_holds(harness: TaskHarness, tmp_path: Path) -> None:
    """Member by member; with a time of its own the file is not looked at."""
    put(tmp_path, {"a.json": {**TIMES, "shop": "a"}, "data.json": "[1]", "job.json": TIMES})
    made = await make(harness, script="a.js", config={}, end="2042-01-01", running=False)
    assert (made.config, made.end, made.interval, made.running) == ({}, "2042-01-01T00:00:00Z", 3_600_000, False)
    made = await make(harness, script="a.js", interval=5_000)
    assert (made.interval, made.end, made.config) == (5_000, None, {})
    made = await make(harness, script="data.js", cron="@hourly")
    assert (made.cron, made.config) == ("@hourly", {})


@pytest.mark.parametrize(
    ("script", "said", "field"),
    [
        ("none.js", "interval: a task needs either an interval or a cron, in the message or in none.json", "interval"),
        ("timeless.js", "interval: a task needs either an interval or a cron", "interval"),
        ("a", "interval: a task needs either an interval or a cron", "interval"),
        ("list.js", "script: list.json holds no object", "script"),
        ("broken.js", "script: broken.json is not JSON", "script"),
        ("deep.js", "script: deep.json holds too much: nested over 200 levels", "script"),
        ("text.js", "text.json.interval: ", "text.json.interval"),
        ("fast.js", "fast.json.interval: ", "fast.json.interval"),
        ("moment.js", "init: expected a date and time", "init"),
        ("both.js", "interval: a task has either an interval or a cron", "interval"),
        ("../a.js", "script: ", "script"),
    ],
)
async def test_what_is_wrong_with_a_file(
    harness: TaskHarness, tmp_path: Path, script: str, said: str, field: str
) -> None:
    """Its name, and the member."""
    files = {
        "timeless.json": {"shop": "a"},
        "list.json": "[1]",
        "broken.json": "{",
        "deep.json": '{"a":' + "[" * 300 + "]" * 300 + "}",
        "text.json": {"interval": "soon"},
        "fast.json": {"interval": 10},
        "moment.json": {"interval": 5_000, "init": "tomorrow"},
        "both.json": {"interval": 5_000, "cron": "@daily"},
    }
    put(tmp_path, files)
    with pytest.raises(WireError) as failed:
        await make(harness, script=script)
    assert failed.value.message.startswith(said)
    assert failed.value.detail.field == field


async def test_a_script_from_a_url_has_its_file_there(harness: TaskHarness) -> None:
    """With the same query; what is not there is said without it."""

    async def answer(request: web.Request) -> web.Response:
        if request.path == "/public/director/prices.json" and request.query["key"] == "s3cret":
            return web.json_response({**TIMES, "shop": "a"})
        raise web.HTTPNotFound

    app = web.Application()
    app.router.add_get("/{tail:.*}", answer)
    server = web.AppRunner(app, shutdown_timeout=0.1)
    await server.setup()
    await web.TCPSite(server, "127.0.0.1", 0).start()
    base = "http://{}:{}/public/director".format(*server.addresses[0][:2])
    made = await make(harness, script=f"{base}/prices.js?key=s3cret")
    assert (made.interval, made.config) == (3_600_000, {"shop": "a"})
    with pytest.raises(WireError, match=r"in other\.json next to the script$"):
        await make(harness, script=f"{base}/other.js?key=s3cret")
    await server.cleanup()
