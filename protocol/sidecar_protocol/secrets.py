"""Messages that fetch secrets from the primary server."""

import msgspec

from sidecar_protocol.base import LegacyModel, Secret, no_secret


class SecretRequest(LegacyModel, frozen=True):
    """Names a secret. Source: RT-CV scraper client v1."""

    key: str = ""
    encryption_key: Secret = msgspec.field(default_factory=no_secret)


class UserSecret(LegacyModel, frozen=True):
    """The strict shape of a login; extra members are dropped."""

    username: str
    password: str
