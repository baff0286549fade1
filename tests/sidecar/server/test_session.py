"""What a session remembers of its parent: the login in force, what it refuses, what it must never print."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from sidecar_protocol.errors import ErrorCode
from sidecar_protocol.session import Credentials, MockOptions
from sidecar_protocol.wire_types import Raw, Secret

from sidecar.errors import InvalidContent, MissingCredentials, RemoteUnreachable
from sidecar.rtcv.login import Login
from sidecar.rtcv.mock import MockServer
from sidecar.server.session import Session, check_credentials
from sidecar.storage.memory_references import MemoryReferences
from tests.clocks import ManualClock

GOOD: dict[str, Any] = {"server_location": "http://h", "api_key_id": "1" * 24, "api_key": "ddd"}


def credentials(**changes: Any) -> Credentials:
    """Credentials that are good but for the changes."""
    fields = GOOD | changes
    return Credentials(**(fields | {"api_key": Secret(fields["api_key"])}))


class Backends:
    """Creates logins; notes which of their backends were closed, and fails on command."""

    def __init__(self) -> None:
        self.closed: list[Backend] = []
        self.refuse = False

    async def log_in(self, credentials: Sequence[Credentials]) -> Login:
        """A login to nowhere."""
        await asyncio.sleep(0)
        if self.refuse:
            raise RemoteUnreachable("nobody there")
        return await self.login()

    async def login(self, options: MockOptions | None = None) -> Login:
        """A login to a mock."""
        return Login(Backend(self.closed, options or MockOptions()), MemoryReferences(ManualClock().clock))


class Backend(MockServer):
    """A mock that notes when it is closed."""

    def __init__(self, closed: "list[Backend]", options: MockOptions) -> None:
        super().__init__(options)
        self._closed = closed

    async def close(self) -> None:
        """Notes it."""
        self._closed.append(self)


@pytest.fixture
def backends() -> Backends:
    """A factory of logins."""
    return Backends()


@pytest.fixture
def learned() -> list[str]:
    """What must not be logged from now on."""
    return []


@pytest.fixture
def session(backends: Backends, learned: list[str]) -> Session:
    """A session before its login."""
    memory = MemoryReferences(ManualClock().clock)
    return Session(before_login=memory, add_secret=learned.append)


@pytest.mark.parametrize(
    ("changes", "field", "said"),
    [
        ({"server_location": ""}, "server_location", "server_location cannot be empty"),
        (
            {"server_location": "h"},
            "server_location",
            "server_location must start with a supported protocol like: http:// or https://",
        ),
        (
            {"server_location": "ftp://h"},
            "server_location",
            "server_location must start with a supported protocol like: http:// or https://",
        ),
        ({"api_key_id": ""}, "api_key_id", "api_key_id cannot be empty"),
        ({"api_key": ""}, "api_key", "api_key cannot be empty"),
        (
            {"server_location": "", "api_key_id": "", "api_key": ""},
            "server_location",
            "server_location cannot be empty",
        ),
        ({"api_key_id": "", "api_key": ""}, "api_key_id", "api_key_id cannot be empty"),
        ({"api_key_id": "1\r\nX: y"}, "api_key_id", "api_key_id cannot hold control characters"),
        ({"results_path": ".evil.nl/x"}, "results_path", "results_path must be a path that starts with /"),
        ({"results_path": ""}, "results_path", "results_path must be a path that starts with /"),
        ({"results_path": "/a b"}, "results_path", "results_path must be a path that starts with /"),
        ({"results_path": "/a\nb"}, "results_path", "results_path must be a path that starts with /"),
        ({"results_path": "/a#b"}, "results_path", "results_path must be a path that starts with /"),
    ],
)
@pytest.mark.parametrize("among", [1, 3])
def test_invalid_credentials_are_refused(changes: dict[str, Any], field: str, said: str, among: int) -> None:
    """V1's sentences, in v1's order; for several servers the place is named."""
    servers = [credentials(primary=number == 0) for number in range(among - 1)] + [credentials(**changes)]
    with pytest.raises(InvalidContent) as failed:
        check_credentials(servers)
    place = field if among == 1 else f"[{among - 1}].{field}"
    assert (failed.value.message, failed.value.details) == (said, {"field": place})


@pytest.mark.parametrize(
    ("primaries", "said"),
    [
        ([], "you cannot define no connections"),
        ([False, False], "when defineing multiple connections, one must be set as primary"),
        ([False, False, False], "when defineing multiple connections, one must be set as primary"),
        ([False] * 7, "when defineing multiple connections, one must be set as primary"),
        ([True, True], "can only have one primary connection"),
        ([False, True, False, True], "can only have one primary connection"),
    ],
)
def test_one_server_must_be_the_primary(primaries: list[bool], said: str) -> None:
    """Exactly one, whatever their number."""
    with pytest.raises(InvalidContent) as failed:
        check_credentials([credentials(primary=primary) for primary in primaries])
    assert (failed.value.message, failed.value.code) == (said, ErrorCode.INVALID_CONTENT)


@pytest.mark.parametrize("primaries", [[False], [True], [True, False], [False, False, True]])
def test_good_credentials(primaries: list[bool]) -> None:
    """One server needs no primary; of several, any may be it."""
    check_credentials([credentials(primary=primary) for primary in primaries])


async def test_before_a_login_there_is_no_server(session: Session, backends: Backends) -> None:
    """References live in memory, and all else is refused in v1's words."""
    session.references.remember("a", 1)
    assert session.references.has("a")
    with pytest.raises(MissingCredentials) as failed:
        session.backend  # noqa: B018
    assert failed.value.message == "missing credentials, call set_credentials before this method"
    assert failed.value.code == ErrorCode.MISSING_CREDENTIALS
    await session.close()


