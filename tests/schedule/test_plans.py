"""The schedules of checks, compared with brute force and with theory, and for any input."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from itertools import combinations, islice, pairwise, takewhile
from statistics import NormalDist, median
from typing import Any

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from translation_client._config import JobFeatures
from translation_client.schedule import optimize, plan, plan_checks
from translation_client.schedule.censoring import MAX_DURATION_SECONDS, Observation
from translation_client.schedule.distribution import Distribution, lognormal
from translation_client.schedule.forecast import Forecast, MixtureComponent
from translation_client.schedule.model import DurationModel
from translation_client.schedule.optimize import (
    MIN_CANDIDATES,
    ExpectedCost,
    OptimalChecks,
    expected_cost,
    mean_lag,
    optimize_checks,
)
from translation_client.schedule.plan import MIN_GAP_SECONDS, CheckSchedule, Objective, make_schedule

pytestmark = pytest.mark.exhaustive

NORMAL = NormalDist()

COST = st.floats(1e-2, 1e4)
AGES = [0.0, 1e-9, 1e-3, 0.5, 7.0, 59.9, 60.0, 61.0, 99.0, 600.0, 12345.6, 1e6, 1e9]


def forecast_from(durations: Iterable[float]) -> Forecast:
    past = [Observation.exact(seconds, number) for number, seconds in enumerate(durations)]
    forecast = DurationModel(past).forecast(JobFeatures())
    assert forecast is not None
    return forecast


def log_normal_jobs(count: int, spread: float, usual: float = 60.0) -> list[float]:
    """Return the durations at evenly spaced probabilities of a log-normal distribution."""
    return [usual * math.exp(spread * NORMAL.inv_cdf((number + 0.5) / count)) for number in range(count)]


def forecast_by_chance(chance: Callable[[float], float], times: Sequence[float]) -> Forecast:
    """Return a forecast with this distribution. It has so many past jobs that the prior does not count."""
    below = [chance(time) for time in times]
    knots = [math.log(time) for time in times]
    return Forecast([MixtureComponent(1.0, Distribution(knots, [0.0, *below[1:-1], 1.0]))], 1e12, 1.0)


def gaps_of(checks: Iterable[float]) -> list[float]:
    return [after - before for before, after in pairwise([0.0, *checks])]


def expected(plan: CheckSchedule, forecast: Forecast) -> ExpectedCost:
    """Return the expected cost of jobs like the past ones."""
    return expected_cost(plan.checks(forecast.times[-1]), forecast.times, forecast.body_cdf)


# plan_checks


@pytest.mark.parametrize("durations", [[], [60.0], [60.0, 1.0]])
@pytest.mark.parametrize("cost", [1, 3, 0.125, 7.7, 1e6])
def test_with_fewer_than_three_durations_the_schedule_is_quadratic(durations: list[float], cost: float) -> None:
    """This is the schedule without data, and two jobs are too little data."""
    assert plan_checks(durations, cost, horizon=cost * 99.5) == pytest.approx(
        [cost * number**2 for number in range(1, 11)], rel=1e-12
    )


def test_the_last_check_is_the_first_at_or_past_the_horizon() -> None:
    """No check follows one that is exactly at the horizon."""
    assert plan_checks([], 1, horizon=100) == [1, 4, 9, 16, 25, 36, 49, 64, 81, 100]
    assert plan_checks([], 1, horizon=math.nextafter(100, 200))[-2:] == [100, 121]


def assert_checks_until(checks: list[float], horizon: float) -> None:
    assert all(before < after for before, after in pairwise([0.0, *checks]))
    assert checks[-1] >= horizon
    assert len(checks) == 1 or checks[-2] < horizon


# Regression: ZeroDivisionError in `_keller_numbers`.
@settings(max_examples=60)
@given(
    st.lists(st.sampled_from([0, 1e-6, 60, 1e8]) | st.floats(0, MAX_DURATION_SECONDS), max_size=40),
    COST,
    st.floats(1e-3, 1e3),
)
@example([1e-6, 1.0, 1e8], 1.0, 100.0)
@example([0.0, 0.0, 1e7], 1.0, 100.0)
def test_checks_increase_and_reach_the_horizon_for_any_durations(
    durations: list[float], cost: float, checks: float
) -> None:
    """The first is above 0, the last at or past the horizon, the one before it short of it."""
    assert_checks_until(plan_checks(durations, cost, horizon=cost * checks), cost * checks)


@settings(max_examples=60)
@given(
    st.lists(st.just(0.0) | st.floats(1e-6, 1e3), max_size=40) | st.lists(st.floats(10, 1e8), max_size=40),
    COST,
    st.floats(1e-3, 1e3),
)
@example([60.0] * 1000, 1.0, 1e4)
@example([0.0] * 3, 1.0, 10.0)
@example([0.0] * 1000, 1.0, 10.0)
@example([1e-6] * 3, 1e-2, 10.0)
@example([MAX_DURATION_SECONDS] * 3, 1e-2, 10.0)
@example([1.0] * 999 + [1e8], 1.0, 10.0)
@example([60.0] * 3, 1e9, 1e-12)
def test_checks_increase_and_reach_the_horizon_for_usual_durations(
    durations: list[float], cost: float, checks: float
) -> None:
    """The same for durations that are at most nine orders of magnitude apart."""
    assert_checks_until(plan_checks(durations, cost, horizon=cost * checks), cost * checks)


def test_a_thousand_durations_give_fewer_than_a_thousand_checks() -> None:
    """The number of candidate times of a schedule is bounded."""
    checks = plan_checks([10 ** (number / 250) for number in range(1000)], 0.5, horizon=1e5)

    assert_checks_until(checks, 1e5)
    assert len(checks) < 1000


@pytest.mark.parametrize("bad", [-1.0, -5e-324, math.nan, math.inf, -math.inf, 1.1e9, 10**400])
def test_invalid_durations_are_rejected(bad: float) -> None:
    """The message begins with the name of the argument."""
    with pytest.raises(ValueError, match=r"^durations "):
        plan_checks([60.0, 61.0, 62.0, bad], 1.0, horizon=100.0)


@pytest.mark.parametrize("bad", [0, -1, -0.0, math.nan, math.inf, -math.inf, 10**400])
@pytest.mark.parametrize("name", ["check_cost", "horizon"])
def test_check_cost_and_horizon_must_be_finite_and_positive(name: str, bad: float) -> None:
    """The message begins with the name of the argument."""
    with pytest.raises(ValueError, match=f"^{name} "):
        plan_checks([60.0], **{"check_cost": 1.0, "horizon": 100.0, name: bad})


@pytest.mark.parametrize("bad", [True, False, "1", None, b"1", [1.0], 1j, Decimal(1)])
@pytest.mark.parametrize("name", ["durations", "check_cost", "horizon"])
def test_an_argument_that_is_no_number_is_a_type_error(name: str, bad: Any) -> None:
    """A bool too, which is most likely in the wrong place."""
    arguments: dict[str, Any] = {"durations": [60.0], "check_cost": 1.0, "horizon": 100.0}
    with pytest.raises(TypeError, match=f"^{name} must be a number"):
        plan_checks(**{**arguments, name: [60.0, bad] if name == "durations" else bad})


@pytest.mark.parametrize("bad", [60.0, None])
def test_durations_must_be_iterable(bad: Any) -> None:
    """A single number is rejected."""
    with pytest.raises(TypeError):
        plan_checks(bad, 1.0, horizon=100.0)


def test_a_schedule_of_more_than_max_checks_is_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit is a million. The message names `check_cost`, which is too small."""
    assert plan.MAX_CHECKS == 1_000_000
    monkeypatch.setattr(plan, "MAX_CHECKS", 10)

    assert len(plan_checks([], 1, horizon=100)) == 10
    with pytest.raises(ValueError, match="check_cost"):
        plan_checks([], 1, horizon=100.5)
    with pytest.raises(ValueError, match="check_cost"):
        plan_checks([60.0] * 3, 1, horizon=1e6)


