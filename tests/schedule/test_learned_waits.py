"""A wait that learns: when it asks, what it takes over from the service, and what it teaches the next one."""

from __future__ import annotations

import json
import math
import sqlite3
import threading
import time
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import requests
import tenacity
from support.adapters import BASE_URL, Answers, response
from support.fixtures import Clock, Lines, MakeClient
from support.in_process_service import World

from fake_server import Fault, Scenario
from translation_client import (
    DurationHistory,
    Job,
    TranslationStatus,
    VideoTranslationClient,
    WaitCancelled,
    WaitTimeout,
    wait_learned,
)
from translation_client._jobs.poller import RECORD_TIMEOUT_SECONDS
from translation_client.schedule import planner
from translation_client.schedule.censoring import Observation
from translation_client.schedule.plan import CheckSchedule, Objective, make_schedule

LONG: dict[str, Any] = {"timeout": 3600, "max_retries": 1000}


def checked_at(lines: Lines) -> list[float]:
    return [line["elapsed_seconds"] for line in lines.of("status_checked")]


def submitted(job_id: str = "", **more: Any) -> Job:
    """A job that was ordered just now, by what its caller knows; at the server that one begins when it is asked about."""
    return Job(job_id, TranslationStatus.PENDING, "submitted", **{"submitted_at": time.time(), **more})


def ordered(client: VideoTranslationClient, **more: Any) -> Job:
    """One that was ordered just now, and begins now."""
    return replace(client.submit("https://example.com/talk.mp4", "es"), **more)


def past(*durations: float, kind: str | None = None) -> DurationHistory:
    history = DurationHistory()
    for seconds in durations:
        history.record(seconds, kind=kind, service="reference")
    return history


def learned_in(history: DurationHistory, service: str = "reference") -> list[Observation]:
    """What is known of each job, but for when it began."""
    return [job._replace(began_at=0.0) for job in history.jobs(service)]


STEADY = tuple(58 + number % 5 for number in range(50))


def test_without_a_history_the_schedule_is_quadratic(make_client: MakeClient, lines: Lines) -> None:
    """`check_cost · k²` seconds after the order; not at once, as nothing is finished then."""
    client = make_client(Scenario(40), history=True, check_cost=3, **LONG)
    client.wait(ordered(client))

    assert checked_at(lines) == [3, 12, 27, 48]
    first = lines.of("sleeping")[0]
    assert (first["retry"], first["sleep_seconds"], first["reason"]) == (0, 3, "schedule")
    assert {line["reason"] for line in lines.of("sleeping")} == {"schedule"}


def test_with_a_target_lag_and_no_history_the_gaps_are_even(make_client: MakeClient, lines: Lines) -> None:
    """Twice the lag: nothing else has that mean for every duration."""
    client = make_client(Scenario(40), history=True, target_lag=7, **LONG)
    client.wait(ordered(client))

    assert checked_at(lines) == [14, 28, 42]


def test_the_usual_duration_is_waited_for(make_client: MakeClient, lines: Lines) -> None:
    """One or two requests in place of the backoff's seven."""
    client = make_client(Scenario(60), history=past(*STEADY), check_cost=3, **LONG)
    client.wait(ordered(client))

    assert len(checked_at(lines)) <= 2
    assert 60 <= checked_at(lines)[-1] <= 66


@pytest.mark.parametrize("call", ["wait", "get_status", "watch"])
def test_each_way_to_wait_learns_and_teaches(call: str, make_client: MakeClient, lines: Lines) -> None:
    """By the same plan."""
    history = DurationHistory()
    client = make_client(Scenario(20), history=history, check_cost=3, **LONG)
    ended = getattr(client, call)(ordered(client), kind="es", video_seconds=95)
    if call == "watch":
        assert [job.status.is_final for job in ended] == [False, False, True]

    assert checked_at(lines) == [3, 12, 27]
    assert learned_in(history) == [Observation(12, 27, 0, "es", 95, None, 1)]


def test_a_job_of_unknown_age_is_asked_about_at_once_and_teaches_nothing(make_client: MakeClient, lines: Lines) -> None:
    """It may have been finished for an hour."""
    history = DurationHistory()
    make_client(Scenario(20), history=history, check_cost=3, **LONG).wait()

    assert checked_at(lines) == [0, 3, 12, 27]
    assert learned_in(history) == []


def test_a_job_is_asked_about_by_its_age(make_client: MakeClient, lines: Lines) -> None:
    """In another process, say: the plan is that of the job and not of the wait."""
    history = past(*STEADY)
    client = make_client(Scenario(20), history=history, check_cost=3, **LONG)
    client.wait(submitted_at=time.time() - 40)

    assert 60 <= 40 + checked_at(lines)[0] <= 63


