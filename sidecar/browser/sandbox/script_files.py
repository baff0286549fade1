"""The files of a task's script as its sandbox compiles them, and the source that each is compiled from."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal
from urllib.parse import quote

from sidecar_protocol.encoding import encode

Kind = Literal["commonjs", "module", "json"]

_COMMON_HEAD: Final = "(function (module, exports, require, __filename, __dirname, __load) {"
_COMMON_END: Final = "\n})"
_MODULE_HEAD: Final = '(function (__scope) {{ with (__scope) {{ return {} () {{ "use strict"; yield {{{}}}; '
_MODULE_END: Final = "\n}}})"
_LINE_END: Final = re.compile("\r\n|[\n\r\u2028\u2029]")
_AWAIT_HERE: Final = re.compile(r"await\b")
_AWAIT_BEFORE: Final = re.compile(r"\bawait\s+\Z")
_NEEDS_ASYNC: Final = "await needs an async function around it, such as async (config) => { … }"


def link_key(request: str, *, imports: bool) -> str:
    """The key of a request in a file's links: `import` may resolve differently from `require`."""
    return f"import {request}" if imports else request


@dataclass(frozen=True, slots=True)
class ModuleScope:
    """The imports and exports of an ES module; their statements are removed from its source."""

    imports: tuple[tuple[str, str, str], ...] = ()
    """Name here, module, name there; `*` is all of it."""
    exports: tuple[tuple[str, str], ...] = ()
    """Name outside, name here; `default` that is an expression has none here."""
    reexports: tuple[tuple[str, str, str], ...] = ()
    """Name outside, module, name there."""
    stars: tuple[str, ...] = ()
    """Modules all of whose names are exported."""
    requests: tuple[str, ...] = ()
    """Names of all requested modules, in execution order."""
    places: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """Line and column of the statement that first names each."""


@dataclass(frozen=True, slots=True)
class ScriptFile:
    """One file: a script, a module, or JSON."""

    name: str
    """The file's path within the scripts folder; it appears in stacks and errors."""
    kind: Kind
    source: str
    scope: ModuleScope | None = None
    """The scope of an ES module."""
    links: Mapping[str, str] = field(default_factory=dict)
    """The target of each request: the name of a file, `node:…` for a module of the sandbox, or `empty:`.

    The keys are made by `link_key`.
    """
    failures: Mapping[str, str] = field(default_factory=dict)
    """Why others lead nowhere."""

    def compiled(self, *, waits: bool = False) -> tuple[str, int]:
        """The source for the sandbox, and the number of characters that were added to its first line.

        `waits`: it awaits at its top level.
        """
        head, end = _COMMON_HEAD, _COMMON_END
        if self.scope:
            getters = ", ".join(f"{encode(out).decode()}: () => {here}" for out, here in self.scope.exports if here)
            head = _MODULE_HEAD.format("async function*" if waits else "function*", f"__proto__: null, {getters}")
            end = _MODULE_END
        source = f"//{self.source}" if self.source.startswith("#!") else self.source
        added = len(head) + len(source) - len(self.source)
        return f"{head}{source}{end}\n//# sourceURL=script:///{quote(self.name)}", added

    def hint(self, line: int, column: int) -> str:
        """A hint for a syntax error at this place, counted from 1; empty if none is known."""
        lines = _LINE_END.split(self.source, line)
        text = lines[line - 1] if line <= len(lines) else ""
        return _NEEDS_ASYNC if _AWAIT_HERE.match(text, column - 1) or _AWAIT_BEFORE.search(text[: column - 1]) else ""

    def described(self, head: int, error: tuple[int, int, str] | None, *, waits: bool) -> dict[str, Any]:
        """The file's description for the sandbox's program, without its function; `error` is its syntax error."""
        scope = self.scope and {
            "imports": self.scope.imports,
            "exports": [name for name, _ in self.scope.exports],
            "reexports": self.scope.reexports,
            "stars": self.scope.stars,
            "requests": self.scope.requests,
            "places": self.scope.places,
            "waits": waits,
        }
        return {
            "name": self.name,
            "kind": self.kind,
            "text": self.source if self.kind == "json" else None,
            "scope": scope,
            "links": self.links,
            "failures": self.failures,
            "head": head,
            "error": error,
        }
