"""Pages of messages that have not arrived, as `list_deliveries` and the command line show them."""

from typing import Literal

from sidecar_protocol.pages import page_count
from sidecar_protocol.webhooks import Deliveries, Delivery

from sidecar.deliveries.endpoint_records import host_of
from sidecar.storage.endpoint_rows import EndpointRows
from sidecar.storage.outbox import Outbox, OutboxRow
from sidecar.wall_clock import rfc3339


def list_page(
    outbox: Outbox, endpoints: EndpointRows, status: Literal["waiting", "dead"] | None, page: int
) -> Deliveries:
    """One page of waiting and dead messages. Raises StoreFailed."""
    total, rows = outbox.page(status, page)
    hosts: dict[str, str] = {}
    for row in rows:
        if row.endpoint not in hosts:
            known = endpoints.get(row.endpoint)
            hosts[row.endpoint] = host_of(known) if known else ""
    return Deliveries(
        total_count=total,
        total_pages=page_count(total),
        page=page,
        deliveries=tuple(_to_delivery(row, hosts[row.endpoint]) for row in rows),
    )


def _to_delivery(row: OutboxRow, host: str) -> Delivery:
    return Delivery(
        id=row.id,
        endpoint=row.endpoint,
        host=host,
        kind=row.kind,
        status=row.status,
        run=row.ordering_key,
        size=row.size,
        created=_time(row.created),
        attempts=row.attempts,
        next_attempt=None if row.due is None else _time(row.due),
        error=row.error,
    )


def _time(seconds: float) -> str:
    return rfc3339(seconds, "milliseconds")
