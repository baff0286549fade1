"""The names that mark a value as secret, and a fast test for lines without any of them."""

import re
from collections.abc import Iterator
from functools import cache
from typing import Any, Final, NamedTuple

SENSITIVE_KEYS: Final = (
    "access_key",
    "api_key",
    "auth",
    "authorization",
    "bearer",
    "credential",
    "jwt",
    "encryption_key",
    "pass",
    "passcode",
    "passphrase",
    "passwd",
    "password",
    "pin",
    "private_key",
    "pwd",
    "secret",
    "signature",
    "signing_key",
    "token",
)
"""A value is secret if its key ends in one of these: `password`, `apiKey`, `ACCESS-TOKEN`, `client_secrets`.

Case is ignored, each `_` may be missing or another separator, and a plural `s` may follow. Only the end counts:
`api_key_id` is not secret.
"""

COOKIE_KEYS: Final = ("cookie", "set_cookie")
"""Under these keys everything except a cookie's public attributes is secret."""
COOKIE_ATTRIBUTES: Final = frozenset(
    {"name", "domain", "path", "url", "expires", "httponly", "secure", "samesite", "maxage", "priority"}
)
"""Public attributes of a cookie, in lower case and without separators."""
STORAGE_KEY: Final = "storage"
"""Keys that end so (`localStorage`) are treated like those of cookies."""
HEADERS_KEY: Final = "headers"
"""Every value under a key that ends so is secret, whatever the header's name (`extra_http_headers`)."""
LOGIN_KEY: Final = "httpcredentials"
"""A key, without separators, under which user and password are secret and the origin is not."""
WEBHOOK_KEYS: Final = frozenset({"webhook", "webhooks"})
"""Keys of URLs in which everything after the host is secret, since it often contains a token."""
ACTIONS_KEY: Final = "actions"
"""Under this key a string is JavaScript, and an object is a typed action."""
SOURCE_KEY: Final = "script_text"
"""The value of this key is JavaScript."""
TYPED_ARGUMENTS: Final = frozenset({"arg", "eventinit", "label", "text", "value"})
"""Arguments of typed actions that contain text for the page; without separators."""
PRESSED_KEY: Final = "key"
"""The value of such an argument is typed text, unless it names a key that types none."""
FILES_KEY: Final = "files"
"""Names and contents of uploaded files."""
KEY_ACTIONS: Final = frozenset({"keyboard_press", "keyboard_down", "keyboard_up"})
"""Actions whose bare value is a key."""
TYPING_ACTIONS: Final = frozenset({"keyboard_type", "keyboard_insert_text"})
"""Actions whose bare value is typed text."""
SCRIPT_ACTIONS: Final = frozenset({"evaluate", "eval_on_selector", "eval_on_selector_all", "wait_for_function"})
"""Typed actions that take JavaScript, bare or as `expression`."""
PROXY_KEY: Final = "proxy"
"""Under this key the part before an `@` is secret even in a URL without a scheme."""
SELECTOR_KEY: Final = "selector"
TYPED_KEYS: Final = frozenset({"value", "text", "label"})
"""Text typed into a field: secret if the `selector` names something secret (`#password`)."""

_SEPARATOR: Final = "[_. -]?"


_EXCEPTIONS: Final = {"pass": "(?<!by)(?<!com)pass"}
"""`proxy.bypass` is no password."""


def _ends_in(names: tuple[str, ...]) -> str:
    return "(?:" + "|".join(_EXCEPTIONS.get(name, name.replace("_", _SEPARATOR)) for name in names) + ")s?"


_secret_end: Final = re.compile(rf"{_ends_in(SENSITIVE_KEYS)}\Z", re.IGNORECASE | re.ASCII)
_cookie_end: Final = re.compile(rf"{_ends_in(COOKIE_KEYS)}\Z", re.IGNORECASE | re.ASCII)
_SHORT_NAMES: Final = ("auth", "bearer", "jwt", "pass", "pin")
"""Names that have to match whole words of a text: `#pin` is secret, `#shipping` is not."""
_LONG_NAMES: Final = tuple(name for name in SENSITIVE_KEYS if name not in _SHORT_NAMES)
_secret_word: Final = re.compile(
    rf"{_ends_in(_LONG_NAMES)}|(?<![a-z]){_ends_in(_SHORT_NAMES)}(?![a-z])", re.IGNORECASE | re.ASCII
)


def is_secret_key(key: str) -> bool:
    """Whether values under this key are secret."""
    return _secret_end.search(key) is not None


def is_cookie_key(key: str) -> bool:
    """Whether values under this key are cookies."""
    return _cookie_end.search(key) is not None


def is_headers_key(key: str) -> bool:
    """Whether values under this key are headers."""
    return key[-len(HEADERS_KEY) :].lower() == HEADERS_KEY


