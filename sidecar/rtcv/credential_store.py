"""Credentials by account, for work that runs without its parent; a fleet shares them, encrypted."""

import logging
from collections.abc import Sequence
from typing import Protocol

from sidecar_protocol.codec import NotJson
from sidecar_protocol.decoding import decode_stored
from sidecar_protocol.encoding import encode_revealed
from sidecar_protocol.models import Model
from sidecar_protocol.session import Credentials

from sidecar.encryption import Encryptor
from sidecar.errors import DecryptionKeyMissing, StoreFailed

log = logging.getLogger(__name__)


class OwnLogins(Protocol):
    """The logins that this machine knows."""

    def log_in(self, account_id: str, credentials: Sequence[Credentials], primary: int) -> object:
        """Makes the servers of a login known."""

    def credentials(self, account_id: str) -> tuple[Credentials, ...]:
        """A login's credentials, the primary's first; empty where one of them can't be known. Raises StoreFailed."""


class LoginStore(Protocol):
    """A store that all machines of a fleet reach. Every call may raise StoreFailed."""

    async def put(self, account_id: str, encrypted: str) -> None:
        """Stores the login of an account, replacing an earlier one."""

    async def get(self, account_id: str) -> str | None:
        """The login of an account; None if there is none."""


class _SharedLogin(Model):
    """The record of a login. The account is part of it, so that a record can't stand in for another's."""

    scope: str
    credentials: tuple[Credentials, ...]


class CredentialStore:
    """The credentials of every login that stored work may need; in a fleet with one store key, of all its machines."""

    def __init__(self, own: OwnLogins, encryptor: Encryptor, shared: LoginStore | None = None) -> None:
        """`shared` is where a fleet keeps its logins; its machines need one persistent key to read them."""
        self._own = own
        self._encryptor = encryptor
        self._shared = shared

    async def log_in(self, account_id: str, credentials: Sequence[Credentials], primary: int) -> None:
        """Stores a login whose servers are checked. Raises StoreFailed."""
        if self._shared:
            others = [one for index, one in enumerate(credentials) if index != primary]
            ordered = _without_flags([credentials[primary], *others])
            document = encode_revealed(_SharedLogin(scope=account_id, credentials=ordered))
            await self._shared.put(account_id, self._encryptor.encrypt(document.decode()))
        self._own.log_in(account_id, credentials, primary)

    async def credentials(self, account_id: str) -> tuple[Credentials, ...]:
        """The credentials of an account's last login on any machine, the primary's first; empty if there is none.

        This machine's own if the fleet's can't be read. Raises StoreFailed.
        """
        own = _without_flags(self._own.credentials(account_id))
        if self._shared is None:
            return own
        try:
            shared = await self._read(self._shared, account_id)
        except StoreFailed:
            if own:
                return own
            raise
        if shared and shared != own:
            self._own.log_in(account_id, shared, 0)  # what is forwarded waits here for their servers
        return shared or own

    async def _read(self, store: LoginStore, account_id: str) -> tuple[Credentials, ...]:
        encrypted = await store.get(account_id)
        if encrypted is None:
            return ()
        try:
            found = decode_stored(_SharedLogin, self._encryptor.decrypt(encrypted))
        except (DecryptionKeyMissing, NotJson):
            log.warning("a login of the fleet can't be decrypted: SIDECAR_STORE_KEY differs between machines")
            return ()
        return found.credentials if found.scope == account_id else ()


def _without_flags(credentials: Sequence[Credentials]) -> tuple[Credentials, ...]:
    """Credentials whose order alone says which is the primary."""
    return tuple(one.replace(primary=False) for one in credentials)
