"""How many requests and how much lag does a schedule cost? This library's, those of the peers, and the best there is.

Run it: `python tests/benchmarks/benchmark_schedule.py`. Time is virtual: a wait is some check times and a duration.
It prints its tables and writes them to `RESULTS.md`. The jobs are those of published traces where their folder is there
(`--traces FOLDER`), else jobs drawn from the figures of these that the project ships; the goals are measured on both.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import statistics
import textwrap
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from itertools import count, pairwise
from pathlib import Path
from typing import NamedTuple

from jobs import FIGURES_FILE, PastJob, Trace, traces
from peers import PEERS, SIMPLE, Rule

from translation_client._config import JobFeatures
from translation_client.schedule import optimize as optima
from translation_client.schedule.censoring import Observation
from translation_client.schedule.distribution import Distribution
from translation_client.schedule.forecast import Forecast, MixtureComponent
from translation_client.schedule.history import MAX_JOBS_IN_FORECAST, MAX_JOBS_PER_KIND
from translation_client.schedule.model import DurationModel
from translation_client.schedule.plan import CheckSchedule, Objective, make_schedule

RESULTS_FILE = Path(__file__).with_name("RESULTS.md")
TRACES_FOLDER = Path(__file__).resolve().parents[3] / "shared" / "traces"

COSTS = (0.3, 1.0, 3.0, 10.0)
USUAL_COST = 3.0
GRID = sorted({*COSTS, *(10 ** (number / 10) for number in range(-50, 41))})
"""Costs of a check, in seconds, for the frontiers and for the one that suits a peer best."""

PAST_JOBS = (0, 5, 20, 50, 200)
FEW_PAST_JOBS = 50
HISTORIES = 8
SEQUENCES = 20
SAMPLE = 1000
MANY_JOBS = 1e9
FINER = 10
FIXED = [10 ** (number / 30) for number in range(-30, 31)]

SHUFFLES = 5
STAGES = ((0, 20), (20, 50), (50, 100), (100, 200), (200, 400))
PLANNED_EACH = 5

BACKOFF = "2, 4, 8 ... cap 60"
OTHERS: Mapping[str, Rule] = {**PEERS, **{name: rule for name, rule in SIMPLE.items() if name != BACKOFF}}

COVARIATE_LIMITS = (0.75, 0.55, None)
SPREADS = (0.1, 1.9)
TERMS = (Objective(USUAL_COST, None), Objective(None, 5.0))

PUBLISHED, DRAWN = "published traces", "jobs drawn from figures.json"
ABOUT = """\
Written by `python tests/benchmarks/benchmark_schedule.py`, which describes the method; not to be edited. Jobs: {source},
the first half to learn from, the second to be waited for. Durations and lags are in seconds; `r` is `check_cost`, the
seconds of lag that one request is worth; cost is `r * mean requests + mean lag`. Calls take no time."""
RULES_NOTE = """\
The first rows are this library's, learned schedules at r = 3, the others' follow. Requests and lag are means, p95 is
the 95th percentile of the lag. Cost is over the optimum: at r = 3 where a schedule is made for it, else for the r that
suits the rule best. The last column of each trace says how many times the requests of this library a rule makes, where
both have the same mean lag: with 50 past jobs, and with covariates. "-": not known, or past the ends of what was tried.

