"""Extracted texts -> values of their fields' types; the first field without a valid value is an error."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from sidecar_protocol.jobs import Field
from sidecar_protocol.wire_types import UNSET

from sidecar.browser.steps.extract_types import NoValue, Unconvertible, parse_date, parse_number
from sidecar.errors import ActionFailed, LimitExceeded
from sidecar.truncation import Redact, truncate

if TYPE_CHECKING:
    from sidecar.browser.steps.extract import PageReading
    from sidecar.browser.steps.plan import PlannedStep

Fields = Mapping[str, str | Field]
MAX_FOUND_CHARS: Final = 200
"""Characters of the text on a page that an error about a field quotes."""


class FieldFailed(Exception):
    """A field without a valid value; `found` is the text on the page, which may be long and hold secrets."""

    def __init__(self, field: str, reason: str, found: str | None = None, *, is_large: bool = False) -> None:
        super().__init__(reason)
        self.field = field
        self.reason = reason
        self.found = found
        self.is_large = is_large


def has_types(fields: Fields) -> bool:
    """Whether a field has a type, a default, or is required."""
    return any(
        one.type != "text" or one.required or one.default is not UNSET or (one.fields and has_types(one.fields))
        for one in fields.values()
        if isinstance(one, Field)
    )


def typed_reading(step: "PlannedStep", reading: "PageReading", hide: Redact) -> "PageReading":
    """The reading with its values in their types. Raises ActionFailed and LimitExceeded with the field."""
    if step.extract is None or step.extract.typed is None or reading.values is None:
        return reading
    try:
        return reading.replace(values=convert(step.extract.typed, reading.values))
    except FieldFailed as bad:
        said = f"extract failed: field {bad.field}: {bad.reason}"
        if bad.found is not None:
            whole = len(bad.found) <= MAX_FOUND_CHARS
            found = hide(bad.found) if whole else truncate(bad.found, MAX_FOUND_CHARS, hide)
            said += f"; found {found!r}"
        kind = LimitExceeded if bad.is_large else ActionFailed
        raise kind(said, step=step.name, action="extract", field=bad.field) from None


def convert(fields: Fields, values: Mapping[str, Any], within: str = "") -> dict[str, Any]:
    """The values in their types. Raises FieldFailed."""
    return {
        name: _of_field(one, values.get(name), f"{within}.{name}" if within else name)
        if isinstance(one := fields[name], Field)
        else values.get(name)
        for name in fields
    }


def _of_field(field: Field, value: Any, path: str) -> Any:
    if not field.all:
        return _of_match(field, value, path)
    if field.required and not value:
        raise FieldFailed(path, "nothing matches, but the field is required")
    return [_of_match(field, one, f"{path}[{index}]") for index, one in enumerate(value or ())]


def _of_match(field: Field, value: Any, path: str) -> Any:
    if value is None:
        return _missing(field, path, "nothing matches")
    if field.fields is not None:
        return convert(field.fields, value, path)
    if field.type == "table":
        return _table(field, value, path)
    text = value[0] if field.type == "url" else value
    if not text.strip():
        return _missing(field, path, "its text is empty") if field.type == "text" else _empty(field, path)
    try:
        return _typed(field, value)
    except NoValue as wrong:
        if field.default is UNSET:
            raise FieldFailed(path, f"expected a {field.type}, but {wrong}", text) from None
        return field.default
    except Unconvertible as wrong:
        raise FieldFailed(path, f"expected a {field.type}, but {wrong}", text) from None


def _typed(field: Field, value: Any) -> Any:
    match field.type:
        case "number":
            return parse_number(value, field.decimal)
        case "date":
            return parse_date(value, field.order)
        case "url":
            if value[1] is None:
                raise NoValue("it is not a URL")
            return value[1]
    return value


def _missing(field: Field, path: str, reason: str) -> Any:
    if field.required:
        raise FieldFailed(path, f"{reason}, but the field is required")
    if field.default is not UNSET:
        return field.default
    return "" if reason == "its text is empty" else None


def _empty(field: Field, path: str) -> Any:
    """An empty text is no number, date or URL: null, unless the field says otherwise."""
    _missing(field, path, "its text is empty")
    return None if field.default is UNSET else field.default


def _table(field: Field, value: dict[str, Any], path: str) -> Any:
    if value.get("large"):
        raise FieldFailed(path, "the table has more than 100000 cells or 8 MiB of text, spans counted", is_large=True)
    rows, heads = value["rows"], value["heads"]
    if field.required and not rows:
        raise FieldFailed(path, "the table has no rows, but the field is required")
    if not heads:
        return rows
    names = _column_names(heads, max(map(len, (*heads, *rows))))
    return [{name: row[index] if index < len(row) else None for index, name in enumerate(names)} for row in rows]


def _column_names(heads: list[list[str]], width: int) -> list[str]:
    """One name for each column: the texts of its header cells, numbered if they repeat."""
    names: list[str] = []
    seen: dict[str, int] = {}
    for index in range(width):
        texts = dict.fromkeys(row[index] for row in heads if index < len(row) and row[index])
        name = " ".join(texts) or f"column {index + 1}"
        seen[name] = seen.get(name, 0) + 1
        names.append(name if seen[name] == 1 else f"{name} {seen[name]}")
    return names
