"""The endpoints of deliveries: webhooks of the session and of jobs, and the servers of logins."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from sidecar_protocol.encoding import encode
from sidecar_protocol.session import Credentials
from sidecar_protocol.webhooks import MAX_WEBHOOKS, Format, Webhook
from sidecar_protocol.wire_types import UNSET

from sidecar.deliveries.endpoint_records import (
    read_webhook_record,
    read_webhook_records,
    server_id,
    to_credentials,
    to_server_record,
    to_webhook,
    to_webhook_record,
    webhook_id,
)
from sidecar.encryption import Encryptor
from sidecar.errors import DecryptionKeyMissing, ErrorCollector, InvalidContent, LimitExceeded
from sidecar.net.urls import check_url
from sidecar.storage.endpoint_rows import EndpointRow, EndpointRows

MAX_CACHED: Final = 1_000
"""Webhooks in memory; a message names at most a hundred."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A webhook, as the writer of its documents needs it."""

    id: str
    format: Format
    max_stdouterr_size: int


@dataclass(frozen=True, slots=True)
class WebhookTarget:
    """The target of an attempt at a webhook; `keys` are its signing keys."""

    url: str
    format: Format
    keys: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class ServerTarget:
    """The target of an attempt at a server."""

    credentials: Credentials


Target = WebhookTarget | ServerTarget


