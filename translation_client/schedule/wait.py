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
from .._config import RANDOM, JobFeatures, jittered
from .._exports import exported_from
from .._models import Job
from .censoring import MAX_DURATION_SECONDS, MIN_DURATION_SECONDS
from .distribution import lognormal
from .forecast import Forecast, MixtureComponent
from .history import DurationHistory, history_from_durations, open_history
from .plan import make_schedule
from .planner import SchedulePlanner, objective_from

FIRST_FACTOR = 5.0
"""Jitter delays the first check by up to 5 times `jitter` of a gap, and at most a whole one. It is never earlier."""

REMAINING_SCALE = 0.5
"""The standard deviation of the logarithm of a remaining time that is computed from the progress."""

FINISH_TIME_SCALE = 0.25
"""The same of a remaining time that follows from the finish time that the service announces."""

GAP_GROWTH = 0.1
"""The fraction of the check cost, or of the target lag, by which the least gap grows with each remaining time used."""

REMAINING_TIME_WEIGHT = 40.0
"""The weight of a remaining time against the prior, in past jobs."""


class wait_planned(wait_base):  # noqa: N801  # named as tenacity names its strategies
    """A wait strategy for one wait: the sleeps until the planned checks."""

    def __init__(
        self,
        planner: SchedulePlanner,
        features: JobFeatures,
        job_age: JobAge,
        warn: Callable[[str], object],
        *,
        jitter: float,
    ) -> None:
        """Create the strategy. No schedule is computed yet.

        Args:
            planner: Computes the schedules.
            features: The features of the job.
            job_age: The age of the job.
            warn: Called with the reason if the history cannot be read.
            jitter: The fraction by which a gap may be longer or shorter, from 0 to 1.
        """
        self._planner = planner
        self._features = features
        self._job_age = job_age
        self._warn = warn
        self._jitter = jitter
        self._job: Job | None = None
        self._estimates_used = 0
        self._first_progress: tuple[float, float] | None = None

    @property
    def features(self) -> JobFeatures:
        """The features of the job, with the latest estimate of the service."""
        return self._features

    def initial_delay(self) -> float:
        """Return the seconds until the first check. 0 if it is due, or the age of the job is unknown."""
        if not self._job_age.is_known:
            return 0.0
        age = self._job_age.age()
        schedule = self._planner.schedule_for(self._features, self._warn)
        first = schedule.first_after(age)
        if self._jitter and first > age:
            first = min(
                schedule.jittered(first, min(1.0, FIRST_FACTOR * self._jitter) * RANDOM.random()),
                max(first, self._planner.objective.max_lag),
            )
        return first - age

    def record_job(self, job: Job) -> None:
        """Record the status of the job."""
        self._job = job
        if job.expected_seconds is not None:
            self._features = self._features._replace(expected_seconds=job.expected_seconds)
        if not self._job_age.is_known:
            self._job_age.set_submitted_at(job.submitted_at)

    def __call__(self, retry_state: RetryCallState) -> float:  # noqa: ARG002  # the interface of tenacity
        """Return the seconds until the next check of a pending job."""
        gap = self._gap()
        return (
            jittered(gap, self._jitter, max(gap, self._planner.objective.max_lag), RANDOM.random())
            if self._jitter
            else gap
        )

    def _gap(self) -> float:
        remaining, scale = self._remaining()
        if remaining is not None:
            left = min(max(remaining, MIN_DURATION_SECONDS), MAX_DURATION_SECONDS)
            component = MixtureComponent(1.0, lognormal(math.log(left), scale))
            self._estimates_used += 1
            gap = make_schedule(Forecast([component], REMAINING_TIME_WEIGHT, left), self._planner.objective).next_after(
                0.0
            )
            # The least gap grows with each estimate, or a job that stays "nearly done" would be polled without end.
            return max(gap, GAP_GROWTH * self._estimates_used * self._planner.objective.unit)
        age = self._job_age.age()
        return self._planner.schedule_for(self._features, self._warn).next_after(age) - age

    def _remaining(self) -> tuple[float | None, float]:
        """Return the seconds left by the estimate of the service, or None, and the scale of their logarithm."""
        job = self._job
        if job is None:
            return None, 0.0
        due = None if job.finished_at is None else job.finished_at - time.time()
        if due is not None and due > 0:
            return due, FINISH_TIME_SCALE
        return self._by_progress(job.progress), REMAINING_SCALE

    def _by_progress(self, progress: float | None) -> float | None:
        """Extrapolate the progress linearly from the start of the job, or from its first check if that is unknown."""
        age = self._job_age.age()
        if progress is None or progress >= 1:
            return None
        if self._first_progress is None:
            self._first_progress = (0.0, 0.0) if self._job_age.is_known else (age, progress)
        since, before = self._first_progress
        if progress <= before or age <= since:
            return None
        return (age - since) * (1 - progress) / (progress - before)


@exported_from("translation_client")
class wait_learned(wait_base):  # noqa: N801  # named as tenacity names its strategies
    """A tenacity wait strategy with the least expected cost of requests and delay, learned from past jobs.

    For a function of your own under `tenacity.retry`, which makes its first check as soon as it is called. Threads may
    share it. It does not add to the history: see `DurationHistory.record`.
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
        """Check the arguments, and open the history.

        Args:
            history: The durations of past jobs in seconds, a `DurationHistory`, or the path of one, which is created if
                it does not exist.
            check_cost: How many seconds of delay one request is worth. None if `target_lag` is set: exactly one of both
                must be.
            target_lag: The mean delay, in seconds, between the end of a job and the check that sees it. None if
                `check_cost` is set.
            max_lag: The longest sleep in seconds. None for no limit.
            service: The service whose jobs in the history count. Durations count in any case.
            kind: A label shared by jobs that take similarly long; None for jobs without a label.
            video_seconds: The length of its video in seconds. None if it is unknown.
            age: The age of the job, in seconds, when the function is called.
            jitter: The fraction by which a sleep may be longer or shorter, from 0 to 1, so that clients started
                together do not check in step.

        Raises:
            ValueError: Both or neither of `check_cost` and `target_lag` are set, a number is out of range, or the file of
                the history cannot be used.
            TypeError: An argument has the wrong type.
        """
        if not isinstance(service, str):
            raise TypeError(f"service must be the name of a service, got {service!r}")
        objective = objective_from(check_cost, target_lag, max_lag)
        length = None if video_seconds is None else _config.check_positive("video_seconds", video_seconds)
        self._features = JobFeatures(_config.check_kind(kind), length)
        self._age = _config.check_positive("age", age) if age != 0 else 0.0
        self._jitter = _config.check_fraction("jitter", jitter)
        self._planner = SchedulePlanner(_history_from(history, service), service, objective)

    def __call__(self, retry_state: RetryCallState) -> float:
        """Return the seconds until the next check."""
        age = self._age + (retry_state.seconds_since_start or 0.0)
        schedule = self._planner.schedule_for(self._features, _discard_warning)
        gap = schedule.next_after(age) - age
        return (
            jittered(gap, self._jitter, max(gap, self._planner.objective.max_lag), RANDOM.random())
            if self._jitter
            else gap
        )


def _history_from(history: Any, service: str) -> DurationHistory:
    if isinstance(history, Iterable) and not isinstance(history, (str, bytes)):
        return history_from_durations(history, service)
    return open_history(history)


def _discard_warning(_: str) -> None:
    """Discard a warning: a strategy has no log. It falls back on the history as last read."""