def test_an_old_job_is_asked_about_at_once(make_client: MakeClient, lines: Lines) -> None:
    """It is most likely finished."""
    make_client(Scenario(0), history=past(*STEADY), check_cost=3, **LONG).wait(submitted_at=time.time() - 400)

    assert checked_at(lines) == [0]


def test_one_that_was_ordered_in_the_future_was_ordered_now(make_client: MakeClient, lines: Lines) -> None:
    """By a clock that is ahead of this one."""
    make_client(Scenario(0), history=True, check_cost=3, **LONG).wait(submitted_at=time.time() + 3)

    assert checked_at(lines) == [3]


@pytest.mark.parametrize("off", [7200, 500, -40 * 86400, -1e9])
def test_a_moment_that_makes_no_sense_is_none(off: float, make_client: MakeClient, lines: Lines) -> None:
    """Of another time zone, or an empty date: the job is asked about at once, and teaches nothing."""
    history = DurationHistory()
    client = make_client(Scenario(20), history=history, check_cost=3, **LONG)
    client.wait(submitted_at=max(time.time() + off, 0))

    assert checked_at(lines) == [0, 3, 12, 27]
    assert history.jobs("reference") == []


def test_what_the_caller_says_of_the_order_counts_before_what_the_job_knows(
    make_client: MakeClient, lines: Lines
) -> None:
    """Both may be there."""
    make_client(Scenario(0), history=True, check_cost=3, **LONG).wait(submitted(), submitted_at=time.time() - 1)

    assert checked_at(lines) == [2]


def test_the_first_pause_keeps_the_deadline(make_client: MakeClient, lines: Lines) -> None:
    """A last look before it, as for any wait."""
    client = make_client(Scenario(100), history=past(*STEADY), check_cost=3, timeout=30)
    with pytest.raises(WaitTimeout):
        client.wait(ordered(client))

    assert checked_at(lines) == [29.75]
    assert [line["reason"] for line in lines.of("sleeping")] == ["deadline"]


def test_the_first_pause_can_be_cancelled(make_client: MakeClient, clock: Clock, lines: Lines) -> None:
    """Nothing is asked then."""
    cancel = threading.Event()
    client = make_client(Scenario(100), history=True, check_cost=3, sleep=lambda _: cancel.set(), **LONG)
    with pytest.raises(WaitCancelled):
        client.wait(submitted(), cancel=cancel)

    assert checked_at(lines) == []


def test_no_gap_is_longer_than_max_lag(make_client: MakeClient, lines: Lines) -> None:
    """The first one included."""
    client = make_client(Scenario(100), history=past(*STEADY), check_cost=30, max_lag=8, **LONG)
    client.wait(ordered(client))

    checks = [0.0, *checked_at(lines)]
    assert all(0 < after - before <= 8.001 for before, after in pairwise(checks))


def test_a_retry_after_lengthens_a_pause_of_the_plan(make_client: MakeClient, clock: Clock, lines: Lines) -> None:
    """Facts from the server win."""
    client = a_client(lambda _: response(retry_after="20"), clock, history=True, check_cost=3, timeout=60)
    with pytest.raises(WaitTimeout):
        client.wait(submitted())

    assert checked_at(lines)[:3] == [3, 23, 43]
    assert [line["reason"] for line in lines.of("sleeping")][1:3] == ["retry_after", "retry_after"]


def a_client(answer: Any, clock: Clock, **arguments: Any) -> VideoTranslationClient:
    session = requests.Session()
    session.mount("http://", Answers(answer))
    usual = {"session": session, "sleep": clock.tick, "max_retries": 1000}
    return VideoTranslationClient(BASE_URL, **{**usual, **arguments})


def a_service(clock: Clock, duration: float, **said: Any) -> Any:
    """Answers that are pending for so long, with what a function of the age says beside the status."""
    began = time.time()

    def answer(_: requests.PreparedRequest) -> requests.Response:
        age = time.time() - began
        body = {"result": "pending" if age < duration else "completed"}
        body |= {name: value(age) for name, value in said.items()}
        return response(body=json.dumps(body).encode())

    return answer


def test_a_progress_figure_beats_what_past_jobs_took(clock: Clock, lines: Lines) -> None:
    """Two hundred jobs took a minute; this one says that it is at a tenth after a minute."""
    answer = a_service(clock, 600, progress=lambda age: min(age / 600, 1))
    job = a_client(answer, clock, history=past(*STEADY * 4), check_cost=3, timeout=3600).wait(submitted())

    assert job.elapsed < 660
    assert len(checked_at(lines)) < 12
    without = len(list(make_schedule(None, Objective(3, None)).checks(600)))
    assert len(checked_at(lines)) < without


