"""Interval censoring. A job finished between its last pending check and its first final one.

A point in between is imputed from a log-normal fit.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from statistics import NormalDist
from typing import NamedTuple

from .. import _config
from .distribution import LEAST_SPREAD, CensoredDuration, PooledVariance

ROUNDS = 2
"""How often times are imputed again from the distribution of the last ones. They hardly change after a few rounds."""

NARROW = 0.02
"""The width, in logarithms, up to which an interval counts as a point."""

LOWEST_SHARE = 0.5
"""The lower end of the first imputation, as a fraction of the upper end, for a job that was never seen pending."""

_CERTAIN = 1e-9


class CensoringInterval(NamedTuple):
    """The interval in which one job finished, in log seconds.

    Attributes:
        kind: The kind of the job. Each kind has a distribution of its own.
        entry: When observation began (delayed entry). Minus infinity for from the start.
        least: When the job was last seen pending. Minus infinity for never.
        most: When the job was seen finished, or None.
        share: The quantile at which a time is imputed, from 0 to 1. Successive jobs have evenly spread quantiles.
    """

    kind: Hashable
    entry: float
    least: float
    most: float | None
    share: float

    @property
    def is_wide(self) -> bool:
        """True if the interval is too wide to count as a point."""
        return self.most is not None and self.most - self.least > NARROW

    def evenly(self) -> float:
        """Return the time at the quantile `share` of a uniform distribution, or the last pending time if unfinished."""
        if self.most is None:
            return self.least
        least = max(self.least, self.most + math.log(LOWEST_SHARE)) if self.least == -math.inf else self.least
        return least + self.share * (self.most - least)

    def by(self, law: NormalDist) -> float:
        """Return the time at the quantile `share` of a distribution inside the interval.

        It is that of `evenly` if the distribution has almost no mass there.
        """
        if self.most is None:
            return self.least
        below = 0.0 if self.least == -math.inf else law.cdf(self.least)
        likely = law.cdf(self.most) - below
        if likely < _CERTAIN:
            return self.evenly()
        chance = min(max(below + self.share * likely, _CERTAIN), 1 - _CERTAIN)
        return max(min(law.inv_cdf(chance), self.most), self.least)


def impute(brackets: Sequence[CensoringInterval]) -> list[CensoredDuration]:
    """Impute a time for each job so that the times follow a log-normal fit to them, one for each kind."""
    moments = [one.evenly() for one in brackets]
    if any(one.is_wide for one in brackets):
        for _ in range(ROUNDS):
            laws = _laws(brackets, moments)
            moments = [
                one.by(laws[one.kind]) if one.is_wide else moment for one, moment in zip(brackets, moments, strict=True)
            ]
    return [
        CensoredDuration(one.entry, moment, one.most is not None) for one, moment in zip(brackets, moments, strict=True)
    ]


def _laws(brackets: Sequence[CensoringInterval], moments: Sequence[float]) -> dict[Hashable, NormalDist]:
    """Return a normal distribution for each kind: its own mean, and the spread pooled over kinds."""
    scatter = PooledVariance((one.kind, moment) for one, moment in zip(brackets, moments, strict=True))
    spread = max(scatter.spread(), LEAST_SPREAD)
    return {kind: NormalDist(middle, spread) for kind, middle in scatter.middles.items()}


GOLDEN_RATIO = (math.sqrt(5) - 1) / 2

SHORTEST_SECONDS = 1e-3
"""The shortest duration, as distributions are of logarithms. Shorter ones count as this."""

LONGEST_SECONDS = 1e9
"""Thirty years. A longer duration is taken for a mistake of units."""


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

    def bracket(self, offset: float = 0.0) -> CensoringInterval:
        """Return the interval in log seconds, less an offset."""
        most = None if self.finished_by is None else _log_of(self.finished_by) - offset
        least = _log_of(self.pending_until) - offset if self.pending_until > 0 or most is None else -math.inf
        if self.finished_by == self.pending_until:
            least = least if most is None else most
        entry = math.log(self.entered) - offset if self.entered > 0 else -math.inf
        share = (self.number * GOLDEN_RATIO + 0.5) % 1.0
        return CensoringInterval(self.kind, entry, least if most is None else min(least, most), most, share)


def exactly(seconds: float, number: int = 0) -> Observation:
    """Return the observation of a job whose duration is known.

    Raises:
        TypeError: `seconds` is not a number.
        ValueError: `seconds` is negative, NaN, infinite, or more than `LONGEST_SECONDS`.
    """
    took = _config.check_duration("durations", seconds, LONGEST_SECONDS)
    return Observation(took, took, number=number)


def _log_of(seconds: float) -> float:
    return math.log(max(seconds, SHORTEST_SECONDS))
