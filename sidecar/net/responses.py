"""What a server's answer means: a value of the expected shape, or a failure whose sentence holds no key and no URL."""

import re
from collections.abc import Collection
from typing import Final, TypeVar

import msgspec
from sidecar_protocol.base import REDACTED

from sidecar.errors import Forbidden, NotFound, RemoteFailed, SidecarError, Unauthorized
from sidecar.net.exchange import Answer
from sidecar.secret_encodings import MIN_LENGTH, spellings

Shape = TypeVar("Shape")

MAX_QUOTED: Final = 500
"""Characters of a server's own words that an error sentence quotes."""

_PASSING: Final = frozenset({429, 502, 503, 504})
"""Statuses that may be gone at the next try. Not 500: it is also RT-CV's answer to a wrong encryption key."""
_URL: Final = re.compile(r"""https?://(?:[^\s/?#"'<>]*@)?([^\s/?#"'<>]*)[^\s"'<>]*""", re.IGNORECASE)


class _ErrorBody(msgspec.Struct):
    error: str


def shaped(answer: Answer, shape: type[Shape]) -> Shape:
    """The body as this shape. Raises RemoteFailed."""
    try:
        return _decoded(answer.body, shape)
    except (ValueError, RecursionError):
        raise RemoteFailed(
            f"server returned {answer.status} code, with a body that is not the expected JSON", status=answer.status
        ) from None


def raw(answer: Answer) -> msgspec.Raw:
    """The body's JSON byte for byte, but on one line: line breaks can only stand between its tokens."""
    value = bytes(shaped(answer, msgspec.Raw))
    return msgspec.Raw(value.replace(b"\n", b" ").replace(b"\r", b" "))


def failure(answer: Answer, secrets: Collection[str]) -> SidecarError:
    """A refusal as an error: the server's own sentence where it gave one, without any of `secrets`."""
    kinds = {401: Unauthorized, 403: Forbidden, 404: NotFound}
    try:
        said = _decoded(answer.body, _ErrorBody).error
    except (ValueError, RecursionError):
        said = ""
        del kinds[404]  # a page that is missing, not a thing
    said = _quotable(said, secrets)
    if not said:
        body = _quotable(answer.body.decode("utf-8", "replace"), secrets)
        said = f"server returned {answer.status} code, with body {body or '(empty)'}"
    kind = kinds.get(answer.status, RemoteFailed)
    return kind(said, status=answer.status, retryable=answer.status in _PASSING)


def _decoded(body: bytes, shape: type[Shape]) -> Shape:
    """Raises ValueError, RecursionError."""
    body.decode()  # strict; msgspec takes the bytes of a string on trust
    return msgspec.json.decode(body, type=shape)


def _quotable(said: str, secrets: Collection[str]) -> str:
    """A server's words without secrets, however it wrote them, and without what follows the host of a URL."""
    forms = {form for secret in secrets if len(secret) >= MIN_LENGTH for form in spellings(secret)}
    if forms:
        hidden = "|".join(map(re.escape, sorted(forms, key=len, reverse=True)))
        said = re.sub(hidden, REDACTED, said, flags=re.IGNORECASE)
    said = _URL.sub(r"\1", said).strip()
    return said if len(said) <= MAX_QUOTED else f"{said[:MAX_QUOTED]}…"  # last, so that no half of a key is left