def test_of_a_job_of_unknown_age_progress_counts_from_the_first_look(clock: Clock, lines: Lines) -> None:
    """Half of it done when first seen does not mean that it began just now."""
    began = time.time() - 300
    answer = a_service(clock, 300, progress=lambda _: (time.time() - began) / 600)
    job = a_client(answer, clock, history=True, check_cost=3, timeout=3600).wait("job-1")

    assert 300 <= job.elapsed < 330
    assert len(checked_at(lines)) < 13


@pytest.mark.parametrize("progress", [0, 1, -1, 7, "half", None, math.nan])
def test_a_progress_that_says_nothing_changes_nothing(clock: Clock, lines: Lines, progress: Any) -> None:
    """The plan goes on."""
    answer = a_service(clock, 40, progress=lambda _: progress)
    a_client(answer, clock, history=True, check_cost=3, timeout=3600).wait(submitted())

    assert checked_at(lines) == [3, 12, 27, 48]


def test_the_moment_that_a_service_promises_is_waited_for(clock: Clock, lines: Lines) -> None:
    """As soon as it is known; whatever past jobs took."""
    due = datetime.now(timezone.utc) + timedelta(seconds=300)
    answer = a_service(clock, 300, finished_at=lambda _: due.isoformat().replace("+00:00", "Z"))
    job = a_client(answer, clock, history=past(*STEADY), check_cost=3, timeout=3600).wait(submitted())

    first, *others = checked_at(lines)
    assert first < 70
    assert others[0] > 200
    assert job.elapsed < 340


def test_what_a_service_expects_of_an_order_is_waited_for(make_client: MakeClient, lines: Lines) -> None:
    """With no history at all."""
    client = make_client(Scenario(500), history=True, check_cost=30, **LONG)
    client.wait(ordered(client, expected_seconds=500))

    assert 200 < checked_at(lines)[0] < 600
    assert len(checked_at(lines)) <= 4


def test_what_a_service_expects_beats_what_past_jobs_took(make_client: MakeClient, lines: Lines) -> None:
    """They were others."""
    client = make_client(Scenario(500), history=past(*STEADY), check_cost=30, **LONG)
    client.wait(ordered(client, expected_seconds=500))

    assert checked_at(lines)[0] > 200
    assert len(checked_at(lines)) <= 4


def test_an_expectation_in_an_answer_counts_from_then_on(clock: Clock, lines: Lines) -> None:
    """And is on the job, and in the history."""
    history = DurationHistory()
    answer = a_service(clock, 500, expected_seconds=lambda _: 500)
    job = a_client(answer, clock, history=history, check_cost=3, timeout=3600).wait(submitted())

    assert checked_at(lines)[0] == 3
    assert checked_at(lines)[1] > 100
    assert job.expected_seconds == 500
    assert history.jobs("reference")[0].expected_seconds == 500


def test_a_service_that_is_wrong_by_a_factor_is_corrected_for(make_client: MakeClient, lines: Lines) -> None:
    """By what came of its earlier guesses."""
    history = DurationHistory()
    for number in range(40):
        history.add("reference", Observation(100 + number, 100 + number, expected_seconds=50 + number / 2))
    client = make_client(Scenario(200), history=history, check_cost=3, **LONG)
    client.wait(ordered(client, expected_seconds=100))

    assert len(checked_at(lines)) <= 3
    assert 195 < checked_at(lines)[-1] < 220


def test_the_age_is_learned_from_the_first_answer_that_says_it(clock: Clock, lines: Lines) -> None:
    """And then the plan is that of the job's age, and the job teaches."""
    history = past(*STEADY)
    created = time.time() - 30
    answer = a_service(clock, 30, created_at=lambda _: created)
    job = a_client(answer, clock, history=history, check_cost=3, timeout=3600).wait("job-1")

    assert checked_at(lines)[0] == 0
    assert 30 <= checked_at(lines)[1] <= 35
    assert job.submitted_at == created
    learned = history.jobs("reference")[-1]
    assert learned.entered == learned.pending_until == 30


@pytest.mark.parametrize("is_argument", [True, False], ids=["argument", "job"])
def test_the_time_of_the_caller_counts_more_than_that_of_the_service(is_argument: bool, clock: Clock) -> None:
    """The caller may have ordered the job long before the service began with it."""
    mine = time.time() - 400
    client = a_client(a_service(clock, 30, created_at=lambda _: mine + 395), clock, history=True, check_cost=3, **LONG)
    if is_argument:
        done = client.wait("job-1", submitted_at=mine)
    else:
        done = client.wait(submitted("job-1", submitted_at=mine))

    assert done.submitted_at == mine


