"""get_secret, get_users_secret, get_user_secret."""

from sidecar_protocol.secrets import SecretRequest, UserSecret
from sidecar_protocol.wire_types import Raw

from sidecar.rtcv.secrets import fetch, shaped
from sidecar.server.handlers.context import HandlerContext


async def get_secret(context: HandlerContext, content: SecretRequest) -> Raw:
    """Any JSON, byte for byte."""
    return await fetch(context.session, content.key, content.encryption_key)


async def get_users_secret(context: HandlerContext, content: SecretRequest) -> list[UserSecret]:
    """A list of logins; the key is `users` unless another is given."""
    key = content.key or "users"
    return shaped(
        await fetch(context.session, key, content.encryption_key), list[UserSecret], UserSecret.model_fields, key
    )


async def get_user_secret(context: HandlerContext, content: SecretRequest) -> UserSecret:
    """One login; the key is `user` unless another is given."""
    key = content.key or "user"
    return shaped(await fetch(context.session, key, content.encryption_key), UserSecret, UserSecret.model_fields, key)