The optimum knows the distribution of the first half, straight in the logarithm between every n^(1/3)-th of its n jobs, and is
judged on the second: where the distribution drifts, a learner may beat it. Learned: 8 random histories. With covariates: the
latest 600 jobs of the first half and 200 of the kind, length and kind known; waited for are 1000 of the second half
where all jobs differ, with the optimum and the rules judged on the same. Rules with jitter: 20 sequences."""
LEARNING_NOTE = """\
Cost over that of the optimum without covariates. The best fixed interval is tuned on the very jobs it is judged on."""
ONLINE_NOTE = """\
A client learns from one job after another (r = 3, the latest 200 jobs): from its own checks, which show when the job
was pending last and when it was finished first, or exactly. Cost over the optimum of the same jobs, 5 random orders of
jobs of the second half; after 50 jobs the plan is made anew for each fifth."""
SPEED_NOTE = """\
From 200 past jobs to a plan, median of 50, on the machine that wrote this; log-normal durations around 120 s."""
GOALS_NOTE = """\
"Missed" is missed by the figure as measured, before it is rounded. Without covariates there is a limit to what past
jobs can save: at the same mean lag google-api-core makes {limit} times the requests of the optimum that knows the distribution
(published traces if there, geometric mean)."""


class Score(NamedTuple):
    """What a schedule came to, on average over jobs; and the lag that 95 of 100 jobs stay below."""

    requests: float
    lag: float
    p95: float

    def cost(self, check_cost: float) -> float:
        """What is to be small."""
        return check_cost * self.requests + self.lag


class Tally:
    """Waits, counted."""

    def __init__(self) -> None:
        self.requests = 0
        self.lags: list[float] = []

    def add(self, checks: Iterator[float], durations: Iterable[float]) -> None:
        """Wait for jobs, the shortest first, each by the same checks: up to the first that finds it finished."""
        number, check = 0, -math.inf
        for duration in durations:
            while check < duration:
                check = next(checks)
                number += 1
            self.requests += number
            self.lags.append(check - duration)

    def score(self) -> Score:
        """All waits together."""
        total = len(self.lags)
        self.lags.sort()
        return Score(self.requests / total, math.fsum(self.lags) / total, self.lags[math.ceil(0.95 * total) - 1])


Frontier = Mapping[float, Score]
"""By the cost of a check, which grows."""


def score_of(plans: Iterable[CheckSchedule], durations: Sequence[float]) -> Score:
    """Wait for the same jobs by each of some plans."""
    tally = Tally()
    for plan in plans:
        tally.add(plan.checks(durations[-1]), durations)
    return tally.score()


def score_of_rule(rule: Rule, durations: Sequence[float]) -> Score:
    """The same by a rule, whose jitter is drawn some times."""
    tally = Tally()
    for seed in range(SEQUENCES):
        tally.add(rule(random.Random(seed)), durations)
    return tally.score()


def requests_at(frontier: Frontier, wanted: float, measure: Callable[[Score], float]) -> float | None:
    """Look up how many requests lead to some lag: straight between points, in the logarithms; None past the ends."""
    for left, right in pairwise(frontier.values()):
        low, high = measure(left), measure(right)
        if low <= wanted <= high:
            share = math.log(wanted / low) / math.log(high / low) if high > low else 0.0
            return math.exp((1 - share) * math.log(left.requests) + share * math.log(right.requests))
    return None


def times_fewer(frontier: Frontier, other: Score, measure: Callable[[Score], float] = lambda one: one.lag) -> float:
    """How many times the requests of a frontier another schedule makes, which has the same lag; NaN for unknown."""
    ours = requests_at(frontier, measure(other), measure)
    return other.requests / ours if ours else math.nan


def known_distribution(durations: Iterable[float]) -> Forecast:
    """The distribution of many jobs: straight, in the logarithm, between every n^(1/3)-th of them; hardly any prior."""
    logs = sorted(map(math.log, durations))
    last = len(logs) - 1
    step = round(len(logs) ** (1 / 3))
    below = {logs[place]: place / last for place in [*range(0, last, step), last]}
    below[logs[0]] = 0.0
    return Forecast(
        [MixtureComponent(1.0, Distribution(list(below), list(below.values())))],
        MANY_JOBS,
        math.exp(statistics.fmean(logs)),
    )


@contextmanager
def finer_optima() -> Iterator[None]:
    """Let the optimum choose from ten times as many moments as the library does: it is what all is compared with."""
    kept = optima.MIN_CANDIDATES, optima.MAX_CANDIDATES
    optima.MIN_CANDIDATES, optima.MAX_CANDIDATES = kept[0] * FINER, kept[1] * FINER
    try:
        yield
    finally:
        optima.MIN_CANDIDATES, optima.MAX_CANDIDATES = kept


def plan_by(forecast: Forecast | None, check_cost: float) -> CheckSchedule:
    """The library's plan."""
    return make_schedule(forecast, Objective(check_cost, None))