def test_a_server_whose_clock_is_off_is_understood_by_its_own_date(clock: Clock, lines: Lines) -> None:
    """A created_at an hour ahead is not in the future, nor is a finished_at."""
    ahead = time.time() + 3600
    date = datetime.fromtimestamp(ahead, timezone.utc).strftime("%a, %d %b %Y %H:%M:%S GMT")
    body = json.dumps({"result": "completed", "created_at": ahead - 30, "finished_at": ahead - 10}).encode()
    job = a_client(lambda _: response(body=body, date=date), clock, history=True, check_cost=3).wait("job-1")

    assert (job.submitted_at, job.finished_at) == pytest.approx((time.time() - 30, time.time() - 10), abs=1, rel=0)


def test_a_job_that_is_known_to_have_ended_is_asked_about_at_once_and_teaches_nothing(
    clock: Clock, lines: Lines
) -> None:
    """When it ended is not known."""
    history = past(*STEADY)
    known = learned_in(history)
    done = Job("job-1", TranslationStatus.COMPLETED, "completed", submitted_at=time.time() - 5)
    assert a_client(a_service(clock, 0), clock, history=history, check_cost=3).wait(done).status == "completed"

    assert checked_at(lines) == [0]
    assert learned_in(history) == known


def test_the_end_lies_between_the_last_pending_answer_and_the_first_final_one(make_client: MakeClient) -> None:
    """Which is all that anybody knows."""
    history = DurationHistory()
    client = make_client(Scenario(20), history=history, check_cost=3, **LONG)
    client.wait(ordered(client))

    assert learned_in(history) == [Observation(12, 27, number=1)]


def test_pending_counts_from_when_it_was_asked(make_client: MakeClient, clock: Clock, lines: Lines) -> None:
    """And finished from when it was answered: the job may have ended while the answer was under way."""
    history = DurationHistory()
    client = make_client(Scenario(20), history=history, check_cost=3, **LONG)
    transport: Any = client._transport
    send = transport._session._session.send

    def slow_send(*arguments: Any, **more: Any) -> Any:
        answer = send(*arguments, **more)
        clock.tick(2)
        return answer

    transport._session._session.send = slow_send
    client.wait(ordered(client))

    second, third = checked_at(lines)[1:]
    [learned] = history.jobs("reference")
    assert (learned.pending_until, learned.finished_by) == pytest.approx((second - 2, third), abs=0.001)


def test_a_wait_that_gave_up_is_censored_and_not_forgotten(make_client: MakeClient) -> None:
    """The job took longer than that."""
    history = DurationHistory()
    client = make_client(Scenario(100), history=history, check_cost=3, timeout=30)
    with pytest.raises(WaitTimeout):
        client.wait(ordered(client))

    assert learned_in(history) == [Observation(29.75, None, number=1)]


def test_a_watch_that_nobody_looks_at_any_more_is_censored_too(make_client: MakeClient) -> None:
    """When it is closed."""
    history = DurationHistory()
    client = make_client(Scenario(100), history=history, check_cost=3, **LONG)
    watching = client.watch(ordered(client))
    assert (next(watching).elapsed, next(watching).elapsed) == (3, 12)
    watching.close()  # type: ignore[attr-defined]  # a generator, as every iterator that is one

    assert learned_in(history) == [Observation(12, None, number=1)]


def test_a_job_that_was_first_seen_late_is_conditioned_on_its_age(make_client: MakeClient, clock: Clock) -> None:
    """Nobody would have learned of it, had it been finished then."""
    history = past(*STEADY)
    client = make_client(Scenario(100), history=history, check_cost=3, **LONG)
    client.check()
    clock.tick(90)
    client.wait(submitted_at=time.time() - 90)

    learned = history.jobs("reference")[-1]
    assert learned.entered == 90
    assert 90 <= learned.pending_until < 100 <= (learned.finished_by or 0) < 150


def test_a_job_that_was_finished_when_first_seen_late_teaches_nothing(make_client: MakeClient) -> None:
    """Only that somebody came late."""
    history = past(*STEADY)
    make_client(Scenario(0), history=history, check_cost=3, **LONG).wait(submitted_at=time.time() - 4000)

    assert len(history.jobs("reference")) == len(STEADY)


def test_a_job_that_was_finished_at_the_first_planned_look_teaches_that(make_client: MakeClient) -> None:
    """The look would have been made whatever the job did."""
    history = past(*STEADY)
    client = make_client(Scenario(50), history=history, check_cost=3, **LONG)
    client.wait(ordered(client))

    learned = history.jobs("reference")[-1]
    assert (learned.entered, learned.pending_until) == (0, 0)
    assert 50 < (learned.finished_by or 0) < 70


