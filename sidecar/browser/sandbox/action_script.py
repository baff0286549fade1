"""The source of a JavaScript action, and what errors call it."""

import re
from dataclasses import dataclass
from typing import Final

from sidecar.javascript.sources import SourceScanner

_MAX_LABEL: Final = 80
_LABEL_SOURCE: Final = 1_000
"""Characters at the beginning of a source from which the label is made."""
_PREPARATION: Final = re.compile(
    r"\s*(?:await\s+)?(?:page|context)\s*\.\s*"
    r"(?:on|once|addListener|setDefaultTimeout|setDefaultNavigationTimeout|setExtraHTTPHeaders|route|addInitScript"
    r"|set_default_timeout|set_default_navigation_timeout|set_extra_http_headers|add_init_script)\s*\("
)


@dataclass(frozen=True, slots=True)
class ActionScript:
    """The source of one action. Its `repr` shows the label only."""

    source: str

    @property
    def label(self) -> str:
        """The beginning of the source, on one line and with its literals redacted; errors name the action so."""
        beginning = self.source.lstrip()[:_LABEL_SOURCE]  # where a literal is cut in two here, it is hidden whole
        line = " ".join(SourceScanner().redact(beginning).split())
        whole = len(line) <= _MAX_LABEL and len(beginning) < _LABEL_SOURCE
        return line if whole else f"{line[: _MAX_LABEL - 1]}…"

    @property
    def runs_before_navigation(self) -> bool:
        """Whether the action sets up the page or context, and so runs before the step's URL is opened."""
        return _PREPARATION.match(self.source) is not None

    def __repr__(self) -> str:
        return f"Script({self.label})"
