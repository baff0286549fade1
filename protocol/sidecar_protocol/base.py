"""What every wire value is built on: strict and lenient structs, and strings that must not be printed."""

from typing import Any, Final

import msgspec

REDACTED: Final = "**********"


class WireModel(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A message of ours: frozen, and a key it does not know is an error that names the key."""


class LegacyModel(msgspec.Struct, frozen=True, kw_only=True):
    """A message of RT-CV scraper client v1: frozen, and unknown keys are ignored as v1 did."""


class Secret:
    """A string that prints, logs and encodes as ``**********``; only `reveal` gives the value."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The value itself, for the one call that needs it."""
        return self._value

    def __repr__(self) -> str:
        return f"Secret({REDACTED!r})"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)

    def __bool__(self) -> bool:
        return bool(self._value)


class Secrets:
    """One secret, or several while one takes over from another; printed, logged and encoded as secrets are."""

    __slots__ = ("values",)

    def __init__(self, *values: Secret) -> None:
        self.values = values

    def __repr__(self) -> str:
        return f"Secrets({REDACTED!r})"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secrets) and other.values == self.values

    def __hash__(self) -> int:
        return hash(self.values)


def no_secret() -> Secret:
    """The empty secret, for fields that may be absent."""
    return Secret("")


def decode_hook(wanted: type, value: Any) -> Any:
    """Builds the types that msgspec does not know. Raises TypeError with msgspec's own wording."""
    if wanted is Secret:
        if isinstance(value, str):
            return Secret(value)
        raise TypeError(f"Expected `str`, got `{_json_type(value)}`")
    if wanted is Secrets:
        several = value if isinstance(value, list) else [value]
        if all(isinstance(one, str) for one in several):
            return Secrets(*map(Secret, several))
        wrong = next(one for one in several if not isinstance(one, str))
        raise TypeError(f"Expected `str | array of str`, got `{_json_type(wrong)}`")
    raise NotImplementedError(wanted)


def encode_hook(value: Any) -> Any:
    """Writes the types that msgspec does not know; a secret never leaves as itself."""
    if isinstance(value, Secret | Secrets):
        return REDACTED
    raise NotImplementedError(type(value))


def reveal_hook(value: Any) -> Any:
    """Writes secrets as they are, for what is encrypted or sent to their owner."""
    if isinstance(value, Secret):
        return value.reveal()
    if isinstance(value, Secrets):
        return [one.reveal() for one in value.values]
    raise NotImplementedError(type(value))


def schema_hook(wanted: type) -> dict[str, Any]:
    """JSON Schema of the types that msgspec does not know."""
    if wanted is Secret:
        return {"type": "string", "format": "password"}
    if wanted is Secrets:
        one = {"type": "string", "format": "password"}
        return {"anyOf": [one, {"type": "array", "items": one}]}
    raise NotImplementedError(wanted)


def _json_type(value: Any) -> str:
    names = {dict: "object", list: "array", bool: "bool", int: "int", float: "float", type(None): "null"}
    return names.get(type(value), type(value).__name__)
