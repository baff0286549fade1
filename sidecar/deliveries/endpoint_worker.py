"""Sends the pending messages of one endpoint: ordering keys concurrently, each in its order."""

import asyncio
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from sidecar_protocol.webhooks import DeliveryFailed

from sidecar.clock import Clock, within
from sidecar.deliveries.endpoint_records import host_of
from sidecar.deliveries.endpoint_registry import EndpointRegistry, Target
from sidecar.deliveries.sender import MAX_ATTEMPTS, Failure, Sender, backoff_seconds
from sidecar.errors import DecryptionKeyMissing, StoreFailed
from sidecar.queue.process_registry import ProcessLock
from sidecar.storage.endpoint_rows import LEASE, EndpointRow, EndpointRows
from sidecar.storage.outbox import Outbox, OutboxRow, PendingMessage
from sidecar.work_log import is_logged, log_work

log = logging.getLogger(__name__)

CONCURRENCY: Final = 8
"""Concurrent requests to one endpoint."""
GIVE_UP_SECONDS: Final = 2 * 86_400.0
"""Messages that are older become dead once the endpoint has failed MAX_ATTEMPTS times in a row."""
BATCH_SIZE: Final = 16
"""Messages of one ordering key sent before they are marked sent; a crash repeats at most this many."""
LINGER_SECONDS: Final = 1.0
"""Seconds that the lease is held after the last message: a run sends its next update soon."""
CLOCK_CHECK_SECONDS: Final = 15.0
"""Longest sleep of a waiting worker, as the wall clock may be set."""
CLAIM_RETRY_SECONDS: Final = 1.0
"""Seconds until a worker retries a lease held by another process, or a failed write."""


@dataclass(frozen=True, slots=True)
class WorkerContext:
    """The shared dependencies of the workers."""

    outbox: Outbox
    rows: EndpointRows
    endpoints: EndpointRegistry
    process_lock: Callable[[], ProcessLock]
    """The lock of this process among those on the same store. Raises StoreFailed."""
    sender: Sender
    clock: Clock
    jitter: Callable[[], float]
    emit: Callable[[str, Any], None]
    """Takes an event's name and content."""
    check_clock: Callable[[], Any]
    """Returns an awaitable that repairs due times after the wall clock was set back."""


