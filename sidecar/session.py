"""What the parent has told us, and what follows from it until it tells us something else."""

import re
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import msgspec

from protocol.session import Credentials, MockOptions
from sidecar.errors import InvalidContent, MissingCredentials

LONG_TTL: Final = 3 * 24 * 3600.0
"""Seconds that a reference is remembered."""
SHORT_TTL: Final = 12 * 3600.0
"""Seconds that `set_short_cached_reference` remembers."""
_STRING: Final = re.compile(rb'("[^"\\]*(?:\\.[^"\\]*)*")(\s*:)?')
"""A string of valid JSON, and the colon that makes it a key."""


class References(Protocol):
    """Which references were seen, and until when."""

    def has(self, reference: str) -> bool:
        """Whether the reference is remembered and has not expired."""

    def remember(self, reference: str, ttl: float) -> None:
        """Remembers it for so many seconds from now."""


class Backend(Protocol):
    """Where secrets come from and CVs go: RT-CV servers, or the mock."""

    async def secret(self, key: str, encryption_key: str) -> msgspec.Raw:
        """A secret's value as the JSON that came."""

    async def scan_cv(self, cv: bytes) -> bool:
        """Sends one CV; whether it matched."""

    async def forward(self, result: bytes, idempotency_key: str) -> None:
        """Sends a job's result."""

    async def close(self) -> None:
        """Lets go of connections."""


@dataclass(frozen=True, slots=True)
class Login:
    """Everything that changes at once when a login, or mock mode, comes into force."""

    backend: Backend
    references: References


LogIn = Callable[[Sequence[Credentials]], Awaitable[Login]]
Mock = Callable[[MockOptions], Login]


class Session:
    """One parent's session. A login that fails leaves it as it was."""

    def __init__(
        self,
        *,
        before_login: References,
        log_in: LogIn,
        mock: Mock,
        learn: Callable[[str], None],
    ) -> None:
        self.notifications = False
        self._before_login = before_login
        self._log_in = log_in
        self._mock = mock
        self._learn = learn
        self._login: Login | None = None

    @property
    def references(self) -> References:
        """Those of the login in force; before any, a set of its own that belongs to no server."""
        return self._login.references if self._login else self._before_login

    @property
    def backend(self) -> Backend:
        """The login in force. Raises MissingCredentials."""
        if self._login is None:
            raise MissingCredentials
        return self._login.backend

    async def log_in(self, credentials: Sequence[Credentials]) -> None:
        """Checks every server and switches to them. Raises InvalidContent, RemoteFailed, RemoteUnreachable."""
        check_credentials(credentials)
        for one in credentials:
            self._learn(one.api_key.reveal())
        await self._switch(await self._log_in(credentials))

    async def mock(self, options: MockOptions) -> None:
        """Switches to mock mode, with nothing remembered."""
        for value in (options.secrets or {}).values():
            self.learn_secret(value)
        await self._switch(self._mock(options))

    def learn(self, secret: str) -> None:
        """Keeps a secret out of every log from now on."""
        self._learn(secret)

    def learn_secret(self, value: msgspec.Raw) -> None:
        """Keeps every string of a secret's JSON out of every log from now on."""
        for leaf in _strings(value):
            self._learn(leaf)

    async def close(self) -> None:
        """Lets go of the servers."""
        if self._login:
            await self._login.backend.close()

    async def _switch(self, login: Login) -> None:
        before, self._login = self._login, login
        if before:
            await before.backend.close()


def check_credentials(credentials: Sequence[Credentials]) -> None:
    """What v1 checked before it sent anything, in its order and its words. Raises InvalidContent."""
    primaries = 0
    for index, one in enumerate(credentials):
        place = f"[{index}]." if len(credentials) > 1 else ""
        _check_one(one, place)
        primaries += one.primary
        if primaries > 1:
            raise InvalidContent("can only have one primary connection", f"{place}primary")
    if not credentials:
        raise InvalidContent("you cannot define no connections")
    if len(credentials) > 1 and not primaries:
        raise InvalidContent("when defineing multiple connections, one must be set as primary", "primary")


def _check_one(one: Credentials, place: str) -> None:
    if not one.server_location:
        raise InvalidContent("server_location cannot be empty", f"{place}server_location")
    if not one.server_location.startswith(("http://", "https://")):
        raise InvalidContent(
            "server_location must start with a supported protocol like: http:// or https://",
            f"{place}server_location",
        )
    if not one.api_key_id:
        raise InvalidContent("api_key_id cannot be empty", f"{place}api_key_id")
    if not one.api_key_id.isprintable():
        raise InvalidContent("api_key_id cannot hold control characters", f"{place}api_key_id")
    if not one.api_key:
        raise InvalidContent("api_key cannot be empty", f"{place}api_key")
    if not _is_path(one.results_path):
        raise InvalidContent("results_path must be a path that starts with /", f"{place}results_path")


def _is_path(path: str) -> bool:
    return path.startswith("/") and path.isascii() and path.isprintable() and not set(path) & set(" #")


def _strings(value: bytes) -> Iterator[str]:
    """Every string of valid JSON that is not a key. Depth and numbers of any size don't matter here."""
    for string, colon in _STRING.findall(value):
        if not colon:
            yield msgspec.json.decode(string, type=str)
