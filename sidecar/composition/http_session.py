"""`sidecar serve` and `sidecar run`: a session over HTTP."""

import asyncio
import os
from collections.abc import Callable

from sidecar.clock import Clock
from sidecar.composition.scraper_env_file import read_keys
from sidecar.composition.session import Process, serve_session
from sidecar.server.http.gateway import Gateway
from sidecar.server.http.http_process import HttpProcess, Work
from sidecar.server.http.listen_address import ListenAddress
from sidecar.server.http.refusals import problem
from sidecar.server.http.route_table import ErrorForm
from sidecar.server.scraper_logins import ScraperLogins
from sidecar.server.session import Session
from sidecar.settings import Settings, SettingsError
from sidecar.shutdown import StopSignals


async def serve_http(
    settings: Settings, address: ListenAddress, clock: Clock, work: Work, unknown_path: ErrorForm = problem
) -> int:
    """Serves HTTP for as long as the work takes; gives the exit code. Raises SettingsError.

    `unknown_path` is the form of errors of paths that lead nowhere.
    """
    if not (address.is_local or settings.http_token):
        message = "--http: other machines can connect there, so a token is needed: set SIDECAR_HTTP_TOKEN"
        raise SettingsError(f"{message}, or SIDECAR_HTTP_TOKEN_FILE")
    made: list[HttpProcess] = []

    def new_process(session: Session) -> Process:
        made.append(HttpProcess(settings, address, clock, session, work, unknown_path))
        return made[0]

    await serve_session(settings, clock, new_process)
    return made[0].exit_code


async def until_signal(say: Callable[[str], None], _: Gateway, address: str, logins: ScraperLogins) -> int:
    """Says where we listen, and waits for a signal."""
    logins.read_keys = read_keys
    stopped = asyncio.Event()
    StopSignals(stopped.set).watch()
    say(f"sidecar serve {os.getpid()}: listening on {address}")
    await stopped.wait()
    return 0
