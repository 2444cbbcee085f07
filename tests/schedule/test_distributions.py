"""Observations of past jobs, the distributions fitted to them, and forecasts by kind, video length and estimate."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from statistics import NormalDist, stdev

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from translation_client._config import JobFeatures
from translation_client.schedule.censoring import (
    MAX_DURATION_SECONDS,
    MIN_DURATION_SECONDS,
    CensoringInterval,
    Observation,
    impute,
)
from translation_client.schedule.distribution import (
    CENSORED_FACTOR,
    KERNEL_MIN_JOBS,
    PRIOR_SCALE,
    PRIOR_SCALE_WEIGHT,
    CensoredDuration,
    Distribution,
    PooledVariance,
    fit,
    kaplan_meier,
    lognormal,
)
from translation_client.schedule.forecast import (
    PRIOR_NARROWNESS,
    PRIOR_WEIGHT,
    Forecast,
    MixtureComponent,
    interpolated,
)
from translation_client.schedule.model import (
    ESTIMATE_SCALE,
    ESTIMATE_WEIGHT,
    MAX_DATA_WEIGHT,
    MIN_FINISHED_JOBS,
    DurationModel,
)

pytestmark = pytest.mark.exhaustive

NORMAL = NormalDist()
ALWAYS = -math.inf

SECONDS = st.floats(1, 1e5)  # any others: `test_checks_increase_and_reach_the_horizon_for_any_durations`
LENGTH = st.none() | st.floats(1, 1e4)


@st.composite
def lifetimes(draw: st.DrawFn) -> CensoredDuration:
    """Censored durations, of few values, so that many of them coincide."""
    left = draw(st.integers(-5, 20) | st.floats(-5, 20))
    entry = draw(st.just(ALWAYS) | st.floats(0, 10).map(lambda before: left - before))
    return CensoredDuration(entry, left, draw(st.booleans()))


@st.composite
def observations(draw: st.DrawFn) -> Observation:
    """Jobs with an exact duration, an interval, or no end; observed from the start or with delayed entry."""
    until = draw(SECONDS)
    return Observation(
        until,
        draw(st.none() | st.just(until) | SECONDS.map(lambda more: until + more)),
        draw(st.sampled_from([0.0, 0.5])) * until,
        draw(st.sampled_from([None, "a", "b"])),
        draw(LENGTH),
        draw(LENGTH),
        draw(st.integers(0, 10**6)),
    )


def ended(*exits: float) -> list[CensoredDuration]:
    return [CensoredDuration(ALWAYS, left, True) for left in exits]


def pending(*exits: float) -> list[CensoredDuration]:
    return [CensoredDuration(ALWAYS, left, False) for left in exits]


def assert_weighs(some: Sequence[CensoredDuration], *expected: tuple[float, float]) -> None:
    moments, weights = zip(*kaplan_meier(some), strict=True)
    assert moments == tuple(moment for moment, _ in expected)
    assert weights == pytest.approx([weight for _, weight in expected])


def after(weighed: Sequence[tuple[float, float]], moment: float) -> float:
    """Return the weight of the jobs that finish after this time."""
    return sum(weight for point, weight in weighed if point > moment)


def moments_of(distribution: Distribution) -> tuple[float, float]:
    """Return the mean and the variance of a distribution that is uniform between its knots."""
    cells = [
        (left, right, high - low)
        for (left, right), (low, high) in zip(pairwise(distribution.knots), pairwise(distribution.cdf), strict=True)
    ]
    mean = sum(mass * (left + right) / 2 for left, right, mass in cells)
    square = sum(mass * (left * left + left * right + right * right) / 3 for left, right, mass in cells)
    return mean, square - mean * mean


def quantile(forecast: Forecast, share: float) -> float:
    """Return the time by which this share of the past jobs' distribution is finished."""
    return interpolated(forecast.body_cdf, forecast.times, share)


def forecast_of(past: Sequence[Observation], features: JobFeatures) -> Forecast | None:
    return DurationModel(past).forecast(features)


def known(forecast: Forecast | None) -> Forecast:
    assert forecast is not None
    return forecast


# Observations


@given(SECONDS | st.floats(1e5, MAX_DURATION_SECONDS), st.integers(0, 10**6))
def test_an_exact_duration_is_imputed_as_itself(seconds: float, number: int) -> None:
    """Its interval has no width, so that the number of the job makes no difference."""
    assert Observation.exact(seconds, number).interval().impute_uniform() == math.log(seconds)


@pytest.mark.parametrize("seconds", [1e-9, 5e-4, 5e-324])
def test_a_duration_below_the_minimum_counts_as_the_minimum(seconds: float) -> None:
    """Its logarithm would outweigh all others."""
    assert Observation.exact(seconds).interval().impute_uniform() == math.log(MIN_DURATION_SECONDS)


