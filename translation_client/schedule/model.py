"""A model of durations: regression on video length, pooling over kinds, and the estimates of the service."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from functools import cached_property
from typing import NamedTuple

from .._config import JobFeatures
from .censoring import MAX_DURATION_SECONDS, MIN_DURATION_SECONDS, Observation, impute
from .distribution import CensoredDuration, Distribution, PooledVariance, fit, kaplan_meier, lognormal
from .forecast import Forecast, MixtureComponent

MIN_FINISHED_JOBS = 3
"""The fewest finished jobs for a forecast."""

POOLED_WEIGHT = 2.0
"""The weight of the distribution of all kinds when that of one kind is shrunk towards it, in pseudo-observations."""

POOLED_SCALE_WEIGHT = 4.0
"""The weight of the pooled scale within kinds when that of one kind is shrunk towards it, in pseudo-observations."""

PRIOR_SLOPE, SLOPE_WEIGHT = 1.0, 1.0
"""The ridge prior of the regression: twice the video takes twice as long, with this weight in squared log lengths."""

ESTIMATE_SCALE = 0.5
"""The standard deviation of the logarithm of a duration around the service's estimate, without data."""

ESTIMATE_PRIOR_WEIGHT = 4.0
"""The weight of this prior beside the past jobs that had an estimate, in pseudo-observations."""

ESTIMATE_WEIGHT = 16.0
"""The weight of a service's estimate against the prior of the forecast, in past jobs."""

MAX_DATA_WEIGHT = 200.0
"""The most weight of the past jobs against the prior: more of them do not make the next duration more certain."""


class DurationModel:
    """A model of past jobs that forecasts any number of others. The common part of the forecasts is computed once.

    It is immutable but for its cache, so threads may share it.
    """

    def __init__(self, observations: Sequence[Observation]) -> None:
        """Store the past jobs. Nothing is computed yet."""
        self._observations = observations

    def forecast(self, features: JobFeatures) -> Forecast | None:
        """Forecast the duration of a job from similar jobs. None if there is too little data.

        With an estimate of the service, past jobs only show the ratio of durations to estimates, and the video length
        does not count. Then there is a forecast even without past jobs.
        """
        if features.expected_seconds is not None and features.expected_seconds > 0:
            return self._by_expectation(features.kind, _clipped_log(features.expected_seconds))
        finished = sum(job.finished_by is not None for job in self._observations)
        return None if finished < MIN_FINISHED_JOBS else self._by_length.forecast(features)

    def _by_expectation(self, kind: str | None, expected: float) -> Forecast:
        model = self._expected
        jobs = 0 if model is None else model.count
        share = jobs / (jobs + ESTIMATE_PRIOR_WEIGHT)
        components = (
            []
            if model is None
            else [
                MixtureComponent(share * component.share, component.distribution.shifted(expected))
                for component in model.components(kind)
            ]
        )
        components.append(MixtureComponent(1 - share, lognormal(expected, ESTIMATE_SCALE)))
        usual = expected + (0.0 if model is None else share * model.mean)
        return Forecast(components, min(jobs, MAX_DATA_WEIGHT) + ESTIMATE_WEIGHT, math.exp(_clipped(usual)))

    @cached_property
    def _by_length(self) -> _PooledModel:
        return _PooledModel(self._observations, _regress_on_length(self._observations))

    @cached_property
    def _expected(self) -> _PooledModel | None:
        """The model of the jobs that had an estimate, relative to it. None if none of them finished."""
        estimated = [(job, job.expected_seconds) for job in self._observations if job.expected_seconds]
        if not any(job.finished_by is not None for job, _ in estimated):
            return None
        regression = _LengthRegression([_clipped_log(expected) for _, expected in estimated])
        return _PooledModel([job for job, _ in estimated], regression)


