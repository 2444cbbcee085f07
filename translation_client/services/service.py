"""What does a service say? A service is data: its paths, where things sit in its JSON, its words.

Pure: a service builds a request value and reads an answer value. It knows no socket and no time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..arguments import path_segment
from ..faults import Fault, require_usable
from ..messages import Answer, Request
from ..models import Job, TranslationStatus

MAX_WORD_LENGTH = 100
"""A longer status is no word, but something else in its place."""


@dataclass(frozen=True)
class Limits:
    """What the three clocks of a service are where the caller does not say: see `WaitPolicy`."""

    timeout: float
    max_retries: float
    request_timeout: float
    max_faults: float


@dataclass(frozen=True)
class Service:
    """One translation service.

    Attributes:
        name: What the caller calls it.
        base_url: Its own address, or None where the caller has to give one.
        limits: Its three clocks.
        status_path: Where one job is asked for; `{job_id}` stands for the percent-encoded id.
        single_job_path: Where the job without an id is asked for, or None where every job has one.
        key_header: The header that the API key travels in.
        key_prefix: What stands before the key there.
        status_field: The field of the answer that holds the status word.
        statuses: What its words mean, in lower case with `_` for blanks and dashes.
    """

    name: str
    base_url: str | None
    limits: Limits
    status_path: str
    single_job_path: str | None
    key_header: str
    key_prefix: str
    status_field: str
    statuses: Mapping[str, TranslationStatus]

    def status_request(self, job_id: str | None) -> Request:
        """Word the question how a job stands.

        Raises:
            ValueError: The id cannot be one, or is missing where every job has one.
        """
        if job_id is not None:
            return Request("GET", self.status_path.format(job_id=path_segment(job_id)))
        if self.single_job_path is None:
            raise ValueError(f"job must be given: every job of the service {self.name!r} has an id")
        return Request("GET", self.single_job_path)

    def key_headers(self, api_key: str) -> dict[str, str]:
        """The header that carries the key."""
        return {self.key_header: self.key_prefix + api_key}

    def read_status(self, answer: Answer, job_id: str | None) -> Job:
        """Read the answer to `status_request`.

        A word that the table does not know is pending: services add words, and a job is not failed by a new one.

        Raises:
            Fault: It cannot be read, or its HTTP status says to come again.
            Refusal: Its HTTP status says no.
        """
        require_usable(answer)
        payload = answer.json_object()
        if payload is None:
            raise Fault("unreadable", "the body is not a JSON object", answer)
        raw_status = payload.get(self.status_field)
        if not isinstance(raw_status, str) or not 0 < len(raw_status.strip()) <= MAX_WORD_LENGTH:
            raise Fault("unreadable", f"the body has no status in {self.status_field!r}", answer)
        return Job(
            id=job_id,
            status=self.statuses.get(_normal(raw_status), TranslationStatus.PENDING),
            raw_status=raw_status,
            progress=_part(payload.get("progress")),
            result_url=_text(payload.get("result_url")),
            error=_text(payload.get("error")),
            payload=payload,
        )

    def knows(self, raw_status: str) -> bool:
        """Whether the table has this word."""
        return _normal(raw_status) in self.statuses


def _normal(word: str) -> str:
    return word.strip().lower().replace("-", "_").replace(" ", "_")


def _part(value: Any) -> float | None:
    usable = isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= 1
    return float(value) if usable else None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None
