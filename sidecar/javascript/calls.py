"""The sensitivity of a literal, by the call of Playwright's or the page's API that it is an argument of."""

import re
from enum import IntEnum
from typing import Final, NamedTuple

from sidecar.templates import ONLY_REFERENCES


class Sensitivity(IntEnum):
    """The sensitivity of a literal, in ascending order."""

    OPEN = 0
    PRINTED = 1
    """Redacted in the source; the console prints it anyway."""
    SECRET = 2
    TYPED = 3
    """Written into a page, a dialog, a cookie or a header."""


OPEN, PRINTED, SECRET, TYPED = Sensitivity


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


QUOTE: Final = re.compile("['\"`]")
"""A quote in a text, which may therefore be a source with literals of its own."""

_SELECTOR_CALLS: Final = _words(
    "locator frameLocator click dblclick tap hover focus blur check uncheck setChecked clear innerText innerHTML "
    "textContent inputValue getAttribute isVisible isHidden isEnabled isDisabled isEditable isChecked "
    "waitForSelector $ $$ $eval $$eval evalOnSelector frame querySelector querySelectorAll closest matches "
    "getElementById getElementsByClassName getElementsByTagName getElementsByName scrollIntoView count "
    "on once off addListener prependListener removeListener removeAllListeners waitForEvent addEventListener "
    "removeEventListener describe "
    "waitForLoadState setViewportSize createElement hasAttribute removeAttribute require getItem removeItem"
)
"""Calls whose first argument is a selector or an event name, and open."""
_URL_CALLS: Final = _words(
    "goto waitForURL route unroute waitForRequest waitForResponse waitForNavigation fetch open URL"
)
_SELECTOR_PAIR_CALLS: Final = frozenset({"dragAndDrop", "dispatchEvent"})
"""Calls whose second argument is a selector or an event name, too."""
_TYPING_CALLS: Final = _words("fill type pressSequentially insertText press selectOption setInputFiles")
"""Calls whose typed text comes first, or after a selector."""
_CHOICE_CALLS: Final = frozenset({"selectOption", "setInputFiles"})
"""Calls whose argument after the selector is often an object."""
_SECRET_CALLS: Final = frozenset({"accept", "setHTTPCredentials", "setExtraHTTPHeaders", "addCookies", "setContent"})
_NAME_VALUE_CALLS: Final = frozenset({"setItem", "setAttribute", "setRequestHeader", "append", "set", "setProperty"})
"""Calls whose first argument is a name and whose second is its value."""
_CONSOLE_CALLS: Final = frozenset({"log", "info", "warn", "error", "debug"})
_FILTER_KEYS: Final = frozenset({"hasText", "hasNotText", "name"})
_GET_BY: Final = re.compile(r"getBy[A-Z]\w*\Z")
_COOKIE_KEYS: Final = frozenset({"name", "domain", "path", "url", "sameSite", "partitionKey"})
_OPTION_KEYS: Final = _words(
    "state waitUntil hasText hasNotText button mimeType contentType method polling colorScheme media timezoneId"
)
_API_WORDS: Final = _words(
    "visible hidden attached detached load domcontentloaded networkidle commit left right middle use strict Alt "
    "Control Meta Shift click input change submit object string number boolean undefined function"
)
KEY_PRESS: Final = re.compile(
    r"(?:(?:Control|Shift|Alt|Meta|ControlOrMeta)\+)*(?:Enter|Tab|Escape|Backspace|Delete|Insert|Space|Home|End"
    r"|Arrow(?:Up|Down|Left|Right)|Page(?:Up|Down)|F\d{1,2}|(?:Control|Shift|Alt|Meta)(?:Left|Right)?|ControlOrMeta"
    r"|CapsLock|NumLock|ScrollLock|ContextMenu|PrintScreen|Pause)|(?:(?:Control|Alt|Meta|ControlOrMeta)\+)+\w"
)
"""Keys and key combinations that type no text worth hiding."""
_SECRET_NAME: Final = re.compile(r"pass|pwd|secret|token|credential|auth|(?:key|pin|code)\Z", re.IGNORECASE)
"""A part of a name that marks its value as secret."""
_URL: Final = re.compile(r"(?:[A-Za-z][A-Za-z0-9+.-]*://|\*\*/)\S*\Z")
_PYTHON_NAMES: Final = {
    "eval_on_selector": "$eval",
    "query_selector": "$",
    "set_extra_http_headers": "setExtraHTTPHeaders",
}
"""Names that are no JavaScript name in another case."""
_PAGE_NAME: Final = re.compile(r"\w*(?:[pP]age|[fF]rame|[pP]opup)\d*\Z")
"""Names of pages and frames, whose calls take a selector first; locators and keyboards take none."""