class Contest:
    """One trace: its first half is learned from, its second waited for."""

    def __init__(self, trace: Trace) -> None:
        self.trace = trace
        self.name = trace.name
        self.test = sorted(job.duration for job in trace.test)
        self.sampled = sample_of(trace)
        self.sample = sorted(job.duration for job in self.sampled)
        self.spread = statistics.pstdev(map(math.log, self.test))

    @cached_property
    def distribution(self) -> Forecast:
        """The distribution that is taken for known."""
        return known_distribution(job.duration for job in self.trace.train)

    @cached_property
    def optimum(self) -> Frontier:
        """The best without covariates."""
        return self._best(self.test)

    @cached_property
    def optimum_of_sample(self) -> Frontier:
        """The same for the jobs that covariates are tried on."""
        return self._best(self.sample)

    def _best(self, durations: Sequence[float]) -> Frontier:
        with finer_optima():
            return {cost: score_of([plan_by(self.distribution, cost)], durations) for cost in GRID}

    @cached_property
    def learned_from_few(self) -> Frontier:
        """What the library reaches with few past jobs."""
        return self.learned(FEW_PAST_JOBS, GRID[::2])

    def learned(self, jobs: int, costs: Iterable[float]) -> Frontier:
        """What it reaches with some, on average over histories."""
        forecasts = [self._forecast(random.Random(f"{self.name} {seed}"), jobs) for seed in range(HISTORIES)]
        if not jobs:
            forecasts = forecasts[:1]
        return {cost: score_of([plan_by(one, cost) for one in forecasts], self.test) for cost in costs}

    def _forecast(self, chance: random.Random, jobs: int) -> Forecast | None:
        history = chance.sample(self.trace.train, jobs)
        return DurationModel([Observation.exact(job.duration, number) for number, job in enumerate(history)]).forecast(
            JobFeatures()
        )

    @cached_property
    def with_covariates(self) -> Frontier:
        """What it reaches if it knows the first half, and of each job what was known beforehand."""
        groups = defaultdict(list)
        for job in self.sampled:
            groups[features_of(job)].append(job.duration)
        if set(groups) == {JobFeatures()}:
            return {}
        past = [observation(number, job) for number, job in enumerate(self.trace.train)]
        of_kind = {key: DurationModel(remembered(past, key)) for key in {features.kind for features in groups}}
        known = [(of_kind[features.kind].forecast(features), sorted(jobs)) for features, jobs in groups.items()]
        return {cost: _score_of_groups(known, cost) for cost in sorted({*COSTS, *GRID[10::3]})}


def _score_of_groups(groups: Iterable[tuple[Forecast | None, Sequence[float]]], check_cost: float) -> Score:
    tally = Tally()
    for forecast, durations in groups:
        tally.add(plan_by(forecast, check_cost).checks(durations[-1]), durations)
    return tally.score()


def sample_of(trace: Trace) -> Sequence[PastJob]:
    """The jobs that covariates are tried on: all, or as many as there is time to plan for."""
    if len({features_of(job) for job in trace.test}) <= SAMPLE:
        return trace.test
    return random.Random(trace.name).sample(trace.test, SAMPLE)


def features_of(job: PastJob) -> JobFeatures:
    """Any length that is proportional to the work serves as one of a video."""
    return JobFeatures(job.key, job.length)


def observation(number: int, job: PastJob) -> Observation:
    """A job of which all is known."""
    return Observation.exact(job.duration, number)._replace(kind=job.key, video_seconds=job.length)


def remembered(past: Sequence[Observation], key: str | None) -> list[Observation]:
    """Those of the past jobs that a history gives for one of a kind."""
    of_kind = [job for job in past if job.kind == key][-MAX_JOBS_PER_KIND:]
    return sorted({*past[-MAX_JOBS_IN_FORECAST:], *of_kind}, key=lambda job: job.number)


def best_fixed(durations: Sequence[float], check_cost: float) -> float:
    """The cost of the best fixed interval: tuned on the very jobs that it is judged on, which no client can do."""
    usual = math.sqrt(2 * check_cost * statistics.fmean(durations))
    return min(_fixed(usual * factor, durations).cost(check_cost) for factor in FIXED)


def _fixed(seconds: float, durations: Sequence[float]) -> Score:
    tally = Tally()
    tally.add((seconds * number for number in count(1)), durations)
    return tally.score()


def online(jobs: Sequence[PastJob], *, is_exact: bool) -> list[float]:
    """The cost of each of successive jobs to a client that learns from those before: by its own checks, or exactly."""
    past: deque[Observation] = deque(maxlen=MAX_JOBS_PER_KIND)
    costs = []
    for number, job in enumerate(jobs):
        if number < FEW_PAST_JOBS or number % PLANNED_EACH == 0:
            plan = plan_by(DurationModel(list(past)).forecast(JobFeatures()), USUAL_COST)
        check_times = [0.0, *plan.checks(job.duration)]
        costs.append(USUAL_COST * (len(check_times) - 1) + check_times[-1] - job.duration)
        seen = Observation(check_times[-2], check_times[-1], number=number)
        past.append(Observation.exact(job.duration, number) if is_exact else seen)
    return costs


