"""The predictive distribution of one job's duration: past jobs like it, mixed with a prior."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from .distribution import Distribution

PRIOR_WEIGHT = 4.0
"""The weight of the prior, in past jobs. It limits the cost of the first few jobs, and of a change of the service."""

PRIOR_NARROWNESS = 2.0
"""The scale of the prior is the usual duration times exp(-2 · scale): the more alike past jobs are, the less likely is
a much shorter one. A smaller scale would check narrow distributions too early, a larger one wide distributions too
late.
"""

MIN_PRIOR_SCALE = 1e-9
"""The least scale of the prior, as a fraction of the longest duration on the grid."""

_FILL = 0.2  # the widest step of the grid, in logarithms
_BEGIN = 1e-3  # the start of the grid, as a fraction of the usual duration
_BEYOND = 1.5  # the end of the grid, as a multiple of the longest duration in the data


class MixtureComponent(NamedTuple):
    """A distribution of log durations, and its share in a mixture."""

    share: float
    distribution: Distribution


class Forecast:
    """The distribution of one duration in seconds, piecewise linear on a grid. Beyond the grid it is the prior alone.

    `(N · body + k0 · prior) / (N + k0)`: the predictive distribution of a Dirichlet process (Ferguson 1973). The prior
    is the Lomax distribution of index 1/2. Its best schedule is the quadratic one, to which schedules return past all
    data.

    Attributes:
        times: The grid in seconds, from 0 on.
        cdf: The probability of being finished by each of them.
        body_cdf: The same probability by the past jobs, without the prior.
        usual_seconds: The usual duration of such a job in seconds: about the geometric mean.
    """

    def __init__(self, parts: Sequence[MixtureComponent], jobs: float, usual_seconds: float) -> None:
        """Mix the distributions of past jobs, whose shares add up to 1, with the prior.

        Args:
            parts: The distributions.
            jobs: The weight of the past jobs, in jobs.
            usual_seconds: The usual duration of such a job in seconds.
        """
        self.usual_seconds = usual_seconds
        scale = math.fsum(part.share * part.distribution.scale for part in parts)
        logs = _grid([part.distribution for part in parts], usual_seconds)
        least = math.exp(logs[-1]) * MIN_PRIOR_SCALE  # or its survival would vanish before the end of the grid
        self._scale = max(usual_seconds * math.exp(-PRIOR_NARROWNESS * scale), least)
        shares = [(part.share, part.distribution.cdf_at(logs)) for part in parts]
        body_cdf = [math.fsum(share * cdf[cell] for share, cdf in shares) for cell in range(len(logs))]
        weight = jobs / (jobs + PRIOR_WEIGHT)
        self.times = [0.0, *map(math.exp, logs)]
        self.body_cdf = [0.0, *body_cdf]
        self.cdf = [
            weight * body + (1 - weight) * (1 - self._prior_survival(time))
            for time, body in zip(self.times, self.body_cdf, strict=True)
        ]

    def cdf_at(self, seconds: float) -> float:
        """Return the probability of being finished by this time."""
        if seconds < self.times[-1]:
            return interpolated(self.times, self.cdf, seconds)
        beyond = self._prior_survival(seconds) / self._prior_survival(self.times[-1])
        return 1 - (1 - self.cdf[-1]) * beyond

    def hazard(self, seconds: float) -> float:
        """Return the hazard at this time, per second."""
        cell = bisect_right(self.times, seconds)
        if cell < len(self.times):
            width = self.times[cell] - self.times[cell - 1]
            hazard = (self.cdf[cell] - self.cdf[cell - 1]) / width / (1 - self.cdf[cell - 1])
            if hazard > 0:
                return hazard
        return 1 / (2 * (self._scale + seconds))

    def _prior_survival(self, seconds: float) -> float:
        """Return the survival function of the prior."""
        return math.sqrt(self._scale / (self._scale + seconds))


def _grid(distributions: Sequence[Distribution], usual_seconds: float) -> list[float]:
    """Return the knots of all distributions in order, with points between them so that no step is too wide."""
    knots = sorted(knot for distribution in distributions for knot in distribution.knots)
    log_usual = math.log(usual_seconds)
    knots = [min(knots[0], log_usual) + math.log(_BEGIN), *knots, max(knots[-1], log_usual) + math.log(_BEYOND)]
    grid = [knots[0]]
    for left, right in pairwise(knots):
        if right - grid[-1] < 1e-6:
            continue
        steps = math.ceil((right - left) / _FILL)
        grid.extend(left + (right - left) * number / steps for number in range(1, steps))
        grid.append(right)
    return grid


def interpolated(points: Sequence[float], values: Sequence[float], point: float) -> float:
    """Return the value at a point by linear interpolation. Past the last point it is the last value."""
    right = max(bisect_right(points, point), 1)
    if right == len(points):
        return values[-1]
    share = (point - points[right - 1]) / (points[right] - points[right - 1])
    return values[right - 1] + share * (values[right] - values[right - 1])