def test_a_duration_of_zero_counts_as_the_minimum() -> None:
    """It is an exact duration too: the number of the job makes no difference."""
    assert [Observation.exact(0.0, number).interval().impute_uniform() for number in range(3)] == [
        math.log(MIN_DURATION_SECONDS)
    ] * 3


@given(st.floats(1e-3, 1e6), st.floats(1, 1e3), st.integers(0, 10**9))
def test_an_imputed_time_is_between_the_last_pending_and_first_final_status(
    until: float, factor: float, number: int
) -> None:
    """Nothing else is known of the end of the job."""
    drawn = Observation(until, until * factor, number=number).interval().impute_uniform()

    assert math.log(until) - 1e-9 <= drawn <= math.log(until * factor) + 1e-9


@given(st.floats(1e-3, 1e6), st.integers(0, 10**9))
def test_a_job_never_seen_pending_is_imputed_in_the_later_half_of_its_interval(seconds: float, number: int) -> None:
    """On the scale of logarithms, an interval that begins at 0 is unbounded."""
    drawn = Observation(0.0, seconds, number=number).interval().impute_uniform()

    assert math.log(seconds / 2) - 1e-9 <= drawn <= math.log(seconds) + 1e-9


@pytest.mark.parametrize("count", [10, 100, 1000])
def test_imputed_times_of_successive_jobs_are_spread_evenly(count: int) -> None:
    """Otherwise a few jobs that are checked rarely would look alike."""
    drawn = sorted(Observation(1.0, math.e, number=number).interval().impute_uniform() for number in range(count))

    assert max(abs(share - (place + 0.5) / count) for place, share in enumerate(drawn)) < 2 / count


def test_an_interval_is_from_the_last_pending_to_the_first_final_status() -> None:
    """An unfinished job has no upper end. The entry is minus infinity for a job observed from the start."""
    given_up, late = Observation(60.0, None), Observation(60.0, 90.0, entered=30.0, kind="a")
    sixty, ninety, thirty = (math.log(seconds) for seconds in (60, 90, 30))

    assert given_up.interval() == CensoringInterval(None, -math.inf, sixty, None, 0.5)
    assert late.interval(1.0) == CensoringInterval("a", thirty - 1, sixty - 1, ninety - 1, 0.5)
    assert Observation(0.0, 90.0).interval() == CensoringInterval(None, -math.inf, -math.inf, ninety, 0.5)
    assert impute([given_up.interval()]) == [CensoredDuration(-math.inf, sixty, False)]


def test_the_number_of_a_job_selects_its_imputed_time() -> None:
    """The same number gives the same time."""
    assert (
        Observation(10.0, 20.0, number=7).interval().impute_uniform()
        == Observation(10.0, 20.0, number=7).interval().impute_uniform()
    )
    assert (
        Observation(10.0, 20.0, number=7).interval().impute_uniform()
        != Observation(10.0, 20.0, number=8).interval().impute_uniform()
    )


# Censoring intervals


@given(
    st.just(-math.inf) | st.floats(-5, 5),
    st.floats(0, 5),
    st.floats(0, 1, exclude_max=True),
    st.floats(-20, 20),
    st.floats(0.01, 5),
)
def test_an_imputed_time_stays_in_its_interval_under_any_distribution(
    least: float, width: float, share: float, mean: float, spread: float
) -> None:
    """What was observed takes precedence over what is likely."""
    most = width + (least if least > -math.inf else 0.0)
    moment = CensoringInterval(None, -math.inf, least, most, share).impute_from(NormalDist(mean, spread))

    assert least - 1e-9 <= moment <= most + 1e-9
    assert math.isfinite(moment)


def test_a_time_is_imputed_at_a_quantile_of_the_distribution_within_the_interval() -> None:
    """If the distribution has almost no mass there, it is a quantile of the uniform distribution."""
    distribution = NormalDist(0, 1)

    assert CensoringInterval(None, ALWAYS, ALWAYS, 0.0, 0.5).impute_from(distribution) == pytest.approx(
        distribution.inv_cdf(0.25)
    )
    assert CensoringInterval(None, ALWAYS, -1.0, 2.0, 0.25).impute_from(distribution) == pytest.approx(
        distribution.inv_cdf(0.75 * distribution.cdf(-1) + 0.25 * distribution.cdf(2))
    )
    assert CensoringInterval(None, ALWAYS, 50.0, 52.0, 0.25).impute_from(distribution) == 50.5


def test_imputation_recovers_mean_and_spread_from_wide_intervals() -> None:
    """The intervals are a factor of e wide, the standard deviation of the true times is 0.3."""
    moments = [3.3 + 0.3 * NORMAL.inv_cdf((number + 0.5) / 200) for number in range(200)]
    numbered = enumerate(sorted(moments, key=math.sin))
    brackets = [
        Observation(math.exp(math.floor(moment)), math.exp(math.ceil(moment)), number=number).interval()
        for number, moment in numbered
    ]
    chosen = [one.exit for one in impute(brackets)]
    naive = [one.impute_uniform() for one in brackets]

    assert math.fsum(chosen) / 200 == pytest.approx(3.3, abs=0.05)
    assert abs(stdev(chosen) - 0.3) < abs(stdev(naive) - 0.3)


