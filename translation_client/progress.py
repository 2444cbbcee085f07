"""The state of one call of the client: counts, the last responses, and what its errors carry."""

from __future__ import annotations

from collections import Counter
from typing import Any

from .clock import Deadline, Stopwatch
from .faults import Fault
from .messages import Answer
from .models import Job, shown_text
from .origins import without_secrets
from .redaction import Secrets

MAX_KINDS_SEEN = 50
"""Kinds of answers that are told apart: a wait without end, and a server that never says the same twice, fill no memory."""

OTHER = "other"


class Progress:
    """The counts and the last answers of one errand: a wait, an order, a download."""

    def __init__(self, job_id: str | None, timeout: float, secrets: Secrets, watch: Stopwatch | None = None) -> None:
        """Start.

        Args:
            job_id: The job it is about.
            timeout: Seconds for all of it.
            secrets: What the evidence must not show.
            watch: Its elapsed time; None to start counting now.
        """
        self.secrets = secrets
        self.job_id = job_id
        self.asked_url = ""
        self.base_url = ""
        self.may_have_been_accepted = False
        self.idempotency_key: str | None = None
        self.hint: float | None = None
        self.timeout = timeout
        self.watch = watch or Stopwatch()
        self.deadline = Deadline(self.watch.began_at + timeout, self.watch)
        self.attempts = 0
        self.job: Job | None = None
        self.last_fault: Fault | None = None
        self.slowest_answer = 0.0
        self.latest_answer = 0.0
        self.seen: Counter[str] = Counter()
        self._unknown_words: set[str] = set()

    @property
    def shown_id(self) -> str | None:
        """The id of the job as texts show it. A key that is in it may be learned after the call has begun."""
        return None if self.job_id is None else self.secrets.shown_id(self.job_id)

    @property
    def url(self) -> str:
        """The URL of the last request, as it may be shown; empty before the first one."""
        if not self.asked_url:
            return ""
        url = without_secrets(self.asked_url)
        is_ours = self.base_url and self.asked_url.startswith(self.base_url)  # else the service sent it
        return self.secrets.shown_id(url) if is_ours else self.secrets.scrub(url)

    @property
    def elapsed(self) -> float:
        """Seconds since the start."""
        return self.watch.elapsed

    @property
    def checks(self) -> int:
        """How many answers could be read."""
        return 0 if self.job is None else self.job.checks

    def answered(self, answer: Answer) -> None:
        """Remember how long the server takes to answer at all, and what its answer may echo."""
        self.learn_keys(answer)
        self.latest_answer = answer.seconds
        self.slowest_answer = max(self.slowest_answer, answer.seconds)

    def learn_keys(self, answer: Answer) -> None:
        """Redact the key that the request of an answer carried in what comes of it."""
        self.secrets = self.secrets.with_keys(answer.sent_keys)

    def saw(self, job: Job) -> None:
        """Keep a job that was read from a response."""
        self.job = job
        self.count(shown_text(job, "raw_status"))

    def saw_fault(self, fault: Fault) -> None:
        """Keep a call that failed."""
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
        """Return what every error carries."""
        return {
            "job_id": self.job_id,
            "job": self.job,
            "attempts": self.attempts,
            "checks": self.checks,
            "elapsed": self.elapsed,
            "may_have_been_accepted": self.may_have_been_accepted,
            "idempotency_key": self.idempotency_key,
        }
