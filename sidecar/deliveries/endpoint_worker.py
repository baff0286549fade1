"""Sends what waits for one endpoint: lanes beside one another, each in its order, until nothing is left."""

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
from sidecar.deliveries.sender import MAX_ATTEMPTS, Failure, Sender, back_off
from sidecar.errors import DecryptionKeyMissing, StoreFailed
from sidecar.queue.process_registry import ProcessLock
from sidecar.storage.endpoints import LEASE, EndpointRow, EndpointRows
from sidecar.storage.outbox import Outbox, PendingMessage

log = logging.getLogger(__name__)

LANES: Final = 8
"""Deliveries that may be under way to one endpoint at once."""
WINDOW: Final = 2 * 86_400.0
"""Seconds; what has waited longer is given up once the endpoint has failed MAX_ATTEMPTS times in a row."""
BATCH: Final = 16
"""Deliveries of one lane that are sent before it is noted that they have arrived: a crash may repeat so many."""
HOLD_SECONDS: Final = 1.0
"""How long an endpoint stays ours when nothing is left: a run tells of its next step soon."""
LOOK_SECONDS: Final = 15.0
"""How often one that waits looks at the clock: it may have been set."""
BETWEEN_CLAIMS: Final = 1.0
"""Seconds until we ask again for an endpoint that another process sends to, and after the disk refused something."""


@dataclass(frozen=True, slots=True)
class WorkerContext:
    """What every courier works with."""

    outbox: Outbox
    rows: EndpointRows
    endpoints: EndpointRegistry
    presence: Callable[[], ProcessLock]
    """This process among those on the same store. Raises StoreFailed."""
    sender: Sender
    clock: Clock
    jitter: Callable[[], float]
    tell: Callable[[str, Any], None]
    """Takes an event's name and content."""
    check_clock: Callable[[], Any]
    """Gives an awaitable that makes good for a clock that was set back."""


