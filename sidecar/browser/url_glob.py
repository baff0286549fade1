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
    """One glob. Only its length is checked until it has to match."""

    def __init__(self, text: str) -> None:
        """Raises ValueError for one that is too long, or has too many wildcards."""
        if len(text) > MAX_GLOB_CHARS or text.count("*") + text.count("{") > MAX_WILDCARDS:
            raise ValueError(f"a glob has at most {MAX_GLOB_CHARS} characters and {MAX_WILDCARDS} wildcards")
        self._text = text
        self._nfa: _Nfa | None = None

    def matches(self, url: str) -> bool:
        """Whether it matches the whole URL, or is the URL."""
        if url in (self._text, _normalized(self._text)):
            return True
        if len(url) > _MAX_URL_CHARS:
            return False
        if self._nfa is None:
            self._nfa = _Nfa(self._text)
        return self._nfa.reaches_end(url)


class _Nfa:
    """A glob's states, walked by all ways at once: a set of states is one number, with a bit for each.

    A letter leads from its state to the next one, so that a letter is one shift for all states. Sets that have been met
    are remembered with where they lead, since most URLs come by the same ones again and again.
    """

    def __init__(self, text: str) -> None:
        self._letters: dict[str, int] = {}
        """Letter -> states that it leads on from. The empty one is any."""
        self._loops = self._loops_but_slash = 0
        """Places where any letter, or any but a slash, may be skipped."""
        self._epsilon: dict[int, int] = {}
        """States -> states that are reached from any of them without a letter; continuations are added later."""
        self._last = 0
        self._end = 1 << self._parse(text)
        self._epsilon_sources = 0
        for states in self._epsilon:
            self._epsilon_sources |= states
        self._transitions: dict[tuple[int, str], int] = {}

    def reaches_end(self, url: str) -> bool:
        """Whether the last letter leads to the end."""
        states = self._reach(1)
        for letter in url:
            known = states, letter
            reached = self._transitions.get(known)
            if reached is None:
                reached = self._reach(self._step_by(states, letter))
                if len(self._transitions) >= _MAX_CACHED:
                    self._transitions.clear()
                self._transitions[known] = reached
            states = reached
            if not states:
                return False
        return bool(states & self._end)

    def _step_by(self, states: int, letter: str) -> int:
        led = states & (self._letters.get("", 0) | self._letters.get(letter, 0))
        stays = self._loops if letter == "/" else self._loops | self._loops_but_slash
        return (led << 1) | (states & stays)

    def _reach(self, states: int) -> int:
        if states & self._epsilon_sources:
            for sources, targets in self._epsilon.items():
                if states & sources:
                    states |= targets
        return states

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
                begun, ends, here = here, [], self._epsilon_step(here)
            elif comma and begun >= 0:
                ends.append(here)
                here = self._epsilon_step(begun)
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

    def _step(self, state: int, letter: str) -> int:
        start = state if state == self._last else self._epsilon_step(state)
        self._letters[letter] = self._letters.get(letter, 0) | 1 << start
        return self._new()

    def _epsilon_step(self, state: int) -> int:
        return self._join([state])

    def _join(self, states: list[int]) -> int:
        target, sources = self._new(), 0
        for state in states:
            sources |= 1 << state
        self._epsilon[sources] = self._epsilon.get(sources, 0) | 1 << target
        return target

    def _loop(self, state: int, *, but_slash: bool) -> int:
        loop = self._epsilon_step(state)
        if but_slash:
            self._loops_but_slash |= 1 << loop
        else:
            self._loops |= 1 << loop
        return self._epsilon_step(loop)

    def _folders(self, state: int, *, optional: bool) -> int:
        """`**/`: any number of folders; after a slash also none."""
        if not optional:
            return self._step(self._loop(state, but_slash=False), "/")
        any_letter = self._step(self._epsilon_step(state), "")
        within = self._step(self._loop(any_letter, but_slash=False), "/")
        return self._join([state, within])


def _normalized(url: str) -> str:
    """The address as a browser normalizes it, with a path."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return url
    return parts._replace(path="/").geturl() if parts.netloc and not parts.path else url
