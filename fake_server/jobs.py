"""Jobs and submissions as values, which the lab returns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .faults import Fault
from .scenario import PENDING, Life

Fields = Mapping[str, Any]


@dataclass(frozen=True)
class Submission:
    """A job that was created. It stays after the job is deleted.

    Attributes:
        job_id: The id of the job.
        at: Seconds since the server started or was restarted by `play`.
        fields: The fields of the request as sent. An upload is `file`, its name, and `file_bytes`, its size.
    """

    job_id: str
    at: float
    fields: Fields


@dataclass(frozen=True)
class Look:
    """The state of a job at one time.

    Attributes:
        job_id: The id of the job. None for the single job.
        life: The course of the job.
        elapsed: Seconds since it started.
        began_at: Its start in seconds of the Unix epoch.
        fields: The fields of its request.
    """

    job_id: str | None
    life: Life
    elapsed: float
    began_at: float
    fields: Fields

    @property
    def status(self) -> str:
        """The status word of the reference service."""
        return self.life.status_at(self.elapsed)

    @property
    def has_result(self) -> bool:
        """True if the result is available."""
        return self.life.has_result_at(self.elapsed)

    @property
    def share(self) -> float:
        """The fraction of the duration that has passed, from 0 to 1."""
        return min(self.elapsed / self.life.duration, 1.0) if self.status == PENDING else 1.0


@dataclass(frozen=True)
class Sighting:
    """The state of a job, and the fault of the response about it."""

    look: Look
    fault: Fault | None


class NoSuchJob(KeyError):
    """There is no job with this id."""

    def __init__(self, job_id: str | None) -> None:
        super().__init__(job_id)
        self.job_id = job_id

    def __str__(self) -> str:
        return f"there is no job {self.job_id!r}"


class TooManyJobs(Exception):
    """The limit of pending jobs is reached.

    Attributes:
        limit: The most pending jobs.
        seconds: Seconds until the first of them finishes.
    """

    def __init__(self, limit: int, seconds: float) -> None:
        super().__init__(limit, seconds)  # the arguments, so that it can be pickled
        self.limit = limit
        self.seconds = seconds

    def __str__(self) -> str:
        return f"{self.limit} jobs may be pending at once, and no more"
