"""Sources of task scripts: the scripts folder, with the required files, or a URL."""

import asyncio
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit, urlunsplit

from sidecar_protocol.tasks import LONGEST_SCRIPT

from sidecar.browser.sandbox.script_files import ScriptFile, link_key
from sidecar.errors import InvalidContent, LimitExceeded, NotFound, RemoteFailed, SidecarError
from sidecar.net.redirects import MAX_REDIRECTS
from sidecar.net.urls import check_url
from sidecar.settings import MiB
from sidecar.tasks.module_resolution import Resolver
from sidecar.tasks.script_folder import ParsedFile, ParsedFiles, ScriptFiles, ScriptFolder, parse_source
from sidecar.tasks.script_host import Requests

MAX_FILES: Final = 500
"""Files of one run."""
MAX_BYTES: Final = 8 * MiB
"""Bytes of all files of a script."""
SCRIPT_SECONDS: Final = 15.0
"""Seconds to load the script itself."""
_ENDINGS: Final = (".js", ".cjs", ".mjs")
TEST_NAME: Final = "script_text"
"""The name of a `test_task`'s text in errors."""


class ScriptSources:
    """Reads scripts, each time again, so that a change holds from the next run on."""

    def __init__(
        self,
        requests: Requests,
        folder: Callable[[], Path],
        *,
        allow_private: bool,
        recorder: ScriptFiles | None = None,
    ) -> None:
        """`folder` gives the scripts folder, which need not exist. It may raise OSError.

        `recorder` takes what is read from there.
        """
        self._recorder = recorder
        self._requests = requests
        self._folder = folder
        self._allow_private = allow_private
        self._parsed = ParsedFiles()

    def check(self, script: str) -> None:
        """Checks all that can be known before it is read. Raises InvalidContent with the field `script`, Forbidden."""
        if is_url(script):
            check_url(script, "script", allow_private=self._allow_private)
            return
        parts = Path(script).parts
        if not parts or Path(script).is_absolute() or ".." in parts or "\\" in script or not script.isprintable():
            message = "is neither an http or https URL nor the name of a file in the scripts folder"
            raise InvalidContent(f"script: this {message}", "script")

    async def read(self, script: str) -> tuple[ScriptFile, ...]:
        """The script, and then all files that it requires.

        Raises InvalidContent, NotFound, Forbidden, LimitExceeded, TimedOut and RemoteFailed.
        """
        self.check(script)
        if is_url(script):
            content = await self.download(script)
            return await asyncio.to_thread(self._with_modules, _name_of(script), content, has_files=False)
        return await asyncio.to_thread(self._from_folder, script)

    async def read_text(self, text: str) -> tuple[ScriptFile, ...]:
        """A script's text, as if it lay in the scripts folder. Raises as `read` does."""
        return await asyncio.to_thread(self._with_modules, TEST_NAME, text.encode(errors="replace"), has_files=True)

    async def read_config(self, script: str) -> bytes:
        """The configuration file of a script whose `config_name` is known. Raises as `read` does."""
        self.check(script)
        if is_url(script):
            return await self.download(urlunsplit(urlsplit(script)._replace(path=_as_config(urlsplit(script).path))))
        return await asyncio.to_thread(self._config_from_folder, _as_config(script))

    async def download(self, url: str) -> bytes:
        """The content of a URL. Raises NotFound, Forbidden, LimitExceeded, TimedOut and RemoteFailed."""
        response = await self._requests.request(
            "GET", url, timeout=SCRIPT_SECONDS, max_bytes=LONGEST_SCRIPT, redirects=MAX_REDIRECTS
        )
        if response.status == 404 or response.status == 410:
            raise NotFound(f"the script was not found: its server answered {response.status}", status=response.status)
        if response.status != 200:
            raise RemoteFailed(f"the script's server answered {response.status}", status=response.status)
        return response.body

    def _from_folder(self, script: str) -> tuple[ScriptFile, ...]:
        folder = self._open_folder(script)
        name = folder.find(script)
        if name is None:
            message = "it is a folder" if folder.is_folder(script) else "No such file"
            raise NotFound(f"the script {script} can't be read from the scripts folder: {message}")
        return _Graph(folder).read(name, _parse(name, partial(folder.parse, name, LONGEST_SCRIPT)), has_files=True)

    def _config_from_folder(self, name: str) -> bytes:
        folder = self._open_folder(name)
        found = folder.find(name)
        if found is None:
            raise NotFound(f"there is no {name} in the scripts folder")
        return _parse(found, partial(folder.parse, found, LONGEST_SCRIPT)).source.encode()

    def _with_modules(self, name: str, content: bytes, *, has_files: bool) -> tuple[ScriptFile, ...]:
        folder = self._open_folder(name)
        return _Graph(folder).read(name, _parse(name, partial(parse_source, name, content)), has_files=has_files)

    def _open_folder(self, script: str) -> ScriptFolder:
        try:
            return ScriptFolder(self._folder(), self._parsed, self._recorder)
        except OSError as failure:
            raise NotFound(f"the script {script} can't be read from the scripts folder: {failure.strerror}") from None


class _Graph:
    """The files of one run, found from one to the next."""

    def __init__(self, folder: ScriptFolder) -> None:
        self._folder = folder
        self._resolver = Resolver(folder)

    def read(self, name: str, first: ParsedFile, *, has_files: bool) -> tuple[ScriptFile, ...]:
        """A script, and everything that it and its modules ask for. Raises LimitExceeded, InvalidContent, NotFound."""
        files: dict[str, ScriptFile] = {}
        pending, size = [(name, first, has_files)], first.size
        seen = {name}
        while pending:
            current, parsed, has_files = pending.pop()
            files[current] = file = self._linked(current, parsed, has_files=has_files)
            for target in file.links.values():
                if ":" in target or target in seen:
                    continue
                seen.add(target)
                found = _parse(target, partial(self._folder.parse, target))
                size += found.size
                if len(seen) > MAX_FILES or size > MAX_BYTES:
                    raise LimitExceeded(
                        f"the script and what it requires are more than {MAX_FILES} files or {MAX_BYTES >> 20} MiB; "
                        f"require parts of a large module by their own names"
                    )
                pending.append((target, found, True))
        return tuple(files.values())

    def _linked(self, name: str, parsed: ParsedFile, *, has_files: bool) -> ScriptFile:
        links: dict[str, str] = {}
        failures: dict[str, str] = {}
        for request, imports in parsed.requests:
            key = link_key(request, imports=imports)
            try:
                links[key] = self._resolver.resolve(request, name, imports=imports, has_files=has_files)
            except SidecarError as failed:
                failures[key] = failed.message
        return ScriptFile(name, parsed.kind, parsed.source, parsed.scope, links, failures)


def is_url(script: str) -> bool:
    """Whether a script is named by a URL."""
    return "://" in script


def config_name(script: str) -> str:
    """The name of a script's configuration file; empty if the script's name has no known ending."""
    path = urlsplit(script).path if is_url(script) else script
    return unquote(_as_config(path)).rpartition("/")[2] if path.endswith(_ENDINGS) else ""


def _as_config(path: str) -> str:
    return f"{path.rpartition('.')[0]}.json"


def _name_of(url: str) -> str:
    """The name of a script from a URL in errors: its file's name, without the rest, which may be secret."""
    return unquote(urlsplit(url).path).rstrip("/").rpartition("/")[2] or urlsplit(url).hostname or "script"


def _parse(name: str, parse: Callable[[], ParsedFile]) -> ParsedFile:
    try:
        return parse()
    except UnicodeDecodeError:
        raise InvalidContent(f"the script {name} is not UTF-8", "script") from None
