"""What past jobs say about the next one: regression on the length of the video, pooling over kinds, the service's estimate."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from functools import cached_property
from typing import NamedTuple

from .censoring import LONGEST_SECONDS, SHORTEST_SECONDS, Observation, impute
from .distribution import CensoredDuration, Distribution, PooledVariance, fit, kaplan_meier, lognormal
from .forecast import Forecast, MixtureComponent

LEARNS_FROM = 3
"""Fewer past jobs than this say nothing yet; only those count that somebody saw finish."""

KEY_JOBS = 2.0
"""How many jobs of a kind the law of all kinds is worth, when the law of that kind is drawn towards it."""

KEY_SPREAD_JOBS = 4.0
"""How many jobs the usual spread within a kind is worth, when that of one kind is drawn towards it."""

USUAL_SLOPE, SLOPE_WEIGHT = 1.0, 1.0
"""Twice the video takes twice as long, until enough squared logarithms of lengths say otherwise."""

EXPECTED_SPREAD = 0.5
"""How far the logarithm of what a service expects is off, as long as nothing came of it."""

EXPECTED_JOBS = 4.0
"""How many jobs that assumption is worth beside those that the service was right or wrong about."""

EXPECTED_TRUST = 16.0
"""And how many beside the prior: a word of the service is worth more than none."""

MEMORY_JOBS = 200.0
"""Past jobs that the prior is weighed against: more of them make nobody surer that tomorrow is as today."""


class Traits(NamedTuple):
    """What is known of a job before it begins.

    Attributes:
        kind: What kind of job it is; None for no kind in particular.
        video_seconds: The length of the video.
        expected_seconds: How long the service says that it will take.
    """

    kind: str | None = None
    video_seconds: float | None = None
    expected_seconds: float | None = None


class DurationModel:
    """Past jobs, from which any number of others are forecast; what they have in common is worked out once.

    Nothing about it changes but what is kept; threads may share it.
    """

    def __init__(self, observations: Sequence[Observation]) -> None:
        """Take the past jobs; nothing is worked out yet."""
        self._observations = observations

    def forecast(self, traits: Traits) -> Forecast | None:
        """Forecast how long a job takes by what its like took; None where nothing says anything.

        What the service expects of this one counts before all else: past jobs then say by what factor it is usually wrong.
        """
        if traits.expected_seconds is not None and traits.expected_seconds > 0:
            return self._by_expectation(traits.kind, _log_of(traits.expected_seconds))
        finished = sum(one.finished_by is not None for one in self._observations)
        return None if finished < LEARNS_FROM else self._by_length.forecast(traits)

    def _by_expectation(self, kind: str | None, expected: float) -> Forecast:
        alike = self._expected
        jobs = 0 if alike is None else alike.count
        share = jobs / (jobs + EXPECTED_JOBS)
        parts = (
            []
            if alike is None
            else [MixtureComponent(share * one.share, one.law.shifted(expected)) for one in alike.parts(kind)]
        )
        parts.append(MixtureComponent(1 - share, lognormal(expected, EXPECTED_SPREAD)))
        usual = expected + (0.0 if alike is None else share * alike.middle)
        return Forecast(parts, min(jobs, MEMORY_JOBS) + EXPECTED_TRUST, math.exp(_within_reason(usual)))

    @cached_property
    def _by_length(self) -> _PooledModel:
        return _PooledModel(self._observations, _lengths_of(self._observations))

    @cached_property
    def _expected(self) -> _PooledModel | None:
        """Those of which the service expected something; None where there are none."""
        some = [(one, one.expected_seconds) for one in self._observations if one.expected_seconds]
        if not any(one.finished_by is not None for one, _ in some):
            return None
        return _PooledModel([one for one, _ in some], _LengthRegression([_log_of(expected) for _, expected in some]))


class _LengthRegression(NamedTuple):
    """What is subtracted from the logarithm of each duration, before laws are made of what is left."""

    offsets: list[float]
    slope: float = 0.0
    usual_length: float = 0.0

    def offset(self, video_seconds: float | None) -> float:
        """What is added for a job."""
        return 0.0 if not video_seconds else self.slope * (math.log(video_seconds) - self.usual_length)


def _lengths_of(observations: Sequence[Observation]) -> _LengthRegression:
    """Regress on the logarithm of the length, within kinds: what differs between kinds is no matter of length."""
    lengths = [math.log(one.video_seconds) if one.video_seconds else None for one in observations]
    known = [length for length in lengths if length is not None]
    if not known:
        return _LengthRegression([0.0] * len(observations))
    groups = defaultdict(list)
    for one, length in zip(observations, lengths, strict=True):
        if length is not None:
            groups[one.kind].append((length, one.bracket().evenly()))
    squares = products = 0.0
    for pairs in groups.values():
        middle, usual = (math.fsum(side) / len(pairs) for side in zip(*pairs, strict=True))
        squares += sum((length - middle) ** 2 for length, _ in pairs)
        products += sum((length - middle) * (took - usual) for length, took in pairs)
    slope = (products + SLOPE_WEIGHT * USUAL_SLOPE) / (squares + SLOPE_WEIGHT)
    usual_length = math.fsum(known) / len(known)
    offsets = [0.0 if length is None else slope * (length - usual_length) for length in lengths]
    return _LengthRegression(offsets, slope, usual_length)


class _PooledModel:
    """Past jobs, with what is known of each of them taken out, by kind and all together.

    Attributes:
        count: How many they are.
        middle: The mean of what is left of their logarithms, by the law of all.
    """

    def __init__(self, observations: Sequence[Observation], predictor: _LengthRegression) -> None:
        self._predictor = predictor
        kinds = [one.kind for one in observations]
        brackets = [one.bracket(offset) for one, offset in zip(observations, predictor.offsets, strict=True)]
        self._all = impute(brackets)
        self._by_kind: dict[str | None, list[CensoredDuration]] = defaultdict(list)
        for kind, lifetime in zip(kinds, self._all, strict=True):
            self._by_kind[kind].append(lifetime)
        exits = [lifetime.exit for lifetime in self._all]
        self._spread = PooledVariance(zip(kinds, exits, strict=True)).spread()
        self.count = len(exits)
        self.middle = math.fsum(moment * weight for moment, weight in kaplan_meier(self._all))

    def forecast(self, traits: Traits) -> Forecast:
        """Mix the law of a kind with that of all kinds, and move it to where this job's length says."""
        offset = _within_reason(self.middle + self._predictor.offset(traits.video_seconds)) - self.middle
        parts = [MixtureComponent(part.share, part.law.shifted(offset)) for part in self.parts(traits.kind)]
        return Forecast(parts, min(self.count, MEMORY_JOBS), math.exp(self.middle + offset))

    def parts(self, kind: str | None) -> list[MixtureComponent]:
        """The law of a kind, drawn towards that of all; of a kind that was never met, that of all."""
        own = self._by_kind.get(kind, [])
        if not own or len(own) == self.count:
            return [MixtureComponent(1.0, self._of_all)]
        share = len(own) / (len(own) + KEY_JOBS)
        return [
            MixtureComponent(share, fit(own, self._spread, KEY_SPREAD_JOBS)),
            MixtureComponent(1 - share, self._of_all),
        ]

    @cached_property
    def _of_all(self) -> Distribution:
        return fit(self._all)


def _log_of(seconds: float) -> float:
    return _within_reason(math.log(seconds))


def _within_reason(log_seconds: float) -> float:
    """Cut what a service, or a length, says of a duration to what a job can take."""
    return min(max(log_seconds, math.log(SHORTEST_SECONDS)), math.log(LONGEST_SECONDS))