def test_gaps_are_at_least_a_millisecond() -> None:
    """Even if a request costs almost nothing."""
    assert plan_checks([], 1e-6, horizon=0.0095) == pytest.approx([number / 1000 for number in range(1, 11)])


@pytest.mark.parametrize("make", [list, tuple, iter, dict.fromkeys, lambda some: (one for one in some)])
def test_durations_can_be_any_iterable(make: Callable[[list[float]], Iterable[float]]) -> None:
    """It is read once."""
    durations = [50.0, 60.0, 75.0]

    assert plan_checks(make(durations), 3, horizon=200) == plan_checks(durations, 3, horizon=200)


@pytest.mark.parametrize("seed", range(5))
def test_the_order_of_durations_does_not_change_the_checks(seed: int) -> None:
    """37 durations, in five random orders."""
    durations = log_normal_jobs(37, 0.4)
    shuffled = random.Random(seed).sample(durations, k=len(durations))

    assert plan_checks(shuffled, 2.0, horizon=300) == plan_checks(durations, 2.0, horizon=300)


@pytest.mark.parametrize("count", [0, 3, 12, 30, 100])
@pytest.mark.parametrize("factor", [60, 1 / 60])
def test_minutes_instead_of_seconds_change_only_the_unit(count: int, factor: float) -> None:
    """A schedule has no scale of its own."""
    durations = [random.Random(number).lognormvariate(5, 0.6) for number in range(count)]
    checks = plan_checks(durations, 5.0, horizon=3000.0)

    scaled = plan_checks([seconds * factor for seconds in durations], 5.0 * factor, horizon=3000.0 * factor)

    # Where two times are equally good, rounding chooses.
    assert scaled == pytest.approx([check * factor for check in checks], rel=5e-3)


