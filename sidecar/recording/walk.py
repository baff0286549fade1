"""Goes through one line of JSON token by token and says of each string, number and word whether it is secret."""

import re
from enum import Enum
from functools import lru_cache
from typing import Final, NamedTuple

import msgspec

from sidecar.recording.sensitive import (
    COOKIE_ATTRIBUTES,
    PROXY_KEY,
    SELECTOR_KEY,
    TYPED_KEYS,
    is_cookie_key,
    is_secret_key,
    names_secret,
)

_TOKEN: Final = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|[{}\[\],]|[^\s{}\[\],:"]+', re.DOTALL)
_WORDS: Final = frozenset({"true", "false", "null", '""'})
"""Tokens that tell nothing where they stand directly under a sensitive key."""
_SOURCE: Final = {"key", "encryption_key"}
"""Members of an object that says where a job's secret is."""
_REFERENCE: Final = re.compile(r'"\{\{[\w .-]*\}\}"', re.ASCII)
"""`{{user.password}}`: where a secret goes, and not the secret."""
_TELLING_END: Final = 64
"""Characters at the end of a key that are looked at, and remembered."""
_SEPARATORS: Final = re.compile("[_. -]")


class Rule(Enum):
    """What holds under a key, or within a whole object or array."""

    OPEN = "open"
    SECRET = "secret"  # noqa: S105 - the name of a rule
    """Every leaf is secret."""
    COOKIE = "cookie"
    """Every leaf is secret but for a cookie's public attributes."""
    PROXY = "proxy"
    """What stands before an `@` is secret."""


class Verdict(Enum):
    """What one place in a line holds."""

    KEY = "key"
    OPEN = "open"
    SECRET = "secret"  # noqa: S105 - the name of a verdict
    """Secret, and worth knowing again elsewhere."""
    HIDDEN = "hidden"
    """Secret here, and of too common a kind to look for elsewhere (a cookie's value, a number)."""
    PROXY = "proxy"
    """Open but for what stands before an `@`."""


class Place(NamedTuple):
    """One key or scalar: where in the line, under which key, in how many objects and arrays, and what it holds."""

    start: int
    end: int
    key: str | None
    depth: int
    verdict: Verdict


class _Container:
    """An object or array that is being gone through; an array's elements stand under the array's own key."""

    __slots__ = ("is_object", "key", "members", "names_secret", "rule", "typed")

    def __init__(self, is_object: bool, rule: Rule, key: str | None) -> None:
        self.is_object = is_object
        self.rule = rule
        self.key = key
        self.names_secret = False
        self.typed: list[Place] = []
        self.members: dict[str | None, int] = {}
        """Of an object in which all is secret: key -> the number of its scalar's place."""


def walk(text: str) -> list[Place]:
    """Every key and scalar of a line that is known to be JSON; a place may come again, judged anew in hindsight.

    Nothing here calls itself, so depth costs no stack.
    """
    places: list[Place] = []
    inside = _Container(False, Rule.OPEN, None)
    outer: list[_Container] = []
    for match in _TOKEN.finditer(text):
        token = match[0]
        first = token[0]
        if first == "{" or first == "[":
            outer.append(inside)
            rule = inside.rule if inside.rule is Rule.SECRET else _narrower(inside.rule, _rule_of(inside.key))
            inside = _Container(first == "{", rule, None if first == "{" else inside.key)
        elif first == "}" or first == "]":
            _look_back(inside, places)
            inside = outer.pop()
        elif first == ",":
            if inside.is_object:
                inside.key = None
        elif inside.is_object and inside.key is None:
            inside.key = _decoded(token)
            places.append(Place(match.start(), match.end(), None, len(outer), Verdict.KEY))
        else:
            verdict = _judge(inside.rule, inside.key, token)
            place = Place(match.start(), match.end(), inside.key, len(outer), verdict)
            places.append(place)
            if inside.rule is Rule.SECRET and inside.is_object:
                inside.members[inside.key] = len(places) - 1
            if verdict is Verdict.OPEN and inside.is_object and first == '"':
                _note_typed(inside, place, token)
    return places


def _look_back(ended: _Container, places: list[Place]) -> None:
    """What a container's other members tell of one, once all are known."""
    if ended.names_secret:
        places += [place._replace(verdict=Verdict.SECRET) for place in ended.typed]
    if ended.members.keys() == _SOURCE:
        number = ended.members["key"]  # names the secret, and is a word of the scraper's own
        places[number] = places[number]._replace(verdict=Verdict.OPEN)


def _judge(rule: Rule, key: str | None, token: str) -> Verdict:
    """What a scalar holds: in a secret container every leaf is secret, directly under a key only what can tell."""
    own = _rule_of(key)
    if rule is Rule.OPEN and own is Rule.OPEN:
        return Verdict.OPEN
    string = token.startswith('"')
    if rule is Rule.SECRET:
        return Verdict.SECRET if string else Verdict.HIDDEN
    if token in _WORDS:
        return Verdict.OPEN
    if own is Rule.SECRET:
        return Verdict.SECRET if string else Verdict.HIDDEN
    if own is Rule.COOKIE or (rule is Rule.COOKIE and _plain(key) not in COOKIE_ATTRIBUTES):
        return Verdict.HIDDEN
    return Verdict.PROXY if Rule.PROXY in (rule, own) else Verdict.OPEN


def _narrower(outer: Rule, own: Rule) -> Rule:
    return outer if own is Rule.OPEN else own


def _rule_of(key: str | None) -> Rule:
    """What a key says of all that stands under it."""
    return Rule.OPEN if key is None else _rule_of_end(key[-_TELLING_END:])


@lru_cache(maxsize=1024)
def _rule_of_end(key: str) -> Rule:
    if is_secret_key(key):
        return Rule.SECRET
    if is_cookie_key(key):
        return Rule.COOKIE
    return Rule.PROXY if _plain(key) == PROXY_KEY else Rule.OPEN


def _note_typed(inside: _Container, place: Place, token: str) -> None:
    """Remembers what is typed into a field, until its selector tells whether that is secret."""
    if place.key == SELECTOR_KEY:
        inside.names_secret = inside.names_secret or names_secret(_decoded(token))
    elif place.key in TYPED_KEYS and not _REFERENCE.fullmatch(token):
        inside.typed.append(place)


def _plain(key: str | None) -> str:
    return _SEPARATORS.sub("", key or "").lower()


def _decoded(token: str) -> str:
    try:
        return msgspec.json.decode(token, type=str)
    except msgspec.DecodeError:
        return token
