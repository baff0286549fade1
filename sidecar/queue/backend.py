"""What the engine needs of a queue beyond SAQ's own interface; on SQLite and on Redis alike."""

from collections.abc import Callable
from typing import Protocol

from saq.job import Job, Status
from saq.queue import Queue

MessageHandler = Callable[[bytes], None]


class QueueBackend(Protocol):
    """A store of jobs that processes share. Names of queues keep apart who runs what."""

    process: str
    """This process, as others of the same store can tell whether it lives."""

    def queue(self, name: str) -> Queue:
        """The queue of that name."""

    async def put(self, job: Job, name: str) -> bool:
        """Enqueues a job unless one with its key is kept in any queue. SQLite: on disk with the next commit."""

    async def find(self, key: str) -> Job | None:
        """The job with that key, in any queue; also one that `put` has only just taken."""

    async def page(self, statuses: frozenset[Status], offset: int, limit: int) -> tuple[int, list[Job]]:
        """How many jobs have these statuses, and some of them, newest first, of all queues."""

    async def orphans(self, prefix: str) -> list[Job]:
        """Jobs that wait in queues named after processes that are gone: `prefix` and the process."""

    async def store_result(self, key: str, body: bytes, ttl: int) -> None:
        """Keeps a job's result for `ttl` seconds, unless one is kept already. SQLite: with the next commit."""

    async def get_result(self, key: str) -> bytes | None:
        """A kept result; empty where it had to make room for others, None where there was none."""

    async def is_alive(self, process: str) -> bool:
        """Whether a process of this store still runs."""

    async def publish(self, process: str, message: bytes) -> None:
        """Leaves a message for a process that listens."""

    def subscribe(self, handler: MessageHandler | None) -> None:
        """Has messages for this process handed to `handler`; None stops that."""

    async def close(self) -> None:
        """Lets go of what it holds, but not of a database that it was given."""
