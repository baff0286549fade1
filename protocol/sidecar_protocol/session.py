"""Messages that say who we are and how to talk: logins, mock mode, hello and cancel."""

from typing import Annotated, Final

from sidecar_protocol.models import Bound, Either, Model, V1Model
from sidecar_protocol.wire_types import Raw, Secret, no_secret

MAX_SERVERS: Final = 100
"""The number of servers of one login."""


class Credentials(V1Model):
    """One RT-CV server and the key to it. Source: RT-CV scraper client v1."""

    server_location: str = ""
    """http or https URL, with or without a trailing slash."""
    api_key_id: str = ""
    """24 hexadecimal digits on a real server."""
    api_key: Secret = Bound(default_factory=no_secret)
    primary: bool = False
    name: str = ""
    """The server's name in events and logs; default its host and port."""
    results_path: str = "/api/v1/scraper/jobResult"
    """The path to which results of jobs are posted."""


Servers = Annotated[list[Credentials], Bound(max_length=MAX_SERVERS)]
Login = Annotated[Credentials | Servers, Either("object", "array")]


class MockOptions(V1Model):
    """Answers of mock mode, where nothing is sent and nothing is kept."""

    raw_parts = (("secrets", "*"),)

    secrets: dict[str, Raw] | None = None
    """Secret's key -> any JSON, given back byte for byte."""
    cv_matches: bool = True
    """The answer of `send_cv`."""


class MockLogin(V1Model):
    """Mock mode as v1.0 had it: `set_credentials` with a `mock` in the place of a server."""

    mock: MockOptions


LoginForms = Credentials | MockLogin | Servers
"""The contents that `set_credentials` accepts; `codec` cuts the mock out before the rest is read."""


class Hello(Model):
    """The parent's options in addition to v1's behaviour."""

    notifications: bool = False
    """Whether lines that answer no request (`event`) may be written."""
    zone: str = ""
    """IANA name of the parent's time zone, for schedules with `zone_type` 1; the machine's where empty."""


class Cancel(Model):
    """Stops a request that is still in flight."""

    id: Annotated[int | str, Either("int", "str")]


class Limits(Model):
    """The limits, as `hello` returns them."""

    max_line_bytes: int
    max_in_flight: int
    max_nesting: int


class HelloReply(Model):
    """The sidecar's version and capabilities."""

    version: str
    protocol: str
    message_types: tuple[str, ...]
    limits: Limits
    browsers: dict[str, str]
    """Browser's name -> version or path of the one that was found."""
