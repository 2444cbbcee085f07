"""The benchmark of schedules: its arithmetic on a few jobs by hand, and on drawn ones."""

import math
import random
import statistics
import sys
from itertools import count, islice
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from benchmark_schedule import (
    FINER,
    Contest,
    Goal,
    Score,
    Tally,
    best_fixed,
    digits,
    finer_optima,
    known_distribution,
    online,
    plan_by,
    remembered,
    requests_at,
    score_of,
    score_of_rule,
    table,
    times_fewer,
)
from jobs import PastJob, Trace
from peers import PEERS, SIMPLE

from translation_client.schedule import optimize
from translation_client.schedule.censoring import Observation
from translation_client.schedule.history import MAX_JOBS_IN_FORECAST

pytestmark = pytest.mark.exhaustive

FRONTIER = {1.0: Score(100, 1, 2), 4.0: Score(25, 4, 8), 16.0: Score(5, 20, 40)}


def drawn(number: int, seed: int = 0) -> list[PastJob]:
    chance = random.Random(seed)
    return [PastJob(math.exp(chance.gauss(4, 1))) for _ in range(number)]


def test_a_score_equals_requests_and_lags_counted_job_by_job() -> None:
    """The count uses a new sequence of checks for each job."""
    durations = [0.5, 1.0, 2.5, 6.0, 61.0]
    requests, lags = [], []
    for duration in durations:
        checks = list(islice(SIMPLE["2, 4, 8 ... cap 60"](random.Random(0)), 50))
        number = next(number for number, check in enumerate(checks, 1) if check >= duration)
        requests.append(number)
        lags.append(checks[number - 1] - duration)

    score = score_of_rule(SIMPLE["2, 4, 8 ... cap 60"], durations)

    assert requests == [2, 2, 3, 3, 6]
    assert score == pytest.approx((statistics.fmean(requests), statistics.fmean(lags), max(lags)))
    assert score.cost(10) == pytest.approx(10 * score.requests + score.lag)


def test_jitter_is_averaged_over_sequences() -> None:
    """With full jitter up to one second, the mean lag is about half a second."""
    score = score_of_rule(PEERS["google-api-core"], [1e-9])

    assert score.requests == 2
    assert 0.3 < score.lag < 0.7


def test_the_95th_percentile_is_that_of_all_waits() -> None:
    """Of those that were added to one tally in several calls."""
    tally = Tally()
    for _ in range(2):
        tally.add(iter([100.0]), [float(number) for number in range(1, 101)])

    assert tally.score() == (1, 49.5, 94)


def test_requests_at_a_lag_are_interpolated_in_the_logarithms() -> None:
    """At the points and between them. Past the ends there are none."""
    wanted = [1, 2, 4, 20]

    assert [requests_at(FRONTIER, lag, lambda one: one.lag) for lag in wanted] == pytest.approx([100, 50, 25, 5])
    assert requests_at(FRONTIER, 4, lambda one: one.p95) == pytest.approx(50)
    assert requests_at(FRONTIER, 0.9, lambda one: one.lag) is None
    assert requests_at(FRONTIER, 21, lambda one: one.lag) is None


def test_times_fewer_compares_requests_at_equal_lag() -> None:
    """It is NaN if no requests are known at that lag."""
    assert times_fewer(FRONTIER, Score(150, 2, 0)) == pytest.approx(3)
    assert times_fewer(FRONTIER, Score(150, 2, 4), lambda one: one.p95) == pytest.approx(3)
    assert math.isnan(times_fewer(FRONTIER, Score(150, 0.5, 0)))
    assert math.isnan(times_fewer({}, Score(150, 2, 0)))


@pytest.mark.parametrize("check_cost", [1.0, 10.0, 100.0])
def test_no_fixed_interval_beats_the_optimum(check_cost: float) -> None:
    """By more than two per cent, on jobs of the same distribution."""
    train, test = ([job.duration for job in drawn(2000, seed)] for seed in (1, 2))
    with finer_optima():
        best = score_of([plan_by(known_distribution(train), check_cost)], sorted(test)).cost(check_cost)

    assert best <= 1.02 * best_fixed(sorted(test), check_cost)


