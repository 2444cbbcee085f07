"""A model of durations: regression on video length, pooling over kinds, and the estimates of the service."""

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
"""The fewest past jobs for a forecast. Only jobs that were seen to finish count."""

KEY_JOBS = 2.0
"""The weight, in jobs, of the distribution of all kinds when that of one kind is shrunk towards it."""

KEY_SPREAD_JOBS = 4.0
"""The weight, in jobs, of the pooled spread within kinds when that of one kind is shrunk towards it."""

USUAL_SLOPE, SLOPE_WEIGHT = 1.0, 1.0
"""The prior of the regression: twice the video takes twice as long. The weight is in squared logarithms of lengths."""

EXPECTED_SPREAD = 0.5
"""The standard deviation of the logarithm of a duration around the service's estimate, without data."""

EXPECTED_JOBS = 4.0
"""The weight of this assumption, in jobs, beside the past jobs that had an estimate."""

EXPECTED_TRUST = 16.0
"""The jobs that an estimate adds to the weight against the prior."""

MEMORY_JOBS = 200.0
"""The most past jobs that count against the prior: more of them do not make the next duration more certain."""


class Traits(NamedTuple):
    """The traits of a job that are known before it starts.

    Attributes:
        kind: The kind of the job. None for no kind in particular.
        video_seconds: The length of the video in seconds, or None.
        expected_seconds: The duration of the job in seconds as the service estimates it, or None.
    """

    kind: str | None = None
    video_seconds: float | None = None
    expected_seconds: float | None = None


class DurationModel:
    """A model of past jobs that forecasts any number of others. The common part of the forecasts is computed once.

    It is immutable but for its cache, so threads may share it.
    """

    def __init__(self, observations: Sequence[Observation]) -> None:
        """Store the past jobs. Nothing is computed yet."""
        self._observations = observations

    def forecast(self, traits: Traits) -> Forecast | None:
        """Forecast the duration of a job from similar jobs. None if there is too little data.

        An estimate of the service comes first. Past jobs then show the usual ratio of durations to estimates.
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
        """The model of the jobs that had an estimate, relative to it. None if none of them finished."""
        some = [(one, one.expected_seconds) for one in self._observations if one.expected_seconds]
        if not any(one.finished_by is not None for one, _ in some):
            return None
        return _PooledModel([one for one, _ in some], _LengthRegression([_log_of(expected) for _, expected in some]))


class _LengthRegression(NamedTuple):
    """The offsets that are subtracted from log durations before distributions are fitted to the residuals."""

    offsets: list[float]
    slope: float = 0.0
    usual_length: float = 0.0

    def offset(self, video_seconds: float | None) -> float:
        """Return the offset of a job with this length. 0 if it is unknown."""
        return 0.0 if not video_seconds else self.slope * (math.log(video_seconds) - self.usual_length)


def _lengths_of(observations: Sequence[Observation]) -> _LengthRegression:
    """Regress on the logarithm of the length within kinds, as differences between kinds have other causes."""
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
    """The residuals of past jobs, by kind and pooled.

    Attributes:
        count: The number of jobs.
        middle: The mean of the pooled residuals.
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
        """Mix the distribution of a kind with that of all kinds, shifted by the length of this job."""
        offset = _within_reason(self.middle + self._predictor.offset(traits.video_seconds)) - self.middle
        parts = [MixtureComponent(part.share, part.law.shifted(offset)) for part in self.parts(traits.kind)]
        return Forecast(parts, min(self.count, MEMORY_JOBS), math.exp(self.middle + offset))

    def parts(self, kind: str | None) -> list[MixtureComponent]:
        """Return the distribution of a kind, shrunk towards that of all kinds. For an unknown kind, that of all."""
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
    """Clip the logarithm of a predicted duration to the range of `SHORTEST_SECONDS` and `LONGEST_SECONDS`."""
    return min(max(log_seconds, math.log(SHORTEST_SECONDS)), math.log(LONGEST_SECONDS))
