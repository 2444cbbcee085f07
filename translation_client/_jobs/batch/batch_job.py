"""One job of a batch: when its next check is due, and which jobs share a bulk request with it."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable

from ..._models import Fault, Job
from ..._polling import RetryStepper
from ..poller import Poller
from .due_queue import DueQueue

EARLY_SHARE = 0.25
"""25 % of its sleep: how much earlier a job may be checked to share a bulk request."""

EARLY_SHARE_OF_LAST = 0.02
"""2 %: the same for a check that `max_retries` or `stop` may make the last one, and that should not be early."""


class BatchJob:
    """One job of a batch, and the state of its wait. `__slots__` save memory, as there may be thousands.

    Attributes:
        poller: The wait for the job.
        job_id: The id of the job, empty for the single job of the service.
        key: Its `wait_key`. Jobs with one id may have several.
        due_at: When the next check is due; `math.inf` during a check.
        ends_at: The deadline.
        was_due_at: When the check in progress was due.
        call_in_flight: True while a request of its own is in flight, which ends at the deadline by itself.
        single_checks: How many of its next checks need a request of its own; `math.inf` for all.
        delay: Seconds of the latest sleep.
        early: How many seconds before `due_at` the job may be checked, to share a bulk request.
        is_extra: True if the next check is an extra one before the last, as too many last checks are due together.
        had_extra: True if there is or was such an extra check.
        positions: Its positions in the source, several if it came again.
    """

    __slots__ = (
        "_fault_stepper",
        "_stepper",
        "call_in_flight",
        "delay",
        "due_at",
        "early",
        "ends_at",
        "had_extra",
        "is_extra",
        "job_id",
        "key",
        "poller",
        "positions",
        "single_checks",
        "was_due_at",
    )

    def __init__(self, poller: Poller, key: Hashable, position: int, now: float) -> None:
        self.poller = poller
        self.key = key
        self.job_id = poller.requestor.state.job_id or ""
        self.positions = [position]
        self.call_in_flight = self.is_extra = self.had_extra = False
        self.single_checks = 0.0 if self.job_id else math.inf
        self.delay = poller.initial_delay()
        self.early = self._max_early(0)
        self.due_at = self.was_due_at = now + self.delay
        self.ends_at = poller.requestor.state.deadline.at
        self._stepper = RetryStepper()
        self._fault_stepper: RetryStepper | None = None

    def sleep_after(self, job: Job, now: float) -> float | None:
        """Return the seconds until the next check, or None if the job is final.

        Raises:
            TranslationClientError: A limit is reached.
        """
        self._fault_stepper = None
        self.is_extra = False
        delay = self._stepper.delay_after(job, self.poller.pending_retrying())
        if delay is None:
            return None
        self.delay = delay
        if self.poller.may_end_before_deadline and self.was_due_at > now:  # an early check must not shorten the wait
            self.delay = max(delay, min(delay + self.was_due_at - now, self.poller.seconds_until_last_check))
        self.early = self._early_seconds(job.checks, job.retry_after or 0.0)
        return self.delay

    def is_before_last_check(self) -> bool:
        """Return True if the check after the sleep that begins now is the last one before the deadline."""
        return self.delay >= self.poller.seconds_until_last_check

    def insert_extra_check(self, job: Job | None, seconds: float) -> float:
        """Shorten the sleep before the last check to make an extra one first, and return the seconds to sleep.

        A `Retry-After` is not shortened. Nor is a sleep if `max_retries` or `stop` may end the wait within two checks.

        Args:
            job: The job as last checked; None before the first check.
            seconds: Seconds until the extra check.
        """
        checks, retry_after = (0, 0.0) if job is None else (job.checks, job.retry_after or 0.0)
        seconds = max(seconds, retry_after)
        if seconds < self.delay and not self.poller.may_end_after(checks + 2):
            self.is_extra = self.had_extra = True
            self.delay = seconds
            self.early = self._early_seconds(checks, retry_after)
        return self.delay

    def sleep_after_fault(self, fault: Fault) -> float:
        """Return the seconds until the next request after a request of the job's own failed.

        Raises:
            TranslationClientError: A limit is reached.
        """
        self.early = 0.0
        requestor = self.poller.requestor
        if self.is_extra:
            self.is_extra = False
            self.delay = RetryStepper().delay_after_fault(fault, requestor.extra_check_retrying())
            return self.delay
        self._fault_stepper = self._fault_stepper or RetryStepper()
        self.delay = self._fault_stepper.delay_after_fault(fault, requestor.fault_retrying())
        return self.delay

    def require_single_checks(self, number: float) -> None:
        """Require requests of the job's own for the next `number` checks, `math.inf` for all."""
        self.single_checks = max(self.single_checks, number)

    def record_single_check(self) -> None:
        """Record a response to a request of the job's own."""
        self.single_checks = max(0.0, self.single_checks - 1)

    def is_nearly_due(self, now: float) -> bool:
        """Return True if the job may be checked now, in a shared request."""
        return self.due_at - now <= self.early

    def _early_seconds(self, checks: int, retry_after: float) -> float:
        """Return how many seconds early the next check may be in a shared request. It is never within `Retry-After`."""
        return max(0.0, min(self._max_early(checks), self.delay - retry_after))

    def _max_early(self, checks: int) -> float:
        return self.delay * (EARLY_SHARE_OF_LAST if self.poller.may_end_after(checks + 1) else EARLY_SHARE)


def take_due_together(
    queue: DueQueue[BatchJob], first: BatchJob, max_jobs: int, now: float, fits: Callable[[BatchJob], bool]
) -> list[BatchJob]:
    """Pop the jobs that can share a bulk request with `first`, and return all of them.

    Args:
        queue: The queue of the jobs that are not being checked.
        first: The most overdue job, which is popped already.
        max_jobs: The maximum number of jobs in a bulk request.
        now: The current time.
        fits: Returns True if a job has enough time left for a bulk response.
    """
    together = [first]
    if first.single_checks or not fits(first):
        return together
    skipped: list[BatchJob] = []
    while len(together) < max_jobs and len(skipped) < max_jobs:
        entry = queue.first
        if entry is None or not entry.is_nearly_due(now):
            break
        queue.pop_due(math.inf)
        if entry.single_checks or not fits(entry):
            skipped.append(entry)
        else:
            together.append(entry)
    for entry in skipped:
        queue.reschedule(entry, entry.was_due_at)
    return together