def online_ratios(contest: Contest, *, is_exact: bool) -> list[float]:
    """Over the optimum, at each stage, over several orders."""
    ours: list[list[float]] = []
    best: list[list[float]] = []
    with finer_optima():
        plan = plan_by(contest.distribution, USUAL_COST)
    for seed in range(SHUFFLES):
        jobs = random.Random(f"{contest.name} {seed}").sample(contest.trace.test, STAGES[-1][1])
        ours.append(online(jobs, is_exact=is_exact))
        best.append([score_of([plan], [job.duration]).cost(USUAL_COST) for job in jobs])
    return [_sum(ours, *stage) / _sum(best, *stage) for stage in STAGES]


def _sum(costs: Iterable[Sequence[float]], first: int, end: int) -> float:
    return sum(sum(of_order[first:end]) for of_order in costs)


def planning_ms(spread: float, terms: Objective) -> float:
    """How long a plan takes with 200 past jobs of a log-normal distribution around two minutes: the median of fifty."""
    chance = random.Random(0)
    past = [Observation.exact(120 * math.exp(chance.gauss(0, spread)), number) for number in range(200)]
    times = []
    for _ in range(50):
        started = time.perf_counter()
        make_schedule(DurationModel(past).forecast(JobFeatures()), terms)
        times.append(time.perf_counter() - started)
    return 1000 * statistics.median(times)


def digits(value: float) -> str:
    """Three of them."""
    return "-" if math.isnan(value) else f"{float(f'{value:.3g}'):g}"


def ratio(value: float) -> str:
    """Two decimals."""
    return "-" if math.isnan(value) else f"{value:.2f}"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """In Markdown, with an empty line after it; columns of numbers are flush right."""
    rows = list(rows)
    sides = [
        "---:" if all(cell[:1] in "-0123456789" for cell in column) else "---" for column in zip(*rows, strict=True)
    ]
    lines = [head, sides, *rows]
    return [*(f"| {' | '.join(line)} |" for line in lines), ""]


def rules_table(contests: Sequence[Contest]) -> list[str]:
    """One row for each way of this library and for each rule of others, three columns for each trace."""
    head = ["rule"]
    for contest in contests:
        head += [f"{contest.name}: requests / lag / p95", "cost", "50 jobs / covariates"]
    ways = [_ways(contest) for contest in contests]
    rules = {f"backoff, {BACKOFF}": SIMPLE[BACKOFF], **OTHERS}
    rows = [[name, *(cell for of_trace in ways for cell in of_trace[name]), ""] for name in ways[0]]
    rows += [[name, *_cells_of_rule(contests, rule)] for name, rule in rules.items()]
    return table([*head, "geometric means"], rows)


def _ways(contest: Contest) -> dict[str, list[str]]:
    """This library's rows."""
    best = contest.optimum[USUAL_COST]
    cells = {"the distribution known": _cells(best, best)}
    for jobs in PAST_JOBS:
        cells[f"learned, {jobs} past jobs"] = _cells(contest.learned(jobs, [USUAL_COST])[USUAL_COST], best)
    informed = contest.with_covariates.get(USUAL_COST)
    best = contest.optimum_of_sample[USUAL_COST]
    return {**cells, "learned, with covariates": _cells(informed, best) if informed else ["-", "-", ""]}


def _cells(score: Score, best: Score) -> list[str]:
    return [_triple(score), ratio(score.cost(USUAL_COST) / best.cost(USUAL_COST)), ""]


def _cells_of_rule(contests: Sequence[Contest], rule: Rule) -> list[str]:
    cells, factors = [], []
    for contest in contests:
        score = score_of_rule(rule, contest.test)
        over = min(score.cost(cost) / best.cost(cost) for cost, best in contest.optimum.items())
        factors.append(fewer_than(contest, rule))
        cells += [_triple(score), ratio(over), _pair(factors[-1])]
    return [*cells, _pair([geometric_mean(side) for side in zip(*factors, strict=True)])]


def _triple(score: Score) -> str:
    return " / ".join(map(digits, score))


def _pair(factors: Iterable[float]) -> str:
    return " / ".join(map(ratio, factors))


