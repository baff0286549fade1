"""What a server has answered. It is imported without httpx and aiohttp, which take 220 ms."""

from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """A response, whatever its status."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Seconds to wait, from either form of the header; None where it says nothing usable. `now` is Unix time."""
    value = headers.get("Retry-After", "").strip()
    if value.isascii() and value.isdecimal():
        return float(value)
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - now)
    except (ValueError, OverflowError):
        return None
