"""Puts pushes in EngageLab's own form into the outbox, for the URL that a setting names."""

from typing import Final

from sidecar_protocol.webhooks import Webhook

from sidecar.deliveries.endpoint_registry import EndpointRegistry
from sidecar.errors import Conflict, InvalidContent
from sidecar.storage.outbox import Outbox, OutboxMessage

NO_URL: Final = "push: EngageLab's own form needs SIDECAR_PUSH_URL, the URL that due pushes are posted to"
_SETTING: Final = "SIDECAR_PUSH_URL"
_DISABLED: Final = f"the endpoint of {_SETTING} is disabled (HTTP 410); re-enable it with set_webhooks, or start again"


class PushForwarder:
    """Posts pushes to one URL through the outbox, each at least once."""

    def __init__(self, endpoints: EndpointRegistry, outbox: Outbox, url: str) -> None:
        """`url` is empty where pushes are not taken."""
        self._endpoints = endpoints
        self._outbox = outbox
        self._url = url
        self._is_enabled = False

    def check(self) -> None:
        """Raises InvalidContent without a URL."""
        if not self._url:
            raise InvalidContent(NO_URL, "push")

    def forward(self, body: bytes, key: str) -> None:
        """Stages a push, JSON as it came; `key` is the same in all attempts.

        Raises InvalidContent, Forbidden, Conflict.
        """
        self.check()
        webhook = Webhook(url=self._url)
        if not self._is_enabled:  # each process names it again
            self._endpoints.register([webhook], _SETTING)
            self._endpoints.enable(webhook)
            self._is_enabled = True
        endpoints = self._endpoints.register([webhook], _SETTING)
        if not endpoints:
            raise Conflict(_DISABLED)
        for endpoint in endpoints:
            message = OutboxMessage(id=key, endpoint=endpoint.id, ordering_key=key, body=body, kind="push")
            self._outbox.put([message], until_stored=True)