def test_imputation_leaves_exact_durations_unchanged() -> None:
    """Only the third job, which was observed with an interval, is imputed."""
    some = [Observation.exact(10.0), Observation.exact(20.0), Observation(0.0, 500.0)]
    exits = [one.exit for one in impute([one.interval() for one in some])]

    assert exits[:2] == [math.log(10), math.log(20)]
    assert exits[2] < math.log(250) < math.log(500)


# The product-limit estimator


def test_jobs_all_observed_to_the_end_have_equal_weights() -> None:
    """The times are returned in increasing order."""
    assert kaplan_meier(ended(3, 1, 2, 2)) == [(1, 0.25), (2, 0.25), (2, 0.25), (3, 0.25)]


def test_the_weight_of_a_censored_job_goes_to_the_jobs_that_took_longer() -> None:
    """By hand: 1/5; then 1/3 of 4/5, as 3 jobs are left; then the rest."""
    assert_weighs(ended(1, 3, 5) + pending(2, 4), (1, 1 / 5), (3, 4 / 15), (5, 8 / 15))


def test_the_survival_of_the_textbook_example_is_as_printed() -> None:
    """Remission under 6-MP in weeks (Freireich 1963, as in Kalbfleisch and Prentice)."""
    relapsed = ended(6, 6, 6, 7, 10, 13, 16, 22, 23)
    weighed = kaplan_meier(relapsed + pending(6, 9, 10, 11, 17, 19, 20, 25, 32, 32, 34, 35))
    printed = {6: 0.857, 7: 0.807, 10: 0.753, 13: 0.690, 16: 0.627, 22: 0.538, 23: 0.448}

    assert {week: round(after(weighed, week), 3) for week in printed} == printed


def test_delayed_entry_gives_more_weight_to_early_finishes() -> None:
    """Lynden-Bell by hand: two jobs are at risk at 1, three at 3, two at 4; the last one gets the rest."""
    late = [CensoredDuration(2, 4, True), CensoredDuration(2, 5, True)]

    assert_weighs(ended(1, 3) + late, (1, 1 / 2), (3, 1 / 6), (4, 1 / 6), (5, 1 / 6))


def test_a_job_that_enters_and_finishes_at_the_same_time_is_at_risk_then() -> None:
    """At 2, it is one of three jobs at risk, not one of two."""
    assert_weighs([*ended(1, 3, 4), CensoredDuration(2, 2, True)], (1, 1 / 3), (2, 2 / 9), (3, 2 / 9), (4, 2 / 9))


def test_a_single_job_at_risk_reduces_the_survival_by_at_most_half() -> None:
    """With delayed entry, only one job may be observed early, here the one that finishes at 1."""
    weighed = kaplan_meier([*ended(1), CensoredDuration(2, 3, True), CensoredDuration(2, 4, True)])

    assert weighed == [(1, 0.5), (3, 0.25), (4, 0.25)]


def test_jobs_pending_at_the_last_finish_are_assumed_to_take_twice_as_long() -> None:
    """`CENSORED_FACTOR` is applied to the time of each, also if no job finished."""
    later = math.log(CENSORED_FACTOR)

    assert_weighs(ended(1) + pending(1, 3), (1, 1 / 3), (1 + later, 1 / 3), (3 + later, 1 / 3))
    assert kaplan_meier(pending(5)) == [(5 + later, 1.0)]


@settings(max_examples=60)
@given(st.lists(lifetimes(), min_size=1, max_size=40))
def test_kaplan_meier_weights_sum_to_one_and_times_increase(some: list[CensoredDuration]) -> None:
    """For any entries, exits and censoring. The times include all observed finishes."""
    weighed = kaplan_meier(some)

    assert math.fsum(weight for _, weight in weighed) == pytest.approx(1, abs=1e-12)
    assert all(weight >= 0 for _, weight in weighed)
    assert [moment for moment, _ in weighed] == sorted(moment for moment, _ in weighed)
    assert {one.exit for one in some if one.is_finished} <= {moment for moment, _ in weighed}


@given(st.lists(st.floats(0, 9), min_size=1, max_size=20), st.lists(st.floats(0, 12), min_size=1, max_size=5))
def test_censored_jobs_never_move_the_distribution_earlier(finished: list[float], given_up: list[float]) -> None:
    """An estimate without the jobs that are still pending would be too early."""
    without, those_too = kaplan_meier(ended(*finished)), kaplan_meier(ended(*finished) + pending(*given_up))

    assert all(after(those_too, moment) >= after(without, moment) - 1e-12 for moment in finished + given_up)
    assert after(those_too, -1) == pytest.approx(1)


