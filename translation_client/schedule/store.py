"""The SQLite file of a history. An empty file becomes one, and a file of another program is left unchanged."""

from __future__ import annotations

import random
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TypeVar

from .censoring import Observation

T = TypeVar("T")

APPLICATION_ID = 0x54434A44  # "TCJD", by which SQLite and `file` recognise the format
SCHEMA_VERSION = 1
"""Another layout of the tables needs another number, so that an older version does not write into it."""

MAGIC = b"SQLite format 3\0"

_BUSY_SECONDS = 0.02
"""The longest sleep between attempts to lock the file. Random, as SQLite's own waiting starves some writers."""

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
        began_at REAL NOT NULL
    )""",
    "CREATE INDEX jobs_of_a_kind ON jobs (service, kind, number)",
    f"PRAGMA application_id = {APPLICATION_ID}",
    f"PRAGMA user_version = {SCHEMA_VERSION}",
)

_INSERT = """
INSERT INTO jobs (service, kind, video_seconds, expected_seconds, entered_seconds, pending_until_seconds,
                  finished_by_seconds, began_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
"""

_SELECT_UNFINISHED = """
SELECT number, entered_seconds FROM jobs
WHERE service = ? AND kind IS ? AND began_at = ? AND finished_by_seconds IS NULL
"""

_DELETE_OLD_OF_KIND = """
DELETE FROM jobs WHERE service = :service AND kind IS :kind AND number <= (
    SELECT number FROM jobs WHERE service = :service AND kind IS :kind ORDER BY number DESC LIMIT 1 OFFSET :most)
"""

_DELETE_OLD = "DELETE FROM jobs WHERE number <= (SELECT number FROM jobs ORDER BY number DESC LIMIT 1 OFFSET ?)"

_COLUMNS = """pending_until_seconds, finished_by_seconds, entered_seconds, kind, video_seconds, expected_seconds,
              number, began_at"""

_SELECT = f"""
SELECT {_COLUMNS} FROM (SELECT * FROM jobs WHERE service = :service ORDER BY number DESC LIMIT :pool)
UNION
SELECT {_COLUMNS} FROM (SELECT * FROM jobs WHERE service = :service AND kind IS :kind ORDER BY number DESC LIMIT :window)
ORDER BY number
"""  # noqa: S608  # built from constants


class ForeignFile(Exception):
    """The file is not a history, is damaged, or has an unknown version. The message says which."""


class SQLiteStore:
    """The file. Each operation opens a connection, since a kept one must cross neither a fork nor threads."""

    def __init__(self, path: str, *, is_read_only: bool) -> None:
        """Store the path. The file is not opened yet."""
        self.path = path
        self._mode = "ro" if is_read_only else "rwc"

    def check(self, lock_timeout: float) -> None:
        """Create the table in an empty file, or check that the file is an undamaged history.

        Raises:
            ForeignFile: The file is not a history, or is damaged.
            sqlite3.Error: The file is damaged, or cannot be written.
        """
        if self._mode == "ro":
            self._retry_while_locked(lock_timeout, _require_undamaged)
            return

        def check_and_write(connection: sqlite3.Connection) -> None:
            with _write_transaction(connection):
                _require_undamaged(connection)
                connection.execute(_STATEMENTS[-1])  # a test write: a read-only file can be locked too

        self._retry_while_locked(lock_timeout, check_and_write)

    def add(self, service: str, job: Observation, lock_timeout: float, *, window: int, most: int) -> None:
        """Add a job, and drop the oldest beyond the limits. An unfinished observation of the same job is replaced.

        Raises:
            ForeignFile: The file is not a history any more.
            sqlite3.Error: The file cannot be written.
        """

        def write(connection: sqlite3.Connection) -> None:
            with _write_transaction(connection):
                _require_history(connection)
                entered = job.entered
                unfinished = connection.execute(_SELECT_UNFINISHED, (service, job.kind, job.began_at)).fetchall()
                for number, entered_before in unfinished:
                    entered = min(entered, entered_before)
                    connection.execute("DELETE FROM jobs WHERE number = ?", (number,))
                values = (job.video_seconds, job.expected_seconds, entered, job.pending_until, job.finished_by)
                connection.execute(_INSERT, (service, job.kind, *values, job.began_at))
                connection.execute(_DELETE_OLD_OF_KIND, {"service": service, "kind": job.kind, "most": window})
                connection.execute(_DELETE_OLD, (most,))

        self._retry_while_locked(lock_timeout, write)

    def jobs(self, service: str, kind: str | None, lock_timeout: float, *, pool: int, window: int) -> list[Observation]:
        """Return the latest jobs of a service, and those of one kind, oldest first. Raises the errors of `add`."""
        parameters = {"service": service, "kind": kind, "pool": pool, "window": window}

        def read(connection: sqlite3.Connection) -> list[Observation]:
            if not _object_count(connection):
                return []
            _require_history(connection)
            return [Observation(*row) for row in connection.execute(_SELECT, parameters)]

        return self._retry_while_locked(lock_timeout, read)

    def version(self) -> object:
        """Return a value that changes when any process adds a job. Raises `OSError` if the file is gone."""
        with Path(self.path).open("rb", buffering=0) as file:
            return file.read(28)[24:], Path(self.path).stat().st_ino  # the change counter: sqlite.org/fileformat.html

    def _retry_while_locked(self, lock_timeout: float, operation: Callable[[sqlite3.Connection], T]) -> T:
        left = lock_timeout  # counted in sleeps, as a test may have stopped the clocks
        while True:
            try:
                with closing(self._connection()) as connection:
                    return operation(connection)
            except sqlite3.OperationalError as error:
                if "locked" not in str(error) or left <= 0:
                    raise
            seconds = min(left, random.uniform(0.1, 1.0) * _BUSY_SECONDS)  # noqa: S311  # jitter, not a secret
            time.sleep(seconds)
            left -= seconds

    def _connection(self) -> sqlite3.Connection:
        uri = f"{Path(self.path).as_uri()}?mode={self._mode}"
        return sqlite3.connect(uri, timeout=0, isolation_level=None, uri=True)


@contextmanager
def _write_transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Hold the write lock in a transaction, so that only one process creates the table."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def _require_undamaged(connection: sqlite3.Connection) -> None:
    _require_history(connection)
    state = _value(connection, "PRAGMA quick_check(1)")
    if state != "ok":
        raise ForeignFile(f"it is damaged ({state})")


def _require_history(connection: sqlite3.Connection) -> None:
    """Check that the file is a history, or create its table. Done each time, since the file may be replaced."""
    application_id, version = _value(connection, "PRAGMA application_id"), _value(connection, "PRAGMA user_version")
    if (application_id, version) == (0, 0) and not _object_count(connection):
        for statement in _STATEMENTS:
            connection.execute(statement)
    elif application_id != APPLICATION_ID:
        raise ForeignFile("it is the database of another program")
    elif version != SCHEMA_VERSION:
        raise ForeignFile(
            f"it has version {version}, and this library reads version {SCHEMA_VERSION}: use another path"
        )


def _object_count(connection: sqlite3.Connection) -> object:
    return _value(connection, "SELECT count(*) FROM sqlite_master")


def _value(connection: sqlite3.Connection, query: str) -> object:
    (value,) = connection.execute(query).fetchone()
    return value
