"""How many requests and how much lag are to be expected of a schedule, if durations follow a law?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple


class Outlook(NamedTuple):
    """What a job that is finished within the law's grid may expect, on average.

    Attributes:
        requests: How often it is asked about, the last time included.
        lag: The seconds from its end to the answer that says so.
    """

    requests: float
    lag: float


def outlook(checks: Iterable[float], times: Sequence[float], finished: Sequence[float]) -> Outlook:
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
    return Outlook(requests / finished[-1], lag / finished[-1])


def mean_lag(checks: Iterable[float], times: Sequence[float], finished: Sequence[float]) -> float:
    """The lag alone."""
    return outlook(checks, times, finished).lag


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
