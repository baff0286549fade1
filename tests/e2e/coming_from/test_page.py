"""The page is whole: every section has its minute, its rows, and a module that tests each of them."""

import re
from importlib import import_module

import pytest

from tests.e2e.coming_from.page import SECTIONS, minute, rows, sections

MOST_MINUTE_LINES = 3


def test_every_section_has_a_module() -> None:
    """No more and no less."""
    assert list(sections()) == list(SECTIONS)


@pytest.mark.parametrize("section", SECTIONS)
def test_every_row_is_tested(section: str) -> None:
    """By one of the module's tests whose argument is `row`, once for each."""
    module = import_module(f"tests.e2e.coming_from.{SECTIONS[section]}")
    marks = [mark for test in vars(module).values() for mark in getattr(test, "pytestmark", ()) if mark.args]
    tested = [row for mark in marks if mark.args[0] == "row" for row in mark.args[1]]
    assert len(tested) == len(rows(section)) > 0
    assert all(row in tested for row in rows(section))


@pytest.mark.parametrize("section", SECTIONS)
def test_every_section_begins_with_a_minute(section: str) -> None:
    """Three lines, before anything else but a sentence; the module runs them in its `test_minute`."""
    module = import_module(f"tests.e2e.coming_from.{SECTIONS[section]}")
    assert len(minute(section).splitlines()) <= MOST_MINUTE_LINES
    assert sections()[section].index("```sh") < sections()[section].index("\n|")
    assert callable(module.test_minute)


@pytest.mark.parametrize("section", SECTIONS)
def test_every_row_is_one_of_the_table(section: str) -> None:
    """A section has one table, so no row stands where it would not be read."""
    assert len(re.findall(r"^\| ?-", sections()[section], re.MULTILINE)) == 1
