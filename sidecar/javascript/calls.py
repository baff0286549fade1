"""What the calls of Playwright's API, and of the page's own, make of a literal that they are given."""

import re
from enum import IntEnum
from typing import Final, NamedTuple

from sidecar.templates import ONLY_REFERENCES


class Verdict(IntEnum):
    """What a literal is, from the least to the most secret."""

    OPEN = 0
    PRINTED = 1
    """Hidden here; the console says it anyway."""
    SECRET = 2
    TYPED = 3
    """It is written into a page, a dialog, a cookie or a header."""


OPEN, PRINTED, SECRET, TYPED = Verdict


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


QUOTED: Final = re.compile("['\"`]")
"""What a text has in it that may be a source with literals of its own."""

_SELECTING: Final = _words(
    "locator frameLocator click dblclick tap hover focus blur check uncheck setChecked clear innerText innerHTML "
    "textContent inputValue getAttribute isVisible isHidden isEnabled isDisabled isEditable isChecked "
    "waitForSelector $ $$ $eval $$eval evalOnSelector frame querySelector querySelectorAll closest matches "
    "getElementById getElementsByClassName getElementsByTagName getElementsByName scrollIntoView count "
    "on once off addListener removeListener removeAllListeners waitForEvent addEventListener removeEventListener "
    "waitForLoadState setViewportSize createElement hasAttribute removeAttribute require getItem removeItem"
)
"""Their first argument says where, or which event; nothing of it is written anywhere."""
_ADDRESSING: Final = _words(
    "goto waitForURL route unroute waitForRequest waitForResponse waitForNavigation fetch open URL"
)
_BOTH: Final = frozenset({"dragAndDrop", "dispatchEvent"})
"""Their second argument says where or which event, too."""
_TYPING: Final = _words("fill type pressSequentially insertText press selectOption setInputFiles")
"""What they write comes first, or after a selector."""
_CHOOSING: Final = frozenset({"selectOption", "setInputFiles"})
"""Of these, what comes after a selector is often an object."""
_GIVING: Final = frozenset({"accept", "setHTTPCredentials", "setExtraHTTPHeaders", "addCookies", "setContent"})
_NAMED: Final = frozenset({"setItem", "setAttribute", "setRequestHeader", "append", "set", "setProperty"})
"""The first argument is a name, the second what it is given."""
_PRINTING: Final = frozenset({"log", "info", "warn", "error", "debug"})
_FILTERS: Final = frozenset({"hasText", "hasNotText", "name"})
_CALLED: Final = re.compile(r"getBy[A-Z]\w*\Z")
_COOKIE: Final = frozenset({"name", "domain", "path", "url", "sameSite", "partitionKey"})
_OPTIONS: Final = _words(
    "state waitUntil hasText hasNotText button mimeType contentType method polling colorScheme media timezoneId"
)
_WORDS: Final = _words(
    "visible hidden attached detached load domcontentloaded networkidle commit left right middle use strict Alt "
    "Control Meta Shift click input change submit object string number boolean undefined function"
)
PRESSED: Final = re.compile(
    r"(?:(?:Control|Shift|Alt|Meta|ControlOrMeta)\+)*(?:Enter|Tab|Escape|Backspace|Delete|Insert|Space|Home|End"
    r"|Arrow(?:Up|Down|Left|Right)|Page(?:Up|Down)|F\d{1,2}|(?:Control|Shift|Alt|Meta)(?:Left|Right)?|ControlOrMeta"
    r"|CapsLock|NumLock|ScrollLock|ContextMenu|PrintScreen|Pause)|(?:(?:Control|Alt|Meta|ControlOrMeta)\+)+\w"
)
"""Keys, and keys held together, that type no text that tells."""
_TELLING: Final = re.compile(r"pass|pwd|secret|token|credential|auth|(?:key|pin|code)\Z", re.IGNORECASE)
"""In a name: what it names is secret."""
_ADDRESS: Final = re.compile(r"(?:[A-Za-z][A-Za-z0-9+.-]*://|\*\*/)\S*\Z")
_PAGES: Final = re.compile(r"\w*(?:[pP]age|[fF]rame|[pP]opup)\d*\Z")
"""Names of pages and frames: of what they write, a selector comes first. A locator or a keyboard takes none."""


class Place(NamedTuple):
    """Where a literal stands."""

    call: str
    """The nearest call around it."""
    receiver: str
    """What it is called on: the token before the dot; empty where there is none."""
    argument: int
    direct: bool
    """Whether it is, or is a part of, that argument itself, and not of an object in it."""
    key: str
    """The key of an object that it stands under."""
    assigned: str
    """The last name of what it is assigned to."""
    following: str
    """What comes after it: one character; after a comma, the next one, too."""


def judge(place: Place, value: str) -> Verdict:
    """How secret it is."""
    if ONLY_REFERENCES.fullmatch(value):
        return OPEN
    if place.call in _TYPING and (place.direct or place.call not in _CHOOSING):
        return _typed(place, value)
    if place.call in _GIVING or place.assigned == "value" or _TELLING.search(place.key or place.assigned):
        return OPEN if place.call == "addCookies" and place.key in _COOKIE else TYPED
    if _names(place) or _says_how(place, value):
        return OPEN
    if place.call in _NAMED and place.direct:
        return TYPED
    return PRINTED if place.call in _PRINTING and place.direct else SECRET


def _says_how(place: Place, value: str) -> bool:
    """Whether it is an option, a filter, an address or a word of the API."""
    if _CALLED.match(place.call) or (place.call == "filter" and place.key in _FILTERS):
        return True
    return place.key in _OPTIONS or value in _WORDS or value == "use strict" or _ADDRESS.match(value) is not None


def _names(place: Place) -> bool:
    """Whether it says where, to whom, or which."""
    if not place.direct:
        return False
    if place.argument == 0:
        named = place.call in _NAMED and place.following[:1] == ","
        return named or place.call in _SELECTING or place.call in _ADDRESSING or place.call in _BOTH
    return place.argument == 1 and (place.call in _BOTH or place.call == "getAttribute")


def _typed(place: Place, value: str) -> Verdict:
    if not place.direct and (place.key in _OPTIONS or value in _WORDS):
        return OPEN
    if place.call == "press" and PRESSED.fullmatch(value):
        return OPEN
    if place.argument > 0 or not place.direct or not _PAGES.match(place.receiver):
        return TYPED
    comma, following = place.following[:1] == ",", place.following[1:]
    has_second = comma and following != ")" and (following != "{" or place.call in _CHOOSING)
    return OPEN if has_second else TYPED