# Distributions


def test_a_fit_to_few_jobs_is_the_predictive_normal_of_their_logarithms() -> None:
    """By hand: three logarithms one apart, and half a job with the prior scale."""
    distribution = fit(ended(1, 2, 3))
    deviation = math.sqrt((2 + PRIOR_SCALE_WEIGHT * PRIOR_SCALE**2) / (2 + PRIOR_SCALE_WEIGHT) * 4 / 3)

    expected = lognormal(2, deviation)

    assert distribution.knots == pytest.approx(expected.knots)
    assert distribution.cdf == expected.cdf


def test_the_prior_scale_of_a_fit_has_the_weight_of_scale_jobs() -> None:
    """This shrinks the scale of one kind towards that of the others."""
    distribution = fit(ended(5), scale=0.1, scale_jobs=4)

    assert distribution.knots == pytest.approx(lognormal(5, 0.1 * math.sqrt(2)).knots)


@pytest.mark.parametrize("spread", [0.02, 0.3, 2.0])
def test_a_lognormal_distribution_is_normal_at_its_knots(spread: float) -> None:
    """It is cut off at four standard deviations."""
    distribution = lognormal(3.0, spread)
    inner = distribution.knots[1:-1]

    assert distribution.cdf_at(inner) == pytest.approx([NORMAL.cdf((knot - 3.0) / spread) for knot in inner])
    assert (distribution.knots[0], distribution.knots[-1]) == pytest.approx((3 - 4 * spread, 3 + 4 * spread))
    assert (distribution.cdf[0], distribution.cdf[-1]) == (0.0, 1.0)
    assert distribution.scale == pytest.approx(spread, rel=0.1)


def test_a_distribution_is_uniform_between_its_knots_and_ends_with_them() -> None:
    """The probability is 0 before the first knot, and 1 from the last one on."""
    distribution = Distribution([1.0, 2.0, 4.0], [0.0, 0.5, 1.0])

    assert distribution.cdf_at([0.0, 1.0, 1.5, 2.0, 2.5, 4.0, 9.0]) == [0.0, 0.0, 0.25, 0.5, 0.625, 1.0, 1.0]


def test_shifting_a_distribution_keeps_its_shape() -> None:
    """`shifted` returns a copy, or the distribution itself for a distance of 0."""
    distribution = Distribution([1.0, 2.0, 4.0], [0.0, 0.5, 1.0])
    moved = distribution.shifted(3.0)

    assert (moved.knots, moved.cdf) == ([4.0, 5.0, 7.0], [0.0, 0.5, 1.0])
    assert distribution.knots == [1.0, 2.0, 4.0]
    assert distribution.shifted(0.0) is distribution


@pytest.mark.parametrize("count", [KERNEL_MIN_JOBS, 100, 400])
def test_a_kernel_estimate_has_the_mean_of_its_jobs_and_a_larger_variance(count: int) -> None:
    """By the square of the bandwidth, which is 0.9 · n^-0.2 deviations for normal logarithms (Silverman)."""
    points = [NORMAL.inv_cdf((number + 0.5) / count) for number in range(count)]
    own = sum(point**2 for point in points) / count
    mean, variance = moments_of(fit(ended(*points)))

    assert mean == pytest.approx(0, abs=1e-9)
    assert variance == pytest.approx(own + (0.9 * count**-0.2) ** 2, rel=0.04)


def test_a_kernel_estimate_has_no_mass_between_two_clusters() -> None:
    """A normal distribution would have most jobs finish where none does."""
    distribution = fit(ended(*(centre + number / 1000 for centre in (1, 5) for number in range(-25, 25))))

    low, middle, high = distribution.cdf_at([2.5, 3.0, 3.5])

    assert (low, middle, high) == pytest.approx((0.5, 0.5, 0.5), abs=0.02)


def test_a_kernel_estimate_uses_the_kaplan_meier_weights() -> None:
    """Jobs censored early give more weight to the later ones."""
    finished = [number / 10 for number in range(60)]
    without, those_too = fit(ended(*finished)), fit(ended(*finished) + pending(*[3.0] * 30))

    assert moments_of(those_too)[0] > moments_of(without)[0] + 0.3
    assert those_too.cdf_at([3.0])[0] < without.cdf_at([3.0])[0]


def test_pooled_variance_is_measured_around_the_mean_of_each_kind() -> None:
    """By hand: squares of 2 and 8 over one and two degrees of freedom, and half a job with the prior scale."""
    scatter = PooledVariance([("a", 1.0), ("b", 10.0), ("a", 3.0), ("b", 12.0), ("b", 14.0), ("c", 99.0)])

    assert scatter.means == {"a": 2.0, "b": 12.0, "c": 99.0}
    assert scatter.scale() == pytest.approx(
        math.sqrt((2 + 8 + PRIOR_SCALE_WEIGHT * PRIOR_SCALE**2) / (3 + PRIOR_SCALE_WEIGHT))
    )


