"""What do past jobs say of the next one? Observations, the laws of them, forecasts by those, and who is like whom."""

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

NORMAL = NormalDist()
ALWAYS = -math.inf

SECONDS = st.floats(1, 1e5)  # what is wider apart by far: `test_any_durations_lead_to_checks_until_the_horizon`
LENGTH = st.none() | st.floats(1, 1e4)


@st.composite
def lifetimes(draw: st.DrawFn) -> CensoredDuration:
    """Few places, so that many of them coincide."""
    left = draw(st.integers(-5, 20) | st.floats(-5, 20))
    entry = draw(st.just(ALWAYS) | st.floats(0, 10).map(lambda before: left - before))
    return CensoredDuration(entry, left, draw(st.booleans()))


@st.composite
def observations(draw: st.DrawFn) -> Observation:
    """Jobs known exactly, within limits, or not to the end; from the start or looked at late."""
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
    """The part that finishes later."""
    return sum(weight for point, weight in weighed if point > moment)


def moments_of(law: Distribution) -> tuple[float, float]:
    """Mean and variance, the law being even between its knots."""
    cells = [
        (left, right, high - low)
        for (left, right), (low, high) in zip(pairwise(law.knots), pairwise(law.cdf), strict=True)
    ]
    mean = sum(mass * (left + right) / 2 for left, right, mass in cells)
    square = sum(mass * (left * left + left * right + right * right) / 3 for left, right, mass in cells)
    return mean, square - mean * mean


def quantile(forecast: Forecast, share: float) -> float:
    """By when such a share of the past jobs' law is finished."""
    return interpolated(forecast.body_cdf, forecast.times, share)


def forecast_of(past: Sequence[Observation], features: JobFeatures) -> Forecast | None:
    return DurationModel(past).forecast(features)


def known(forecast: Forecast | None) -> Forecast:
    assert forecast is not None
    return forecast


# Observations


@given(SECONDS | st.floats(1e5, MAX_DURATION_SECONDS), st.integers(0, 10**6))
def test_a_job_known_exactly_left_exactly_then(seconds: float, number: int) -> None:
    """No draw is made where there is nothing to draw from."""
    assert Observation.exact(seconds, number).interval().impute_uniform() == math.log(seconds)


@pytest.mark.parametrize("seconds", [1e-9, 5e-4, 5e-324])
def test_what_is_too_short_counts_as_the_shortest(seconds: float) -> None:
    """A logarithm of almost nothing would outweigh all others."""
    assert Observation.exact(seconds).interval().impute_uniform() == math.log(MIN_DURATION_SECONDS)


def test_a_job_that_took_no_time_counts_as_the_shortest() -> None:
    """It is known exactly too."""
    assert [Observation.exact(0.0, number).interval().impute_uniform() for number in range(3)] == [
        math.log(MIN_DURATION_SECONDS)
    ] * 3


@given(st.floats(1e-3, 1e6), st.floats(1, 1e3), st.integers(0, 10**9))
def test_a_draw_lies_between_the_last_pending_and_the_first_final_answer(
    until: float, factor: float, number: int
) -> None:
    """That is all that is known."""
    drawn = Observation(until, until * factor, number=number).interval().impute_uniform()

    assert math.log(until) - 1e-9 <= drawn <= math.log(until * factor) + 1e-9


@given(st.floats(1e-3, 1e6), st.integers(0, 10**9))
def test_a_job_never_seen_pending_finished_in_the_later_half(seconds: float, number: int) -> None:
    """The logarithms from 0 on have no end."""
    drawn = Observation(0.0, seconds, number=number).interval().impute_uniform()

    assert math.log(seconds / 2) - 1e-9 <= drawn <= math.log(seconds) + 1e-9


@pytest.mark.parametrize("count", [10, 100, 1000])
def test_draws_of_successive_jobs_are_spread_evenly(count: int) -> None:
    """So that a few jobs asked about rarely do not look alike."""
    drawn = sorted(Observation(1.0, math.e, number=number).interval().impute_uniform() for number in range(count))

    assert max(abs(share - (place + 0.5) / count) for place, share in enumerate(drawn)) < 2 / count


