"""Jobs as rows: every change of one is a function of a connection, inside a transaction of the database.

A queued row has a `place` in its queue, or none while it waits for its time `due`. A delay that
starts at a moment, as before a retry, has that moment in `since`: setting the clock back to before it ends the delay.
`attempts` grows when a row is claimed, so a worker with an earlier attempt changes nothing any more.
"""

import sqlite3
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from saq.job import TERMINAL_STATUSES, Status

Document = dict[str, Any]
Dump = Callable[[Mapping[Any, Any]], bytes]
Load = Callable[[bytes], Document]

GET: Final = """
    SELECT queue, key, status, attempts, document, owner, version FROM job
    WHERE key = ? AND queue = ? AND (drop_at IS NULL OR drop_at > ?)
"""
FIND: Final = """
    SELECT queue, key, status, attempts, document, owner, version FROM job
    WHERE key = ? AND (drop_at IS NULL OR drop_at > ?) ORDER BY number LIMIT 1
"""
RUNNING: Final = """
    SELECT queue, key, status, attempts, document, owner, version FROM job
    WHERE queue = ? AND status IN ('active', 'aborting')
"""
UNFINISHED: Final = """
    SELECT queue, key, status, attempts, document, owner, version FROM job
    WHERE status IN ('queued', 'active', 'aborting') AND queue BETWEEN ? AND ? ORDER BY number
"""
NEXT_DUE: Final = """
    SELECT 0 FROM job WHERE queue = ?1 AND status = 'queued' AND place IS NOT NULL
    UNION ALL SELECT 0 FROM job WHERE queue = ?1 AND since > ?2
    UNION ALL SELECT * FROM (
        SELECT due FROM job WHERE queue = ?1 AND status = 'queued' AND place IS NULL ORDER BY due LIMIT 1)
    LIMIT 1
"""
"""Selects the time of the next due job: 0 for now. Parameters: queue, now."""
PAGE: Final = """
    SELECT queue, key, status, attempts, document, owner, version FROM job WHERE number IN (
        SELECT number FROM job WHERE status IN (SELECT value FROM json_each(?)) AND (drop_at IS NULL OR drop_at > ?)
        ORDER BY number DESC LIMIT ? OFFSET ?)
    ORDER BY number DESC
"""
ANY_DUE: Final = """
    SELECT 1 FROM job WHERE queue = ?1 AND status = 'queued' AND place IS NULL AND due <= ?2
    UNION ALL SELECT 1 FROM job WHERE queue = ?1 AND since > ?2
"""
ANY_EXPIRED: Final = """
    SELECT 1 FROM job WHERE drop_at <= ?1 UNION ALL SELECT 1 FROM worker WHERE expires <= ?1 LIMIT 1
"""
INCOMPLETE: Final = """
    SELECT queue, key, status, attempts, document, owner, version FROM job
    WHERE queue = ? AND status IN ('queued', 'active') ORDER BY status, place IS NULL, place, due LIMIT ? OFFSET ?
"""
COUNT: Final = """
    SELECT count(*) FROM job
    WHERE status IN (SELECT value FROM json_each(?)) AND (drop_at IS NULL OR drop_at > ?)
"""
COUNTS: Final = {
    "queued": """
        SELECT count(*) FROM job WHERE queue = ? AND status = 'queued' AND (place IS NOT NULL OR due <= ?)
    """,
    "active": "SELECT count(*) FROM job WHERE queue = ? AND status = 'active' AND ? > 0",
    "incomplete": "SELECT count(*) FROM job WHERE queue = ? AND status IN ('queued', 'active') AND ? > 0",
}
"""Parameters: queue, now."""
AFTER: Final = """
    SELECT queue, key, status, attempts, document, owner, version, number FROM job
    WHERE queue = ? AND number > ? AND (drop_at IS NULL OR drop_at > ?) ORDER BY number LIMIT ?
"""

_LAST_PLACE: Final = """
    SELECT coalesce(max(place), 0) + 1 FROM job WHERE queue = ? AND status = 'queued' AND place IS NOT NULL
"""
_INSERT: Final = """
    INSERT INTO job (key, queue, status, place, due, attempts, document) VALUES (?, ?, 'queued', ?, ?, ?, ?)
"""
_DUE: Final = """
    SELECT number, key, due FROM job WHERE queue = ?1 AND status = 'queued' AND place IS NULL AND due <= ?2
    UNION SELECT number, key, due FROM job WHERE queue = ?1 AND since > ?2
    ORDER BY 3, 1
"""
_PLACE: Final = "UPDATE job SET place = ?, since = NULL, version = version + 1 WHERE number = ?"
_FIRST: Final = """
    SELECT number, document FROM job
    WHERE queue = ? AND status = 'queued' AND place IS NOT NULL ORDER BY place LIMIT 1
"""
_CLAIM: Final = """
    UPDATE job SET status = 'active', owner = ?, attempts = attempts + 1, place = NULL, since = NULL, document = ?,
        version = version + 1
    WHERE number = ? RETURNING queue, key, status, attempts, document, owner, version
"""
_UPDATE: Final = """
    UPDATE job SET status = ?1, owner = ?2, document = ?3, version = version + 1,
        place = CASE ?1 WHEN 'queued' THEN place END
    WHERE key = ?4 AND queue = ?5
"""
_REQUEUE: Final = """
    UPDATE job SET status = 'queued', place = ?, due = ?, since = ?, document = ?, owner = NULL, drop_at = NULL,
        version = version + 1
    WHERE key = ? AND queue = ?
"""
_FINISH: Final = """
    UPDATE job SET status = ?, drop_at = ?, document = ?, place = NULL, since = NULL, owner = NULL,
        version = version + 1
    WHERE key = ? AND queue = ?
"""
_DELETE: Final = "DELETE FROM job WHERE key = ? AND queue = ?"


