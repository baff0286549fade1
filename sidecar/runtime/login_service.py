"""Logs in to RT-CV servers, or to the mock."""

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from sidecar.clock import Clock
from sidecar.rtcv.login import LONG_TTL, MOCK, Login
from sidecar.rtcv.mock import MockServer
from sidecar.runtime.network import Network
from sidecar.runtime.storage_provider import StorageProvider
from sidecar.settings import Settings
from sidecar.storage.memory_references import MemoryReferences

if TYPE_CHECKING:
    from sidecar_protocol.session import Credentials, MockOptions


class LoginService:
    """Checks every server before a login is returned."""

    def __init__(self, settings: Settings, clock: Clock, storage: StorageProvider, network: Network) -> None:
        self._settings = settings
        self._clock = clock
        self._storage = storage
        self._network = network

    async def log_in(self, credentials: "Sequence[Credentials]") -> Login:
        """Checks every server. Raises InvalidContent, RemoteFailed, RemoteUnreachable, StoreFailed."""
        from sidecar.rtcv import servers as rtcv  # late: httpx and aiohttp take 220 ms to import

        for one in credentials:
            rtcv.check_location(one.server_location)
        primary = next((index for index, one in enumerate(credentials) if one.primary), 0)
        http = self._network.server_client()
        servers = [rtcv.RtcvServer(http, one) for one in credentials]
        try:
            await self._catch_up(credentials)
            scanned = await rtcv.RtcvServers(http, servers, primary).check()
            storage = await self._storage.on_disk()
            account_id = rtcv.account_id_of(credentials[primary])
            references = await storage.references(account_id, scanned, LONG_TTL)
            await storage.log_in(account_id, credentials, primary)
        except BaseException:
            await http.close()
            raise
        self._storage.log_in()
        copy = partial(storage.forwarder.copy, account_id) if len(servers) > 1 else None
        return Login(rtcv.RtcvServers(http, servers, primary, copy), references, account_id)

    async def _catch_up(self, credentials: "Sequence[Credentials]") -> None:
        """What was sent to a server before it is asked what it has seen belongs to its answer."""
        from sidecar.deliveries.endpoint_records import server_id

        opened = self._storage.opened
        if opened:
            servers = map(server_id, credentials)
            await opened.delivery_services.manager.wait_until_idle(servers, self._settings.request_timeout)

    async def mock(self, options: "MockOptions") -> Login:
        """A session of its own, without a network and without a disk."""
        self._storage.mock()
        return Login(MockServer(options), MemoryReferences(self._clock), MOCK)
