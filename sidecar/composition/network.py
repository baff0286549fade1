"""Makes the HTTP clients of a process: they use the network, are recorded, or are answered from a recording."""

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

from sidecar.clock import Clock
from sidecar.settings import Settings

if TYPE_CHECKING:
    from sidecar.net.exchange_hooks import ExchangeHook
    from sidecar.net.http_client import HttpClient
    from sidecar.net.public_http import PublicHttpClient
    from sidecar.recording.exchange_matcher import ExchangeMatcher
    from sidecar.recording.recorder_process import RecorderProcess


class Network:
    """One for each process."""

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        recording: "RecorderProcess | None" = None,
        recorded: "ExchangeMatcher | None" = None,
    ) -> None:
        """Exchanges are handed to `recording`, or answered by `recorded` without a network."""
        self._settings = settings
        self._clock = clock
        self.recording = recording
        """What the session is recorded into; None if it isn't."""
        self._recorded = recorded

    @property
    def is_offline(self) -> bool:
        """Whether nothing may be sent."""
        return self._recorded is not None

    def server_client(self) -> "HttpClient":
        """A client for RT-CV servers."""
        from sidecar.net.http_client import HttpClient  # late: httpx and aiohttp take 220 ms to import

        clock = replace(self._clock, sleep=_skip) if self.is_offline else self._clock
        return HttpClient(self._settings.request_timeout, clock, hook=self._hook())

    def public_client(self) -> "PublicHttpClient":
        """A client for URLs from messages."""
        from sidecar.net.public_http import PublicHttpClient  # late, as above

        return PublicHttpClient(self._clock, self._settings.allow_private_network, hook=self._hook())

    def _hook(self) -> "ExchangeHook":
        from sidecar.net.exchange_hooks import no_hook, offline_hook, recording_hook

        if self._recorded:
            return offline_hook(self._recorded.find)
        if self.recording:
            return recording_hook(self.recording.record_exchange, self._clock.monotonic)
        return no_hook


async def _skip(_: float) -> None:
    """A recorded server needs no time to recover."""
    await asyncio.sleep(0)