def test_a_job_nobody_saw_finish_is_known_until_it_was_last_pending() -> None:
    """And the entry is minus infinity, where it was looked at from the start."""
    given_up, late = Observation(60.0, None), Observation(60.0, 90.0, entered=30.0, kind="a")
    sixty, ninety, thirty = (math.log(seconds) for seconds in (60, 90, 30))

    assert given_up.interval() == CensoringInterval(None, -math.inf, sixty, None, 0.5)
    assert late.interval(1.0) == CensoringInterval("a", thirty - 1, sixty - 1, ninety - 1, 0.5)
    assert Observation(0.0, 90.0).interval() == CensoringInterval(None, -math.inf, -math.inf, ninety, 0.5)
    assert impute([given_up.interval()]) == [CensoredDuration(-math.inf, sixty, False)]


def test_numbers_change_only_the_draw() -> None:
    """The same job is the same each time."""
    assert (
        Observation(10.0, 20.0, number=7).interval().impute_uniform()
        == Observation(10.0, 20.0, number=7).interval().impute_uniform()
    )
    assert (
        Observation(10.0, 20.0, number=7).interval().impute_uniform()
        != Observation(10.0, 20.0, number=8).interval().impute_uniform()
    )


# Brackets


@given(
    st.just(-math.inf) | st.floats(-5, 5),
    st.floats(0, 5),
    st.floats(0, 1, exclude_max=True),
    st.floats(-20, 20),
    st.floats(0.01, 5),
)
def test_no_law_moves_a_job_out_of_its_bracket(
    least: float, width: float, share: float, mean: float, spread: float
) -> None:
    """What was seen counts before what is likely."""
    most = width + (least if least > -math.inf else 0.0)
    moment = CensoringInterval(None, -math.inf, least, most, share).impute_from(NormalDist(mean, spread))

    assert least - 1e-9 <= moment <= most + 1e-9
    assert math.isfinite(moment)


def test_a_job_is_put_where_the_law_would_have_it_within_its_bracket() -> None:
    """By its share of what is likely there, and evenly where nothing is."""
    law = NormalDist(0, 1)

    assert CensoringInterval(None, ALWAYS, ALWAYS, 0.0, 0.5).impute_from(law) == pytest.approx(law.inv_cdf(0.25))
    assert CensoringInterval(None, ALWAYS, -1.0, 2.0, 0.25).impute_from(law) == pytest.approx(
        law.inv_cdf(0.75 * law.cdf(-1) + 0.25 * law.cdf(2))
    )
    assert CensoringInterval(None, ALWAYS, 50.0, 52.0, 0.25).impute_from(law) == 50.5


def test_jobs_asked_about_seldom_are_learned_about_as_if_they_were_seen() -> None:
    """Gaps of a whole factor of e, over a law that spreads by 0.3: the middle and the spread are found all the same."""
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


def test_moments_that_were_seen_stay_where_they_are() -> None:
    """Also where others are chosen."""
    some = [Observation.exact(10.0), Observation.exact(20.0), Observation(0.0, 500.0)]
    exits = [one.exit for one in impute([one.interval() for one in some])]

    assert exits[:2] == [math.log(10), math.log(20)]
    assert exits[2] < math.log(250) < math.log(500)


# The product limit


def test_jobs_that_were_all_seen_to_finish_weigh_the_same() -> None:
    """Nothing is known of one that is not known of the others; and they come in order."""
    assert kaplan_meier(ended(3, 1, 2, 2)) == [(1, 0.25), (2, 0.25), (2, 0.25), (3, 0.25)]


def test_the_weight_of_a_job_given_up_goes_to_those_that_took_longer() -> None:
    """By hand: 1/5; of the 3 left then 1/3 of 4/5; and the rest."""
    assert_weighs(ended(1, 3, 5) + pending(2, 4), (1, 1 / 5), (3, 4 / 15), (5, 8 / 15))


def test_the_textbooks_example() -> None:
    """Remission under 6-MP in weeks (Freireich 1963, as in Kalbfleisch and Prentice), survival as printed there."""
    relapsed = ended(6, 6, 6, 7, 10, 13, 16, 22, 23)
    weighed = kaplan_meier(relapsed + pending(6, 9, 10, 11, 17, 19, 20, 25, 32, 32, 34, 35))
    printed = {6: 0.857, 7: 0.807, 10: 0.753, 13: 0.690, 16: 0.627, 22: 0.538, 23: 0.448}

    assert {week: round(after(weighed, week), 3) for week in printed} == printed


