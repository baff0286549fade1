"""Goes through one line of JSON token by token and says of each string, number and word whether it is secret."""

import re
from collections.abc import Iterator
from enum import Enum
from functools import lru_cache
from typing import Final, NamedTuple

import msgspec

from sidecar.recording.redaction.secret_patterns import (
    ACTIONS_KEY,
    BARE,
    COOKIE_ATTRIBUTES,
    FILES_KEY,
    LOGIN_KEY,
    PRESSED_KEY,
    PRESSING,
    PROXY_KEY,
    SCRIPTING,
    SELECTOR_KEY,
    SOURCE_KEY,
    TYPED,
    TYPED_KEYS,
    WEBHOOK_KEYS,
    is_cookie_key,
    is_headers_key,
    is_secret_key,
    is_storage_key,
    names_secret,
)
from sidecar.templates import ONLY_REFERENCES

_TOKEN: Final = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[{}\[\],]|[^\s{}\[\],:"]++', re.DOTALL)
_WORDS: Final = frozenset({"true", "false", "null", '""'})
"""Tokens that tell nothing where they stand directly under a sensitive key."""
_SOURCE: Final = {"key", "encryption_key"}
"""Members of an object that says where a job's secret is."""
_SET_WEBHOOKS: Final = '"set_webhooks"'
_BARE_SCRIPTS: Final = frozenset({"evaluate", "wait_for_function"})
"""Typed actions whose bare value is JavaScript."""
_USER: Final = "username"
_ORIGIN: Final = "origin"
_TELLING_END: Final = 64
"""Characters at the end of a key that are looked at, and remembered."""
_SEPARATORS: Final = re.compile("[_. -]")


class Policy(Enum):
    """What holds under a key, or within a whole object or array."""

    OPEN = "open"
    SECRET = "secret"  # noqa: S105 - the name of a rule
    """Every leaf is secret."""
    COOKIE = "cookie"
    """Every leaf is secret but for a cookie's public attributes."""
    PROXY = "proxy"
    """What stands before an `@` is secret, and who logs in."""
    LOGIN = "login"
    """Every leaf is secret but for whom the login is for."""
    TYPED = "typed"
    """Every leaf is given to pages or servers: secret here."""
    WEBHOOKS = "webhooks"
    """What follows a URL's host is secret."""
    SOURCE = "source"
    """JavaScript."""
    ACTIONS = "actions"
    """JavaScript, or objects whose key is the action's name."""
    ARGUMENTS = "arguments"
    """Of a typed action."""
    FILES = "files"
    """Names and contents of files for a page."""


_RULES: Final = {ACTIONS_KEY: Policy.ACTIONS, SOURCE_KEY: Policy.SOURCE}


class Sensitivity(Enum):
    """What one place in a line holds."""

    KEY = "key"
    OPEN = "open"
    SECRET = "secret"  # noqa: S105 - the name of a verdict
    """Secret, and worth knowing again elsewhere."""
    HIDDEN = "hidden"
    """Secret here, and of too common a kind to look for elsewhere (a cookie's value, a number)."""
    TYPED = "typed"
    """Secret here, and, to whoever is shown what else the job says, elsewhere."""
    PROXY = "proxy"
    """Open but for what stands before an `@`."""
    WEBHOOK = "webhook"
    """Open up to a URL's host."""
    SOURCE = "source"
    """JavaScript, whose literals may be secret."""


_OF_FILES: Final = {"name": Sensitivity.TYPED, "mimetype": Sensitivity.OPEN}
_UNDECIDED: Final = frozenset({Sensitivity.OPEN, Sensitivity.TYPED})


class Token(NamedTuple):
    """One key or scalar: where in the line, under which key, in how many objects and arrays, and what it holds."""

    start: int
    end: int
    key: str | None
    depth: int
    verdict: Sensitivity


class _Container:
    """An object or array that is being gone through; an array's elements stand under the array's own key."""

    __slots__ = ("action", "is_object", "key", "members", "names_secret", "rule", "typed")

    def __init__(self, is_object: bool, rule: Policy, key: str | None, action: str = "") -> None:
        self.is_object = is_object
        self.rule = rule
        self.key = key
        self.action = action
        """Whose arguments these are."""
        self.names_secret = False
        self.typed: list[Token] = []
        self.members: dict[str | None, int] = {}
        """Of an object in which all is secret: key -> the number of its scalar's place."""


def walk(text: str) -> list[Token]:
    """Every key and scalar of a line that is known to be JSON; a place may come again, judged anew in hindsight.

    Nothing here calls itself, so depth costs no stack.
    """
    places: list[Token] = []
    inside = _Container(False, Policy.OPEN, None)
    outer: list[_Container] = []
    sets_webhooks = False
    for match in _TOKEN.finditer(text):
        token = match[0]
        first = token[0]
        if first == "{" or first == "[":
            outer.append(inside)
            inside = _entered(inside, is_object=first == "{")
        elif first == "}" or first == "]":
            _look_back(inside, places)
            inside = outer.pop()
        elif first == ",":
            if inside.is_object:
                inside.key = None
        elif inside.is_object and inside.key is None:
            inside.key = _decoded(token)
            places.append(Token(match.start(), match.end(), None, len(outer), Sensitivity.KEY))
        else:
            verdict = _judge(inside, token)
            place = Token(match.start(), match.end(), inside.key, len(outer), verdict)
            places.append(place)
            if inside.rule is Policy.SECRET and inside.is_object:
                inside.members[inside.key] = len(places) - 1
            if verdict in _UNDECIDED and inside.is_object and first == '"':
                _note_typed(inside, place, token)
            if token == _SET_WEBHOOKS:
                sets_webhooks = sets_webhooks or (len(outer) == 1 and inside.key == "type")
    return [*places, *_webhooks(places)] if sets_webhooks else places


def _webhooks(places: list[Token]) -> Iterator[Token]:
    """Those that are webhooks where the line sets them."""
    for place in places:
        if place.key == "url" and place.verdict is Sensitivity.OPEN:
            yield place._replace(verdict=Sensitivity.WEBHOOK)


def _entered(outer: _Container, *, is_object: bool) -> _Container:
    """An object or array that begins."""
    key = None if is_object else outer.key
    if outer.rule is Policy.SECRET:
        return _Container(is_object, Policy.SECRET, key)
    if outer.is_object and outer.rule is Policy.ACTIONS:
        return _Container(is_object, Policy.ARGUMENTS, key, outer.key or "")
    if outer.rule is Policy.ARGUMENTS and (_plain(outer.key) in TYPED or outer.key == PRESSED_KEY):
        return _Container(is_object, Policy.TYPED, key)
    if outer.rule is Policy.ARGUMENTS and outer.key == FILES_KEY:
        return _Container(is_object, Policy.FILES, key)
    return _Container(is_object, _narrower(outer.rule, _rule_of(outer.key)), key, outer.action)


def _look_back(ended: _Container, places: list[Token]) -> None:
    """What a container's other members tell of one, once all are known."""
    if ended.names_secret:
        places += [place._replace(verdict=Sensitivity.SECRET) for place in ended.typed]
    if ended.members.keys() == _SOURCE:
        number = ended.members["key"]  # names the secret, and is a word of the scraper's own
        places[number] = places[number]._replace(verdict=Sensitivity.OPEN)


def _judge(inside: _Container, token: str) -> Sensitivity:
    """What a scalar holds: in a secret container every leaf is secret, directly under a key only what can tell."""
    rule, key = inside.rule, inside.key
    own = _rule_of(key)
    if rule is Policy.OPEN and own is Policy.OPEN:
        return Sensitivity.OPEN
    string = token.startswith('"')
    if token in _WORDS and rule is not Policy.SECRET:
        return Sensitivity.OPEN
    if rule is Policy.SECRET or own is Policy.SECRET:
        return Sensitivity.SECRET if string else Sensitivity.HIDDEN
    if own is Policy.COOKIE or (rule is Policy.COOKIE and _plain(key) not in COOKIE_ATTRIBUTES):
        return Sensitivity.HIDDEN
    if rule is Policy.ACTIONS or rule is Policy.ARGUMENTS:
        return _judge_action(inside, token)
    return _judge_leaf(rule, own, _plain(key), token)


def _judge_leaf(rule: Policy, own: Policy, key: str, token: str) -> Sensitivity:
    rules, string = (rule, own), token.startswith('"')
    if Policy.TYPED in rules or rule is Policy.FILES:
        verdict = _OF_FILES.get(key, Sensitivity.HIDDEN) if rule is Policy.FILES else Sensitivity.TYPED
        return Sensitivity.OPEN if string and _is_reference(token) else verdict
    if rule is Policy.LOGIN or (rule is Policy.PROXY and key == _USER):
        return Sensitivity.OPEN if key == _ORIGIN else Sensitivity.HIDDEN
    if not string:
        return Sensitivity.OPEN
    if own is Policy.SOURCE or own is Policy.ACTIONS:
        return Sensitivity.SOURCE
    if Policy.WEBHOOKS in rules:
        return Sensitivity.WEBHOOK
    return Sensitivity.PROXY if Policy.PROXY in rules else Sensitivity.OPEN


def _judge_action(inside: _Container, token: str) -> Sensitivity:
    """What a scalar of an action holds."""
    if not token.startswith('"'):
        return (
            Sensitivity.TYPED if inside.rule is Policy.ARGUMENTS and _plain(inside.key) in TYPED else Sensitivity.OPEN
        )
    if inside.rule is Policy.ACTIONS and not inside.is_object:
        return Sensitivity.SOURCE
    bare = inside.rule is Policy.ACTIONS
    action, key = (inside.key or "", "") if bare else (inside.action, inside.key)
    if action in SCRIPTING and (key == "expression" or (bare and action in _BARE_SCRIPTS)):
        return Sensitivity.SOURCE
    if action in PRESSING if bare else key == PRESSED_KEY:
        typed = _types(_decoded(token))
    else:
        typed = action in BARE if bare else _plain(key) in TYPED
    if not typed or _is_reference(token):
        return Sensitivity.OPEN
    return Sensitivity.SECRET if action in BARE else Sensitivity.TYPED


def _types(key: str) -> bool:
    """Whether pressing it types something."""
    from sidecar.javascript.calls import PRESSED  # late: few lines press keys

    return PRESSED.fullmatch(key) is None


def _is_reference(token: str) -> bool:
    return ONLY_REFERENCES.fullmatch(_decoded(token)) is not None


def _narrower(outer: Policy, own: Policy) -> Policy:
    return outer if own is Policy.OPEN else own


def _rule_of(key: str | None) -> Policy:
    """What a key says of all that stands under it."""
    return Policy.OPEN if key is None else _rule_of_end(key[-_TELLING_END:])


@lru_cache(maxsize=1024)
def _rule_of_end(key: str) -> Policy:
    plain = _plain(key)
    if plain == LOGIN_KEY:
        return Policy.LOGIN
    if is_secret_key(key):
        return Policy.SECRET
    if is_cookie_key(key) or is_storage_key(key):
        return Policy.COOKIE
    if is_headers_key(key):
        return Policy.TYPED
    if key in WEBHOOK_KEYS:
        return Policy.WEBHOOKS
    return _RULES.get(key) or (Policy.PROXY if plain == PROXY_KEY else Policy.OPEN)


def _note_typed(inside: _Container, place: Token, token: str) -> None:
    """Remembers what is typed into a field, until its selector tells whether that is secret."""
    if place.key == SELECTOR_KEY:
        inside.names_secret = inside.names_secret or names_secret(_decoded(token))
    elif place.key in TYPED_KEYS and not _is_reference(token):
        inside.typed.append(place)


def _plain(key: str | None) -> str:
    return _SEPARATORS.sub("", key or "").lower()


def _decoded(token: str) -> str:
    try:
        return msgspec.json.decode(token, type=str)
    except msgspec.DecodeError:
        return token
