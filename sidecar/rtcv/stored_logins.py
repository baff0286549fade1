"""What stored work needs of the login that it belongs to, in force or not."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import msgspec
from sidecar_protocol.session import Credentials
from sidecar_protocol.webhooks import Webhook

from sidecar.errors import MissingCredentials
from sidecar.rtcv.login import LoginContext, References, RtcvBackend


class CurrentSession(LoginContext, Protocol):
    """The session: the login that the parent uses right now."""

    webhooks: tuple[Webhook, ...]
    """Those that the session has named."""
    notifications: bool
    """Whether the parent asked for events."""

    @property
    def scope(self) -> str:
        """Which login that is; empty for none."""


Forward = Callable[[str, bytes, str], None]
"""Scope, result, idempotency key: puts a result for every server of a login. Raises MissingCredentials, StoreFailed."""


@dataclass(frozen=True, slots=True)
class StoredBackend:
    """A login's servers for work that nobody waits for. Without credentials there is no server to ask."""

    scope: str
    put: Forward
    server: RtcvBackend | None

    async def secret(self, key: str, encryption_key: str) -> msgspec.Raw:
        """A secret of the primary. Raises MissingCredentials and the server's failures."""
        return await self._known().secret(key, encryption_key)

    async def scan_cv(self, cv: bytes) -> bool:
        """Whether a CV matched. Raises MissingCredentials and the server's failures."""
        return await self._known().scan_cv(cv)

    async def forward(self, result: bytes, idempotency_key: str) -> None:
        """Puts a result where it waits for every server, its credentials too. Raises MissingCredentials."""
        self.put(self.scope, result, idempotency_key)

    async def close(self) -> None:
        """Lets go of connections."""
        if self.server:
            await self.server.close()

    def _known(self) -> RtcvBackend:
        if self.server is None:
            raise MissingCredentials
        return self.server


@dataclass(frozen=True, slots=True)
class StoredLoginContext:
    """What is left of a login."""

    references: References
    learn: Callable[[str], None]
    learn_secret: Callable[[msgspec.Raw], None]
    servers: RtcvBackend | None

    @property
    def backend(self) -> RtcvBackend:
        """The login's servers. Raises MissingCredentials where there was no login."""
        if self.servers is None:
            raise MissingCredentials
        return self.servers


class StoredLogins:
    """The logins that stored work belongs to. Their connections are their own: the session's end with its login."""

    def __init__(
        self,
        session: CurrentSession,
        credentials: Callable[[str], Awaitable[Sequence[Credentials]]],
        connect: Callable[[str, Sequence[Credentials]], RtcvBackend],
        references: Callable[[str], Awaitable[References]],
        put: Forward,
    ) -> None:
        """`credentials` gives those of a scope, the primary's first; none where they can't be known any more.

        `connect` makes servers of a scope and its credentials.
        """
        self._session = session
        self._credentials = credentials
        self._connect = connect
        self._open_references = references
        self._put = put
        self._servers: dict[str, tuple[Sequence[Credentials], RtcvBackend]] = {}
        self._references: dict[str, References] = {}

    async def parts(self, scope: str) -> LoginContext:
        """What work of that scope needs. Raises StoreFailed."""
        return StoredLoginContext(
            references=await self._references_of(scope),
            learn=self._session.learn,
            learn_secret=self._session.learn_secret,
            servers=StoredBackend(scope, self._put, await self._server_of(scope)) if scope else None,
        )

    async def close(self) -> None:
        """Lets go of connections."""
        servers, self._servers = self._servers, {}
        for _, server in servers.values():
            await server.close()

    async def _server_of(self, scope: str) -> RtcvBackend | None:
        credentials = await self._credentials(scope)
        if not credentials:
            return None
        known = self._servers.get(scope)
        if known and known[0] == credentials:
            return known[1]
        for one in credentials:
            self._session.learn(one.api_key.reveal())
        server = self._connect(scope, credentials)
        self._servers[scope] = (credentials, server)
        if known:
            await known[1].close()
        return server

    async def _references_of(self, scope: str) -> References:
        if scope == self._session.scope:
            return self._session.references
        if scope not in self._references:
            self._references[scope] = await self._open_references(scope)
        return self._references[scope]