def test_of_jobs_looked_at_late_the_quick_ones_are_missing() -> None:
    """Lynden-Bell by hand: at 1 two are looked at, at 3 three, at 4 two; what is left is of the last."""
    late = [CensoredDuration(2, 4, True), CensoredDuration(2, 5, True)]

    assert_weighs(ended(1, 3) + late, (1, 1 / 2), (3, 1 / 6), (4, 1 / 6), (5, 1 / 6))


def test_a_job_looked_at_and_finished_in_the_same_moment_counts_there() -> None:
    """It was one of three, and not one of two."""
    assert_weighs([*ended(1, 3, 4), CensoredDuration(2, 2, True)], (1, 1 / 3), (2, 2 / 9), (3, 2 / 9), (4, 2 / 9))


def test_one_that_is_looked_at_alone_does_not_say_that_all_finish() -> None:
    """At most half do, where only one is seen so early."""
    weighed = kaplan_meier([*ended(1), CensoredDuration(2, 3, True), CensoredDuration(2, 4, True)])

    assert weighed == [(1, 0.5), (3, 0.25), (4, 0.25)]


def test_those_that_outlast_all_others_go_on_for_as_long_again() -> None:
    """Each by its own time, on the scale of logarithms; also where nothing was ever seen to finish."""
    later = math.log(CENSORED_FACTOR)

    assert_weighs(ended(1) + pending(1, 3), (1, 1 / 3), (1 + later, 1 / 3), (3 + later, 1 / 3))
    assert kaplan_meier(pending(5)) == [(5 + later, 1.0)]


@settings(max_examples=60)
@given(st.lists(lifetimes(), min_size=1, max_size=40))
def test_weights_are_one_together_and_the_moments_increase(some: list[CensoredDuration]) -> None:
    """Whatever was looked at from when till when."""
    weighed = kaplan_meier(some)

    assert math.fsum(weight for _, weight in weighed) == pytest.approx(1, abs=1e-12)
    assert all(weight >= 0 for _, weight in weighed)
    assert [moment for moment, _ in weighed] == sorted(moment for moment, _ in weighed)
    assert {one.exit for one in some if one.is_finished} <= {moment for moment, _ in weighed}


@given(st.lists(st.floats(0, 9), min_size=1, max_size=20), st.lists(st.floats(0, 12), min_size=1, max_size=5))
def test_jobs_given_up_make_no_moment_likelier_to_be_past(finished: list[float], given_up: list[float]) -> None:
    """A job that is not over is never forgotten: without it the law would lie too early."""
    without, those_too = kaplan_meier(ended(*finished)), kaplan_meier(ended(*finished) + pending(*given_up))

    assert all(after(those_too, moment) >= after(without, moment) - 1e-12 for moment in finished + given_up)
    assert after(those_too, -1) == pytest.approx(1)


# Laws


def test_the_law_of_a_few_jobs_is_the_predictive_normal_of_their_logarithms() -> None:
    """By hand: three logarithms one apart, and half a job of the usual spread."""
    law = fit(ended(1, 2, 3))
    deviation = math.sqrt((2 + PRIOR_SCALE_WEIGHT * PRIOR_SCALE**2) / (2 + PRIOR_SCALE_WEIGHT) * 4 / 3)

    expected = lognormal(2, deviation)

    assert law.knots == pytest.approx(expected.knots)
    assert law.cdf == expected.cdf


def test_the_assumed_spread_of_a_law_counts_for_as_many_jobs_as_it_is_said_to() -> None:
    """It is how the law of one kind is drawn towards that of others."""
    law = fit(ended(5), scale=0.1, scale_jobs=4)

    assert law.knots == pytest.approx(lognormal(5, 0.1 * math.sqrt(2)).knots)


