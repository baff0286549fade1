"""The database's schema, as a sequence of migrations."""

import sqlite3
from typing import Final

MIGRATIONS: Final = (
    """
    CREATE TABLE scope (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
    CREATE TABLE reference (
        scope INTEGER NOT NULL REFERENCES scope (id),
        name TEXT NOT NULL,
        expires REAL NOT NULL,
        PRIMARY KEY (scope, name)
    ) WITHOUT ROWID;
    """,
    """
    CREATE TABLE agenda (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        kind TEXT NOT NULL,
        id TEXT NOT NULL,
        version INTEGER NOT NULL,
        due REAL,
        drop_at REAL,
        document BLOB NOT NULL,
        UNIQUE (kind, id)
    );
    CREATE INDEX agenda_due ON agenda (kind, due) WHERE due IS NOT NULL;
    """,
    """
    CREATE TABLE endpoint (
        id TEXT PRIMARY KEY,
        kind TEXT NOT NULL,
        document TEXT NOT NULL,
        disabled INTEGER NOT NULL DEFAULT 0,
        failures INTEGER NOT NULL DEFAULT 0,
        retry_at REAL NOT NULL DEFAULT 0,
        pause REAL NOT NULL DEFAULT 0,
        owner TEXT,
        lease REAL NOT NULL DEFAULT 0
    ) WITHOUT ROWID;
    CREATE TABLE login (scope TEXT PRIMARY KEY, servers TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE parcel (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL,
        endpoint TEXT NOT NULL,
        lane TEXT NOT NULL,
        kind TEXT NOT NULL,
        created REAL NOT NULL,
        status INTEGER NOT NULL,
        due REAL,
        pause REAL NOT NULL DEFAULT 0,
        attempts INTEGER NOT NULL DEFAULT 0,
        error TEXT,
        body BLOB NOT NULL
    );
    CREATE UNIQUE INDEX parcel_id ON parcel (id, endpoint);
    CREATE INDEX parcel_lane ON parcel (endpoint, lane, number) WHERE status = 0;
    CREATE INDEX parcel_due ON parcel (endpoint, due) WHERE due IS NOT NULL;
    CREATE INDEX parcel_dead ON parcel (number) WHERE status = 1;
    """,
    """
    CREATE TABLE task_run (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL,
        task TEXT NOT NULL,
        kind TEXT NOT NULL,
        owner TEXT NOT NULL,
        due REAL,
        started REAL NOT NULL,
        ended REAL,
        status TEXT NOT NULL,
        outcome BLOB,
        UNIQUE (task, id)
    );
    CREATE INDEX task_run_task ON task_run (task, number);
    CREATE TABLE task_count (task TEXT PRIMARY KEY, runs INTEGER NOT NULL, failed INTEGER NOT NULL) WITHOUT ROWID;
    """,
    """
    CREATE TABLE job (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        key TEXT NOT NULL,
        queue TEXT NOT NULL,
        status TEXT NOT NULL,
        place INTEGER,
        due REAL NOT NULL DEFAULT 0,
        since REAL,
        attempts INTEGER NOT NULL,
        owner TEXT,
        version INTEGER NOT NULL DEFAULT 0,
        drop_at REAL,
        document BLOB NOT NULL
    );
    CREATE UNIQUE INDEX job_key ON job (key, queue);
    CREATE INDEX job_place ON job (queue, place) WHERE status = 'queued' AND place IS NOT NULL;
    CREATE INDEX job_due ON job (queue, due) WHERE status = 'queued' AND place IS NULL;
    CREATE INDEX job_since ON job (queue, since) WHERE since IS NOT NULL;
    CREATE INDEX job_running ON job (queue) WHERE status IN ('active', 'aborting');
    CREATE INDEX job_status ON job (status, number, drop_at);
    CREATE INDEX job_drop ON job (drop_at) WHERE drop_at IS NOT NULL;
    CREATE TABLE worker (
        id TEXT NOT NULL,
        queue TEXT NOT NULL,
        info BLOB NOT NULL,
        expires REAL NOT NULL,
        PRIMARY KEY (queue, id)
    ) WITHOUT ROWID;
    """,
    """
    CREATE TABLE result (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL UNIQUE,
        size INTEGER NOT NULL,
        expires REAL NOT NULL,
        body BLOB NOT NULL
    );
    CREATE INDEX result_size ON result (size);
    CREATE INDEX result_expires ON result (expires);
    CREATE TABLE message (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        process TEXT NOT NULL,
        line BLOB NOT NULL,
        expires REAL NOT NULL
    );
    CREATE INDEX message_process ON message (process, id);
    """,
    "ALTER TABLE parcel ADD COLUMN sealed INTEGER NOT NULL DEFAULT 0",
    """
    CREATE TABLE open_run (
        id TEXT PRIMARY KEY,
        owner TEXT NOT NULL,
        document BLOB NOT NULL,
        sealed INTEGER NOT NULL
    ) WITHOUT ROWID
    """,
)
"""Numbered from 1; `PRAGMA user_version` is the number of the last one applied."""


class NewerSchema(Exception):
    """The database has a newer schema than this sidecar knows."""

    def __init__(self, version: int) -> None:
        super().__init__(
            f"its schema is number {version}, made by a newer sidecar; this one knows {len(MIGRATIONS)}: upgrade it, "
            "or set SIDECAR_HOME to another folder"
        )


def check_version(connection: sqlite3.Connection) -> int:
    """Returns the schema's version without writing. Raises NewerSchema, sqlite3.Error."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > len(MIGRATIONS):
        raise NewerSchema(version)
    return int(version)


def migrate(connection: sqlite3.Connection) -> None:
    """Applies missing migrations in one transaction. Raises NewerSchema, sqlite3.Error."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        _migrate_from(check_version(connection), connection)
    except BaseException:
        connection.execute("ROLLBACK")
        raise


def _migrate_from(version: int, connection: sqlite3.Connection) -> None:
    for number, script in enumerate(MIGRATIONS[version:], start=version + 1):
        for statement in script.split(";"):
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {number}")
    connection.execute("COMMIT")
