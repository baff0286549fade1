"""Messages that fetch secrets from the primary server."""

from protocol.base import LegacyModel, Secret


class SecretRequest(LegacyModel):
    """Names a secret. Source: RT-CV scraper client v1."""

    key: str = ""
    encryption_key: Secret = Secret("")


class UserSecret(LegacyModel):
    """The strict shape of a login; extra members are dropped."""

    username: str
    password: str
