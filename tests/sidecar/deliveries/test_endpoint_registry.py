"""Endpoints: what is checked of them, what is kept, and who may open what is encrypted."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from sidecar_protocol.session import Credentials
from sidecar_protocol.webhooks import Webhook
from sidecar_protocol.wire_types import Secret

from sidecar.deliveries.endpoint_records import host_of, server_id
from sidecar.deliveries.endpoint_registry import MAX_CACHED, EndpointRegistry, ServerTarget, WebhookTarget
from sidecar.deliveries.server_forwarder import ServerForwarder
from sidecar.encryption import Encryptor
from sidecar.errors import Forbidden, InvalidContent, LimitExceeded, MissingCredentials
from sidecar.storage.database import Database
from sidecar.storage.endpoint_rows import EndpointRows
from sidecar.storage.outbox import Outbox
from tests.clocks import ManualClock
from tests.fakes import KEY, KEY_ID
from tests.sidecar.deliveries.posting import SECRET, hook

OTHER = "whsec_" + "b3RoZXIgc2VjcmV0IG9mIHNvbWUgbGVuZ3Ro"
LASTING = b"k" * 32
URL = "http://h.example/a"


class Known:
    """The endpoints of one process."""

    def __init__(self, database: Database, key: bytes | None, *, allow_private: bool) -> None:
        self.database = database
        self.rows = EndpointRows(database, ManualClock().clock)
        self.endpoints = EndpointRegistry(self.rows, Encryptor(key), 10_000, allow_private=allow_private)

    async def target(self, one: str) -> WebhookTarget | ServerTarget | None:
        """The target that an attempt would use."""
        await self.database.flush()
        row = self.rows.get(one)
        assert row is not None
        return self.endpoints.target(row)


@asynccontextmanager
async def known(path: Path, key: bytes | None = None, *, allow_private: bool = True) -> AsyncIterator[Known]:
    """A process that opens the store and closes it."""
    database = await Database.open(path / "sidecar.db")
    yield Known(database, key, allow_private=allow_private)
    await database.close()


def server(location: str = "http://s.example", name: str = "") -> Credentials:
    """Credentials for a server."""
    return Credentials(server_location=location, api_key_id=KEY_ID, api_key=Secret(KEY), name=name)


async def test_the_session_has_the_last_list(tmp_path: Path) -> None:
    """Each URL and format once; the size of those that don't say is the setting's."""
    async with known(tmp_path) as one:
        ids = one.endpoints.set_session([hook(URL), hook(URL, format="cloudevents", max_stdouterr_size=5), hook(URL)])
        assert (ids[0] == ids[2], len(set(ids))) == (True, 2)
        reported = [(endpoint.id, endpoint.format, endpoint.max_stdouterr_size) for endpoint in one.endpoints.session]
        assert reported == [(ids[0], "factotum", 10_000), (ids[1], "cloudevents", 5)]
        one.endpoints.set_session([])
        assert one.endpoints.session == ()


@pytest.mark.parametrize(
    ("webhook", "kind", "field"),
    [
        (hook("ftp://h"), InvalidContent, "[1].url"),
        (hook("http://u:p@h"), InvalidContent, "[1].url"),
        (hook("http://10.0.0.1"), Forbidden, "[1].url"),
        (hook(URL, "secret"), InvalidContent, "[1].secret"),
        (hook(URL, "whsec_"), InvalidContent, "[1].secret"),
        (hook(URL, "whsec_c2hvcnQ="), InvalidContent, "[1].secret"),
        (hook(URL, "whsec_*"), InvalidContent, "[1].secret"),
        (hook(URL, *[SECRET] * 11), InvalidContent, "[1].secret"),
    ],
)
async def test_a_wrong_webhook_changes_nothing(tmp_path: Path, webhook: Webhook, kind: type, field: str) -> None:
    """The place is named, the secret is not."""
    async with known(tmp_path, allow_private=False) as one:
        before = one.endpoints.set_session([hook(URL, SECRET)])
        with pytest.raises(kind) as failed:
            one.endpoints.set_session([hook("http://h.example/b"), webhook])
        assert failed.value.details["field"] == field  # type: ignore[attr-defined]
        assert "c2hvcnQ" not in str(failed.value)
        assert tuple(endpoint.id for endpoint in one.endpoints.session) == before


async def test_one_error_names_every_wrong_webhook(tmp_path: Path) -> None:
    """The error names URLs and secrets that are wrong."""
    async with known(tmp_path) as one:
        with pytest.raises(InvalidContent) as refused:
            one.endpoints.check([hook("ftp://h", "secret"), hook(URL), hook("no url")], "webhooks")
        fields = [each.field for each in refused.value.detail.fields or ()]
        assert fields == ["webhooks[0].url", "webhooks[0].secret", "webhooks[2].url"]


async def test_webhooks_are_bounded(tmp_path: Path) -> None:
    """A hundred of them."""
    async with known(tmp_path) as one:
        with pytest.raises(LimitExceeded, match="100 webhooks at most"):
            one.endpoints.set_session([hook(f"{URL}/{number}") for number in range(101)])


async def test_jobs_with_webhooks_of_their_own_do_not_pile_up(tmp_path: Path) -> None:
    """Endpoints in memory are bounded; a dropped one is read from the disk again, with its secret."""
    async with known(tmp_path) as one:
        first = one.endpoints.register([hook(URL, SECRET)])[0].id
        for number in range(2 * MAX_CACHED):
            one.endpoints.register([hook(f"{URL}/{number}", SECRET)])
        assert len(one.endpoints._webhooks) == MAX_CACHED
        target = await one.target(first)
        assert isinstance(target, WebhookTarget)
        assert (target.url, target.keys) == (URL, hook(URL, SECRET).signing_keys())


async def test_secrets_change(tmp_path: Path) -> None:
    """The session's latest secrets count; naming the URL without a secret removes none."""
    async with known(tmp_path) as one:
        [name] = one.endpoints.set_session([hook(URL, SECRET)])
        one.endpoints.register([hook(URL)])
        one.endpoints.register([hook(URL, OTHER)])
        assert len((await one.target(name)).keys) == 1  # type: ignore[union-attr]
        one.endpoints.set_session([hook(URL, OTHER, SECRET)])
        assert len((await one.target(name)).keys) == 2  # type: ignore[union-attr]
        one.endpoints.set_session([hook(URL)])
        assert (await one.target(name)).keys == ()  # type: ignore[union-attr]