def test_the_first_checks_are_near_the_duration_of_past_jobs() -> None:
    """Two of six are, and none is earlier."""
    checks = plan_checks([60.0] * 10, 3.0, horizon=150)

    assert [50 < check < 75 for check in checks] == [True, True, False, False, False, False]


def test_jobs_of_two_usual_durations_are_checked_where_either_finishes() -> None:
    """There are only two checks between the two."""
    kinds = [MixtureComponent(0.5, lognormal(math.log(usual), 0.02)) for usual in (10.0, 500.0)]
    checks = list(make_schedule(Forecast(kinds, 200.0, 70.0), Objective(1.0, None)).checks(600.0))

    places = ((9, 12), (12, 480), (480, 550))

    assert [sum(low < check < high for check in checks) for low, high in places] == [1, 2, 11]


def test_a_higher_check_cost_gives_fewer_checks() -> None:
    """A thousand times the cost gives less than an eighth of the checks."""
    durations = log_normal_jobs(50, 0.4)
    counts = [len(plan_checks(durations, cost, horizon=200)) for cost in (0.03, 0.1, 0.3, 1, 3, 10, 30)]

    assert counts == sorted(counts, reverse=True)
    assert counts[0] > 8 * counts[-1]


# The tail


@pytest.mark.parametrize("durations", [[60.0] * 3, [60.0] * 10, [60.0] * 1000, log_normal_jobs(40, 0.02)])
def test_a_job_longer_than_any_before_is_checked_without_end(durations: list[float]) -> None:
    """The gaps grow like the root of its age: by Keller, sqrt(2 · cost / hazard), the hazard being 1/(2t)."""
    checks = list(make_schedule(forecast_from(durations), Objective(3.0, None)).checks(1e6))
    late = [(before, after - before) for before, after in pairwise(checks) if before > 600]

    assert len(late) > 200
    assert len([check for check in checks if 100 < check < 600]) >= 4
    assert all(gap == pytest.approx(math.sqrt(4 * 3.0 * age), rel=0.06) for age, gap in late)


# The optimum, against brute force


def small_optimum(forecast: Forecast, cost: float, cells: int) -> OptimalChecks:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(optimize, "MIN_CANDIDATES", cells)
        return optimize_checks(forecast, cost)


def cost_of(checks: Sequence[float], times: Sequence[float], finished: Sequence[float], check_cost: float) -> float:
    """Return `check_cost · E[requests] + E[lag]`. A job that outlasts the last check has cost a request for each."""
    requests, lag = expected_cost(checks, times, finished)
    return finished[-1] * (check_cost * requests + lag) + (1 - finished[-1]) * check_cost * len(checks)


