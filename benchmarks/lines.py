"""Loads: lines and the expected answers."""

import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

CV_BYTES = 2048


@dataclass(frozen=True, slots=True)
class Load:
    """Lines and the answer that each must get."""

    lines: Sequence[bytes]
    answers: Sequence[dict[str, Any]]


def line(kind: str, content: Any = None, request_id: int | None = None) -> bytes:
    """One request."""
    message: dict[str, Any] = {"type": kind}
    if content is not None:
        message["content"] = content
    if request_id is not None:
        message["id"] = request_id
    return json.dumps(message, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"


def pings(count: int) -> Load:
    """`count` times `ping`."""
    return Load([line("ping")] * count, [{"type": "pong"}] * count)


def set_references(count: int) -> Load:
    """`count` different references."""
    return Load([line("set_cached_reference", _reference(i)) for i in range(count)], [{"type": "ok"}] * count)


def has_references(count: int, known: int) -> Load:
    """Look-ups in random order; nine of ten are among the `known`."""
    choose = random.Random(7)
    wanted = [(_reference(choose.randrange(known)), True) if i % 10 else (f"absent-{i}", False) for i in range(count)]
    return Load(
        [line("has_cached_reference", reference) for reference, _ in wanted],
        [{"type": "ok", "content": there} for _, there in wanted],
    )


def cvs(count: int, name: str) -> Load:
    """`count` CVs of 2 KB that all match; `name` distinguishes the references of loads."""
    return Load([line("send_cv", _cv(f"{name}-{i}")) for i in range(count)], [{"type": "ok", "content": True}] * count)


def cvs_with_ids(count: int, name: str) -> Load:
    """`count` CVs of 2 KB, each with an id, so that many are in flight at once."""
    return Load(
        [line("send_cv", _cv(f"{name}-{i}"), i) for i in range(count)],
        [{"type": "ok", "content": True, "id": i} for i in range(count)],
    )


LOADS: dict[str, Callable[[int], Load]] = {
    "pings": pings,
    "set_cached_reference": set_references,
    "send_cv": lambda count: cvs(count, "log"),
}
"""The loads to measure with the input log off and on."""


def _reference(number: int) -> str:
    return f"ref-{number:08d}-{(number * 2654435761) & 0xFFFFFFFF:08x}"


def _cv(reference: str) -> dict[str, Any]:
    """A CV of the shape RT-CV takes, padded to 2 KB."""
    cv: dict[str, Any] = {
        "referenceNumber": reference,
        "createdAt": "2021-11-19T13:52:55.5Z",
        "personalDetails": {
            "firstName": "Anna",
            "surName": "Jansen",
            "dob": "1990-02-03T00:00:00Z",
            "streetName": "Straße æ",
            "zip": "9779AB",
            "city": "Groningen",
            "phoneNumber": "0600000000",
            "email": "anna@example.com",
        },
        "educations": [{"name": "MBO 4 ICT", "institute": "School <of> arts & crafts", "isCompleted": True}],
        "workExperiences": [{"profession": "Baker", "employer": "Bakery", "weeklyHoursWorked": 38, "endDate": None}],
        "preferredJobs": ["Baker", "Dancer"],
        "languages": [{"name": "Nederlands", "levelSpoken": 3, "levelWritten": 2}],
        "driversLicenses": ["A", "B"],
        "presentation": "",
    }
    words = "I like to work with people and to learn something new every day "
    missing = CV_BYTES - len(line("send_cv", cv))
    cv["presentation"] = (words * (1 + missing // len(words)))[:missing]
    return cv