async def test_an_encrypted_secret_is_opened_by_its_key_alone(tmp_path: Path) -> None:
    """The store key, or the encrypting process, decrypts a secret; the file never contains it."""
    async with known(tmp_path, LASTING) as one:
        [name] = one.endpoints.set_session([hook(URL, SECRET)])
        one.endpoints.log_in("scope", [server()], 0)
        mine = await one.target(name)
    for path in list(tmp_path.iterdir()):  # noqa: ASYNC240
        assert SECRET.removeprefix("whsec_").encode() not in path.read_bytes()
        assert KEY.encode() not in path.read_bytes()
    async with known(tmp_path, LASTING) as one:
        assert await one.target(name) == mine
        assert one.endpoints.credentials("scope") == (server(),)
        assert await one.target(server_id(server())) == ServerTarget(server())
    async with known(tmp_path, b"x" * 32) as other:
        assert await other.target(name) is None
        assert await other.target(server_id(server())) is None
        assert other.endpoints.credentials("scope") == ()


async def test_packed_with_a_job(tmp_path: Path) -> None:
    """An unknown endpoint comes with the job; one that can't be decrypted waits."""
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    async with known(first, LASTING) as one:
        one.endpoints.set_session([hook(URL, SECRET), hook(f"{URL}/plain", max_stdouterr_size=7)])
        packed = one.endpoints.pack(one.endpoints.session)
        endpoints = one.endpoints.session
        mine = await one.target(endpoints[0].id)
    assert SECRET.removeprefix("whsec_") not in packed
    async with known(second, LASTING) as elsewhere:
        assert elsewhere.endpoints.unpack(packed) == endpoints
        assert elsewhere.endpoints.unpack("") == ()
        assert await elsewhere.target(endpoints[0].id) == mine
        assert elsewhere.endpoints.session == ()
    async with known(first, b"x" * 32) as stranger:
        assert stranger.endpoints.unpack(packed) == endpoints
        assert await stranger.target(endpoints[0].id) is None
        assert await stranger.target(endpoints[1].id) is None
        assert '"sealed"' in stranger.endpoints.pack(endpoints[:1])  # its secret goes on as it came


@pytest.mark.parametrize(("key", "sealed"), [(LASTING, True), (None, False)])
async def test_a_url_is_encrypted_with_a_persistent_key(tmp_path: Path, key: bytes | None, sealed: bool) -> None:
    """Many a path is as good as a secret. Without a key it is in clear: the next process has to know where to send."""
    url = "https://h.example:8443/services/canary-in-a-path?token=canary-in-a-query"
    async with known(tmp_path, key) as one:
        [name] = one.endpoints.set_session([hook(url)])
        packed = one.endpoints.pack(one.endpoints.session)
        await one.database.flush()
        row = one.rows.get(name)
        assert row is not None
        kept = packed.encode() + b"".join(path.read_bytes() for path in tmp_path.iterdir())  # noqa: ASYNC240
        assert (b"canary" in kept) is not sealed
        assert host_of(row) == "h.example:8443"
    async with known(tmp_path, key) as one:
        assert [endpoint.id for endpoint in one.endpoints.unpack(packed)] == [name]
        target = await one.target(name)
        assert isinstance(target, WebhookTarget)
        assert (target.url, target.keys) == (url, ())