@pytest.mark.parametrize("spread", [0.02, 0.3, 2.0])
def test_a_log_normal_law_is_the_normal_law(spread: float) -> None:
    """At its knots, up to four deviations, where it is cut."""
    law = lognormal(3.0, spread)
    inner = law.knots[1:-1]

    assert law.cdf_at(inner) == pytest.approx([NORMAL.cdf((knot - 3.0) / spread) for knot in inner])
    assert (law.knots[0], law.knots[-1]) == pytest.approx((3 - 4 * spread, 3 + 4 * spread))
    assert (law.cdf[0], law.cdf[-1]) == (0.0, 1.0)
    assert law.scale == pytest.approx(spread, rel=0.1)


def test_a_law_is_even_between_its_knots_and_ends_with_them() -> None:
    """Nothing before the first, everything from the last on."""
    law = Distribution([1.0, 2.0, 4.0], [0.0, 0.5, 1.0])

    assert law.cdf_at([0.0, 1.0, 1.5, 2.0, 2.5, 4.0, 9.0]) == [0.0, 0.0, 0.25, 0.5, 0.625, 1.0, 1.0]


def test_a_law_that_is_moved_keeps_its_form() -> None:
    """And the one it was stays where it is."""
    law = Distribution([1.0, 2.0, 4.0], [0.0, 0.5, 1.0])
    moved = law.shifted(3.0)

    assert (moved.knots, moved.cdf) == ([4.0, 5.0, 7.0], [0.0, 0.5, 1.0])
    assert law.knots == [1.0, 2.0, 4.0]
    assert law.shifted(0.0) is law


@pytest.mark.parametrize("count", [KERNEL_MIN_JOBS, 100, 400])
def test_a_smoothed_law_has_the_mean_of_its_jobs_and_a_little_more_spread(count: int) -> None:
    """As much more as the bandwidth, which for normal logarithms is 0.9 · n^-0.2 deviations (Silverman)."""
    points = [NORMAL.inv_cdf((number + 0.5) / count) for number in range(count)]
    own = sum(point**2 for point in points) / count
    mean, variance = moments_of(fit(ended(*points)))

    assert mean == pytest.approx(0, abs=1e-9)
    assert variance == pytest.approx(own + (0.9 * count**-0.2) ** 2, rel=0.04)


def test_a_smoothed_law_keeps_two_kinds_apart() -> None:
    """A normal law would have most jobs finish where none does."""
    law = fit(ended(*(centre + number / 1000 for centre in (1, 5) for number in range(-25, 25))))

    low, middle, high = law.cdf_at([2.5, 3.0, 3.5])

    assert (low, middle, high) == pytest.approx((0.5, 0.5, 0.5), abs=0.02)


def test_a_smoothed_law_follows_the_weights() -> None:
    """Those given up early make the later ones heavier."""
    finished = [number / 10 for number in range(60)]
    without, those_too = fit(ended(*finished)), fit(ended(*finished) + pending(*[3.0] * 30))

    assert moments_of(those_too)[0] > moments_of(without)[0] + 0.3
    assert those_too.cdf_at([3.0])[0] < without.cdf_at([3.0])[0]


def test_values_scatter_around_the_middle_of_their_kind() -> None:
    """By hand: squares of 2 and 8 over one and two degrees of freedom, and half a job of the usual spread."""
    scatter = PooledVariance([("a", 1.0), ("b", 10.0), ("a", 3.0), ("b", 12.0), ("b", 14.0), ("c", 99.0)])

    assert scatter.means == {"a": 2.0, "b": 12.0, "c": 99.0}
    assert scatter.scale() == pytest.approx(
        math.sqrt((2 + 8 + PRIOR_SCALE_WEIGHT * PRIOR_SCALE**2) / (3 + PRIOR_SCALE_WEIGHT))
    )


def test_a_law_with_jobs_given_up_lies_later_than_without() -> None:
    """Also while jobs are few."""
    without, those_too = fit(ended(1, 2, 3)), fit(ended(1, 2, 3) + pending(2.5, 2.5))

    assert moments_of(without)[0] == pytest.approx(2)
    assert moments_of(those_too)[0] == pytest.approx(1 / 5 + 2 / 5 + 3 * 3 / 5)


