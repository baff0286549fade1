"""Logins that a server keeps for a scraper, their passwords encrypted for it. Source: RT-CV scraper client v2."""

import base64
import binascii
import logging
from collections.abc import Iterator, Sequence
from typing import Final

from sidecar_protocol.models import Bound, Lenient
from sidecar_protocol.secrets import UserSecret

from sidecar.rtcv.scraper_env import EnvError, KeyPair

log = logging.getLogger(__name__)

JUNK: Final = 32
"""Random bytes before a password, so that the same password never looks the same."""


class ScraperUser(Lenient):
    """One login as a server has it."""

    username: str
    password: str | None = None
    encrypted_password: str | None = Bound(default=None, alias="encryptedPassword")


class ScraperUsers(Lenient):
    """A server's answer."""

    public_key: str | None = Bound(default=None, alias="scraperPubKey")
    users: list[ScraperUser] | None = None


def decrypt(answer: ScraperUsers, keys: KeyPair | None) -> Sequence[UserSecret]:
    """The logins with a password. Raises EnvError where the server encrypts for another key than ours."""
    if keys and answer.public_key and not _same(answer.public_key, keys.public):
        raise EnvError("public_key is not the one that the server has for this scraper")
    return tuple(_decrypted(answer.users or (), keys))


def _decrypted(users: Sequence[ScraperUser], keys: KeyPair | None) -> Iterator[UserSecret]:
    for number, user in enumerate(users):
        password = user.password or _opened(user.encrypted_password, keys)
        if password:
            yield UserSecret(username=user.username, password=password)
        else:
            log.warning("login user %d has no password that can be read, and is left out", number)


def _opened(encrypted: str | None, keys: KeyPair | None) -> str:
    """A password; empty where it can't be read."""
    if not encrypted or not keys:
        return ""
    from nacl.exceptions import CryptoError
    from nacl.public import PrivateKey, SealedBox

    box = SealedBox(PrivateKey(base64.b64decode(keys.private.reveal())))
    try:
        return box.decrypt(base64.b64decode(encrypted, validate=True))[JUNK:].decode()
    except (CryptoError, binascii.Error, ValueError):
        return ""


def _same(given: str, ours: str) -> bool:
    try:
        return base64.b64decode(given, validate=True) == base64.b64decode(ours)
    except (binascii.Error, ValueError):
        return False
