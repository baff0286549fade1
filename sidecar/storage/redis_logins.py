"""Logins of a fleet in Redis, encrypted."""

from redis.asyncio import Redis

from sidecar.storage.redis_client import call


class RedisLogins:
    """An encrypted document for each account. Every call may raise StoreFailed."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def put(self, account_id: str, encrypted: str) -> None:
        """Stores an account's document, replacing the previous one."""
        await call(self._redis.set(_name(account_id), encrypted))

    async def get(self, account_id: str) -> str | None:
        """Returns an account's document; None if there is none."""
        encrypted: bytes | None = await call(self._redis.get(_name(account_id)))
        return None if encrypted is None else encrypted.decode()


def _name(account_id: str) -> str:
    return f"sidecar:login:{account_id}"
