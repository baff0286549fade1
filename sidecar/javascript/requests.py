"""The modules that a JavaScript source asks for by name."""

import re
from typing import Final, NamedTuple

from sidecar.javascript.literals import decode_literal

_REQUEST: Final = re.compile(
    r"""(?<![\w$.#])(require(?:\.resolve)?|import)\s*\(\s*(?:'((?:[^'\\\n\r]|\\.)*+)'|"((?:[^"\\\n\r]|\\.)*+)"|`([^`\\$]*+)`)"""
)
_LONGEST: Final = 1_000


class Request(NamedTuple):
    """A module that is asked for."""

    name: str
    imported: bool
    """Whether it is an `import` and not a `require`: a package may have another file for each."""


def find_requests(source: str) -> tuple[Request, ...]:
    """The names in `require("…")`, `require.resolve("…")` and `import("…")`, in order, each once.

    Comments and strings are not distinguished: a name too many costs a look at a file, a name too few fails a script.
    """
    found = (
        Request(decode_literal(match[2] or match[3] or match[4] or ""), match[1] == "import")
        for match in _REQUEST.finditer(source)
    )
    return tuple(dict.fromkeys(request for request in found if 0 < len(request.name) <= _LONGEST))