class EndpointWorker:
    """One endpoint's."""

    def __init__(self, endpoint: str, means: WorkerContext) -> None:
        self.woken = asyncio.Event()
        """Set when there may be something new to do."""
        self.resting = asyncio.Event()
        """Set while nothing of its endpoint can be sent."""
        self.draining = False
        """Whether to end instead of waiting for what is not due yet."""
        self._endpoint = endpoint
        self._means = means
        self._under_way: dict[str, asyncio.Task[None]] = {}
        """By their lanes."""
        self._sending = 0
        """How many of them have not sent all that they took."""
        self._unnoted: dict[PendingMessage, asyncio.Future[None]] = {}
        """What has arrived and is in the outbox still."""
        self._broken = False
        self._renewal = 0.0

    async def run(self) -> None:
        """Ends when nothing waits, or nothing can be done about it."""
        while True:
            self.resting.clear()
            try:
                seconds = await self._round()
            except StoreFailed as failure:
                log.warning("deliveries have to wait: %s", failure.message)
                seconds = BETWEEN_CLAIMS
            if self.woken.is_set():
                continue
            if seconds is None or (self.draining and seconds > 0):
                return
            if seconds:
                self.resting.set()
                await self._pause(min(seconds, LOOK_SECONDS))

    async def _round(self) -> float | None:
        """Sends what is due. Says in how many seconds to come back; None where there is nothing to come back for."""
        means = self._means
        self.woken.clear()
        for head, noted in self._unnoted.items():
            if noted.done():
                self._unnoted[head] = means.outbox.mark_sent(self._endpoint, head)
        await means.outbox.flush()
        await self._noted(list(self._unnoted))
        await means.check_clock()
        due, row = means.outbox.next_due(self._endpoint), means.rows.get(self._endpoint)
        if due is None or row is None or row.disabled:
            return None
        seconds = max(due, row.retry_at) - means.clock.now()
        if seconds > 0:
            return seconds
        target = means.endpoints.target(row)
        if target is None:
            return None  # its secret comes with the next message that names it, which wakes us
        self._broken, self._renewal = False, means.clock.monotonic()
        if not await self._holds():
            return BETWEEN_CLAIMS
        try:
            await self._burst(row, target)
        finally:
            await means.rows.release(self._endpoint, means.presence().process)
        return 0

    async def _burst(self, row: EndpointRow, target: Target) -> None:
        """Sends until nothing is due, or the endpoint is in trouble."""
        lanes = 1 if row.failures else LANES  # one that failed is tried with one delivery first
        try:
            while True:
                if not self._broken and await self._holds():
                    self._launch(row, target, lanes)
                if not self._under_way and (self._broken or not await self._more_comes()):
                    return
                await self._until_something_happens()
        finally:
            for task in list(self._under_way.values()):
                task.cancel()
            await asyncio.gather(*self._under_way.values(), return_exceptions=True)

    async def _more_comes(self) -> bool:
        """Whether there is something new, though nothing was left, while we may hold on to the endpoint."""
        if self.draining or self._means.outbox.next_due(self._endpoint) is not None:
            return False
        self.resting.set()
        try:
            async with within(HOLD_SECONDS):
                await self.woken.wait()
        except TimeoutError:
            return False
        finally:
            self.resting.clear()
        return not self.draining

    def _launch(self, row: EndpointRow, target: Target, lanes: int) -> None:
        for head in self._means.outbox.due(self._endpoint, lanes + len(self._under_way)):
            if self._sending >= lanes:
                return
            if head.ordering_key not in self._under_way:
                self._sending += 1
                task = asyncio.create_task(self._send(row, target, head.ordering_key))
                self._under_way[head.ordering_key] = task
                task.add_done_callback(partial(self._on_done, head.ordering_key))

    def _on_done(self, ordering_key: str, done: asyncio.Task[None]) -> None:
        del self._under_way[ordering_key]
        self.woken.set()
        if not done.cancelled() and (failure := done.exception()):
            self._broken = True
            if not isinstance(failure, StoreFailed):
                log.error("a delivery failed in a way that it should not", exc_info=failure)

    async def _until_something_happens(self) -> None:
        """A delivery has ended, something is new, or our lease has to be renewed."""
        while not self.woken.is_set():
            try:
                async with within(LEASE / 3):
                    await self.woken.wait()
            except TimeoutError:
                await self._holds()
        self.woken.clear()

    async def _holds(self) -> bool:
        """Whether the endpoint is ours to send to. It is not after a process that was halted wakes up."""
        means = self._means
        if means.clock.monotonic() < self._renewal:
            return True
        held = await means.rows.claim(self._endpoint, means.presence().process, means.presence().is_alive)
        self._renewal = means.clock.monotonic() + LEASE / 3
        self._broken = self._broken or not held
        return held

    async def _send(self, row: EndpointRow, target: Target, ordering_key: str) -> None:
        """Sends the first parcels of a lane in their order, up to one that fails."""
        failed: tuple[PendingMessage, Failure] | None = None
        arrived = []
        was_broken = self._broken
        try:
            for head in self._means.outbox.pending(self._endpoint, ordering_key, 1 if row.failures else BATCH):
                if self._broken or not await self._holds():
                    break
                try:
                    body = self._means.outbox.body(head.number)
                except DecryptionKeyMissing as sealed:
                    failed = head, Failure(sealed.detail)
                    break
                if body is None:
                    break
                failure = await self._means.sender.send(target, head, body)
                was_broken = self._broken
                if failure:
                    failed = head, failure
                    self._broken |= failure.whole or failure.gone
                    break
                arrived.append(head)
                self._unnoted[head] = self._means.outbox.mark_sent(self._endpoint, head)
                self._broken |= row.failures > 0  # ends this burst, so that the next one uses all lanes
        finally:
            self._sending -= 1
            self.woken.set()
        await self._noted(arrived)
        if failed:
            await self._fail(row, *failed, alone=not was_broken)
        elif arrived and row.failures and not was_broken:
            await self._means.rows.clear_failures(self._endpoint)

    async def _noted(self, heads: Iterable[PendingMessage]) -> None:
        """Waits until it is on disk that these have arrived. Raises StoreFailed; they are noted in the next round."""
        if self.draining:
            await self._means.outbox.flush()
        for head in heads:
            await self._unnoted[head]
            del self._unnoted[head]

    async def _fail(self, row: EndpointRow, head: PendingMessage, failure: Failure, *, alone: bool) -> None:
        """`alone`: no other delivery of this burst has said yet that the endpoint is in trouble."""
        means = self._means
        if failure.gone:
            await self._give_up_endpoint(row, failure)
        elif failure.final or (not failure.whole and head.attempts + 1 >= MAX_ATTEMPTS):
            await means.outbox.mark_dead(self._endpoint, head, failure.error.message)
            self._tell(row, head, failure, "dead")
        else:
            await self._reschedule(row, head, failure, alone=alone)

    async def _reschedule(self, row: EndpointRow, head: PendingMessage, failure: Failure, *, alone: bool) -> None:
        means = self._means
        failures = row.failures + 1 if failure.whole else head.attempts + 1
        seconds = back_off(failures, means.jitter()) if failure.seconds is None else failure.seconds
        detach = failure.aside_after <= head.attempts + 1
        await means.outbox.reschedule(self._endpoint, head, failure.error.message, seconds, detach=detach)
        if head.attempts == 0:
            self._tell(row, head, failure, "waiting")
        if not failure.whole or not alone:
            return
        await means.rows.record_failure(self._endpoint, failures, seconds)
        if failures >= MAX_ATTEMPTS:
            before = means.clock.now() - WINDOW
            for one in await means.outbox.mark_all_dead(self._endpoint, failure.error.message, before):
                self._tell(row, one, failure, "dead")

    async def _give_up_endpoint(self, row: EndpointRow, failure: Failure) -> None:
        means = self._means
        self._broken = True
        means.endpoints.disable(self._endpoint)
        await means.rows.disable(self._endpoint)
        for one in await means.outbox.mark_all_dead(self._endpoint, failure.error.message):
            self._tell(row, one, failure, "dead")

    def _tell(self, row: EndpointRow, what: Any, failure: Failure, status: Any) -> None:
        """`what` is a Head or a Row."""
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
        self._means.tell("delivery_failed", content)

    async def _pause(self, seconds: float) -> None:
        """Waits so long, or until there is something new."""
        waits = [
            asyncio.ensure_future(self._means.clock.sleep(seconds)),
            asyncio.ensure_future(self.woken.wait()),
        ]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in waits:
                one.cancel()
            await asyncio.gather(*waits, return_exceptions=True)
