"""Globs for URLs, matched in a time that grows with the URL's length.

The language is Playwright's: `*` is anything but a slash, `**` anything, `{a,b}` one of several, `\\` takes the next
letter as it is. Playwright makes regular expressions of them, and `**a**a**a**b` can hold those up for ever.
"""

import re
from typing import Final
from urllib.parse import urlsplit

MAX_WILDCARDS: Final = 100
MAX_GLOB_CHARS: Final = 2_000
_MAX_URL_CHARS: Final = 16_384
"""A longer one is matched by itself only."""
_MAX_CACHED: Final = 5_000
_TOKENS: Final = re.compile(r"\\(.)|(\*\*+/)|(\*\*+)|(\*)|(\{)|(\})|(,)|([^])".replace("[^]", r"[\s\S]"), re.DOTALL)


class UrlGlob:
    """One glob. Only its length is looked at until it has to match."""

    def __init__(self, text: str) -> None:
        """Raises ValueError for one that is too long, or has too many wildcards."""
        if len(text) > MAX_GLOB_CHARS or text.count("*") + text.count("{") > MAX_WILDCARDS:
            raise ValueError(f"a glob has at most {MAX_GLOB_CHARS} characters and {MAX_WILDCARDS} wildcards")
        self._text = text
        self._walk: _Nfa | None = None

    def matches(self, url: str) -> bool:
        """Whether it matches the whole URL, or is the URL."""
        if url in (self._text, _normalized(self._text)):
            return True
        if len(url) > _MAX_URL_CHARS:
            return False
        if self._walk is None:
            self._walk = _Nfa(self._text)
        return self._walk.reaches_end(url)


class _Nfa:
    """A glob's places, walked by all ways at once: a set of places is one number, with a bit for each.

    A letter leads from its place to the next one, so that a letter is one shift for all places. Sets that have been met
    are remembered with where they lead, since most URLs come by the same ones again and again.
    """

    def __init__(self, text: str) -> None:
        self._letters: dict[str, int] = {}
        """Letter -> places that it leads on from. The empty one is any."""
        self._loops = self._loops_but_slash = 0
        """Places where any letter, or any but a slash, may be skipped."""
        self._free: dict[int, int] = {}
        """Places -> places that are reached from any of them without a letter; where these go on comes later."""
        self._last = 0
        self._end = 1 << self._parse(text)
        self._from = 0
        for places in self._free:
            self._from |= places
        self._met: dict[tuple[int, str], int] = {}

    def reaches_end(self, url: str) -> bool:
        """Whether the last letter leads to the end."""
        places = self._reach(1)
        for letter in url:
            known = places, letter
            reached = self._met.get(known)
            if reached is None:
                reached = self._reach(self._step_by(places, letter))
                if len(self._met) >= _MAX_CACHED:
                    self._met.clear()
                self._met[known] = reached
            places = reached
            if not places:
                return False
        return bool(places & self._end)

    def _step_by(self, places: int, letter: str) -> int:
        led = places & (self._letters.get("", 0) | self._letters.get(letter, 0))
        stays = self._loops if letter == "/" else self._loops | self._loops_but_slash
        return (led << 1) | (places & stays)

    def _reach(self, places: int) -> int:
        if places & self._from:
            for sources, targets in self._free.items():
                if places & sources:
                    places |= targets
        return places

    def _parse(self, text: str) -> int:
        here, begun, before = 0, -1, ""
        ends: list[int] = []
        for escaped, folders, deep, flat, opens, closes, comma, letter in _TOKENS.findall(text):
            step = ""
            if folders:
                here = self._folders(here, optional=before == "/")
                step = "/" if before != "/" else ""
            elif deep or flat:
                here = self._loop(here, but_slash=not deep)
            elif opens and begun < 0:
                begun, ends, here = here, [], self._jump(here)
            elif comma and begun >= 0:
                ends.append(here)
                here = self._jump(begun)
            elif closes and begun >= 0:
                here, begun = self._join([*ends, here]), -1
            else:
                step = escaped or opens or closes or comma or letter
                here = self._step(here, step)
            before = step
        return self._join([*ends, here]) if begun >= 0 else here

    def _new(self) -> int:
        self._last += 1
        return self._last

    def _step(self, place: int, letter: str) -> int:
        start = place if place == self._last else self._jump(place)
        self._letters[letter] = self._letters.get(letter, 0) | 1 << start
        return self._new()

    def _jump(self, place: int) -> int:
        return self._join([place])

    def _join(self, places: list[int]) -> int:
        target, sources = self._new(), 0
        for place in places:
            sources |= 1 << place
        self._free[sources] = self._free.get(sources, 0) | 1 << target
        return target

    def _loop(self, place: int, *, but_slash: bool) -> int:
        loop = self._jump(place)
        if but_slash:
            self._loops_but_slash |= 1 << loop
        else:
            self._loops |= 1 << loop
        return self._jump(loop)

    def _folders(self, place: int, *, optional: bool) -> int:
        """`**/`: any number of folders; after a slash also none."""
        if not optional:
            return self._step(self._loop(place, but_slash=False), "/")
        any_letter = self._step(self._jump(place), "")
        within = self._step(self._loop(any_letter, but_slash=False), "/")
        return self._join([place, within])


def _normalized(url: str) -> str:
    """As a browser spells an address without a path."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return url
    return parts._replace(path="/").geturl() if parts.netloc and not parts.path else url