def fewer_than(contest: Contest, rule: Rule) -> tuple[float, float]:
    """How many times fewer requests the library makes at a rule's mean lag: with few past jobs, with covariates."""
    return (
        times_fewer(contest.learned_from_few, score_of_rule(rule, contest.test)),
        times_fewer(contest.with_covariates, score_of_rule(rule, contest.sample)),
    )


def geometric_mean(values: Iterable[float]) -> float:
    """Of those that are known."""
    known = [value for value in values if not math.isnan(value)]
    return statistics.geometric_mean(known) if known else math.nan


def overs(scores: Frontier, best: Frontier) -> list[float]:
    """Costs over the optimum, for each cost of a check."""
    return [scores[cost].cost(cost) / best[cost].cost(cost) if cost in scores else math.nan for cost in COSTS]


def learning_table(contests: Sequence[Contest]) -> list[str]:
    """What the library costs over the optimum, by how much it knows; and the best fixed interval."""
    head = ["trace", "sd of ln T", "r", *(f"{jobs} jobs" for jobs in PAST_JOBS), "covariates", "best fixed interval"]
    rows = []
    for contest in contests:
        columns = [overs(contest.learned(jobs, COSTS), contest.optimum) for jobs in PAST_JOBS]
        columns += [overs(contest.with_covariates, contest.optimum_of_sample), fixed_overs(contest)]
        for cost, *values in zip(COSTS, *columns, strict=True):
            rows.append([contest.name, digits(contest.spread), f"{cost:g}", *map(ratio, values)])
    return table(head, rows)


def fixed_overs(contest: Contest) -> list[float]:
    """The cost of the best fixed interval over the optimum."""
    return [best_fixed(contest.test, cost) / contest.optimum[cost].cost(cost) for cost in COSTS]


def tail_table(contests: Sequence[Contest]) -> list[str]:
    """Requests of fixed intervals against those of schedules with the same 95th percentile of the lag."""
    head = ["trace", "rule", "p95 lag", "its requests", "times those of the optimum", "times those with covariates"]
    rows = []
    for contest in contests:
        for name in ("fixed 5 s", "fixed 30 s"):
            score, of_sample = (score_of_rule(SIMPLE[name], jobs) for jobs in (contest.test, contest.sample))
            optimum = times_fewer(contest.optimum, score, lambda one: one.p95)
            informed = times_fewer(contest.with_covariates, of_sample, lambda one: one.p95)
            rows.append(
                [contest.name, name, digits(score.p95), digits(score.requests), ratio(optimum), ratio(informed)]
            )
    return table(head, rows)


def online_table(contests: Iterable[Contest]) -> list[str]:
    """The cost over the optimum, by the number of the job."""
    head = ["trace", "learns from", *(f"jobs {first}-{end - 1}" for first, end in STAGES)]
    rows = [
        [contest.name, source, *map(ratio, online_ratios(contest, is_exact=is_exact))]
        for contest in contests
        for source, is_exact in (("its own checks", False), ("exact durations", True))
    ]
    return table(head, rows)


def speed_table(times: Mapping[tuple[float, Objective], float]) -> list[str]:
    """Milliseconds for a plan."""
    head = ["sd of ln T", "weighed by", "ms for a plan"]
    rows = []
    for (spread, terms), spent in times.items():
        by = f"check_cost={terms.check_cost:g}" if terms.check_cost else f"target_lag={terms.target_lag:g}"
        rows.append([f"{spread:g}", by, digits(spent)])
    return table(head, rows)


class Goal(NamedTuple):
    """What is to be reached, and what is."""

    text: str
    limit: float
    measured: float
    is_least: bool = False

    @property
    def verdict(self) -> str:
        """For a cell."""
        is_reached = self.measured >= self.limit if self.is_least else self.measured <= self.limit
        return f"{ratio(self.measured)}, {'reached' if is_reached else 'missed'}"


