"""A JavaScript action as it was given."""

import re
from dataclasses import dataclass
from typing import Final

from sidecar.javascript.sources import SourceScanner

_MAX_LABEL: Final = 80
_LABEL_SOURCE: Final = 1_000
"""Characters of a source that a label is made of."""
_PREPARATION: Final = re.compile(
    r"\s*(?:await\s+)?(?:page|context)\s*\.\s*"
    r"(?:on|once|addListener|setDefaultTimeout|setDefaultNavigationTimeout|setExtraHTTPHeaders|route|addInitScript)\s*\("
)


@dataclass(frozen=True, slots=True)
class ActionScript:
    """The source of one action. It prints as its label only."""

    source: str

    @property
    def label(self) -> str:
        """Its beginning, in one line and without what it types: what errors call it."""
        beginning = self.source.lstrip()[:_LABEL_SOURCE]  # where a literal is cut in two here, it is hidden whole
        line = " ".join(SourceScanner().redact(beginning).split())
        whole = len(line) <= _MAX_LABEL and len(beginning) < _LABEL_SOURCE
        return line if whole else f"{line[: _MAX_LABEL - 1]}…"

    @property
    def runs_before_navigation(self) -> bool:
        """Whether it prepares the visit, and so runs before the step's page is opened."""
        return _PREPARATION.match(self.source) is not None

    def __repr__(self) -> str:
        return f"Script({self.label})"
