"""A session whose servers are played by the test."""

import asyncio
from typing import Any

from sidecar_protocol.session import HelloReply, Limits, MockOptions
from sidecar_protocol.wire_types import Raw

from sidecar.rtcv.documents import CvDocument, DocumentLoader
from sidecar.rtcv.login import Login, References
from sidecar.rtcv.send_cv import ReferenceLocks
from sidecar.server.handlers.context import HandlerContext
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

    async def secret(self, key: str, encryption_key: str) -> Raw:
        """The secret under the key."""
        self.asked.append((key, encryption_key))
        return Raw(self.secrets[key])

    async def scan_cv(self, cv: bytes) -> bool:
        """The answer that the test has chosen."""
        self.cvs.append(cv)
        await self.go.wait()
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    async def scan_document(self, document: CvDocument) -> bool:
        """The answer that the test has chosen, to a CV with its PDF."""
        return await self.scan_cv(document.metadata.encode())

    async def post_cvs(self, cvs: bytes) -> None:
        """Notes a list."""
        self.cvs.append(cvs)

    async def forward(self, result: bytes, idempotency_key: str) -> None:
        """Notes a job's result."""
        if isinstance(self.answer, Exception):
            raise self.answer
        self.results.append((result, idempotency_key))

    async def close(self) -> None:
        """Does nothing: there is nothing to close."""


class Parts:
    """What handlers work on."""

    def __init__(self) -> None:
        self.time = ManualClock()
        self.server = Server()
        self.learned: list[str] = []
        self.expected_jobs = 0
        self.session = Session(before_login=MemoryReferences(self.time.clock), add_secret=self.learned.append)

    async def logged_in(self) -> Session:
        """The session, logged in to `server`."""
        await self.session.mock(MockOptions(), self._mock)
        return self.session

    @property
    def references(self) -> References:
        """The references in force."""
        return self.session.references

    def context(self, storage: Any = None) -> HandlerContext:
        """What handlers work on; without storage, nothing asks for it."""
        return HandlerContext(
            session=self.session,
            storage=storage,
            log_in=self._log_in,
            mock=self._mock,
            reference_locks=ReferenceLocks(),
            documents=lambda: DocumentLoader(""),
            run_service=_unasked,
            expect_job=self._expect_job,
            visit_tokens=_unasked,
            describe=about,
            emit=lambda request_id, event, content: None,
        )

    def _expect_job(self) -> None:
        self.expected_jobs += 1

    async def _log_in(self, credentials: object) -> Login:
        return await self._mock(MockOptions())

    async def _mock(self, options: MockOptions) -> Login:
        return Login(self.server, MemoryReferences(self.time.clock))


def about() -> HelloReply:
    """What `hello` answers."""
    limits = Limits(max_line_bytes=1, max_in_flight=1, max_nesting=1)
    return HelloReply(version="1", protocol="2.0", message_types=(), limits=limits, browsers={})


def _unasked() -> Any:
    raise AssertionError("no test of these handlers runs a job")
