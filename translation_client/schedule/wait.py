"""tenacity wait strategies that follow a learned schedule."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from typing import Any

from tenacity import RetryCallState
from tenacity.wait import wait_base

from .. import _config
from .._clock import JobAge
from .._config import RANDOM, jittered
from .._models import Job
from .censoring import LONGEST_SECONDS, SHORTEST_SECONDS
from .distribution import lognormal
from .forecast import Forecast, MixtureComponent
from .history import DurationHistory, history_from_durations, open_history
from .model import Traits
from .plan import make_schedule
from .planner import SchedulePlanner, objective_from

FIRST_FACTOR = 5.0
"""The first check is later by up to 5 times `jitter` of a gap, at most by a whole one. Earlier would be for nothing."""

REMAINING_SPREAD = 0.5
"""How far the logarithm of the remaining time is off that a progress figure leads to."""

DUE_SPREAD = 0.25
"""The same of the moment at which a service says that it will have finished."""

DOUBT = 0.1
"""By what part of the cost of a check the least gap grows with each word of the service that was relied on."""

FACT_JOBS = 40.0
"""How many past jobs such a word of the service is worth."""


class wait_planned(wait_base):  # noqa: N801  # named as tenacity names its strategies
    """A wait strategy for one wait: the pauses that lead to the planned checks."""

    def __init__(
        self, planner: SchedulePlanner, traits: Traits, clock: JobAge, warn: Callable[[str], object], *, jitter: float
    ) -> None:
        """Prepare; no plan is made yet.

        Args:
            planner: Makes the plans.
            traits: What is known of the job.
            clock: Its age.
            warn: Told why, where the history cannot be read.
            jitter: The fraction by which a gap may be longer or shorter, from 0 to 1.
        """
        self._planner = planner
        self._traits = traits
        self._clock = clock
        self._warn = warn
        self._jitter = jitter
        self._job: Job | None = None
        self._trusted = 0
        self._first_progress: tuple[float, float] | None = None

    @property
    def traits(self) -> Traits:
        """What is known of the job by now."""
        return self._traits

    def initial_delay(self) -> float:
        """Say for how many seconds not even the first question pays; 0 where the job may be finished for all we know."""
        if not self._clock.is_known:
            return 0.0
        age = self._clock.age()
        plan = self._planner.plan(self._traits, self._warn)
        first = plan.first_after(age)
        if self._jitter and first > age:
            first = min(
                plan.moved(first, min(1.0, FIRST_FACTOR * self._jitter) * RANDOM.random()),
                max(first, self._planner.terms.max_lag),
            )
        return first - age

    def record_job(self, job: Job) -> None:
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
            jittered(gap, self._jitter, max(gap, self._planner.terms.max_lag), RANDOM.random()) if self._jitter else gap
        )

    def _gap(self) -> float:
        remaining, deviation = self._remaining()
        if remaining is not None:
            left = min(max(remaining, SHORTEST_SECONDS), LONGEST_SECONDS)
            part = MixtureComponent(1.0, lognormal(math.log(left), deviation))
            self._trusted += 1
            gap = make_schedule(Forecast([part], FACT_JOBS, left), self._planner.terms).next_after(0.0)
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


class wait_learned(wait_base):  # noqa: N801  # named as tenacity names its strategies
    """A tenacity wait strategy: the pauses that make requests and not knowing cost least, by what past jobs took.

    For a function of your own under `tenacity.retry`, which asks first when it is called. May be shared by threads.
    """

    def __init__(
        self,
        history: object = (),
        *,
        check_cost: float | None = None,
        target_lag: float | None = None,
        max_lag: float | None = None,
        service: str = "reference",
        kind: str | None = None,
        video_seconds: float | None = None,
        age: float = 0.0,
        jitter: float = 0.0,
    ) -> None:
        """Check the arguments.

        Args:
            history: The seconds that past jobs took; or a `DurationHistory`, or the path of one.
            check_cost: The seconds of not knowing that one request is worth; or
            target_lag: the mean seconds from the end of a job to the answer that says so: one of the two.
            max_lag: The longest pause.
            service: Which service's jobs of a history count.
            kind: What kind of job it is.
            video_seconds: The length of its video.
            age: How many seconds ago the job had begun when the function is called.
            jitter: The fraction by which a sleep may be longer or shorter, from 0 to 1, so that clients started together do
                not check in step.

        Raises:
            ValueError: An argument cannot be used.
            TypeError: An argument is of the wrong type.
        """
        terms = objective_from(check_cost, target_lag, max_lag)
        length = None if video_seconds is None else _config.check_positive("video_seconds", video_seconds)
        self._traits = Traits(_config.check_kind(kind), length)
        self._age = _config.check_positive("age", age) if age != 0 else 0.0
        self._jitter = _config.check_fraction("jitter", jitter)
        self._planner = SchedulePlanner(_past(history, service), service, terms)

    def __call__(self, retry_state: RetryCallState) -> float:
        """Say how long to pause."""
        age = self._age + (retry_state.seconds_since_start or 0.0)
        plan = self._planner.plan(self._traits, _ignored)
        gap = plan.next_after(age) - age
        return (
            jittered(gap, self._jitter, max(gap, self._planner.terms.max_lag), RANDOM.random()) if self._jitter else gap
        )


def _past(history: Any, service: str) -> DurationHistory:
    if isinstance(history, Iterable) and not isinstance(history, (str, bytes)):
        return history_from_durations(history, service)
    return open_history(history)


def _ignored(_: str) -> None:
    """A strategy has no log of its own; the plan is that of when the history could be read."""
