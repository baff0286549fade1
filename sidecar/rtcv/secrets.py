"""Secrets of the primary server: fetched, kept out of every log, decoded."""

from typing import Any, TypeVar

import msgspec
from sidecar_protocol.base import Secret
from sidecar_protocol.bounds import deeper
from sidecar_protocol.codec import MAX_NESTING

from sidecar.errors import InvalidContent, RemoteFailed
from sidecar.rtcv.login import LoginContext

Shape = TypeVar("Shape")


async def fetch(login: LoginContext, key: str, encrypted_with: Secret) -> msgspec.Raw:
    """A secret of the primary, which no log shows from now on. Raises MissingCredentials and the server's failures."""
    backend = login.backend
    if not key:
        raise InvalidContent("key cannot be empty", "key")
    encryption_key = encrypted_with.reveal()
    login.add_secret(encryption_key)
    value = await backend.secret(key, encryption_key)
    login.add_json_secret(value)
    return value


def decode(value: msgspec.Raw, key: str) -> Any:
    """A secret's JSON as Python values. Raises RemoteFailed where it can't be read."""
    return shaped(value, object, key)


def shaped(value: msgspec.Raw, shape: type[Shape], key: str) -> Shape:
    """A secret's JSON as that type. Raises RemoteFailed where it is another."""
    try:
        if deeper(bytes(value), MAX_NESTING):  # what Python itself can hold is another depth in each version
            raise RecursionError(f"it is nested over {MAX_NESTING} levels")
        return msgspec.json.decode(value, type=shape)
    except (msgspec.DecodeError, RecursionError) as wrong:
        # msgspec names types and places, never values
        said = str(wrong).replace("`", "").replace("$", "value")
        raise RemoteFailed(f"the secret {key!r} has another shape than asked for: {said}") from None
