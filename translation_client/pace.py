"""When does this wait ask next, by what is known of its job? The plan for jobs like it, and what the service says of it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from tenacity import RetryCallState
from tenacity.wait import wait_base

from .clock import JobAge
from .models import Job
from .planner import Planner
from .policy import CHANCE, spread
from .schedule.forecasts import Forecast, Part
from .schedule.laws import log_normal
from .schedule.observations import LONGEST_SECONDS, SHORTEST_SECONDS
from .schedule.plans import plan_for
from .schedule.relatives import Traits

GAP_JITTER = 0.1
"""By what part a gap is longer or shorter where checks are spread; it costs a third of a hundredth."""

PHASE = 0.5
"""By what part of a check the first one is made later at the most, where checks are spread: earlier would be for nothing."""

REMAINING_SPREAD = 0.5
"""How far the logarithm of the remaining time is off that a progress figure leads to."""

DUE_SPREAD = 0.25
"""The same of the moment at which a service says that it will have finished."""

DOUBT = 0.1
"""By what part of the cost of a check the least gap grows with each word of the service that was relied on."""

FACT_JOBS = 40.0
"""How many past jobs such a word of the service is worth."""


class Pace(wait_base):
    """A wait strategy for one wait: the pauses that lead to the planned checks."""

    def __init__(
        self, planner: Planner, traits: Traits, clock: JobAge, warn: Callable[[str], object], *, is_spread: bool
    ) -> None:
        """Prepare; no plan is made yet.

        Args:
            planner: Makes the plans.
            traits: What is known of the job.
            clock: Its age.
            warn: Told why, where the history cannot be read.
            is_spread: Whether clients that began together are to part ways.
        """
        self._planner = planner
        self._traits = traits
        self._clock = clock
        self._warn = warn
        self._is_spread = is_spread
        self._job: Job | None = None
        self._trusted = 0
        self._first_progress: tuple[float, float] | None = None

    @property
    def traits(self) -> Traits:
        """What is known of the job by now."""
        return self._traits

    def first_pause(self) -> float:
        """Say for how many seconds not even the first question pays; 0 where the job may be finished for all we know."""
        if not self._clock.is_known:
            return 0.0
        age = self._clock.age()
        plan = self._planner.plan(self._traits, self._warn)
        first = plan.first_after(age)
        if self._is_spread and first > age:
            first = min(plan.moved(first, PHASE * CHANCE.random()), max(first, self._planner.terms.max_lag))
        return first - age

    def saw(self, job: Job) -> None:
        """Take over what the service says."""
        self._job = job
        if job.expected_seconds is not None:
            self._traits = self._traits._replace(expected_seconds=job.expected_seconds)
        if not self._clock.is_known:
            self._clock.set_submitted_at(job.submitted_at)

    def __call__(self, retry_state: RetryCallState) -> float:  # noqa: ARG002  # as tenacity calls it
        """Say how long to pause on a pending answer."""
        gap = self._gap()
        return (
            spread(gap, GAP_JITTER, max(gap, self._planner.terms.max_lag), CHANCE.random()) if self._is_spread else gap
        )

    def _gap(self) -> float:
        remaining, deviation = self._remaining()
        if remaining is not None:
            left = min(max(remaining, SHORTEST_SECONDS), LONGEST_SECONDS)
            part = Part(1.0, log_normal(math.log(left), deviation))
            self._trusted += 1
            gap = plan_for(Forecast([part], FACT_JOBS, left), self._planner.terms).next_after(0.0)
            # Each such word that was not kept makes the next one weigh less, or "nearly done" would be asked without end.
            return max(gap, DOUBT * self._trusted * self._planner.terms.scale)
        age = self._clock.age()
        return self._planner.plan(self._traits, self._warn).next_after(age) - age

    def _remaining(self) -> tuple[float | None, float]:
        """How many seconds are left by the word of the service, and how far that may be off."""
        job = self._job
        if job is None:
            return None, 0.0
        due = None if job.finished_at is None else job.finished_at - time.time()
        if due is not None and due > 0:
            return due, DUE_SPREAD
        return self._by_progress(job.progress), REMAINING_SPREAD

    def _by_progress(self, progress: float | None) -> float | None:
        """If it goes on as it did: since the job began, or where that is not known since it was first seen."""
        age = self._clock.age()
        if progress is None or progress >= 1:
            return None
        if self._first_progress is None:
            self._first_progress = (0.0, 0.0) if self._clock.is_known else (age, progress)
        since, before = self._first_progress
        if progress <= before or age <= since:
            return None
        return (age - since) * (1 - progress) / (progress - before)