def test_censored_jobs_move_a_fit_to_few_jobs_later() -> None:
    """The means are computed by hand."""
    without, those_too = fit(ended(1, 2, 3)), fit(ended(1, 2, 3) + pending(2.5, 2.5))

    assert moments_of(without)[0] == pytest.approx(2)
    assert moments_of(those_too)[0] == pytest.approx(1 / 5 + 2 / 5 + 3 * 3 / 5)


@pytest.mark.parametrize("count", [KERNEL_MIN_JOBS, 1000])
def test_equal_durations_have_a_standard_deviation_of_one_percent(count: int) -> None:
    """No estimate is narrower than that."""
    mean, variance = moments_of(fit(ended(*[4.0] * count)))

    assert mean == pytest.approx(4.0)
    assert math.sqrt(variance) == pytest.approx(0.01, rel=0.05)


@pytest.mark.parametrize("outlier", [-20.0, 20.0])
def test_outliers_do_not_widen_the_bandwidth(outlier: float) -> None:
    """The bandwidth is computed from the quartiles if they give less than the standard deviation."""
    distribution = fit(ended(*(number / 1000 for number in range(100)), outlier, outlier))
    low, high = distribution.cdf_at([-1.0, 1.0])

    assert high - low == pytest.approx(100 / 102, abs=1e-3)


@settings(max_examples=60)
@given(st.lists(lifetimes(), min_size=1, max_size=80))
def test_any_fit_increases_from_0_to_1(some: list[CensoredDuration]) -> None:
    """Its knots increase, and there are at most 450."""
    distribution = fit(some)

    assert all(left < right for left, right in pairwise(distribution.knots))
    assert all(low <= high for low, high in pairwise(distribution.cdf))
    assert (distribution.cdf[0], distribution.cdf[-1]) == (0.0, 1.0)
    assert len(distribution.knots) == len(distribution.cdf) <= 450
    assert distribution.scale > 0


# Forecasts


def lomax(scale: float, seconds: float) -> float:
    return 1 - math.sqrt(scale / (scale + seconds))


@pytest.mark.parametrize("jobs", [1.0, 4.0, 200.0])
def test_a_forecast_weighs_past_jobs_against_the_prior(jobs: float) -> None:
    """Their number against four, at each point of the grid. The prior is the Lomax distribution of index 1/2."""
    distribution = lognormal(math.log(60), 0.5)
    forecast = Forecast([MixtureComponent(1.0, distribution)], jobs, 60.0)
    scale = 60 * math.exp(-PRIOR_NARROWNESS * distribution.scale)
    share = jobs / (jobs + PRIOR_WEIGHT)
    body = [0.0, *distribution.cdf_at([math.log(time) for time in forecast.times[1:]])]

    assert forecast.body_cdf == pytest.approx(body, abs=1e-9)
    assert forecast.cdf == pytest.approx(
        [share * one + (1 - share) * lomax(scale, time) for one, time in zip(body, forecast.times, strict=True)]
    )
    assert forecast.usual_seconds == 60.0


def test_a_forecast_mixes_its_components_by_their_shares() -> None:
    """The spread that sets the scale of the prior is mixed in the same way."""
    parts = [MixtureComponent(0.25, lognormal(3.0, 0.1)), MixtureComponent(0.75, lognormal(5.0, 0.3))]
    forecast = Forecast(parts, 10.0, 100.0)
    spread = 0.25 * parts[0].distribution.scale + 0.75 * parts[1].distribution.scale

    assert interpolated(forecast.times, forecast.body_cdf, math.exp(4.0)) == pytest.approx(0.25, abs=1e-3)
    assert forecast.hazard(1e3) == pytest.approx(1 / (2 * (100 * math.exp(-2 * spread) + 1e3)))


@settings(max_examples=60)
@given(
    st.lists(observations(), min_size=MIN_FINISHED_JOBS, max_size=40), LENGTH, LENGTH, st.sampled_from([None, "a", "z"])
)
def test_any_forecast_increases_from_0_and_stays_below_1(
    past: list[Observation], length: float | None, expected: float | None, key: str | None
) -> None:
    """The hazard is positive at any time."""
    assume(expected is not None or sum(one.finished_by is not None for one in past) >= MIN_FINISHED_JOBS)
    forecast = known(forecast_of(past, JobFeatures(key, length, expected)))
    end = forecast.times[-1]
    looks = [0.0, *(end * share for share in (1e-9, 1e-3, 0.1, 0.3, 0.5, 0.9, 1.0, 1.1, 2.0, 10.0, 1e4))]
    chances = [forecast.cdf_at(look) for look in looks]

    assert chances[0] == 0
    assert all(low < high for low, high in pairwise(chances))
    assert chances[-1] < 1
    assert all(forecast.hazard(look) > 0 for look in looks)
    assert all(left < right for left, right in pairwise(forecast.times))
    assert forecast.times[0] == forecast.body_cdf[0] == forecast.cdf[0] == 0
    assert forecast.body_cdf[-1] == pytest.approx(1)


