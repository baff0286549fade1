"""The strings and numbers of a JSON value, of any depth."""

import re
from collections.abc import Iterator
from typing import Final

import orjson

_STRING: Final = re.compile(rb'("[^"\\]*+(?:\\.[^"\\]*+)*+")(\s*:)?')
"""A string of valid JSON, and the colon that makes it a key."""
_NUMBER: Final = re.compile(rb"-?\d[0-9.eE+-]*")


def strings(value: bytes) -> Iterator[str]:
    """Every string of valid JSON that is not a key. Any depth and any size of numbers work."""
    for string in _STRING.finditer(value):
        if not string[2]:
            yield orjson.loads(string[1])


def scalars(value: bytes) -> Iterator[str]:
    """Every string that is not a key, and every number as it is written."""
    yield from strings(value)
    for number in _NUMBER.findall(_STRING.sub(b"", value)):
        yield number.decode()
