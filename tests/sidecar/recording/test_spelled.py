"""A secret value is hidden in every spelling that others may give it."""

import base64
import hashlib
import html
import json
import re
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.base import REDACTED
from sidecar.recording.redact import Redactor
from sidecar.spellings import spellings

VALUE = 'pä&ss "w0rd"/+\\é💥x'


def in_json(text: str) -> str:
    """As it stands between the quotes of JSON."""
    return json.dumps(text)[1:-1]


def lower_case(text: str) -> str:
    """With lower-case escapes of a URL."""
    return re.sub("%..", lambda found: found[0].lower(), text)


SPELLINGS: dict[str, Callable[[str], str]] = {
    "json": in_json,
    "json in UTF-8": lambda text: json.dumps(text, ensure_ascii=False)[1:-1],
    "json in upper case": lambda text: re.sub(r"\\u(....)", lambda found: "\\u" + found[1].upper(), in_json(text)),
    "json twice": lambda text: in_json(in_json(text)),
    "json of a page": lambda text: in_json(html.escape(text)),
    "json of a URL": lambda text: in_json(quote(text)),
    "json with slashes": lambda text: in_json(text).replace("/", "\\/"),
    "JavaScript": lambda text: "".join(f"\\x{ord(each):02x}" if ord(each) < 256 else each for each in text),
    "URL": lambda text: quote(text, safe=""),
    "URL path": quote,
    "form": quote_plus,
    "URL in lower case": lambda text: lower_case(quote(text)),
    "every byte": lambda text: "".join(f"%{byte:02X}" for byte in text.encode()),
    "page": html.escape,
    "page, by numbers": lambda text: "".join(f"&#{ord(each)};" for each in text),
    "page, by hexadecimal numbers": lambda text: "".join(f"&#x{ord(each):X};" for each in text),
    "SHA-512": lambda text: hashlib.sha512(text.encode()).hexdigest(),
    "SHA-512 in upper case": lambda text: hashlib.sha512(text.encode()).hexdigest().upper(),
}


@pytest.mark.parametrize("name", SPELLINGS)
@pytest.mark.parametrize("value", [VALUE, "plain-value", "a b c d", "ключ", "\\\\\\\\", "&amp;", "%41%41", "++++"])
def test_every_spelling_is_hidden_and_nothing_else(name: str, value: str) -> None:
    """What stands before and after stays byte for byte."""
    redactor = Redactor()
    redactor.learn(value)
    assert redactor.text(f"é: {SPELLINGS[name](value)}; ü") == f"é: {REDACTED}; ü"


@given(value=st.text(min_size=4, max_size=80).filter(lambda text: text != REDACTED), before=st.binary(max_size=5))
def test_no_listed_spelling_of_any_value_is_left(value: str, before: bytes) -> None:
    """All that is listed for those who search by pattern is found here as well, and base64 at any offset."""
    redactor = Redactor()
    redactor.learn(value)
    for form in set(spellings(value)) - _parts_of_base64(value):
        if "\\" not in value or form != value.replace("/", r"\/"):  # then it is no spelling of this value
            assert form not in redactor.text(f"<{form}>")
    encoded = base64.b64encode(before + value.encode() + b"after")
    for text in (encoded.decode(), base64.urlsafe_b64encode(before + value.encode() + b"after").decode()):
        left = redactor.text(text).split(REDACTED)
        assert len(left) > 1
        assert sum(map(len, left)) <= len(text) - len(value.encode()) * 4 // 3 + 2


def _parts_of_base64(value: str) -> set[str]:
    """What stands for a value within longer base64, without the letters that it shares with what is beside it."""
    raw = value.encode()
    longer = [base64.b64encode(bytes(size) + raw + b"\0\0").decode() for size in range(3)]
    longer += [each.replace("+", "-").replace("/", "_") for each in longer]
    return {form for form in spellings(value) if form != value and any(form in each for each in longer)}


def test_a_digest_is_found_within_more_digits() -> None:
    """What stands beside it may be hexadecimal, too."""
    redactor = Redactor()
    redactor.learn(VALUE)
    digest = hashlib.sha512(VALUE.encode()).hexdigest()
    assert redactor.text(f"abc{digest}12") == f"abc{REDACTED}12"


def test_overlapping_secrets_are_hidden_whole() -> None:
    """A short one in a long one, two that overlap, and two that only touch."""
    redactor = Redactor()
    for value in ("secret", "my-secret-word", "word-of-mine"):
        redactor.learn(value)
    assert redactor.text("my-secret-word-of-mine") == REDACTED
    assert redactor.text("a my-secret-word, a secret") == f"a {REDACTED}, a {REDACTED}"
    assert redactor.text("secretsecret") == REDACTED * 2


def test_a_character_at_the_end_of_a_cut_is_kept_whole() -> None:
    """Where bytes are hidden up to a bound, no half of a character is left."""
    redactor = Redactor()
    for number in range(20):
        redactor.learn("é" * (60 + number) + str(number))
    assert redactor.text("é" * 200).startswith(REDACTED)