@pytest.mark.parametrize("count", [KERNEL_MIN_JOBS, 1000])
def test_jobs_that_were_all_the_same_promise_no_exact_moment(count: int) -> None:
    """A law is never narrower than a part in a hundred."""
    mean, variance = moments_of(fit(ended(*[4.0] * count)))

    assert mean == pytest.approx(4.0)
    assert math.sqrt(variance) == pytest.approx(0.01, rel=0.05)


@pytest.mark.parametrize("outlier", [-20.0, 20.0])
def test_a_few_wide_outliers_do_not_smear_the_rest(outlier: float) -> None:
    """The bandwidth goes by the quartiles where they say less than the deviation."""
    law = fit(ended(*(number / 1000 for number in range(100)), outlier, outlier))
    low, high = law.cdf_at([-1.0, 1.0])

    assert high - low == pytest.approx(100 / 102, abs=1e-3)


@settings(max_examples=60)
@given(st.lists(lifetimes(), min_size=1, max_size=80))
def test_any_law_goes_from_0_to_1(some: list[CensoredDuration]) -> None:
    """Over knots that increase."""
    law = fit(some)

    assert all(left < right for left, right in pairwise(law.knots))
    assert all(low <= high for low, high in pairwise(law.cdf))
    assert (law.cdf[0], law.cdf[-1]) == (0.0, 1.0)
    assert len(law.knots) == len(law.cdf) <= 450
    assert law.scale > 0


# Forecasts


def lomax(scale: float, seconds: float) -> float:
    return 1 - math.sqrt(scale / (scale + seconds))


@pytest.mark.parametrize("jobs", [1.0, 4.0, 200.0])
def test_a_forecast_weighs_past_jobs_against_the_prior(jobs: float) -> None:
    """By their number against four: at each point of the grid, with the Lomax law of index 1/2."""
    law = lognormal(math.log(60), 0.5)
    forecast = Forecast([MixtureComponent(1.0, law)], jobs, 60.0)
    scale = 60 * math.exp(-PRIOR_NARROWNESS * law.scale)
    share = jobs / (jobs + PRIOR_WEIGHT)
    body = [0.0, *law.cdf_at([math.log(time) for time in forecast.times[1:]])]

    assert forecast.body_cdf == pytest.approx(body, abs=1e-9)
    assert forecast.cdf == pytest.approx(
        [share * one + (1 - share) * lomax(scale, time) for one, time in zip(body, forecast.times, strict=True)]
    )
    assert forecast.usual_seconds == 60.0


def test_a_forecast_of_several_laws_weighs_them_by_their_shares() -> None:
    """Also the spread that the prior goes by."""
    parts = [MixtureComponent(0.25, lognormal(3.0, 0.1)), MixtureComponent(0.75, lognormal(5.0, 0.3))]
    forecast = Forecast(parts, 10.0, 100.0)
    spread = 0.25 * parts[0].distribution.scale + 0.75 * parts[1].distribution.scale

    assert interpolated(forecast.times, forecast.body_cdf, math.exp(4.0)) == pytest.approx(0.25, abs=1e-3)
    assert forecast.hazard(1e3) == pytest.approx(1 / (2 * (100 * math.exp(-2 * spread) + 1e3)))


@settings(max_examples=60)
@given(
    st.lists(observations(), min_size=MIN_FINISHED_JOBS, max_size=40), LENGTH, LENGTH, st.sampled_from([None, "a", "z"])
)
def test_any_forecast_is_a_law_that_never_is_sure(
    past: list[Observation], length: float | None, expected: float | None, key: str | None
) -> None:
    """The chance grows from 0, and stays below 1; and there is always some that it finishes just now."""
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
def test_a_forecast_does_not_jump_where_its_grid_ends(jobs: int) -> None:
    """What is beyond goes on from there, by the prior: four times as late half as many are left."""
    forecast = known(forecast_of([Observation.exact(60.0 + number % 7) for number in range(jobs)], JobFeatures()))
    end = forecast.times[-1]

    assert forecast.cdf_at(end * (1 - 1e-12)) == pytest.approx(forecast.cdf[-1], abs=1e-9)
    assert forecast.cdf_at(end) == pytest.approx(forecast.cdf[-1], abs=1e-12)
    left, later = 1 - forecast.cdf_at(1e7), 1 - forecast.cdf_at(4e7)
    assert later / left == pytest.approx(1 / 2, rel=1e-4)