def is_storage_key(key: str) -> bool:
    """Whether values under this key are a page's storage."""
    return key[-len(STORAGE_KEY) :].lower() == STORAGE_KEY


def names_secret(text: str) -> bool:
    """Whether a text, such as a selector, names something secret."""
    return _secret_word.search(text) is not None


def named_secrets(value: Any) -> Iterator[tuple[str, str]]:
    """The texts in a value of JSON that are secret by the name of a member above them, and that name."""
    waiting: list[tuple[Any, str]] = [(value, "")]
    named: dict[str, bool] = {}
    while waiting:
        one, name = waiting.pop()
        if isinstance(one, str):
            if one and name:
                yield one, name
        elif isinstance(one, dict):
            for key, inner in one.items():
                if key not in named:
                    named[key] = is_secret_key(key) or is_cookie_key(key)
                waiting.append((inner, key if named[key] else name))
        elif isinstance(one, list | tuple):
            waiting += [(inner, name) for inner in one]


AFTER_HOST: Final = re.compile(r"^([A-Za-z][A-Za-z0-9+.-]*://[^/?#]+[/?#]).+$", re.DOTALL)
"""The part of a URL after its host; group 1 stays."""
USERINFO: Final = re.compile(r"(://)[^/?#\s\"]+(?=@)")
"""`user:password` of a URL; group 1 stays."""
PROXY_USERINFO: Final = re.compile(r"(://|^)[^/?#\s\"]+(?=@)")
"""`user:password` of a URL whose scheme may be missing; group 1 stays."""
PARAMETER: Final = re.compile(rf"({_ends_in(SENSITIVE_KEYS)}=)[^&#;\s\"'<>]+", re.IGNORECASE | re.ASCII)
"""`token=…` of a query, a form or a text; group 1 stays."""
JSON_MEMBER: Final = re.compile(
    rf"({_ends_in(SENSITIVE_KEYS)}\\*\"\s*:\s*\\*\")(?:[^\"\\]++|\\++[^\"\\])++", re.IGNORECASE | re.ASCII
)
r"""`"password":"…"` of JSON within a string, escaped any number of times; group 1 stays."""


class _QuickPatterns(NamedTuple):
    """Patterns over lower-cased lines."""

    key: re.Pattern[bytes]
    blank: re.Pattern[bytes]
    parameter: re.Pattern[bytes]
    userinfo: re.Pattern[bytes]
    escape: re.Pattern[bytes]


@cache
def _quick_patterns() -> _QuickPatterns:
    """Patterns that begin with a fixed byte and look behind from there: five times faster than a search for the names.
    Compiled at first use, since only an input log needs them."""
    whole = {*SENSITIVE_KEYS, *COOKIE_KEYS, PROXY_KEY, SELECTOR_KEY, STORAGE_KEY, HEADERS_KEY, ACTIONS_KEY}
    whole |= WEBHOOK_KEYS
    words = sorted({name.rsplit("_", 1)[-1] + plural for name in whole for plural in ("", "s")})

    def preceded_by(end: str) -> str:
        by_length = [[w for w in words if len(w) == n] for n in sorted({len(w) for w in words})]
        tails = "|".join(sorted({word[-3:] for word in words}))
        exact = "|".join(f"(?<=(?:{'|'.join(same)}){end})" for same in by_length)
        return rf"(?<=(?:{tails}){end})(?:{exact})"

    # of a type and of a key of two words; a key's last word alone does not show that they are secret
    telling = rf'(?<={SOURCE_KEY}":)|(?=\s*"set_webhooks")'
    patterns = (
        ":(?:" + preceded_by('":') + f"|{telling})",
        r':(?<=["\s]\s:)',
        "=" + preceded_by("="),
        r'/\\?/[^/?#"\s]*@',
        r'\\(?:u00(?:2[0134589acdef]|3[0-9abdf]|4[0-9a-f]|5[0-9abdef]|6[1-9a-f]|7[0-9a-e])|"\s*:)',
    )
    return _QuickPatterns(*(re.compile(pattern.encode()) for pattern in patterns))


def may_contain_secrets(lines: bytes) -> bool:
    r"""Whether these lines of JSON may contain secrets; False is certain.

    A name or a URL part can only hide behind `\u00xx` of a character that no serializer needs to escape, so such an
    escape is enough to look closer, while `\u00e9`, `\n` or `\u003c` are not.
    """
    quick = _quick_patterns()
    lower = lines.lower()
    if quick.key.search(lower) is not None or quick.blank.search(lower) is not None:
        return True
    if b"=" in lower and quick.parameter.search(lower) is not None:
        return True
    if b"@" in lower and quick.userinfo.search(lower) is not None:
        return True
    return b"\\" in lower and quick.escape.search(lower) is not None