def planned(best: OptimalChecks) -> list[float]:
    places = [0]
    while places[-1] < len(best.following):
        places.append(best.following[places[-1]])
    return [best.times[place] for place in places[1:]]


@st.composite
def forecasts(draw: st.DrawFn) -> Forecast:
    """Forecasts with one or two components."""
    some = draw(st.lists(st.tuples(st.floats(-1, 5), st.sampled_from([0.02, 0.3, 1.0])), min_size=1, max_size=2))
    parts = [MixtureComponent(1 / len(some), lognormal(mean, spread)) for mean, spread in some]
    return Forecast(parts, draw(st.sampled_from([1.0, 4.0, 100.0])), 20.0)


@settings(max_examples=30)
@given(forecasts(), st.floats(5, 300))
def test_no_choice_of_candidates_costs_less_than_the_optimum(forecast: Forecast, cost: float) -> None:
    """Among all choices that end with the last candidate."""
    best = small_optimum(forecast, cost, 8)
    inner, last = best.times[1:-1], best.times[-1]
    assume(len(inner) <= 9)
    finished = [forecast.cdf_at(time) for time in best.times]
    costs = [
        cost_of([*some, last], best.times, finished, cost)
        for count in range(len(inner) + 1)
        for some in combinations(inner, count)
    ]

    assert cost_of(planned(best), best.times, finished, cost) == pytest.approx(min(costs))
    assert min(best.from_start[1:]) + cost == pytest.approx(min(costs))


def brute_force(times: Sequence[float], finished: Sequence[float], cost: float) -> list[float]:
    """Return the cost after a pending check at each time, by trying all next ones: of all jobs, not of those left."""
    means = [0.0]
    for (left, right), (low, high) in zip(pairwise(times), pairwise(finished), strict=True):
        means.append(means[-1] + (high - low) * (left + right) / 2)
    last = len(times) - 1
    to_go = [0.0] * (last + 1)
    for here in range(last - 1, -1, -1):
        to_go[here] = cost * (1 - finished[here]) + min(
            times[after] * (finished[after] - finished[here]) - (means[after] - means[here]) + to_go[after]
            for after in range(here + 1, last + 1)
        )
    return to_go


LAWS = {
    "a few alike": [60.0] * 4,
    "few": [10.0, 60.0, 70.0, 900.0],
    "narrow": log_normal_jobs(100, 0.02),
    "wide": log_normal_jobs(100, 1.5),
    "two kinds": log_normal_jobs(40, 0.05) + log_normal_jobs(40, 0.05, usual=900),
    "three kinds": [1.0] * 20 + [50.0] * 20 + [2000.0] * 20,
}


def followed(best: OptimalChecks, finished: Sequence[float], cost: float) -> list[float]:
    """Return the cost after a pending check at each time, with the next ones of the optimum."""
    to_go = [0.0] * len(best.times)
    for here in range(len(best.following) - 1, -1, -1):
        after = best.following[here]
        cells = [best.times[here : after + 1], finished[here : after + 1]]
        mean = sum(
            (high - low) * (left + right) / 2
            for (left, right), (low, high) in zip(pairwise(cells[0]), pairwise(cells[1]), strict=True)
        )
        lag = best.times[after] * (finished[after] - finished[here]) - mean
        to_go[here] = cost * (1 - finished[here]) + lag + to_go[after]
    return to_go


@pytest.mark.parametrize("name", LAWS)
@pytest.mark.parametrize("cost", [0.3, 20.0])
def test_the_optimum_equals_that_of_the_plain_dynamic_program(name: str, cost: float) -> None:
    """After a pending check at any candidate. The hull only makes it faster."""
    forecast = forecast_from(LAWS[name])
    best = small_optimum(forecast, cost, 120)
    finished = [forecast.cdf_at(time) for time in best.times]
    to_go = brute_force(best.times, finished, cost)

    assert all(after > here for here, after in enumerate(best.following))
    assert followed(best, finished, cost) == pytest.approx(to_go, rel=1e-9, abs=1e-9)
    assert best.from_start[0] == pytest.approx(to_go[0], rel=1e-9)
    assert min(best.from_start[1:]) + cost == pytest.approx(to_go[0], rel=1e-9)


