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
    """A job that was made. One that is deleted has been ordered all the same.

    Attributes:
        job_id: What the service calls it.
        at: Seconds since the server started, or was told to play another scenario.
        fields: What was asked for, as it was sent; an upload is `file`, its name, and `file_bytes`, its length.
    """

    job_id: str
    at: float
    fields: Fields


@dataclass(frozen=True)
class Look:
    """How a job stands at one moment.

    Attributes:
        job_id: None for the seed's single job.
        life: What becomes of it.
        elapsed: Seconds since it began.
        began_at: When it began, in seconds of the Unix epoch.
        fields: What was asked for.
    """

    job_id: str | None
    life: Life
    elapsed: float
    began_at: float
    fields: Fields

    @property
    def status(self) -> str:
        """In the words of the reference service."""
        return self.life.status_at(self.elapsed)

    @property
    def has_result(self) -> bool:
        """Whether the result can be had."""
        return self.life.has_result_at(self.elapsed)

    @property
    def share(self) -> float:
        """How much of its life has passed, from 0 to 1."""
        return min(self.elapsed / self.life.duration, 1.0) if self.status == PENDING else 1.0


@dataclass(frozen=True)
class Sighting:
    """What one answer about a job is made of."""

    look: Look
    fault: Fault | None


class NoSuchJob(KeyError):
    """There is no job of that id."""

    def __init__(self, job_id: str | None) -> None:
        super().__init__(job_id)
        self.job_id = job_id

    def __str__(self) -> str:
        return f"there is no job {self.job_id!r}"


class TooManyJobs(Exception):
    """One job more than may be pending at once.

    Attributes:
        limit: How many may be pending.
        seconds: Until the first of those that are pending is finished.
    """

    def __init__(self, limit: int, seconds: float) -> None:
        super().__init__(limit, seconds)  # what it is built from, so that it can be pickled
        self.limit = limit
        self.seconds = seconds

    def __str__(self) -> str:
        return f"{self.limit} jobs may be pending at once, and no more"
