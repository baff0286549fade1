"""A secret value is hidden in every spelling that others may give it."""

import base64
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sidecar_protocol.wire_types import REDACTED

from sidecar.recording.redaction.redactor import Redactor
from sidecar.secret_encodings import encodings
from tests.spelled import SPELLINGS

VALUE = 'pä&ss "w0rd"/+\\é💥x'


@pytest.mark.parametrize("name", SPELLINGS)
@pytest.mark.parametrize("value", [VALUE, "plain-value", "a b c d", "ключ", "\\\\\\\\", "&amp;", "%41%41", "++++"])
def test_every_spelling_is_hidden_and_nothing_else(name: str, value: str) -> None:
    """What stands before and after stays byte for byte."""
    redactor = Redactor()
    redactor.add_secret(value)
    assert redactor.redact_text(f"é: {SPELLINGS[name](value)}; ü") == f"é: {REDACTED}; ü"


AWKWARD = [
    VALUE,
    "hunter2-é",
    'p"a\\ss&w%41rd',
    "correct horse battery staple",
    "0123456789abcdef" * 8,
    "ключ-к-двери",
    "line\nbreak+tab\t",
    "\\windows\\path",
    "a\\u0041bcd",
    "x&amp;y&#65;z",
]
BESIDE = ["", *"xf 9=%é/+&u", *("\\" * size for size in range(1, 9)), "\\u", "&#"]


@pytest.mark.parametrize("name", SPELLINGS)
def test_a_value_is_found_next_to_any_text(name: str) -> None:
    """Lone backslashes, halves of escapes, letters that look like a part of it."""
    redactor = Redactor()
    for value in AWKWARD:
        redactor.add_secret(value)
    for value in AWKWARD:
        spelled = SPELLINGS[name](value)
        for before in BESIDE:
            for after in ("", "%"):
                text = redactor.redact_text(f"{before}{spelled}{after}")
                assert spelled not in text, (value, before, after)
                assert REDACTED in text, (value, before, after)


@pytest.mark.parametrize("escape", ["%41", "&#65;", "\\u0041", "%2541", "x%41"])
def test_a_value_is_found_behind_any_number_of_escapes(escape: str) -> None:
    """Escapes are undone thousands at a time; a value that lies in two such parts is found, and hidden alone."""
    redactor = Redactor()
    redactor.add_secret("pass word")
    for count in (*range(4_080, 4_100, 3), 12_288):
        for written in ("pass word", "pass%20word", "p&#97;ss\\u0020word"):
            assert redactor.redact_text(f"{escape * count}{written}%") == f"{escape * count}{REDACTED}%"


def test_what_is_left_of_a_value_without_its_blanks_is_long_enough_to_look_for() -> None:
    """Four pluses that a form writes for spaces don't take every indentation out of a text."""
    redactor = Redactor()
    for value in ("++++", "\n\n\n\n", "a\t\t\tb"):
        redactor.add_secret(value)
    assert redactor.redact_text("    nnnn a b atttb") == "    nnnn a b atttb"


@given(value=st.text(min_size=4, max_size=80).filter(lambda text: text != REDACTED), before=st.binary(max_size=5))
def test_no_listed_spelling_of_any_value_is_left(value: str, before: bytes) -> None:
    """All that is listed for those who search by pattern is found here as well, and base64 at any offset."""
    redactor = Redactor()
    redactor.add_secret(value)
    for form in set(encodings(value)) - _parts_of_base64(value):
        if "\\" not in value or form != value.replace("/", r"\/"):  # then it is no spelling of this value
            assert form not in redactor.redact_text(f"<{form}>")
    encoded = base64.b64encode(before + value.encode() + b"after")
    for text in (encoded.decode(), base64.urlsafe_b64encode(before + value.encode() + b"after").decode()):
        left = redactor.redact_text(text).split(REDACTED)
        assert len(left) > 1
        assert sum(map(len, left)) <= len(text) - len(value.encode()) * 4 // 3 + 2


def _parts_of_base64(value: str) -> set[str]:
    """The base64 of a value within longer base64, without the letters that it shares with its neighbours."""
    raw = value.encode()
    longer = [base64.b64encode(bytes(size) + raw + b"\0\0").decode() for size in range(3)]
    longer += [each.replace("+", "-").replace("/", "_") for each in longer]
    return {form for form in encodings(value) if form != value and any(form in each for each in longer)}


def test_a_digest_is_found_within_more_digits() -> None:
    """The neighbouring text may be hexadecimal, too."""
    redactor = Redactor()
    redactor.add_secret(VALUE)
    digest = hashlib.sha512(VALUE.encode()).hexdigest()
    assert redactor.redact_text(f"abc{digest}12") == f"abc{REDACTED}12"


def test_overlapping_secrets_are_hidden_whole() -> None:
    """A short one in a long one, two that overlap, and two that only touch."""
    redactor = Redactor()
    for value in ("secret", "my-secret-word", "word-of-mine"):
        redactor.add_secret(value)
    assert redactor.redact_text("my-secret-word-of-mine") == REDACTED
    assert redactor.redact_text("a my-secret-word, a secret") == f"a {REDACTED}, a {REDACTED}"
    assert redactor.redact_text("secretsecret") == REDACTED * 2


def test_a_character_at_the_end_of_a_cut_is_kept_whole() -> None:
    """Where bytes are hidden up to a bound, no half of a character is left."""
    redactor = Redactor()
    for number in range(20):
        redactor.add_secret("é" * (60 + number) + str(number))
    assert redactor.redact_text("é" * 200).startswith(REDACTED)
