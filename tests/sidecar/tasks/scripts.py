"""Scripts of a folder, run in real sandboxes with real requests."""

import json
from pathlib import Path
from typing import Any

from sidecar_protocol.wire_types import Raw

from sidecar.browser.sandbox.sandbox_pool import SandboxPool
from sidecar.browser.sandbox.task_session import TaskLimits, TaskScriptRunner
from sidecar.net.public_http import PublicHttpClient
from sidecar.tasks.script_host import HostAllowlist, ScriptHost
from sidecar.tasks.script_sources import ScriptSources
from tests.sidecar.tasks.modules import put


class Scripts:
    """Runs scripts of a folder."""

    def __init__(self, pool: SandboxPool, http: PublicHttpClient, folder: Path) -> None:
        self.folder = folder
        self.sources = ScriptSources(http, lambda: folder, allow_private=True)
        self.lines: list[str] = []
        self._http = http
        self._runner = TaskScriptRunner(pool, TaskLimits(timeout=20), 4)

    async def run(self, script: str = "a.js", files: dict[str, Any] | None = None, **config: Any) -> Any:
        """What `main` of a script returns, once these files are put down."""
        put(self.folder, files or {})
        return await self._run(await self.sources.read(script), config)

    async def test(self, text: str, **config: Any) -> Any:
        """What a script's text returns."""
        return await self._run(await self.sources.read_text(text), config)

    async def _run(self, files: Any, config: dict[str, Any]) -> Any:
        async def job(content: bytes, number: int) -> bytes:
            return content

        host = ScriptHost(self._http, HostAllowlist("127.0.0.1"), job)
        return await self._runner.run(files, Raw(json.dumps(config).encode()), host, self)

    def log(self, line: str) -> None:
        """Notes a line."""
        self.lines.append(line)

    def fail(self, line: str) -> None:
        """Notes an error."""
        self.lines.append(line)