@pytest.mark.parametrize("seconds", [1.0, 20.0, 61.0, 66.0, 1e3, 1e6])
def test_the_hazard_is_the_rate_at_which_those_left_finish(seconds: float) -> None:
    """Within the grid and past it."""
    forecast = known(forecast_of([Observation.exact(60.0 + number % 7) for number in range(40)], JobFeatures()))
    before, later = forecast.cdf_at(seconds * (1 - 1e-4)), forecast.cdf_at(seconds * (1 + 1e-4))

    assert forecast.hazard(seconds) == pytest.approx((later - before) / (2e-4 * seconds) / (1 - before), rel=0.15)


def test_the_hazard_is_the_priors_where_no_past_job_finished() -> None:
    """Between two kinds there is still a reason to ask."""
    forecast = Forecast(
        [MixtureComponent(0.5, lognormal(0.0, 0.01)), MixtureComponent(0.5, lognormal(9.0, 0.01))], 4.0, 60.0
    )
    survival = 1 - (0.5 * 0.5 + 0.5 * lomax(60 * math.exp(-0.02), 90.0))

    assert forecast.hazard(90.0) == pytest.approx(0.5 * (1 - lomax(60, 90)) / 2 / (60 + 90) / survival, rel=0.1)


def test_values_between_two_points_lie_between_theirs() -> None:
    """Both ends included."""
    looks = [0.0, 1.0, 2.0, 3.0, 4.0]

    assert [interpolated([0.0, 2.0, 4.0], [10.0, 20.0, 0.0], look) for look in looks] == [10, 15, 20, 10, 0]


# Relatives


def same(one: Forecast, other: Forecast) -> bool:
    return (one.times, one.body_cdf, one.cdf) == (other.times, other.body_cdf, other.cdf)


@pytest.mark.parametrize("features", [JobFeatures(), JobFeatures("a"), JobFeatures("a", 60.0)])
def test_fewer_jobs_than_three_say_nothing(features: JobFeatures) -> None:
    """From the third on they do."""
    past = [Observation.exact(60.0), Observation.exact(61.0), Observation.exact(62.0)]

    assert [forecast_of(past[:count], features) is None for count in range(4)] == [True, True, True, False]


def test_jobs_nobody_saw_finish_alone_say_nothing() -> None:
    """Any number of them given up after a minute may take an hour, or a day."""
    assert forecast_of([Observation(60.0, None)] * 100, JobFeatures()) is None


def test_the_order_of_past_jobs_does_not_matter() -> None:
    """A history is a set."""
    past = [Observation.exact(seconds) for seconds in (10.0, 700.0, 0.3, 55.0, 61.0)]

    assert same(known(forecast_of(past, JobFeatures())), known(forecast_of(past[::-1], JobFeatures())))


@pytest.mark.parametrize("power", [0.5, 1.0, 1.5])
def test_how_a_duration_grows_with_the_length_is_found(power: float) -> None:
    """The slope of the logarithms, with one squared logarithm's worth of the usual slope of 1."""
    lengths = [10.0 * 4**number for number in range(6)]
    past = [Observation.exact(3 * length**power)._replace(video_seconds=length) for length in lengths]
    squares = sum((number - 2.5) ** 2 * math.log(4) ** 2 for number in range(6))
    slope = (power * squares + 1) / (squares + 1)

    short, long = (known(forecast_of(past, JobFeatures(None, length))) for length in (100.0, 800.0))

    assert long.usual_seconds / short.usual_seconds == pytest.approx(8**slope)
    assert quantile(long, 0.5) / quantile(short, 0.5) == pytest.approx(8**slope, rel=1e-3)
    assert quantile(short, 0.5) == pytest.approx(3 * 100**power, rel=0.15)


def test_without_lengths_that_differ_twice_the_video_takes_twice_as_long() -> None:
    """Until data say otherwise."""
    past = [Observation.exact(60.0)._replace(video_seconds=30.0)] * 5

    assert known(forecast_of(past, JobFeatures(None, 60.0))).usual_seconds == pytest.approx(120)