def test_a_wait_that_goes_on_where_another_gave_up_is_learned_as_one(make_client: MakeClient) -> None:
    """It is one job, which was known of from the start."""
    history = DurationHistory()
    client = make_client(Scenario(50), history=history, check_cost=3, max_retries=1000)
    job = ordered(client)
    with pytest.raises(WaitTimeout):
        client.wait(job, timeout=30)
    assert learned_in(history) == [Observation(29.75, None, number=1)]
    client.wait(job, timeout=100)

    [learned] = history.jobs("reference")
    assert (learned.entered, learned.pending_until) == (0, 29.75)
    assert 50 <= (learned.finished_by or 0) < 60


def test_a_finished_job_is_not_waited_for_and_not_learned_again(make_client: MakeClient, lines: Lines) -> None:
    """However often somebody asks."""
    history = DurationHistory()
    client = make_client(Scenario(20), history=history, check_cost=3, **LONG)
    done = client.wait(ordered(client))
    lines.clear()
    client.wait(done)
    client.wait(done.id, submitted_at=done.submitted_at)

    assert checked_at(lines) == [0, 0]
    assert len(history.jobs("reference")) == 1


def test_a_job_that_is_nearly_done_for_long_is_not_hammered(clock: Clock, lines: Lines) -> None:
    """Each such word that was not kept weighs less."""
    answer = a_service(clock, 600, progress=lambda _: 0.9999999)
    a_client(answer, clock, history=True, check_cost=3, timeout=3600).wait(submitted_at=time.time() - 600)

    assert len(checked_at(lines)) < 70
    gaps = [line["sleep_seconds"] for line in lines.of("sleeping")]
    assert gaps[:3] == [0.3, 0.6, 0.9]


def test_jittered_checks_are_hardly_more(clock: Clock) -> None:
    """Jitter costs a third of a hundredth, and no check is repeated because it came a little early."""
    durations = [math.exp(6 + number % 20 / 10) for number in range(200)]
    asked = {
        is_spread: sum(
            len(polled(wait_learned(durations, check_cost=1, jitter=0.1 * is_spread), clock, duration))
            for duration in durations[:60]
        )
        for is_spread in (False, True)
    }

    assert asked[True] < 1.1 * asked[False]


