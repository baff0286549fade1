"""`env.json`: comments, and what is wrong by its place."""

from base64 import b64encode
from typing import Any

import pytest
from nacl.public import PrivateKey
from sidecar_protocol.codec import plain
from sidecar_protocol.encoding import encode

from sidecar.rtcv.scraper_env import EnvError, parse, without_comments

SERVER = {"server_location": "http://a.example", "api_key_id": "1", "api_key": "k"}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (
            '{"a": "b // no comment /* nor this */", // a comment\n"c": [1, 2,],}',
            {"a": "b // no comment /* nor this */", "c": [1, 2]},
        ),
        ("/* , */ [1 /* a */ , // b\n ]", [1]),
        (r'["\"//", "\\"] // the end', ['"//', "\\"]),
        ('["a,]", "b,}"]', ["a,]", "b,}"]),
        ("1 /* goes on", 1),
    ],
)
def test_comments(text: str, value: Any) -> None:
    """They go, and so do commas before a bracket; strings stay."""
    assert plain(without_comments(text)) == value


@pytest.mark.parametrize("text", ["[,]x", '"', "//", "[1,,]", '{"a"', "", "/*" * 100_000, "," * 100_000, '"' * 100_001])
def test_no_json(text: str) -> None:
    """What is no JSON is none without comments either, however long."""
    with pytest.raises(EnvError, match="is not valid JSON"):
        parse(text)


@pytest.mark.parametrize(
    ("env", "said"),
    [
        ([], "it has to be an object, not array"),
        ({}, "primary_server.server_location is required"),
        ({"primary_server": "x"}, "primary_server has to be an object"),
        ({"primary_server": SERVER | {"api_key": ""}}, "primary_server.api_key is required"),
        ({"primary_server": SERVER | {"api_key": 1}}, "primary_server.api_key has to be a string"),
        ({"primary_server": SERVER, "alternative_servers": {}}, "alternative_servers has to be an array"),
        ({"primary_server": SERVER, "alternative_servers": [1]}, "alternative_servers[0] has to be an object, not int"),
        (
            {"primary_server": SERVER, "alternative_servers": [SERVER, {}]},
            "alternative_servers[1].server_location is required",
        ),
        ({"primary_server": SERVER, "private_key": "x"}, "private_key has to be 32 bytes in base64"),
        ({"primary_server": SERVER, "public_key": "x"}, "private_key is required"),
        (
            {"primary_server": SERVER, "private_key": "A" * 43 + "=", "public_key": "B" * 43 + "="},
            "public_key does not belong to private_key",
        ),
        ({"mock_mode": "true"}, "mock_mode has to be true or false"),
        ({"mock_mode": True, "mock_users": [{"username": 1}]}, "mock_users[0].username has to be a string"),
    ],
)
def test_what_is_wrong(env: Any, said: str) -> None:
    """The place is named."""
    with pytest.raises(EnvError) as wrong:
        parse(encode(env).decode())
    assert str(wrong.value) == said


def test_what_is_right() -> None:
    """The primary comes first; null is absent; unknown members are ignored; mock mode needs no servers."""
    env = parse(
        encode({"primary_server": SERVER | {"x": 1}, "alternative_servers": [SERVER], "public_key": None}).decode()
    )
    assert (env.servers, env.keys, env.mock_users) == (({**SERVER, "primary": True}, SERVER), None, None)
    assert parse('{"mock_mode":true}').mock_users == ()
    private = PrivateKey.generate()
    given = {
        "private_key": b64encode(bytes(private)).decode(),
        "public_key": b64encode(bytes(private.public_key)).decode(),
    }
    keys = parse(encode({"primary_server": SERVER, **given}).decode()).keys
    assert keys
    assert (keys.private.reveal(), keys.public) == (given["private_key"], given["public_key"])
