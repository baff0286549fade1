"""Decodes JSON into models. Their validators are built once, at first use of a model."""

import re
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, Final, TypeVar

from pydantic import BaseModel, TypeAdapter
from pydantic_core import ValidationError, from_json

from sidecar_protocol.bounds import check
from sidecar_protocol.codec import NotJson, cut, plain
from sidecar_protocol.errors import ErrorCode, FieldError, WireError
from sidecar_protocol.models import CONFIG, Model
from sidecar_protocol.validation_errors import Mistake, mistakes
from sidecar_protocol.wire_types import Raw

T = TypeVar("T")

_LARGE: Final = re.compile(rb"[eE]\+?\d{3}|(?<!\d)\d{309}")
"""A pattern that every number beyond all floats matches; strings may match, too."""


def decode_as(shape: type[T], text: bytes, within: str = "") -> T:
    """Reads JSON that is known to be well-formed; `within` is its place in the content.

    Raises WireError: `invalid_content` or `limit_exceeded`."""
    adapter: TypeAdapter[T] = _adapter(shape)  # type: ignore[arg-type]
    parts: list[Raw] = []
    for place in getattr(shape, "raw_parts", ()):
        text = cut(text, place, parts)
        check(text, names_of(shape))
    value = _values(text)
    try:
        return adapter.validate_python(value, context=parts, by_alias=True, by_name=False)
    except ValidationError as wrong:
        raise error_for(mistakes(wrong, adapter.core_schema, value), within) from None


def decode_value(shape: type[T], value: Any, place: str = "") -> T:
    """Decodes plain values; `place` is their path in the content. Raises WireError as `decode_as` does."""
    adapter: TypeAdapter[T] = _adapter(shape)  # type: ignore[arg-type]
    try:
        return adapter.validate_python(value, by_alias=True, by_name=False)
    except ValidationError as wrong:
        raise error_for(mistakes(wrong, adapter.core_schema, value), place) from None


def decode_answer(shape: type[T], value: Any) -> T:
    """Reads plain values that no parent has sent. Raises NotJson where they have another shape."""
    try:
        return decode_value(shape, value)
    except WireError as wrong:
        raise NotJson(wrong.message) from None


def decode_stored(shape: type[T], text: bytes | str) -> T:
    """Decodes a stored record. Raises NotJson, without quoting it, if it is corrupt."""
    text = text.encode() if isinstance(text, str) else text
    try:
        return decode_as(shape, text)
    except WireError as wrong:
        raise NotJson(wrong.message) from None


def error_for(found: Sequence[Mistake], place: str = "") -> WireError:
    """One error for all mistakes, with the code, sentence and field of the first."""
    errors = [_field_error(one, place) for one in found]
    first = errors[0]
    if found[0].excess:
        return WireError(ErrorCode.LIMIT_EXCEEDED, first.message, field=first.field)
    return WireError(ErrorCode.INVALID_CONTENT, first.message, field=first.field, fields=tuple(errors))


def _values(text: bytes) -> Any:
    """Plain values. Raises WireError for numbers beyond what floats hold, which pydantic would take for infinite."""
    try:
        if _LARGE.search(text):
            plain(text)
        return from_json(text, allow_inf_nan=False)
    except ValueError as wrong:
        raise error_for([_unreadable(wrong)]) from None


def _unreadable(wrong: ValueError) -> Mistake:
    """The error of unreadable JSON: both parsers' messages name positions and no values."""
    said = str(wrong)
    return Mistake("", "a number is out of range" if "out of range" in said else f"not JSON: {said}")


@cache
def _adapter(shape: Any) -> Any:
    is_model = isinstance(shape, type) and issubclass(shape, BaseModel)
    return TypeAdapter(shape) if is_model else TypeAdapter(shape, config=CONFIG)


def names_of(shape: Any) -> Mapping[str, Any]:
    """The wire names of a model's fields; none for other types."""
    if not (isinstance(shape, type) and issubclass(shape, Model)):
        return {}
    return {one.alias or name: one for name, one in shape.model_fields.items()}


def _field_error(one: Mistake, place: str) -> FieldError:
    """The mistake with its complete field and sentence."""
    joint = "" if not one.field or not place or one.field.startswith("[") else "."
    field = f"{place}{joint}{one.field}" or "content"
    return FieldError(field, f"{field}: {one.said}")
