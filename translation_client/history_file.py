"""Is this file a history of ours? One that is empty is made one; any other is left alone."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

APPLICATION_ID = 0x54434A44  # "TCJD", by which SQLite and `file` tell our files from others
VERSION = 1

_MARK_OF_VERSION = f"PRAGMA user_version = {VERSION}"

_STATEMENTS = (
    """CREATE TABLE jobs (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        service TEXT NOT NULL,
        kind TEXT,
        video_seconds REAL,
        expected_seconds REAL,
        entered_seconds REAL NOT NULL,
        pending_until_seconds REAL NOT NULL,
        finished_by_seconds REAL,
        recorded_at REAL NOT NULL
    )""",
    "CREATE INDEX jobs_of_a_kind ON jobs (service, kind, number)",
    f"PRAGMA application_id = {APPLICATION_ID}",
    _MARK_OF_VERSION,
)


def prepare(connection: sqlite3.Connection, path: str | None) -> None:
    """Make the table in an empty file, and look whether any other is ours and whole.

    Raises:
        ValueError: It is not ours, or of a version that is not known here.
        sqlite3.Error: It is damaged, or cannot be written.
    """
    with _written_by_us_alone(connection):
        found, version, things = (
            _value(connection, query)
            for query in ("PRAGMA application_id", "PRAGMA user_version", "SELECT count(*) FROM sqlite_master")
        )
        if (found, version, things) == (0, 0, 0):
            _make(connection)
        elif found != APPLICATION_ID:
            raise ValueError(f"history cannot be used: {path} is a database of something else. It was left as it is")
        elif version != VERSION:
            raise ValueError(
                f"history cannot be used: {path} has version {version}, and this library reads version {VERSION}. "
                "It was left as it is: give another path"
            )
        state = _value(connection, "PRAGMA quick_check(1)")
        if state != "ok":
            raise ValueError(f"history cannot be used: {path} is damaged ({state}). It was left as it is")
        connection.execute(_MARK_OF_VERSION)  # once more: to take the lock proves nothing of a file that is read-only


@contextmanager
def _written_by_us_alone(connection: sqlite3.Connection) -> Iterator[None]:
    """Hold the lock of those that write: only one process makes the table."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def _make(connection: sqlite3.Connection) -> None:
    for statement in _STATEMENTS:
        connection.execute(statement)


def _value(connection: sqlite3.Connection, query: str) -> object:
    (value,) = connection.execute(query).fetchone()
    return value
