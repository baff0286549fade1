"""Values that may differ between two runs of the same session: times, durations, and generated ids."""

import re
from typing import Any, Final

VOLATILE_MEMBERS: Final = frozenset(
    {
        "browsers",
        "created",
        "duration",
        "duration_ms",
        "finished",
        "message_types",
        "next_attempt",
        "next_execution",
        "pid",
        "runDuration",
        "started",
        "startTime",
        "version",
    }
)
"""Members of replies and events whose value may differ."""
GENERATED: Final = re.compile(
    r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:?\d\d)?"
    r"|\b[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}\b"
    r"|\b(?:[a-z]+_)?[0-9a-f]{32}\b"
    r"|\b[a-z]+_[0-9a-f]{24}\b"
    r"|\bP(?:\d+D)?T(?:\d+H)?(?:\d+M)?\d+(?:\.\d+)?S\b"
    r"|\b1\d{9}(?:\d{3})?\b"
    r"|(?<=Timeout )\d+(?:\.\d+)?(?=ms)"
)
"""Times, durations and random ids within a text."""


def without_volatile(value: Any) -> Any:
    """Plain JSON without these members, at any depth."""
    if isinstance(value, dict):
        return {key: without_volatile(inner) for key, inner in value.items() if key not in VOLATILE_MEMBERS}
    return [without_volatile(inner) for inner in value] if isinstance(value, list) else value


def without_generated(text: str) -> str:
    """The text with `*` in place of each of them."""
    return GENERATED.sub("*", text)
