"""Schedules that weigh requests against the delay until a result is seen, and learn how long jobs take.

`plan_checks` is a pure function of past durations and two numbers.
"""

from __future__ import annotations

from collections.abc import Iterable

from .. import _config
from .._config import JobFeatures
from .censoring import Observation
from .history import HistoryFailed
from .model import DurationModel
from .plan import CheckSchedule, Objective, checks_until, make_schedule

__all__ = ["CheckSchedule", "HistoryFailed", "JobFeatures", "Objective", "Observation", "plan_checks"]


def plan_checks(durations: Iterable[float], check_cost: float, *, horizon: float) -> list[float]:
    """Return the check times of a job that minimise the mean of `check_cost · requests + lag`.

    Args:
        durations: The durations of past jobs in seconds. With fewer than three the schedule is `check_cost · k²`.
        check_cost: How many seconds of delay one request is worth.
        horizon: The end of the schedule, in seconds from the start of the job.

    Returns:
        Seconds from the start of the job, increasing. The first is above 0, the last is at the horizon or past it.

    Raises:
        ValueError: A number is out of range, or the schedule would have over a million checks.
        TypeError: An argument is not a number.
    """
    cost = _config.check_weight("check_cost", check_cost)
    until = _config.check_positive("horizon", horizon)
    past = [Observation.exact(seconds, number) for number, seconds in enumerate(durations)]
    schedule = make_schedule(DurationModel(past).forecast(JobFeatures()), Objective(cost, None))
    return checks_until(schedule, until)
