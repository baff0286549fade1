"""Sends the outbox: one worker for each endpoint with pending messages."""

import asyncio
import contextlib
import logging
import math
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from sidecar_protocol.webhooks import DEFAULT_STDOUTERR_SIZE
from sidecar_protocol.webhooks import Deliveries as Page

from sidecar.clock import Clock
from sidecar.deliveries.delivery_pages import list_page
from sidecar.deliveries.endpoint_registry import EndpointRegistry
from sidecar.deliveries.endpoint_worker import EndpointWorker, WorkerContext
from sidecar.deliveries.sender import Sender
from sidecar.deliveries.server_forwarder import ServerForwarder
from sidecar.encryption import Encryptor
from sidecar.errors import Conflict, NotFound, StoreFailed
from sidecar.queue.process_registry import ProcessLock
from sidecar.storage.database import Database
from sidecar.storage.endpoint_rows import EndpointRows
from sidecar.storage.outbox import Outbox

if TYPE_CHECKING:
    from sidecar.net.http_client import HttpClient
    from sidecar.net.public_http import PublicHttpClient

log = logging.getLogger(__name__)

SCAN_SECONDS: Final = 30.0
"""Seconds between scans for messages that a dead process left."""
CLOCK_STEP_SECONDS: Final = 1.0
"""A wall clock that falls back by more was set back."""


class DeliveryManager:
    """Starts a worker for each endpoint with pending messages, until it is closed."""

    def __init__(
        self,
        outbox: Outbox,
        rows: EndpointRows,
        endpoints: EndpointRegistry,
        folder: Path | None,
        public_http: "Callable[[], PublicHttpClient]",
        open_http: "Callable[[], HttpClient]",
        clock: Clock,
        *,
        timeout: float,
        emit: Callable[[str, Any], None],
        jitter: Callable[[], float],
    ) -> None:
        """`folder` is the state folder, None in memory.

        `timeout` is for one attempt, in seconds; `emit` takes an event's name and its content.
        """
        self._outbox = outbox
        self._rows = rows
        self._endpoints = endpoints
        self._folder = folder
        self._process_lock: ProcessLock | None = None
        self._clock = clock
        self._sender = Sender(clock, public_http, open_http, timeout)
        self._context = WorkerContext(
            outbox, rows, endpoints, self.process_lock, self._sender, clock, jitter, emit, self._check_clock
        )
        self._workers: dict[str, tuple[EndpointWorker, asyncio.Task[None]]] = {}
        self._offset = -math.inf
        self._startup: asyncio.Task[None] | None = None
        self._scan_timer: asyncio.TimerHandle | None = None
        self._closing = self._draining = False

    def start(self) -> None:
        """Starts sending what is in the outbox and what is put into it."""
        self._offset = self._clock.now() - self._clock.monotonic()
        self._outbox.on_put = self.wake
        self._endpoints.on_known = self.wake
        self._startup = asyncio.create_task(self._start_up())

    def wake(self, endpoints: Iterable[str]) -> None:
        """Wakes or starts the workers of these endpoints."""
        for endpoint in endpoints:
            if endpoint in self._workers:
                worker, _ = self._workers[endpoint]
                worker.wakeup.set()
                worker.idle.clear()
            elif not self._closing:
                worker = EndpointWorker(endpoint, self._context)
                worker.draining = self._draining
                task = asyncio.create_task(worker.run())
                self._workers[endpoint] = worker, task
                task.add_done_callback(partial(self._on_worker_end, endpoint))

    def process_lock(self) -> ProcessLock:
        """The lock of this process among those on the same store, acquired at the first call. Raises StoreFailed."""
        if self._process_lock is None:
            try:
                self._process_lock = ProcessLock(self._folder)
            except OSError as failure:
                raise StoreFailed(f"the state folder can't be used: {failure.strerror}", retryable=True) from None
        return self._process_lock

    async def wait_until_idle(self, endpoints: Iterable[str], seconds: float) -> None:
        """Waits until the workers of these endpoints are idle, at most `seconds`."""
        with contextlib.suppress(StoreFailed):
            await self._outbox.flush()
        waits = [
            asyncio.ensure_future(_first_of(worker.idle, task))
            for worker, task in (self._workers[one] for one in endpoints if one in self._workers)
        ]
        try:
            if waits:
                await asyncio.wait(waits, timeout=seconds)
        finally:
            for one in waits:
                one.cancel()

    async def drain(self, seconds: float) -> None:
        """Sends what is due, for at most `seconds`; the rest stays in the outbox."""
        if self._startup:
            await asyncio.wait([self._startup], timeout=seconds)
        with contextlib.suppress(StoreFailed):  # the caller has got the error
            await self._outbox.flush()
        self._draining = True
        for worker, _ in self._workers.values():
            worker.draining = True
            worker.wakeup.set()
        deadline = asyncio.get_running_loop().time() + seconds
        while self._workers and (left := deadline - asyncio.get_running_loop().time()) > 0:
            await asyncio.wait([task for _, task in self._workers.values()], timeout=left)

    async def close(self) -> None:
        """Stops sending. Sends under way count as not sent."""
        self._closing = True
        if self._scan_timer:
            self._scan_timer.cancel()
        tasks = [task for _, task in self._workers.values()]
        if self._startup:
            tasks.append(self._startup)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._sender.close()
        if self._process_lock:
            self._process_lock.close()

    # --- messages

    def list_page(self, status: Literal["waiting", "dead"] | None, page: int) -> Page:
        """One page of waiting and dead messages. Raises StoreFailed."""
        return list_page(self._outbox, self._rows, status, page)

    async def redeliver(self, message_id: str, endpoint: str | None) -> None:
        """Retries a dead or waiting message now. Raises NotFound, Conflict and StoreFailed."""
        await self._outbox.flush()
        places = self._outbox.endpoints_of(message_id, endpoint)
        if not places:
            raise NotFound(f"there is no waiting or dead delivery {message_id!r}")
        if all((row := self._rows.get(one)) is not None and row.disabled for one in places):
            raise Conflict("the endpoint is disabled (HTTP 410); re-enable it with set_webhooks")
        for one in await self._outbox.redeliver(message_id, endpoint):
            await self._rows.clear_failures(one)
            self.wake([one])

    # --- workers

    async def _start_up(self) -> None:
        try:
            await self._outbox.repair_due_times()
        except StoreFailed as failure:
            log.warning("deliveries are paused: %s", failure.message)
        self._scan()

    def _scan(self) -> None:
        try:
            self.wake([one for one in self._rows.ids() if self._outbox.next_due(one) is not None])
        except StoreFailed as failure:
            log.warning("deliveries are paused: %s", failure.message)
        self._scan_timer = asyncio.get_running_loop().call_later(SCAN_SECONDS, self._scan)

    def _on_worker_end(self, endpoint: str, ended: asyncio.Task[None]) -> None:
        worker, _ = self._workers.pop(endpoint)
        if ended.cancelled():
            return
        if failure := ended.exception():
            log.error("unexpected error in the worker of an endpoint; the next scan starts another", exc_info=failure)
        elif worker.wakeup.is_set():
            self.wake([endpoint])

    async def _check_clock(self) -> None:
        """Repairs due times after the wall clock was set back."""
        offset = self._clock.now() - self._clock.monotonic()
        behind, self._offset = self._offset - offset, offset
        if behind > CLOCK_STEP_SECONDS:
            await self._outbox.repair_due_times()


