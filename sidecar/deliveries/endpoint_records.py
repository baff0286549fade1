"""Endpoints as they are stored, alone and with jobs: public parts in clear, secrets encrypted."""

import hashlib
import logging
from typing import Annotated, Final, TypeVar
from urllib.parse import urlsplit

from sidecar_protocol.codec import NotJson
from sidecar_protocol.decoding import decode_stored
from sidecar_protocol.encoding import encode
from sidecar_protocol.models import Either, Maybe, Model, Sparse
from sidecar_protocol.session import Credentials
from sidecar_protocol.webhooks import Format, Webhook
from sidecar_protocol.wire_types import UNSET, Secret, Secrets, Unset

from sidecar.encryption import Encryptor
from sidecar.errors import DecryptionKeyMissing
from sidecar.storage.endpoint_rows import EndpointRow

log = logging.getLogger(__name__)

T = TypeVar("T")

_ID_DIGITS: Final = 24


class EncryptedUrl(Model):
    """A URL whose path or query may be secret, and its public parts."""

    id: str
    """The endpoint's id."""
    host: str
    sealed: str


class WebhookRecord(Sparse):
    """A webhook; `size` is its `max_stdouterr_size`. Without `sealed` it has no secret."""

    url: Annotated[str | EncryptedUrl, Either("str", "object")]
    """The URL, in clear if the encryption key ends with the process: the next one has to know where to send."""
    format: Format
    size: int
    sealed: Maybe[str] = UNSET

    @property
    def id(self) -> str:
        """The endpoint's id."""
        return self.url.id if isinstance(self.url, EncryptedUrl) else webhook_id(self.url, self.format)


class ServerRecord(Model):
    """A server; `sealed` is its encrypted key."""

    server_location: str
    api_key_id: str
    name: str
    results_path: str
    sealed: str


def to_webhook_record(webhook: Webhook, size: int, encryptor: Encryptor) -> WebhookRecord:
    """The record of a webhook."""
    url: str | EncryptedUrl = webhook.url
    if encryptor.persistent:
        name = webhook_id(webhook.url, webhook.format)
        url = EncryptedUrl(id=name, host=urlsplit(webhook.url).netloc, sealed=encryptor.encrypt(webhook.url))
    sealed: str | Unset = UNSET
    if webhook.secret is not None:
        sealed = encryptor.encrypt(encode([one.reveal() for one in webhook.secret.values]).decode())
    return WebhookRecord(url=url, format=webhook.format, size=size, sealed=sealed)


def read_webhook_record(row: EndpointRow) -> WebhookRecord | None:
    """The record in a webhook's row; None if it is corrupt."""
    return _read(row, WebhookRecord)


def to_webhook(document: WebhookRecord, encryptor: Encryptor) -> Webhook:
    """The webhook of a record. Raises DecryptionKeyMissing."""
    url = encryptor.decrypt(document.url.sealed) if isinstance(document.url, EncryptedUrl) else document.url
    secret = None
    if document.sealed is not UNSET:
        opened = decode_stored(list[str], encryptor.decrypt(document.sealed))
        secret = Secrets(*map(Secret, opened))
    return Webhook(url=url, format=document.format, secret=secret, max_stdouterr_size=document.size)


def to_server_record(server: Credentials, encryptor: Encryptor) -> ServerRecord:
    """The record of a server."""
    return ServerRecord(
        server_location=server.server_location,
        api_key_id=server.api_key_id,
        name=server.name,
        results_path=server.results_path,
        sealed=encryptor.encrypt(server.api_key.reveal()),
    )


def to_credentials(row: EndpointRow, encryptor: Encryptor) -> Credentials | None:
    """The server of a row; None if it is corrupt, or its key can't be decrypted."""
    document = _read(row, ServerRecord)
    if document is None:
        return None
    try:
        key = Secret(encryptor.decrypt(document.sealed))
    except DecryptionKeyMissing:
        return None
    return Credentials(
        server_location=document.server_location,
        api_key_id=document.api_key_id,
        api_key=key,
        name=document.name,
        results_path=document.results_path,
    )


def host_of(row: EndpointRow) -> str:
    """Host and port of an endpoint, or the name of a server; empty for a corrupt row."""
    if row.kind == "server":
        server = _read(row, ServerRecord)
        return server.name or urlsplit(server.server_location).netloc if server else ""
    document = read_webhook_record(row)
    if document is None:
        return ""
    url = document.url
    return url.host if isinstance(url, EncryptedUrl) else urlsplit(url).netloc


def read_webhook_records(packed: str) -> list[WebhookRecord]:
    """The records that were packed with a job; none if they are corrupt."""
    try:
        return decode_stored(list[WebhookRecord], packed or "[]")
    except NotJson:
        log.warning("the webhooks of a stored job can't be read; no updates are sent")
        return []


def _read(row: EndpointRow, kind: type[T]) -> T | None:
    try:
        return decode_stored(kind, row.document)
    except NotJson:
        log.warning("the endpoint %s can't be read; its deliveries wait until it is registered again", row.id)
        return None


def webhook_id(url: str, format_: Format) -> str:
    """The id of a URL and a format; secrets may change."""
    return _id("wh", url, format_)


def server_id(credentials: Credentials) -> str:
    """The id of a server, a key and the path of results."""
    location = credentials.server_location.rstrip("/")
    return _id("srv", location, credentials.api_key_id, credentials.results_path)


def _id(prefix: str, *parts: str) -> str:
    return f"{prefix}_{hashlib.sha256(chr(0).join(parts).encode()).hexdigest()[:_ID_DIGITS]}"
