"""Distributions of the logarithm of a duration, estimated from observations that may be censored."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Hashable, Iterable, Sequence
from itertools import accumulate, pairwise
from typing import NamedTuple

FEW = 30
"""With fewer jobs a log-normal law says more than a smoothed one."""

LEAST_SPREAD = 0.01
"""No law is narrower than about one part in a hundred: past jobs that were all the same promise nothing."""

USUAL_SPREAD = 0.5
"""What the logarithms spread where nothing says so, and how many jobs that assumption is worth."""
USUAL_SPREAD_JOBS = 0.5

CENSORED_FACTOR = 2.0
"""How much longer than it was waited for a job is taken to go on, where none is known to have taken longer."""

_REACH = 4.0  # standard deviations to either side
_STEPS = 4  # grid cells in a bandwidth
_MOST_CELLS = 400


class CensoredDuration(NamedTuple):
    """What a law is estimated from: one job, on the scale of logarithms.

    Attributes:
        entry: From when on it was looked at; minus infinity for from the start.
        exit: When it finished, or was last seen pending.
        is_finished: Which of the two.
    """

    entry: float
    exit: float
    is_finished: bool


class Distribution:
    """A distribution function, piecewise linear between its knots."""

    def __init__(self, knots: Sequence[float], below: Sequence[float]) -> None:
        """Take the knots, increasing, and the probability of lying below each: from 0 to 1."""
        self.knots = knots
        self.below = below

    def shifted(self, distance: float) -> Distribution:
        """Move it."""
        return Distribution([knot + distance for knot in self.knots], self.below) if distance else self

    @property
    def spread(self) -> float:
        """Half the width of its middle two thirds: of a normal law about the standard deviation."""
        least, most = (self.knots[bisect_left(self.below, self.below[-1] * share)] for share in (1 / 6, 5 / 6))
        return (most - least) / 2

    def at(self, points: Sequence[float]) -> list[float]:
        """Look up many points, increasing."""
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
    """How far values lie from the middle of their kind.

    Attributes:
        middles: The mean of each kind.
    """

    def __init__(self, values: Iterable[tuple[Hashable, float]]) -> None:
        """Take values, each with its kind."""
        kinds: dict[Hashable, list[float]] = {}
        for kind, value in values:
            kinds.setdefault(kind, []).append(value)
        self.middles = {kind: math.fsum(some) / len(some) for kind, some in kinds.items()}
        self._squares = sum((value - self.middles[kind]) ** 2 for kind, some in kinds.items() for value in some)
        self._freedom = sum(len(some) - 1 for some in kinds.values())

    def spread(self) -> float:
        """The deviation within kinds, drawn a little towards the usual one."""
        squares = self._squares + USUAL_SPREAD_JOBS * USUAL_SPREAD**2
        return math.sqrt(squares / (self._freedom + USUAL_SPREAD_JOBS))


def lognormal(mean: float, spread: float) -> Distribution:
    """The normal law of the logarithms."""
    return Distribution([mean + spread * score for score in _SCORES], _BELOW_SCORES)


def fit(
    lifetimes: Sequence[CensoredDuration], spread: float = USUAL_SPREAD, spread_jobs: float = USUAL_SPREAD_JOBS
) -> Distribution:
    """Estimate a law: log-normal while jobs are few, then smoothed.

    Args:
        lifetimes: At least one.
        spread: What the logarithms are thought to spread before any of them is seen.
        spread_jobs: How many jobs that thought is worth.
    """
    points = kaplan_meier(lifetimes)
    count = len(points)
    mean = sum(point * weight for point, weight in points)
    variance = sum(weight * (point - mean) ** 2 for point, weight in points)
    if count < FEW:
        # The predictive law of one more job, but for the heavier tails of Student's: those are the prior's business.
        squares = count * variance + spread_jobs * spread * spread
        deviation = math.sqrt(squares / (count - 1 + spread_jobs) * (1 + 1 / count))
        return lognormal(mean, max(deviation, LEAST_SPREAD))
    return _smoothed(points, _bandwidth(points, math.sqrt(variance)))


def kaplan_meier(lifetimes: Sequence[CensoredDuration]) -> list[tuple[float, float]]:
    """Weigh the moments at which jobs finished; the weights are 1 together, the moments increase.

    The product-limit estimator (Kaplan and Meier 1958), for jobs that nobody saw finish, with delayed entry
    (Lynden-Bell 1971), for jobs that were looked at late.
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
        # Where few are looked at so early, one that finishes must not say that all do.
        share = 1.0 if number == len(moments) else 1 / max(at_risk, 2)
        weighed.append((moment, left * share))
        left -= left * share
    return weighed


def _with_an_end(lifetimes: Sequence[CensoredDuration]) -> list[CensoredDuration]:
    """Let those that outlast every job that finished be finished some time later: all that is known is that they do."""
    last = max((one.exit for one in lifetimes if one.is_finished), default=-math.inf)
    later = math.log(CENSORED_FACTOR)
    return [
        one if one.is_finished or one.exit < last else CensoredDuration(one.entry, one.exit + later, True)
        for one in lifetimes
    ]


def _bandwidth(points: Sequence[tuple[float, float]], deviation: float) -> float:
    """By Silverman's rule of thumb (1986, section 3.4.2)."""
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
    """A kernel estimate, on a grid: each point is spread over the cells around it."""
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
    """Share each point between the two cells beside it, by its distance."""
    masses: dict[int, float] = {}
    for point, weight in points:
        place = (point - start) / step
        cell = int(place)
        share = place - cell
        masses[cell] = masses.get(cell, 0.0) + weight * (1 - share)
        masses[cell + 1] = masses.get(cell + 1, 0.0) + weight * share
    return list(masses.items())


def _kernel(step: float, reach: int) -> list[float]:
    """The normal density, cell by cell."""
    edges = [_below((number - 0.5) * step) for number in range(-reach, reach + 2)]
    return [right - left for left, right in pairwise(edges)]


def _below(score: float) -> float:
    return 0.5 * math.erfc(-score / math.sqrt(2))


_SCORES = [_REACH * number / 24 for number in range(-24, 25)]
_BELOW_SCORES = [0.0, *(_below(score) for score in _SCORES[1:-1]), 1.0]
