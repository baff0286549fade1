"""Globs for URLs, matched in a time that grows with the URL's length alone.

The language is Playwright's: `*` is anything but a slash, `**` anything, `{a,b}` one of several, `\\` takes the next
letter as it is. Playwright makes regular expressions of them, and `**a**a**a**b` can hold those up for ever.
"""

import re
from typing import Final
from urllib.parse import urlsplit

MOST_WILDCARDS: Final = 100
LONGEST_GLOB: Final = 2_000
_LONGEST_URL: Final = 16_384
"""A longer one is matched by itself only."""
_TOKENS: Final = re.compile(r"\\(.)|(\*\*+/)|(\*\*+)|(\*)|(\{)|(\})|(,)|([^])".replace("[^]", r"[\s\S]"), re.DOTALL)


class Glob:
    """One glob, ready to match. It is walked as a set of places: no way through it is tried twice."""

    def __init__(self, text: str) -> None:
        """Raises ValueError for one that is too long, or has too many wildcards."""
        if len(text) > LONGEST_GLOB or text.count("*") + text.count("{") > MOST_WILDCARDS:
            raise ValueError(f"a glob has at most {LONGEST_GLOB} characters and {MOST_WILDCARDS} wildcards")
        self._text = text
        self._letters: dict[int, tuple[str, int]] = {}
        """Place -> the letter that leads on, and where to. The empty one is any."""
        self._loops: dict[int, str] = {}
        """Place -> the letter that may not be skipped there; the empty one is none."""
        self._free: dict[int, list[int]] = {}
        """Place -> places that are reached without a letter."""
        self._last = 0
        self._end = self._parse(text)

    def matches(self, url: str) -> bool:
        """Whether it matches the whole URL, or is the URL."""
        if url in (self._text, _normal(self._text)):
            return True
        if len(url) > _LONGEST_URL:
            return False
        places = self._reach({0})
        for letter in url:
            reached = {place for place in places if place in self._loops and self._loops[place] != letter}
            for place in places:
                wanted, target = self._letters.get(place, ("", -1))
                if target >= 0 and wanted in ("", letter):
                    reached.add(target)
            places = self._reach(reached)
            if not places:
                return False
        return self._end in places

    def _reach(self, places: set[int]) -> set[int]:
        waiting = list(places)
        while waiting:
            for place in self._free.get(waiting.pop(), ()):
                if place not in places:
                    places.add(place)
                    waiting.append(place)
        return places

    def _parse(self, text: str) -> int:
        here, begun = 0, -1
        ends: list[int] = []
        for escaped, folders, deep, flat, opens, closes, comma, letter in _TOKENS.findall(text):
            if folders:
                before = self._letters_to(here)
                here = self._folders(here, optional=before == "/")
            elif deep or flat:
                here = self._loop(here, "" if deep else "/")
            elif opens and begun < 0:
                begun, ends, here = here, [], self._jump(here)
            elif comma and begun >= 0:
                ends.append(here)
                here = self._jump(begun)
            elif closes and begun >= 0:
                here, begun = self._join([*ends, here]), -1
            else:
                here = self._step(here, escaped or opens or closes or comma or letter)
        return self._join([*ends, here]) if begun >= 0 else here

    def _letters_to(self, place: int) -> str:
        return next((letter for letter, target in self._letters.values() if target == place), "")

    def _new(self) -> int:
        self._last += 1
        return self._last

    def _step(self, place: int, letter: str) -> int:
        target = self._new()
        self._letters[place] = letter, target
        return target

    def _jump(self, place: int) -> int:
        target = self._new()
        self._free.setdefault(place, []).append(target)
        return target

    def _join(self, places: list[int]) -> int:
        target = self._new()
        for place in places:
            self._free.setdefault(place, []).append(target)
        return target

    def _loop(self, place: int, but: str) -> int:
        loop = self._jump(place)
        self._loops[loop] = but
        return self._jump(loop)

    def _folders(self, place: int, *, optional: bool) -> int:
        """`**/`: any number of folders; after a slash also none."""
        if not optional:
            return self._step(self._loop(place, ""), "/")
        within = self._step(self._loop(self._step(self._jump(place), ""), ""), "/")
        return self._join([place, within])


def _normal(url: str) -> str:
    """As a browser spells an address without a path."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return url
    return parts._replace(path="/").geturl() if parts.netloc and not parts.path else url