class Row(NamedTuple):
    """A stored job."""

    queue: str
    key: str
    status: str
    attempts: int
    document: bytes
    owner: str | None
    """The process that runs it."""
    version: int
    """Grows with every change."""


class NewRow(NamedTuple):
    """A job to be stored."""

    queue: str
    key: str
    due: float
    """Unix seconds; 0 for at once."""
    attempts: int
    document: bytes


def insert(connection: sqlite3.Connection, row: NewRow) -> None:
    """Adds a row."""
    place = None if row.due else _last_place(connection, row.queue)
    connection.execute(_INSERT, (row.key, row.queue, place, row.due, row.attempts, row.document))


def insert_once(connection: sqlite3.Connection, row: NewRow, now: float) -> bool:
    """Adds a row unless any queue has one with that key; returns whether it did."""
    connection.execute("DELETE FROM job WHERE key = ? AND drop_at <= ?", (row.key, now))
    if connection.execute("SELECT 1 FROM job WHERE key = ?", (row.key,)).fetchone():
        return False
    insert(connection, row)
    return True


def insert_or_replace(connection: sqlite3.Connection, row: NewRow) -> bool:
    """Adds a row unless this queue has an unfinished one with that key, as SAQ does; returns whether it did."""
    kept = get(connection, row.queue, row.key)
    if kept is not None:
        if Status(kept.status) not in TERMINAL_STATUSES:
            return False
        connection.execute(_DELETE, (row.key, row.queue))
    insert(connection, row)
    return True


def get(connection: sqlite3.Connection, queue: str, key: str) -> Row | None:
    """Returns the row as the transaction sees it."""
    row = connection.execute(GET, (key, queue, 0)).fetchone()
    return Row(*row) if row else None


def promote(connection: sqlite3.Connection, queue: str, now: float) -> list[str]:
    """Queues scheduled jobs that are due; returns their keys."""
    due = connection.execute(_DUE, (queue, now)).fetchall()
    for number, _, _ in due:
        connection.execute(_PLACE, (_last_place(connection, queue), number))
    return [key for _, key, _ in due]


def claim(
    connection: sqlite3.Connection, queue: str, owner: str, now: float, edit: Callable[[bytes], bytes]
) -> Row | None:
    """Claims the first job for `owner`: counts an attempt and applies `edit` to the document."""
    promote(connection, queue, now)
    row = connection.execute(_FIRST, (queue,)).fetchone()
    if row is None:
        return None
    number, document = row
    taken = connection.execute(_CLAIM, (owner, edit(document), number)).fetchone()
    return Row(*taken)


def release(connection: sqlite3.Connection, queue: str, key: str) -> None:
    """Undoes `claim`: the job was not started."""
    row = get(connection, queue, key)
    if row is not None and row.status == Status.ACTIVE:
        requeue(connection, row, row.document, None)
        connection.execute("UPDATE job SET attempts = attempts - 1 WHERE key = ? AND queue = ?", (key, queue))


def update(connection: sqlite3.Connection, row: Row, status: Status, document: bytes, owner: str | None) -> None:
    """Updates a row's document and status; it has an owner only while it runs."""
    if status == Status.QUEUED != row.status:
        requeue(connection, row, document, None)
    else:
        owner = owner if status in (Status.ACTIVE, Status.ABORTING) else None
        connection.execute(_UPDATE, (status.value, owner, document, row.key, row.queue))


def requeue(connection: sqlite3.Connection, row: Row, document: bytes, wait: tuple[float, float] | None) -> None:
    """Moves a row to the end of its queue, or delays it: `wait` is from when, and until when."""
    since, due = wait or (None, 0)
    place = None if wait else _last_place(connection, row.queue)
    connection.execute(_REQUEUE, (place, due, since, document, row.key, row.queue))


def finish(connection: sqlite3.Connection, row: Row, status: Status, document: bytes, ttl: int, now: float) -> None:
    """Finishes a job, which is kept for `ttl` seconds, forever with 0, not at all with less."""
    if ttl < 0:
        connection.execute(_DELETE, (row.key, row.queue))
    else:
        connection.execute(_FINISH, (status.value, now + ttl if ttl else None, document, row.key, row.queue))


def delete_expired(connection: sqlite3.Connection, now: float) -> None:
    """Deletes expired jobs and workers."""
    connection.execute("DELETE FROM job WHERE drop_at <= ?", (now,))
    connection.execute("DELETE FROM worker WHERE expires <= ?", (now,))


def _last_place(connection: sqlite3.Connection, queue: str) -> int:
    place: int = connection.execute(_LAST_PLACE, (queue,)).fetchone()[0]
    return place
