"""`sidecar deliveries`: which webhooks and copies for servers have not arrived, and why."""

import argparse
from collections.abc import Mapping
from typing import Any, Final, Literal

from sidecar.cli.listing import look, print_json, print_table
from sidecar.composition.stored_work import StoredWork

_HEADS: Final = ("id", "status", "kind", "to", "created", "attempts", "next attempt", "error")
DEFAULT_LIMIT: Final = 50


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which deliveries."""
    parser.add_argument("--dead", action="store_true", help="only those that were given up")
    parser.add_argument("--waiting", action="store_true", help="only those that are tried again")
    parser.add_argument("--limit", metavar="N", type=int, default=DEFAULT_LIMIT, help="the oldest N (default: 50)")
    parser.add_argument("--json", action="store_true", help="one line of JSON")


def run(parsed: argparse.Namespace, flags: Mapping[str, str]) -> int:
    """Prints them. Raises SettingsError, SidecarError."""
    total, rows = look(flags, lambda stored: _read(stored, parsed))
    if parsed.json:
        return print_json({"total_count": total, "deliveries": rows})
    return print_table(_HEADS, [_row(one) for one in rows], total, "deliveries that have not arrived")


async def _read(stored: StoredWork, parsed: argparse.Namespace) -> tuple[int, list[dict[str, Any]]]:
    from sidecar_protocol.codec import plain
    from sidecar_protocol.encoding import encode

    from sidecar.deliveries.delivery_pages import list_page

    status: Literal["dead", "waiting"] | None = "dead" if parsed.dead else "waiting" if parsed.waiting else None
    rows: list[dict[str, Any]] = []
    page, pages, total = 0, 1, 0
    while page < pages and len(rows) < parsed.limit:
        page += 1
        found = list_page(stored.outbox, stored.endpoints, status, page)
        total, pages = found.total_count, found.total_pages
        read: dict[str, Any] = plain(encode(found))
        rows += read["deliveries"]
    return total, rows[: max(0, parsed.limit)]


def _row(one: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        one["id"],
        one["status"],
        one["kind"],
        one["host"],
        one["created"],
        str(one["attempts"]),
        one.get("next_attempt") or "",
        one.get("error") or "",
    )
