"""Deliveries: the speed of a full outbox, compared with a loop that signs and posts, and the cost of a full one."""

import asyncio
import hashlib
import hmac
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import aiohttp
from sidecar_protocol.webhooks import Webhook
from sidecar_protocol.wire_types import Secret, Secrets

from benchmarks.bench import SIDECAR, Bench, Figure
from benchmarks.child import Child
from benchmarks.lines import line
from sidecar.clock import Clock
from sidecar.deliveries.delivery_manager import open_deliveries
from sidecar.encryption import Encryptor
from sidecar.net.http_client import HttpClient
from sidecar.net.public_http import PublicHttpClient
from sidecar.storage.database import Database
from sidecar.storage.outbox import OutboxMessage

SECRET: Final = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
STORE_KEY: Final = "a2V5IG9mIHRoaXJ0eS10d28gYnl0ZXMsIGFsd2F5cy4="
UPDATE: Final = b'{"schema":"iglu:com.example/job_update/jsonschema/1-0-0","data":"%s"}' % (b"x" * 2000)
WAITING: Final = 100_000
SENT: Final = 3_000
LANE: Final = 10
"""Number of updates of one run, which arrive in order."""
AT_ONCE: Final = 8
MB: Final = 1e6
PATH: Final = "/api/v1/health"
"""The address of a server that answers every post at once."""


def delivery(bench: Bench) -> list[Figure]:
    """Signed updates a second with the sidecar on one core; start and memory with 100,000 of them waiting."""
    with bench.server() as url:
        floor, sidecar = bench.medians(lambda: asyncio.run(_posts(url + PATH)), lambda: _emptied(bench, url + PATH))
        empty, full, held = _starts(bench)
    return [
        Figure("signed updates to one receiver, one core", "1/s", None, sidecar, least=300),
        Figure("the same, compared with a loop that signs and posts", "1/s", floor, sidecar, least=0.1),
        Figure(f"start to ready with {WAITING:,} waiting, above none", "ms", None, (full - empty) * 1000, most=50),
        Figure(f"memory with {WAITING:,} waiting", "MB", None, held / MB, most=100),
    ]


def _starts(bench: Bench) -> tuple[float, float, float]:
    """Seconds to `ready` without and with deliveries, and bytes held while they are sent."""
    home = bench.folder / "full"
    home.mkdir()
    asyncio.run(_fill(home, "http://127.0.0.1:1/", WAITING))
    held = 0.0

    def ready(folder: Path) -> float:
        with bench.child(SIDECAR, **_variables(folder)) as child:
            return child.seconds_to_ready

    empty, full = bench.medians(lambda: ready(bench.folder / "none"), lambda: ready(home))
    with bench.child(SIDECAR, **_variables(home)) as child:
        deadline = time.perf_counter() + 60
        while not _listed(child)["attempts"] and time.perf_counter() < deadline:
            time.sleep(0.1)
        held = child.resident()
    return empty, full, held


def _emptied(bench: Bench, url: str) -> float:
    home = bench.folder / f"sent-{time.monotonic_ns()}"
    home.mkdir()
    asyncio.run(_fill(home, url, SENT))
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    try:
        with bench.child(SIDECAR, **_variables(home)) as child:
            os.sched_setaffinity(0, cores)
            started, before = 0.0, SENT
            while before:
                left = _count(child)
                if left < SENT and not started:
                    started, first = time.perf_counter(), left
                before = left
                time.sleep(0.02)
            return first / (time.perf_counter() - started)
    finally:
        os.sched_setaffinity(0, cores)


async def _posts(url: str) -> float:
    """The floor: the same bodies, signed and posted without storing them."""
    async with aiohttp.ClientSession() as session:

        async def post(numbers: Sequence[int]) -> None:
            for number in numbers:
                signed = hmac.new(b"k" * 24, f"{number}.1.".encode() + UPDATE, hashlib.sha256).hexdigest()
                async with session.post(url, data=UPDATE, headers={"webhook-signature": signed}) as answer:
                    await answer.read()

        started = time.perf_counter()
        await asyncio.gather(*(post(range(part, SENT, AT_ONCE)) for part in range(AT_ONCE)))
        return SENT / (time.perf_counter() - started)


async def _fill(home: Path, url: str, count: int) -> None:
    clock = Clock()
    database = await Database.open(home / "sidecar.db")
    encryptor = Encryptor(b"key of thirty-two bytes, always.")
    public_http = PublicHttpClient(clock, allow_private=True)
    services = open_deliveries(
        database,
        encryptor,
        home,
        lambda: public_http,
        lambda: HttpClient(30, clock),
        clock,
        lambda *_: None,
        timeout=30,
        allow_private=True,
    )
    [endpoint] = services.endpoints.set_session([Webhook(url=url, secret=Secrets(Secret(SECRET)))])
    services.outbox.put(
        OutboxMessage(id=f"msg_{number}", endpoint=endpoint, ordering_key=f"run {number // LANE}", body=UPDATE)
        for number in range(count)
    )
    await database.close()


def _variables(home: Path) -> dict[str, str]:
    return {"SIDECAR_HOME": str(home), "SIDECAR_STORE_KEY": STORE_KEY, "SIDECAR_ALLOW_PRIVATE_NETWORK": "true"}


def _count(child: Child) -> int:
    total = child.ask(line("list_deliveries"))["content"]["total_count"]
    assert isinstance(total, int)
    return total


def _listed(child: Child) -> dict[str, int]:
    deliveries = child.ask(line("list_deliveries"))["content"]["deliveries"]
    first: dict[str, int] = deliveries[0]
    return first
