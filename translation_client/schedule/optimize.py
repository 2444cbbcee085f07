"""The check times with the least expected cost under a distribution, and the expected cost of any schedule."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, pairwise
from typing import NamedTuple

from .forecast import Forecast

CELLS = 400
"""About how many moments the optimum chooses from, where it asks seldom."""

MOST_CELLS = 2000
"""And no more than this where it asks often; after them it asks as densely as they lie."""


class OptimalChecks(NamedTuple):
    """Which moment comes next, from any of them.

    Attributes:
        times: The moments, in seconds; the first is 0.
        following: For each but the last, the position of the next to ask at when the job was pending there.
        from_start: For each, what it costs if it is the first to be asked at, but for the request itself.
        per_check: How many of them there are for one check, about; the same all along.
    """

    times: list[float]
    following: list[int]
    from_start: list[float]
    per_check: float = 1.0


def optimize_checks(forecast: Forecast, check_cost: float) -> OptimalChecks:
    """Minimise `check_cost · E[requests] + E[lag]` (Barlow, Hunter and Proschan 1963).

    A dynamic program over candidate moments, from the last back to the first. What it costs to ask next at a moment j
    is a line over the probability C of being finished at the present one:
    `t_j · C_j - M_j + V_j - t_j · C` (M: the mean up to there, V: the cost from there on). The slopes grow and the
    queries fall, so that a lower hull answers all of them in one pass.
    """
    times, finished, per_check = _candidates(forecast, check_cost)
    means = _means(times, finished)
    last = len(times) - 1
    following, from_start = [0] * last, [0.0] * (last + 1)
    hull = _LowerHull()
    to_go = 0.0  # from the last moment on it costs what it costs, whatever comes before
    for here in range(last - 1, -1, -1):
        after = here + 1
        from_start[after] = times[after] * finished[after] - means[after] + to_go
        hull.add(-times[after], from_start[after], after)
        least, following[here] = hull.least(finished[here])
        to_go = check_cost * (1 - finished[here]) + means[here] + least
    from_start[0] = to_go
    return OptimalChecks(times, following, from_start, per_check)


class _LowerHull:
    """The lowest of some lines; they are added with growing slopes, and looked up from right to left."""

    def __init__(self) -> None:
        self._transports: list[tuple[float, float, int]] = []
        self._first = 0

    def add(self, slope: float, start: float, name: int) -> None:
        """Add a line, and drop those that are nowhere the lowest any more."""
        lines = self._transports
        while len(lines) - self._first >= 2:
            (slope_1, start_1, _), (slope_2, start_2, _) = lines[-2], lines[-1]
            if (start_2 - start_1) * (slope - slope_1) < (start - start_1) * (slope_2 - slope_1):
                break
            lines.pop()
        lines.append((slope, start, name))

    def least(self, point: float) -> tuple[float, int]:
        """The least value at a point, and the line that has it."""
        lines, first = self._transports, self._first
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


def _means(times: Sequence[float], finished: Sequence[float]) -> list[float]:
    """The integral of t dF up to each moment; within a cell the law is even."""
    cells = zip(pairwise(times), pairwise(finished), strict=True)
    return list(
        accumulate(((after - before) * (end + start) / 2 for (start, end), (before, after) in cells), initial=0.0)
    )


def _candidates(forecast: Forecast, check_cost: float) -> tuple[list[float], list[float], float]:
    """Moments to choose from, the probability of being finished by each, and how many there are for a check.

    They lie as densely as the optimum asks: by Keller (1974) it makes `sqrt(hazard / (2 · check_cost))` checks a second.
    A whole number of them for each check, so that the optimum need not round one gap up and the next one down.
    """
    grid, finished = forecast.times, forecast.finished
    numbers = _keller_numbers(grid, finished, check_cost)
    checks = min(numbers[-1], MOST_CELLS)
    count = int(checks * max(1, int(CELLS / checks))) + 1
    step = checks / count
    times, chances = [0.0], [0.0]
    right, end = 1, len(grid) - 1
    for number in range(1, count + 1):
        wanted = number * step
        while right < end and numbers[right] < wanted:
            right += 1
        span = numbers[right] - numbers[right - 1]
        share = min((wanted - numbers[right - 1]) / span, 1.0) if span > 0 else 1.0
        time = grid[right - 1] + share * (grid[right] - grid[right - 1])
        if time > times[-1]:
            times.append(time)
            chances.append(finished[right - 1] + share * (finished[right] - finished[right - 1]))
    return times, chances, count / checks


def _keller_numbers(grid: Sequence[float], finished: Sequence[float], check_cost: float) -> list[float]:
    """How many checks the optimum makes up to each point of the grid, about."""
    cells = zip(pairwise(grid), pairwise(finished), strict=True)
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
    """What a job that is finished within the law's grid may expect, on average.

    Attributes:
        requests: How often it is asked about, the last time included.
        lag: The seconds from its end to the answer that says so.
    """

    requests: float
    lag: float


def expected_cost(checks: Iterable[float], times: Sequence[float], finished: Sequence[float]) -> ExpectedCost:
    """Expect by a law that is even between the points of a grid, of the jobs that it has finished at its end.

    Args:
        checks: Increasing; the last one is at or past the end of the grid.
        times: The grid, from 0 on.
        finished: The probability of being finished by each point.
    """
    asked = requests = lag = 0.0
    for chance, mean, check in _between(checks, times, finished):
        asked += 1
        requests += asked * chance
        lag += check * chance - mean
    return ExpectedCost(requests / finished[-1], lag / finished[-1])


def mean_lag(checks: Iterable[float], times: Sequence[float], finished: Sequence[float]) -> float:
    """The lag alone."""
    return expected_cost(checks, times, finished).lag


def _between(
    checks: Iterable[float], times: Sequence[float], finished: Sequence[float]
) -> Iterator[tuple[float, float, float]]:
    """For each check: the probability that the job finished since the last one, the integral of t dF over it, the check."""
    time, below, point, last = 0.0, 0.0, 1, len(times) - 1
    for check in checks:
        chance = mean = 0.0
        while time < check and point <= last:
            end = min(check, times[point])
            left, right = times[point - 1], times[point]
            until = finished[point - 1] + (finished[point] - finished[point - 1]) * (end - left) / (right - left)
            chance += until - below
            mean += (until - below) * (time + end) / 2
            time, below = end, until
            point += end == right
        yield chance, mean, check
