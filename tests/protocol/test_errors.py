"""The error table is whole: codes, meanings, classes."""

import inspect

import pytest
from sidecar_protocol.errors import MEANINGS, RETRYABLE, ErrorCode, ErrorDetail, WireError

from sidecar import errors
from sidecar.errors import SidecarError

CLASSES = [cls for _, cls in inspect.getmembers(errors, inspect.isclass) if issubclass(cls, SidecarError)]
OF_THE_WIRE = {ErrorCode.PARSE_ERROR, ErrorCode.INVALID_REQUEST, ErrorCode.UNKNOWN_TYPE, ErrorCode.LINE_TOO_LONG}
"""Raised by those who read lines; they have no class of their own."""


def test_every_code_has_a_meaning() -> None:
    """Codes and meanings match one to one."""
    assert set(MEANINGS) == set(ErrorCode)
    assert set(ErrorCode) >= RETRYABLE


def test_codes_are_snake_case_of_their_names() -> None:
    """Stable and without surprises."""
    assert all(code.value == code.name.lower() for code in ErrorCode)


def test_every_code_is_raised_by_a_class() -> None:
    """Every code has a class, except those that only lines can cause."""
    assert {cls.code for cls in CLASSES} | OF_THE_WIRE == set(ErrorCode)


@pytest.mark.parametrize("cls", CLASSES)
def test_the_tree_in_the_docstring_is_true(cls: type[SidecarError]) -> None:
    """The docstring's tree has each class with its code, under its parent."""
    assert errors.__doc__ is not None
    lines = [line.replace("─", " ").split() for line in errors.__doc__.splitlines()]
    drawn = [line for line in lines if cls.__name__ in line]
    assert len(drawn) == 1
    if cls.code is not ErrorCode.INTERNAL or drawn[0][-1] != cls.__name__:
        assert drawn[0][-1] == cls.code.value


@pytest.mark.parametrize("code", ErrorCode)
def test_a_wire_error_says_whether_to_try_again(code: ErrorCode) -> None:
    """The code decides whether an error is retryable, unless the raiser overrides it."""
    assert WireError(code, "said").detail == ErrorDetail(code=code, message="said", retryable=code in RETRYABLE)
    assert WireError(code, "said", retryable=True).detail.retryable
    assert WireError(code, "said", field="a.b").detail.field == "a.b"
