"""Logins of a fleet: what is sealed of each, in the Redis that its machines share."""

from redis.asyncio import Redis

from sidecar.storage.redis_client import call


class RedisLogins:
    """A sealed document for each scope. Every call may raise StoreFailed."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def put(self, account_id: str, sealed: str) -> None:
        """Keeps the document of a scope, in the place of the one before it."""
        await call(self._redis.set(_name(account_id), sealed))

    async def get(self, account_id: str) -> str | None:
        """The document of a scope; None where there is none."""
        sealed: bytes | None = await call(self._redis.get(_name(account_id)))
        return None if sealed is None else sealed.decode()


def _name(account_id: str) -> str:
    return f"sidecar:login:{account_id}"
