"""Submissions, states of jobs, and their errors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .scenario import PENDING, Life

Fields = Mapping[str, Any]
"""The fields of a request, from its JSON or its form."""


@dataclass(frozen=True)
class Submission:
    """The submission of a job. It is kept after the job is deleted.

    Attributes:
        job_id: The id of the job.
        at: Seconds since the server started or was restarted by `play`.
        fields: The fields of the request as sent. An upload is `file`, its name, and `file_bytes`, its size.
    """

    job_id: str
    at: float
    fields: Fields


@dataclass(frozen=True)
class JobState:
    """The state of a job at one time.

    Attributes:
        job_id: The id of the job. None for the single job.
        life: Its duration and outcome.
        elapsed: Seconds since it started.
        started_at: The Unix time of its start.
        fields: The fields of its submission.
    """

    job_id: str | None
    life: Life
    elapsed: float
    started_at: float
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
    def progress(self) -> float:
        """The fraction of the duration that has passed, from 0 to 1."""
        return min(self.elapsed / self.life.duration, 1.0) if self.status == PENDING else 1.0


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
        limit: The maximum of pending jobs.
        retry_after: Seconds until the first of them finishes.
    """

    def __init__(self, limit: int, retry_after: float) -> None:
        super().__init__(limit, retry_after)  # the arguments of the constructor, which pickle needs
        self.limit = limit
        self.retry_after = retry_after

    def __str__(self) -> str:
        return f"at most {self.limit} jobs may be pending at once"
