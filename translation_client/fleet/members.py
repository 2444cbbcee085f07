"""The jobs that a batch waits for, and which of them share a bulk request. Each id is taken in once."""

from __future__ import annotations

import math
from collections.abc import Callable

from ..faults import Fault
from ..models import Job
from ..polling import Repetition
from ..waiting import Wait
from .agenda import Agenda

NEARLY_DUE = 0.25
"""By what part of its sleep a job may be checked earlier if that costs no request of its own."""

NEARLY_DUE_OF_LAST = 0.02
"""The same of a check that may be the last one by the limits of the caller: it must not be earlier than that of a wait alone."""


class Member:
    """One job of a batch: its wait, and where it stands. Small: there are thousands.

    Attributes:
        wait: Its wait, which has begun.
        due: When it is to be checked; `math.inf` while it is.
        ends_at: When its time is up.
        planned: When it was due before the check that is being made.
        ends_itself: True while it has a request of its own, which ends at the deadline.
        single_checks: How many of its next checks need a request of its own.
        pause: Seconds of its latest sleep.
        early: By how many seconds it may be checked earlier.
        is_early: True if the next check is one before its last one, because too many jobs have their last check then.
        was_early: True if there was or is such a check.
        positions: Where in the order of the source it was asked for; more than once where its id came again.
    """

    __slots__ = (
        "_faults",
        "_pending",
        "due",
        "early",
        "ends_at",
        "ends_itself",
        "is_early",
        "pause",
        "planned",
        "positions",
        "single_checks",
        "wait",
        "was_early",
    )

    def __init__(self, wait: Wait, position: int, now: float) -> None:
        self.wait = wait
        self.positions = [position]
        self.ends_itself = self.is_early = self.was_early = False
        self.single_checks = 0.0
        self.pause = wait.first_pause()
        self.early = self._nearly(0)
        self.due = self.planned = now + self.pause
        self.ends_at = wait.deadline.at
        self._pending = Repetition()
        self._faults: Repetition | None = None

    def pause_after(self, job: Job, now: float) -> float | None:
        """Return the seconds until the next check; None if the job is final.

        Raises:
            TranslationClientError: A limit is reached.
        """
        self._faults = None
        self.is_early = False
        pause = self._pending.pause_after(job, self.wait.rules())
        if pause is None:
            return None
        self.pause = pause
        if self.wait.has_retry_limit and self.planned > now:  # an early check shortens no wait
            self.pause = max(pause, min(pause + self.planned - now, self.wait.seconds_until_last_check))
        self.early = self._earlier(job.checks, job.retry_after or 0.0)
        return self.pause

    def is_before_last_check(self) -> bool:
        """Return whether the sleep that begins now ends with the last check before the deadline."""
        return self.pause >= self.wait.seconds_until_last_check

    def check_early(self, job: Job | None, seconds: float) -> float:
        """Shorten the sleep before the last check, and return its seconds. There is another check after it.

        A `Retry-After` is not shortened. Neither is the sleep before a check that may be the last one by another limit.

        Args:
            job: The latest answer; None if there is none yet.
            seconds: After which the check is to be made.
        """
        checks, hint = (0, 0.0) if job is None else (job.checks, job.retry_after or 0.0)
        seconds = max(seconds, hint)
        if seconds < self.pause and not self.wait.may_end_after(checks + 2):
            self.is_early = self.was_early = True
            self.pause = seconds
            self.early = self._earlier(checks, hint)
        return self.pause

    def pause_after_fault(self, fault: Fault) -> float:
        """Return the seconds until the next request after one of its own that failed.

        Raises:
            TranslationClientError: A limit is reached.
        """
        self.early = 0.0
        until_last_check = self.wait.seconds_until_last_check
        if self.is_early and until_last_check > 0:
            # Without the other jobs there would have been no check, and no fault.
            self.is_early = False
            self.pause = max(fault.hint or 0.0, until_last_check)
            self.wait.log_fault(fault, self.pause)
            return self.pause
        self._faults = self._faults or Repetition()
        self.pause = self._faults.pause_after_fault(fault, self.wait.fault_rules()) or 0.0
        return self.pause

    def needs_single_checks(self, number: float) -> None:
        """Have the next checks made by requests of its own, as many or `math.inf`."""
        self.single_checks = max(self.single_checks, number)

    def checked_singly(self) -> None:
        """Note that a request of its own was answered."""
        self.single_checks = max(0.0, self.single_checks - 1)

    def is_nearly_due(self, now: float) -> bool:
        """Return whether an answer now is as good as one a little later."""
        return self.due - now <= self.early

    def _earlier(self, checks: int, hint: float) -> float:
        """Return by how many seconds the next check may be earlier if it costs no request, but within no `Retry-After`."""
        return max(0.0, min(self._nearly(checks), self.pause - hint))

    def _nearly(self, checks: int) -> float:
        return self.pause * (NEARLY_DUE_OF_LAST if self.wait.may_end_after(checks + 1) else NEARLY_DUE)


def take_due_together(
    agenda: Agenda[Member], first: Member, most: int, now: float, fits: Callable[[Member], bool]
) -> list[Member]:
    """Take those off the agenda that can share a bulk request; return them, the first included.

    Args:
        agenda: Those that are not being checked.
        first: The one whose turn it is, which was taken off.
        most: How many at once.
        now: The present moment.
        fits: Whether one has the time for it.
    """
    members = [first]
    if first.single_checks or not fits(first):
        return members
    passed: list[Member] = []
    while len(members) < most and len(passed) < most:
        entry = agenda.first
        if entry is None or not entry.is_nearly_due(now):
            break
        agenda.pop_due(math.inf)
        (passed if entry.single_checks or not fits(entry) else members).append(entry)
    for entry in passed:
        agenda.again(entry, entry.planned)
    return members