class LiteralPosition(NamedTuple):
    """The syntactic position of a literal."""

    call: str
    """The innermost call around it."""
    receiver: str
    """The token before the dot of the call; empty if there is none."""
    argument: int
    direct: bool
    """Whether it is (part of) the argument itself, and not of an object in it."""
    key: str
    """The object key of which it is the value."""
    assigned: str
    """The last name of the assignment's target."""
    following: str
    """The next character; after a comma, the one after it, too."""


def classify(position: LiteralPosition, value: str) -> Sensitivity:
    """The sensitivity of a literal; Playwright's names in Python, and keyword arguments, count as JavaScript's."""
    if "_" in position.call:
        position = position._replace(call=_to_camel(position.call))
    if position.assigned and not position.key and position.call and position.direct:
        position = position._replace(key=_to_camel(position.assigned))
    if ONLY_REFERENCES.fullmatch(value):
        return OPEN
    if position.call in _TYPING_CALLS and (position.direct or position.call not in _CHOICE_CALLS):
        return _classify_typed(position, value)
    if (
        position.call in _SECRET_CALLS
        or position.assigned == "value"
        or _SECRET_NAME.search(position.key or position.assigned)
    ):
        return OPEN if position.call == "addCookies" and position.key in _COOKIE_KEYS else TYPED
    if _is_selector_or_name(position) or _is_option(position, value):
        return OPEN
    if position.call in _NAME_VALUE_CALLS and position.direct:
        return TYPED
    return PRINTED if position.call in _CONSOLE_CALLS and position.direct else SECRET


def _to_camel(name: str) -> str:
    return _PYTHON_NAMES.get(name) or re.sub(r"_([a-z])", lambda found: found[1].upper(), name)


def _is_option(position: LiteralPosition, value: str) -> bool:
    """Whether it is an option, a filter, an address or a word of the API."""
    if _GET_BY.match(position.call) or (position.call == "filter" and position.key in _FILTER_KEYS):
        return True
    return position.key in _OPTION_KEYS or value in _API_WORDS or value == "use strict" or _URL.match(value) is not None


def _is_selector_or_name(position: LiteralPosition) -> bool:
    """Whether it is a selector, a URL or a name."""
    if not position.direct:
        return False
    if position.argument == 0:
        named = position.call in _NAME_VALUE_CALLS and position.following[:1] == ","
        return (
            named
            or position.call in _SELECTOR_CALLS
            or position.call in _URL_CALLS
            or position.call in _SELECTOR_PAIR_CALLS
        )
    return position.argument == 1 and (position.call in _SELECTOR_PAIR_CALLS or position.call == "getAttribute")


def _classify_typed(position: LiteralPosition, value: str) -> Sensitivity:
    if not position.direct and (position.key in _OPTION_KEYS or value in _API_WORDS):
        return OPEN
    if position.call == "press" and KEY_PRESS.fullmatch(value):
        return OPEN
    if position.assigned and position.direct:  # a keyword argument at any position
        return OPEN if position.assigned == "selector" else TYPED
    if position.argument > 0 or not position.direct or not _PAGE_NAME.match(position.receiver):
        return TYPED
    comma, following = position.following[:1] == ",", position.following[1:]
    has_second = comma and following != ")" and (following != "{" or position.call in _CHOICE_CALLS)
    return OPEN if has_second else TYPED
