"""What has this errand seen so far? The one thing about a wait that changes."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

from .clock import Deadline, now
from .faults import Fault
from .messages import Answer
from .models import Job
from .origins import without_secrets
from .purposes import Purpose
from .redaction import Secrets

MAX_KINDS_SEEN = 50
"""Kinds of answers that are told apart: a wait without end, and a server that never says the same twice, fill no memory."""

OTHER = "other"


class Progress:
    """The counts and the last answers of one errand: a wait, an order, a download."""

    def __init__(
        self, job_id: str | None, purpose: Purpose, timeout: float, secrets: Secrets, started: float | None = None
    ) -> None:
        """Start the clock.

        Args:
            job_id: The job it is about.
            purpose: What it is for.
            timeout: Seconds for all of it.
            secrets: What the evidence must not show.
            started: When it began, in the seconds of `clock.now`; None for now.
        """
        self.secrets = secrets
        self.job_id = job_id
        self.purpose = purpose
        self.asked_url = ""
        self.may_have_been_accepted = False
        self.idempotency_key: str | None = None
        self.hint: float | None = None
        self.timeout = timeout
        self.started = now() if started is None else started
        self.deadline = Deadline(self.started + timeout)
        self.attempts = 0
        self.job: Job | None = None
        self.last_fault: Fault | None = None
        self.slowest_answer = 0.0
        self.latest_answer = 0.0
        self.seen: Counter[str] = Counter()
        self._unknown_words: set[str] = set()

    @property
    def url(self) -> str:
        """What was asked last, without anything secret; empty before the first call."""
        return without_secrets(self.asked_url) if self.asked_url else ""

    @property
    def elapsed(self) -> float:
        """Seconds since the start."""
        return now() - self.started

    @property
    def checks(self) -> int:
        """How many answers could be read."""
        return 0 if self.job is None else self.job.checks

    def answered(self, answer: Answer) -> None:
        """Remember how long the server takes to answer at all."""
        self.latest_answer = answer.seconds
        self.slowest_answer = max(self.slowest_answer, answer.seconds)

    def saw(self, job: Job) -> None:
        """Remember an answer that could be read."""
        self.job = job
        self.count(job.raw_status)

    def saw_fault(self, fault: Fault) -> None:
        """Remember a call that brought none."""
        self.last_fault = fault
        self.count(fault.kind if fault.status_code is None else f"HTTP {fault.status_code}")

    def count(self, what: str) -> None:
        """Count an answer."""
        known = what in self.seen or len(self.seen) < MAX_KINDS_SEEN
        self.seen[what if known else OTHER] += 1

    def is_new_word(self, raw_status: str) -> bool:
        """Whether an unknown status word is met for the first time; after many of them none is new any more."""
        if raw_status in self._unknown_words or len(self._unknown_words) >= MAX_KINDS_SEEN:
            return False
        self._unknown_words.add(raw_status)
        return True

    def evidence(self) -> dict[str, Any]:
        """What every error carries."""
        return {
            "job_id": self.job_id,
            "job": self.job and replace(self.job, payload=self.secrets.scrub(self.job.payload)),
            "attempts": self.attempts,
            "checks": self.checks,
            "elapsed": self.elapsed,
            "may_have_been_accepted": self.may_have_been_accepted,
            "idempotency_key": self.idempotency_key,
        }