class EndpointRegistry:
    """The endpoints that this process knows. They are stored with encrypted secrets."""

    def __init__(self, rows: EndpointRows, encryptor: Encryptor, default_size: int, *, allow_private: bool) -> None:
        """`default_size` is the `max_stdouterr_size` of webhooks without one."""
        self.on_known: Callable[[Iterable[str]], None] = _ignore
        """Called with the ids of named endpoints: deliveries that waited for their secrets can be sent."""
        self._rows = rows
        self._encryptor = encryptor
        self._default_size = default_size
        self._allow_private = allow_private
        self._webhooks: dict[str, Webhook] = {}
        self._servers: dict[str, Credentials] = {}
        self._logins: dict[str, tuple[str, ...]] = {}
        self._disabled: set[str] = set()
        self._session: tuple[Endpoint, ...] = ()

    # --- webhooks

    @property
    def session(self) -> tuple[Endpoint, ...]:
        """The session's webhooks without disabled ones."""
        return tuple(one for one in self._session if one.id not in self._disabled)

    def check(self, webhooks: Sequence[Webhook], place: str = "") -> None:
        """Raises InvalidContent, Forbidden and LimitExceeded; `place` is the field of the list."""
        if len(webhooks) > MAX_WEBHOOKS:
            raise LimitExceeded(f"there can be {MAX_WEBHOOKS} webhooks at most", field=place or "content")
        errors = ErrorCollector()
        for index, webhook in enumerate(webhooks):
            try:
                check_url(webhook.url, f"{place}[{index}].url", allow_private=self._allow_private)
            except InvalidContent as error:
                errors.add(error)
            try:
                webhook.signing_keys()
            except ValueError as wrong:
                errors.add(InvalidContent(f"secret {wrong}", f"{place}[{index}].secret"))
        errors.raise_if_any()

    def set_session(self, webhooks: Sequence[Webhook]) -> tuple[str, ...]:
        """Replaces the session's webhooks, and enables disabled ones; returns their ids.

        Raises as `check`; then nothing has changed.
        """
        self.check(webhooks)
        named = {_id_of(webhook): webhook for webhook in webhooks}
        for one, webhook in named.items():
            self._save(one, webhook)
            self.enable(webhook)
        self._session = tuple(self._endpoint(one, webhook) for one, webhook in named.items())
        self.on_known(named)
        return tuple(_id_of(webhook) for webhook in webhooks)

    def register(self, webhooks: Sequence[Webhook], place: str = "webhooks") -> tuple[Endpoint, ...]:
        """Registers webhooks other than the session's; leaves out disabled ones. Raises as `check`.

        A known webhook keeps its secrets if it is named without them.
        """
        self.check(webhooks, place)
        named = {_id_of(webhook): webhook for webhook in webhooks}
        for one, webhook in named.items():
            if one not in self._webhooks:
                row = self._rows.get(one)
                if row and row.disabled:
                    self._disabled.add(one)
                if row is None or (self._webhook(row) is None and _may_replace(webhook, row)):
                    self._save(one, webhook)
        return tuple(self._endpoint(one, webhook) for one, webhook in named.items() if one not in self._disabled)

    def enable(self, webhook: Webhook) -> None:
        """Gives a disabled webhook another chance."""
        one = _id_of(webhook)
        self._rows.enable(one)
        self._disabled.discard(one)

    def pack(self, endpoints: Sequence[Endpoint]) -> str:
        """Endpoints in the form stored with a job: JSON, with encrypted secrets. Raises StoreFailed."""
        documents = []
        for one in endpoints:
            if webhook := self._webhooks.get(one.id):
                documents.append(to_webhook_record(webhook, one.max_stdouterr_size, self._encryptor))
            elif (row := self._rows.get(one.id)) and (document := read_webhook_record(row)):
                documents.append(document.replace(size=one.max_stdouterr_size))
        return encode(documents).decode()

    def unpack(self, packed: str) -> tuple[Endpoint, ...]:
        """Registers the endpoints of a packed job; one that can't be decrypted waits until it is named again."""
        endpoints = []
        for document in read_webhook_records(packed):
            one = Endpoint(document.id, document.format, document.size)
            row = self._rows.get(one.id)
            if row is None:
                self._rows.save(one.id, "webhook", encode(document).decode())
            if not (row and row.disabled) and one.id not in self._disabled:
                endpoints.append(one)
        return tuple(endpoints)

    def disable(self, endpoint: str) -> None:
        """Leaves an endpoint out from now on; the caller has stored that."""
        self._disabled.add(endpoint)

    # --- servers

    def log_in(self, account_id: str, credentials: Sequence[Credentials], primary: int) -> tuple[str, ...]:
        """Registers the servers of a login; returns their ids, the primary's first."""
        ordered = [credentials[primary], *(one for index, one in enumerate(credentials) if index != primary)]
        ids = tuple(map(server_id, ordered))
        for one, server in zip(ids, ordered, strict=True):
            if self._servers.get(one) != server:
                self._servers[one] = server
                document = to_server_record(server, self._encryptor)
                self._rows.save(one, "server", encode(document).decode())
            self._rows.enable(one)
        self._rows.save_login(account_id, ids)
        self._logins[account_id] = ids
        self.on_known(ids)
        return ids

    def servers(self, account_id: str) -> tuple[str, ...]:
        """The ids of a login's servers, the primary's first; empty for an unknown account. Raises StoreFailed."""
        return self._logins.get(account_id) or self._rows.login(account_id)

    def credentials(self, account_id: str) -> tuple[Credentials, ...]:
        """A login's credentials, the primary's first; empty if one of them can't be decrypted."""
        servers = self.servers(account_id)
        known = [self._server(row) for one in servers if (row := self._row(one)) is not None]
        found = tuple(one for one in known if one is not None)
        return found if len(found) == len(servers) else ()

    # --- for deliveries

    def target(self, row: EndpointRow) -> Target | None:
        """The target of an attempt; None if a secret is missing until the endpoint is named again."""
        if row.kind == "server":
            server = self._server(row)
            return None if server is None else ServerTarget(server)
        webhook = self._webhook(row)
        return None if webhook is None else WebhookTarget(webhook.url, webhook.format, webhook.signing_keys())

    def _row(self, one: str) -> EndpointRow | None:
        """The stored endpoint; one that was just named is in memory only."""
        if one in self._servers:
            return EndpointRow(one, "server", "", 0, 0, 0)
        return self._rows.get(one)

    def _cache(self, one: str, webhook: Webhook) -> None:
        """Keeps a webhook in memory; the one unused for the longest time is dropped, and read from its row again."""
        self._webhooks.pop(one, None)
        self._webhooks[one] = webhook
        if len(self._webhooks) > MAX_CACHED:
            del self._webhooks[next(iter(self._webhooks))]

    def _save(self, one: str, webhook: Webhook) -> None:
        self._cache(one, webhook)
        document = to_webhook_record(webhook, self._size(webhook), self._encryptor)
        self._rows.save(one, "webhook", encode(document).decode())

    def _endpoint(self, one: str, webhook: Webhook) -> Endpoint:
        return Endpoint(one, webhook.format, self._size(webhook))

    def _size(self, webhook: Webhook) -> int:
        return self._default_size if webhook.max_stdouterr_size is None else webhook.max_stdouterr_size

    def _webhook(self, row: EndpointRow) -> Webhook | None:
        known = self._webhooks.get(row.id)
        if known is not None:
            return known
        document = read_webhook_record(row)
        if document is None:
            return None
        try:
            webhook = to_webhook(document, self._encryptor)
        except DecryptionKeyMissing:
            return None
        self._cache(row.id, webhook)
        return webhook

    def _server(self, row: EndpointRow) -> Credentials | None:
        known = self._servers.get(row.id)
        if known is not None:
            return known
        server = to_credentials(row, self._encryptor)
        if server is not None:
            self._servers[row.id] = server
        return server


def _ignore(endpoints: Iterable[str]) -> None:
    """Ids have no receiver."""


def _id_of(webhook: Webhook) -> str:
    return webhook_id(webhook.url, webhook.format)


def _may_replace(webhook: Webhook, row: EndpointRow) -> bool:
    """Whether replacing a record that can't be decrypted loses no secret."""
    document = read_webhook_record(row)
    return document is None or webhook.secret is not None or document.sealed is UNSET
