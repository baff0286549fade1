"""Classifies the tokens of one line of JSON: which strings, numbers and words are secret."""

import re
from collections.abc import Iterator
from enum import Enum
from functools import lru_cache
from typing import Final, NamedTuple

import orjson

from sidecar.recording.redaction.secret_patterns import (
    ACTIONS_KEY,
    COOKIE_ATTRIBUTES,
    FILES_KEY,
    KEY_ACTIONS,
    LOGIN_KEY,
    PRESSED_KEY,
    PROXY_KEY,
    SCRIPT_ACTIONS,
    SELECTOR_KEY,
    SOURCE_KEY,
    TYPED_ARGUMENTS,
    TYPED_KEYS,
    TYPING_ACTIONS,
    WEBHOOK_KEYS,
    is_cookie_key,
    is_headers_key,
    is_secret_key,
    is_storage_key,
    names_secret,
)
from sidecar.templates import ONLY_REFERENCES

_TOKEN: Final = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[{}\[\],]|[^\s{}\[\],:"]++', re.DOTALL)
_EMPTY_TOKENS: Final = frozenset({"true", "false", "null", '""'})
"""Tokens that reveal nothing even directly under a sensitive key."""
_SECRET_SOURCE_KEYS: Final = {"key", "encryption_key"}
"""Members of an object that references a stored secret."""
_SET_WEBHOOKS: Final = '"set_webhooks"'
_EXTRACT_DEPTHS: Final = {
    '"send_job"': 5,
    '"create_task"': 6,
    '"update_task"': 6,
    '"create_schedule"': 7,
    '"update_schedule"': 7,
}
"""Type of a request with a job -> how deep in it the `extract` of a step is."""
_FIELD_MEMBERS: Final = frozenset({"selector", "attribute", "type", "decimal", "order"})
"""Members of an extract's field that say what is read, not what was."""
_BARE_SCRIPTS: Final = frozenset({"evaluate", "wait_for_function"})
"""Typed actions whose bare value is JavaScript."""
_USER: Final = "username"
_ORIGIN: Final = "origin"
_KEY_END: Final = 64
"""Characters at the end of a key that are compared, and remembered."""
_SEPARATORS: Final = re.compile("[_. -]")


class Policy(Enum):
    """The redaction policy for a key, or for a whole object or array."""

    OPEN = "open"
    SECRET = "secret"  # noqa: S105 - the name of a member
    """Every leaf is secret."""
    COOKIE = "cookie"
    """Every leaf is secret except a cookie's public attributes."""
    PROXY = "proxy"
    """The part before an `@` is secret, and so is the user name."""
    LOGIN = "login"
    """Every leaf is secret except the origin."""
    TYPED = "typed"
    """Every leaf is passed to pages or servers, and secret in this place."""
    WEBHOOKS = "webhooks"
    """URLs in which everything after the host is secret."""
    SOURCE = "source"
    """JavaScript."""
    ACTIONS = "actions"
    """JavaScript, or objects whose key is the action's name."""
    ARGUMENTS = "arguments"
    """The arguments of a typed action."""
    FILES = "files"
    """Names and contents of files for a page."""


_POLICIES: Final = {ACTIONS_KEY: Policy.ACTIONS, SOURCE_KEY: Policy.SOURCE}


class Sensitivity(Enum):
    """The sensitivity of a token."""

    KEY = "key"
    OPEN = "open"
    SECRET = "secret"  # noqa: S105 - the name of a sensitivity
    """A secret that is also searched elsewhere."""
    HIDDEN = "hidden"
    """Secret in this place, and too common to look for elsewhere (a cookie's value, a number)."""
    TYPED = "typed"
    """Text typed into a page: secret in this place, and in other output of the job."""
    PROXY = "proxy"
    """Open except for the part before an `@`."""
    WEBHOOK = "webhook"
    """Open up to a URL's host."""
    SOURCE = "source"
    """JavaScript, whose literals may be secret."""


_FILE_MEMBERS: Final = {"name": Sensitivity.TYPED, "mimetype": Sensitivity.OPEN}
_UNDECIDED: Final = frozenset({Sensitivity.OPEN, Sensitivity.TYPED})


class Token(NamedTuple):
    """A key or scalar: its offsets in the line, its key, its depth and its sensitivity."""

    start: int
    end: int
    key: str | None
    depth: int
    sensitivity: Sensitivity


class _Part(Enum):
    """What an object is within the steps of a job."""

    STEP = "step"
    EXTRACT = "extract"
    """Names with selectors or fields."""
    FIELD = "field"


class _Container:
    """An open object or array; the elements of an array have the array's own key."""

    __slots__ = ("action", "is_object", "key", "members", "names_secret", "part", "policy", "typed")

    def __init__(self, is_object: bool, policy: Policy, key: str | None, action: str = "") -> None:
        self.is_object = is_object
        self.policy = policy
        self.key = key
        self.action = action
        """The action whose arguments these are."""
        self.names_secret = False
        self.part: _Part | None = None
        self.typed: list[Token] = []
        self.members: dict[str | None, int] = {}
        """Key -> index of the token, in an object whose values are all secret."""


class _Notes:
    """What decides about tokens only when the whole line is known."""

    def __init__(self) -> None:
        self.types: set[str] = set()
        """The line's type; of a line with several, all."""
        self._read: list[tuple[int, int]] = []
        """What says where an extract reads: the number of the token, and the depth of the extract."""
        self._depth = 0

    def entered(self, part: _Part | None, outer: list[_Container]) -> None:
        """An object or array begins."""
        if part is _Part.EXTRACT and outer[-1].part is _Part.STEP:
            self._depth = len(outer)

    def scalar(self, inside: _Container, depth: int, raw: str, index: int) -> None:
        """A scalar, which is the token of this number."""
        if inside.part is _Part.EXTRACT or (inside.part is _Part.FIELD and inside.key in _FIELD_MEMBERS):
            self._read.append((index, self._depth))
        elif depth == 1 and inside.key == "type":
            self.types.add(raw)

    def selectors(self) -> Iterator[int]:
        """The tokens that are no secrets, whatever the extract's fields are called."""
        if len(self.types) == 1:
            depth = _EXTRACT_DEPTHS.get(*self.types)
            yield from (index for index, at in self._read if at == depth)


def classify_tokens(text: str) -> list[Token]:
    """Every key and scalar of a line of valid JSON; a token may be repeated with a corrected sensitivity.

    There is no recursion, so any depth works.
    """
    tokens: list[Token] = []
    inside = _Container(False, Policy.OPEN, None)
    outer: list[_Container] = []
    notes = _Notes()
    for match in _TOKEN.finditer(text):
        raw = match[0]
        first = raw[0]
        if first == "{" or first == "[":
            outer.append(inside)
            inside = _enter(inside, is_object=first == "{")
            inside.part = _part(outer[-1], inside)
            notes.entered(inside.part, outer)
        elif first == "}" or first == "]":
            _reclassify(inside, tokens)
            inside = outer.pop()
        elif first == ",":
            if inside.is_object:
                inside.key = None
        elif inside.is_object and inside.key is None:
            inside.key = _decode(raw)
            tokens.append(Token(match.start(), match.end(), None, len(outer), Sensitivity.KEY))
        else:
            sensitivity = _classify(inside, raw)
            token = Token(match.start(), match.end(), inside.key, len(outer), sensitivity)
            tokens.append(token)
            if inside.policy is Policy.SECRET and inside.is_object:
                inside.members[inside.key] = len(tokens) - 1
            notes.scalar(inside, len(outer), raw, len(tokens) - 1)
            if sensitivity in _UNDECIDED and inside.is_object and first == '"':
                _remember_typed(inside, token, raw)
    for index in notes.selectors():
        tokens[index] = tokens[index]._replace(sensitivity=Sensitivity.OPEN)
    return [*tokens, *_webhook_urls(tokens)] if _SET_WEBHOOKS in notes.types else tokens


def _part(outer: _Container, inside: _Container) -> _Part | None:
    if not inside.is_object:
        return None
    if not outer.is_object:
        return _Part.STEP if outer.key == "steps" else None
    if outer.part is _Part.EXTRACT:
        return _Part.FIELD
    is_extract = (outer.part, outer.key) in ((_Part.STEP, "extract"), (_Part.FIELD, "fields"))
    return _Part.EXTRACT if is_extract else None


def _webhook_urls(tokens: list[Token]) -> Iterator[Token]:
    """The URLs of a line that sets webhooks."""
    for token in tokens:
        if token.key == "url" and token.sensitivity is Sensitivity.OPEN:
            yield token._replace(sensitivity=Sensitivity.WEBHOOK)


def _enter(outer: _Container, *, is_object: bool) -> _Container:
    """The container of an object or array that begins."""
    key = None if is_object else outer.key
    if outer.policy is Policy.SECRET:
        return _Container(is_object, Policy.SECRET, key)
    if outer.is_object and outer.policy is Policy.ACTIONS:
        return _Container(is_object, Policy.ARGUMENTS, key, outer.key or "")
    if outer.policy is Policy.ARGUMENTS and (_normalized(outer.key) in TYPED_ARGUMENTS or outer.key == PRESSED_KEY):
        return _Container(is_object, Policy.TYPED, key)
    if outer.policy is Policy.ARGUMENTS and outer.key == FILES_KEY:
        return _Container(is_object, Policy.FILES, key)
    return _Container(is_object, _inner_policy(outer.policy, _policy_of(outer.key)), key, outer.action)


def _reclassify(ended: _Container, tokens: list[Token]) -> None:
    """Corrects the sensitivity of members once all members of the container are known."""
    if ended.names_secret:
        tokens += [token._replace(sensitivity=Sensitivity.SECRET) for token in ended.typed]
    if ended.members.keys() == _SECRET_SOURCE_KEYS:
        index = ended.members["key"]  # names the secret, and is a word of the scraper's own
        tokens[index] = tokens[index]._replace(sensitivity=Sensitivity.OPEN)


def _classify(inside: _Container, raw: str) -> Sensitivity:
    """The sensitivity of a scalar; empty values are secret only within a secret container."""
    policy, key = inside.policy, inside.key
    own = _policy_of(key)
    if policy is Policy.OPEN and own is Policy.OPEN:
        return Sensitivity.OPEN
    string = raw.startswith('"')
    if raw in _EMPTY_TOKENS and policy is not Policy.SECRET:
        return Sensitivity.OPEN
    if policy is Policy.SECRET or own is Policy.SECRET:
        return Sensitivity.SECRET if string else Sensitivity.HIDDEN
    if own is Policy.COOKIE or (policy is Policy.COOKIE and _normalized(key) not in COOKIE_ATTRIBUTES):
        return Sensitivity.HIDDEN
    if policy is Policy.ACTIONS or policy is Policy.ARGUMENTS:
        return _classify_action(inside, raw)
    return _classify_leaf(policy, own, _normalized(key), raw)


def _classify_leaf(policy: Policy, own: Policy, key: str, raw: str) -> Sensitivity:
    policies, string = (policy, own), raw.startswith('"')
    if Policy.TYPED in policies or policy is Policy.FILES:
        sensitivity = _FILE_MEMBERS.get(key, Sensitivity.HIDDEN) if policy is Policy.FILES else Sensitivity.TYPED
        return Sensitivity.OPEN if string and _is_reference(raw) else sensitivity
    if policy is Policy.LOGIN or (policy is Policy.PROXY and key == _USER):
        return Sensitivity.OPEN if key == _ORIGIN else Sensitivity.HIDDEN
    if not string:
        return Sensitivity.OPEN
    if own is Policy.SOURCE or own is Policy.ACTIONS:
        return Sensitivity.SOURCE
    if Policy.WEBHOOKS in policies:
        return Sensitivity.WEBHOOK
    return Sensitivity.PROXY if Policy.PROXY in policies else Sensitivity.OPEN


def _classify_action(inside: _Container, raw: str) -> Sensitivity:
    """The sensitivity of a scalar of an action."""
    if not raw.startswith('"'):
        return (
            Sensitivity.TYPED
            if inside.policy is Policy.ARGUMENTS and _normalized(inside.key) in TYPED_ARGUMENTS
            else Sensitivity.OPEN
        )
    if inside.policy is Policy.ACTIONS and not inside.is_object:
        return Sensitivity.SOURCE
    bare = inside.policy is Policy.ACTIONS
    action, key = (inside.key or "", "") if bare else (inside.action, inside.key)
    if action in SCRIPT_ACTIONS and (key == "expression" or (bare and action in _BARE_SCRIPTS)):
        return Sensitivity.SOURCE
    if action in KEY_ACTIONS if bare else key == PRESSED_KEY:
        typed = _types_text(_decode(raw))
    else:
        typed = action in TYPING_ACTIONS if bare else _normalized(key) in TYPED_ARGUMENTS
    if not typed or _is_reference(raw):
        return Sensitivity.OPEN
    return Sensitivity.SECRET if action in TYPING_ACTIONS else Sensitivity.TYPED


def _types_text(key: str) -> bool:
    """Whether pressing this key types text."""
    from sidecar.javascript.calls import KEY_PRESS  # late: few lines press keys

    return KEY_PRESS.fullmatch(key) is None


def _is_reference(raw: str) -> bool:
    return ONLY_REFERENCES.fullmatch(_decode(raw)) is not None


def _inner_policy(outer: Policy, own: Policy) -> Policy:
    return outer if own is Policy.OPEN else own


def _policy_of(key: str | None) -> Policy:
    """The policy for all values under a key."""
    return Policy.OPEN if key is None else _policy_of_key_end(key[-_KEY_END:])


@lru_cache(maxsize=1024)
def _policy_of_key_end(key: str) -> Policy:
    plain = _normalized(key)
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
    return _POLICIES.get(key) or (Policy.PROXY if plain == PROXY_KEY else Policy.OPEN)


def _remember_typed(inside: _Container, token: Token, raw: str) -> None:
    """Remembers text typed into a field until its selector says whether it is secret."""
    if token.key == SELECTOR_KEY:
        inside.names_secret = inside.names_secret or names_secret(_decode(raw))
    elif token.key in TYPED_KEYS and not _is_reference(raw):
        inside.typed.append(token)


def _normalized(key: str | None) -> str:
    return _SEPARATORS.sub("", key or "").lower()


def _decode(raw: str) -> str:
    try:
        value = orjson.loads(raw)
    except ValueError:
        return raw
    return value if isinstance(value, str) else raw