class EndpointWorker:
    """Sends to one endpoint under a lease, with backoff."""

    def __init__(self, endpoint: str, context: WorkerContext) -> None:
        self.wakeup = asyncio.Event()
        """Set when something new may be due."""
        self.idle = asyncio.Event()
        """Set while nothing can be sent."""
        self.draining = False
        """Whether to stop instead of waiting for the next due time."""
        self._endpoint = endpoint
        self._context = context
        self._sends: dict[str, asyncio.Task[None]] = {}
        """Running sends by ordering key."""
        self._sending = 0
        """Sends that have not finished their batch."""
        self._unacknowledged: dict[PendingMessage, asyncio.Future[None]] = {}
        """Sent messages that are not yet removed from the outbox."""
        self._stopping = False
        self._renew_at = 0.0

    async def run(self) -> None:
        """Runs until nothing is pending, or nothing can be sent."""
        while True:
            self.idle.clear()
            try:
                seconds = await self._run_once()
            except StoreFailed as failure:
                log.warning("deliveries are paused: %s", failure.message)
                seconds = CLAIM_RETRY_SECONDS
            if self.wakeup.is_set():
                continue
            if seconds is None or (self.draining and seconds > 0):
                return
            if seconds:
                self.idle.set()
                await self._sleep(min(seconds, CLOCK_CHECK_SECONDS))

    async def _run_once(self) -> float | None:
        """Sends what is due. Returns the seconds until the next attempt, None if nothing is pending."""
        context = self._context
        self.wakeup.clear()
        for message, noted in self._unacknowledged.items():
            if noted.done():
                self._unacknowledged[message] = context.outbox.mark_sent(self._endpoint, message)
        await context.outbox.flush()
        await self._wait_acknowledged(list(self._unacknowledged))
        await context.check_clock()
        due, row = context.outbox.next_due(self._endpoint), context.rows.get(self._endpoint)
        if due is None or row is None or row.disabled:
            return None
        seconds = max(due, row.retry_at) - context.clock.now()
        if seconds > 0:
            return seconds
        target = context.endpoints.target(row)
        if target is None:
            return None  # its secret comes with the next message that names it, which wakes us
        self._stopping, self._renew_at = False, context.clock.monotonic()
        if not await self._holds_lease():
            return CLAIM_RETRY_SECONDS
        try:
            await self._send_due(row, target)
        finally:
            await context.rows.release(self._endpoint, context.process_lock().process)
        return 0

    async def _send_due(self, row: EndpointRow, target: Target) -> None:
        """Sends until nothing is due or the endpoint fails."""
        max_sends = 1 if row.failures else CONCURRENCY  # after a failure one delivery is tried first
        try:
            while True:
                if not self._stopping and await self._holds_lease():
                    self._start_sends(row, target, max_sends)
                if not self._sends and (self._stopping or not await self._wait_for_more()):
                    return
                await self._wait_for_progress()
        finally:
            for task in list(self._sends.values()):
                task.cancel()
            await asyncio.gather(*self._sends.values(), return_exceptions=True)

    async def _wait_for_more(self) -> bool:
        """Waits for new messages while the lease lingers; whether there are any."""
        if self.draining or self._context.outbox.next_due(self._endpoint) is not None:
            return False
        self.idle.set()
        try:
            async with within(LINGER_SECONDS):
                await self.wakeup.wait()
        except TimeoutError:
            return False
        finally:
            self.idle.clear()
        return not self.draining

    def _start_sends(self, row: EndpointRow, target: Target, max_sends: int) -> None:
        for message in self._context.outbox.due(self._endpoint, max_sends + len(self._sends)):
            if self._sending >= max_sends:
                return
            if message.ordering_key not in self._sends:
                self._sending += 1
                task = asyncio.create_task(self._send(row, target, message.ordering_key))
                self._sends[message.ordering_key] = task
                task.add_done_callback(partial(self._on_send_done, message.ordering_key))

    def _on_send_done(self, ordering_key: str, done: asyncio.Task[None]) -> None:
        del self._sends[ordering_key]
        self.wakeup.set()
        if not done.cancelled() and (failure := done.exception()):
            self._stopping = True
            if not isinstance(failure, StoreFailed):
                log.error("unexpected error while sending a delivery", exc_info=failure)

    async def _wait_for_progress(self) -> None:
        """Waits for the end of a send or for new messages, and renews the lease."""
        while not self.wakeup.is_set():
            try:
                async with within(LEASE / 3):
                    await self.wakeup.wait()
            except TimeoutError:
                await self._holds_lease()
        self.wakeup.clear()

    async def _holds_lease(self) -> bool:
        """Acquires or renews the lease; False if another process has it, as after a long suspension."""
        context = self._context
        if context.clock.monotonic() < self._renew_at:
            return True
        held = await context.rows.claim(self._endpoint, context.process_lock().process, context.process_lock().is_alive)
        self._renew_at = context.clock.monotonic() + LEASE / 3
        self._stopping = self._stopping or not held
        return held

    async def _send(self, row: EndpointRow, target: Target, ordering_key: str) -> None:
        """Sends a batch of one ordering key in order, up to a failure."""
        failed: tuple[PendingMessage, Failure] | None = None
        arrived = []
        was_stopping = self._stopping
        try:
            for message in self._context.outbox.pending(
                self._endpoint, ordering_key, 1 if row.failures else BATCH_SIZE
            ):
                if self._stopping or not await self._holds_lease():
                    break
                try:
                    body = self._context.outbox.body(message.number)
                except DecryptionKeyMissing as sealed:
                    failed = message, Failure(sealed.detail)
                    break
                if body is None:
                    break
                failure = await self._context.sender.send(target, message, body)
                was_stopping = self._stopping
                if failure:
                    failed = message, failure
                    self._stopping |= failure.endpoint_failed or failure.endpoint_gone
                    break
                arrived.append(message)
                _log(row, message, "delivered", message.attempts + 1)
                self._unacknowledged[message] = self._context.outbox.mark_sent(self._endpoint, message)
                self._stopping |= row.failures > 0  # ends this burst, so that the next one sends concurrently
        finally:
            self._sending -= 1
            self.wakeup.set()
        await self._wait_acknowledged(arrived)
        if failed:
            await self._handle_failure(row, *failed, first_failure=not was_stopping)
        elif arrived and row.failures and not was_stopping:
            await self._context.rows.clear_failures(self._endpoint)

    async def _wait_acknowledged(self, messages: Iterable[PendingMessage]) -> None:
        """Waits until these are removed from the outbox on disk. Raises StoreFailed; the next round retries."""
        if self.draining:
            await self._context.outbox.flush()
        for message in messages:
            await self._unacknowledged[message]
            del self._unacknowledged[message]

    async def _handle_failure(
        self, row: EndpointRow, message: PendingMessage, failure: Failure, *, first_failure: bool
    ) -> None:
        """`first_failure`: no other send of this batch has reported the endpoint yet."""
        context = self._context
        if failure.endpoint_gone:
            await self._disable_endpoint(row, failure)
        elif failure.permanent or (not failure.endpoint_failed and message.attempts + 1 >= MAX_ATTEMPTS):
            await context.outbox.mark_dead(self._endpoint, message, failure.error.message)
            _log(row, message, "dead", message.attempts + 1, failure)
            self._emit_failure(row, message, failure, "dead")
        else:
            await self._reschedule(row, message, failure, first_failure=first_failure)

    async def _reschedule(
        self, row: EndpointRow, message: PendingMessage, failure: Failure, *, first_failure: bool
    ) -> None:
        context = self._context
        failures = row.failures + 1 if failure.endpoint_failed else message.attempts + 1
        seconds = backoff_seconds(failures, context.jitter()) if failure.seconds is None else failure.seconds
        detach = failure.detach_after <= message.attempts + 1
        await context.outbox.reschedule(self._endpoint, message, failure.error.message, seconds, detach=detach)
        _log(row, message, "waiting", message.attempts + 1, failure)
        if message.attempts == 0:
            self._emit_failure(row, message, failure, "waiting")
        if not failure.endpoint_failed or not first_failure:
            return
        await context.rows.record_failure(self._endpoint, failures, seconds)
        if failures >= MAX_ATTEMPTS:
            before = context.clock.now() - GIVE_UP_SECONDS
            for one in await context.outbox.mark_all_dead(self._endpoint, failure.error.message, before):
                _log(row, one, "dead", one.attempts, failure)
                self._emit_failure(row, one, failure, "dead")

    async def _disable_endpoint(self, row: EndpointRow, failure: Failure) -> None:
        context = self._context
        self._stopping = True
        context.endpoints.disable(self._endpoint)
        await context.rows.disable(self._endpoint)
        for one in await context.outbox.mark_all_dead(self._endpoint, failure.error.message):
            _log(row, one, "dead", one.attempts, failure)
            self._emit_failure(row, one, failure, "dead")

    def _emit_failure(self, row: EndpointRow, what: Any, failure: Failure, status: Any) -> None:
        """`what` is a PendingMessage or an OutboxRow."""
        log.warning("%s did not take a delivery: %s", host_of(row), failure.error.message)
        content = DeliveryFailed(
            server=host_of(row),
            endpoint=row.id,
            id=what.id,
            kind=what.kind,
            status=status,
            attempts=max(what.attempts, 1) if status == "dead" else what.attempts + 1,
            error=failure.error,
        )
        self._context.emit("delivery_failed", content)

    async def _sleep(self, seconds: float) -> None:
        """Sleeps for `seconds`, or until something new is due."""
        waits = [
            asyncio.ensure_future(self._context.clock.sleep(seconds)),
            asyncio.ensure_future(self.wakeup.wait()),
        ]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in waits:
                one.cancel()
            await asyncio.gather(*waits, return_exceptions=True)


def _log(
    row: EndpointRow, message: PendingMessage | OutboxRow, status: str, attempts: int, failure: Failure | None = None
) -> None:
    """One line for the end of an attempt."""
    if not is_logged():
        return
    log_work(
        "delivery",
        run=message.ordering_key or None,
        id=message.id,
        kind=message.kind,
        to=host_of(row),
        status=status,
        attempts=attempts,
        reason=failure.error.message if failure else None,
    )
