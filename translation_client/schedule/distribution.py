"""Distributions of log durations, estimated from observations that may be censored."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Hashable, Iterable, Sequence
from itertools import accumulate, pairwise
from typing import NamedTuple

KERNEL_MIN_JOBS = 30
"""The fewest finished jobs for a kernel estimate. With fewer, a log-normal fit is better."""

MIN_SCALE = 0.01
"""The least standard deviation of log durations, about 1 %: equal past jobs do not make the next one certain."""

PRIOR_SCALE = 0.5
"""The prior of the standard deviation of log durations."""

PRIOR_SCALE_WEIGHT = 0.5
"""The weight of this prior, in pseudo-observations."""

CENSORED_FACTOR = 2.0
"""A job censored at or after the last finish is assumed to have finished at this many times its last pending age."""

_REACH = 4.0  # standard deviations to either side
_STEPS = 4  # grid cells in a bandwidth
_MAX_CELLS = 400  # of the grid of a kernel estimate, to bound its time


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

    def __init__(self, knots: Sequence[float], cdf: Sequence[float]) -> None:
        """Store the knots, increasing, and the probability below each of them, from 0 to 1."""
        self.knots = knots
        self.cdf = cdf

    def shifted(self, distance: float) -> Distribution:
        """Return a copy moved by a distance."""
        return Distribution([knot + distance for knot in self.knots], self.cdf) if distance else self

    @property
    def scale(self) -> float:
        """Half the width of the middle two thirds, which is about the standard deviation of a normal distribution."""
        least, most = (self.knots[bisect_left(self.cdf, self.cdf[-1] * share)] for share in (1 / 6, 5 / 6))
        return (most - least) / 2

    def cdf_at(self, points: Sequence[float]) -> list[float]:
        """Return the probability below each point. The points increase."""
        knots, cdf = self.knots, self.cdf
        probabilities = []
        right, last = 0, len(knots)
        for point in points:
            while right < last and knots[right] <= point:
                right += 1
            if right in (0, last):
                probabilities.append(1.0 if right else 0.0)
                continue
            left = knots[right - 1]
            share = (point - left) / (knots[right] - left)
            probabilities.append(cdf[right - 1] + share * (cdf[right] - cdf[right - 1]))
        return probabilities


class PooledVariance:
    """The variance of values around the mean of their kind, pooled over kinds.

    Attributes:
        means: The mean of each kind.
    """

    def __init__(self, values: Iterable[tuple[Hashable, float]]) -> None:
        """Group the values by kind."""
        kinds: dict[Hashable, list[float]] = {}
        for kind, value in values:
            kinds.setdefault(kind, []).append(value)
        self.means = {kind: math.fsum(own) / len(own) for kind, own in kinds.items()}
        self._squares = sum((value - self.means[kind]) ** 2 for kind, own in kinds.items() for value in own)
        self._freedom = sum(len(own) - 1 for own in kinds.values())

    def scale(self) -> float:
        """Return the pooled standard deviation within kinds, shrunk a little towards `PRIOR_SCALE`."""
        squares = self._squares + PRIOR_SCALE_WEIGHT * PRIOR_SCALE**2
        return math.sqrt(squares / (self._freedom + PRIOR_SCALE_WEIGHT))


def lognormal(mean: float, scale: float) -> Distribution:
    """Return a normal distribution of log durations, cut off at 4 standard deviations."""
    return Distribution([mean + scale * score for score in _SCORES], _CDF_OF_SCORES)


def fit(
    durations: Sequence[CensoredDuration], scale: float = PRIOR_SCALE, scale_jobs: float = PRIOR_SCALE_WEIGHT
) -> Distribution:
    """Estimate a distribution: log-normal for few jobs, else a kernel estimate.

    Args:
        durations: The observations, at least one.
        scale: The prior standard deviation of log durations.
        scale_jobs: The weight of that prior, in jobs.
    """
    points = kaplan_meier(durations)
    count = len(points)
    mean = sum(point * weight for point, weight in points)
    variance = sum(weight * (point - mean) ** 2 for point, weight in points)
    if count < KERNEL_MIN_JOBS:
        # The predictive distribution of one more job. The heavier tails of Student's t are left to the prior.
        squares = count * variance + scale_jobs * scale * scale
        deviation = math.sqrt(squares / (count - 1 + scale_jobs) * (1 + 1 / count))
        return lognormal(mean, max(deviation, MIN_SCALE))
    return _smoothed(points, _bandwidth(points, math.sqrt(variance)))


def kaplan_meier(durations: Sequence[CensoredDuration]) -> list[tuple[float, float]]:
    """Return the times at which jobs finished, increasing, with weights that add up to 1.

    The product-limit estimator (Kaplan and Meier 1958), for censored jobs, with delayed entry (Lynden-Bell 1971), for
    jobs whose observation began late.
    """
    jobs = _with_an_end(durations)
    if all(job.is_finished and job.entry == -math.inf for job in jobs):
        return sorted((job.exit, 1 / len(jobs)) for job in jobs)
    entries, exits = sorted(job.entry for job in jobs), sorted(job.exit for job in jobs)
    times = sorted(job.exit for job in jobs if job.is_finished)
    survival = 1.0
    weighted = []
    for number, time in enumerate(times, 1):
        before = bisect_left(exits, time) + number - 1 - bisect_left(times, time)
        at_risk = bisect_right(entries, time) - before
        # With delayed entry, few jobs are at risk early: a single one that finishes must not end the survival.
        share = 1.0 if number == len(times) else 1 / max(at_risk, 2)
        weighted.append((time, survival * share))
        survival -= survival * share
    return weighted


def _with_an_end(durations: Sequence[CensoredDuration]) -> list[CensoredDuration]:
    """Treat censored jobs that outlast every finished one as finished later by `CENSORED_FACTOR`."""
    last = max((job.exit for job in durations if job.is_finished), default=-math.inf)
    later = math.log(CENSORED_FACTOR)
    return [
        job if job.is_finished or job.exit < last else CensoredDuration(job.entry, job.exit + later, True)
        for job in durations
    ]


def _bandwidth(points: Sequence[tuple[float, float]], deviation: float) -> float:
    """Return the bandwidth by Silverman's rule of thumb (1986, section 3.4.2)."""
    quartile, three_quarters = _quantile(points, 0.25), _quantile(points, 0.75)
    scale = min(deviation, (three_quarters - quartile) / 1.34 or deviation)
    return max(0.9 * scale * math.pow(len(points), -0.2), MIN_SCALE)


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
    step = max(bandwidth / _STEPS, (stop - start + 2 * _REACH * bandwidth) / _MAX_CELLS)
    reach = math.ceil(_REACH * bandwidth / step)
    kernel = _kernel(step / bandwidth, reach)
    density = [0.0] * (int((stop - start) / step) + 2 + 2 * reach)
    for cell, mass in _binned(points, start, step):
        for offset, share in enumerate(kernel):
            density[cell + offset] += mass * share
    first = start - (reach + 0.5) * step
    knots = [first + number * step for number in range(len(density) + 1)]
    cdf = list(accumulate(density, initial=0.0))
    return Distribution(knots, [min(below / cdf[-1], 1.0) for below in cdf])


def _binned(points: Sequence[tuple[float, float]], start: float, step: float) -> list[tuple[int, float]]:
    """Divide the weight of each point between its two neighbouring cells, by distance."""
    masses: dict[int, float] = {}
    for point, weight in points:
        position = (point - start) / step
        cell = int(position)
        share = position - cell
        masses[cell] = masses.get(cell, 0.0) + weight * (1 - share)
        masses[cell + 1] = masses.get(cell + 1, 0.0) + weight * share
    return list(masses.items())


def _kernel(step: float, reach: int) -> list[float]:
    """Return the mass of the normal distribution in each cell."""
    edges = [_normal_cdf((number - 0.5) * step) for number in range(-reach, reach + 2)]
    return [right - left for left, right in pairwise(edges)]


def _normal_cdf(score: float) -> float:
    return 0.5 * math.erfc(-score / math.sqrt(2))


_SCORES = [_REACH * number / 24 for number in range(-24, 25)]
_CDF_OF_SCORES = [0.0, *(_normal_cdf(score) for score in _SCORES[1:-1]), 1.0]
