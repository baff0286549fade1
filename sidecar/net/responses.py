"""Responses as values or as errors; no error sentence holds a key or a URL."""

import re
from collections.abc import Collection
from typing import Final, TypeVar

import msgspec
from sidecar_protocol.wire_types import REDACTED, Raw

from sidecar.errors import Forbidden, NotFound, RemoteFailed, SidecarError, Unauthorized
from sidecar.net.exchange import HttpResponse
from sidecar.secret_encodings import MIN_SECRET_LENGTH, encodings

Shape = TypeVar("Shape")

MAX_QUOTED: Final = 500
"""Characters of a server's own words that an error sentence quotes."""

_PASSING: Final = frozenset({429, 502, 503, 504})
"""Statuses that may be gone at the next try. Not 500: it is also RT-CV's answer to a wrong encryption key."""
_URL: Final = re.compile(r"""https?://(?:[^\s/?#"'<>]*@)?([^\s/?#"'<>]*)[^\s"'<>]*""", re.IGNORECASE)


class _ErrorBody(msgspec.Struct):
    error: str


def decode_as(response: HttpResponse, shape: type[Shape]) -> Shape:
    """The body decoded as a type. Raises RemoteFailed."""
    try:
        return _decoded(response.body, shape)
    except (ValueError, RecursionError):
        raise RemoteFailed(
            f"server returned {response.status} code, with a body that is not the expected JSON", status=response.status
        ) from None


def raw_json(response: HttpResponse) -> Raw:
    """The body's JSON byte for byte, but on one line: line breaks can only stand between its tokens."""
    value = bytes(decode_as(response, msgspec.Raw))
    return Raw(value.replace(b"\n", b" ").replace(b"\r", b" "))


def to_error(response: HttpResponse, secrets: Collection[str]) -> SidecarError:
    """A refused request as an error: the server's own sentence if it gave one, without any of `secrets`."""
    kinds = {401: Unauthorized, 403: Forbidden, 404: NotFound}
    try:
        said = _decoded(response.body, _ErrorBody).error
    except (ValueError, RecursionError):
        said = ""
        del kinds[404]  # a page that is missing, not a thing
    said = _quotable(said, secrets)
    if not said:
        body = _quotable(response.body.decode("utf-8", "replace"), secrets)
        said = f"server returned {response.status} code, with body {body or '(empty)'}"
    kind = kinds.get(response.status, RemoteFailed)
    return kind(said, status=response.status, retryable=response.status in _PASSING)


def _decoded(body: bytes, shape: type[Shape]) -> Shape:
    """Raises ValueError, RecursionError."""
    body.decode()  # strict; msgspec takes the bytes of a string on trust
    return msgspec.json.decode(body, type=shape)


def _quotable(said: str, secrets: Collection[str]) -> str:
    """A server's words without secrets, however it wrote them, and without what follows the host of a URL."""
    forms = {form for secret in secrets if len(secret) >= MIN_SECRET_LENGTH for form in encodings(secret)}
    if forms:
        hidden = "|".join(map(re.escape, sorted(forms, key=len, reverse=True)))
        said = re.sub(hidden, REDACTED, said, flags=re.IGNORECASE)
    said = _URL.sub(r"\1", said).strip()
    return said if len(said) <= MAX_QUOTED else f"{said[:MAX_QUOTED]}…"  # last, so that no half of a key is left
