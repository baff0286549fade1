"""A second listener that says that we live, for probes of a container: `true` to everything, and nothing else."""

from typing import Self

from aiohttp import web

from sidecar.server.http.call import json_response
from sidecar.settings import SettingsError


class HealthPort:
    """Listens on every address of this machine: it has nothing to give away."""

    def __init__(self, runner: web.ServerRunner) -> None:
        self._runner = runner

    @classmethod
    async def open(cls, port: int) -> Self:
        """Begins to listen. Raises SettingsError."""
        runner = web.ServerRunner(web.Server(_answer, access_log=None), shutdown_timeout=0)
        await runner.setup()
        try:
            await web.TCPSite(runner, None, port).start()
        except OSError as failure:
            await runner.cleanup()
            said = failure.strerror or str(failure)
            raise SettingsError(f"RTCV_SCRAPER_CLIENT_HEALTH_CHECK_PORT: can't listen there: {said}") from None
        return cls(runner)

    async def close(self) -> None:
        """Listens no more."""
        await self._runner.cleanup()


async def _answer(_: web.BaseRequest) -> web.StreamResponse:
    return json_response(b"true")
