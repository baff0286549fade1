"""Resolution of modules: Node's algorithm in the scripts folder, with the conditions of a browser."""

import posixpath
from collections.abc import Iterator, Mapping
from typing import Any, Final

from sidecar.errors import Forbidden, NotFound
from sidecar.tasks.script_folder import ScriptFolder

NODE_MODULES: Final = frozenset(
    [
        "assert",
        "assert/strict",
        "async_hooks",
        "buffer",
        "child_process",
        "cluster",
        "console",
        "constants",
        "crypto",
        "dgram",
        "diagnostics_channel",
        "dns",
        "dns/promises",
        "domain",
        "events",
        "fs",
        "fs/promises",
        "http",
        "http2",
        "https",
        "inspector",
        "inspector/promises",
        "module",
        "net",
        "os",
        "path",
        "path/posix",
        "path/win32",
        "perf_hooks",
        "process",
        "punycode",
        "querystring",
        "readline",
        "readline/promises",
        "repl",
        "stream",
        "stream/consumers",
        "stream/promises",
        "stream/web",
        "string_decoder",
        "sys",
        "timers",
        "timers/promises",
        "tls",
        "trace_events",
        "tty",
        "url",
        "util",
        "util/types",
        "v8",
        "vm",
        "wasi",
        "worker_threads",
        "zlib",
    ]
)
"""Node's own modules, which are never searched in a folder."""
OURS: Final = frozenset({"axios"})
"""Modules that the sandbox brings: an installed axios has no way into the network here."""
EMPTY: Final = "empty:"
"""The target of a request that a package replaces with an empty object in browsers."""
_REQUIRE: Final = ("browser", "require", "module-sync", "default")
_IMPORT: Final = ("browser", "import", "module-sync", "default")
_EITHER: Final = ("browser", "require", "import", "module-sync", "default")
"""The conditions for a package that has none for the kind of the request."""
_ENDINGS: Final = ("", ".js", ".json", ".cjs", ".mjs")


class Resolver:
    """Finds what modules ask for."""

    def __init__(self, folder: ScriptFolder) -> None:
        self._folder = folder

    def resolve(self, request: str, importer: str, *, imports: bool, has_files: bool = True) -> str:
        """The name of a file, `node:…` for what the sandbox brings, or `empty:`.

        `importer` is the name of the requesting file, by `import` or `require`; `has_files` says whether there are
        files next to it. Raises NotFound and Forbidden, whose text says why.
        """
        conditions = _IMPORT if imports else _REQUIRE
        bare = request.removeprefix("node:")
        if bare in NODE_MODULES or bare != request:
            return self._replaced(f"node:{bare}", bare, importer) if bare == request else f"node:{bare}"
        if request in OURS:
            return f"node:{request}"
        if "\\" in request or "\0" in request or not request:
            raise NotFound(f"{request!r} is no module's name")
        if request.startswith("/"):
            raise Forbidden(f"'{request}' is outside the scripts folder: names of files begin with ./")
        if request in (".", "..") or request.startswith(("./", "../")):
            if not has_files:
                raise NotFound(f"'{request}' can't be read: a script from a URL has modules, but no files next to it")
            return self._relative(request, importer)
        if request.startswith("#"):
            return self._internal(request, importer, conditions)
        return self._replaced("", request, importer) or self._installed(request, importer, conditions)

    # --- files

    def _relative(self, request: str, importer: str) -> str:
        target = posixpath.normpath(posixpath.join(posixpath.dirname(importer), request))
        if target == ".." or target.startswith("../"):
            raise Forbidden(f"'{request}' is outside the scripts folder")
        target = "" if target == "." else target
        found = (None if request.endswith(("/", ".")) else self._file(target)) or self._index(target)
        if found is None:
            raise NotFound(f"there is no file '{request}' for {importer} in the scripts folder")
        return self._replaced_file(found, importer)

    def _file(self, target: str) -> str | None:
        if not target:
            return None
        return next((found for ending in _ENDINGS if (found := self._folder.find(target + ending))), None)

    def _index(self, target: str) -> str | None:
        """The file of a folder: by its manifest, or its index."""
        if not self._folder.is_folder(target):
            return None
        manifest = self._folder.manifest(target)
        for name in (manifest.get("browser"), manifest.get("main")):
            if isinstance(name, str) and (inner := _inside(target, name)) is not None:
                found = self._file(inner) or self._file(f"{inner}/index")
                if found:
                    return found
        return self._file(posixpath.join(target, "index"))

    # --- packages

    def _installed(self, request: str, importer: str, conditions: tuple[str, ...], *, replace: bool = True) -> str:
        name, inner = _split(request)
        for folder in _above(importer):
            package = posixpath.join(folder, "node_modules", name)
            if not self._folder.is_folder(package):
                continue
            exports = self._folder.manifest(package).get("exports")
            if exports is not None:
                exported = self._exported(package, exports, inner, conditions)
                return self._replaced_file(exported, exported) if replace else exported
            target = _inside(package, inner)
            found = None if target is None else (self._file(target) if inner else None) or self._index(target)
            if found:
                return self._replaced_file(found, found) if replace else found
            raise NotFound(f"the installed module '{name}' has no {inner or 'main file'}")
        raise NotFound(f"there is no module '{request}': install it with `npm install {name}` in the scripts folder")

    def _exported(self, package: str, exports: Any, inner: str, conditions: tuple[str, ...]) -> str:
        key = f"./{inner}" if inner else "."
        table = (
            exports if isinstance(exports, Mapping) and any(one.startswith(".") for one in exports) else {".": exports}
        )
        for accepted in (conditions, _EITHER):
            for target in _targets(table, key, accepted):
                path = _inside(package, target)
                if target.startswith("./") and path is not None and (found := self._folder.find(path)):
                    return found
        raise NotFound(f"the installed module '{package.rpartition('node_modules/')[2]}' does not export '{key}'")

    def _internal(self, request: str, importer: str, conditions: tuple[str, ...]) -> str:
        """A name of the package's own `imports`."""
        package = self._folder.package_of(importer)
        table = self._folder.manifest(package).get("imports") if package is not None else None
        if package is not None and isinstance(table, Mapping):
            for target in _targets(table, request, conditions):
                if not target.startswith((".", "#", "/")):
                    return self.resolve(target, importer, imports=conditions is _IMPORT)
                path = _inside(package, target)
                if path is not None and (found := self._folder.find(path)):
                    return found
        raise NotFound(f"no package.json above {importer} has '{request}' among its imports")

    # --- what a package wants to be another in browsers

    def _replaced(self, otherwise: str, request: str, importer: str) -> str:
        package = self._folder.package_of(importer)
        table = self._folder.manifest(package).get("browser") if package is not None else None
        if package is None or not isinstance(table, Mapping) or request not in table:
            return otherwise
        return self._replacement(package, table[request], importer, otherwise)

    def _replaced_file(self, found: str, importer: str) -> str:
        package = self._folder.package_of(found)
        table = self._folder.manifest(package).get("browser") if package is not None else None
        if package is None or not isinstance(table, Mapping):
            return found
        inner = f"./{posixpath.relpath(found, package or '.')}"
        for key in (inner, inner.removesuffix(".js"), inner.removeprefix("./")):
            if key in table:
                return self._replacement(package, table[key], importer, found)
        return found

    def _replacement(self, package: str, target: Any, importer: str, otherwise: str) -> str:
        if target is False:
            return EMPTY
        if not isinstance(target, str):
            return otherwise
        if target.startswith("."):
            path = _inside(package, target)
            return (path is not None and self._file(path)) or otherwise
        return self._installed(target, importer, _REQUIRE, replace=False)  # once, or it could go round for ever


