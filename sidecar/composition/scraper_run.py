"""`sidecar run`: a scraper that we start, and that talks to us over HTTP. Source: RT-CV scraper client v2."""

import logging
import secrets
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from sidecar_protocol.wire_types import Secret

from sidecar.clock import Clock
from sidecar.composition.http_session import serve_http
from sidecar.composition.scraper_env_file import read_env
from sidecar.errors import SidecarError
from sidecar.rtcv.scraper_env import EnvError, ScraperEnv
from sidecar.server.http.compat_rtcv import unknown_path
from sidecar.server.http.gateway import Gateway
from sidecar.server.http.health_port import HealthPort
from sidecar.server.http.listen_address import ListenAddress
from sidecar.server.http.refusals import Refused
from sidecar.server.scraper_logins import ScraperLogins
from sidecar.server.scraper_process import Scraper, ScraperNotStarted, SignalForwarder
from sidecar.settings import ScraperVariables, Settings, scraper_environment

log = logging.getLogger(__name__)

TOKEN_BYTES: Final = 24
FAILED: Final = 1
"""Exit code where the scraper was not started because its servers refused us."""


@dataclass(frozen=True, slots=True)
class ScraperRun:
    """What is run, and with which credentials."""

    command: Sequence[str]
    env: ScraperEnv | None
    settings: Settings
    health_port: int

    async def work(self, gateway: Gateway, address: str, logins: ScraperLogins) -> int:
        """Logs in, runs the scraper, and gives its exit code."""
        forwarder = SignalForwarder()
        health = await HealthPort.open(self.health_port) if self.health_port else None
        try:
            if not await forwarder.finishes(self._log_in(gateway, logins)):
                return 128 + forwarder.number
            scraper = self._start(address)
        except ScraperNotStarted as failure:
            _say(str(failure))
            return failure.exit_code
        except (Refused, SidecarError, EnvError) as wrong:
            _say(f"the scraper was not started: {wrong}")
            return FAILED
        else:
            forwarder.connect(scraper)
            return await scraper.wait(forwarder.ending, self.settings.shutdown_timeout)
        finally:
            if health:
                await health.close()

    def _start(self, address: str) -> Scraper:
        token = self.settings.http_token.reveal()
        # any client can use an address, and few can add a header to what they have: so the address carries the token
        given = {"SCRAPER_ADDRESS": f"{address}/{token}", "SCRAPER_TOKEN": token}
        return Scraper(self.command, scraper_environment(given))

    async def _log_in(self, gateway: Gateway, logins: ScraperLogins) -> None:
        """Logs in as the scraper's environment says. Raises Refused, EnvError and a server's failures."""
        env = self.env
        if env is None:
            return
        if env.mock_users is not None:
            await gateway.send("set_mock", {"secrets": {"users": [dict(user) for user in env.mock_users]}})
            return
        await gateway.send("set_multiple_credentials", [dict(server) for server in env.servers])
        keys = env.keys
        logins.read_keys = lambda: keys
        await logins.fetch()


async def run_scraper(settings: Settings, variables: ScraperVariables, command: Sequence[str], clock: Clock) -> int:
    """Runs a scraper to its end; gives its exit code. Raises SettingsError."""
    token = settings.http_token or Secret(secrets.token_urlsafe(TOKEN_BYTES))
    settings = replace(settings, http_token=token)
    run = ScraperRun(command, read_env(variables), settings, variables.health_port)
    return await serve_http(settings, ListenAddress("127.0.0.1"), clock, run.work, unknown_path)


def _say(message: str) -> None:
    print(f"sidecar: {message}", file=sys.stderr)
