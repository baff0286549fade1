"""What a sandbox says, bounded on our side: its program may have been changed by what runs beside it."""

from typing import Any, Final

import msgspec
from sidecar_protocol.bounds import excess

from sidecar.browser import lenient_json
from sidecar.browser.sandbox.wire_values import CallRefused

MAX_MESSAGES: Final = 10_500
"""In one exchange: as many as a sandbox's program holds back, and its console."""
_MAX_BYTES: Final = 32 << 20
_MAX_PARTS: Final = 500_000
"""Of one exchange, at every depth together, counted by the commas and brackets between them."""
_MAX_DEPTH: Final = 250
"""Levels; those of a value, which may be two for each of its own, and some around it."""

_decode = msgspec.json.Decoder(list[list[Any]]).decode


def decode_messages(text: str) -> list[list[Any]]:
    """The messages of one exchange, half characters in them replaced. Raises Refused."""
    raw = text.encode(errors="replace")
    too_much = f"larger than {_MAX_BYTES >> 20} MiB" if len(raw) > _MAX_BYTES else ""
    try:
        too_much = too_much or excess(raw, _MAX_PARTS, _MAX_DEPTH)
        messages = [] if too_much else lenient_json.decode(_decode, raw)
    except (msgspec.DecodeError, RecursionError) as wrong:
        raise CallRefused(f"the sandbox wrote what we can't read: {wrong}") from None
    if len(messages) > MAX_MESSAGES:
        too_much = f"more than {MAX_MESSAGES}"
    if too_much:
        raise CallRefused(f"the sandbox wrote messages beyond their bound: {too_much}")
    return messages
