"""Logins shared by a fleet, encrypted with the key that all machines have."""

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
    """Where they lie. Every call may raise StoreFailed."""

    async def put(self, account_id: str, sealed: str) -> None:
        """Keeps the document of a scope, in the place of the one before it."""

    async def get(self, account_id: str) -> str | None:
        """The document of a scope; None where there is none."""


class _Sealed(Model):
    """The record of a login. The account is part of it, so that a record can't stand in for another's."""

    scope: str
    credentials: tuple[Credentials, ...]


class SharedLogins:
    """The logins of a fleet. The seal must be one that lasts."""

    def __init__(self, store: LoginStore, encryptor: Encryptor, own: OwnLogins) -> None:
        self._store = store
        self._encryptor = encryptor
        self._own = own

    async def share(self, account_id: str, credentials: Sequence[Credentials]) -> None:
        """Shares a login with all machines; the first server is the primary. Raises StoreFailed."""
        document = encode_revealed(_Sealed(scope=account_id, credentials=_without_flags(credentials)))
        await self._store.put(account_id, self._encryptor.encrypt(document.decode()))

    async def credentials(self, account_id: str) -> tuple[Credentials, ...]:
        """The last that any machine has logged in with, the primary's first; our own where the store does not answer.

        None where no machine has logged in. Raises StoreFailed.
        """
        own = _without_flags(self._own.credentials(account_id))
        try:
            shared = await self._shared(account_id)
        except StoreFailed:
            if own:
                return own
            raise
        if shared and shared != own:
            self._own.log_in(account_id, shared, 0)  # what is forwarded waits here for their servers
        return shared or own

    async def _shared(self, account_id: str) -> tuple[Credentials, ...]:
        sealed = await self._store.get(account_id)
        if sealed is None:
            return ()
        try:
            found = decode_stored(_Sealed, self._encryptor.decrypt(sealed))
        except (DecryptionKeyMissing, NotJson):
            log.warning("a login of the fleet can't be decrypted: SIDECAR_STORE_KEY differs between machines")
            return ()
        return found.credentials if found.scope == account_id else ()


def _without_flags(credentials: Sequence[Credentials]) -> tuple[Credentials, ...]:
    """Credentials whose order alone says which is the primary."""
    return tuple(one.replace(primary=False) for one in credentials)
