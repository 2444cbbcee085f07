"""Jobs and their statuses as plain values."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from enum import Enum
from typing import Any

from . import errors
from .errors import JobFailed
from .json_values import json_value
from .problems import Problem
from .redaction import Secrets

_SHOWN = "_shown"
"""The attribute with the texts for fields that no text may show as they are. Not a field: it is not data of the service."""


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


@dataclass(frozen=True, repr=False)
class Job:
    """One job as it was last seen.

    Text is free of secrets, and data is what the service sent: `error` is text, everything else here is data.

    Attributes:
        id: The id at the service; None for the single job of the reference service.
        status: Pending, completed or error.
        raw_status: The service's own word for it.
        progress: From 0 to 1, or None where the service does not tell.
        result_url: The URL of the result, or None. May be a signed link.
        error: What the service says went wrong, or None.
        retry_after: The seconds in the service's `Retry-After`, or None.
        checks: How many status responses had been read in this wait, this one included.
        elapsed: Seconds from the start of the wait to this response.
        payload: The response as the service sent it.
        language: The target language, in the service's spelling; None if it is not known.
        expected_seconds: How long the service said that the job may take; None if it did not.
        submitted_at: When the job was submitted, in seconds of the Unix epoch by the clock here; None if that is not
            known.
        finished_at: When the service says that the job finished, or of a pending job that it will; the same, or None.
    """

    id: str | None
    status: TranslationStatus
    raw_status: str
    progress: float | None = None
    result_url: str | None = None
    error: str | None = None
    retry_after: float | None = None
    checks: int = 0
    elapsed: float = 0.0
    payload: Mapping[str, Any] = field(default_factory=dict, hash=False)
    language: str | None = None
    expected_seconds: float | None = None
    submitted_at: float | None = None
    finished_at: float | None = None

    def __repr__(self) -> str:
        """Show what is safe in a log: a payload, a link or a service's text may hold anything."""
        return (
            f"Job(id={shown_text(self, 'id')!r}, status={self.status!r}, progress={self.progress!r}, "
            f"checks={self.checks!r}, elapsed={self.elapsed!r})"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return all fields as a JSON object: a copy, in which NaN and infinite numbers are None."""
        return {one.name: json_value(getattr(self, one.name)) for one in fields(self)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Job:
        """Build a job from what `to_dict` returned, also in another version: unknown names are ignored."""
        known = {one.name: values[one.name] for one in fields(cls) if values.get(one.name) is not None}
        status = _status(known.pop("status", None))
        return cls(**{"id": None, "raw_status": str(status), **known}, status=status)

    def raise_for_status(self) -> None:
        """Do nothing unless the job failed.

        Raises:
            JobFailed: The status is `error`.
        """
        if self.status is not TranslationStatus.ERROR:
            return
        raise JobFailed(
            f"{describe_job(shown_text(self, 'id'))} failed at the service: {self.error or shown_text(self, 'raw_status')}. "
            "Asking again will not change that; submit the video anew.",
            job_id=self.id,
            job=self,
            attempts=self.checks,  # one call for each response at least; how many faults came between is not known
            checks=self.checks,
            elapsed=self.elapsed,
            may_have_been_accepted=False,
        )


errors.FACT_TYPES.update(job=Job.from_dict, problem=Problem)
vars(errors).update(Job=Job, Problem=Problem)  # named in annotations there, which `typing.get_type_hints` looks up


def with_shown_texts(job: Job, **texts: str | None) -> Job:
    """Return a job that also holds how some of its fields are shown, where that is not as they are."""
    differing = {name: text for name, text in texts.items() if text != getattr(job, name)}
    if not differing:
        return job
    copied = replace(job)
    vars(copied)[_SHOWN] = differing
    return copied


def shown_text(job: Job, name: str) -> Any:
    """Return a field of a job as `repr`, messages, log lines and terminals show it."""
    return vars(job).get(_SHOWN, {}).get(name, getattr(job, name))


def redacted(job: Job, secrets: Secrets, is_known: Callable[[str], bool]) -> Job:
    """Return a job whose texts are free of secrets, and whose data is what the service sent.

    The texts are its `error`, and its id and status word as they are shown: see `shown_text`.

    Args:
        job: The job as it was read from a response.
        secrets: What no text may show.
        is_known: Whether a status word is one of the service's own, which is no secret.
    """
    if job.error is not None:
        job = replace(job, error=secrets.shown(job.error))
    word = job.raw_status if is_known(job.raw_status) else secrets.shown(job.raw_status)
    return with_shown_texts(job, id=job.id and secrets.shown_id(job.id), raw_status=word)


def _status(word: Any) -> TranslationStatus:
    try:
        return TranslationStatus(word)
    except ValueError:  # of a newer version
        return TranslationStatus.PENDING


def describe_job(job_id: str | None) -> str:
    """Return how our messages name a job."""
    return "the job" if job_id is None else f"job {job_id!r}"
