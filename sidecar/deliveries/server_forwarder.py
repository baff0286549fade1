"""Puts results and copies for the servers of a login into the outbox."""

from collections.abc import Iterable

from sidecar.deliveries.endpoint_registry import EndpointRegistry
from sidecar.errors import MissingCredentials
from sidecar.rtcv.servers import Kind
from sidecar.storage.outbox import Outbox, OutboxMessage


class ServerForwarder:
    """Forwards bodies to servers through the outbox, in order for each server."""

    def __init__(self, endpoints: EndpointRegistry, outbox: Outbox) -> None:
        self._endpoints = endpoints
        self._outbox = outbox

    def result(self, account_id: str, body: bytes, key: str) -> None:
        """A job's result, for every server of a login, in force or not. `key` is the same for the same run.

        Raises MissingCredentials where there never was such a login, and StoreFailed.
        """
        servers = self._endpoints.servers(account_id) if account_id else ()
        if not servers:
            raise MissingCredentials
        self._put(servers, "result", body, key, until_stored=True)

    def copy(self, account_id: str, kind: Kind, body: bytes, key: str, *, until_stored: bool = False) -> None:
        """Stores a copy for each server but the primary, which has answered; `until_stored` if no reply promises it."""
        self._put(self._endpoints.servers(account_id)[1:], kind, body, key, until_stored=until_stored)

    def _put(self, servers: Iterable[str], kind: Kind, body: bytes, key: str, *, until_stored: bool) -> None:
        messages = (
            OutboxMessage(id=key, endpoint=one, ordering_key="", body=body, kind=kind) for one in dict.fromkeys(servers)
        )
        self._outbox.put(messages, until_stored=until_stored)
