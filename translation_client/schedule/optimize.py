"""The check times with the least expected cost under a distribution, and the expected cost of any schedule."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, pairwise
from typing import NamedTuple

from .forecast import Forecast

MIN_CANDIDATES = 400
"""The approximate minimum of candidate times, from which a sparse schedule is chosen."""

MAX_CANDIDATES = 2000
"""The approximate maximum of candidate times. A denser schedule continues after the last one at the rate of Keller (1974)."""


class OptimalChecks(NamedTuple):
    """The next check after each candidate time.

    Attributes:
        times: The candidate times in seconds. The first is 0.
        following: For each but the last, the index of the next check if the job was pending there.
        from_start: For each, the expected cost if it is the first check, without that request.
        per_check: About how many candidates there are for each check, the same everywhere.
    """

    times: list[float]
    following: list[int]
    from_start: list[float]
    per_check: float = 1.0


def optimize_checks(forecast: Forecast, check_cost: float) -> OptimalChecks:
    """Minimise `check_cost · E[requests] + E[lag]` (Barlow, Hunter and Proschan 1963).

    A dynamic program over candidate times, from the last back to the first. The cost of a next check at time j is a
    line over the probability C of being finished at the present time: `t_j · C_j - M_j + V_j - t_j · C`, where M is the
    mean up to there, and V the cost from there on. The slopes grow and the queries fall, so a lower hull finds all
    minima in one pass.
    """
    times, cdf, per_check = _candidates(forecast, check_cost)
    means = _means(times, cdf)
    last = len(times) - 1
    following, from_start = [0] * last, [0.0] * (last + 1)
    hull = _LowerHull()
    to_go = 0.0  # the cost after the last candidate is the same for every schedule
    for here in range(last - 1, -1, -1):
        after = here + 1
        from_start[after] = times[after] * cdf[after] - means[after] + to_go
        hull.add(-times[after], from_start[after], after)
        least, following[here] = hull.least(cdf[here])
        to_go = check_cost * (1 - cdf[here]) + means[here] + least
    from_start[0] = to_go
    return OptimalChecks(times, following, from_start, per_check)


class _LowerHull:
    """The lower envelope of lines. Lines are added with growing slopes, and queried from right to left."""

    def __init__(self) -> None:
        self._lines: list[tuple[float, float, int]] = []
        self._first = 0

    def add(self, slope: float, start: float, name: int) -> None:
        """Add a line, and drop those that are no longer the lowest anywhere."""
        lines = self._lines
        while len(lines) - self._first >= 2:
            (slope_1, start_1, _), (slope_2, start_2, _) = lines[-2], lines[-1]
            if (start_2 - start_1) * (slope - slope_1) < (start - start_1) * (slope_2 - slope_1):
                break
            lines.pop()
        lines.append((slope, start, name))

    def least(self, point: float) -> tuple[float, int]:
        """Return the least value at a point, and the name of the line that has it."""
        lines, first = self._lines, self._first
        slope, start, name = lines[first]
        value = start + slope * point
        while first + 1 < len(lines):
            slope, start, next_name = lines[first + 1]
            other = start + slope * point
            if other > value:
                break
            first, value, name = first + 1, other, next_name
        self._first = first
        return value, name


def _means(times: Sequence[float], cdf: Sequence[float]) -> list[float]:
    """Return the integral of t dF up to each time. The distribution is uniform within a cell."""
    cells = zip(pairwise(times), pairwise(cdf), strict=True)
    return list(
        accumulate(((after - before) * (end + start) / 2 for (start, end), (before, after) in cells), initial=0.0)
    )


def _candidates(forecast: Forecast, check_cost: float) -> tuple[list[float], list[float], float]:
    """Return candidate times, the probability of being finished by each, and how many there are for each check.

    They are as dense as the optimum, which by Keller (1974) makes `sqrt(hazard / (2 · check_cost))` checks a second.
    There is a whole number of them for each check, so that the optimum need not round one gap up and the next one down.
    """
    grid, cdf = forecast.times, forecast.cdf
    numbers = _keller_numbers(grid, cdf, check_cost)
    checks = min(numbers[-1], MAX_CANDIDATES)
    count = int(checks * max(1, int(MIN_CANDIDATES / checks))) + 1
    step = checks / count
    times, probabilities = [0.0], [0.0]
    right, end = 1, len(grid) - 1
    for number in range(1, count + 1):
        position = number * step
        while right < end and numbers[right] < position:
            right += 1
        span = numbers[right] - numbers[right - 1]
        share = min((position - numbers[right - 1]) / span, 1.0) if span > 0 else 1.0
        time = grid[right - 1] + share * (grid[right] - grid[right - 1])
        if time > times[-1]:
            times.append(time)
            probabilities.append(cdf[right - 1] + share * (cdf[right] - cdf[right - 1]))
    return times, probabilities, count / checks


def _keller_numbers(grid: Sequence[float], cdf: Sequence[float], check_cost: float) -> list[float]:
    """Return about how many checks the optimum makes up to each point of the grid."""
    cells = zip(pairwise(grid), pairwise(cdf), strict=True)
    return list(
        accumulate(
            (
                math.sqrt((after - before) * (end - start) / (check_cost * (2 - before - after)))
                for (start, end), (before, after) in cells
            ),
            initial=0.0,
        )
    )


class ExpectedCost(NamedTuple):
    """The expected cost of a job that finishes within the grid.

    Attributes:
        requests: The mean number of checks, with the last one.
        lag: The mean delay, in seconds, between the end of the job and the check that sees it.
    """

    requests: float
    lag: float


def expected_cost(checks: Iterable[float], times: Sequence[float], cdf: Sequence[float]) -> ExpectedCost:
    """Compute the expected cost for jobs that finish within a grid. Between its points the distribution is uniform.

    Args:
        checks: The check times, increasing. The last one is at or past the end of the grid.
        times: The grid in seconds, from 0 on.
        cdf: The probability of being finished by each point.
    """
    number = requests = lag = 0.0
    for probability, mean, check in _between(checks, times, cdf):
        number += 1
        requests += number * probability
        lag += check * probability - mean
    return ExpectedCost(requests / cdf[-1], lag / cdf[-1])


def mean_lag(checks: Iterable[float], times: Sequence[float], cdf: Sequence[float]) -> float:
    """Return the `lag` of `expected_cost`."""
    return expected_cost(checks, times, cdf).lag


def _between(
    checks: Iterable[float], times: Sequence[float], cdf: Sequence[float]
) -> Iterator[tuple[float, float, float]]:
    """Yield for each check the probability of a finish since the last one, the integral of t dF, and the check."""
    time, below, point, last = 0.0, 0.0, 1, len(times) - 1
    for check in checks:
        probability = mean = 0.0
        while time < check and point <= last:
            end = min(check, times[point])
            left, right = times[point - 1], times[point]
            until = cdf[point - 1] + (cdf[point] - cdf[point - 1]) * (end - left) / (right - left)
            probability += until - below
            mean += (until - below) * (time + end) / 2
            time, below = end, until
            point += end == right
        yield probability, mean, check
