"""Scans JavaScript sources with a bounded cost, however long the sources of a line are."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from sidecar_protocol.wire_types import REDACTED

if TYPE_CHECKING:
    from sidecar.javascript.tokens import Literal, Placeholder

MAX_SOURCE: Final = 32 * 1024
"""The longest source that is scanned, in characters; a longer one is redacted whole."""
MAX_TOTAL: Final = 8 * MAX_SOURCE
"""Characters that are scanned for one line or one job; nested sources count again."""


class SourceScanner:
    """Scans the sources of one line or one job up to the limit."""

    def __init__(self, longest: int = MAX_SOURCE) -> None:
        """`longest` is the most characters that one source may have; all together may have eight times as many."""
        self._longest = longest
        self._remaining = MAX_TOTAL // MAX_SOURCE * longest
        self.limit_exceeded = False
        """Whether a source was not scanned, and so may contain any secret."""

    def literals(self, source: str) -> Iterator["Literal"]:
        """Every literal that is not open, joined ones too, also of sources in strings; none beyond the limit."""
        from sidecar.javascript import tokens  # late: sessions without JavaScript don't need it

        return tokens.literals(source, self._spend)

    def redact(self, source: str, placeholder: "Placeholder" = lambda *_: REDACTED) -> str:
        """The source with every literal that is not open, and every comment, replaced; beyond the limit all of it."""
        from sidecar.javascript import tokens  # late, as above
        from sidecar.javascript.calls import Sensitivity

        if self._spend(len(source)):
            return tokens.redact(source, placeholder)
        return f'"{placeholder(source, Sensitivity.SECRET)}"'

    def _spend(self, length: int) -> bool:
        if length > min(self._longest, self._remaining):
            self.limit_exceeded = True
            return False
        self._remaining -= length
        return True