def test_the_best_fixed_interval_costs_about_as_little_as_the_best_by_hand() -> None:
    """Five intervals are tried by hand."""
    durations = sorted(job.duration for job in drawn(300))
    tried = []
    for seconds in (2, 5, 10, 20, 40):
        tally = Tally()
        tally.add((seconds * number for number in count(1)), durations)
        tried.append(tally.score().cost(1.0))

    assert 0.9 * min(tried) < best_fixed(durations, 1.0) <= 1.01 * min(tried)


def test_the_known_distribution_is_that_of_the_jobs() -> None:
    """At its median and its ends. A hundred of the jobs have the same duration."""
    durations = [float(number) for number in range(1, 1001)] + [1.0] * 100
    distribution = known_distribution(durations)

    assert distribution.cdf_at(500) == pytest.approx(600 / 1100, abs=0.01)
    assert distribution.cdf_at(1000) == pytest.approx(1)
    assert distribution.cdf_at(0.5) < 0.01


def test_finer_optima_restores_the_settings_of_the_library() -> None:
    """Even after an exception."""
    before = optimize.MIN_CANDIDATES, optimize.MAX_CANDIDATES
    with pytest.raises(ZeroDivisionError), finer_optima():
        optimize.MIN_CANDIDATES //= optimize.MIN_CANDIDATES - before[0] * FINER

    assert before == (optimize.MIN_CANDIDATES, optimize.MAX_CANDIDATES)


def test_the_remembered_jobs_are_the_latest_of_all_kinds_and_of_one() -> None:
    """In order, each once."""
    past = [Observation.exact(1.0, number)._replace(kind="rare" if number < 300 else "usual") for number in range(2000)]

    assert [job.number for job in remembered(past, "rare")] == [
        *range(100, 300),
        *range(2000 - MAX_JOBS_IN_FORECAST, 2000),
    ]
    assert [job.number for job in remembered(past, "usual")] == list(range(2000 - MAX_JOBS_IN_FORECAST, 2000))


def test_a_client_without_past_jobs_follows_the_quadratic_schedule() -> None:
    """It checks at 3 and 12 s, so that a job of 10 s costs two requests and a lag of 2 s."""
    assert online([PastJob(10.0)], is_exact=False) == [3 * 2 + 2]


def test_learning_from_own_checks_comes_near_the_optimum() -> None:
    """Within a quarter, for jobs that are much alike."""
    chance = random.Random(0)
    jobs = [PastJob(100 * math.exp(chance.gauss(0, 0.1))) for _ in range(120)]
    costs = online(jobs, is_exact=False)
    with finer_optima():
        best = score_of(
            [plan_by(known_distribution(job.duration for job in jobs), 3.0)], sorted(job.duration for job in jobs)
        )

    assert statistics.fmean(costs[60:]) < 1.25 * best.cost(3.0)
    assert statistics.fmean(costs[60:]) < statistics.fmean(costs[:3])


def test_jobs_without_length_and_key_have_no_covariates() -> None:
    """Jobs of few kinds are all in the sample."""
    plain = Contest(Trace("plain", drawn(50), drawn(50, 1), True))
    kinds = [PastJob(job.duration, key="a") for job in drawn(50)]
    of_kinds = Contest(Trace("kinds", kinds[:25], kinds[25:], True))

    assert plain.with_covariates == {}
    assert of_kinds.sample == of_kinds.test
    assert of_kinds.with_covariates[3.0].requests >= 1


def test_figures_have_three_digits_and_goals_have_verdicts() -> None:
    """Columns of numbers are right-aligned."""
    assert [digits(value) for value in (0.2468, 12.34, 3929.4, math.nan)] == ["0.247", "12.3", "3930", "-"]
    assert Goal("", 1.05, 1.0501).verdict == "1.05, missed"
    assert Goal("", 2.0, 2.0, is_least=True).verdict == "2.00, reached"
    assert table(["rule", "cost"], [["a", "1.00"]]) == ["| rule | cost |", "| --- | ---: |", "| a | 1.00 |", ""]
