"""The cases: sections of the Markdown files in `protocol/conformance/`, which README.md there explains."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

_INSTALLED: Final = Path(__file__).parent / "cases"
_CHECKOUT: Final = Path(__file__).parents[2] / "protocol" / "conformance"
_HEADING: Final = re.compile(r"^### (\S+)(?: \(([\w, -]+)\))?$")
_STEP: Final = re.compile(r"^    (>b|[><=?!]) (.*)$")
KINDS: Final = ("sidecar", "client")
"""What a file's cases are for: an implementation of the sidecar, or a client."""


class CaseError(Exception):
    """A case file can't be read."""


class Step(NamedTuple):
    """A line of a case: what is done or expected, and its text."""

    mark: str
    text: str
    line: int
    """Its line in the file, counted from 1."""


class Case(NamedTuple):
    """One case."""

    name: str
    why: str
    file: str
    needs: frozenset[str]
    steps: tuple[Step, ...]


def load(kind: str) -> list[Case]:
    """All cases for a sidecar or for a client, file by file. Raises CaseError."""
    cases = [case for path in sorted(folder_of(kind).glob("*.md")) for case in read(path)]
    names = [case.name for case in cases]
    if twice := {name for name in names if names.count(name) > 1}:
        raise CaseError(f"two cases are named {', '.join(sorted(twice))}")
    return cases


def folder_of(kind: str) -> Path:
    """Where the files are: in the package, or in the checkout."""
    return (_INSTALLED if _INSTALLED.is_dir() else _CHECKOUT) / kind


def read(path: Path) -> Iterator[Case]:
    """The cases of one file."""
    heading, why, steps = None, list[str](), list[Step]()
    for number, text in enumerate([*path.read_text(encoding="utf-8").splitlines(), "### end"], 1):
        if found := _HEADING.match(text):
            if heading is not None:
                yield _case(heading, why, steps, path)
            heading, why, steps = found, [], []
        elif heading is None or not text.strip():
            continue
        elif step := _STEP.match(text):
            steps.append(Step(step[1], step[2], number))
        elif text.startswith("    "):
            raise CaseError(f"{path.name}:{number}: {text.strip()!r} is no step")
        else:
            why.append(text.strip())


def _case(heading: re.Match[str], why: list[str], steps: list[Step], path: Path) -> Case:
    if not why or not steps:
        raise CaseError(f"{path.name}: {heading[1]} has no {'steps' if why else 'reason'}")
    needs = frozenset(one.strip() for one in (heading[2] or "").split(",") if one.strip())
    return Case(heading[1], " ".join(why), path.stem, needs, tuple(steps))
