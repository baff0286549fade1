"""Responses as values or as errors; no error sentence holds a key or a URL."""

import re
from collections.abc import Collection
from typing import Final, TypeVar

from sidecar_protocol import codec
from sidecar_protocol.decoding import decode_stored
from sidecar_protocol.models import Lenient
from sidecar_protocol.wire_types import REDACTED, Raw

from sidecar.errors import Forbidden, NotFound, RemoteFailed, SidecarError, Unauthorized
from sidecar.net.http_response import HttpResponse
from sidecar.secret_encodings import MIN_SECRET_LENGTH, encodings

Shape = TypeVar("Shape")

MAX_QUOTED: Final = 500
"""Characters of a server's own words that an error sentence quotes."""

_PASSING: Final = frozenset({429, 502, 503, 504})
"""Statuses that may be gone at the next try. Not 500, which is also RT-CV's answer to a wrong encryption key."""
_URL: Final = re.compile(r"""https?://(?:[^\s/?#"'<>]*@)?([^\s/?#"'<>]*)[^\s"'<>]*""", re.IGNORECASE)


class _ErrorBody(Lenient):
    error: str


def decode_as(response: HttpResponse, shape: type[Shape]) -> Shape:
    """The body decoded as a type. Raises RemoteFailed."""
    try:
        return decode_stored(shape, response.body)
    except codec.NotJson:
        raise _unexpected(response) from None


def raw_json(response: HttpResponse) -> Raw:
    """The body's JSON byte for byte, but on one line: line breaks can only be between its tokens."""
    try:
        response.body.decode()  # strict; what stays as it came is not looked into
        value = codec.raw(response.body)
    except ValueError:
        raise _unexpected(response) from None
    return Raw(value.replace(b"\n", b" ").replace(b"\r", b" "))


def to_error(response: HttpResponse, secrets: Collection[str]) -> SidecarError:
    """A refused request as an error: the server's own sentence if it gave one, without any of `secrets`."""
    kinds = {401: Unauthorized, 403: Forbidden, 404: NotFound}
    try:
        said = decode_stored(_ErrorBody, response.body).error
    except codec.NotJson:
        said = ""
        del kinds[404]  # a page that is missing, not a thing
    said = _quotable(said, secrets)
    if not said:
        body = _quotable(response.body.decode("utf-8", "replace"), secrets)
        said = f"server returned {response.status} code, with body {body or '(empty)'}"
    kind = kinds.get(response.status, RemoteFailed)
    return kind(said, status=response.status, retryable=response.status in _PASSING)


def _unexpected(response: HttpResponse) -> RemoteFailed:
    said = f"server returned {response.status} code, with a body that is not the expected JSON"
    return RemoteFailed(said, status=response.status)


def _quotable(said: str, secrets: Collection[str]) -> str:
    """A server's words without secrets, however it wrote them, and without what follows the host of a URL."""
    forms = {form for secret in secrets if len(secret) >= MIN_SECRET_LENGTH for form in encodings(secret)}
    if forms:
        hidden = "|".join(map(re.escape, sorted(forms, key=len, reverse=True)))
        said = re.sub(hidden, REDACTED, said, flags=re.IGNORECASE)
    said = _URL.sub(r"\1", said).strip()
    return said if len(said) <= MAX_QUOTED else f"{said[:MAX_QUOTED]}…"  # last, so that no half of a key is left