@pytest.mark.parametrize("cost", [1e-6, 1e-2, 1.0, 1e2, 1e6])
def test_the_optimum_has_between_200_and_2002_candidates(cost: float) -> None:
    """They reach from 0 to the end of the distribution, or as far as two thousand do if checks are dense."""
    forecast = forecast_from(LAWS["wide"])
    times = optimize_checks(forecast, cost).times

    assert all(before < after for before, after in pairwise(times))
    assert times[0] == 0
    assert 200 <= len(times) <= 2002
    assert times[-1] == pytest.approx(forecast.times[-1]) or len(times) > 2000


def test_candidates_are_dense_where_jobs_finish() -> None:
    """More than half of them are between 50 and 70 s."""
    times = optimize_checks(forecast_from(LAWS["narrow"]), 0.1).times

    assert sum(50 < time < 70 for time in times) > len(times) / 2


# The optimum, against theory


@pytest.mark.parametrize(("usual", "cost"), [(600.0, 3.0), (60.0, 3.0), (1.0, 0.05), (60.0, 10.0)])
def test_gaps_are_equal_for_exponential_durations(usual: float, cost: float) -> None:
    """They solve `e^(l d) - l d - 1 = l r`. The candidates are some per cent of a gap apart."""
    times = [usual * 1e-3 * 1.02**number for number in range(460)]
    forecast = forecast_by_chance(lambda time: -math.expm1(-time / usual), times)
    gaps = gaps_of(takewhile(lambda check: check < 4 * usual, planned(optimize_checks(forecast, cost))))
    best, high = 0.0, 10.0
    for _ in range(60):
        middle = (best + high) / 2
        best, high = (middle, high) if math.expm1(middle) - middle < cost / usual else (best, middle)

    assert len(gaps) >= 7
    assert gaps == pytest.approx([best * usual] * len(gaps), rel=0.06)
    assert median(gaps) == pytest.approx(best * usual, rel=0.04)


def erlang(time: float) -> float:
    """Return the distribution function of four exponential steps one after the other, which is log-concave."""
    return 1 - math.exp(-time) * (1 + time + time**2 / 2 + time**3 / 6)


def test_gaps_do_not_grow_if_the_hazard_increases() -> None:
    """Each gap follows from the one before (Barlow, Hunter and Proschan 1963): `(F(x) - F(y)) / f(x) - r`."""
    forecast = forecast_by_chance(erlang, [0.02 * 1.02**number for number in range(370)])
    checks = [check for check in planned(optimize_checks(forecast, 0.05)) if check < 11]
    gaps = gaps_of(checks)
    recursion = [
        (erlang(check) - erlang(before)) / (math.exp(-check) * check**3 / 6) - 0.05
        for before, check in pairwise(checks[:-1])
    ]

    assert len(gaps) > 15
    assert all(after <= before + 1e-9 for before, after in pairwise(gaps))
    assert gaps[2:] == pytest.approx(recursion, rel=0.05)


# Expected cost


def test_the_expected_cost_of_uniform_durations_is_as_by_hand() -> None:
    """Uniform from 0 to 10: half of the jobs cost one request and half two, each with a mean lag of 2.5 s."""
    assert expected_cost([5.0, 10.0], [0.0, 10.0], [0.0, 1.0]) == (1.5, 2.5)
    assert expected_cost([10.0], [0.0, 10.0], [0.0, 1.0]) == (1.0, 5.0)
    assert expected_cost([2.0, 12.0, 99.0], [0.0, 10.0], [0.0, 1.0]) == pytest.approx((1.8, 0.2 * 1 + 0.8 * 6))
    assert mean_lag([5.0, 10.0], [0.0, 10.0], [0.0, 1.0]) == 2.5


def test_the_expected_cost_is_that_of_the_jobs_that_finish() -> None:
    """Whatever share of all jobs that is."""
    assert expected_cost([5.0, 10.0], [0.0, 10.0], [0.0, 0.1]) == pytest.approx((1.5, 2.5))


