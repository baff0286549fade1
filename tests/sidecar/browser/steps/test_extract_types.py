"""Numbers and dates out of texts, and fields in their types: what is ambiguous is an error."""

from typing import Any

import pytest
from sidecar_protocol.jobs import Field

from sidecar.browser.steps.extract_types import NoValue, Unconvertible, parse_date, parse_number
from sidecar.browser.steps.extract_values import FieldFailed, convert, has_types

NUMBERS: dict[str, float] = {
    "1.234,56 €": 1234.56,
    "1,234.56": 1234.56,
    "\u22123": -3,
    "$ -1,5": -1.5,
    "-$5.50": -5.5,
    "1'234.50": 1234.5,
    "1\u00a0234\u202f567,8": 1234567.8,
    "12 %": 12,
    "12kg": 12,
    "1.234.567": 1234567,
    "12,34,567.89": 1234567.89,
    "0.123": 0.123,
    "Total: EUR 12,-": 12,
    "1 234,567": 1234.567,
}
NO_NUMBERS = {
    "1.234": 'the . in it may group digits or be the decimal mark: say which with "decimal"',
    "1,234": 'the , in it may group digits or be the decimal mark: say which with "decimal"',
    "12 to 15": "there are several numbers in it",
    "4.8/5": "there are several numbers in it",
    "3.1.2": "its groups of digits follow no rule",
    "1,23,4": "its groups of digits follow no rule",
    "1.234,567,8": "its marks . and , follow no rule",
    "9" * 16: "it has more than 15 digits",
    "1" + "a" * 1_000: "it has more than 1000 characters",
}
DATES = {
    "2026-01-31": "2026-01-31",
    "2026-01-31T12:00:00Z": "2026-01-31T12:00:00+00:00",
    "2026/01/31 12:00:00+02:00": "2026-01-31T12:00:00+02:00",
    "31.01.2026 18:05": "2026-01-31T18:05:00",
    "31. Januar 2026 um 18:05": "2026-01-31T18:05:00",
    "Jan 31, 2026 6:05 pm": "2026-01-31T18:05:00",
    "12:30 am, January 1st, 2026": "2026-01-01T00:30:00",
    "31/01/2026": "2026-01-31",
    "01/31/2026": "2026-01-31",
    "05/05/2026": "2026-05-05",
    "Published: Fri, 31 Jan 2026 12:00:00 GMT": "2026-01-31T12:00:00+00:00",
    "1 de enero de 2026": "2026-01-01",
    "1er janvier 2026": "2026-01-01",
}
NO_DATES = {
    "01/02/2026": 'day and month can\'t be told apart: say which comes first with "order"',
    "2026-02-30": "there is no such day",
    "2026-01-31 25:00": "there is no such time",
    "2026-01-01 to 2026-02-01": "there are several dates in it",
}


@pytest.mark.parametrize("text", NUMBERS)
def test_a_number(text: str) -> None:
    """In common local forms; an integer where it has no decimals."""
    found = parse_number(text)
    assert (found, type(found)) == (NUMBERS[text], type(NUMBERS[text]))


@pytest.mark.parametrize("text", NO_NUMBERS)
def test_an_ambiguous_number_is_refused(text: str) -> None:
    """A guess would be wrong by a thousand."""
    with pytest.raises(Unconvertible) as refused:
        parse_number(text)
    assert str(refused.value) == NO_NUMBERS[text]


@pytest.mark.parametrize("text", ["n/a", "", "abc123", "1e5", "on request"])
def test_no_number_at_all(text: str) -> None:
    """A default may take its place."""
    with pytest.raises(NoValue):
        parse_number(text)


def test_the_decimal_mark_can_be_given() -> None:
    """Then nothing is ambiguous."""
    assert (parse_number("1.234", "."), parse_number("1.234", ","), parse_number("1,234", ".")) == (1.234, 1234, 1234)
    with pytest.raises(Unconvertible, match="several decimal marks"):
        parse_number("1.2.3", ".")