@pytest.mark.parametrize(
    ("ends", "patience"),
    [
        ("finishes", RECORD_TIMEOUT_SECONDS),
        ("times out", RECORD_TIMEOUT_SECONDS),
        ("is cancelled", 0),
        ("is interrupted", 0),
        ("is dropped", 0),
    ],
)
def test_nobody_waits_for_the_history_who_wants_to_go(
    ends: str, patience: float, make_client: MakeClient, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process may be writing to it for long."""
    patiences: list[float] = []
    monkeypatch.setattr(planner.SchedulePlanner, "remember", lambda _, __, ___, patience: patiences.append(patience))
    cancel = threading.Event()

    def sleep(seconds: float) -> None:
        clock.tick(seconds)
        if seconds > 8 and ends == "is cancelled":
            cancel.set()
        if seconds > 8 and ends == "is interrupted":
            raise KeyboardInterrupt

    client = make_client(Scenario(20), history=True, check_cost=3, timeout=16, max_retries=99, sleep=sleep)
    watching = client.watch(ordered(client), timeout=60 if ends == "finishes" else None, cancel=cancel)
    with suppress(WaitTimeout, WaitCancelled, KeyboardInterrupt):
        for _ in watching:
            if ends == "is dropped":
                break
    watching.close()  # type: ignore[attr-defined]  # a generator, as every iterator that is one

    assert patiences == [patience]


def test_where_the_service_tells_it_is_known_exactly(clock: Clock, tmp_path: Path) -> None:
    """Azure says when an iteration was made, and when it came to stand as it does."""
    history = DurationHistory(tmp_path / "durations.sqlite")
    world = World(clock, "azure", Scenario(61.5), history=history, check_cost=3)
    world.finished()

    [learned] = history.jobs("azure")
    assert learned.pending_until == learned.finished_by == pytest.approx(61.5, abs=0.01)


@pytest.mark.parametrize(
    ("service", "knows"), [("heygen", True), ("elevenlabs", True), ("azure", True), ("reference", False)]
)
def test_services_that_say_when_a_job_began_are_learned_from_by_its_id(service: str, knows: bool, clock: Clock) -> None:
    """Without a word of the caller's."""
    history = DurationHistory()
    world = World(clock, service, Scenario(30), history=history, check_cost=3)
    world.client.wait(world.submit().id)

    assert len(history.jobs(service)) == knows


@pytest.mark.parametrize("service", ["heygen", "elevenlabs", "azure", "reference"])
def test_every_service_learns_from_orders_and_asks_less_and_less(service: str, clock: Clock, lines: Lines) -> None:
    """After twenty jobs of about a minute two requests will do."""
    world = World(clock, service, Scenario((58, 62), seed=1), history=True, check_cost=3)
    asked = []
    for _ in range(20):
        lines.clear()
        world.finished()
        asked.append(len(lines.of("status_checked")))

    assert sum(asked[-5:]) < sum(asked[:5])
    assert max(asked[-5:]) <= 2


def test_a_plan_is_kept_until_the_history_changes(make_client: MakeClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """And made once for all waits for such jobs."""
    made: list[Any] = []

    def counted(*given: Any) -> CheckSchedule:
        made.append(given)
        return make_schedule(*given)

    monkeypatch.setattr(planner, "make_schedule", counted)
    history = past(*STEADY)
    client = make_client(Scenario(200), history=history, check_cost=3, timeout=40)
    for _ in range(3):
        with pytest.raises(WaitTimeout):
            client.wait()  # of unknown age: they teach nothing
    assert len(made) == 1

    history.record(60, service="reference")
    with pytest.raises(WaitTimeout):
        client.wait()
    assert len(made) == 2


def test_waits_of_other_kinds_have_other_plans(make_client: MakeClient, lines: Lines) -> None:
    """And a kind that was never met has that of all."""
    history = past(*STEADY, kind="es")
    for seconds in STEADY:
        history.record(10 * seconds, kind="ja", service="reference")
    client = make_client(Scenario(0), history=history, check_cost=60, **LONG)
    for key in ("es", "ja", "es"):
        client.wait(ordered(client), kind=key)

    first, other, again = checked_at(lines)
    assert first == pytest.approx(again, rel=0.05)
    assert 55 < first < 70
    assert 400 < other < 700


def test_twice_the_video_takes_twice_as_long(make_client: MakeClient, lines: Lines) -> None:
    """Learned from the lengths of past ones."""
    history = DurationHistory()
    for number in range(40):
        history.record((2 + number % 3 / 10) * (30 + number), video_seconds=30 + number, service="reference")
    asked = []
    for length in (40, 400):
        lines.clear()
        client = make_client(Scenario(2.1 * length), history=history, check_cost=3, **LONG)
        client.wait(ordered(client), video_seconds=length)
        asked.append(checked_at(lines))

    (short, *_), (long, *later) = asked
    assert 70 < short < 90
    assert 300 < long < 900
    assert len(later) <= 4


def test_the_history_of_one_service_says_nothing_of_another(clock: Clock, lines: Lines) -> None:
    """They share the file alone."""
    world = World(clock, "heygen", Scenario(0), history=past(*STEADY), check_cost=3)
    world.finished()

    assert checked_at(lines) == [3]


def break_off(path: Path) -> None:
    path.unlink()
    path.mkdir()


def lock(path: Path) -> None:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    connection.execute("BEGIN EXCLUSIVE")
    _LOCKS.append(connection)


_LOCKS: list[sqlite3.Connection] = []


@pytest.mark.parametrize("breaks", [break_off, lock])
def test_a_history_that_breaks_in_the_middle_of_a_wait_is_a_warning_and_no_more(
    breaks: Any, make_client: MakeClient, lines: Lines, tmp_path: Path
) -> None:
    """The wait goes on, and the job is finished."""
    path = tmp_path / "durations.sqlite"
    client = make_client(Scenario(20), history=path, check_cost=3, timeout=60, max_retries=100)
    watching = client.watch(ordered(client))
    assert next(watching).elapsed == 3
    breaks(path)
    try:
        *_, last = watching
    finally:
        while _LOCKS:
            _LOCKS.pop().close()

    assert (last.status, last.elapsed) == ("completed", 27)
    warnings = lines.of("history_failed")
    assert warnings
    assert {line["level"] for line in warnings} == {"warning"}
    assert all(str(path) in line["error"] for line in warnings)


def test_checks_are_spread_by_chance_where_that_is_wanted(make_client: MakeClient, lines: Lines) -> None:
    """The first ones by up to half a check."""
    client = make_client(Scenario(61), history=past(*STEADY), check_cost=3, jitter=0.1, **LONG)
    for _ in range(40):
        client.wait(ordered(client))

    firsts = [line["elapsed_seconds"] for line in lines.of("status_checked") if line["attempt"] == 1]
    assert len(set(firsts)) > 30
    assert 1 < max(firsts) - min(firsts) < 20


def test_spread_gaps_are_a_tenth_longer_or_shorter(make_client: MakeClient, lines: Lines) -> None:
    """From the check before, whenever that was."""
    make_client(Scenario(900), history=True, target_lag=10, jitter=0.1, **LONG).wait(submitted_at=time.time() - 1)

    gaps = [line["sleep_seconds"] for line in lines.of("sleeping")][1:]
    assert all(17.999 <= gap <= 22.001 for gap in gaps)
    assert len(set(gaps)) > 20


def test_the_random_generator_of_the_caller_is_left_alone(make_client: MakeClient) -> None:
    """A seeded run of theirs stays the same."""
    import random

    random.seed(1)
    state = random.getstate()
    client = make_client(Scenario(50), history=True, check_cost=3, jitter=0.1, **LONG)
    client.wait(ordered(client))

    assert random.getstate() == state


def test_a_caller_who_does_not_learn_may_say_the_same_things(make_client: MakeClient, lines: Lines) -> None:
    """The backoff takes no notice."""
    make_client(Scenario(5)).wait(kind="es", video_seconds=95, submitted_at=time.time())

    assert checked_at(lines) == [0, 2, 6]


BAD: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"history": True}, ValueError, "exactly one of check_cost and target_lag"),
    ({"history": True, "check_cost": 1, "target_lag": 1}, ValueError, "exactly one of check_cost and target_lag"),
    ({"history": True, "check_cost": 1, "max_lag": 0}, ValueError, "max_lag"),
    ({"history": True, "check_cost": 1, "max_lag": math.nan}, ValueError, "max_lag"),
    ({"history": True, "check_cost": 1, "wait": tenacity.wait_fixed(1)}, ValueError, "wait and history"),
    ({"history": True, "check_cost": 1, "jitter": "yes"}, TypeError, "jitter"),
    ({"check_cost": 1}, ValueError, "check_cost requires history"),
    ({"target_lag": 1}, ValueError, "target_lag requires history"),
    ({"max_lag": 1}, ValueError, "max_lag requires history"),
    *(
        ({"history": True, name: bad}, ValueError, name)
        for name in ("check_cost", "target_lag")
        for bad in (0, -1, math.nan, math.inf)
    ),
    ({"history": True, "check_cost": "3"}, TypeError, "check_cost"),
    ({"history": True, "check_cost": True}, TypeError, "check_cost"),
]