@pytest.mark.parametrize("jobs", [3, 100])
def test_a_forecast_is_continuous_at_the_end_of_its_grid(jobs: int) -> None:
    """Beyond the grid it follows the prior: half as many jobs are left at four times the duration."""
    forecast = known(forecast_of([Observation.exact(60.0 + number % 7) for number in range(jobs)], JobFeatures()))
    end = forecast.times[-1]

    assert forecast.cdf_at(end * (1 - 1e-12)) == pytest.approx(forecast.cdf[-1], abs=1e-9)
    assert forecast.cdf_at(end) == pytest.approx(forecast.cdf[-1], abs=1e-12)
    left, later = 1 - forecast.cdf_at(1e7), 1 - forecast.cdf_at(4e7)
    assert later / left == pytest.approx(1 / 2, rel=1e-4)


@pytest.mark.parametrize("seconds", [1.0, 20.0, 61.0, 66.0, 1e3, 1e6])
def test_the_hazard_is_the_rate_at_which_pending_jobs_finish(seconds: float) -> None:
    """Within the grid and past it."""
    forecast = known(forecast_of([Observation.exact(60.0 + number % 7) for number in range(40)], JobFeatures()))
    before, later = forecast.cdf_at(seconds * (1 - 1e-4)), forecast.cdf_at(seconds * (1 + 1e-4))

    assert forecast.hazard(seconds) == pytest.approx((later - before) / (2e-4 * seconds) / (1 - before), rel=0.15)


def test_the_hazard_is_that_of_the_prior_where_no_past_job_finished() -> None:
    """Between two components there is still a reason to check."""
    forecast = Forecast(
        [MixtureComponent(0.5, lognormal(0.0, 0.01)), MixtureComponent(0.5, lognormal(9.0, 0.01))], 4.0, 60.0
    )
    survival = 1 - (0.5 * 0.5 + 0.5 * lomax(60 * math.exp(-0.02), 90.0))

    assert forecast.hazard(90.0) == pytest.approx(0.5 * (1 - lomax(60, 90)) / 2 / (60 + 90) / survival, rel=0.1)


def test_interpolation_is_linear_between_two_points() -> None:
    """Both ends are included."""
    looks = [0.0, 1.0, 2.0, 3.0, 4.0]

    assert [interpolated([0.0, 2.0, 4.0], [10.0, 20.0, 0.0], look) for look in looks] == [10, 15, 20, 10, 0]


# Video lengths, kinds and estimates


def same(one: Forecast, other: Forecast) -> bool:
    return (one.times, one.body_cdf, one.cdf) == (other.times, other.body_cdf, other.cdf)


@pytest.mark.parametrize("features", [JobFeatures(), JobFeatures("a"), JobFeatures("a", 60.0)])
def test_there_is_no_forecast_from_fewer_than_three_jobs(features: JobFeatures) -> None:
    """There is one from the third job on."""
    past = [Observation.exact(60.0), Observation.exact(61.0), Observation.exact(62.0)]

    assert [forecast_of(past[:count], features) is None for count in range(4)] == [True, True, True, False]


def test_there_is_no_forecast_from_unfinished_jobs_alone() -> None:
    """Jobs whose waits ended after a minute may take an hour, or a day."""
    assert forecast_of([Observation(60.0, None)] * 100, JobFeatures()) is None


def test_the_order_of_past_jobs_does_not_change_the_forecast() -> None:
    """Five jobs, in two orders."""
    past = [Observation.exact(seconds) for seconds in (10.0, 700.0, 0.3, 55.0, 61.0)]

    assert same(known(forecast_of(past, JobFeatures())), known(forecast_of(past[::-1], JobFeatures())))


@pytest.mark.parametrize("power", [0.5, 1.0, 1.5])
def test_the_growth_of_durations_with_the_video_length_is_learned(power: float) -> None:
    """By the regression slope of the logarithms. Its prior is 1, with the weight of one squared logarithm."""
    lengths = [10.0 * 4**number for number in range(6)]
    past = [Observation.exact(3 * length**power)._replace(video_seconds=length) for length in lengths]
    squares = sum((number - 2.5) ** 2 * math.log(4) ** 2 for number in range(6))
    slope = (power * squares + 1) / (squares + 1)

    short, long = (known(forecast_of(past, JobFeatures(None, length))) for length in (100.0, 800.0))

    assert long.usual_seconds / short.usual_seconds == pytest.approx(8**slope)
    assert quantile(long, 0.5) / quantile(short, 0.5) == pytest.approx(8**slope, rel=1e-3)
    assert quantile(short, 0.5) == pytest.approx(3 * 100**power, rel=0.15)


