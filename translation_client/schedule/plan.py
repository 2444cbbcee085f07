"""The schedule of one job: its check times, computed one after the other as checks come."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Iterator
from itertools import islice
from typing import NamedTuple

from .forecast import Forecast
from .optimize import CELLS, OptimalChecks, mean_lag, optimize_checks

LEAST_GAP_SECONDS = 1e-3
"""However little a request is worth, and however slow the arithmetic of floats is at large ages."""

MOST_CHECKS = 1_000_000
"""A plan that asks more often than this was not meant."""

_CLOSE_ENOUGH = 0.03
_MOST_TRIES = 10
_MOST_COST, _LEAST_COST = 1e9, 1e-6


class Terms(NamedTuple):
    """What is weighed. One of the first two is given.

    Attributes:
        check_cost: The seconds of not knowing that one request is worth.
        target_lag: The mean seconds from the end of a job to the answer that says so.
        max_lag: The longest gap between two checks, in seconds.
    """

    check_cost: float | None
    target_lag: float | None
    max_lag: float = math.inf

    @property
    def scale(self) -> float:
        """About how many seconds matter at all."""
        return self.check_cost or self.target_lag or 0.0


class Plan:
    """A schedule for one job, in seconds from its start. Nothing about it changes: threads may share it.

    The best schedule after a check that found the job pending is the rest of the same schedule; so each check follows
    from the age of the job at the last one, whenever that was.
    """

    def __init__(self, optimum: OptimalChecks, beyond: Callable[[float], float], max_lag: float = math.inf) -> None:
        """Take what was computed.

        Args:
            optimum: The best checks, as far as anything is known.
            beyond: Says for later ages when to ask next.
            max_lag: The longest gap.
        """
        self._optimum = optimum
        self._beyond = beyond
        self._max_lag = max_lag

    @property
    def moments(self) -> int:
        """How many moments the optimum chose from."""
        return len(self._optimum.times)

    def capped(self, max_lag: float) -> Plan:
        """The same with another longest gap."""
        return Plan(self._optimum, self._beyond, max_lag)

    def first_after(self, age: float) -> float:
        """Say when to ask first, if nobody has asked yet and the job is so old: then, or later."""
        times, costs = self._optimum.times, self._optimum.from_start
        here = bisect_right(times, age) - 1
        if here == len(times) - 1:
            return max(age, self._within_cap(0.0, self._beyond(0.0))) if here == 0 else age
        best = min(range(here, len(times)), key=costs.__getitem__)
        return max(age, self._within_cap(0.0, times[best]))

    def next_after(self, age: float) -> float:
        """Say when to ask next, if the job was pending when it was so old: later."""
        times = self._optimum.times
        here = bisect_right(times, age) - 1
        if here == len(times) - 1:
            return self._within_cap(age, self._beyond(age))
        # Between two moments between what follows them: or one that is a little early would be repeated at once.
        share = (age - times[here]) / (times[here + 1] - times[here])
        planned = self._following(here) + share * (self._following(here + 1) - self._following(here))
        return self._within_cap(age, planned)

    def moved(self, check: float, share: float) -> float:
        """Say which moment is so large a share of a check later, but no more than the longest gap from the start.

        On the scale on which the checks lie evenly: where jobs finish it is short, elsewhere long.
        """
        times = self._optimum.times
        cell = bisect_right(times, check) - 1
        later = check + share * (self.next_after(check) - check)
        if cell < len(times) - 1:
            place = cell + (check - times[cell]) / (times[cell + 1] - times[cell]) + share * self._optimum.per_check
            cell = int(place)
            if cell < len(times) - 1:
                later = times[cell] + (place - cell) * (times[cell + 1] - times[cell])
        return max(min(later, self._max_lag), check)

    def _following(self, here: int) -> float:
        times, following = self._optimum.times, self._optimum.following
        return times[following[here]] if here < len(following) else self._beyond(times[here])

    def checks(self, horizon: float) -> Iterator[float]:
        """Give all checks of a job that is never finished, until one is at the horizon or past it."""
        check = 0.0
        while check < horizon:
            check = self.next_after(check)
            yield check

    def _within_cap(self, age: float, planned: float) -> float:
        return max(min(planned, age + self._max_lag), age + LEAST_GAP_SECONDS, math.nextafter(age, math.inf))


_NOTHING_KNOWN = OptimalChecks([0.0], [], [0.0])


def make_schedule(forecast: Forecast | None, terms: Terms) -> Plan:
    """Make the best plan by what is known; None for nothing.

    Then `x_k = check_cost · k²`: for any duration it costs at most twice what the best schedule of the minimax kind does
    that knows the longest, and about 1.25 of the best that knows the law. To a mean lag, nothing but even gaps leads.
    """
    if terms.target_lag is not None:
        return _plan_to_lag(forecast, terms.target_lag, terms.max_lag)
    cost = terms.check_cost or 0.0
    if forecast is None:
        return Plan(_NOTHING_KNOWN, lambda age: cost * (math.sqrt(age / cost) + 1) ** 2, terms.max_lag)
    return _best_plan(forecast, cost).capped(terms.max_lag)


def checks_until(plan: Plan, horizon: float) -> list[float]:
    """List the checks of a plan until one is at the horizon or past it.

    Raises:
        ValueError: They would be over a million.
    """
    checks = list(islice(plan.checks(horizon), MOST_CHECKS + 1))
    if len(checks) > MOST_CHECKS:
        raise ValueError(
            f"check_cost, or target_lag, is too small for {MOST_CHECKS} checks to last until {horizon:g} s"
        )
    return checks


def _plan_to_lag(forecast: Forecast | None, target_lag: float, max_lag: float) -> Plan:
    """Find the cost of a check that leads to a mean lag over jobs like the past ones: the dearest that keeps to it.

    More cost is more lag, by Keller's approximation as its root, from which it takes a few steps: where there are one
    or two checks for a job, the lag leaps. Where checks are many, the approximation is all it takes.
    """
    if forecast is None:
        return Plan(_NOTHING_KNOWN, lambda age: age + 2 * target_lag, max_lag)
    cost = _within(_LEAST_COST, 2 * (target_lag / _keller_integral(forecast)) ** 2, _MOST_COST)
    kept, too_dear, best = _LEAST_COST, math.inf, None
    for _ in range(_MOST_TRIES):
        plan = _best_plan(forecast, cost)
        is_dense = plan.moments > 2 * CELLS
        ratio = (
            1.0
            if is_dense
            else target_lag / mean_lag(plan.checks(forecast.times[-1]), forecast.times, forecast.of_body)
        )
        if ratio < 1:
            too_dear = cost
        elif cost > kept or best is None:
            kept, best = cost, plan
        if 1 <= ratio < 1 + _CLOSE_ENOUGH or too_dear < kept * (1 + _CLOSE_ENOUGH):
            break
        cost = _next_cost(cost * ratio**2, kept, too_dear)
    return (best or _best_plan(forecast, kept)).capped(max_lag)


def _next_cost(wanted: float, kept: float, too_dear: float) -> float:
    """The next one to try: as wanted, if that is between what is known; else halfway."""
    if kept < wanted < too_dear:
        return _within(_LEAST_COST, wanted * (1 - _CLOSE_ENOUGH), _MOST_COST)
    if too_dear == math.inf:
        return _within(_LEAST_COST, 4 * kept, _MOST_COST)
    return math.sqrt(kept * too_dear) if kept > _LEAST_COST else too_dear / 10


def _best_plan(forecast: Forecast, check_cost: float) -> Plan:
    """The optimum, and after its last moment as many checks a second as Keller (1974) has them."""
    optimum = optimize_checks(forecast, check_cost)
    return Plan(optimum, lambda age: age + math.sqrt(2 * check_cost / forecast.hazard(age)))


def _keller_integral(forecast: Forecast) -> float:
    """The integral of sqrt(density · survival) over the past jobs."""
    times, below = forecast.times, forecast.of_body
    return sum(
        math.sqrt((below[cell] - below[cell - 1]) * (times[cell] - times[cell - 1]) * (1 - below[cell - 1]))
        for cell in range(1, len(times))
    )


def _within(least: float, value: float, most: float) -> float:
    return max(least, min(value, most))
