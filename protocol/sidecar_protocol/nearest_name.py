"""The known name that a mistyped one was meant for."""

import re
from collections.abc import Iterable
from typing import Final

LONGEST_GUESS: Final = 64
"""Longest unknown name, in characters, for which the nearest known one is searched."""
_CUTOFF: Final = 0.65
_SEPARATORS: Final = re.compile(r"[\s_-]")


def nearest(written: str, known: Iterable[str]) -> str:
    """The nearest known name, in any case and in camelCase too; empty if none is near."""
    if len(written) > LONGEST_GUESS:
        return ""
    from difflib import get_close_matches  # late: only mistakes need it

    folded: dict[str, str] = {}
    for name in known:
        folded.setdefault(_folded(name), name)
    near = get_close_matches(_folded(written), folded, n=1, cutoff=_CUTOFF)
    return folded[near[0]] if near else ""


def _folded(name: str) -> str:
    return _SEPARATORS.sub("", name.casefold())
