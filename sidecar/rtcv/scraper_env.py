"""`env.json` of RT-CV scraper client v2: servers, keys and mock users. Source: that client."""

import base64
import binascii
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from sidecar_protocol import codec
from sidecar_protocol.wire_types import Secret, json_type

KEY_BYTES: Final = 32
_SERVER_KEYS: Final = ("server_location", "api_key_id", "api_key")


class EnvError(Exception):
    """The environment can't be used; the message names the place, and quotes nothing of it."""


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A NaCl box's keys: what servers encrypt for us."""

    private: Secret
    """Base64 of 32 bytes."""
    public: str
    """Base64 of 32 bytes."""


@dataclass(frozen=True, slots=True)
class ScraperEnv:
    """What a scraper's environment names."""

    servers: tuple[Mapping[str, Any], ...]
    """Contents of `set_multiple_credentials`, the primary first; none in mock mode."""
    keys: KeyPair | None
    mock_users: tuple[Mapping[str, str], ...] | None
    """Logins of mock mode; None where it is off."""


def parse(text: str) -> ScraperEnv:
    """Reads JSON, which may have comments and commas too many. Raises EnvError."""
    try:
        value = codec.plain(without_comments(text))
    except codec.NotJson as wrong:
        raise EnvError(f"is not valid JSON: {wrong}") from None
    env = _object(value, "")
    if _of(env, "mock_mode", "", bool, default=False):
        users = _of(env, "mock_users", "", list, default=[])
        return ScraperEnv((), None, tuple(_user(user, f"mock_users[{index}]") for index, user in enumerate(users)))
    primary = _server(_of(env, "primary_server", "", dict, default={}), "primary_server")
    others = _of(env, "alternative_servers", "", list, default=[])
    alternative = [_server(_object(one, place), place) for one, place in _numbered(others, "alternative_servers")]
    servers = ({**primary, "primary": True}, *alternative)
    return ScraperEnv(servers, _keys(env), None)


def without_comments(text: str) -> str:
    """JSON without `//` and `/* */` comments, and without commas before a closing bracket, in linear time."""
    parts: list[str] = []
    comma = -1  # the part that is a comma with nothing but spaces after it so far
    at = 0
    while at < len(text):
        end = _end_of(text, at)
        part = text[at:end]
        at = end
        if part.startswith(("//", "/*")):
            continue
        if part in "]}" and comma >= 0:
            parts[comma] = ""
        if not part.isspace():
            comma = len(parts) if part == "," else -1
        parts.append(part)
    return "".join(parts)


def _end_of(text: str, at: int) -> int:
    """Where what begins here ends: a string, a comment, or one character."""
    if text[at] == '"':
        end = at + 1
        while end < len(text) and text[end] != '"':
            end += 2 if text[end] == "\\" else 1
        return min(end + 1, len(text))
    for begin, ending in (("//", "\n"), ("/*", "*/")):
        if text.startswith(begin, at):
            end = text.find(ending, at + 2)
            return len(text) if end < 0 else end if ending == "\n" else end + 2
    return at + 1


def _server(server: Mapping[str, Any], place: str) -> dict[str, Any]:
    given = {key: _of(server, key, place, str, default="") for key in _SERVER_KEYS}
    for key, value in given.items():
        if not value:
            raise EnvError(f"{place}.{key} is required")
    return given


def _user(user: Any, place: str) -> Mapping[str, str]:
    given = _object(user, place)
    return {key: _of(given, key, place, str, default="") for key in ("username", "password")}


def _keys(env: Mapping[str, Any]) -> KeyPair | None:
    given = {key: _of(env, key, "", str, default="") for key in ("private_key", "public_key")}
    if not any(given.values()):
        return None
    for key, value in given.items():
        if not value:
            raise EnvError(f"{key} is required")
        try:
            size = len(base64.b64decode(value, validate=True))
        except (binascii.Error, ValueError):
            size = 0
        if size != KEY_BYTES:
            raise EnvError(f"{key} has to be {KEY_BYTES} bytes in base64")
    from nacl.public import PrivateKey  # late: few scrapers have keys

    private = PrivateKey(base64.b64decode(given["private_key"]))
    if bytes(private.public_key) != base64.b64decode(given["public_key"]):
        raise EnvError("public_key does not belong to private_key")
    return KeyPair(Secret(given["private_key"]), given["public_key"])


def _numbered(values: list[Any], name: str) -> list[tuple[Any, str]]:
    return [(value, f"{name}[{index}]") for index, value in enumerate(values)]


def _object(value: Any, place: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise EnvError(f"{place or 'it'} has to be an object, not {json_type(value)}")
    return value


def _of(members: Mapping[str, Any], key: str, place: str, kind: Callable[..., Any], default: Any) -> Any:
    """A member of this type; the default where it is missing or null. Raises EnvError."""
    value = members.get(key)
    if value is None:
        return default
    if not isinstance(value, kind):  # type: ignore[arg-type]
        names = {str: "a string", bool: "true or false", list: "an array", dict: "an object"}
        raise EnvError(f"{place}{'.' if place else ''}{key} has to be {names[kind]}")  # type: ignore[index]
    return value
