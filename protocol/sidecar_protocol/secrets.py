"""Messages that fetch secrets from the primary server."""

from sidecar_protocol.models import Bound, V1Model
from sidecar_protocol.wire_types import Secret, no_secret


class SecretRequest(V1Model):
    """Names a secret. Source: RT-CV scraper client v1."""

    key: str = ""
    encryption_key: Secret = Bound(default_factory=no_secret)


class UserSecret(V1Model):
    """The strict shape of a login; extra members are dropped."""

    username: str
    password: str


UserSecrets = list[UserSecret]