def goals_of(contests: Sequence[Contest], slowest_ms: float) -> list[Goal]:
    """Measure them all."""
    few = [over for one in contests for over in overs(one.learned(FEW_PAST_JOBS, COSTS), one.optimum)]
    goals = [
        Goal("cost with 50 past jobs over the optimum: geometric mean over traces and r", 1.05, geometric_mean(few)),
        Goal("the same: worst case", 1.10, max(few)),
    ]
    for contest, limit in zip(contests, COVARIATE_LIMITS, strict=True):
        informed = dict(zip(COSTS, overs(contest.with_covariates, contest.optimum_of_sample), strict=True))
        if limit:
            text = f"cost with covariates over the optimum without them, {contest.name}"
            goals.append(Goal(f"{text}: geometric mean over r", limit, geometric_mean(informed.values())))
            goals.append(Goal(f"{text}: r = {USUAL_COST:g}", limit, informed[USUAL_COST]))
    factors = zip(*(fewer_than(contest, PEERS["google-api-core"]) for contest in contests), strict=True)
    text = "requests of google-api-core at the same mean lag over this library's, geometric mean"
    for knowing, of_traces in zip(("with 50 past jobs", "with covariates"), factors, strict=True):
        goals.append(Goal(f"{text}, {knowing}", 2.0, geometric_mean(of_traces), is_least=True))
    return [*goals, Goal("ms for a plan with 200 past jobs, the slowest below", 5.0, slowest_ms)]


def goals_table(of_sources: Mapping[str, Sequence[Goal]]) -> list[str]:
    """One column for each source of jobs."""
    rows = []
    for of_source in zip(*of_sources.values(), strict=True):
        goal = of_source[0]
        sense = "at least" if goal.is_least else "at most"
        rows.append([goal.text, f"{sense} {goal.limit:.2f}", *(one.verdict for one in of_source)])
    return table(["goal", "limit", *of_sources], rows)


def limits_text(contests: Sequence[Contest]) -> str:
    """Say where learning does not help."""
    tails = [
        times_fewer(one.optimum, score_of_rule(SIMPLE["fixed 5 s"], one.test), lambda s: s.p95) for one in contests
    ]
    of_tails = ", ".join(f"{ratio(1 / tail)} on {one.name}" for one, tail in zip(contests, tails, strict=True))
    wide = [over for one in contests for over in fixed_overs(one)]
    text = (
        "At equal p95 lag: without covariates, even the optimum makes about as many requests as fixed 5 s "
        f"({of_tails} times its requests), as the least mean lag spends lag where jobs are rare. Very wide distributions: the "
        f"best fixed interval, were it known beforehand, costs {min(wide):.2f} to {max(wide):.2f} times the optimum "
        "(the table above): without covariates, that is the most that learning can save against it."
    )
    return textwrap.fill(text, 120)


def sources_lines() -> list[str]:
    """Where the traces are from."""
    figures = json.loads(FIGURES_FILE.read_text(encoding="utf-8"))
    return [
        f"- {one['name']}: {one['what']} {one['source']}. {one['licence']}. {one['attribution']}."
        for one in figures["traces"]
    ]


def report(
    contests: Sequence[Contest],
    of_sources: Mapping[str, Sequence[Goal]],
    times: Mapping[tuple[float, Objective], float],
) -> str:
    """All of `RESULTS.md`."""
    source = DRAWN if contests[0].trace.is_drawn else PUBLISHED
    rule = PEERS["google-api-core"]
    google = geometric_mean([times_fewer(one.optimum, score_of_rule(rule, one.test)) for one in contests])
    lines = ["# When to check: schedules compared in virtual time", "", ABOUT.format(source=source), ""]
    for title, note, rows in (
        ("Requests, lag and cost", RULES_NOTE, rules_table(contests)),
        ("What learning brings", LEARNING_NOTE, learning_table(contests)),
        ("Where learning does not help", limits_text(contests), tail_table(contests)),
        ("Online", ONLINE_NOTE, online_table(contests)),
        ("Planning time", SPEED_NOTE, speed_table(times)),
        ("Goals", GOALS_NOTE.format(limit=ratio(google)), goals_table(of_sources)),
    ):
        lines += [f"## {title}", "", note, "", *rows]
    return "\n".join([*lines, "## Sources of the traces", "", *sources_lines(), ""])


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--traces", type=Path, default=TRACES_FOLDER, help="the folder of the CSV files", metavar="FOLDER"
    )
    folder = parser.parse_args().traces
    times = {(spread, terms): planning_ms(spread, terms) for spread in SPREADS for terms in TERMS}
    contests = {DRAWN: [Contest(trace) for trace in traces(None)]}
    if folder.is_dir():
        contests = {PUBLISHED: [Contest(trace) for trace in traces(folder)], **contests}
    goals = {source: goals_of(some, max(times.values())) for source, some in contests.items()}
    text = report(next(iter(contests.values())), goals, times)
    print(text)
    RESULTS_FILE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
