"""Standard Webhooks: the specification's own vector, and an independent library."""

import base64
import time

import pytest
import standardwebhooks

from sidecar.deliveries.webhook_signing import CONTENT_TYPES, headers, signature

KEY = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
OTHER = b"another key of twenty-four"


def test_the_check_vector() -> None:
    """Source: the wire contract."""
    signed = signature("msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", b'{"test": 2432232314}', [KEY])
    assert signed == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize("body", [b'{"a":"\xc3\xbc"}', b"[]", b'"' + b"x" * 100_000 + b'"'])
def test_a_library_verifies_each_signature(body: bytes) -> None:
    """Whichever secret the receiver has, while one takes over from another."""
    sent = headers("id-1", body, at=time.time(), keys=[KEY, OTHER], content_type=CONTENT_TYPES["factotum"])
    for key in (KEY, OTHER):
        standardwebhooks.Webhook(base64.b64encode(key).decode()).verify(body, sent)
    changed = sent | {"webhook-id": "id-2"}
    with pytest.raises(standardwebhooks.webhooks.WebhookVerificationError):
        standardwebhooks.Webhook(base64.b64encode(KEY).decode()).verify(body, changed)


def test_without_a_key_nothing_is_signed() -> None:
    """The time is that of the attempt, in whole seconds."""
    sent = headers("id-1", b"{}", at=1614265330.9, keys=[], content_type="application/json")
    assert sent == {"Content-Type": "application/json", "webhook-id": "id-1", "webhook-timestamp": "1614265330"}
