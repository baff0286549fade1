"""Changes of jobs in Redis. Each is one script and so atomic.

In addition to SAQ's own keys of a queue (`incomplete`, `queued`, `active`, and a document for each job) there are: a
hash `run:<key>` with the authoritative state of a job (status, attempts granted, owner, error, version), a set
`aborting`, and for all queues together `sidecar:key:<key>` (the queue of a job), `sidecar:jobs:<group>` (sorted by when
they were queued), `sidecar:expiry` and `sidecar:queues`. Keys are made from arguments: a cluster can't run these.
"""

from typing import Final

_PRELUDE: Final = """
local call, name, key = redis.call, ARGV[1], ARGV[2]
local ns = 'saq:' .. name .. ':'
local id, run, named = 'saq:job:' .. name .. ':' .. key, ns .. 'run:' .. key, 'sidecar:key:' .. key
local incomplete, queued, active, aborting = ns .. 'incomplete', ns .. 'queued', ns .. 'active', ns .. 'aborting'
local ended = {complete = true, failed = true, aborted = true}
local status = call('HGET', run, 'status')
local granted = tonumber(call('HGET', run, 'attempts') or 0)

local function regroup(group)
    local number = call('ZSCORE', 'sidecar:jobs:all', key)
    for _, other in ipairs({'pending', 'complete', 'failed', 'aborted'}) do
        call('ZREM', 'sidecar:jobs:' .. other, key)
    end
    if group and number then
        call('ZADD', 'sidecar:jobs:' .. group, number, key)
    else
        call('ZREM', 'sidecar:jobs:all', key)
    end
end

local function become(new)
    call('HSET', run, 'status', new)
    call('HINCRBY', run, 'version', 1)
    call('PUBLISH', id, new)
end

local function leave()
    call('LREM', active, 0, id)
    call('LREM', queued, 0, id)
    call('SREM', aborting, id)
    call('ZREM', incomplete, id)
end

local function queue(score)
    leave()
    call('ZADD', incomplete, score, id)
    if tonumber(score) == 0 then call('RPUSH', queued, id) end
    for _, kept in ipairs({run, named}) do call('PERSIST', kept) end
    call('ZREM', 'sidecar:expiry', key)
    call('HDEL', run, 'owner', 'error')
    become('queued')
end

local function finish(document, new, ttl, now)
    leave()
    if ttl < 0 then
        call('DEL', id, run, named)
        regroup(nil)
        call('PUBLISH', id, new)
        return
    end
    become(new)
    call('HDEL', run, 'owner', 'error')
    regroup(new)
    call('SET', id, document)
    if ttl > 0 then
        for _, kept in ipairs({id, run, named}) do call('EXPIRE', kept, ttl) end
        call('ZADD', 'sidecar:expiry', now + ttl, key)
    end
end
"""

ENTER: Final = (
    _PRELUDE
    + """
-- name, key, document, score, attempts, whether once
if (ARGV[6] == '1' and call('EXISTS', named) == 1) or (status and not ended[status]) then return 0 end
call('SET', id, ARGV[3])
call('SET', named, name)
call('HSET', run, 'attempts', ARGV[5])
call('SADD', 'sidecar:queues', name)
call('ZADD', 'sidecar:jobs:all', call('INCR', 'sidecar:number'), key)
regroup('pending')
queue(ARGV[4])
return 1
"""
)
"""Stores a new job; returns whether it did."""

CLAIM: Final = (
    _PRELUDE
    + """
-- name, key, process
local document = call('GET', id)
if not document or status ~= 'queued' then
    -- one that is active is ours, where the answer to the first call was lost: it is found by what sweeps
    if not document or ended[status] then
        call('LREM', active, 0, id)
        call('ZREM', incomplete, id)
    end
    return nil
end
call('HSET', run, 'owner', ARGV[3])
become('active')
return {document, call('HINCRBY', run, 'attempts', 1)}
"""
)
"""Claims a job that was moved to `active` for a process; returns its document and attempts, including this one."""

RETURN: Final = (
    _PRELUDE
    + """
-- name, key
if status == 'queued' and call('LREM', active, 0, id) > 0 then call('LPUSH', queued, id) end
return nil
"""
)
"""Undoes the move to `active` of a job that was not claimed."""

CHANGE: Final = (
    _PRELUDE
    + """
-- name, key, attempts, document, status or nothing, process
if granted ~= tonumber(ARGV[3]) or not status then return 0 end
local new = ARGV[5]
call('SET', id, ARGV[4], 'KEEPTTL')
if new == '' or ended[status] or (status == 'aborting' and new == 'active') then
    call('HINCRBY', run, 'version', 1)
    call('PUBLISH', id, status)
elseif new == 'queued' and status ~= 'queued' then
    queue(0)
else
    if new == 'active' and status == 'queued' then
        call('LREM', queued, 0, id)
        call('RPUSH', active, id)
        call('HSET', run, 'owner', ARGV[6])
    end
    become(new)
end
return 1
"""
)
"""Stores a job's document, and its status if that may change."""

FINISH: Final = (
    _PRELUDE
    + """
-- name, key, attempts, document, status, ttl, now
if granted ~= tonumber(ARGV[3]) or not status or ended[status] then return 0 end
finish(ARGV[4], ARGV[5], tonumber(ARGV[6]), tonumber(ARGV[7]))
return 1
"""
)

RETRY: Final = (
    _PRELUDE
    + """
-- name, key, attempts, document, score, error of those that are stopped to be tried again, document if not, ttl, now
if granted ~= tonumber(ARGV[3]) or not status or status == 'complete' or status == 'failed' then return 0 end
if status == 'aborting' and call('HGET', run, 'error') ~= ARGV[6] then
    finish(ARGV[7], 'aborted', tonumber(ARGV[8]), tonumber(ARGV[9]))
    return 1
end
call('SET', id, ARGV[4])
queue(ARGV[5])
regroup('pending')
return 1
"""
)

ABORT: Final = (
    _PRELUDE
    + """
-- name, key, error, document, ttl, now
if not status or ended[status] then return '' end
if status == 'queued' then
    finish(ARGV[4], 'aborted', tonumber(ARGV[5]), tonumber(ARGV[6]))
    return 'aborted'
end
call('LREM', active, 0, id)
call('SADD', aborting, id)
call('HSET', run, 'error', ARGV[3])
become('aborting')
return 'aborting'
"""
)

LOOK: Final = """
-- name, keys...: document, status, attempts, error, owner, version for each
local rows = {}
for i = 2, #ARGV do
    local run = 'saq:' .. ARGV[1] .. ':run:' .. ARGV[i]
    local row = redis.call('HMGET', run, 'status', 'attempts', 'error', 'owner', 'version')
    table.insert(row, 1, redis.call('GET', 'saq:job:' .. ARGV[1] .. ':' .. ARGV[i]))
    rows[i - 1] = row
end
return rows
"""

FORGET: Final = """
-- now
local gone = redis.call('ZRANGEBYSCORE', 'sidecar:expiry', '-inf', ARGV[1], 'LIMIT', 0, 1000)
for _, key in ipairs(gone) do
    redis.call('ZREM', 'sidecar:expiry', key)
    for _, group in ipairs({'all', 'pending', 'complete', 'failed', 'aborted'}) do
        redis.call('ZREM', 'sidecar:jobs:' .. group, key)
    end
end
return #gone
"""
"""Removes expired jobs from the lists."""