def test_a_duration_is_proportional_to_the_length_if_past_lengths_are_equal() -> None:
    """The prior of the slope is 1."""
    past = [Observation.exact(60.0)._replace(video_seconds=30.0)] * 5

    assert known(forecast_of(past, JobFeatures(None, 60.0))).usual_seconds == pytest.approx(120)


def test_the_slope_is_estimated_within_kinds() -> None:
    """Differences between kinds do not count: here the kind with the longer videos is the quicker one."""
    past = [
        Observation.exact(factor * length)._replace(kind=key, video_seconds=length)
        for key, factor, start in (("slow", 100.0, 1.0), ("quick", 0.01, 1000.0))
        for length in (start, 2 * start, 4 * start)
    ]
    short, long = (known(forecast_of(past, JobFeatures("slow", length))) for length in (1.0, 8.0))

    assert long.usual_seconds / short.usual_seconds == pytest.approx(8)


def test_jobs_of_unknown_length_do_not_change_the_slope() -> None:
    """Four of them are added to four jobs of known length."""
    measured = [Observation.exact(3 * length)._replace(video_seconds=length) for length in (10.0, 40.0, 160.0, 640.0)]
    others = [Observation.exact(seconds) for seconds in (1.0, 9e3, 7.0, 88.0)]

    def growth(past: list[Observation]) -> float:
        short, long = (known(forecast_of(past, JobFeatures(None, length))) for length in (10.0, 80.0))
        return long.usual_seconds / short.usual_seconds

    assert growth(measured) == pytest.approx(8)
    assert growth(measured + others) == pytest.approx(growth(measured))


def test_a_job_of_unknown_length_is_forecast_as_one_of_the_usual_length() -> None:
    """The usual length is the geometric mean of those known."""
    past = [Observation.exact(3 * length)._replace(video_seconds=length) for length in (10.0, 40.0, 160.0)]
    unknown, usual = (known(forecast_of(past, JobFeatures(None, length))) for length in (None, 40.0))

    assert unknown.times == pytest.approx(usual.times)
    assert unknown.cdf == pytest.approx(usual.cdf)


def test_past_jobs_of_unknown_length_count_as_of_the_usual_length() -> None:
    """Their durations are not scaled."""
    measured = [Observation.exact(60.0)._replace(video_seconds=30.0)] * 3
    forecast = known(forecast_of([*measured, Observation.exact(120.0)], JobFeatures(None, 30.0)))

    assert forecast.usual_seconds == pytest.approx(60 * 2 ** (1 / 4))


def test_delayed_entries_are_scaled_by_the_video_length_as_the_ends_are() -> None:
    """Past videos of lengths 10 and 160 give the same forecast as videos of the length between, 40."""
    lives = [(1.0, 0.0), (2.0, 0.0), (4.0, 2.5), (5.0, 2.5), (3.0, 0.0)]

    def history(*lengths: float) -> list[Observation]:
        return [
            Observation(took * length, took * length, entered * length, None, length)
            for took, entered in lives
            for length in lengths
        ]

    several, one = (
        known(forecast_of(history(*lengths), JobFeatures(None, 40.0))) for lengths in ((10.0, 160.0), (40.0, 40.0))
    )

    assert several.times == pytest.approx(one.times)
    assert several.cdf == pytest.approx(one.cdf)


PAST_OF_TWO_KINDS = [
    Observation.exact(centre * factor)._replace(kind=key)
    for key, centre in (("quick", 10.0), ("slow", 1000.0))
    for factor in (0.9, 0.95, 1.0, 1.0, 1.05, 1.1) * 4
]


def test_each_kind_has_a_distribution_of_its_own() -> None:
    """It is shrunk towards that of all kinds with the weight of two jobs."""
    quick, slow = (known(forecast_of(PAST_OF_TWO_KINDS, JobFeatures(key))) for key in ("quick", "slow"))

    assert (quantile(quick, 0.5), quantile(slow, 0.5)) == pytest.approx((10, 1000), rel=0.05)
    assert interpolated(quick.times, quick.body_cdf, 20.0) == pytest.approx(24 / 26 + 2 / 26 / 2, abs=0.01)


def test_an_unknown_kind_has_the_distribution_of_all_kinds() -> None:
    """The forecast is the same as without kinds."""
    no_kinds = [one._replace(kind=None) for one in PAST_OF_TWO_KINDS]

    assert same(
        known(forecast_of(PAST_OF_TWO_KINDS, JobFeatures("new"))), known(forecast_of(no_kinds, JobFeatures("whatever")))
    )


def test_a_kind_with_one_past_job_is_mixed_with_the_distribution_of_all_kinds() -> None:
    """Its own job has the weight of one job, all kinds together that of two."""
    past = [Observation.exact(10.0 + number / 10)._replace(kind="many") for number in range(40)] + [
        Observation.exact(1000.0)._replace(kind="once")
    ]
    once = known(forecast_of(past, JobFeatures("once")))

    assert interpolated(once.times, once.body_cdf, 100.0) == pytest.approx(2 / 3 * 40 / 41, abs=0.01)
    assert interpolated(once.times, once.body_cdf, 500.0) <= 2 / 3 + 0.01