def test_the_expected_cost_of_checks_within_and_across_cells_is_as_by_hand() -> None:
    """A quarter of the jobs finish by 4, the rest between 8 and 10."""
    times, finished = [0.0, 4.0, 8.0, 10.0], [0.0, 0.25, 0.25, 1.0]

    assert expected_cost([1.0, 2.0, 9.0, 10.0], times, finished) == pytest.approx(
        (
            (1 + 2) / 16 + 3 * (1 / 8 + 3 / 8) + 4 * 3 / 8,
            (0.5 + 0.5) / 16 + (9 - 3) / 8 + (0.5 + 0.5) * 3 / 8,
        )
    )


@settings(max_examples=60)
@given(forecasts(), st.lists(st.floats(0.01, 100), min_size=1, max_size=20, unique=True))
def test_the_expected_cost_agrees_with_the_distribution_function(forecast: Forecast, checks: list[float]) -> None:
    """A request is made at each check of a pending job. The lag is the time of its last check less that of its end."""
    end = forecast.times[-1]
    looks = [*sorted(check for check in checks if check < end), end]
    chances = [forecast.cdf_at(look) / forecast.cdf[-1] for look in looks]
    requests, lag = expected_cost(looks, forecast.times, forecast.cdf)
    answered = sum(
        look * (chance - before) for look, before, chance in zip(looks, [0.0, *chances], chances, strict=False)
    )
    mean = expected_cost([end], forecast.times, forecast.cdf).lag

    assert requests == pytest.approx(sum(1 - before for before in [0.0, *chances[:-1]]))
    assert lag == pytest.approx(answered - (end - mean), rel=1e-6, abs=1e-9 * end)


# Schedules


PLANS = {
    "nothing known": make_schedule(None, Objective(3.0, None)),
    "nothing known, capped": make_schedule(None, Objective(3.0, None, 20.0)),
    "nothing known, to a lag": make_schedule(None, Objective(None, 4.0)),
    "alike": make_schedule(forecast_from([60.0] * 10), Objective(3.0, None)),
    "alike, capped": make_schedule(forecast_from([60.0] * 10), Objective(3.0, None, 7.0)),
    "alike, to a lag": make_schedule(forecast_from([60.0] * 10), Objective(None, 2.0)),
    "different": make_schedule(forecast_from(log_normal_jobs(100, 0.5)), Objective(0.3, None)),
    "dense": make_schedule(forecast_from(log_normal_jobs(100, 0.5)), Objective(0.003, None)),
    "two kinds": make_schedule(forecast_from(LAWS["two kinds"]), Objective(3.0, None)),
}


@pytest.mark.parametrize("name", PLANS)
@settings(max_examples=40)
@given(st.floats(0, 1e9))
def test_the_next_check_is_later_and_the_first_check_is_not_earlier(name: str, age: float) -> None:
    """At any age, and by more than floats can tell apart."""
    plan = PLANS[name]

    assert plan.next_after(age) > age
    assert plan.next_after(age) - age >= MIN_GAP_SECONDS * 0.99
    assert plan.first_after(age) >= age


@pytest.mark.parametrize("name", PLANS)
@pytest.mark.parametrize("age", [*AGES, 1e15, 1e300])
def test_the_next_check_is_later_even_where_floats_are_coarse(name: str, age: float) -> None:
    """At these ages, floats may be further apart than the least gap."""
    assert age <= PLANS[name].first_after(age) < math.inf
    assert age < PLANS[name].next_after(age) < math.inf


@pytest.mark.parametrize("name", PLANS)
def test_a_job_younger_than_the_first_check_is_first_checked_then(name: str) -> None:
    """`first_after` returns the time of that check."""
    first = next(PLANS[name].checks(1e9))

    assert first > 0
    assert [PLANS[name].first_after(first * share) for share in (0, 1e-9, 0.3, 0.99)] == [first] * 4


@pytest.mark.parametrize("name", [name for name in PLANS if name != "two kinds"])
@pytest.mark.parametrize("age", [100.0, 1e4, 1e9])
def test_a_job_that_may_have_finished_long_ago_is_checked_at_once(name: str, age: float) -> None:
    """`first_after` returns the age itself."""
    assert PLANS[name].first_after(age) == age