def test_a_slope_is_found_within_kinds() -> None:
    """What differs between kinds is no matter of length: here the kind with longer videos is the quicker one."""
    past = [
        Observation.exact(factor * length)._replace(kind=key, video_seconds=length)
        for key, factor, start in (("slow", 100.0, 1.0), ("quick", 0.01, 1000.0))
        for length in (start, 2 * start, 4 * start)
    ]
    short, long = (known(forecast_of(past, JobFeatures("slow", length))) for length in (1.0, 8.0))

    assert long.usual_seconds / short.usual_seconds == pytest.approx(8)


def test_jobs_of_unknown_length_do_not_disturb_the_slope() -> None:
    """They say nothing of it."""
    measured = [Observation.exact(3 * length)._replace(video_seconds=length) for length in (10.0, 40.0, 160.0, 640.0)]
    others = [Observation.exact(seconds) for seconds in (1.0, 9e3, 7.0, 88.0)]

    def growth(past: list[Observation]) -> float:
        short, long = (known(forecast_of(past, JobFeatures(None, length))) for length in (10.0, 80.0))
        return long.usual_seconds / short.usual_seconds

    assert growth(measured) == pytest.approx(8)
    assert growth(measured + others) == pytest.approx(growth(measured))


def test_a_job_of_unknown_length_is_taken_to_be_of_the_usual_one() -> None:
    """The geometric mean of those known."""
    past = [Observation.exact(3 * length)._replace(video_seconds=length) for length in (10.0, 40.0, 160.0)]
    unknown, usual = (known(forecast_of(past, JobFeatures(None, length))) for length in (None, 40.0))

    assert unknown.times == pytest.approx(usual.times)
    assert unknown.cdf == pytest.approx(usual.cdf)


def test_jobs_of_unknown_length_count_as_they_are() -> None:
    """As if they were of the usual length."""
    measured = [Observation.exact(60.0)._replace(video_seconds=30.0)] * 3
    forecast = known(forecast_of([*measured, Observation.exact(120.0)], JobFeatures(None, 30.0)))

    assert forecast.usual_seconds == pytest.approx(60 * 2 ** (1 / 4))


def test_late_looks_are_moved_by_the_length_as_the_ends_are() -> None:
    """A history of videos of two lengths is one of videos of the length between, on the same scale."""
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


def test_kinds_have_laws_of_their_own() -> None:
    """Drawn towards that of all by two jobs' worth."""
    quick, slow = (known(forecast_of(PAST_OF_TWO_KINDS, JobFeatures(key))) for key in ("quick", "slow"))

    assert (quantile(quick, 0.5), quantile(slow, 0.5)) == pytest.approx((10, 1000), rel=0.05)
    assert interpolated(quick.times, quick.body_cdf, 20.0) == pytest.approx(24 / 26 + 2 / 26 / 2, abs=0.01)


def test_a_kind_never_met_is_taken_to_be_like_all_together() -> None:
    """As if there were no kinds."""
    no_kinds = [one._replace(kind=None) for one in PAST_OF_TWO_KINDS]

    assert same(
        known(forecast_of(PAST_OF_TWO_KINDS, JobFeatures("new"))), known(forecast_of(no_kinds, JobFeatures("whatever")))
    )


def test_a_kind_met_once_lies_between_itself_and_all_others() -> None:
    """One job's worth of its own to two jobs' worth of theirs."""
    past = [Observation.exact(10.0 + number / 10)._replace(kind="many") for number in range(40)] + [
        Observation.exact(1000.0)._replace(kind="once")
    ]
    once = known(forecast_of(past, JobFeatures("once")))

    assert interpolated(once.times, once.body_cdf, 100.0) == pytest.approx(2 / 3 * 40 / 41, abs=0.01)
    assert interpolated(once.times, once.body_cdf, 500.0) <= 2 / 3 + 0.01


def test_how_much_a_kind_spreads_is_learned_from_the_other_kinds() -> None:
    """One job of a kind says nothing of it."""

    def width(of_others: float) -> float:
        others = [
            Observation.exact(math.exp(of_others * side))._replace(kind=str(kind))
            for kind in range(20)
            for side in (-1, 0, 1)
        ]
        forecast = known(forecast_of([*others, Observation.exact(1e4)._replace(kind="once")], JobFeatures("once")))
        return math.log(quantile(forecast, 0.95) / quantile(forecast, 0.75))

    assert width(0.05) < width(0.5) / 3