def test_the_spread_of_a_kind_is_learned_from_the_other_kinds() -> None:
    """A single job of a kind has no spread."""

    def width(of_others: float) -> float:
        others = [
            Observation.exact(math.exp(of_others * side))._replace(kind=str(kind))
            for kind in range(20)
            for side in (-1, 0, 1)
        ]
        forecast = known(forecast_of([*others, Observation.exact(1e4)._replace(kind="once")], JobFeatures("once")))
        return math.log(quantile(forecast, 0.95) / quantile(forecast, 0.75))

    assert width(0.05) < width(0.5) / 3


def test_an_estimate_of_the_service_gives_a_forecast_without_past_jobs() -> None:
    """It counts as `ESTIMATE_WEIGHT` past jobs whose logarithms have a standard deviation of a half."""
    forecast = known(forecast_of([], JobFeatures(None, None, 300.0)))
    distribution = lognormal(math.log(300), ESTIMATE_SCALE)

    assert same(forecast, Forecast([MixtureComponent(1.0, distribution)], ESTIMATE_WEIGHT, math.exp(math.log(300))))
    assert quantile(forecast, 0.5) == pytest.approx(300, rel=1e-3)


def test_an_estimate_of_the_service_overrides_past_jobs_without_estimates() -> None:
    """The durations are those of other jobs, the estimate is of this one."""
    past = [Observation.exact(60.0)] * 50
    forecast = known(forecast_of(past, JobFeatures(None, None, 300.0)))

    assert same(forecast, known(forecast_of([], JobFeatures(None, None, 300.0))))


def test_a_constant_error_of_past_estimates_is_corrected() -> None:
    """Except for the share of the assumption that estimates are right, which has the weight of four jobs."""
    past = [
        Observation.exact(2.0 * expected)._replace(expected_seconds=expected)
        for expected in (30.0, 60.0, 120.0, 240.0) * 9
    ]
    forecast = known(forecast_of(past, JobFeatures(None, None, 300.0)))

    assert forecast.usual_seconds == pytest.approx(300 * 2 ** (36 / 40))
    assert quantile(forecast, 0.5) == pytest.approx(600, rel=0.05)


def test_one_wrong_estimate_corrects_the_forecast_partly() -> None:
    """Its factor has the weight of one job, a factor of 1 that of four."""
    past = [Observation.exact(32.0)._replace(expected_seconds=1.0)]

    forecast = known(forecast_of(past, JobFeatures(None, None, 10.0)))

    assert forecast.usual_seconds == pytest.approx(10 * 2)
    assert interpolated(forecast.times, forecast.body_cdf, 60.0) == pytest.approx(4 / 5, abs=0.01)


def test_a_thousand_correct_estimates_do_not_make_a_forecast_certain() -> None:
    """The weights are those of `MAX_DATA_WEIGHT` past jobs, of one estimate, and of the prior."""
    past = [Observation.exact(60.0)._replace(expected_seconds=60.0)] * 1000
    forecast = known(forecast_of(past, JobFeatures(None, None, 60.0)))
    prior = PRIOR_WEIGHT / (MAX_DATA_WEIGHT + ESTIMATE_WEIGHT + PRIOR_WEIGHT)

    assert 1 - forecast.cdf_at(1e7) == pytest.approx(prior * math.sqrt(60 / 1e7), rel=0.03)


def test_an_estimate_of_zero_is_ignored() -> None:
    """Both for this job and for past ones."""
    past = [Observation.exact(60.0)] * 3 + [Observation.exact(1000.0)._replace(expected_seconds=0.0)] * 3

    assert same(known(forecast_of(past, JobFeatures(None, None, 0.0))), known(forecast_of(past, JobFeatures())))
    assert same(
        known(forecast_of(past, JobFeatures(None, None, 9.0))), known(forecast_of([], JobFeatures(None, None, 9.0)))
    )


@pytest.mark.parametrize("jobs", [3, 20, 200, 1000])
def test_past_jobs_beyond_the_maximum_weight_do_not_make_a_forecast_more_certain(jobs: int) -> None:
    """The prior keeps a share for jobs unlike all past ones."""
    forecast = known(forecast_of([Observation.exact(60.0)] * jobs, JobFeatures()))
    scale = 60 * math.exp(-PRIOR_NARROWNESS * fit(ended(*[math.log(60)] * jobs)).scale)
    prior = PRIOR_WEIGHT / (min(jobs, MAX_DATA_WEIGHT) + PRIOR_WEIGHT)

    assert 1 - forecast.cdf_at(1e4) == pytest.approx(prior * (1 - lomax(scale, 1e4)))
