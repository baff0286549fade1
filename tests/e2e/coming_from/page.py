"""docs/coming-from.md, as its tests read it.

1. A section (`## System`) begins with its minute, one block of `sh` of three lines, and has one table.
2. A row is `| theirs | ours | what happens |`. Theirs: code spans, each a whole message, script, action, file or
   command, in the order in which they are given. Ours: the word `same`, or the spans to give us in their place.
3. Every code span of the third cell is checked, the words between them are for readers. A pipe is written `\\|`.
4. A module of this folder tests a section, `test_row` each of `rows(SECTION)`: it gives both forms to a real child,
   compares what they do with each other and with the spans, and fails at a span that it does not know how to check.
5. SECTIONS names that module; a section that is missing there, or whose module leaves rows out, fails.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

PAGE: Final = Path(__file__).parents[3] / "docs" / "coming-from.md"
SECTIONS: Final = {
    "RT-CV scraper client v1": "test_rtcv_v1",
    "RT-CV scraper client v2": "test_rtcv_v2",
    "Tourist": "test_tourist",
    "Director": "test_director",
    "crontab": "test_crontab",
    "Factotum": "test_factotum",
    "EngageLab": "test_engagelab",
}
"""Heading -> module of this folder."""

_CELL_END: Final = re.compile(r"(?<!\\)\|")
_SPAN: Final = re.compile(r"(?<!`)(`+)(?!`)(.+?)(?<!`)\1(?!`)")


@dataclass(frozen=True)
class Row:
    """One row: the code spans of its cells."""

    theirs: tuple[str, ...]
    ours: tuple[str, ...]
    """The sidecar's form; theirs if the cell says `same`."""
    happens: tuple[str, ...]

    @property
    def is_same(self) -> bool:
        """Whether we take their form as it is."""
        return self.ours == self.theirs

    @property
    def forms(self) -> tuple[tuple[str, ...], ...]:
        """What has to be given to a child each: theirs, and ours where it is another."""
        return (self.theirs,) if self.is_same else (self.theirs, self.ours)

    def __str__(self) -> str:
        return " ".join(self.theirs)[:80]


def sections() -> dict[str, str]:
    """The text of each section, by its heading."""
    _, *parts = re.split(r"^## (.+)$", PAGE.read_text(), flags=re.MULTILINE)
    return dict(zip(parts[::2], parts[1::2], strict=True))


def rows(section: str) -> list[Row]:
    """The rows of a section's table. Raises ValueError for one that is not written as above."""
    lines = [line for line in sections()[section].splitlines() if line.startswith("|")]
    return [_row(line) for line in lines[2:]]  # below the headings and the rule


def minute(section: str) -> str:
    """The commands of a section's first minute. Raises ValueError where it has none."""
    (block,) = re.findall(r"^```sh\n(.*?)^```$", sections()[section], re.MULTILINE | re.DOTALL)
    return str(block)


def _row(line: str) -> Row:
    _, theirs, ours, happens, _ = (cell.strip() for cell in _CELL_END.split(line))
    given = _spans(theirs)
    if not given or not (_spans(ours) or ours == "same"):
        raise ValueError(f"not `theirs | ours | what happens`: {line}")
    return Row(given, _spans(ours) or given, _spans(happens))


def _spans(cell: str) -> tuple[str, ...]:
    return tuple(span[2].strip().replace("\\|", "|") for span in _SPAN.finditer(cell))
