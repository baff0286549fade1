"""One HTTP request and what came of it, as recordings keep it."""

from dataclasses import dataclass

Fields = tuple[tuple[str, str], ...]
"""Header names and values; names may repeat."""


@dataclass(frozen=True, slots=True)
class HttpFailure:
    """Why a request got no response; the members are those of the error that it became."""

    code: str
    message: str
    retryable: bool


@dataclass(frozen=True, slots=True)
class HttpRecord:
    """A request and its response, or its failure."""

    method: str
    url: str
    fields: Fields
    body: bytes
    status: int = 0
    """0 where there was no response."""
    response_fields: Fields = ()
    response_body: bytes = b""
    failure: HttpFailure | None = None
    holds_secret: bool = False
    """Whether everything in the response is secret."""
    seconds: float = 0.0
    omitted: int = 0
    """Bytes of a response's body that was too long to be recorded."""
