"""A session whose servers are played by the test."""

import asyncio

import msgspec
from sidecar_protocol.session import MockOptions

from sidecar.rtcv.login import Login, References
from sidecar.server.session import Session
from sidecar.storage.memory_references import MemoryReferences
from tests.clocks import ManualClock


class Server:
    """A backend that notes what it is sent; its answers wait for `go`."""

    def __init__(self) -> None:
        self.cvs: list[bytes] = []
        self.results: list[tuple[bytes, str]] = []
        self.secrets: dict[str, bytes] = {}
        self.asked: list[tuple[str, str]] = []
        self.answer: bool | Exception = True
        self.go = asyncio.Event()
        self.go.set()

    async def secret(self, key: str, encryption_key: str) -> msgspec.Raw:
        """The secret under the key."""
        self.asked.append((key, encryption_key))
        return msgspec.Raw(self.secrets[key])

    async def scan_cv(self, cv: bytes) -> bool:
        """The answer that the test has chosen."""
        self.cvs.append(cv)
        await self.go.wait()
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    async def forward(self, result: bytes, idempotency_key: str) -> None:
        """Notes a job's result."""
        if isinstance(self.answer, Exception):
            raise self.answer
        self.results.append((result, idempotency_key))

    async def close(self) -> None:
        """Nothing to close."""


class Parts:
    """What handlers work on."""

    def __init__(self) -> None:
        self.time = ManualClock()
        self.server = Server()
        self.learned: list[str] = []
        self.session = Session(
            before_login=MemoryReferences(self.time.clock),
            log_in=self._log_in,
            mock=self._mock,
            add_secret=self.learned.append,
        )

    async def logged_in(self) -> Session:
        """The session, logged in to `server`."""
        await self.session.mock(MockOptions())
        return self.session

    @property
    def references(self) -> References:
        """Those in force."""
        return self.session.references

    async def _log_in(self, credentials: object) -> Login:
        return await self._mock(MockOptions())

    async def _mock(self, options: MockOptions) -> Login:
        return Login(self.server, MemoryReferences(self.time.clock))