class _LengthRegression(NamedTuple):
    """The offsets that are subtracted from log durations before distributions are fitted to the residuals."""

    offsets: list[float]
    slope: float = 0.0
    usual_length: float = 0.0

    def offset(self, video_seconds: float | None) -> float:
        """Return the offset of a job with this length. 0 if it is unknown."""
        return 0.0 if not video_seconds else self.slope * (math.log(video_seconds) - self.usual_length)


def _regress_on_length(observations: Sequence[Observation]) -> _LengthRegression:
    """Regress on the logarithm of the length within kinds, as differences between kinds have other causes."""
    lengths = [math.log(job.video_seconds) if job.video_seconds else None for job in observations]
    known = [length for length in lengths if length is not None]
    if not known:
        return _LengthRegression([0.0] * len(observations))
    groups = defaultdict(list)
    for job, length in zip(observations, lengths, strict=True):
        if length is not None:
            groups[job.kind].append((length, job.interval().impute_uniform()))
    squares = products = 0.0
    for pairs in groups.values():
        mean_length, mean_duration = (math.fsum(side) / len(pairs) for side in zip(*pairs, strict=True))
        squares += sum((length - mean_length) ** 2 for length, _ in pairs)
        products += sum((length - mean_length) * (duration - mean_duration) for length, duration in pairs)
    slope = (products + SLOPE_WEIGHT * PRIOR_SLOPE) / (squares + SLOPE_WEIGHT)
    usual_length = math.fsum(known) / len(known)
    offsets = [0.0 if length is None else slope * (length - usual_length) for length in lengths]
    return _LengthRegression(offsets, slope, usual_length)


class _PooledModel:
    """The residuals of past jobs, by kind and pooled.

    Attributes:
        count: The number of jobs.
        mean: The mean of the pooled residuals.
    """

    def __init__(self, observations: Sequence[Observation], regression: _LengthRegression) -> None:
        self._regression = regression
        kinds = [job.kind for job in observations]
        self._all = impute([job.interval(offset) for job, offset in zip(observations, regression.offsets, strict=True)])
        self._by_kind: dict[str | None, list[CensoredDuration]] = defaultdict(list)
        for kind, duration in zip(kinds, self._all, strict=True):
            self._by_kind[kind].append(duration)
        exits = [duration.exit for duration in self._all]
        self._scale = PooledVariance(zip(kinds, exits, strict=True)).scale()
        self.count = len(exits)
        self.mean = math.fsum(time * weight for time, weight in kaplan_meier(self._all))

    def forecast(self, features: JobFeatures) -> Forecast:
        """Mix the distribution of a kind with that of all kinds, shifted by the length of this job."""
        offset = _clipped(self.mean + self._regression.offset(features.video_seconds)) - self.mean
        components = [
            MixtureComponent(component.share, component.distribution.shifted(offset))
            for component in self.components(features.kind)
        ]
        return Forecast(components, min(self.count, MAX_DATA_WEIGHT), math.exp(self.mean + offset))

    def components(self, kind: str | None) -> list[MixtureComponent]:
        """Return the distribution of a kind, shrunk towards that of all kinds. For an unknown kind, that of all."""
        own = self._by_kind.get(kind, [])
        if not own or len(own) == self.count:
            return [MixtureComponent(1.0, self._of_all)]
        share = len(own) / (len(own) + POOLED_WEIGHT)
        return [
            MixtureComponent(share, fit(own, self._scale, POOLED_SCALE_WEIGHT)),
            MixtureComponent(1 - share, self._of_all),
        ]

    @cached_property
    def _of_all(self) -> Distribution:
        return fit(self._all)


def _clipped_log(seconds: float) -> float:
    return _clipped(math.log(seconds))


def _clipped(log_seconds: float) -> float:
    """Clip the logarithm of a predicted duration to the range of `MIN_DURATION_SECONDS` and `MAX_DURATION_SECONDS`."""
    return min(max(log_seconds, math.log(MIN_DURATION_SECONDS)), math.log(MAX_DURATION_SECONDS))