async def test_references_before_a_login_are_not_the_servers(session: Session, backends: Backends) -> None:
    """References before a login belong to no login."""
    session.references.remember("a", 1)
    await session.log_in([credentials()], backends.log_in)
    assert not session.references.has("a")


async def test_a_login_replaces_the_one_before(session: Session, backends: Backends) -> None:
    """Backend and references change at once, and what was before is let go."""
    await session.log_in([credentials()], backends.log_in)
    first, references = session.backend, session.references
    references.remember("a", 1)
    await session.log_in([credentials()], backends.log_in)
    assert session.backend is not first
    assert not session.references.has("a")
    assert backends.closed == [first]
    await session.close()
    assert backends.closed == [first, session.backend]


@pytest.mark.parametrize("logged_in", [True, False])
@pytest.mark.parametrize("refused_by", ["content", "server"])
async def test_a_failed_login_changes_nothing(
    session: Session, backends: Backends, logged_in: bool, refused_by: str
) -> None:
    """The session before it stays; with none before, there is still none."""
    if logged_in:
        await session.log_in([credentials()], backends.log_in)
    before = session.references
    before.remember("a", 1)
    backends.refuse = True
    with pytest.raises((RemoteUnreachable, InvalidContent)):
        await session.log_in([credentials() if refused_by == "server" else credentials(api_key="")], backends.log_in)
    assert session.references is before
    assert backends.closed == []
    if logged_in:
        assert session.backend
    else:
        with pytest.raises(MissingCredentials):
            session.backend  # noqa: B018


async def test_mock_mode_has_references_of_its_own(session: Session, backends: Backends) -> None:
    """References of a mock don't affect real CVs, nor the reverse, nor another mock's."""
    await session.log_in([credentials()], backends.log_in)
    session.references.remember("real", 1)
    await session.mock(MockOptions(), backends.login)
    assert not session.references.has("real")
    session.references.remember("mocked", 1)
    await session.mock(MockOptions(), backends.login)
    assert not session.references.has("mocked")
    await session.log_in([credentials()], backends.log_in)
    assert not session.references.has("mocked")


async def test_secrets_are_learned(session: Session, backends: Backends, learned: list[str]) -> None:
    """Keys of servers, also of those that refuse, and every string of a secret, however deep or odd its JSON."""
    await session.log_in([credentials(api_key="key-1", primary=True), credentials(api_key="key-2")], backends.log_in)
    deep = b"[" * 900 + b'"bottom"' + b"]" * 900
    secrets = {
        "a": Raw(b'{"user\\"name" : "ann \\"x\\"\\\\", "list":["p\\u00e9","q:"],"n":1e999,"m":' + b"9" * 5000 + b"}"),
        "b": Raw(deep),
        "c": Raw(b'"alone"'),
    }
    await session.mock(MockOptions(secrets=secrets), backends.login)
    assert learned == ["key-1", "key-2", 'ann "x"\\', "pé", "q:", "bottom", "alone"]


async def test_keys_of_a_refused_login_are_learned(session: Session, backends: Backends, learned: list[str]) -> None:
    """A key that was refused once may be right elsewhere."""
    backends.refuse = True
    with pytest.raises(RemoteUnreachable):
        await session.log_in([credentials(api_key="key-1")], backends.log_in)
    assert learned == ["key-1"]
