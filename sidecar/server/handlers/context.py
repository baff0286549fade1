"""The handlers' context: the session, its storage, and the job runner."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from sidecar_protocol.replies import RequestId

from sidecar.rtcv.send_cv import ReferenceLocks
from sidecar.server.session import LogIn, Mock, Session

if TYPE_CHECKING:
    from sidecar_protocol.session import HelloReply

    from sidecar.deliveries.delivery_manager import DeliveryServices
    from sidecar.jobs.run_listeners import ListenerFactory
    from sidecar.jobs.run_service import RunService
    from sidecar.jobs.visit_tokens import VisitTokens
    from sidecar.queue.job_queue import JobQueue
    from sidecar.rtcv.documents import DocumentLoader
    from sidecar.schedules.schedule_service import ScheduleService
    from sidecar.tasks.task_manager import TaskManager


class OpenStorage(Protocol):
    """The storage in force, open. What it has to open first raises StoreFailed."""

    @property
    def job_queue(self) -> "JobQueue":
        """Jobs for later."""

    @property
    def listener_factory(self) -> "ListenerFactory":
        """Returns the listeners of a run."""

    @property
    def delivery_services(self) -> "DeliveryServices":
        """Endpoints and their deliveries."""

    @property
    def schedules(self) -> "ScheduleService":
        """Messages that run once, at a time."""

    @property
    def task_manager(self) -> "TaskManager":
        """Periodic tasks."""


class Storage(Protocol):
    """The storage in force: on disk, or in memory for a mock session."""

    @property
    def opened(self) -> OpenStorage | None:
        """The storage if it is open, else None."""

    async def get(self) -> OpenStorage:
        """Opens it. Raises StoreFailed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HandlerContext:
    """One for each session. What takes time to import is made when a handler first asks for it."""

    session: Session
    storage: Storage
    log_in: LogIn
    mock: Mock
    reference_locks: ReferenceLocks
    documents: "Callable[[], DocumentLoader]"
    run_service: Callable[[], "RunService"]
    expect_job: Callable[[], None]
    """Begins what a browser job needs, before it is read."""
    visit_tokens: Callable[[], "VisitTokens"]
    describe: Callable[[], "HelloReply"]
    """Returns the sidecar's capabilities."""
    emit: Callable[[RequestId | None, str, Any], None]
    """Writes an event to the parent: the request that it belongs to, its name, its content."""
