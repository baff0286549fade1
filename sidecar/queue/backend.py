"""The job queue's backend interface, in addition to SAQ's own, on SQLite and on Redis."""

from collections.abc import Callable
from typing import Protocol

from saq.job import Job, Status
from saq.queue import Queue

MessageHandler = Callable[[bytes], None]


class QueueBackend(Protocol):
    """A store of jobs shared by processes; each named queue is served by its own workers."""

    process: str
    """This process's id; others of the same store can check whether it is alive."""

    def queue(self, name: str) -> Queue:
        """Returns the queue of that name."""

    async def put(self, job: Job, name: str) -> bool:
        """Enqueues a job unless any queue has one with its key. SQLite: on disk with the next commit."""

    async def find(self, key: str) -> Job | None:
        """Returns the job with that key, from any queue and also if `put` has not committed it yet."""

    async def page(self, statuses: frozenset[Status], offset: int, limit: int) -> tuple[int, list[Job]]:
        """Returns how many jobs have these statuses, in all queues, and one page of them, newest first."""

    async def orphans(self, prefix: str) -> list[Job]:
        """Returns unfinished jobs of queues named after dead processes: `prefix` and the process."""

    async def store_result(self, key: str, body: bytes, ttl: int) -> None:
        """Stores a job's result for `ttl` seconds unless it has one. SQLite: with the next commit."""

    async def get_result(self, key: str) -> bytes | None:
        """Returns a stored result; empty if it was evicted, None if there was none."""

    async def is_alive(self, process: str) -> bool:
        """Whether a process of this store is alive."""

    async def publish(self, process: str, message: bytes) -> None:
        """Sends a message to a subscribed process."""

    def subscribe(self, handler: MessageHandler | None) -> None:
        """Passes messages for this process to `handler`; None unsubscribes."""

    async def close(self) -> None:
        """Releases its resources; a database that it was given stays open."""
