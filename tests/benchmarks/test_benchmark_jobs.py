"""The data of the benchmark of schedules: the check times of other SDKs, and the jobs of the traces."""

import json
import random
import statistics
import sys
from itertools import islice, pairwise
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from jobs import DRAWN_JOBS, FIGURES_FILE, QuantileTable, Trace, traces
from peers import PEERS, SIMPLE, Rule

pytestmark = pytest.mark.exhaustive

RULES = {**PEERS, **SIMPLE}
NAMES = ["x264_ugc", "julia_ci", "philly_gpu"]


def checks(rule: Rule, number: int, seed: int = 0) -> list[float]:
    return list(islice(rule(random.Random(seed)), number))


def gaps(rule: Rule, seed: int) -> list[float]:
    return [later - earlier for earlier, later in pairwise(checks(rule, 50, seed))]


@pytest.fixture(scope="module")
def drawn() -> dict[str, Trace]:
    return {trace.name: trace for trace in traces(None)}


@pytest.mark.parametrize("name", RULES)
def test_the_check_times_of_a_rule_increase(name: str) -> None:
    """The first check is at the start of the job, or later."""
    times = checks(RULES[name], 50)

    assert len(times) == 50
    assert times[0] >= 0
    assert all(earlier < later for earlier, later in pairwise(times))


@pytest.mark.parametrize("name", RULES)
def test_the_check_times_of_a_rule_depend_only_on_the_seed(name: str) -> None:
    """One wait leaves no state for the next."""
    assert checks(RULES[name], 50, seed=7) == checks(RULES[name], 50, seed=7)


@pytest.mark.parametrize(
    ("name", "times"),
    [
        ("azure-core", [0, 30, 60, 90]),
        ("google gax", [5, 12.5, 23.75, 40.625]),
        ("botocore Transcribe 10 s", [0, 10, 20, 30]),
        ("openai videos", [0, 1, 2, 3]),
        ("replicate", [0.5, 1, 1.5, 2]),
        ("assemblyai", [0, 3, 6, 9]),
        ("fixed 5 s", [5, 10, 15, 20]),
        ("2, 4, 8 ... uncapped", [2, 6, 14, 30, 62, 126, 254]),
        ("2, 4, 8 ... cap 60", [0, 2, 6, 14, 30, 62, 122, 182]),
        ("1 s x1.5 cap 10", [1, 2.5, 4.75, 8.125]),
    ],
)
def test_a_rule_without_jitter_has_its_exact_times(name: str, times: list[float]) -> None:
    """The times of SDKs are as read from the SDK."""
    assert checks(RULES[name], len(times)) == times


@pytest.mark.parametrize("name", RULES)
def test_rules_check_at_once_except_those_that_sleep_first(name: str) -> None:
    """A check at once is wasted, as no job is done then."""
    waits_first = {"google gax", "replicate", "runwayml", *SIMPLE} - {"2, 4, 8 ... cap 60"}

    assert (checks(RULES[name], 1)[0] == 0) is (name not in waits_first)


@pytest.mark.parametrize(
    ("name", "least", "most", "first"),
    [
        ("google-api-core", 0, 20, (0, 1)),
        ("google-api-core async", 0, 60, (0, 1)),
        ("runwayml", 4.5, 7.5, (4.5, 7.5)),
        ("HeyGen CLI", 1.5, 37.5, (1.5, 2.5)),
        ("Smithy spec", 2, 120, (2, 2)),
    ],
)
def test_jitter_fills_its_range_and_stays_in_it(
    name: str, least: float, most: float, first: tuple[float, float]
) -> None:
    """That of the first gap and of all gaps, in two hundred waits."""
    of_waits = [gaps(RULES[name], seed) for seed in range(200)]
    everything = [gap for of_wait in of_waits for gap in of_wait]

    assert all(first[0] - 1e-9 <= of_wait[0] <= first[1] + 1e-9 for of_wait in of_waits)
    assert least - 1e-9 <= min(everything)
    assert 0.99 * most <= max(everything) <= most + 1e-9


def test_a_table_of_quantiles_interpolates_linearly() -> None:
    """Both ends are included."""
    table = QuantileTable([0, 0.5, 1], [10, 20, 100])

    assert [table.at(probability) for probability in (0, 0.25, 0.5, 0.75, 1)] == [10, 15, 20, 60, 100]


def test_drawn_traces_are_the_same_each_time(drawn: dict[str, Trace]) -> None:
    """In this order, and marked as drawn."""
    assert list(drawn) == NAMES
    assert list(drawn.values()) == traces(None)
    assert all(trace.is_drawn for trace in drawn.values())
    assert {name: len(trace.train) + len(trace.test) for name, trace in drawn.items()} == DRAWN_JOBS


@pytest.mark.parametrize("name", NAMES)
def test_drawn_jobs_have_the_distribution_of_their_trace(drawn: dict[str, Trace], name: str) -> None:
    """Also if the length and the key are drawn first, and the duration follows from them."""
    figures = json.loads(FIGURES_FILE.read_text(encoding="utf-8"))
    [of_trace] = [trace for trace in figures["traces"] if trace["name"] == name]
    table = QuantileTable(figures["probabilities"], of_trace["quantiles_of_duration"])
    durations = [job.duration for job in (*drawn[name].train, *drawn[name].test)]

    assert 0 < table.at(0) <= min(durations) < max(durations) <= table.at(1)
    assert statistics.median(durations) == pytest.approx(table.at(0.5), rel=0.15)
    assert statistics.quantiles(durations, n=20)[-1] == pytest.approx(table.at(0.95), rel=0.15)


def test_jobs_have_the_length_and_the_key_if_their_trace_has(drawn: dict[str, Trace]) -> None:
    """Size and configuration, a class, or neither."""
    known = {name: [job.length is not None, job.key is not None] for name in NAMES for job in drawn[name].train}
    keys = {name: {job.key for job in (*drawn[name].train, *drawn[name].test)} for name in NAMES}

    assert known == {"x264_ugc": [True, True], "julia_ci": [False, True], "philly_gpu": [False, False]}
    assert [len(keys[name]) for name in NAMES] == [201, 102, 1]


def test_traces_are_read_in_order_and_whole_seconds_are_spread(tmp_path: Path) -> None:
    """Other durations are read as they are."""
    (tmp_path / "x264_ugc.csv").write_text(
        "video,resolution,width,height,frames,config_id,duration_s\nA,360P,4,3,10,115,2.5\nB,360P,4,3,20,7,0.08\n"
    )
    (tmp_path / "julia_ci.csv").write_text("date,build,job,duration_s\n2024,1,late,90\n2025,2,early,6\n")
    (tmp_path / "philly_gpu.csv").write_text("duration_s\n1\n1\n1\n1\n")

    encodes, ci_jobs, trainings = traces(tmp_path)

    assert [(job.duration, job.length, job.key) for job in (*encodes.train, *encodes.test)] == [
        (2.5, 120, "115"),
        (0.08, 240, "7"),
    ]
    assert [job.key for job in (*ci_jobs.train, *ci_jobs.test)] == ["late", "early"]
    assert [len(trainings.train), len(trainings.test), trainings.is_drawn] == [2, 2, False]
    durations = [job.duration for job in (*trainings.train, *trainings.test)]
    assert len(set(durations)) == 4
    assert all(0.5 <= duration < 1.5 for duration in durations)
    assert traces(tmp_path) == [encodes, ci_jobs, trainings]
