"""Finds the references that a recorded session knew from before."""

from pathlib import Path
from typing import Any, Final

import orjson

from sidecar.recording.recorded_session import SentLine, answers, sent_lines

_ASKS: Final = frozenset({"has_cached_reference", "set_cached_reference", "set_short_cached_reference"})
"""Requests whose content is a reference."""
_SENDS: Final = frozenset({"send_cv", "send_full_cv", "send_job"})
"""Requests whose content has a reference."""
_MEMBERS: Final = ("referenceNumber", "reference_number")


def known_references(folder: Path) -> set[str]:
    """The references that were known when the session first named them. Raises RecordingError."""
    named: set[str] = set()
    asked: dict[int, tuple[str, str]] = {}
    for line in sent_lines(folder):
        reference = _reference(line)
        if reference is not None and reference not in named:
            named.add(reference)
            asked[line.seq] = reference, line.type
    known: set[str] = set()
    for answer in answers(folder) if asked else ():
        reference, kind = asked.pop(answer.seq, ("", "")) if answer.seq else ("", "")
        if kind and answer.message.get("type") == "ok" and _says_known(kind, answer.message.get("content")):
            known.add(reference)
    return known


def _reference(line: SentLine) -> str | None:
    if line.type not in _ASKS and line.type not in _SENDS:
        return None
    try:
        content = orjson.loads(line.line).get("content")
    except orjson.JSONDecodeError:  # a number of more than 64 bits
        return None
    if line.type in _SENDS and isinstance(content, dict):
        content = next((content[name] for name in _MEMBERS if name in content), None)
    return content if isinstance(content, str) else None


def _says_known(kind: str, content: Any) -> bool:
    if kind == "send_job":
        return isinstance(content, dict) and content.get("status") == "skipped"
    return content is (True if kind in _ASKS else None)
