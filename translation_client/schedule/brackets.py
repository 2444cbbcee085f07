"""When did a job finish that was pending at one answer and finished at the next? Nobody knows; a moment in between is chosen."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from statistics import NormalDist
from typing import NamedTuple

from .laws import LEAST_SPREAD, Lifetime, Scatter

ROUNDS = 2
"""How often moments are chosen anew by the law that the moments before led to; after a few they stay where they are."""

NARROW = 0.02
"""A bracket that is narrower than this, in logarithms, is as good as a moment."""

LOWEST_SHARE = 0.5
"""Where a job was never seen pending, the first guess is the later half of the time."""

_CERTAIN = 1e-9


class Bracket(NamedTuple):
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


def lifetimes_in(brackets: Sequence[Bracket]) -> list[Lifetime]:
    """Choose a moment for each job, such that they follow the law that they lead to (log-normal, for each kind)."""
    moments = [one.evenly() for one in brackets]
    if any(one.is_wide for one in brackets):
        for _ in range(ROUNDS):
            laws = _laws(brackets, moments)
            moments = [
                one.by(laws[one.kind]) if one.is_wide else moment for one, moment in zip(brackets, moments, strict=True)
            ]
    return [Lifetime(one.entry, moment, one.most is not None) for one, moment in zip(brackets, moments, strict=True)]


def _laws(brackets: Sequence[Bracket], moments: Sequence[float]) -> dict[Hashable, NormalDist]:
    """A law for each kind: its own middle, and what all kinds spread around theirs."""
    scatter = Scatter((one.kind, moment) for one, moment in zip(brackets, moments, strict=True))
    spread = max(scatter.spread(), LEAST_SPREAD)
    return {kind: NormalDist(middle, spread) for kind, middle in scatter.middles.items()}
