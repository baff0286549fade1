"""Logins of a fleet, as two machines with one key, and one with another, see them in a real Redis."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sidecar_protocol.session import Credentials
from sidecar_protocol.wire_types import Secret

from sidecar.clock import Clock
from sidecar.deliveries.endpoint_registry import EndpointRegistry
from sidecar.encryption import KEY_BYTES, Encryptor
from sidecar.errors import StoreFailed
from sidecar.rtcv.credential_store import CredentialStore
from sidecar.storage.database import Database
from sidecar.storage.endpoint_rows import EndpointRows
from sidecar.storage.redis_client import connect
from sidecar.storage.redis_logins import RedisLogins
from tests.redis_server import RedisServer

CANARY = "canary-of-a-key"
PRIMARY = Credentials(server_location="https://a.example", api_key_id="1", api_key=Secret(CANARY), primary=True)
SECOND = Credentials(server_location="https://b.example", api_key_id="2", api_key=Secret(CANARY), name="b")
BARE = PRIMARY.replace(primary=False)


class Machine:
    """One of the fleet."""

    def __init__(self, server: RedisServer, key: bytes) -> None:
        self.redis = connect(server.url)
        self.database = Database.in_memory()
        self.encryptor = Encryptor(key)
        rows = EndpointRows(self.database, Clock())
        self.endpoints = EndpointRegistry(rows, self.encryptor, 10_000, allow_private=False)
        self.logins = CredentialStore(self.endpoints, self.encryptor, RedisLogins(self.redis))

    async def close(self) -> None:
        """Ends it."""
        await self.redis.aclose()
        await self.database.close()


@pytest.fixture
def server(tmp_path: Path) -> RedisServer:
    """A Redis of the test's own, which it may stop."""
    return RedisServer(tmp_path)


@pytest.fixture
async def machines(server: RedisServer) -> AsyncIterator[list[Machine]]:
    """Two with one key, and a stranger."""
    with server:
        made = [Machine(server, bytes([key]) * KEY_BYTES) for key in (1, 1, 2)]
        yield made
        for machine in made:
            await machine.close()


async def test_a_login_is_known_to_those_who_have_the_key(machines: list[Machine]) -> None:
    """Machines with the key share the login and its servers; Redis has nothing of it in clear."""
    one, other, stranger = machines
    await one.logins.log_in("s", [PRIMARY, SECOND], 0)
    assert other.endpoints.servers("s") == ()
    assert await other.logins.credentials("s") == (BARE, SECOND)
    assert len(other.endpoints.servers("s")) == 2
    assert other.endpoints.credentials("s") == (BARE, SECOND)
    assert await stranger.logins.credentials("s") == ()
    assert await other.logins.credentials("unknown") == ()
    kept = await one.redis.get("sidecar:login:s")
    assert kept
    assert CANARY.encode() not in kept
    assert b"example" not in kept


async def test_the_last_login_counts(machines: list[Machine]) -> None:
    """The last login counts, also on machines that logged in earlier with an old key."""
    one, other, _ = machines
    other.endpoints.log_in("s", [PRIMARY], 0)
    assert await other.logins.credentials("s") == (BARE,)
    new = PRIMARY.replace(api_key=Secret("new"))
    await one.logins.log_in("s", [new], 0)
    (found,) = await other.logins.credentials("s")
    assert found.api_key == Secret("new")
    assert other.endpoints.credentials("s") == (found,)


async def test_a_login_stored_under_another_key_is_refused(machines: list[Machine]) -> None:
    """Write access to Redis is not enough to send jobs to a server of another login."""
    one, other, _ = machines
    await one.logins.log_in("a", [PRIMARY], 0)
    await one.redis.rename("sidecar:login:a", "sidecar:login:b")
    assert await other.logins.credentials("b") == ()
    await one.redis.set("sidecar:login:b", b"no seal")
    assert await other.logins.credentials("b") == ()


async def test_without_redis_our_own_counts(machines: list[Machine], server: RedisServer) -> None:
    """What was logged in here goes on; what is not known here is not known to be unknown."""
    one, other, _ = machines
    other.endpoints.log_in("s", [PRIMARY, SECOND], 0)
    server.stop()
    assert await other.logins.credentials("s") == (BARE, SECOND)
    with pytest.raises(StoreFailed):
        await one.logins.credentials("s")
    with pytest.raises(StoreFailed):
        await one.logins.log_in("s", [PRIMARY], 0)
