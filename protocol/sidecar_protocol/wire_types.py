"""Basic wire types without models: raw JSON, absent values, strings that must not be printed."""

from enum import Enum
from typing import TYPE_CHECKING, Any, Final, Literal, NoReturn

import orjson

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
    from pydantic_core import CoreSchema

REDACTED: Final = "**********"
BrowserName = Literal["CHROMIUM", "FIREFOX", "WEBKIT"]


class Unset(Enum):
    """The type of what a message does not give, where null means something else."""

    UNSET = "unset"

    def __bool__(self) -> Literal[False]:
        return False

    def __repr__(self) -> str:
        return "UNSET"


UNSET: Final = Unset.UNSET


class Raw(bytes):
    """JSON that is passed on byte for byte. A model's raw members are cut out of the text before it is read."""

    __slots__ = ()

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: "GetCoreSchemaHandler") -> "CoreSchema":
        from pydantic_core import core_schema

        return core_schema.with_info_plain_validator_function(_raw)

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: "CoreSchema", handler: "GetJsonSchemaHandler") -> dict[str, Any]:
        return {}


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

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not pickled")

    def __copy__(self) -> "Secret":
        return self

    def __deepcopy__(self, _: object) -> "Secret":
        return self

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: "GetCoreSchemaHandler") -> "CoreSchema":
        from pydantic_core import core_schema

        return core_schema.no_info_plain_validator_function(_secret)

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: "CoreSchema", handler: "GetJsonSchemaHandler") -> dict[str, Any]:
        return {"type": "string", "format": "password"}


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

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: "GetCoreSchemaHandler") -> "CoreSchema":
        from pydantic_core import core_schema

        return core_schema.no_info_plain_validator_function(_secrets)

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: "CoreSchema", handler: "GetJsonSchemaHandler") -> dict[str, Any]:
        one = {"type": "string", "format": "password"}
        return {"anyOf": [one, {"type": "array", "items": one}]}


def no_secret() -> Secret:
    """The empty secret, for fields that may be absent."""
    return Secret("")


def encode_hook(value: Any) -> Any:
    """Converts types that orjson does not know; a secret is never written in clear."""
    if isinstance(value, Raw):
        return orjson.Fragment(bytes(value))
    if isinstance(value, Secret | Secrets):
        return REDACTED
    if (members := getattr(value, "wire_members", None)) is not None:
        return members()
    raise TypeError(f"{type(value).__name__} has no form in JSON")


def json_type(value: Any) -> str:
    """The JSON type of a value, as errors name it."""
    names = {dict: "object", list: "array", tuple: "array", type(None): "null"}
    return names.get(type(value), type(value).__name__)


def _secret(value: Any) -> Secret:
    if isinstance(value, Secret):
        return value
    if isinstance(value, str):
        return Secret(value)
    from pydantic_core import PydanticKnownError

    raise PydanticKnownError("string_type")


def _secrets(value: Any) -> Secrets:
    if isinstance(value, Secrets):
        return value
    several = value if isinstance(value, list) else [value]
    if all(isinstance(one, str) for one in several):
        return Secrets(*map(Secret, several))
    wrong = next(one for one in several if not isinstance(one, str))
    raise ValueError(f"expected str | array of str, got {json_type(wrong)}")


def _raw(value: Any, info: Any) -> Raw:
    """Restores the parts that were cut out and replaced by numbers."""
    if isinstance(value, Raw):
        return value
    if info.context is not None and type(value) is int:
        return info.context[value]  # type: ignore[no-any-return]
    raise ValueError("expected raw JSON")
