"""The schedule of one job: its check times, computed one after the other as checks are made."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Iterator
from itertools import islice
from typing import NamedTuple

from .._exports import exported_from
from .forecast import Forecast
from .optimize import MIN_CANDIDATES, OptimalChecks, mean_lag, optimize_checks

MIN_GAP_SECONDS = 1e-3
"""1 ms: the least gap, for a check cost near 0, and for ages at which floats are coarse."""

MAX_CHECKS = 1_000_000
"""The most checks in a listed schedule. More are taken for a mistake."""

_COST_TOLERANCE = 0.03
"""The search for the check cost of a target lag ends within 3 %, or after `_MAX_ITERATIONS`."""

_MAX_ITERATIONS = 10
_MIN_COST, _MAX_COST = 1e-6, 1e9


@exported_from("translation_client.schedule")
class Objective(NamedTuple):
    """The objective of a schedule. Exactly one of `check_cost` and `target_lag` is set, which is not checked here.

    Attributes:
        check_cost: How many seconds of delay one request is worth. None if `target_lag` is set.
        target_lag: The mean delay, in seconds, between the end of a job and the check that sees it. None if `check_cost`
            is set.
        max_lag: The longest gap between two checks, in seconds. `math.inf` for no limit.
    """

    check_cost: float | None
    target_lag: float | None
    max_lag: float = math.inf

    @property
    def unit(self) -> float:
        """The order of magnitude, in seconds, of the delays that matter."""
        return self.check_cost or self.target_lag or 0.0


@exported_from("translation_client.schedule")
class CheckSchedule:
    """A schedule for one job, in seconds from its start. It is immutable, so threads may share it.

    After a check that found the job pending, the best schedule is the rest of the same schedule. So each check follows
    from the age of the job at the last one, whenever that was.
    """

    def __init__(self, optimal: OptimalChecks, beyond: Callable[[float], float], max_lag: float = math.inf) -> None:
        """Store the optimal checks.

        Args:
            optimal: The optimal checks, as far as data reaches.
            beyond: Returns the time of the next check for a later age.
            max_lag: The longest gap in seconds.
        """
        self._optimal = optimal
        self._beyond = beyond
        self._max_lag = max_lag

    @property
    def candidate_count(self) -> int:
        """The number of candidate times in the optimum."""
        return len(self._optimal.times)

    def with_max_lag(self, max_lag: float) -> CheckSchedule:
        """Return a copy with another longest gap, in seconds. `math.inf` for no limit."""
        return CheckSchedule(self._optimal, self._beyond, max_lag)

    def first_after(self, age: float) -> float:
        """Return the time of the first check of a job that has this age in seconds, at that age or later."""
        times, costs = self._optimal.times, self._optimal.from_start
        here = bisect_right(times, age) - 1
        if here == len(times) - 1:
            return max(age, self._within_max_lag(0.0, self._beyond(0.0))) if here == 0 else age
        best = min(range(here, len(times)), key=costs.__getitem__)
        return max(age, self._within_max_lag(0.0, times[best]))

    def next_after(self, age: float) -> float:
        """Return the time of the next check of a job that was pending at this age in seconds. It is later than the age."""
        times = self._optimal.times
        here = bisect_right(times, age) - 1
        if here == len(times) - 1:
            return self._within_max_lag(age, self._beyond(age))
        # Interpolate between candidates, or a check slightly before one would be repeated at once.
        share = (age - times[here]) / (times[here + 1] - times[here])
        planned = self._following(here) + share * (self._following(here + 1) - self._following(here))
        return self._within_max_lag(age, planned)

    def jittered(self, check: float, share: float) -> float:
        """Return the time that is a share of a gap after a check, but no later than `max_lag` after the start.

        Args:
            check: The time of the check, in seconds from the start of the job.
            share: The share of the gap to the next check, from 0 to 1.

        The shift is measured in candidates, of which every gap has the same number. It is short where jobs finish, and
        long elsewhere.
        """
        times = self._optimal.times
        cell = bisect_right(times, check) - 1
        later = check + share * (self.next_after(check) - check)
        if cell < len(times) - 1:
            position = cell + (check - times[cell]) / (times[cell + 1] - times[cell]) + share * self._optimal.per_check
            cell = int(position)
            if cell < len(times) - 1:
                later = times[cell] + (position - cell) * (times[cell + 1] - times[cell])
        return max(min(later, self._max_lag), check)

    def _following(self, here: int) -> float:
        times, following = self._optimal.times, self._optimal.following
        return times[following[here]] if here < len(following) else self._beyond(times[here])

    def checks(self, horizon: float) -> Iterator[float]:
        """Yield the checks of a job that never finishes, up to the first at the horizon or past it."""
        check = 0.0
        while check < horizon:
            check = self.next_after(check)
            yield check

    def _within_max_lag(self, age: float, planned: float) -> float:
        return max(min(planned, age + self._max_lag), age + MIN_GAP_SECONDS, math.nextafter(age, math.inf))


_NO_CANDIDATES = OptimalChecks([0.0], [], [0.0])


def make_schedule(forecast: Forecast | None, objective: Objective) -> CheckSchedule:
    """Return the best schedule for a forecast, or without data if it is None.

    Without data, the k-th check is at `check_cost · k²`. For any duration this costs at most twice what the minimax
    schedule for a known longest duration costs, and about 1.25 times what the optimal one for a known distribution does.
    With a target lag and without data, all gaps are twice that lag.
    """
    if objective.target_lag is not None:
        return _schedule_to_lag(forecast, objective.target_lag, objective.max_lag)
    cost = objective.check_cost or 0.0
    if forecast is None:
        return CheckSchedule(_NO_CANDIDATES, lambda age: cost * (math.sqrt(age / cost) + 1) ** 2, objective.max_lag)
    return _best_schedule(forecast, cost).with_max_lag(objective.max_lag)


def checks_until(schedule: CheckSchedule, horizon: float) -> list[float]:
    """Return the checks of a schedule up to the first at the horizon or past it.

    Raises:
        ValueError: There are over a million.
    """
    checks = list(islice(schedule.checks(horizon), MAX_CHECKS + 1))
    if len(checks) > MAX_CHECKS:
        raise ValueError(
            f"there are more than {MAX_CHECKS} checks until {horizon:g} s: raise check_cost, target_lag or max_lag"
        )
    return checks


def _schedule_to_lag(forecast: Forecast | None, target_lag: float, max_lag: float) -> CheckSchedule:
    """Find the highest check cost whose schedule has at most this mean lag over past jobs, and return the schedule.

    Lag grows with cost, as its square root in the approximation of Keller (1974), which is good enough for dense
    schedules. For sparse ones it is a first guess: the lag of schedules of one or two checks is discontinuous.
    """
    if forecast is None:
        return CheckSchedule(_NO_CANDIDATES, lambda age: age + 2 * target_lag, max_lag)
    cost = _clip(2 * (target_lag / _keller_integral(forecast)) ** 2, _MIN_COST, _MAX_COST)
    lower, upper, best = _MIN_COST, math.inf, None
    for _ in range(_MAX_ITERATIONS):
        schedule = _best_schedule(forecast, cost)
        ratio = _ratio_to_lag(schedule, forecast, target_lag)
        if ratio < 1:
            upper = cost
        elif cost > lower or best is None:
            lower, best = cost, schedule
        if 1 <= ratio < 1 + _COST_TOLERANCE or upper < lower * (1 + _COST_TOLERANCE):
            break
        cost = _next_cost(cost * ratio**2, lower, upper)
    return (best or _best_schedule(forecast, lower)).with_max_lag(max_lag)


def _ratio_to_lag(schedule: CheckSchedule, forecast: Forecast, target_lag: float) -> float:
    """Return the target lag divided by the mean lag of a schedule, or 1 for a dense one."""
    if schedule.candidate_count > 2 * MIN_CANDIDATES:
        return 1.0
    return target_lag / mean_lag(schedule.checks(forecast.times[-1]), forecast.times, forecast.body_cdf)


def _next_cost(guess: float, lower: float, upper: float) -> float:
    """Return the next cost to try.

    Args:
        guess: The cost that the approximation suggests. It is used if it is between the two others.
        lower: The highest cost known to have at most the target lag, or the minimum.
        upper: The lowest cost known to have more; `math.inf` if none is known.
    """
    if lower < guess < upper:
        return _clip(guess * (1 - _COST_TOLERANCE), _MIN_COST, _MAX_COST)  # a little less, to stay below the target
    if upper == math.inf:
        return _clip(4 * lower, _MIN_COST, _MAX_COST)
    return math.sqrt(lower * upper) if lower > _MIN_COST else upper / 10


def _best_schedule(forecast: Forecast, check_cost: float) -> CheckSchedule:
    """Return the optimum, followed by checks at the rate of Keller (1974) after its last candidate."""
    optimal = optimize_checks(forecast, check_cost)
    return CheckSchedule(optimal, lambda age: age + math.sqrt(2 * check_cost / forecast.hazard(age)))


def _keller_integral(forecast: Forecast) -> float:
    """Return the integral of sqrt(density · survival) over the past jobs."""
    times, cdf = forecast.times, forecast.body_cdf
    return sum(
        math.sqrt((cdf[cell] - cdf[cell - 1]) * (times[cell] - times[cell - 1]) * (1 - cdf[cell - 1]))
        for cell in range(1, len(times))
    )


def _clip(value: float, least: float, most: float) -> float:
    return max(least, min(value, most))
