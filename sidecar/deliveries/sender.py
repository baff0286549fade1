"""One delivery attempt, and what its response means."""

import logging
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sidecar_protocol.errors import ErrorDetail

from sidecar.clock import Clock
from sidecar.deliveries import webhook_signing
from sidecar.deliveries.endpoint_registry import ServerTarget, Target, WebhookTarget
from sidecar.errors import (
    Forbidden,
    InvalidContent,
    RemoteFailed,
    RemoteUnreachable,
    SidecarError,
    TimedOut,
    error_detail,
)
from sidecar.net.http_response import HttpResponse, retry_after
from sidecar.rtcv.servers import RtcvServer
from sidecar.storage.outbox import PendingMessage

if TYPE_CHECKING:
    from sidecar.net.http_client import HttpClient
    from sidecar.net.public_http import PublicHttpClient

log = logging.getLogger(__name__)

DAY: Final = 86_400.0
MAX_ATTEMPTS: Final = 10
"""A message that fails this often is dead; the backoff before sums up to two days."""
MAX_BYTES: Final = 1 << 16
"""Bytes that are read of a response, so that its connection can be kept: the status decides, the body is dropped."""

_ENDPOINT_GONE: Final = 410
_BUSY: Final = frozenset({429, 503})
_ENDPOINT_FAILED: Final = frozenset({401, 403, 408, 429, 502, 503, 504})
"""Statuses that say more of the endpoint than of what was sent."""
DETACH_ATTEMPTS: Final = 3
"""Attempts (a minute and a half) after which a copy that a server refuses no longer blocks later ones."""
_NOT_SUPPORTED: Final = frozenset({404, 405, 501})
"""A server that has no place for such a thing."""
_PERMANENT: Final = frozenset({400, 413, 415, 422})
"""Statuses of a server that will never accept this body."""


@dataclass(frozen=True, slots=True)
class Failure:
    """The reason of a failed attempt, and the next step."""

    error: ErrorDetail
    endpoint_failed: bool = False
    """The endpoint fails, not this message."""
    permanent: bool = False
    """No retry can succeed."""
    endpoint_gone: bool = False
    """The endpoint answered 410: it is disabled."""
    seconds: float | None = None
    """The receiver's `Retry-After`."""
    detach_after: float = math.inf
    """Attempts after which the message no longer blocks its ordering key."""


class Sender:
    """Makes delivery attempts."""

    def __init__(
        self,
        clock: Clock,
        public_http: Callable[[], "PublicHttpClient"],
        open_http: Callable[[], "HttpClient"],
        timeout: float,
    ) -> None:
        """`public_http` gives the client for webhooks, `open_http` opens one for servers: neither is made before it is
        needed. `timeout` is for one attempt at a webhook, in seconds.
        """
        self._clock = clock
        self._public_http = public_http
        self._open_http = open_http
        self._timeout = timeout
        self._http: HttpClient | None = None

    async def send(self, target: Target, message: PendingMessage, body: bytes) -> Failure | None:
        """One attempt; None on success."""
        try:
            if isinstance(target, WebhookTarget):
                return await self._send_webhook(target, message, body)
            return await self._send_copy(target, message, body)
        except (RemoteUnreachable, TimedOut) as failure:
            return Failure(failure.detail, endpoint_failed=True)
        except (Forbidden, InvalidContent) as failure:
            return Failure(failure.detail, permanent=True)
        except SidecarError as failure:
            return Failure(failure.detail)
        except Exception as unforeseen:  # it must not be tried again and again without a pause
            log.exception("unexpected error while sending a delivery")
            return Failure(error_detail(unforeseen))

    async def close(self) -> None:
        """Closes connections to servers; the client for webhooks is its owner's."""
        if self._http is not None:
            await self._http.close()

    async def _send_webhook(self, target: WebhookTarget, message: PendingMessage, body: bytes) -> Failure | None:
        headers = webhook_signing.headers(
            message.id,
            body,
            at=self._clock.now(),
            keys=target.keys,
            content_type=webhook_signing.CONTENT_TYPES[target.format],
        )
        response = await self._public_http().request(
            "POST",
            target.url,
            headers=headers,
            body=body,
            timeout=self._timeout,
            max_bytes=MAX_BYTES,
            status_only=True,
        )
        return classify_response(
            response, self._clock.now(), lambda: RemoteFailed(describe_status(response), status=response.status)
        )

    async def _send_copy(self, target: ServerTarget, message: PendingMessage, body: bytes) -> Failure | None:
        if self._http is None:
            self._http = self._open_http()
        server = RtcvServer(self._http, target.credentials)
        kind = message.kind
        if kind == "webhook" or kind == "push":  # those go the other way
            kind = "result"
        response = await server.deliver(kind, body, message.id)
        return classify_response(response, self._clock.now(), lambda: server.to_error(response), server=True)


def classify_response(
    response: HttpResponse, now: float, error: Callable[[], SidecarError], *, server: bool = False
) -> Failure | None:
    """The verdict on a response at Unix time `now`; None for a success. `server`: it came from an RT-CV server."""
    status = response.status
    if 200 <= status < 300:
        return None
    seconds = retry_after(response.headers, now) if status in _BUSY else None
    return Failure(
        error().detail,
        endpoint_failed=status in _ENDPOINT_FAILED,
        permanent=server and (status in _PERMANENT or status == _ENDPOINT_GONE),
        endpoint_gone=status == _ENDPOINT_GONE and not server,
        seconds=None if seconds is None else min(max(seconds, 1.0), DAY),
        detach_after=_detach_after(status) if server else math.inf,
    )


def _detach_after(status: int) -> float:
    if status in _ENDPOINT_FAILED:
        return math.inf
    return 1 if status in _NOT_SUPPORTED else DETACH_ATTEMPTS


def backoff_seconds(failures: int, jitter: float) -> float:
    """Seconds until the next attempt after that many failures: 4, 16, 64 … up to a day; `jitter` is from 0 to 1."""
    return float(min(DAY, 4.0 ** min(failures, MAX_ATTEMPTS) * (0.75 + jitter / 2)))


def describe_status(response: HttpResponse) -> str:
    """The error message of a rejected delivery."""
    return f"the receiver answered {response.status}"
