"""Schedules that weigh requests against the delay until a result is seen, and learn how long jobs take.

`plan_checks` is pure: past durations and two numbers in, check times out.
"""

from __future__ import annotations

from collections.abc import Iterable

from .. import _config
from .censoring import exactly
from .model import DurationModel, Traits
from .plan import Plan, Terms, checks_until, make_schedule

__all__ = ["Plan", "Terms", "Traits", "plan_checks"]


def plan_checks(durations: Iterable[float], check_cost: float, *, horizon: float) -> list[float]:
    """Say when to ask about a job, so that `check_cost · requests + lag` is least on average.

    Args:
        durations: How many seconds past jobs took; with fewer than three the schedule is `check_cost · k²`.
        check_cost: The seconds of not knowing that one request is worth.
        horizon: Until when, in seconds from the start of the job.

    Returns:
        Seconds from the start of the job, increasing; the first above 0, the last at the horizon or past it.

    Raises:
        ValueError: A number cannot be used, or the schedule would have over a million checks.
        TypeError: Something is no number.
    """
    cost = _config.check_weight("check_cost", check_cost)
    until = _config.check_positive("horizon", horizon)
    past = [exactly(seconds, number) for number, seconds in enumerate(durations)]
    plan = make_schedule(DurationModel(past).forecast(Traits()), Terms(cost, None))
    return checks_until(plan, until)
