"""Logs in to RT-CV servers, or to the mock."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Protocol

from sidecar.clock import Clock
from sidecar.errors import SidecarError
from sidecar.rtcv.login import LONG_TTL, MOCK, Login
from sidecar.rtcv.mock import MockServer
from sidecar.storage.memory_references import MemoryReferences
from sidecar.work_log import log_work

if TYPE_CHECKING:
    from sidecar_protocol.session import Credentials, MockOptions

    from sidecar.deliveries.delivery_manager import DeliveryServices
    from sidecar.deliveries.server_forwarder import ServerForwarder
    from sidecar.net.http_client import HttpClient
    from sidecar.rtcv.credential_store import CredentialStore
    from sidecar.storage.reference_store import ReferenceStore


class LoginStorage(Protocol):
    """The part of the storage on disk that a login uses."""

    references: "ReferenceStore"
    credentials: "CredentialStore"
    forwarder: "ServerForwarder"
    delivery_services: "DeliveryServices"


class Storage(Protocol):
    """The storage in force, which a login changes. See server.storage_provider."""

    @property
    def opened(self) -> LoginStorage | None:
        """The storage if it is open, else None."""

    async def on_disk(self) -> LoginStorage:
        """Opens it. Raises StoreFailed."""

    def log_in(self) -> None:
        """Makes the storage on disk the one in force."""

    def mock(self) -> None:
        """Puts a new storage in memory in force."""


class LoginService:
    """Checks every server before a login is returned."""

    def __init__(
        self,
        storage: Storage,
        new_client: "Callable[[], HttpClient]",
        timeout: float,
        clock: Clock,
        on_mock: Callable[[], None],
    ) -> None:
        """`timeout` is how long pending deliveries may take, in seconds; `on_mock` is called before a mock session."""
        self._on_mock = on_mock
        self._storage = storage
        self._new_client = new_client
        self._timeout = timeout
        self._clock = clock

    async def log_in(self, credentials: "Sequence[Credentials]") -> Login:
        """Checks every server. Raises InvalidContent, RemoteFailed, RemoteUnreachable, StoreFailed."""
        from sidecar.rtcv.stored_logins import hosts_of  # late: with its models

        try:
            login = await self._log_in(credentials)
        except SidecarError as failure:
            log_work("login", servers=hosts_of(credentials), status="failed", error=failure.code.value)
            raise
        log_work("login", servers=hosts_of(credentials), status="success")
        return login

    async def _log_in(self, credentials: "Sequence[Credentials]") -> Login:
        from sidecar.rtcv import servers as rtcv  # late: httpx and aiohttp take 220 ms to import

        for one in credentials:
            rtcv.check_location(one.server_location)
        primary = next((index for index, one in enumerate(credentials) if one.primary), 0)
        checked = rtcv.RtcvServers.connect(self._new_client(), credentials, primary)
        try:
            await self._send_pending(credentials)
            scanned = await checked.check()
            storage = await self._storage.on_disk()
            account_id = rtcv.account_id_of(credentials[primary])
            references = await storage.references.open(account_id, scanned, LONG_TTL)
            await storage.credentials.log_in(account_id, credentials, primary)
        except BaseException:
            await checked.close()
            raise
        self._storage.log_in()
        copy = partial(storage.forwarder.copy, account_id) if len(credentials) > 1 else None
        return Login(checked.with_copies(copy), references, account_id)

    async def mock(self, options: "MockOptions") -> Login:
        """A login without a network and without a disk."""
        self._on_mock()
        self._storage.mock()
        log_work("login", status="mock")
        return Login(MockServer(options), MemoryReferences(self._clock), MOCK)

    async def _send_pending(self, credentials: "Sequence[Credentials]") -> None:
        """Sends what is due to these servers first: the references that they return then include it."""
        from sidecar.deliveries.endpoint_records import server_id

        if opened := self._storage.opened:
            servers = map(server_id, credentials)
            await opened.delivery_services.manager.wait_until_idle(servers, self._timeout)