@dataclass(frozen=True, slots=True)
class DeliveryServices:
    """The services that send deliveries, over one database. Created by `open_deliveries`."""

    outbox: Outbox
    endpoints: EndpointRegistry
    manager: DeliveryManager
    forwarder: ServerForwarder


def open_deliveries(
    database: Database,
    encryptor: Encryptor,
    folder: Path | None,
    public_http: "Callable[[], PublicHttpClient]",
    open_http: "Callable[[], HttpClient]",
    clock: Clock,
    emit: Callable[[str, Any], None],
    *,
    timeout: float,
    stdouterr_size: int = DEFAULT_STDOUTERR_SIZE,
    allow_private: bool = False,
    jitter: Callable[[], float] = random.random,
) -> DeliveryServices:
    """Puts the parts together; `manager.start()` begins to send. `folder` is the state folder, None in memory."""
    outbox, rows = Outbox(database, clock, encryptor), EndpointRows(database, clock)
    endpoints = EndpointRegistry(rows, encryptor, stdouterr_size, allow_private=allow_private)
    manager = DeliveryManager(
        outbox, rows, endpoints, folder, public_http, open_http, clock, timeout=timeout, emit=emit, jitter=jitter
    )
    return DeliveryServices(outbox, endpoints, manager, ServerForwarder(endpoints, outbox))


async def _first_of(event: asyncio.Event, task: asyncio.Task[None]) -> None:
    """Returns when the event is set or the task has ended."""
    waiting = asyncio.create_task(event.wait())
    try:
        await asyncio.wait([waiting, task], return_when=asyncio.FIRST_COMPLETED)
    finally:
        waiting.cancel()
