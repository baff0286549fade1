"""What hosts a script may reach, and what all its requests may bring together, however many are on their way."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from aiohttp import web

from sidecar.browser.sandbox.task_session import FetchRequest, FetchResponse
from sidecar.clock import Clock
from sidecar.errors import LimitExceeded
from sidecar.net.public_http import PublicHttpClient
from sidecar.settings import MiB
from sidecar.tasks.script_host import MAX_TOTAL_BYTES, HostAllowlist, ScriptHost


@pytest_asyncio.fixture
async def site() -> AsyncIterator[str]:
    """Answers with as many bytes as its path says."""

    async def answer(request: web.Request) -> web.Response:
        return web.Response(body=b"x" * int(request.match_info["size"]))

    app = web.Application()
    app.router.add_get("/{size}", answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


async def fetched(site: str, size: int, times: int) -> list[FetchResponse | BaseException]:
    """The results of that many requests at once."""

    async def job(content: bytes, number: int) -> bytes:
        return content

    client = PublicHttpClient(Clock(), True)
    try:
        host = ScriptHost(client, HostAllowlist("*"), job)
        wanted = FetchRequest(url=f"{site}/{size}", method="GET", headers={}, body=None, redirect="follow")
        fetches = [host.fetch(wanted) for _ in range(times)]
        return await asyncio.gather(*fetches, return_exceptions=True)
    finally:
        await client.close()


async def test_answers_that_come_at_once_are_bounded_together(site: str) -> None:
    """Sixteen of three MiB: as many as fit, and the others say so."""
    outcomes = await fetched(site, 3 * MiB, 16)
    sizes = [len(one.body) for one in outcomes if isinstance(one, FetchResponse)]
    assert sum(sizes) == MAX_TOTAL_BYTES // (3 * MiB) * 3 * MiB
    assert {type(one) for one in outcomes if not isinstance(one, FetchResponse)} == {LimitExceeded}


async def test_small_answers_all_come(site: str) -> None:
    """What one might have brought is free again once it has brought less."""
    outcomes = await fetched(site, 10, 40)
    assert [one.body for one in outcomes if isinstance(one, FetchResponse)] == [b"x" * 10] * 40


@pytest.mark.parametrize(
    ("allowed", "host", "may"),
    [
        ("a.example", "a.example", True),
        ("a.example", "A.Example.", True),
        ("a.example", "b.a.example", False),
        ("*.a.example", "b.a.example", True),
        ("*.a.example", "c.b.a.example", True),
        ("*.a.example", "a.example", False),
        ("*.a.example", "evila.example", False),
        ("*", "anything.example", True),
        ("", "a.example", False),
        ("x.example, a.example", "a.example", True),
        ("127.0.0.1", "127.0.0.1", True),
    ],
)
def test_hosts(allowed: str, host: str, may: bool) -> None:
    """By their names."""
    assert HostAllowlist(allowed).allow(host) is may
