"""The agenda of a fleet in Redis, with the same entries and rules as `agenda.Agenda`."""

from typing import Any, Final

from redis.asyncio import Redis

from sidecar.errors import Conflict, LimitExceeded
from sidecar.storage.agenda import Agenda, Item, ItemState, Kind
from sidecar.storage.redis_client import call

_PRELUDE: Final = """
local call, ns, id = redis.call, ARGV[1], ARGV[2]
local item = ns .. 'item:' .. id
local function place(number, due, drop_at)
    call('ZREM', ns .. (drop_at == '' and 'closed' or 'open'), id)
    call('ZADD', ns .. (drop_at == '' and 'open' or 'closed'), number, id)
    if due == '' then call('ZREM', ns .. 'due', id) else call('ZADD', ns .. 'due', due, id) end
    if drop_at == '' then call('ZREM', ns .. 'drop', id) else call('ZADD', ns .. 'drop', drop_at, id) end
end
local function forget()
    call('DEL', item)
    for _, list in ipairs({'all', 'open', 'closed', 'due', 'drop'}) do call('ZREM', ns .. list, id) end
end
"""
_PUT: Final = (
    _PRELUDE
    + """
-- namespace, id, document, due, limit
if call('EXISTS', item) == 1 then return 'conflict' end
if ARGV[5] ~= '' and call('ZCARD', ns .. 'open') >= tonumber(ARGV[5]) then return 'limit' end
local number = call('INCR', ns .. 'number')
call('HSET', item, 'number', number, 'version', 1, 'document', ARGV[3], 'due', ARGV[4], 'drop_at', '')
call('ZADD', ns .. 'all', number, id)
place(number, ARGV[4], '')
return ''
"""
)
_REPLACE: Final = (
    _PRELUDE
    + """
-- namespace, id, document, due, drop_at, number, version
local now = call('HMGET', item, 'number', 'version')
if now[1] ~= ARGV[6] or now[2] ~= ARGV[7] then return 0 end
call('HINCRBY', item, 'version', 1)
call('HSET', item, 'document', ARGV[3], 'due', ARGV[4], 'drop_at', ARGV[5])
place(ARGV[6], ARGV[4], ARGV[5])
return 1
"""
)
_DELETE: Final = (
    _PRELUDE
    + """
if call('EXISTS', item) == 0 then return 0 end
forget()
return 1
"""
)
_DROP: Final = """
-- namespace, now
local ns = ARGV[1]
local gone = redis.call('ZRANGEBYSCORE', ns .. 'drop', '-inf', ARGV[2], 'LIMIT', 0, 1000)
for _, id in ipairs(gone) do
    redis.call('DEL', ns .. 'item:' .. id)
    for _, list in ipairs({'all', 'open', 'closed', 'due', 'drop'}) do redis.call('ZREM', ns .. list, id) end
end
return #gone
"""
_READ: Final = """
-- namespace, ids...
local found = {}
for i = 2, #ARGV do
    local item = ARGV[1] .. 'item:' .. ARGV[i]
    found[i - 1] = redis.call('HMGET', item, 'number', 'version', 'document', 'due', 'drop_at')
end
return found
"""


class RedisAgenda(Agenda):
    """The entries of one kind, shared by every machine of a fleet. Every call may raise StoreFailed."""

    def __init__(self, redis: Redis, kind: Kind) -> None:
        self._redis = redis
        self._kind = kind
        self._prefix = f"sidecar:agenda:{kind}:"

    async def put_new(self, id: str, document: bytes, due: float | None, limit: int | None = None) -> None:  # noqa: A002
        """Adds an open entry. Raises Conflict, and LimitExceeded at `limit` open ones."""
        said = await self._run(_PUT, id, document, _text(due), _text(limit))
        if said == b"conflict":
            raise Conflict(f"the {self._kind} {id!r} already exists")
        if said == b"limit":
            raise LimitExceeded(f"there may be at most {limit} {self._kind}s")

    async def replace(self, item: Item, document: bytes, due: float | None, drop_at: float | None = None) -> bool:
        """Changes an entry; returns False if it was changed or deleted since `item` was read."""
        values = (item.id, document, _text(due), _text(drop_at), item.number, item.version)
        return bool(await self._run(_REPLACE, *values))

    async def delete(self, id: str) -> bool:  # noqa: A002
        """Deletes an entry; returns whether there was one."""
        return bool(await self._run(_DELETE, id))

    async def delete_expired(self, now: float) -> int:
        """Deletes up to a thousand expired closed entries; returns how many."""
        return int(await self._run(_DROP, repr(now)))

    async def get(self, id: str) -> Item | None:  # noqa: A002
        """Returns the entry with that id."""
        found = await self._read([id])
        return found[0] if found else None

    async def page(self, offset: int, limit: int, state: ItemState = "all") -> list[Item]:
        """Returns up to `limit` entries, oldest first."""
        ids = await call(self._redis.zrange(self._prefix + state, offset, offset + limit - 1)) if limit > 0 else []
        return await self._read(ids)

    async def count(self, state: ItemState = "all") -> int:
        """Counts the entries."""
        return int(await call(self._redis.zcard(self._prefix + state)))

    async def next_due(self) -> float | None:
        """Returns the earliest due time, which may have passed."""
        first = await call(self._redis.zrange(self._prefix + "due", 0, 0, withscores=True))
        return float(first[0][1]) if first else None

    async def due(self, now: float, limit: int) -> list[Item]:
        """Returns up to `limit` due entries, earliest first."""
        return await self._read(await call(self._redis.zrangebyscore(self._prefix + "due", "-inf", now, 0, limit)))

    async def _read(self, ids: list[Any]) -> list[Item]:
        names = [one.decode() if isinstance(one, bytes) else one for one in ids]
        rows = await self._run(_READ, *names) if names else []
        return [_item(name, row) for name, row in zip(names, rows, strict=True) if row[0] is not None]

    async def _run(self, script: str, *arguments: str | bytes | float) -> Any:
        return await call(self._redis.eval(script, 0, self._prefix, *arguments))


def _item(name: str, row: list[bytes]) -> Item:
    number, version, document, due, drop_at = row
    return Item(int(number), int(version), name, document, _number(due), _number(drop_at))


def _text(value: float | None) -> str:
    return "" if value is None else repr(value)


def _number(text: bytes) -> float | None:
    return float(text) if text else None