@pytest.mark.parametrize(("arguments", "error", "says"), BAD)
def test_an_argument_that_cannot_be_used_is_refused_when_the_client_is_made(
    arguments: dict[str, Any], error: type[Exception], says: str
) -> None:
    """And the message names it."""
    with pytest.raises(error, match=says):
        VideoTranslationClient(BASE_URL, **arguments)


@pytest.mark.parametrize("learns", [True, False])
@pytest.mark.parametrize(
    ("said", "error"),
    [
        ({"kind": 3}, TypeError),
        ({"kind": "\n"}, ValueError),
        ({"video_seconds": 0}, ValueError),
        ({"video_seconds": math.nan}, ValueError),
        ({"video_seconds": "95"}, TypeError),
        ({"submitted_at": -1}, ValueError),
        ({"submitted_at": 1.7e12}, ValueError),
        ({"submitted_at": math.inf}, ValueError),
        ({"submitted_at": "now"}, TypeError),
    ],
)
def test_what_is_said_of_a_job_is_looked_at_before_anything_is_sent(
    said: dict[str, Any], error: type[Exception], learns: bool, make_client: MakeClient, lines: Lines
) -> None:
    """Whether it is needed or not."""
    client = make_client(Scenario(0), **({"history": True, "check_cost": 3} if learns else {}))
    for call in (client.wait, client.get_status, client.watch):
        with pytest.raises(error, match=next(iter(said))):
            call(**said)

    assert lines == []


def test_no_history_is_the_backoff(make_client: MakeClient, lines: Lines) -> None:
    """Learning is asked for."""
    client = make_client(Scenario(5), history=None)
    client.wait(ordered(client))
    client = make_client(Scenario(5), history=False)
    client.wait(ordered(client))

    assert checked_at(lines) == [0, 2, 6] * 2


def _tick(clock: Clock, seconds: float) -> None:
    clock.tick(seconds)


def polled(strategy: Any, clock: Clock, duration: float) -> list[float]:
    """When a function of a user's asks, under a decorator of theirs."""
    began, asked = time.monotonic(), list[float]()

    @tenacity.retry(
        wait=strategy,
        retry=tenacity.retry_if_result(lambda done: not done),
        sleep=lambda seconds: _tick(clock, seconds),
    )
    def poll() -> bool:
        asked.append(time.monotonic() - began)
        return asked[-1] >= duration

    poll()
    return [round(moment, 6) for moment in asked]


