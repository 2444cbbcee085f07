"""The durations of past jobs, in a small SQLite file that processes may share, or in memory."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

from .. import _config
from .._exports import exported_from
from .censoring import Observation
from .store import MAGIC, ForeignFile, SQLiteStore

MAX_JOBS_PER_KIND = 200
"""The most jobs of each kind, the latest ones: durations of a year ago say little about today's."""

MAX_JOBS_IN_FORECAST = 600
"""The most jobs of all kinds together in a forecast, the latest ones."""

MAX_JOBS = 20_000
"""The most jobs in the file, about 3 MB with their kinds."""

MAX_KINDS = 1000
"""The most kinds in memory."""

LOCK_TIMEOUT_SECONDS = 10.0
"""How long to wait for other processes that are writing."""


@exported_from("translation_client.schedule")
class HistoryFailed(Exception):
    """The history cannot be read or written at the moment. The message has the reason."""


@exported_from("translation_client")
class DurationHistory:
    """The durations of past jobs by service and kind, and nothing else about them.

    Clients and threads may share it, and processes may share its file.
    """

    def __init__(self, path: str | os.PathLike[str] | None = None, *, read_only: bool = False) -> None:
        """Open or create the file.

        Args:
            path: The path of the file. None to keep the history in memory.
            read_only: True to never write to the file.

        Raises:
            ValueError: The file cannot be written, is damaged, or is not a history of this library. It is left
                unchanged.
            TypeError: `path` is not a path.
        """
        self.path = None if path is None else _check_path(path)
        self._file = None if self.path is None else SQLiteStore(self.path, is_read_only=read_only)
        self._memory = _Memory()
        if self._file is None:
            return
        try:
            self._file.check(LOCK_TIMEOUT_SECONDS)
        except (sqlite3.Error, ForeignFile) as error:
            raise ValueError(f"history cannot be used: {self.path}: {error}. The file was left unchanged") from error

    def record(
        self,
        seconds: float,
        *,
        service: str,
        kind: str | None = None,
        video_seconds: float | None = None,
    ) -> None:
        """Record a job whose duration is known. Jobs that a client waits for are recorded by the client.

        Args:
            seconds: The duration from the start of the job to its end, in seconds.
            service: The name of the service.
            kind: The kind of the job. None for no kind in particular.
            video_seconds: The length of the video in seconds. None if it is unknown.

        Raises:
            ValueError: An argument is out of range.
            TypeError: An argument has the wrong type.
            OSError: The file cannot be written at the moment.
        """
        length = None if video_seconds is None else _config.check_positive("video_seconds", video_seconds)
        job = Observation.exact(seconds)._replace(kind=_config.check_kind(kind), video_seconds=length)
        try:
            self.add(_config.check_label("service", service), job._replace(began_at=time.time() - seconds))
        except HistoryFailed as error:
            raise OSError(str(error)) from error

    def add(self, service: str, job: Observation, lock_timeout: float = LOCK_TIMEOUT_SECONDS) -> None:
        """Add an observation of a job.

        Args:
            service: The name of the service.
            job: The observation.
            lock_timeout: Seconds to wait for processes that are writing.

        Raises:
            HistoryFailed: The file cannot be written at the moment.
            TypeError: `job` is no `Observation`.
        """
        if not isinstance(job, Observation):
            raise TypeError(f"job must be an Observation, got {job!r}")
        if self._file is None:
            self._memory.add(service, job)
            return
        with self._raising_history_failed():
            self._file.add(service, job, lock_timeout, window=MAX_JOBS_PER_KIND, most=MAX_JOBS)

    def jobs(
        self, service: str, kind: str | None = None, lock_timeout: float = LOCK_TIMEOUT_SECONDS
    ) -> list[Observation]:
        """Return the latest jobs of a service, and the latest of this kind, from oldest to newest.

        Args:
            service: The name of the service.
            kind: The kind of the jobs. None for those without a kind.
            lock_timeout: Seconds to wait for processes that are writing.

        Raises:
            HistoryFailed: The file cannot be read at the moment.
        """
        if self._file is None:
            return self._memory.jobs(service, kind)
        with self._raising_history_failed():
            return self._file.jobs(service, kind, lock_timeout, pool=MAX_JOBS_IN_FORECAST, window=MAX_JOBS_PER_KIND)

    def version(self) -> object:
        """Return a value that changes when any process adds a job. Cheap.

        Raises:
            HistoryFailed: The file is gone.
        """
        if self._file is None:
            return self._memory.version
        try:
            return self._file.version()
        except OSError as error:
            raise HistoryFailed(f"{self.path}: {error.strerror}") from error

    def __repr__(self) -> str:
        return f"DurationHistory({self.path!r})"

    @contextmanager
    def _raising_history_failed(self) -> Iterator[None]:
        """Raise errors of SQLite and of the file as `HistoryFailed`."""
        try:
            yield
        except (sqlite3.Error, ForeignFile, UnicodeError, OverflowError) as error:
            raise HistoryFailed(f"{self.path}: {error}") from error


