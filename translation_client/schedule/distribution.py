"""Distributions of log durations, estimated from observations that may be censored."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Hashable, Iterable, Sequence
from itertools import accumulate, pairwise
from typing import NamedTuple

FEW = 30
"""With fewer jobs a log-normal fit is better than a kernel estimate."""

LEAST_SPREAD = 0.01
"""The least spread of a distribution, about 1 %: equal past jobs do not make the next one certain."""

USUAL_SPREAD = 0.5
"""The standard deviation of log durations without data. `USUAL_SPREAD_JOBS` is the weight of this prior, in jobs."""
USUAL_SPREAD_JOBS = 0.5

CENSORED_FACTOR = 2.0
"""A censored job that outlasts all finished ones is assumed to take this many times its last pending age."""

_REACH = 4.0  # standard deviations to either side
_STEPS = 4  # grid cells in a bandwidth
_MOST_CELLS = 400


class CensoredDuration(NamedTuple):
    """One job of an estimate, in log seconds.

    Attributes:
        entry: When observation began (delayed entry). Minus infinity for from the start.
        exit: When the job finished, or was last seen pending.
        is_finished: True if `exit` is the time at which it finished.
    """

    entry: float
    exit: float
    is_finished: bool


class Distribution:
    """A distribution function, piecewise linear between its knots."""

    def __init__(self, knots: Sequence[float], below: Sequence[float]) -> None:
        """Store the knots, increasing, and the probability below each, from 0 to 1."""
        self.knots = knots
        self.below = below

    def shifted(self, distance: float) -> Distribution:
        """Return a copy moved by a distance."""
        return Distribution([knot + distance for knot in self.knots], self.below) if distance else self

    @property
    def spread(self) -> float:
        """Half the width of the middle two thirds, which is about the standard deviation of a normal distribution."""
        least, most = (self.knots[bisect_left(self.below, self.below[-1] * share)] for share in (1 / 6, 5 / 6))
        return (most - least) / 2

    def at(self, points: Sequence[float]) -> list[float]:
        """Return the probability below each point. The points increase."""
        knots, below = self.knots, self.below
        found = []
        right, last = 0, len(knots)
        for point in points:
            while right < last and knots[right] <= point:
                right += 1
            if right in (0, last):
                found.append(1.0 if right else 0.0)
                continue
            left = knots[right - 1]
            share = (point - left) / (knots[right] - left)
            found.append(below[right - 1] + share * (below[right] - below[right - 1]))
        return found


class PooledVariance:
    """The variance of values around the mean of their kind, pooled over kinds.

    Attributes:
        middles: The mean of each kind.
    """

    def __init__(self, values: Iterable[tuple[Hashable, float]]) -> None:
        """Group the values by kind."""
        kinds: dict[Hashable, list[float]] = {}
        for kind, value in values:
            kinds.setdefault(kind, []).append(value)
        self.middles = {kind: math.fsum(some) / len(some) for kind, some in kinds.items()}
        self._squares = sum((value - self.middles[kind]) ** 2 for kind, some in kinds.items() for value in some)
        self._freedom = sum(len(some) - 1 for some in kinds.values())

    def spread(self) -> float:
        """Return the pooled standard deviation within kinds, shrunk a little towards `USUAL_SPREAD`."""
        squares = self._squares + USUAL_SPREAD_JOBS * USUAL_SPREAD**2
        return math.sqrt(squares / (self._freedom + USUAL_SPREAD_JOBS))


def lognormal(mean: float, spread: float) -> Distribution:
    """Return a normal distribution of log durations, cut off at 4 standard deviations."""
    return Distribution([mean + spread * score for score in _SCORES], _BELOW_SCORES)


def fit(
    lifetimes: Sequence[CensoredDuration], spread: float = USUAL_SPREAD, spread_jobs: float = USUAL_SPREAD_JOBS
) -> Distribution:
    """Estimate a distribution: log-normal for few jobs, else a kernel estimate.

    Args:
        lifetimes: The observations, at least one.
        spread: The prior standard deviation of log durations.
        spread_jobs: The weight of that prior, in jobs.
    """
    points = kaplan_meier(lifetimes)
    count = len(points)
    mean = sum(point * weight for point, weight in points)
    variance = sum(weight * (point - mean) ** 2 for point, weight in points)
    if count < FEW:
        # The predictive distribution of one more job. The heavier tails of Student's t are left to the prior.
        squares = count * variance + spread_jobs * spread * spread
        deviation = math.sqrt(squares / (count - 1 + spread_jobs) * (1 + 1 / count))
        return lognormal(mean, max(deviation, LEAST_SPREAD))
    return _smoothed(points, _bandwidth(points, math.sqrt(variance)))


def kaplan_meier(lifetimes: Sequence[CensoredDuration]) -> list[tuple[float, float]]:
    """Return the times at which jobs finished, increasing, with weights that add up to 1.

    The product-limit estimator (Kaplan and Meier 1958), for censored jobs, with delayed entry (Lynden-Bell 1971), for
    jobs whose observation began late.
    """
    known = _with_an_end(lifetimes)
    if all(one.is_finished and one.entry == -math.inf for one in known):
        return sorted((one.exit, 1 / len(known)) for one in known)
    entries, exits = sorted(one.entry for one in known), sorted(one.exit for one in known)
    moments = sorted(one.exit for one in known if one.is_finished)
    left = 1.0
    weighed = []
    for number, moment in enumerate(moments, 1):
        before = bisect_left(exits, moment) + number - 1 - bisect_left(moments, moment)
        at_risk = bisect_right(entries, moment) - before
        # With delayed entry, few jobs are at risk early: a single one that finishes must not end the survival.
        share = 1.0 if number == len(moments) else 1 / max(at_risk, 2)
        weighed.append((moment, left * share))
        left -= left * share
    return weighed


def _with_an_end(lifetimes: Sequence[CensoredDuration]) -> list[CensoredDuration]:
    """Treat censored jobs that outlast every finished one as finished later by `CENSORED_FACTOR`."""
    last = max((one.exit for one in lifetimes if one.is_finished), default=-math.inf)
    later = math.log(CENSORED_FACTOR)
    return [
        one if one.is_finished or one.exit < last else CensoredDuration(one.entry, one.exit + later, True)
        for one in lifetimes
    ]


def _bandwidth(points: Sequence[tuple[float, float]], deviation: float) -> float:
    """Return the bandwidth by Silverman's rule of thumb (1986, section 3.4.2)."""
    quartile, three_quarters = _quantile(points, 0.25), _quantile(points, 0.75)
    spread = min(deviation, (three_quarters - quartile) / 1.34 or deviation)
    return max(0.9 * spread * math.pow(len(points), -0.2), LEAST_SPREAD)


