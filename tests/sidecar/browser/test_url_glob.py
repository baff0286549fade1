"""Globs: Playwright's language, and no glob that takes for ever."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from playwright._impl._glob import glob_to_regex_pattern

from sidecar.browser.url_glob import UrlGlob


@pytest.mark.parametrize(
    ("glob", "matching", "others"),
    [
        ("**/done", ["http://a/done", "http://a/b/done", "/done"], ["http://a/done/", "http://a/undone", "done"]),
        ("http://a/*", ["http://a/", "http://a/b"], ["http://a/b/c", "https://a/b"]),
        ("http://a/**/c", ["http://a/c", "http://a/b/c", "http://a/b/b/c"], ["http://a/bc"]),
        ("http://a/*.{png,jpg}", ["http://a/1.png", "http://a/2.jpg"], ["http://a/3.gif", "http://a/png"]),
        ("http://a/x?y=1", ["http://a/x?y=1"], ["http://a/xzy=1"]),
        (r"http://a/\*", ["http://a/*"], ["http://a/b"]),
        ("http://a", ["http://a", "http://a/"], ["http://a/b"]),
        ("http://a/{b", ["http://a/b"], ["http://a/{"]),
        ("**", ["http://a/b", ""], []),
        ("http://a.b/c", ["http://a.b/c"], ["http://axb/c"]),
    ],
)
def test_what_matches(glob: str, matching: list[str], others: list[str]) -> None:
    """The whole URL, as Playwright would."""
    assert [url for url in matching if not UrlGlob(glob).matches(url)] == []
    assert [url for url in others if UrlGlob(glob).matches(url)] == []


@given(st.text("ab/*,.", max_size=8), st.text("ab/,.", max_size=8), st.booleans())
def test_as_playwright_does(glob: str, url: str, grouped: bool) -> None:
    """Any short glob, also with alternatives, decides as Playwright's regular expression does."""
    glob = f"{{{glob},a}}b" if grouped else glob
    assert UrlGlob(glob).matches(url) == bool(re.search(glob_to_regex_pattern(glob), url) or url == glob)


def test_a_glob_costs_nothing_until_it_matches() -> None:
    """A job may hold ten thousand of the longest."""
    globs = [UrlGlob("**{" + "a," * 900 + "}") for _ in range(10_000)]
    assert all(glob._nfa is None for glob in globs)


def test_no_glob_takes_for_ever() -> None:
    """What holds up a regular expression for years, and the longest there is."""
    assert not UrlGlob("**a" * 40 + "b").matches("a" * 5_000)
    assert UrlGlob("*" + "{a,aa}" * 40 + "**").matches("a" * 5_000)
    assert not UrlGlob("**").matches("a" * 20_000)
    # tens of seconds where each of a thousand ways is walked by itself
    assert UrlGlob("**{" + "a," * 900 + "}").matches("ba" * 8_000)
    assert not UrlGlob("**{" + "a," * 900 + "b}").matches("ac" * 8_000)
    for glob in ("*" * 101, "a" * 2_001):
        with pytest.raises(ValueError, match="at most 2000 characters and 100 wildcards"):
            UrlGlob(glob)
