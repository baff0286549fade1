"""Webhooks, and the state of deliveries."""

import base64
import binascii
from typing import Annotated, Final, Literal

from sidecar_protocol.errors import ErrorDetail
from sidecar_protocol.models import Bound, Model, Sparse
from sidecar_protocol.wire_types import Secret, Secrets

DEFAULT_STDOUTERR_SIZE: Final = 10_000
MAX_WEBHOOKS: Final = 100
"""Webhooks of one session, or of one job."""
SECRET_PREFIX: Final = "whsec_"  # noqa: S105  what every one begins with
_SECRET_BYTES: Final = range(16, 129)
"""Standard Webhooks asks for 24 to 64; its own examples are as loose as this."""
_MAX_SECRETS: Final = 10

Format = Literal["factotum", "factotum-0.6", "cloudevents"]
DeliveryStatus = Literal["waiting", "dead"]
DeliveryKind = Literal["webhook", "result", "cv", "full_cv", "cvs_list", "push"]
StdouterrSize = Annotated[int, Bound(ge=0, le=1_000_000)]


class Webhook(Model):
    """An endpoint that gets updates of every run."""

    url: Annotated[str, Bound(min_length=1, max_length=2_000)]
    """http or https, without a user."""
    secret: Secrets | None = None
    """`whsec_…` of Standard Webhooks, or a list of them while one takes over from another."""
    format: Format = "factotum"
    max_stdouterr_size: StdouterrSize | None = None
    """Characters of a task's stdout, and of its stderr, that are kept: the last ones. The setting's if absent."""

    def signing_keys(self) -> tuple[bytes, ...]:
        """The bytes of each secret; none without. Raises ValueError that quotes nothing."""
        if self.secret is None:
            return ()
        if not 1 <= len(self.secret.values) <= _MAX_SECRETS:
            raise ValueError(f"has to be one secret, or a list of 1 to {_MAX_SECRETS}")
        return tuple(signing_key(one) for one in self.secret.values)


Webhooks = list[Webhook]


class WebhooksReply(Model):
    """Content of the reply to `set_webhooks`."""

    endpoints: tuple[str, ...]
    """The endpoints' ids, in the order of the message."""


class ListDeliveries(Model):
    """Content of `list_deliveries`."""

    status: DeliveryStatus | None = None
    """The status of listed deliveries; default both."""
    page: Annotated[int, Bound(ge=1)] = 1


class Delivery(Sparse):
    """One delivery that has not arrived."""

    id: str
    """`webhook-id` or `Idempotency-Key` of every attempt."""
    endpoint: str
    host: str
    """Host and port of the endpoint; the rest of a URL may be a secret."""
    kind: DeliveryKind
    status: DeliveryStatus
    run: str
    """Deliveries to one endpoint keep their order within this."""
    size: int
    """Bytes of the body."""
    created: str
    """RFC 3339, as the times below."""
    attempts: int
    next_attempt: str | None = None
    """Null for those that are dead, or wait for another or for a secret."""
    error: str | None = None
    """The error of the last attempt."""


class Deliveries(Model):
    """Content of the reply to `list_deliveries`."""

    total_count: int
    total_pages: int
    page: int
    deliveries: tuple[Delivery, ...]


class DeliveryFailed(Model):
    """Content of the event `delivery_failed`: after a delivery's first failed attempt, and when it is dead."""

    server: str
    """The name of a server, else the endpoint's host and port."""
    endpoint: str
    id: str
    kind: DeliveryKind
    status: DeliveryStatus
    """`waiting`: it is tried again; `dead`: only `redeliver` does."""
    attempts: int
    error: ErrorDetail


class Redeliver(Model):
    """Content of `redeliver`."""

    id: Annotated[str, Bound(min_length=1)]
    endpoint: str | None = None
    """Selects one delivery if several endpoints have the same id."""


def signing_key(secret: Secret) -> bytes:
    """The bytes of a `whsec_…` secret. Raises ValueError without quoting it."""
    text = secret.reveal()
    try:
        if not text.startswith(SECRET_PREFIX):
            raise ValueError
        key = base64.b64decode(text.removeprefix(SECRET_PREFIX), validate=True)
    except (ValueError, binascii.Error):
        raise ValueError(f"has to be {SECRET_PREFIX} and base64") from None
    if len(key) not in _SECRET_BYTES:
        raise ValueError(f"has to hold {_SECRET_BYTES.start} to {_SECRET_BYTES.stop - 1} bytes")
    return key