@pytest.mark.parametrize("age", [0.0, 8.0, 12.0, 20.0, 100.0, 400.0, 850.0, 950.0])
def test_the_first_check_of_an_unchecked_job_is_optimal_at_any_age(age: float) -> None:
    """No other time, followed by the rest of the schedule, costs less."""
    forecast = forecast_from([10.0] * 5 + [60.0] * 2 + log_normal_jobs(60, 0.05, usual=900))
    plan = make_schedule(forecast, Objective(30.0, None))
    end = forecast.times[-1]

    def cost_from(first: float) -> float:
        checks = [first]
        while checks[-1] < end:
            checks.append(plan.next_after(checks[-1]))
        return cost_of(checks, forecast.times, forecast.cdf, 30.0)

    chosen = cost_from(plan.first_after(age))

    assert all(chosen <= cost_from(age + later) * (1 + 5e-3) for later in range(0, 1500, 20))


@pytest.mark.parametrize("name", PLANS)
def test_each_check_follows_from_the_one_before(name: str) -> None:
    """The best schedule after a pending check is the rest of the same schedule."""
    checks = list(PLANS[name].checks(500.0))

    assert [PLANS[name].next_after(check) for check in [0.0, *checks[:-1]]] == checks
    assert_checks_until(checks, 500.0)


@pytest.mark.parametrize("name", [name for name in PLANS if "capped" not in name])
def test_jitter_moves_a_check_by_a_share_of_the_gap(name: str) -> None:
    """A share of 0 leaves it, one half leaves it before the next check, and a larger share moves it further."""
    plan = PLANS[name]
    for check in plan.checks(500.0):
        moved = [plan.jittered(check, share) for share in (0.0, 0.1, 0.25, 0.5)]

        assert moved[0] == pytest.approx(check)
        assert all(before < after for before, after in pairwise(moved))
        assert moved[-1] < plan.next_after(check)


def test_jitter_by_a_whole_gap_moves_a_check_to_about_the_next_one() -> None:
    """Both where checks are dense and where they are not."""
    plan = PLANS["different"]
    for check, following in islice(pairwise(plan.checks(500.0)), 1, None):
        assert plan.jittered(check, 1.0) == pytest.approx(following, abs=0.35 * (following - check))


# Regression: jitter moved such a check to before itself, and so before the age of the job, which makes
# `WaitRecorder.initial_delay` negative, or by far more than that gap.
@pytest.mark.parametrize("usual", [20.0, 60.0, 600.0])
def test_jitter_moves_a_check_set_by_max_lag_by_at_most_max_lag(usual: float) -> None:
    """It is never moved to an earlier time."""
    plan = make_schedule(forecast_from([usual] * 10), Objective(3.0, None, 5.0))
    first = plan.first_after(0.0)

    assert all(first <= plan.jittered(first, share) <= first + 5.0 for share in (0.0, 0.01, 0.1, 0.25, 0.5))


# Regression: such a check was followed by the one that it stood for: `next_after(99.99)` was 100 where the gaps are 1.
# With jitter, that doubles the requests.
@pytest.mark.parametrize("terms", [Objective(1.0, None), Objective(0.1, None), Objective(None, 1.0)])
def test_a_check_made_slightly_early_is_not_repeated_at_once(terms: Objective) -> None:
    """If a check is made a tenth of a gap early, the next gap is still more than half of the scheduled one."""
    plan = make_schedule(forecast_from(log_normal_jobs(100, 0.3, usual=600)), terms)
    checks = list(plan.checks(900.0))

    for before, check in islice(pairwise(checks), 1, None):
        early = check - 0.1 * (check - before)
        assert plan.next_after(early) - early > 0.5 * (check - before)