class _Memory:
    """A history in memory, without a lock. A job may be added while another thread, or a finalizer, reads or adds.

    Attributes:
        version: A number that is another one after each job that is added.
    """

    def __init__(self) -> None:
        self.version = 0
        self._numbers = count(1)
        self._kinds: dict[tuple[str, str | None], dict[int, Observation]] = {}

    def __getstate__(self) -> dict[tuple[str, str | None], dict[int, Observation]]:
        """Return the jobs, for pickles and copies. Python 3.14 copies no `itertools.count`."""
        return {key: kept.copy() for key, kept in self._kinds.copy().items()}

    def __setstate__(self, kinds: dict[tuple[str, str | None], dict[int, Observation]]) -> None:
        self.version = max((number for kept in kinds.values() for number in kept), default=0)
        self._numbers = count(self.version + 1)
        self._kinds = kinds

    def add(self, service: str, job: Observation) -> None:
        kept = self._kinds.setdefault((service, job.kind), {})
        entered = job.entered
        for number, other in kept.copy().items():
            if other.began_at == job.began_at and other.finished_by is None:  # a wait for the same job that gave up
                entered = min(entered, other.entered)
                kept.pop(number, None)
        number = next(self._numbers)
        kept[number] = job._replace(number=number, entered=entered)
        drop_oldest(kept, MAX_JOBS_PER_KIND)
        drop_oldest(self._kinds, MAX_KINDS)
        self.version = number

    def jobs(self, service: str, kind: str | None) -> list[Observation]:
        kinds = {key[1]: [*kept.copy().values()] for key, kept in self._kinds.copy().items() if key[0] == service}
        latest = sorted((job for jobs in kinds.values() for job in jobs), key=_job_number)[-MAX_JOBS_IN_FORECAST:]
        return sorted({*latest, *kinds.get(kind, ())}, key=_job_number)


def _job_number(job: Observation) -> int:
    return job.number


def drop_oldest(entries: dict[Any, Any], most: int) -> None:
    """Drop the oldest entries of a dictionary beyond `most`. Other threads may change it at the same time.

    `dict.copy`, and `dict.pop` if `__hash__` and `__eq__` of the keys are not written in Python, are atomic. An
    iteration is not.
    """
    if len(entries) > most:
        for key in [*entries.copy()][:-most]:
            entries.pop(key, None)


def _check_path(path: str | os.PathLike[str]) -> str:
    if not isinstance(path, (str, os.PathLike)) or isinstance(os.fspath(path), bytes):
        raise TypeError(f"path must be a str or an os.PathLike of str, or None for memory, got {path!r}")
    if not os.fspath(path) or "\0" in os.fspath(path):
        raise ValueError(f"history must be the path of a file, got {os.fspath(path)!r}")
    absolute = Path(path).absolute()  # an absolute path is never a special name of SQLite, such as `:memory:`
    try:
        _require_database(absolute)
    except OSError as error:
        raise ValueError(f"history cannot be used: {str(path)[:200]!r}: {error.strerror}") from error
    return str(absolute)


def _require_database(path: Path) -> None:
    if not path.parent.is_dir():
        raise ValueError(f"history must be in a folder that exists, got {str(path)!r}")
    if not path.exists():
        return
    if not path.is_file():
        raise ValueError(f"history must be the path of a file, and {str(path)!r} is a folder or a device")
    with path.open("rb") as file:
        if file.read(len(MAGIC)) not in (b"", MAGIC):
            raise ValueError(f"history cannot be used: {path} is not a database. The file was left unchanged")


def open_history(history: object) -> DurationHistory:
    """Return the history for a `history` argument: a path, True for memory, or a `DurationHistory`.

    Raises:
        ValueError: The file is not a usable history.
        TypeError: The argument has the wrong type.
    """
    if isinstance(history, DurationHistory):
        return history
    if not isinstance(history, (str, os.PathLike)) and history is not True:
        raise TypeError(f"history must be the path of a file, True for memory, or a DurationHistory, got {history!r}")
    return DurationHistory() if history is True else DurationHistory(history)


def history_from_durations(durations: Iterable[float], service: str) -> DurationHistory:
    """Return a history in memory with these durations in seconds. Only the latest are kept.

    Raises:
        ValueError: A duration is out of range.
        TypeError: A duration is not a number.
    """
    history = DurationHistory()
    for number, seconds in enumerate(durations):
        history.add(service, Observation.exact(seconds)._replace(began_at=float(number)))
    return history