def test_what_a_service_expects_counts_without_any_history() -> None:
    """Roughly: as so many past jobs whose logarithms spread by a half."""
    forecast = known(forecast_of([], JobFeatures(None, None, 300.0)))
    law = lognormal(math.log(300), ESTIMATE_SCALE)

    assert same(forecast, Forecast([MixtureComponent(1.0, law)], ESTIMATE_WEIGHT, math.exp(math.log(300))))
    assert quantile(forecast, 0.5) == pytest.approx(300, rel=1e-3)


def test_what_a_service_expects_moves_the_law_there_whatever_past_jobs_took() -> None:
    """They are of other jobs, this word is of this one."""
    past = [Observation.exact(60.0)] * 50
    forecast = known(forecast_of(past, JobFeatures(None, None, 300.0)))

    assert same(forecast, known(forecast_of([], JobFeatures(None, None, 300.0))))


def test_expectations_that_were_wrong_by_a_factor_are_corrected_for() -> None:
    """By all of it but what the assumption that they are right is worth: four jobs."""
    past = [
        Observation.exact(2.0 * expected)._replace(expected_seconds=expected)
        for expected in (30.0, 60.0, 120.0, 240.0) * 9
    ]
    forecast = known(forecast_of(past, JobFeatures(None, None, 300.0)))

    assert forecast.usual_seconds == pytest.approx(300 * 2 ** (36 / 40))
    assert quantile(forecast, 0.5) == pytest.approx(600, rel=0.05)


def test_one_wrong_expectation_corrects_a_little() -> None:
    """One job's worth of its factor to four of none."""
    past = [Observation.exact(32.0)._replace(expected_seconds=1.0)]

    forecast = known(forecast_of(past, JobFeatures(None, None, 10.0)))

    assert forecast.usual_seconds == pytest.approx(10 * 2)
    assert interpolated(forecast.times, forecast.body_cdf, 60.0) == pytest.approx(4 / 5, abs=0.01)


def test_a_service_that_was_right_a_thousand_times_is_not_believed_for_ever() -> None:
    """A memory's worth of past jobs, what a word is worth, and the prior."""
    past = [Observation.exact(60.0)._replace(expected_seconds=60.0)] * 1000
    forecast = known(forecast_of(past, JobFeatures(None, None, 60.0)))
    prior = PRIOR_WEIGHT / (MAX_DATA_WEIGHT + ESTIMATE_WEIGHT + PRIOR_WEIGHT)

    assert 1 - forecast.cdf_at(1e7) == pytest.approx(prior * math.sqrt(60 / 1e7), rel=0.03)


def test_an_expectation_of_nothing_is_none() -> None:
    """A service that says 0 says nothing, be it of this job or of past ones."""
    past = [Observation.exact(60.0)] * 3 + [Observation.exact(1000.0)._replace(expected_seconds=0.0)] * 3

    assert same(known(forecast_of(past, JobFeatures(None, None, 0.0))), known(forecast_of(past, JobFeatures())))
    assert same(
        known(forecast_of(past, JobFeatures(None, None, 9.0))), known(forecast_of([], JobFeatures(None, None, 9.0)))
    )


@pytest.mark.parametrize("jobs", [3, 20, 200, 1000])
def test_more_past_jobs_than_a_memory_make_nobody_surer(jobs: int) -> None:
    """Tomorrow may be different: something is always left for jobs unlike all past ones."""
    forecast = known(forecast_of([Observation.exact(60.0)] * jobs, JobFeatures()))
    scale = 60 * math.exp(-PRIOR_NARROWNESS * fit(ended(*[math.log(60)] * jobs)).scale)
    prior = PRIOR_WEIGHT / (min(jobs, MAX_DATA_WEIGHT) + PRIOR_WEIGHT)

    assert 1 - forecast.cdf_at(1e4) == pytest.approx(prior * (1 - lomax(scale, 1e4)))
