"""The outbox's SQL on the table `parcel`, whose column `lane` is the ordering key.

Status 0 is pending, 1 dead; only the first pending message of an ordering key is due. Encryption adds 40 bytes.
"""

from typing import Final

INSERT: Final = """
    INSERT OR IGNORE INTO parcel (id, endpoint, lane, kind, created, body, sealed, status, error, due)
    SELECT :id, :endpoint, :ordering_key, :kind, :created, :body, :sealed,
        disabled, CASE WHEN disabled THEN 'the endpoint is gone' END,
        CASE WHEN NOT disabled AND NOT EXISTS (
            SELECT 1 FROM parcel WHERE endpoint = :endpoint AND lane = :ordering_key AND status = 0
        ) THEN :created END
    FROM (SELECT coalesce((SELECT disabled FROM endpoint WHERE id = :endpoint), 0) AS disabled)
"""
MAKE_NEXT_DUE: Final = """
    UPDATE parcel SET due = ? WHERE due IS NULL AND number = (
        SELECT min(number) FROM parcel WHERE endpoint = ? AND lane = ? AND status = 0
    )
"""
DUE: Final = """
    SELECT number, id, lane, kind, created, attempts, length(body) - 40 * sealed FROM parcel
    WHERE endpoint = ? AND due <= ? ORDER BY due, number LIMIT ?
"""
PENDING: Final = """
    SELECT number, id, lane, kind, created, attempts, length(body) - 40 * sealed FROM parcel
    WHERE endpoint = ? AND lane = ? AND status = 0 ORDER BY number LIMIT ?
"""
LIST: Final = """
    SELECT id, endpoint, kind, lane, status, length(body) - 40 * sealed, created, attempts, due, error FROM parcel
    WHERE number IN (
        SELECT number FROM parcel INDEXED BY parcel_lane WHERE status = 0 AND 0 IN (?1, ?2)
        UNION ALL SELECT number FROM parcel INDEXED BY parcel_dead WHERE status = 1 AND 1 IN (?1, ?2)
        ORDER BY number LIMIT ?3 OFFSET ?4
    ) ORDER BY number
"""
"""The offset is skipped in an index: rows, with their bodies, are read for one page only."""
COUNTS: Final = """
    SELECT (SELECT count(*) FROM parcel INDEXED BY parcel_lane WHERE status = 0),
        (SELECT count(*) FROM parcel INDEXED BY parcel_dead WHERE status = 1)
"""
OLDER: Final = """
    SELECT id, endpoint, kind, lane, status, length(body) - 40 * sealed, created, attempts, due, error FROM parcel
    WHERE endpoint = ? AND status = 0 AND created <= ? ORDER BY number LIMIT ?
"""
OLDER_KEYS: Final = "SELECT DISTINCT lane FROM parcel WHERE endpoint = ? AND status = 0 AND created <= ?"
MARK_OLDER_DEAD: Final = """
    UPDATE parcel SET status = 1, due = NULL, error = ? WHERE endpoint = ? AND status = 0 AND created <= ?
"""
BY_ID: Final = """
    SELECT number, id, endpoint, lane, kind, body, sealed, status FROM parcel
    WHERE id = ?1 AND endpoint = coalesce(?2, endpoint)
"""
TRIM: Final = """
    DELETE FROM parcel WHERE number IN (
        SELECT number FROM (
            SELECT number, created,
                row_number() OVER (ORDER BY number DESC) AS place,
                sum(length(body)) OVER (ORDER BY number DESC) AS total
            FROM parcel WHERE status = 1
        ) WHERE place > ? OR total > ? OR created < ?
    )
"""
