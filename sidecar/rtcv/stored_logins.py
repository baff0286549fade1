"""Logins of stored work, current or not."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urlsplit

from sidecar_protocol.session import Credentials
from sidecar_protocol.webhooks import Webhook
from sidecar_protocol.wire_types import Raw

from sidecar.errors import MissingCredentials
from sidecar.rtcv.documents import CvDocument
from sidecar.rtcv.login import LoginContext, References, RtcvBackend
from sidecar.work_log import log_work


def hosts_of(credentials: Sequence[Credentials]) -> list[str]:
    """Host and port of each server, for logs: the rest of a URL may be a secret."""
    return [urlsplit(one.server_location).netloc.rpartition("@")[2] for one in credentials]


class CurrentSession(LoginContext, Protocol):
    """The session: the login that the parent uses right now."""

    webhooks: tuple[Webhook, ...]
    """Those that the session has named."""

    @property
    def notifications(self) -> bool:
        """Whether events are wanted."""

    """Whether the parent asked for events."""

    @property
    def account_id(self) -> str:
        """Which login that is; empty for none."""


Forward = Callable[[str, bytes, str], None]
"""Account, result, idempotency key: puts a result into the outbox. Raises MissingCredentials, StoreFailed."""


@dataclass(frozen=True, slots=True)
class StoredBackend:
    """A login's servers for stored work. Without credentials there is no server to ask."""

    account_id: str
    put: Forward
    server: RtcvBackend | None

    async def secret(self, key: str, encryption_key: str) -> Raw:
        """A secret of the primary. Raises MissingCredentials and the server's failures."""
        return await self._known().secret(key, encryption_key)

    async def scan_cv(self, cv: bytes) -> bool:
        """Whether a CV matched. Raises MissingCredentials and the server's failures."""
        return await self._known().scan_cv(cv)

    async def scan_document(self, document: CvDocument) -> bool:
        """Whether a CV with its PDF matched. Raises MissingCredentials and the server's failures."""
        return await self._known().scan_document(document)

    async def post_cvs(self, cvs: bytes) -> None:
        """Sends a list of CVs. Raises MissingCredentials and the server's failures."""
        await self._known().post_cvs(cvs)

    async def forward(self, result: bytes, idempotency_key: str) -> None:
        """Puts a result into the outbox for every server. Raises MissingCredentials."""
        self.put(self.account_id, result, idempotency_key)

    async def close(self) -> None:
        """Closes connections."""
        if self.server:
            await self.server.close()

    def _known(self) -> RtcvBackend:
        if self.server is None:
            raise MissingCredentials
        return self.server


@dataclass(frozen=True, slots=True)
class StoredLoginContext:
    """The login context of stored work."""

    references: References
    add_secret: Callable[[str], None]
    add_json_secret: Callable[[bytes], None]
    servers: RtcvBackend | None

    @property
    def backend(self) -> RtcvBackend:
        """The login's servers. Raises MissingCredentials where there was no login."""
        if self.servers is None:
            raise MissingCredentials
        return self.servers


class SessionLogin:
    """Gives all work the session's own login: in a mock session there is no other."""

    def __init__(self, session: CurrentSession) -> None:
        self._session = session

    async def context(self, _account_id: str) -> LoginContext:
        """The session's login context, for any account."""
        return self._session

    async def close(self) -> None:
        """Does nothing: nothing is open."""


class StoredLogins:
    """Login contexts by account, for stored work. Their connections are apart from the session's, which end with it."""

    def __init__(
        self,
        session: CurrentSession,
        credentials: Callable[[str], Awaitable[Sequence[Credentials]]],
        connect: Callable[[str, Sequence[Credentials]], RtcvBackend],
        references: Callable[[str], Awaitable[References]],
        put: Forward,
    ) -> None:
        """`credentials` returns those of an account, the primary's first; empty if they are no longer known.

        `connect` opens connections to an account's servers.
        """
        self._session = session
        self._credentials = credentials
        self._connect = connect
        self._open_references = references
        self._put = put
        self._servers: dict[str, tuple[Sequence[Credentials], RtcvBackend]] = {}
        self._references: dict[str, References] = {}

    async def context(self, account_id: str) -> LoginContext:
        """The login context of an account. Raises StoreFailed."""
        return StoredLoginContext(
            references=await self._references_of(account_id),
            add_secret=self._session.add_secret,
            add_json_secret=self._session.add_json_secret,
            servers=StoredBackend(account_id, self._put, await self._server_of(account_id)) if account_id else None,
        )

    async def close(self) -> None:
        """Closes connections."""
        servers, self._servers = self._servers, {}
        for _, server in servers.values():
            await server.close()

    async def _server_of(self, account_id: str) -> RtcvBackend | None:
        credentials = await self._credentials(account_id)
        if not credentials:
            return None
        known = self._servers.get(account_id)
        if known and known[0] == credentials:
            return known[1]
        for one in credentials:
            self._session.add_secret(one.api_key.reveal())
        server = self._connect(account_id, credentials)
        log_work("login", servers=hosts_of(credentials), status="success", of="stored work")
        self._servers[account_id] = (credentials, server)
        if known:
            await known[1].close()
        return server

    async def _references_of(self, account_id: str) -> References:
        if account_id == self._session.account_id:
            return self._session.references
        if account_id not in self._references:
            self._references[account_id] = await self._open_references(account_id)
        return self._references[account_id]
