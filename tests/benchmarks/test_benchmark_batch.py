"""The benchmark of batches: its arithmetic against figures by hand, and its server with whole and partial requests."""

import asyncio
import json
import sys
import urllib.request
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from benchmark_batch import (
    BARE,
    HTTPX,
    OURS,
    THREADS,
    VIRTUAL_CHECKS,
    Costs,
    Figures,
    Goal,
    Holding,
    JumpingLoop,
    Punctuality,
    Speed,
    Watch,
    WatchedLimiter,
    goals_of,
    in_queue,
    in_virtual_batch,
    median_of,
    punctuality_of,
    report,
    requests_to,
    served,
    speed_rows,
    table,
    timed,
    virtual,
)
from fast_server import Connection, Responder, TimedJobs, always_pending, words_of

from translation_client import _clock

pytestmark = pytest.mark.exhaustive

SPEEDS = {THREADS: Speed(500, 700), BARE: Speed(4000, 100), OURS: Speed(3000, 200)}
FIGURES = Figures(
    SPEEDS,
    Holding(61, 2),
    Punctuality(1, 99, 500, 990, 3),
    [Costs(100, 1, 80), Costs(100_000, 2, 168)],
    singly=5000,
    together=100,
)


class Pipe(asyncio.Transport):
    """A transport that keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += data


def bodies(written: bytes) -> list[object]:
    return [json.loads(part.partition(b"\r\n\r\n")[2]) for part in written.split(b"HTTP/1.1 200 OK\r\n")[1:]]


def test_goals_are_computed_from_the_figures() -> None:
    """A figure at the limit reaches its goal, one past it does not."""
    goals = goals_of(FIGURES)

    assert [goal.measured for goal in goals] == pytest.approx([6, 0.75, 61, 3, 99, 2, 2.1, 50])
    assert [goal.is_reached for goal in goals] == [True, True, False, True, True, True, False, True]
    assert [goal.row[-1] for goal in goals].count("missed") == 2


@pytest.mark.parametrize(("measured", "is_least", "is_reached"), [(4, True, False), (5, True, True), (4, False, True)])
def test_a_goal_is_a_lower_or_an_upper_limit(measured: float, is_least: bool, is_reached: bool) -> None:
    """Its row says at least, or at most."""
    goal = Goal("it", 5, measured, is_least)

    assert goal.is_reached is is_reached
    assert goal.row == (
        "it",
        str(measured),
        f"at {'least' if is_least else 'most'} 5",
        ["missed", "reached"][is_reached],
    )


def test_the_report_has_the_figures_of_every_client() -> None:
    """A client that is not installed is named. Rows are sorted by speed."""
    text = report(FIGURES)

    assert "| bare aiohttp | 4000 | 100 | 0.75 |" in text
    assert f"| {HTTPX} | not installed |  |  |" in text
    assert "5000 requests one by one, 100 in bulk" in text
    assert [row[0] for row in speed_rows({**SPEEDS, HTTPX: Speed(400, 1)})] == [HTTPX, THREADS, OURS, BARE]


def test_a_table_is_formatted_as_markdown() -> None:
    """The columns of figures are right-aligned."""
    assert table(("a", "b"), [("x", "1")]) == "| a | b |\n| --- | ---: |\n| x | 1 |"


def test_the_median_is_taken_of_each_figure() -> None:
    """Of the speed and of the processor time separately."""
    assert median_of([Speed(1, 30), Speed(2, 10), Speed(9, 20)]) == Speed(2, 20)


def test_a_speed_is_measured_per_check() -> None:
    """In checks a second, and in microseconds of the processor for each check."""
    with timed(1000) as speeds:
        sum(range(100_000))

    assert speeds[0].per_second > 0
    assert 0 < speeds[0].cpu < 1.1e6 / speeds[0].per_second  # on a busy machine, more time passes


def test_delays_are_summarised_in_milliseconds() -> None:
    """101 delays, a millisecond apart: each percentile is one of them."""
    late = punctuality_of([number / 1000 for number in range(101)], 990, 2)

    assert late == pytest.approx((50, 99, 100, 990, 2))


def test_a_check_is_planned_for_the_later_of_its_due_time_and_its_permit() -> None:
    """Its delay counts from then."""
    watch = Watch()
    watch.popped("a", 10.0)
    watch.allowed(9.0)
    watch.popped("b", 10.0)
    watch.allowed(11.0)
    watch.record_job("a", 12.0)
    watch.record_job("b", 12.0)

    assert watch.delays == [2.0, 1.0]


def test_a_watched_limiter_records_the_slot_of_each_permit() -> None:
    """As it was before the permit was acquired."""
    watch = Watch()
    limiter = WatchedLimiter(watch, 10)
    for job_id in ("a", "b"):
        watch.popped(job_id, 5.0)
        limiter.acquire(5.0)
        watch.record_job(job_id, 6.0)

    assert watch.delays == pytest.approx([1.0, 1 - 0.08])


def test_virtual_time_passes_without_sleeping() -> None:
    """The library sees an hour pass, and afterwards the usual clock again."""
    loop = JumpingLoop()
    usual = _clock.monotonic()
    with virtual(loop):
        loop.run_until_complete(asyncio.sleep(3600))
        assert _clock.monotonic() == pytest.approx(3600)

    assert _clock.monotonic() - usual < 60


def test_all_jobs_finish_in_virtual_time() -> None:
    """Each after `VIRTUAL_CHECKS` checks."""
    assert in_queue(50) == 50 * VIRTUAL_CHECKS
    assert in_virtual_batch(50) == 50 * VIRTUAL_CHECKS


def test_the_server_responds_to_partial_and_to_pipelined_requests() -> None:
    """In order. Each request is counted, except the one for the count."""
    responder, pipe = Responder(always_pending), Pipe()
    connection = Connection(responder)
    connection.connection_made(pipe)

    connection.data_received(b"GET /status/a HTTP/1.1\r\nHost: x\r\n")
    assert pipe.written == b""
    connection.data_received(b"\r\nGET /status?ids=a,b%2Fc HTTP/1.1\r\n\r\nGET /_count HTTP/1.1\r\n\r")
    connection.data_received(b"\n")

    many = {"results": [{"id": "a", "result": "pending"}, {"id": "b/c", "result": "pending"}]}
    assert bodies(pipe.written) == [{"result": "pending"}, many, 2]
    assert responder.count == 2


def test_a_timed_job_finishes_its_duration_after_the_first_request() -> None:
    """Its duration depends on its id."""
    present = 100.0
    jobs = TimedJobs(5, 10, lambda: present)
    length = jobs.length_of("a")

    assert 5 <= length < 15
    assert jobs.length_of("b") != length
    assert jobs("a") == "pending"
    present += length - 0.01
    assert jobs("a") == "pending"
    assert jobs("b") == "pending"
    present += 0.02
    assert jobs("a") == "completed"


@pytest.mark.parametrize("arguments", [[], ["timed"], ["timed", "1"], ["else"]])
def test_an_invalid_command_line_of_the_server_exits(arguments: list[str]) -> None:
    """A mode has to be known, and to have its arguments."""
    with pytest.raises(SystemExit):
        words_of(arguments)


def test_the_server_runs_in_a_child_process() -> None:
    """It counts the requests of all connections."""
    with served("timed", "0", "0") as url:
        for word in ("pending", "completed"):
            with urllib.request.urlopen(f"{url}/status/a", timeout=60) as response:
                assert json.loads(response.read()) in ({"result": word}, {"result": "completed"})
        assert requests_to(url) == 2
