"""Secrets of the primary server: fetched, kept out of every log, decoded."""

from collections.abc import Container
from typing import Any, TypeVar

from sidecar_protocol import codec
from sidecar_protocol.bounds import deeper
from sidecar_protocol.codec import MAX_NESTING, NotJson
from sidecar_protocol.errors import WireError
from sidecar_protocol.wire_types import Raw, Secret

from sidecar.errors import InvalidContent, RemoteFailed
from sidecar.rtcv.login import LoginContext

Shape = TypeVar("Shape")


async def fetch(login: LoginContext, key: str, encrypted_with: Secret) -> Raw:
    """A secret of the primary, which no log shows from now on. Raises MissingCredentials and the server's failures."""
    backend = login.backend
    if not key:
        raise InvalidContent("key cannot be empty", "key")
    encryption_key = encrypted_with.reveal()
    login.add_secret(encryption_key)
    value = await backend.secret(key, encryption_key)
    login.add_json_secret(value)
    return value


def decode(value: Raw, key: str) -> Any:
    """A secret's JSON as Python values. Raises RemoteFailed where it can't be read."""
    try:
        if deeper(value, MAX_NESTING):  # what Python itself can hold is another depth in each version
            raise NotJson(f"it is nested over {MAX_NESTING} levels")
        return codec.plain(value)
    except NotJson as wrong:
        raise _another_shape(key, wrong) from None


def shaped(value: Raw, shape: type[Shape], names: Container[str], key: str) -> Shape:
    """A secret's JSON as that type, of whose objects these members alone are read. Raises RemoteFailed."""
    from sidecar_protocol.decoding import decode_value  # late: it brings pydantic

    try:
        return decode_value(shape, decode(Raw(codec.narrowed(value, names)), key), "value")
    except NotJson as wrong:
        raise _another_shape(key, wrong) from None
    except WireError as wrong:
        if isinstance(wrong, RemoteFailed):
            raise
        raise _another_shape(key, wrong) from None


def _another_shape(key: str, wrong: Exception) -> RemoteFailed:
    """The sentence names types and places, never values."""
    return RemoteFailed(f"the secret {key!r} does not have the requested shape: {wrong}")
