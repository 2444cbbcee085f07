"""What a service says about a job, as plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from .errors import JobFailed


class TranslationStatus(str, Enum):
    """Where a job stands. Prints and compares as its word: `TranslationStatus.PENDING == "pending"`."""

    PENDING = "pending"
    COMPLETED = "completed"
    ERROR = "error"

    def __str__(self) -> str:
        return self.value

    @property
    def is_final(self) -> bool:
        """Whether nothing will change any more."""
        return self is not TranslationStatus.PENDING


@dataclass(frozen=True)
class Job:
    """One job as it was last seen.

    Attributes:
        id: The id at the service; None for the single job of the reference service.
        status: Pending, completed or error.
        raw_status: The service's own word for it.
        progress: From 0 to 1, or None where the service does not tell.
        result_url: Where the result is, or None. May be a signed link, so it stays out of `repr`.
        error: What the service says went wrong, or None.
        retry_after: The seconds that the service asked to be left alone, or None.
        checks: How many answers had been read in this wait, this one included.
        elapsed: Seconds from the start of the wait to this answer.
        payload: The answer as the service sent it. Stays out of `repr`, as `result_url` does.
        language: What it is translated into, in the service's spelling; None where nobody said.
        expected_seconds: How long the service said it may take, when it was ordered or asked for; None where it did not.
            A hint.
        submitted_at: When it was ordered, in seconds of the Unix epoch by the clock here; None where nobody said.
        finished_at: When the service says that it was finished, or of a pending job that it will be; the same, or None.
    """

    id: str | None
    status: TranslationStatus
    raw_status: str
    progress: float | None = None
    result_url: str | None = field(default=None, repr=False)
    error: str | None = None
    retry_after: float | None = None
    checks: int = 0
    elapsed: float = 0.0
    payload: Mapping[str, Any] = field(default_factory=dict, repr=False, hash=False)
    language: str | None = None
    expected_seconds: float | None = None
    submitted_at: float | None = None
    finished_at: float | None = None

    def raise_for_status(self) -> None:
        """Do nothing unless the job failed.

        Raises:
            JobFailed: The status is `error`.
        """
        if self.status is not TranslationStatus.ERROR:
            return
        raise JobFailed(
            f"{describe_job(self.id)} failed at the service: {self.error or self.raw_status}. "
            "Asking again will not change that; submit the video anew.",
            job_id=self.id,
            job=self,
            attempts=self.checks,  # one call for each answer at least; how many faults came between is forgotten
            checks=self.checks,
            elapsed=self.elapsed,
        )


def describe_job(job_id: str | None) -> str:
    """Name a job as our sentences do."""
    return "the job" if job_id is None else f"job {job_id!r}"
