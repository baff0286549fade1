"""Standard Webhooks 1.0.0: the headers of one attempt. Source: https://www.standardwebhooks.com."""

import base64
import hmac
from collections.abc import Sequence
from typing import Final

CONTENT_TYPES: Final = {
    "factotum": "application/json; charset=utf-8",
    "factotum-0.6": "application/json; charset=utf-8",
    "cloudevents": "application/cloudevents+json; charset=utf-8",
}


def headers(message: str, body: bytes, *, at: float, keys: Sequence[bytes], content_type: str) -> dict[str, str]:
    """The headers of a body: `at` is the attempt's Unix time, `keys` are the endpoint's secrets, newest first."""
    timestamp = str(int(at))
    signed = {"webhook-signature": signature(message, timestamp, body, keys)} if keys else {}
    return {"Content-Type": content_type, "webhook-id": message, "webhook-timestamp": timestamp, **signed}


def signature(message: str, timestamp: str, body: bytes, keys: Sequence[bytes]) -> str:
    """One `v1` signature for each key, separated by spaces."""
    signed = b"%s.%s.%s" % (message.encode(), timestamp.encode(), body)
    return " ".join("v1," + base64.b64encode(hmac.digest(key, signed, "sha256")).decode() for key in keys)
