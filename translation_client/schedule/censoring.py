"""Interval censoring. A job finished between its last pending check and its first final one.

A point in between is imputed from a log-normal fit.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from statistics import NormalDist
from typing import NamedTuple

from .. import _config
from .._exports import exported_from
from .distribution import MIN_SCALE, CensoredDuration, PooledVariance

REFITS = 2
"""The number of refits. Further ones change the imputed times little."""

POINT_WIDTH = 0.02
"""The width, in logarithms, up to which an interval counts as a point."""

FIRST_LOWER_FRACTION = 0.5
"""The lower end of the first imputation, as a fraction of the upper end, for a job that was never seen pending."""

_MIN_PROBABILITY = 1e-9  # of an interval under the fit; with less, the fit says nothing about it


class CensoringInterval(NamedTuple):
    """The interval in which one job finished, in log seconds.

    Attributes:
        kind: The kind of the job. Each kind has a distribution of its own.
        entry: When observation began (delayed entry). Minus infinity for from the start.
        lower: When the job was last seen pending. Minus infinity for never.
        upper: When the job was seen finished, or None.
        level: The quantile at which a time is imputed, from 0 to 1. The levels of successive jobs are spread evenly.
    """

    kind: Hashable
    entry: float
    lower: float
    upper: float | None
    level: float

    @property
    def is_wide(self) -> bool:
        """True if the interval is too wide to count as a point."""
        return self.upper is not None and self.upper - self.lower > POINT_WIDTH

    def impute_uniform(self) -> float:
        """Return the time at the quantile `level` of a uniform distribution, or the last pending time if unfinished."""
        if self.upper is None:
            return self.lower
        lower = max(self.lower, self.upper + math.log(FIRST_LOWER_FRACTION)) if self.lower == -math.inf else self.lower
        return lower + self.level * (self.upper - lower)

    def impute_from(self, distribution: NormalDist) -> float:
        """Return the time at the quantile `level` of a distribution inside the interval.

        It is that of `impute_uniform` if the distribution has almost no mass there.
        """
        if self.upper is None:
            return self.lower
        below = 0.0 if self.lower == -math.inf else distribution.cdf(self.lower)
        mass = distribution.cdf(self.upper) - below
        if mass < _MIN_PROBABILITY:
            return self.impute_uniform()
        probability = min(max(below + self.level * mass, _MIN_PROBABILITY), 1 - _MIN_PROBABILITY)
        return max(min(distribution.inv_cdf(probability), self.upper), self.lower)


def impute(intervals: Sequence[CensoringInterval]) -> list[CensoredDuration]:
    """Impute a time for each job so that the times follow a log-normal fit to them, one for each kind."""
    times = [interval.impute_uniform() for interval in intervals]
    if any(interval.is_wide for interval in intervals):
        for _ in range(REFITS):
            fits = _fits(intervals, times)
            times = [
                interval.impute_from(fits[interval.kind]) if interval.is_wide else time
                for interval, time in zip(intervals, times, strict=True)
            ]
    return [
        CensoredDuration(interval.entry, time, interval.upper is not None)
        for interval, time in zip(intervals, times, strict=True)
    ]


def _fits(intervals: Sequence[CensoringInterval], times: Sequence[float]) -> dict[Hashable, NormalDist]:
    """Return a normal distribution for each kind: its own mean, and the scale pooled over kinds."""
    variance = PooledVariance((interval.kind, time) for interval, time in zip(intervals, times, strict=True))
    scale = max(variance.scale(), MIN_SCALE)
    return {kind: NormalDist(mean, scale) for kind, mean in variance.means.items()}


GOLDEN_RATIO = (math.sqrt(5) - 1) / 2

MIN_DURATION_SECONDS = 1e-3
"""The shortest duration, as distributions are of logarithms. Shorter ones count as this."""

MAX_DURATION_SECONDS = 1e9
"""Thirty years. A longer duration is taken for a mistake of units."""


@exported_from("translation_client.schedule")
class Observation(NamedTuple):
    """One past job, in seconds from its start.

    Attributes:
        pending_until: When it was last seen pending. 0 for never.
        finished_by: When it was first seen finished. None if the wait ended before. Equal to `pending_until` if the
            duration is known exactly.
        entered: The delayed entry: the job would not be known if it had finished before. 0 for observed from the start.
        kind: The kind of the job, or None.
        video_seconds: The length of the video in seconds, or None.
        expected_seconds: The duration in seconds as the service estimated it, or None.
        number: Its number in the history. It spreads the imputed times of equal observations.
        began_at: Its start in seconds of the Unix epoch. It identifies the job across two waits.
    """

    pending_until: float
    finished_by: float | None
    entered: float = 0.0
    kind: str | None = None
    video_seconds: float | None = None
    expected_seconds: float | None = None
    number: int = 0
    began_at: float = 0.0

    @classmethod
    def exact(cls, seconds: float, number: int = 0) -> Observation:
        """Return the observation of a job whose duration is known.

        Raises:
            TypeError: `seconds` is not a number.
            ValueError: `seconds` is negative, NaN, infinite, or more than `MAX_DURATION_SECONDS`.
        """
        duration = _config.check_duration("durations", seconds, MAX_DURATION_SECONDS)
        return cls(duration, duration, number=number)

    def interval(self, offset: float = 0.0) -> CensoringInterval:
        """Return the interval in log seconds, less an offset."""
        upper = None if self.finished_by is None else _log_duration(self.finished_by) - offset
        lower = _log_duration(self.pending_until) - offset if self.pending_until > 0 or upper is None else -math.inf
        if self.finished_by == self.pending_until:
            lower = lower if upper is None else upper
        entry = math.log(self.entered) - offset if self.entered > 0 else -math.inf
        level = (self.number * GOLDEN_RATIO + 0.5) % 1.0
        return CensoringInterval(self.kind, entry, lower if upper is None else min(lower, upper), upper, level)


def _log_duration(seconds: float) -> float:
    return math.log(max(seconds, MIN_DURATION_SECONDS))