def test_the_same_is_a_plain_strategy_for_tenacity(clock: Clock) -> None:
    """Which asks at once, as tenacity does, and then by the plan."""
    assert polled(wait_learned(check_cost=3), clock, 40) == [0, 3, 12, 27, 48]
    assert polled(wait_learned(target_lag=5), clock, 25) == [0, 10, 20, 30]
    assert polled(wait_learned(check_cost=3, max_lag=10), clock, 40) == [0, 3, 12, 22, 32, 42]


def test_a_strategy_takes_durations_or_a_history_that_grows(clock: Clock, tmp_path: Path) -> None:
    """It looks anew when there is more."""
    path = tmp_path / "durations.sqlite"
    history = DurationHistory(path)
    strategy = wait_learned(history, check_cost=3)
    assert polled(strategy, clock, 40) == [0, 3, 12, 27, 48]
    for seconds in STEADY:
        history.record(seconds, service="reference")

    learned = polled(strategy, clock, 60)
    assert learned == polled(wait_learned(STEADY, check_cost=3), clock, 60)
    assert learned == polled(wait_learned(path, check_cost=3), clock, 60)
    assert len(learned) <= 3


def test_a_strategy_counts_from_the_age_of_the_job(clock: Clock) -> None:
    """Which may have begun before the function was called."""
    assert polled(wait_learned(check_cost=3, age=3), clock, 20) == [0, 9, 24]


def test_a_strategy_goes_into_a_client_as_any_other(make_client: MakeClient, lines: Lines) -> None:
    """As its `wait`."""
    make_client(Scenario(20), wait=wait_learned(check_cost=3), **LONG).wait()

    assert checked_at(lines) == [0, 3, 12, 27]


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        ({}, ValueError, "exactly one"),
        ({"check_cost": 0}, ValueError, "check_cost"),
        ({"check_cost": 1, "age": -1}, ValueError, "age"),
        ({"check_cost": 1, "history": [1, -2]}, ValueError, "durations"),
        ({"check_cost": 1, "history": ["60"]}, TypeError, "durations"),
        ({"check_cost": 1, "history": 60}, TypeError, "history"),
        ({"check_cost": 1, "video_seconds": 0}, ValueError, "video_seconds"),
        ({"check_cost": 1, "key": 1}, TypeError, "key"),
        ({"check_cost": 1, "jitter": "yes"}, TypeError, "jitter"),
    ],
)
def test_a_strategy_refuses_what_it_cannot_use(arguments: Any, error: type[Exception], says: str) -> None:
    """When it is made."""
    with pytest.raises(error, match=says):
        wait_learned(**arguments)


def test_a_fault_spends_no_check_of_the_plan(make_client: MakeClient, lines: Lines) -> None:
    """It is repeated, and the plan goes on from the answer."""
    scenario = Scenario(40, faults=(Fault(nth=2, status_code=503),))
    client = make_client(scenario, history=True, check_cost=3, **LONG)
    client.wait(ordered(client))

    checks = checked_at(lines)
    assert checks[0] == 3
    assert 12.3 < checks[1] < 12.7
    assert len(checks) == 4


@pytest.mark.parametrize("said", [1e-300, 1e300, 1e-9, 1e12, 5e-324])
@pytest.mark.parametrize("name", ["expected_seconds", "progress", "finished_at", "created_at"])
def test_whatever_number_a_service_says_the_wait_goes_on(name: str, said: float, clock: Clock, lines: Lines) -> None:
    """No arithmetic of ours ends it."""
    answer = a_service(clock, 20, **{name: lambda _: said})
    client = a_client(answer, clock, history=past(*STEADY), check_cost=3, timeout=1000)

    assert client.wait(submitted()).status == "completed"
    assert client.wait("job-1").status == "completed"


@pytest.mark.parametrize("length", [1e-300, 1e300])
def test_whatever_length_a_video_has_the_wait_goes_on(length: float, make_client: MakeClient) -> None:
    """Also where past jobs had lengths."""
    history = DurationHistory()
    for number in range(20):
        history.record(60 + number, video_seconds=30 + number, service="reference")
    client = make_client(Scenario(20), history=history, check_cost=3, **LONG)

    assert client.wait(ordered(client), video_seconds=length).status == "completed"
    assert client.wait(ordered(client), video_seconds=95).status == "completed"


def test_checks_that_are_spread_keep_to_max_lag(make_client: MakeClient, lines: Lines) -> None:
    """It is a promise."""
    client = make_client(Scenario(300), history=True, target_lag=100, max_lag=10, jitter=0.1, **LONG)
    client.wait(submitted_at=time.time() - 1)

    assert all(line["sleep_seconds"] <= 10.001 for line in lines.of("sleeping"))
