"""The client through the whole fault lab, on frozen time: how each wait ends, by when, and with how many requests."""

from __future__ import annotations

from typing import Any

import pytest
import requests
from support.adapters import BASE_URL
from support.fault_table import GIVES_UP, LIMITS, ROWS, ROWS_IN_PROCESS, Ends, faults_of, readme_table
from support.fixtures import Clock, Lines
from support.readme import README

from fake_server import InProcessAdapter, Lab, Scenario, create_app
from fake_server.faults import ACTIONS
from translation_client import (
    RequestFailed,
    TranslationClientError,
    UnexpectedAnswer,
    VideoTranslationClient,
    WaitTimeout,
)

ROUNDING = 1.001
"""A date has whole seconds, and a clock its ticks."""


def client_of(lab: Lab, clock: Clock) -> VideoTranslationClient:
    session = requests.Session()
    session.mount("http://", InProcessAdapter(create_app(lab), sleep=clock.tick))
    return VideoTranslationClient(BASE_URL, session=session, sleep=clock.tick, api_key="k-1234567", **LIMITS)


@pytest.mark.parametrize(
    ("fault", "times", "ends"), ROWS_IN_PROCESS, ids=[f"{fault} {times}" for fault, times, _ in ROWS_IN_PROCESS]
)
def test_a_row_of_the_table(fault: str, times: str, ends: Ends, clock: Clock, lines: Lines) -> None:
    """What is raised or returned carries the evidence, and the job's id always."""
    lab = Lab(Scenario(duration=0, faults=faults_of(fault, times)))
    job_id = lab.create()
    began = clock()
    result: Any
    try:
        result = client_of(lab, clock).wait(job_id)
    except TranslationClientError as error:
        result = error
    took = (clock() - began).total_seconds()

    assert ends.at_least - ROUNDING <= took <= ends.by + ROUNDING
    assert result.elapsed == pytest.approx(took)
    assert len(lab.arrivals) == (ends.calls if ends.requests is None else ends.requests)
    is_last_call_the_end = ends.error in (RequestFailed, UnexpectedAnswer, WaitTimeout)
    assert len([*lines.of("status_checked"), *lines.of("check_failed")]) == ends.calls - is_last_call_the_end
    if ends.error is None:
        assert (result.id, str(result.status)) == (job_id, "completed")
        return
    assert type(result) is ends.error
    assert (result.job_id, result.attempts) == (job_id, ends.calls)
    assert lines[-1]["event"] == "gave_up"


CODED = [fault for fault, times, ends in ROWS if times == "forever" and fault[:3].isdecimal() and ends != GIVES_UP]


@pytest.mark.parametrize("fault", CODED)
def test_the_status_is_on_the_error(fault: str, clock: Clock, lines: Lines) -> None:
    """As a number, also where the answer could not be read."""
    client = client_of(Lab(Scenario(duration=0, faults=faults_of(fault, "forever"))), clock)
    with pytest.raises((RequestFailed, UnexpectedAnswer)) as caught:
        client.wait()

    assert vars(caught.value)["status_code"] == int(fault[:3])


@pytest.mark.parametrize("fault", ["html", "invalid-json", "wrong-shape"])
def test_an_excerpt_of_what_could_not_be_read_is_on_the_error(fault: str, clock: Clock, lines: Lines) -> None:
    """As text."""
    client = client_of(Lab(Scenario(duration=0, faults=faults_of(fault, "forever"))), clock)
    with pytest.raises(UnexpectedAnswer) as caught:
        client.wait()

    assert caught.value.excerpt
    assert caught.value.excerpt[:8] in str(caught.value)


@pytest.mark.parametrize("fault", [fault for fault, times, _ in ROWS if times == "forever" and fault != "refuse"])
def test_the_last_job_that_was_seen_is_on_the_error(fault: str, clock: Clock, lines: Lines) -> None:
    """Whatever comes after it."""
    lab = Lab(Scenario(duration=1000))
    watching = client_of(lab, clock).watch(lab.create())
    seen = [next(watching)]
    lab.faults = tuple(faults_of(fault, "forever"))
    with pytest.raises(TranslationClientError) as caught:
        seen.extend(watching)

    assert caught.value.job == seen[-1]
    assert caught.value.job_id == "job-1"
    assert caught.value.checks == len(seen) >= 1


def test_a_foreign_origin_is_not_shown_the_key(clock: Clock, lines: Lines) -> None:
    """And ours is."""
    lab = Lab(Scenario(duration=0, faults=["1:redirect-away"]))
    client_of(lab, clock).wait()

    ours, foreign = lab.arrivals
    assert ours.headers["Authorization"] == "Bearer k-1234567"
    assert foreign.headers["Host"] == "elsewhere.fake.test"
    assert "Authorization" not in foreign.headers


def test_every_fault_of_the_lab_has_a_row() -> None:
    """A new one is given one, or the suite fails."""
    named = {fault.partition(":")[0].partition("@")[0] for fault, _, _ in ROWS}

    assert set(ACTIONS) - {"answer"} <= named


def test_the_readme_shows_the_table() -> None:
    """Word for word, and nothing else."""
    table = README[README.index("| fault | once |") :]
    rows = table[: table.index("\n\n")].splitlines()[2:]

    assert rows == readme_table()
