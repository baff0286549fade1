"""get_secret, get_users_secret, get_user_secret: keys, shapes and bytes."""

from typing import Any

import pytest
from sidecar_protocol.encoding import encode
from sidecar_protocol.errors import ErrorCode
from sidecar_protocol.secrets import SecretRequest, UserSecret
from sidecar_protocol.wire_types import Raw, Secret

from sidecar.errors import InvalidContent, MissingCredentials, RemoteFailed
from sidecar.server.handlers.secrets import get_secret, get_user_secret, get_users_secret
from tests.sidecar.server.handlers.parts import Parts

ANY_JSON = [b"12.50", b"9" * 5000, b"1e999", b"null", b'"a"', b'{"b":1,"a":{},"b":2}', b"[" * 900 + b"]" * 900]


def request(key: str = "") -> SecretRequest:
    """A request's content."""
    return SecretRequest(key=key, encryption_key=Secret("the-encryption-key"))


@pytest.mark.parametrize("value", ANY_JSON)
async def test_a_secret_is_any_json(parts: Parts, value: bytes) -> None:
    """It comes back byte for byte."""
    await parts.logged_in()
    parts.server.secrets["k"] = value
    assert bytes(await get_secret(parts.context(), request("k"))) == value
    assert parts.server.asked == [("k", "the-encryption-key")]


async def test_a_secret_is_named(parts: Parts) -> None:
    """There is no default key for a secret of any shape."""
    await parts.logged_in()
    with pytest.raises(InvalidContent) as failed:
        await get_secret(parts.context(), request())
    assert (failed.value.message, failed.value.details) == ("key cannot be empty", {"field": "key"})


async def test_default_keys(parts: Parts) -> None:
    """`user` and `users`, unless another is given."""
    await parts.logged_in()
    user, users = b'{"username":"u","password":"p"}', b"[]"
    parts.server.secrets |= {"user": user, "users": users, "mine": user, "ours": users}
    await get_user_secret(parts.context(), request())
    await get_user_secret(parts.context(), request("mine"))
    await get_users_secret(parts.context(), request())
    await get_users_secret(parts.context(), request("ours"))
    assert [key for key, _ in parts.server.asked] == ["user", "mine", "users", "ours"]


async def test_extra_members_are_dropped(parts: Parts) -> None:
    """The shape is strict in what it gives as in what it asks for."""
    await parts.logged_in()
    parts.server.secrets["user"] = b'{"x":1e999,"password":"p\\u00e9","username":"u","y":[{}]}'
    parts.server.secrets["users"] = b'[{"password":"","username":"","domain":"d"}]'
    assert await get_user_secret(parts.context(), request()) == UserSecret(username="u", password="pé")
    assert await get_users_secret(parts.context(), request()) == [UserSecret(username="", password="")]


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (b"null", "value: expected object, got null"),
        (b"[]", "value: expected object, got array"),
        (b'"topsecret"', "value: expected object, got str"),
        (b'{"username":"topsecret"}', "value.password: missing"),
        (b'{"password":"topsecret"}', "value.username: missing"),
        (b'{"username":"topsecret","password":7}', "value.password: expected str, got int"),
        (b'{"username":null,"password":"topsecret"}', "value.username: expected str, got null"),
    ],
)
async def test_a_user_of_another_shape(parts: Parts, value: bytes, said: str) -> None:
    """The error says what is wrong without quoting the value."""
    await parts.logged_in()
    parts.server.secrets["user"] = value
    with pytest.raises(RemoteFailed) as failed:
        await get_user_secret(parts.context(), request())
    assert failed.value.message == f"the secret 'user' does not have the requested shape: {said}"
    assert (failed.value.code, failed.value.retryable) == (ErrorCode.REMOTE_ERROR, False)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (b"{}", "value: expected array, got object"),
        (b"null", "value: expected array, got null"),
        (b"[null]", "value[0]: expected object, got null"),
        (b'[{"username":"a","password":"b"},{"username":"a"}]', "value[1].password: missing"),
    ],
)
async def test_users_of_another_shape(parts: Parts, value: bytes, said: str) -> None:
    """One wrong user makes the list wrong."""
    await parts.logged_in()
    parts.server.secrets["users"] = value
    with pytest.raises(RemoteFailed) as failed:
        await get_users_secret(parts.context(), request())
    assert failed.value.message == f"the secret 'users' does not have the requested shape: {said}"


async def test_secrets_and_their_keys_are_learned(parts: Parts) -> None:
    """Secrets are known to redaction before any error about them, also if their shape is wrong."""
    await parts.logged_in()
    parts.server.secrets["user"] = b'{"username":"ann"}'
    with pytest.raises(RemoteFailed):
        await get_user_secret(parts.context(), request())
    assert parts.learned == ["the-encryption-key", "ann"]


@pytest.mark.parametrize("handler", [get_secret, get_user_secret, get_users_secret])
async def test_secrets_need_a_login(parts: Parts, handler: Any) -> None:
    """Without a login there is no server to ask."""
    with pytest.raises(MissingCredentials):
        await handler(parts.context(), request("k"))


def test_a_reply_holds_the_bytes() -> None:
    """What the encoder makes of a secret is the secret."""
    for value in ANY_JSON:
        assert encode({"content": Raw(value)}) == b'{"content":' + value + b"}"
