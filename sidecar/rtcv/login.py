"""Logins: the backend, the references, and what work needs of them."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from sidecar_protocol.wire_types import Raw

if TYPE_CHECKING:
    from sidecar.rtcv.documents import CvDocument

LONG_TTL: Final = 3 * 24 * 3600.0
"""Seconds that a reference is remembered."""
MOCK: Final = "mock"
"""The scope of a mock session's login."""
SHORT_TTL: Final = 12 * 3600.0
"""Seconds that `set_short_cached_reference` remembers."""


class References(Protocol):
    """Which references were seen, and until when."""

    def has(self, reference: str) -> bool:
        """Whether the reference is remembered here and has not expired."""

    async def known(self, reference: str) -> bool:
        """Whether it is remembered by any machine that shares them; waits only where that is another one."""

    def remember(self, reference: str, ttl: float, *, until_stored: bool = False) -> None:
        """Remembers it for `ttl` seconds from now; `until_stored` if no reply would report that it wasn't stored."""


class RtcvBackend(Protocol):
    """The source of secrets and the destination of CVs: RT-CV servers, or the mock."""

    async def secret(self, key: str, encryption_key: str) -> Raw:
        """A secret's value as the JSON that came."""

    async def scan_cv(self, cv: bytes) -> bool:
        """Sends one CV; whether it matched."""

    async def scan_document(self, document: "CvDocument") -> bool:
        """Sends one CV with its PDF; whether it matched."""

    async def post_cvs(self, cvs: bytes) -> None:
        """Sends a list of CVs, as JSON."""

    async def forward(self, result: bytes, idempotency_key: str) -> None:
        """Sends a job's result."""

    async def close(self) -> None:
        """Closes connections."""


@dataclass(frozen=True, slots=True)
class Login:
    """Everything that changes at once when a login, or mock mode, comes into force."""

    backend: RtcvBackend
    references: References
    account_id: str = ""
    """Identifies server and key, for stored work."""


class LoginContext(Protocol):
    """The login that work uses: a session's, or that of a stored job."""

    @property
    def backend(self) -> RtcvBackend:
        """The login in force. Raises MissingCredentials."""

    @property
    def references(self) -> References:
        """The references of the login in force, or a separate set."""

    def add_secret(self, secret: str) -> None:
        """Keeps a secret out of every log from now on."""

    def add_json_secret(self, value: bytes) -> None:
        """Keeps every string of a secret's JSON out of every log from now on."""
