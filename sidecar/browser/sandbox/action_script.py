"""A JavaScript action as it was given."""

import re
from dataclasses import dataclass
from typing import Final

from sidecar.javascript.sources import Sources

_LONGEST_LABEL: Final = 80
_ENOUGH: Final = 1_000
"""Characters of a source that a label is made of."""
_EARLY: Final = re.compile(
    r"\s*(?:await\s+)?(?:page|context)\s*\.\s*"
    r"(?:on|once|addListener|setDefaultTimeout|setDefaultNavigationTimeout|setExtraHTTPHeaders|route|addInitScript)\s*\("
)


@dataclass(frozen=True, slots=True)
class Script:
    """The source of one action. It prints as its label only."""

    source: str

    @property
    def label(self) -> str:
        """Its beginning, in one line and without what it types: what errors call it."""
        beginning = self.source.lstrip()[:_ENOUGH]  # where a literal is cut in two here, it is hidden whole
        line = " ".join(Sources().hidden(beginning).split())
        whole = len(line) <= _LONGEST_LABEL and len(beginning) < _ENOUGH
        return line if whole else f"{line[: _LONGEST_LABEL - 1]}…"

    @property
    def early(self) -> bool:
        """Whether it prepares the visit, and so runs before the step's page is opened."""
        return _EARLY.match(self.source) is not None

    def __repr__(self) -> str:
        return f"Script({self.label})"
