"""get_secret, get_users_secret, get_user_secret."""

from typing import Any, TypeVar

import msgspec

from protocol.base import Secret
from protocol.secrets import SecretRequest, UserSecret
from sidecar.errors import InvalidContent, RemoteFailed
from sidecar.session import Session

Shape = TypeVar("Shape")


async def get_secret(session: Session, content: SecretRequest) -> msgspec.Raw:
    """Any JSON, byte for byte."""
    return await fetch(session, content.key, content.encryption_key)


async def get_users_secret(session: Session, content: SecretRequest) -> list[UserSecret]:
    """A list of logins; the key is `users` unless another is given."""
    key = content.key or "users"
    return _shaped(await fetch(session, key, content.encryption_key), list[UserSecret], key)


async def get_user_secret(session: Session, content: SecretRequest) -> UserSecret:
    """One login; the key is `user` unless another is given."""
    key = content.key or "user"
    return _shaped(await fetch(session, key, content.encryption_key), UserSecret, key)


async def fetch(session: Session, key: str, encrypted_with: Secret) -> msgspec.Raw:
    """A secret of the primary, which no log shows from now on. Raises MissingCredentials and the server's failures."""
    backend = session.backend
    if not key:
        raise InvalidContent("key cannot be empty", "key")
    encryption_key = encrypted_with.reveal()
    session.learn(encryption_key)
    value = await backend.secret(key, encryption_key)
    session.learn_secret(value)
    return value


def decode(value: msgspec.Raw, key: str) -> Any:
    """A secret's JSON as Python values. Raises RemoteFailed where it can't be read."""
    return _shaped(value, object, key)


def _shaped(value: msgspec.Raw, shape: type[Shape], key: str) -> Shape:
    try:
        return msgspec.json.decode(value, type=shape)
    except (msgspec.DecodeError, RecursionError) as wrong:
        # msgspec names types and places, never values
        said = str(wrong).replace("`", "").replace("$", "value")
        raise RemoteFailed(f"the secret {key!r} has another shape than asked for: {said}") from None
