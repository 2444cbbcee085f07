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
"""How often moments are chosen anew by the law that the moments before led to; after a few they stay where they are."""

NARROW = 0.02
"""A bracket that is narrower than this, in logarithms, is as good as a moment."""

LOWEST_SHARE = 0.5
"""Where a job was never seen pending, the first guess is the later half of the time."""

_CERTAIN = 1e-9


class CensoringInterval(NamedTuple):
    """One job, on the scale of logarithms.

    Attributes:
        kind: Jobs of one kind are alike.
        entry: From when on it was looked at; minus infinity for from the start.
        least: When it was last seen pending; minus infinity for never.
        most: When it was seen finished, or None.
        share: Where in its bracket it is put, from 0 to 1: evenly over successive jobs.
    """

    kind: Hashable
    entry: float
    least: float
    most: float | None
    share: float

    @property
    def is_wide(self) -> bool:
        """Whether much is unknown."""
        return self.most is not None and self.most - self.least > NARROW

    def evenly(self) -> float:
        """The moment by its share, every logarithm being as likely; or when it was last seen pending."""
        if self.most is None:
            return self.least
        least = max(self.least, self.most + math.log(LOWEST_SHARE)) if self.least == -math.inf else self.least
        return least + self.share * (self.most - least)

    def by(self, law: NormalDist) -> float:
        """The moment by its share, as likely as a law has it; evenly where the law knows nothing of the bracket."""
        if self.most is None:
            return self.least
        below = 0.0 if self.least == -math.inf else law.cdf(self.least)
        likely = law.cdf(self.most) - below
        if likely < _CERTAIN:
            return self.evenly()
        chance = min(max(below + self.share * likely, _CERTAIN), 1 - _CERTAIN)
        return max(min(law.inv_cdf(chance), self.most), self.least)


def impute(brackets: Sequence[CensoringInterval]) -> list[CensoredDuration]:
    """Choose a moment for each job, such that they follow the law that they lead to (log-normal, for each kind)."""
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
    """A law for each kind: its own middle, and what all kinds spread around theirs."""
    scatter = PooledVariance((one.kind, moment) for one, moment in zip(brackets, moments, strict=True))
    spread = max(scatter.spread(), LEAST_SPREAD)
    return {kind: NormalDist(middle, spread) for kind, middle in scatter.middles.items()}


GOLDEN_RATIO = (math.sqrt(5) - 1) / 2

SHORTEST_SECONDS = 1e-3
"""What is shorter counts as this: laws are of logarithms."""

LONGEST_SECONDS = 1e9
"""Thirty years. What is longer is a mistake of units."""


class Observation(NamedTuple):
    """One past job, in seconds from its start.

    Attributes:
        pending_until: It was pending then; 0 where that was never seen.
        finished_by: It was finished then, or None: nobody waited for the end. The same as `pending_until` where the
            moment is known exactly.
        entered: It was first looked at then, and would not be known of had it been finished; 0 for from the start.
        kind: What kind of job it was.
        video_seconds: The length of the video.
        expected_seconds: How long the service said that it would take.
        number: Which one it is in its history: jobs that are known alike are told apart by it.
        began_at: When it began, in seconds of the Unix epoch: two waits for one job are recognised by it.
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
        """The same on the scale of logarithms, with an offset taken out."""
        most = None if self.finished_by is None else _log_of(self.finished_by) - offset
        least = _log_of(self.pending_until) - offset if self.pending_until > 0 or most is None else -math.inf
        if self.finished_by == self.pending_until:
            least = least if most is None else most
        entry = math.log(self.entered) - offset if self.entered > 0 else -math.inf
        share = (self.number * GOLDEN_RATIO + 0.5) % 1.0
        return CensoringInterval(self.kind, entry, least if most is None else min(least, most), most, share)


def exactly(seconds: float, number: int = 0) -> Observation:
    """A job of which it is known how long it took.

    Raises:
        TypeError: Not a number.
        ValueError: Negative, NaN, infinite, or more than `LONGEST_SECONDS`.
    """
    took = _config.check_duration("durations", seconds, LONGEST_SECONDS)
    return Observation(took, took, number=number)


def _log_of(seconds: float) -> float:
    return math.log(max(seconds, SHORTEST_SECONDS))
