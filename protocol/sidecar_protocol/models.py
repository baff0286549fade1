"""The base of every model: strict, frozen, and a key that it does not know is an error that names the key."""

from collections.abc import Callable
from contextlib import suppress
from functools import cache
from typing import Annotated, Any, ClassVar, Final, Self, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler, model_validator
from pydantic import Field as Bound
from pydantic_core import CoreSchema, core_schema

from sidecar_protocol import no_plugins  # noqa: F401  before the first model
from sidecar_protocol.wire_types import UNSET, Unset

__all__ = ["CONFIG", "Bound", "Either", "Lenient", "Maybe", "Model", "Sparse", "V1Model", "model_validator"]

T = TypeVar("T")

CONFIG: Final = ConfigDict(
    strict=True,
    frozen=True,
    extra="forbid",
    hide_input_in_errors=True,
    allow_inf_nan=False,
    validate_by_name=True,
    validate_by_alias=True,
    defer_build=True,
    protected_namespaces=(),
    arbitrary_types_allowed=False,
)
"""Models are built when something is first read into them, so that only those are paid for that are used."""


_IN_JSON: Final = frozenset({"model", "dataclass", "tuple", "enum"})
_NO_SCHEMAS: Final = frozenset({"metadata", "serialization", "config", "default", "expected"})


class Model(BaseModel):
    """A value with a shape. Its own names are Python's, those on the wire are its aliases."""

    model_config = CONFIG

    raw_parts: ClassVar[tuple[tuple[str, ...], ...]] = ()
    """Places of members that are kept as the bytes received; `*` matches every member."""
    sparse: ClassVar[bool] = False
    """Whether members that are as they would be anyway are left out where it is written."""

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return as_in_json(handler(source), handler)

    def wire_members(self) -> dict[str, Any]:
        """The members by their names on the wire."""
        given = self.__dict__
        if not self.sparse:
            return {key: value for name, key, _ in outline(type(self)) if (value := given[name]) is not UNSET}
        return {
            key: value
            for name, key, default in outline(type(self))
            if (value := given[name]) is not UNSET and value != default
        }

    def replace(self, **changes: Any) -> Self:
        """A copy with other members, which are not validated."""
        return self.model_copy(update=changes)


class Sparse(Model):
    """A model that is written without members that are as they would be anyway."""

    sparse = True


class Lenient(Model):
    """A model that ignores keys that it does not know: of what servers, browsers and later versions write."""

    model_config = ConfigDict(extra="ignore")


class V1Model(Lenient):
    """A message of RT-CV scraper client v1, which ignored unknown keys."""


def as_in_json(schema: CoreSchema, handler: GetCoreSchemaHandler) -> CoreSchema:
    """Lets strict models accept JSON's types: objects for models, arrays for tuples, strings for enumerations.

    pydantic does so where it reads JSON itself, but then it holds all of it once more, in half a kilobyte an object.
    """
    waiting: list[Any] = [handler.resolve_ref_schema(schema)]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict) and isinstance(one.get("type"), str):
            if one["type"] in _IN_JSON:
                one["strict"] = False
            if one["type"] == "definition-ref":
                with suppress(LookupError):  # of itself, or of a model that is being made, which does this too
                    named: dict[str, Any] = handler.resolve_ref_schema(one)  # type: ignore[assignment]
                    if named["type"] == "enum":
                        named["strict"] = False
            waiting.extend(value for name, value in one.items() if name not in _NO_SCHEMAS)
        elif isinstance(one, dict):  # the fields of a model, by name
            waiting.extend(one.values())
        elif isinstance(one, list | tuple):
            waiting.extend(one)
    return schema


@cache
def outline(kind: type[Model]) -> tuple[tuple[str, str, Any], ...]:
    """Every member: its name, its name on the wire, and its default (UNSET for none)."""
    return tuple((name, one.alias or name, _default(one)) for name, one in kind.model_fields.items())


def _default(field: Any) -> Any:
    return UNSET if field.is_required() else field.get_default(call_default_factory=True)


class _Absent:
    """Reads `T | Unset` as T: what is not given is the default, and nothing that is given means it."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        kinds = [one for one in get_args(source) if one is not Unset]
        wanted = kinds[0]
        for one in kinds[1:]:
            wanted |= one
        return core_schema.no_info_wrap_validator_function(_given, handler.generate_schema(wanted))


def _given(value: Any, read: Callable[[Any], Any]) -> Any:
    return value if value is UNSET else read(value)


Maybe = Annotated[T | Unset, _Absent()]
"""A member that may be absent, which differs from null."""


class Either:
    """Decodes a union of shapes with different JSON types: mistakes are reported for the intended one."""

    def __init__(self, *labels: str) -> None:
        """The JSON types of the members, in the union's order."""
        self._labels = labels

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        kinds = get_args(source)
        choices: list[Any] = [
            (handler.generate_schema(kind), label) for kind, label in zip(kinds, self._labels, strict=True)
        ]
        return core_schema.union_schema(choices, mode="left_to_right")