def _quantile(points: Sequence[tuple[float, float]], share: float) -> float:
    below = 0.0
    for point, weight in points:
        below += weight
        if below >= share:
            return point
    return points[-1][0]


def _smoothed(points: Sequence[tuple[float, float]], bandwidth: float) -> Distribution:
    """Return a kernel estimate on a grid: the weight of each point is spread over the cells around it."""
    start, stop = points[0][0], points[-1][0]
    step = max(bandwidth / _STEPS, (stop - start + 2 * _REACH * bandwidth) / _MOST_CELLS)
    reach = math.ceil(_REACH * bandwidth / step)
    kernel = _kernel(step / bandwidth, reach)
    density = [0.0] * (int((stop - start) / step) + 2 + 2 * reach)
    for cell, mass in _binned(points, start, step):
        for offset, share in enumerate(kernel):
            density[cell + offset] += mass * share
    first = start - (reach + 0.5) * step
    knots = [first + number * step for number in range(len(density) + 1)]
    below = list(accumulate(density, initial=0.0))
    return Distribution(knots, [min(one / below[-1], 1.0) for one in below])


def _binned(points: Sequence[tuple[float, float]], start: float, step: float) -> list[tuple[int, float]]:
    """Divide the weight of each point between its two neighbouring cells, by distance."""
    masses: dict[int, float] = {}
    for point, weight in points:
        place = (point - start) / step
        cell = int(place)
        share = place - cell
        masses[cell] = masses.get(cell, 0.0) + weight * (1 - share)
        masses[cell + 1] = masses.get(cell + 1, 0.0) + weight * share
    return list(masses.items())


def _kernel(step: float, reach: int) -> list[float]:
    """Return the mass of the normal distribution in each cell."""
    edges = [_below((number - 0.5) * step) for number in range(-reach, reach + 2)]
    return [right - left for left, right in pairwise(edges)]


def _below(score: float) -> float:
    return 0.5 * math.erfc(-score / math.sqrt(2))


_SCORES = [_REACH * number / 24 for number in range(-24, 25)]
_BELOW_SCORES = [0.0, *(_below(score) for score in _SCORES[1:-1]), 1.0]