@pytest.mark.parametrize("terms", [Objective(3.0, None, 5.0), Objective(None, 20.0, 5.0), Objective(300.0, None, 5.0)])
@pytest.mark.parametrize("durations", [None, [60.0] * 10, log_normal_jobs(100, 0.5)])
def test_no_gap_is_longer_than_max_lag(terms: Objective, durations: list[float] | None) -> None:
    """Nor is the first check later, nor a gap in the tail longer."""
    plan = make_schedule(None if durations is None else forecast_from(durations), terms)
    gaps = gaps_of(plan.checks(1000.0))

    assert max(gaps) == pytest.approx(5.0)
    assert plan.first_after(0.0) == gaps[0]
    assert [plan.next_after(age) - age <= 5 * (1 + 1e-9) for age in AGES[:-1]] == [True] * len(AGES[:-1])


def test_max_lag_does_not_change_shorter_gaps() -> None:
    """A `max_lag` longer than any gap gives the same checks."""
    forecast = forecast_from([60.0] * 10)
    free, capped = (make_schedule(forecast, Objective(3.0, None, most)) for most in (math.inf, 1e6))

    assert list(free.checks(1e4)) == list(capped.checks(1e4))


@pytest.mark.parametrize("lag", [0.5, 4.0, 30.0])
def test_without_data_gaps_are_twice_the_target_lag(lag: float) -> None:
    """On average, a job ends in the middle of a gap."""
    plan = make_schedule(None, Objective(None, lag))

    assert list(islice(plan.checks(1e9), 20)) == pytest.approx([2 * lag * number for number in range(1, 21)])


@pytest.mark.parametrize("spread", [0.3, 0.5, 1.0])
@pytest.mark.parametrize("lag", [1.0, 2.0, 4.0, 8.0])
def test_the_mean_lag_is_the_target_lag(spread: float, lag: float) -> None:
    """For jobs like the past ones, to within three per cent."""
    forecast = forecast_from(log_normal_jobs(100, spread))
    plan = make_schedule(forecast, Objective(None, lag))

    assert plan.candidate_count <= 2 * MIN_CANDIDATES
    assert expected(plan, forecast).lag == pytest.approx(lag, rel=0.03)


@pytest.mark.parametrize("spread", [0.3, 0.5, 1.0])
def test_the_mean_lag_is_about_a_small_target_lag(spread: float) -> None:
    """To within ten per cent: if checks are many, an approximation is used."""
    forecast = forecast_from(log_normal_jobs(100, spread))
    plan = make_schedule(forecast, Objective(None, 0.05))

    assert plan.candidate_count > 2 * MIN_CANDIDATES
    assert expected(plan, forecast).lag == pytest.approx(0.05, rel=0.1)


@pytest.mark.parametrize("spread", [0.1, 0.5, 1.0])
def test_a_longer_target_lag_gives_fewer_requests(spread: float) -> None:
    """Six target lags, from 0.2 to 8 s."""
    forecast = forecast_from(log_normal_jobs(100, spread))
    requests = [
        expected(make_schedule(forecast, Objective(None, lag)), forecast).requests for lag in (0.2, 0.5, 1, 2, 4, 8)
    ]

    assert all(more > fewer for more, fewer in pairwise(requests))
    assert requests[-1] >= 1


# Regression: the search for the check cost went to and fro between the two sides, and its last schedule was taken, even
# if its lag was many times the target.
@pytest.mark.parametrize(
    ("count", "spread", "lag"), [(100, 0.02, 6.0), (200, 0.02, 10.0), (40, 0.05, 15.0), (10, 0.1, 15.0), (5, 0.2, 30.0)]
)
def test_a_target_lag_that_cannot_be_met_is_not_exceeded(count: int, spread: float, lag: float) -> None:
    """It is an upper bound, and there is always a schedule below it that costs little more."""
    forecast = forecast_from(log_normal_jobs(count, spread))

    assert expected(make_schedule(forecast, Objective(None, lag)), forecast).lag <= 1.03 * lag


@pytest.mark.parametrize("lag", [1e-12, 1e-6, 1e6, 1e9, 1e12])
def test_any_target_lag_gives_a_schedule_without_end(lag: float) -> None:
    """Far too small and far too large ones too."""
    plan = make_schedule(forecast_from([60.0] * 10), Objective(None, lag))

    assert all(before < after for before, after in pairwise(islice(plan.checks(1e12), 100)))
