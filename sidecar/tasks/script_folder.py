"""The scripts folder: its files by name, read and parsed once for each change, and nothing outside of it."""

import os
import stat
import threading
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from sidecar_protocol.codec import NotJson, plain

from sidecar.browser.sandbox.script_files import Kind, ModuleScope
from sidecar.errors import Forbidden, LimitExceeded, NotFound
from sidecar.javascript.es_modules import translate
from sidecar.javascript.lexer import SourceError
from sidecar.javascript.requests import Request, find_requests
from sidecar.settings import MiB

MAX_FILE_BYTES: Final = 8 * MiB
_MAX_CACHED_BYTES: Final = 32 * MiB
"""Bytes of parsed files that are kept between runs."""

_Key = tuple[str, int, int, int, bool]
"""Path, time of the last change, size and inode, and whether it is known to be an ES module."""


@dataclass(frozen=True, slots=True)
class ParsedFile:
    """A file's content as runs need it."""

    kind: Kind
    source: str
    size: int
    """The size in bytes on disk."""
    scope: ModuleScope | None = None
    requests: tuple[Request, ...] = ()
    """The modules that it asks for by name."""


class ScriptFiles(Protocol):
    """Takes the files of scripts as they are read, by their paths in the scripts folder; from any thread."""

    def record_script(self, name: str, content: bytes) -> None:
        """A file was read that was not read before, or has changed."""

    def link_script(self, name: str, target: str) -> None:
        """A file was found under another name."""


class ParsedFiles:
    """Parsed files of all runs, which are read in several threads."""

    def __init__(self) -> None:
        self._files: OrderedDict[_Key, ParsedFile] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def get(self, key: _Key) -> ParsedFile | None:
        """The file as it was parsed under this key."""
        with self._lock:
            found = self._files.get(key)
            if found:
                self._files.move_to_end(key)
            return found

    def put(self, key: _Key, parsed: ParsedFile) -> None:
        """Keeps it; those that were not used for longest make room."""
        with self._lock:
            if key in self._files:
                return
            self._files[key] = parsed
            self._bytes += parsed.size
            while self._bytes > _MAX_CACHED_BYTES and len(self._files) > 1:
                _, oldest = self._files.popitem(last=False)
                self._bytes -= oldest.size


class ScriptFolder:
    """A snapshot of the folder, for one run. Names are relative to it, with `/`; links are followed within it."""

    def __init__(self, folder: Path, parsed: ParsedFiles, recorder: ScriptFiles | None = None) -> None:
        """`folder` need not exist. `recorder` takes what is read."""
        self._recorder = recorder
        self._prefix = f"{os.path.realpath(folder).rstrip('/')}/"
        self._parsed = parsed
        self._real_paths: dict[str, str] = {}
        self._folders: dict[str, bool] = {}
        self._manifests: dict[str, dict[str, Any]] = {}

    def find(self, name: str) -> str | None:
        """The real name of a file; None where there is none. Raises Forbidden for a link out of the folder."""
        folder, _, base = name.rpartition("/")
        path = f"{self._real(folder)}/{base}"
        try:
            about = os.lstat(path)
            if stat.S_ISLNK(about.st_mode):
                path = os.path.realpath(path)
                about = os.lstat(path)
        except (OSError, ValueError):
            return None
        if not stat.S_ISREG(about.st_mode):
            return None
        if not path.startswith(self._prefix):
            raise Forbidden(f"{name} is a link out of the scripts folder")
        found = path[len(self._prefix) :]
        if self._recorder and found != name:
            self._recorder.link_script(name, found)
        return found

    def is_folder(self, name: str) -> bool:
        """Whether there is a folder of this name."""
        if name not in self._folders:
            path = self._real(name)
            inside = f"{path}/".startswith(self._prefix)
            self._folders[name] = inside and os.path.isdir(path)  # noqa: PTH112
        return self._folders[name]

    def _real(self, folder: str) -> str:
        """The real path of a folder, which may not exist."""
        if folder not in self._real_paths:
            self._real_paths[folder] = os.path.realpath(self._prefix + folder)
        return self._real_paths[folder]

    def parse(self, name: str, most: int = MAX_FILE_BYTES) -> ParsedFile:
        """A file by the name that `find` gave. Raises NotFound, Forbidden, LimitExceeded, UnicodeDecodeError."""
        path = self._prefix + name
        module = self._is_module(name)
        with self._open(path, name) as file:
            about = os.fstat(file.fileno())
            key = (path, about.st_mtime_ns, about.st_size, about.st_ino, module)
            known = self._parsed.get(key)
            if known and known.size <= most:
                return known
            content = file.read(most + 1)
        if len(content) > most:
            raise LimitExceeded(f"the script's file {name} is larger than {most >> 20} MiB")
        if self._recorder:
            self._recorder.record_script(name, content)
        parsed = parse_source(name, content, module=module)
        self._parsed.put(key, parsed)
        return parsed

    def manifest(self, folder: str) -> dict[str, Any]:
        """The object in a folder's `package.json`; empty where there is none. Raises Forbidden."""
        if folder not in self._manifests:
            name = self.find(f"{folder}/package.json" if folder else "package.json")
            found: Any = None
            if name:
                try:
                    found = plain(self.parse(name).source)
                except NotJson:
                    found = None
            self._manifests[folder] = found if isinstance(found, dict) else {}
        return self._manifests[folder]

    def package_of(self, name: str) -> str | None:
        """The nearest folder above a file that has a `package.json`; None where there is none."""
        folder = name
        while folder:
            folder = folder.rpartition("/")[0]
            if self.manifest(folder):
                return folder
            if folder.rpartition("/")[2] == "node_modules":
                break
        return None

    def _is_module(self, name: str) -> bool:
        if not name.endswith(".js"):
            return name.endswith(".mjs")
        package = self.package_of(name)
        return package is not None and self.manifest(package).get("type") == "module"

    def _open(self, path: str, name: str) -> Any:
        try:
            # without waiting: opening a pipe would block until another process writes into it
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
            file = os.fdopen(descriptor, "rb")
            if stat.S_ISREG(os.fstat(descriptor).st_mode):
                return file
            file.close()
        except (OSError, ValueError) as failure:
            message = failure.strerror if isinstance(failure, OSError) else "its name can't be used"
            raise NotFound(f"the script {name} can't be read from the scripts folder: {message}") from None
        raise NotFound(f"the script {name} is not a file")


def parse_source(name: str, content: bytes, *, module: bool = False) -> ParsedFile:
    """Parses a source and its requests. `module`: it is an ES module, whatever it contains.

    Raises UnicodeDecodeError.
    """
    text, size = content.decode("utf-8-sig"), len(content)
    if name.endswith(".json"):
        return ParsedFile("json", text, size)
    try:
        found = translate(text, module=module or name.endswith(".mjs")) if not name.endswith(".cjs") else None
    except (SourceError, RecursionError):
        found = None  # the engine says what is wrong with it
    if found is None:
        return ParsedFile("commonjs", text, size, requests=find_requests(text))
    requests = tuple(dict.fromkeys([*(Request(name, True) for name in found.requests), *find_requests(text)]))
    if not found.is_module:
        return ParsedFile("commonjs", found.source, size, requests=requests)
    scope = ModuleScope(
        imports=tuple(found.imports),
        exports=tuple(found.exports),
        reexports=tuple(found.reexports),
        stars=tuple(found.stars),
        requests=tuple(found.requests),
        places=found.places,
    )
    return ParsedFile("module", found.source, size, scope, requests)