async def test_a_document_of_before_is_read(tmp_path: Path) -> None:
    """A home that had no key has documents in clear, also once it has one."""
    async with known(tmp_path) as one:
        [name] = one.endpoints.set_session([hook(URL)])
        packed = one.endpoints.pack(one.endpoints.session)
    async with known(tmp_path, LASTING) as later:
        assert [endpoint.id for endpoint in later.endpoints.unpack(packed)] == [name]
        assert await later.target(name) == WebhookTarget(URL, "factotum", ())


async def test_with_another_key_who_names_it_opens_the_way(tmp_path: Path) -> None:
    """A job's own webhook has no secret to lose; one that has a secret waits for the session."""
    async with known(tmp_path, LASTING) as one:
        plain, signed = one.endpoints.set_session([hook(URL), hook(f"{URL}/signed", SECRET)])
    async with known(tmp_path, b"x" * 32) as other:
        assert (await other.target(plain), await other.target(signed)) == (None, None)
        other.endpoints.register([hook(URL), hook(f"{URL}/signed")])
        assert await other.target(plain) == WebhookTarget(URL, "factotum", ())
        assert await other.target(signed) is None
        other.endpoints.set_session([hook(f"{URL}/signed", SECRET)])
        assert await other.target(signed) is not None


async def test_a_disabled_endpoint_is_left_out(tmp_path: Path) -> None:
    """A disabled endpoint is left out by every process on the store, until a session names it."""
    async with known(tmp_path) as one:
        [name] = one.endpoints.set_session([hook(URL)])
        packed = one.endpoints.pack(one.endpoints.session)
        await one.database.flush()
        await one.rows.disable(name)
        one.endpoints.disable(name)
        assert (one.endpoints.session, one.endpoints.unpack(packed)) == ((), ())
    async with known(tmp_path) as other:
        assert (other.endpoints.register([hook(URL)]), other.endpoints.unpack(packed)) == ((), ())
        other.endpoints.set_session([hook(URL)])
        assert [endpoint.id for endpoint in other.endpoints.session] == [name]


async def test_named_endpoints_are_reported(tmp_path: Path) -> None:
    """Messages that waited for named endpoints may be sent."""
    async with known(tmp_path) as one:
        reported: list[list[str]] = []
        one.endpoints.on_known = lambda names: reported.append(list(names))
        [name] = one.endpoints.set_session([hook(URL)])
        servers = one.endpoints.log_in("scope", [server()], 0)
        assert reported == [[name], list(servers)]


async def test_the_host_of_an_endpoint(tmp_path: Path) -> None:
    """Only the host is shown, since path and query may be secret; or a server's name."""
    async with known(tmp_path) as one:
        [name] = one.endpoints.set_session([hook("https://h.example:8443/secret?token=1")])
        ids = one.endpoints.log_in("scope", [server(), server("http://t.example/base", name="second")], 0)
        await one.database.flush()
        rows = [one.rows.get(each) for each in (name, *ids)]
        assert [host_of(row) for row in rows if row] == ["h.example:8443", "s.example", "second"]


async def test_forwarding(tmp_path: Path) -> None:
    """Results for every server of a login, copies for all but the primary; each under its key, once."""
    async with known(tmp_path) as one:
        outbox = Outbox(one.database, ManualClock().clock)
        forwarder = ServerForwarder(one.endpoints, outbox)
        first, second = server(), server("http://t.example")
        primary, secondary = one.endpoints.log_in("scope", [first, second], 1)
        assert (primary, secondary) == (server_id(second), server_id(first))
        forwarder.result("scope", b"{}", "run")
        forwarder.result("scope", b"{}", "run")
        forwarder.copy("scope", "cv", b"{}", "cv")
        await outbox.flush()
        rows = outbox.page(None, 1)[1]
        assert [(row.id, row.endpoint, row.kind) for row in rows] == [
            ("run", primary, "result"),
            ("run", secondary, "result"),
            ("cv", secondary, "cv"),
        ]
        for scope in ("", "another"):
            with pytest.raises(MissingCredentials):
                forwarder.result(scope, b"{}", "run")
