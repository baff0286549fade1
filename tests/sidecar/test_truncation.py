"""Texts are cut once what is secret was taken out of them."""

import pytest
from sidecar_protocol.wire_types import REDACTED

from sidecar.recording.redaction.redactor import Redactor
from sidecar.truncation import MAX_KEPT, SANDBOX_MAX, cap_length, last_characters, truncate

SECRET = "hunter2-of-a-long-password"


@pytest.mark.parametrize("before", range(70, 101))
@pytest.mark.parametrize("secret", [SECRET, f"https://ann:{SECRET}@shop.nl/", f"?token={SECRET}"])
def test_no_half_is_left_at_the_cut(before: int, secret: str) -> None:
    """The cut may fall before, within or behind a secret, known or recognised by its surroundings."""
    redactor = Redactor()
    if secret == SECRET:
        redactor.add_secret(SECRET)
    shown = truncate("x" * before + secret + "y" * 50, 100, redactor.redact_text)
    assert len(shown) <= 100
    assert "hun" not in shown


@pytest.mark.parametrize(
    ("text", "count", "end"),
    [
        ("abc", 3, "abc"),
        ("abc", 2, "bc"),
        ("abc", 0, ""),
        ("ab\ne\u0301", 2, "\ne\u0301"),
        ("😀😀", 1, "😀"),
        ("e\u0301" * 3, 2, "e\u0301" * 2),
        ("\u0301" * 100, 1, "\u0301" * 16),
        ("a" + "\u0301" * 1_000_000, 10, "\u0301" * 160),
        ("e\u0301" + "a" * 100, 100, "a" * 100),
    ],
    ids=range(9),
)
def test_the_last_characters(text: str, count: int, end: str) -> None:
    """Counted as a reader does; one that never ends counts as several, so that nothing is without a bound."""
    assert last_characters(text, count) == end


def test_short_text_stays_unchanged() -> None:
    """Who gets the whole text has taken out of it what they must not see."""
    assert truncate(SECRET, 100, lambda _: "hidden") == SECRET


def test_a_text_that_was_nearly_all_secret() -> None:
    """Its beginning may end with a half of one, so that nothing of it is shown."""
    redactor = Redactor()
    secret = "".join(f"{number:03}" for number in range(334))
    redactor.add_secret(secret)
    assert truncate(cap_length(secret * 100), 1_000, redactor.redact_text) == REDACTED
    assert truncate(secret * 5, 1_000, redactor.redact_text) == REDACTED * 5
    assert truncate(secret * 5, 1_000, redactor.redact_text, whole=SANDBOX_MAX) == REDACTED
    assert truncate(secret * 50, 1_000, redactor.redact_text) == REDACTED
    assert truncate("x" * 2 * MAX_KEPT, 10, redactor.redact_text) == "x" * 10
