"""Every way in which a secret may be written down."""

import base64
import hashlib
import html
import json
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.secret_encodings import encodings

WRITERS: tuple[Callable[[str], str], ...] = (
    str,
    lambda value: json.dumps({"key": value}),
    lambda value: json.dumps({"key": value}, ensure_ascii=False),
    lambda value: json.dumps(html.escape(value)),
    lambda value: json.dumps(value).replace("/", r"\/"),
    lambda value: f"<b>{html.escape(value)}</b>",
    lambda value: f"https://a.example/?key={quote(value, safe='')}&more",
    lambda value: f"https://a.example/{quote(value)}",
    lambda value: quote_plus(value),
    lambda value: quote(value, safe="").lower() if value.islower() else value,
    lambda value: json.dumps(json.dumps({"key": value})),
    lambda value: quote(quote(value)),
    lambda value: html.escape(html.escape(value)),
    lambda value: "".join(f"&#x{ord(each):x};" for each in value),
    lambda value: value.encode().hex(),
    lambda value: hashlib.sha512(value.encode()).hexdigest(),
)


@pytest.mark.parametrize(
    "value", ["correct horse/battery", "ann@example.com:pa\"ss<w>'&", "straße 日本", "lower%/case"]
)
@pytest.mark.parametrize("write", WRITERS)
def test_it_is_found_as_it_was_written(write: Callable[[str], str], value: str) -> None:
    """A value is found in JSON, pages and URLs, and as RT-CV's digest."""
    assert any(form in write(value) for form in encodings(value))


@given(st.text("abcXYZ0189:/+=ü", min_size=8), st.binary(max_size=5), st.binary(max_size=5))
def test_it_is_found_in_base64_of_a_longer_text(value: str, before: bytes, after: bytes) -> None:
    """Wherever in it the value stands: `Authorization: Basic` is user, colon and key."""
    written = base64.b64encode(before + value.encode() + after).decode()
    assert any(form in written for form in encodings(value))


def test_the_longest_come_first() -> None:
    """Longer forms come first, so that no half of one is left."""
    lengths = [len(form) for form in encodings("a secret/with more")]
    assert lengths == sorted(lengths, reverse=True)
