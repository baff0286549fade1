"""Compares replies of two runs of a session, without what may differ from run to run."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import orjson
from sidecar_protocol.volatile import GENERATED, VOLATILE_MEMBERS, without_generated

_MISSING: Final = object()
_KIND_LENGTH: Final = 5
_FILES: Final = frozenset({"iVBOR", "JVBER", "GkXfo", "UEsDB", "eyJsb"})
"""First letters of pictures (PNG), PDFs, videos (WebM), traces (ZIP) and HARs in base64: they are compared by kind."""
_ARTIFACTS: Final = re.compile(r"/\S*/(?=[0-9a-f]{32}-)")
"""The folder of an artifact."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A place in a reply with its values before and after."""

    path: str
    before: str
    after: str


def differences(before: Any, after: Any, path: str = "") -> Iterator[Difference]:
    """The places where two replies differ, in order."""
    if isinstance(before, dict) and isinstance(after, dict):
        for key in [*before, *(key for key in after if key not in before)]:
            if not (key in VOLATILE_MEMBERS and key in before and key in after):
                inner = f"{path}.{key}" if path else key
                yield from differences(before.get(key, _MISSING), after.get(key, _MISSING), inner)
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for index, (one, other) in enumerate(zip(before, after, strict=True)):
            yield from differences(one, other, f"{path}[{index}]")
    elif not _same(before, after):
        yield Difference(path, _shown(before), _shown(after))


def generated_ids(before: Any, after: Any) -> Iterator[tuple[str, str]]:
    """The generated ids at the same places of two replies."""
    if isinstance(before, dict) and isinstance(after, dict):
        for key in before.keys() & after.keys():
            yield from generated_ids(before[key], after[key])
    elif isinstance(before, list) and isinstance(after, list):
        for one, other in zip(before, after, strict=False):
            yield from generated_ids(one, other)
    elif isinstance(before, str) and isinstance(after, str) and before != after:
        ids = [match[0] for match in GENERATED.finditer(before)], [match[0] for match in GENERATED.finditer(after)]
        if len(ids[0]) == len(ids[1]):
            yield from zip(*ids, strict=True)


def _same(before: Any, after: Any) -> bool:
    if isinstance(before, str) and isinstance(after, str):
        kind = before[:_KIND_LENGTH]
        if kind in _FILES and after.startswith(kind):
            return True
        before, after = _ARTIFACTS.sub("", before), _ARTIFACTS.sub("", after)
        return before == after or without_generated(before) == without_generated(after)
    return type(before) is type(after) and bool(before == after)


def _shown(value: Any) -> str:
    if value is _MISSING:
        return "nothing"
    try:
        return orjson.dumps(value).decode()
    except TypeError:  # a number of more than 64 bits
        return str(value)
