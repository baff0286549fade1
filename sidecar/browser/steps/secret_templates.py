"""Fills the values of secrets into `{{name.field}}` in the strings of typed actions, before an action is bound."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from sidecar_protocol.encoding import encode

from sidecar.errors import InvalidContent
from sidecar.templates import MISSING, REFERENCE, FieldPath, TextBudget, lookup, map_templates, quotable


@dataclass(frozen=True, slots=True)
class SecretTemplates:
    """The secrets of a job. Without `values` only the names are checked, and references stay."""

    names: Collection[str] = ()
    values: Mapping[str, Any] | None = None
    """Name -> the secret, decoded from JSON."""
    budget: TextBudget = field(default_factory=TextBudget)
    """The limit for filled-in text."""

    def fill(self, value: Any, place: str) -> Any:
        """The value with all references in its strings replaced, at any depth; filled-in text is not searched again.

        Raises InvalidContent for an unknown name or field, quoting no value, and LimitExceeded before too much text
        is built.
        """
        return map_templates(value, FieldPath(place), self._fill_text)

    def _fill_text(self, text: str, place: FieldPath) -> str:
        if self.values is None:
            for match in REFERENCE.finditer(text):
                self._check_name(match[1], place)
            return text
        return self.budget.fill(text, place, lambda path: self._value(path, place))

    def _check_name(self, path: str, place: FieldPath) -> None:
        name = path.partition(".")[0]
        if name not in self.names:
            raise InvalidContent(f"{place}: {{{{{quotable(name)}}}}} is none of the job's secrets", str(place))

    def _value(self, path: str, place: FieldPath) -> str:
        self._check_name(path, place)
        name, *fields = path.split(".")
        value = lookup((self.values or {})[name], fields)
        if value is MISSING:
            message = f"{place}: the secret {name} has no field {quotable('.'.join(fields))}"
            raise InvalidContent(message, str(place))
        if isinstance(value, Mapping | list) or value is None:
            message = f"{place}: {quotable(path)} is neither text nor a number; name one of its fields"
            raise InvalidContent(message, str(place))
        return value if isinstance(value, str) else encode(value).decode()
