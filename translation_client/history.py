"""What did past jobs take? A small SQLite file that several processes may share, or memory that ends with the client."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
import weakref
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from . import arguments
from .history_file import prepare
from .schedule.observations import Observation, exactly

WINDOW = 200
"""Jobs that are kept for each kind, the latest: what took how long a year ago says little of today."""

POOL = 1000
"""Jobs of all kinds together that a forecast looks at, the latest."""

MOST_JOBS = 20_000
"""Jobs that are kept in all; with their kinds about three MB."""

PATIENCE_SECONDS = 5.0
"""How long to wait for another process that is writing just then."""

_INSERT = """
INSERT INTO jobs (service, kind, video_seconds, expected_seconds, entered_seconds, pending_until_seconds,
                  finished_by_seconds, recorded_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
"""

_DROP_OLD_OF_KIND = """
DELETE FROM jobs WHERE service = :service AND kind IS :kind AND number <= (
    SELECT number FROM jobs WHERE service = :service AND kind IS :kind ORDER BY number DESC LIMIT 1 OFFSET :most)
"""

_DROP_OLD = "DELETE FROM jobs WHERE number <= (SELECT number FROM jobs ORDER BY number DESC LIMIT 1 OFFSET ?)"

_COLUMNS = "number, kind, video_seconds, expected_seconds, entered_seconds, pending_until_seconds, finished_by_seconds"

_SELECT = f"""
SELECT {_COLUMNS} FROM (SELECT * FROM jobs WHERE service = :service ORDER BY number DESC LIMIT :pool)
UNION
SELECT {_COLUMNS} FROM (SELECT * FROM jobs WHERE service = :service AND kind IS :kind ORDER BY number DESC LIMIT :window)
ORDER BY number
"""  # noqa: S608  # of constants


class HistoryFailed(Exception):
    """The history cannot be read or written just now; the text says why."""


class DurationHistory:
    """Remembers how long jobs took, by service and kind: nothing else about them.

    May be shared by clients, by threads, and, where it is a file, by processes.
    """

    def __init__(self, path: str | os.PathLike[str] | None = None) -> None:
        """Open the file, or make it; None keeps all in memory.

        Raises:
            ValueError: The file cannot be written, is damaged, or is not a history of this library. It is left as it is.
            TypeError: It is no path.
        """
        self.path = None if path is None else _checked(path)
        self._lock = threading.Lock()
        self._memory = None if self.path is not None else _in_memory(self)
        try:
            with self._connected(PATIENCE_SECONDS) as connection:
                prepare(connection, self.path)
        except sqlite3.Error as error:
            raise ValueError(f"history cannot be used: {self.path}: {error}. It was left as it is") from error

    def record(
        self,
        seconds: float,
        *,
        service: str = "reference",
        key: str | None = None,
        video_seconds: float | None = None,
    ) -> None:
        """Remember a job of which you know how long it took; what a client waits for it remembers by itself.

        Args:
            seconds: From its start to its end.
            service: The name of the service.
            key: What kind of job it was.
            video_seconds: The length of the video.

        Raises:
            ValueError: A number cannot be used.
            OSError: The file cannot be written just now.
        """
        length = None if video_seconds is None else arguments.positive("video_seconds", video_seconds)
        known = exactly(seconds)._replace(key=arguments.key(key), video_seconds=length)
        try:
            self.add(service, known)
        except HistoryFailed as error:
            raise OSError(str(error)) from error

    def add(self, service: str, job: Observation, patience: float = PATIENCE_SECONDS) -> None:
        """Remember what is known of a job.

        Args:
            service: The name of the service.
            job: It.
            patience: For how many seconds to wait for others that are writing.

        Raises:
            HistoryFailed: It cannot be written just now.
        """
        values = (job.video_seconds, job.expected_seconds, job.entered, job.pending_until, job.finished_by, time.time())
        with self._failing_clearly(), self._connected(patience) as connection, connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute(_INSERT, (service, job.key, *values))
            connection.execute(_DROP_OLD_OF_KIND, {"service": service, "kind": job.key, "most": WINDOW})
            connection.execute(_DROP_OLD, (MOST_JOBS,))

    def jobs(self, service: str, key: str | None = None, patience: float = PATIENCE_SECONDS) -> list[Observation]:
        """What is known of the latest jobs of a service, and of those of one kind, the oldest first.

        Raises:
            HistoryFailed: It cannot be read just now.
        """
        wanted = {"service": service, "kind": key, "pool": POOL, "window": WINDOW}
        with self._failing_clearly(), self._connected(patience) as connection:
            return [_observation(*row) for row in connection.execute(_SELECT, wanted)]

    def version(self) -> object:
        """Something that is another one once a job was added, by whichever process; cheap to ask.

        Raises:
            HistoryFailed: The file is gone.
        """
        if self.path is None:
            return self._memory and self._memory.total_changes
        try:
            with Path(self.path).open("rb", buffering=0) as file:
                head = file.read(28)
                return os.fstat(file.fileno()).st_ino, head[24:]  # the file change counter: sqlite.org/fileformat.html
        except OSError as error:
            raise HistoryFailed(f"{self.path}: {error.strerror}") from error

    def __repr__(self) -> str:
        return f"DurationHistory({self.path!r})"

    @contextmanager
    def _connected(self, patience: float) -> Iterator[sqlite3.Connection]:
        """A connection for one errand: one that is kept must cross neither a fork nor, at the same time, threads."""
        if self._memory is not None:
            with self._lock:
                yield self._memory
            return
        with closing(sqlite3.connect(str(self.path), timeout=patience, isolation_level=None)) as connection:
            yield connection

    @contextmanager
    def _failing_clearly(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise HistoryFailed(f"{self.path or 'memory'}: {error}") from error


def _in_memory(owner: object) -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:", check_same_thread=False, isolation_level=None)
    weakref.finalize(owner, connection.close)  # or Python complains of one that was left open
    return connection


def _checked(path: str | os.PathLike[str]) -> str:
    if not isinstance(path, (str, os.PathLike)) or isinstance(os.fspath(path), bytes):
        raise TypeError(f"history must be the path of a file, True for memory, or a DurationHistory, got {path!r}")
    if not os.fspath(path):
        raise ValueError("history must be the path of a file, got ''")
    absolute = Path(path).absolute()  # which also makes a file of what SQLite would take for something special
    if not absolute.parent.is_dir():
        raise ValueError(f"history must lie in a folder that exists, got {str(path)!r}")
    if absolute.is_dir():
        raise ValueError(f"history must be the path of a file, and {str(path)!r} is a folder")
    return str(absolute)


def _observation(
    number: int,
    key: str | None,
    video_seconds: float | None,
    expected_seconds: float | None,
    entered: float,
    pending_until: float,
    finished_by: float | None,
) -> Observation:
    return Observation(pending_until, finished_by, entered, key, video_seconds, expected_seconds, number)


def history_from(given: object) -> DurationHistory:
    """Open what the caller gives as `history`: a path, True for memory, or a history.

    Raises:
        ValueError: It cannot be used.
        TypeError: It is none of them.
    """
    if isinstance(given, DurationHistory):
        return given
    return DurationHistory() if given is True else DurationHistory(given)  # type: ignore[arg-type]  # which looks itself


def past_of(durations: Iterable[float], service: str) -> DurationHistory:
    """Make a history of durations, in memory.

    Raises:
        ValueError: One cannot be used.
        TypeError: One is no number.
    """
    past = DurationHistory()
    for seconds in durations:
        past.add(service, exactly(seconds))
    return past
