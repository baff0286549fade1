"""Which names mark a value as secret, and the quick test that tells lines without any of them from the rest."""

import re
from functools import cache
from typing import Final, NamedTuple

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
"""What stands under a key that ends in one of these is secret: `password`, `apiKey`, `ACCESS-TOKEN`, `client_secrets`.

Case does not matter, each `_` may be missing or be another separator, and a plural `s` may follow. It is the end that
counts: `api_key_id` names a key and is not one.
"""

COOKIE_KEYS: Final = ("cookie", "set_cookie")
"""Under these, everything but a cookie's public attributes is secret."""
COOKIE_ATTRIBUTES: Final = frozenset(
    {"name", "domain", "path", "url", "expires", "httponly", "secure", "samesite", "maxage", "priority"}
)
"""Attributes of a cookie that say where it belongs; lower case, without separators."""
STORAGE_KEY: Final = "storage"
"""At the end of a key: the same (`localStorage`)."""
HEADERS_KEY: Final = "headers"
"""Every value under a key that ends so is secret, whatever the header's name (`extra_http_headers`)."""
LOGIN_KEY: Final = "httpcredentials"
"""Without separators: user and password under it are secret, where they are for is not."""
WEBHOOK_KEYS: Final = frozenset({"webhook", "webhooks"})
"""Of URLs under these, what follows the host is secret: it often is the token."""
ACTIONS_KEY: Final = "actions"
"""Under this, text is JavaScript, and an object is a typed action."""
SOURCE_KEY: Final = "script_text"
"""What stands under this is JavaScript."""
TYPED_ARGUMENTS: Final = frozenset({"arg", "eventinit", "label", "text", "value"})
"""Arguments of typed actions that hold what a page is given, whatever the action; without separators."""
PRESSED_KEY: Final = "key"
"""Such an argument is typed text, unless it is the name of a key that types none."""
FILES_KEY: Final = "files"
"""Names and contents of files that a page is given."""
KEY_ACTIONS: Final = frozenset({"keyboard_press", "keyboard_down", "keyboard_up"})
"""Of these, a bare value is a key."""
TYPING_ACTIONS: Final = frozenset({"keyboard_type", "keyboard_insert_text"})
"""Of these, a bare value is what is typed."""
SCRIPT_ACTIONS: Final = frozenset({"evaluate", "eval_on_selector", "eval_on_selector_all", "wait_for_function"})
"""Typed actions that take JavaScript, bare or as `expression`."""
PROXY_KEY: Final = "proxy"
"""Under this, what stands before an `@` is secret also where the URL has no scheme."""
SELECTOR_KEY: Final = "selector"
TYPED_KEYS: Final = frozenset({"value", "text", "label"})
"""Beside a `selector` that names something secret (`#password`), these are secret: what is typed into that field."""

_SEPARATOR: Final = "[_. -]?"


_EXCEPTIONS: Final = {"pass": "(?<!by)(?<!com)pass"}
"""`proxy.bypass` is no password."""


def _ends_in(names: tuple[str, ...]) -> str:
    return "(?:" + "|".join(_EXCEPTIONS.get(name, name.replace("_", _SEPARATOR)) for name in names) + ")s?"


_secret_end: Final = re.compile(rf"{_ends_in(SENSITIVE_KEYS)}\Z", re.IGNORECASE | re.ASCII)
_cookie_end: Final = re.compile(rf"{_ends_in(COOKIE_KEYS)}\Z", re.IGNORECASE | re.ASCII)
_SHORT_NAMES: Final = ("auth", "bearer", "jwt", "pass", "pin")
"""Of these, words of a text have to be the whole: `#pin` is secret, `#shipping` is not."""
_LONG_NAMES: Final = tuple(name for name in SENSITIVE_KEYS if name not in _SHORT_NAMES)
_secret_word: Final = re.compile(
    rf"{_ends_in(_LONG_NAMES)}|(?<![a-z]){_ends_in(_SHORT_NAMES)}(?![a-z])", re.IGNORECASE | re.ASCII
)


def is_secret_key(key: str) -> bool:
    """Whether what stands under this key is secret."""
    return _secret_end.search(key) is not None


def is_cookie_key(key: str) -> bool:
    """Whether cookies stand under this key."""
    return _cookie_end.search(key) is not None


def is_headers_key(key: str) -> bool:
    """Whether headers stand under this key."""
    return key[-len(HEADERS_KEY) :].lower() == HEADERS_KEY


def is_storage_key(key: str) -> bool:
    """Whether what a page has stored stands under this key."""
    return key[-len(STORAGE_KEY) :].lower() == STORAGE_KEY


def names_secret(text: str) -> bool:
    """Whether a text, such as a selector, speaks of something secret."""
    return _secret_word.search(text) is not None


AFTER_HOST: Final = re.compile(r"^([A-Za-z][A-Za-z0-9+.-]*://[^/?#]+[/?#]).+$", re.DOTALL)
"""What follows a URL's host: group 1 is what stays."""
USERINFO: Final = re.compile(r"(://)[^/?#\s\"]+(?=@)")
"""`user:password` of a URL: group 1 is what stays, as in the others."""
PROXY_USERINFO: Final = re.compile(r"(://|^)[^/?#\s\"]+(?=@)")
"""The same where the scheme may be missing."""
PARAMETER: Final = re.compile(rf"({_ends_in(SENSITIVE_KEYS)}=)[^&#;\s\"'<>]+", re.IGNORECASE | re.ASCII)
"""`token=…` of a query, a form or a text: group 1 is what stays."""
JSON_MEMBER: Final = re.compile(
    rf"({_ends_in(SENSITIVE_KEYS)}\\*\"\s*:\s*\\*\")(?:[^\"\\]++|\\++[^\"\\])++", re.IGNORECASE | re.ASCII
)
r"""`"password":"…"` of JSON that stands inside a string, however often escaped: group 1 is what stays."""


class _QuickPatterns(NamedTuple):
    """Patterns over lower-cased lines."""

    key: re.Pattern[bytes]
    blank: re.Pattern[bytes]
    parameter: re.Pattern[bytes]
    userinfo: re.Pattern[bytes]
    escape: re.Pattern[bytes]


@cache
def _quick_patterns() -> _QuickPatterns:
    """They begin with a fixed byte, so that the search hops from one to the next, and look back only there: five times
    quicker than a search for the names themselves. Compiled at first use: only an input log needs them."""
    whole = {*SENSITIVE_KEYS, *COOKIE_KEYS, PROXY_KEY, SELECTOR_KEY, STORAGE_KEY, HEADERS_KEY, ACTIONS_KEY}
    whole |= WEBHOOK_KEYS
    words = sorted({name.rsplit("_", 1)[-1] + plural for name in whole for plural in ("", "s")})

    def preceded_by(end: str) -> str:
        by_length = [[w for w in words if len(w) == n] for n in sorted({len(w) for w in words})]
        tails = "|".join(sorted({word[-3:] for word in words}))
        exact = "|".join(f"(?<=(?:{'|'.join(same)}){end})" for same in by_length)
        return rf"(?<=(?:{tails}){end})(?:{exact})"

    # of a type and of a key of two words; what they tell is not told by a key's last word
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
    r"""Whether these lines of JSON need a closer look; False is certain.

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
