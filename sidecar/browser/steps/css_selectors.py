"""Translates selectors that `querySelectorAll` matches as Playwright does, except for open shadow roots."""

import re
from typing import Final

_NAME: Final = r"-?[A-Za-z_][\w-]*"
_VALUE: Final = rf"""(?:"[^"\\\n]*"|'[^'\\\n]*'|{_NAME})"""
_ATTRIBUTE: Final = rf"\[\s*{_NAME}\s*(?:[~|^$*]?=\s*{_VALUE}\s*)?\]"
_NTH: Final = r"nth-(?:last-)?(?:child|of-type)\(\s*(?:odd|even|[+-]?\d*n(?:\s*[+-]\s*\d+)?|[+-]?\d+)\s*\)"
_STATE: Final = rf":(?:(?:first|last|only)-(?:child|of-type)|{_NTH}|empty|root|checked|disabled|enabled)(?![\w(-])"
_COMPOUND: Final = rf"(?=[\w*#.\[:-])(?:{_NAME}|\*)?(?:[#.]{_NAME}|{_ATTRIBUTE}|{_STATE})*"
_COMPLEX: Final = rf"\s*{_COMPOUND}(?:(?:\s*[>+~]\s*|\s+){_COMPOUND})*\s*"
_ONE: Final = re.compile(_COMPLEX, re.ASCII)
_LIST: Final = re.compile(rf"{_COMPLEX}(?:,{_COMPLEX})*", re.ASCII)
_MAX_CHARS: Final = 1_000
"""Characters; longer selectors are left to Playwright."""


def to_native_css(selector: str, *, nested: bool = False) -> str | None:
    """CSS with the same meaning to the browser; None for selectors that only Playwright supports.

    A nested selector is bound to its element: the browser's own `body p` would match any paragraph in it.
    """
    if len(selector) > _MAX_CHARS or not _LIST.fullmatch(selector):
        return None
    return ", ".join(f":scope {one.strip()}" for one in _ONE.findall(selector)) if nested else selector