@pytest.mark.parametrize("text", DATES)
def test_a_date(text: str) -> None:
    """ISO 8601, with the time that follows it."""
    assert parse_date(text) == DATES[text]


@pytest.mark.parametrize("text", NO_DATES)
def test_an_ambiguous_date_is_refused(text: str) -> None:
    """As are days that no calendar has."""
    with pytest.raises(Unconvertible) as refused:
        parse_date(text)
    assert str(refused.value) == NO_DATES[text]


def test_the_order_of_a_date_can_be_given() -> None:
    """For those who know their site."""
    assert (parse_date("01/02/2026", "dmy"), parse_date("01/02/2026", "mdy")) == ("2026-02-01", "2026-01-02")
    with pytest.raises(NoValue):
        parse_date("tomorrow")


CASES: dict[str, tuple[dict[str, Any], Any, Any]] = {
    "default without a match": ({"default": 7}, None, 7),
    "null without a match": ({"type": "number"}, None, None),
    "null as a default": ({"type": "number", "default": None}, "n/a", None),
    "empty text": ({"default": "-"}, " ", "-"),
    "empty number": ({"type": "number"}, " ", None),
    "list": ({"type": "number", "all": True, "default": 0}, ["1", "n/a", None], [1, 0, 0]),
    "empty list": ({"type": "number", "all": True}, [], []),
    "url": ({"type": "url"}, ["b", "https://a.example/b"], "https://a.example/b"),
    "table without a header": ({"type": "table"}, {"heads": [], "rows": [["a"]]}, [["a"]]),
    "header of two rows": (
        {"type": "table"},
        {"heads": [["Size", "Size", ""], ["W", "H", ""]], "rows": [["1", "2", "3"], ["4"]]},
        [{"Size W": "1", "Size H": "2", "column 3": "3"}, {"Size W": "4", "Size H": None, "column 3": None}],
    ),
    "the same header twice": (
        {"type": "table"},
        {"heads": [["A", "A"]], "rows": [["1", "2"]]},
        [{"A": "1", "A 2": "2"}],
    ),
}
FAILS: dict[str, tuple[dict[str, Any], Any, str, str]] = {
    "required": ({"required": True}, None, "x", "nothing matches, but the field is required"),
    "required text": ({"required": True}, " ", "x", "its text is empty, but the field is required"),
    "required number": ({"required": True, "type": "number"}, "", "x", "its text is empty, but the field is required"),
    "required list": ({"required": True, "all": True}, [], "x", "nothing matches, but the field is required"),
    "required table": ({"required": True, "type": "table"}, {"heads": [], "rows": []}, "x", "the table has no rows"),
    "number": ({"type": "number", "all": True}, ["1", "x"], "x[1]", "expected a number, but there is no number in it"),
    "ambiguous": (
        {"type": "number", "default": 0},
        "1,234",
        "x",
        "expected a number, but the , in it may group digits",
    ),
    "no url": ({"type": "url"}, ["http://[", None], "x", "expected a url, but it is not a URL"),
    "large": ({"type": "table"}, {"large": True}, "x", "the table has more than 100000 cells"),
    "inner": (
        {"all": True, "fields": {"n": {"selector": "b", "required": True}}},
        [{"n": "1"}, {"n": None}],
        "x[1].n",
        "nothing matches",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_field(name: str) -> None:
    """Its value, or its default."""
    given, value, expected = CASES[name]
    fields: dict[str, str | Field] = {"x": Field.model_validate({"selector": "a", **given}), "plain": "b"}
    assert has_types(fields)
    assert convert(fields, {"x": value, "plain": "p"}) == {"x": expected, "plain": "p"}


@pytest.mark.parametrize("name", FAILS)
def test_a_field_without_a_valid_value(name: str) -> None:
    """It is named by its path."""
    given, value, path, reason = FAILS[name]
    with pytest.raises(FieldFailed) as failed:
        convert({"x": Field.model_validate({"selector": "a", **given})}, {"x": value})
    assert failed.value.field == path
    assert failed.value.reason.startswith(reason)