def _split(request: str) -> tuple[str, str]:
    """The name of a package, and the path within it."""
    pieces = request.split("/")
    count = 2 if request.startswith("@") else 1
    return "/".join(pieces[:count]), "/".join(pieces[count:]).strip("/")


def _above(importer: str) -> Iterator[str]:
    """The folders in which a file's modules may be installed, the nearest first."""
    folder = posixpath.dirname(importer)
    while folder:
        if posixpath.basename(folder) != "node_modules":
            yield folder
        folder = posixpath.dirname(folder)
    yield ""


def _inside(package: str, target: str) -> str | None:
    """A path within a package; None for one that leads out of it."""
    path = posixpath.normpath(posixpath.join(package, target))
    return path if not package or path == package or path.startswith(f"{package}/") else None


def _targets(table: Mapping[str, Any], key: str, conditions: tuple[str, ...]) -> Iterator[str]:
    """The entries of a table of exports or imports for a key, the best first."""
    if key in table:
        yield from _chosen(table[key], "", conditions)
        return
    patterns = [one for one in table if isinstance(one, str) and _matches(one, key)]
    for pattern in sorted(patterns, key=lambda one: len(one.partition("*")[0]), reverse=True)[:1]:
        before, star, after = pattern.partition("*")
        end = len(key) - len(after) if star else len(key)
        yield from _chosen(table[pattern], key[len(before) : end], conditions, folder=not star)


def _matches(pattern: str, key: str) -> bool:
    before, star, after = pattern.partition("*")
    if not star:
        return pattern.endswith("/") and key.startswith(pattern)
    return key.startswith(before) and key.endswith(after) and len(key) >= len(before) + len(after)


def _chosen(target: Any, part: str, conditions: tuple[str, ...], *, folder: bool = False) -> Iterator[str]:
    """The targets that these conditions lead to; `part` is what the pattern's `*` stands for."""
    pending = [target]
    while pending:
        one = pending.pop()
        if isinstance(one, str):
            yield one + part if folder else one.replace("*", part)
        elif isinstance(one, list):
            pending += reversed(one)
        elif isinstance(one, Mapping):
            pending += reversed([value for name, value in one.items() if name in conditions])
