"""Waits with a learned schedule: when they check, which estimates of the service they use, and what they record."""

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
from support.adapters import BASE_URL, FunctionAdapter, response
from support.fixtures import Clock, LogLines, MakeClient
from support.in_process_service import ClientSetup

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


def checked_at(lines: LogLines) -> list[float]:
    return [line["elapsed_seconds"] for line in lines.of("status_checked")]


def submitted(job_id: str = "", **more: Any) -> Job:
    """Return a job submitted just now, as its caller knows it. The server starts it at its first status request."""
    return Job(job_id, TranslationStatus.PENDING, "submitted", **{"submitted_at": time.time(), **more})


def submit(client: VideoTranslationClient, **more: Any) -> Job:
    """Submit a job, which starts now, and return it."""
    return replace(client.submit("https://example.com/talk.mp4", "es"), **more)


def past(*durations: float, kind: str | None = None) -> DurationHistory:
    history = DurationHistory()
    for seconds in durations:
        history.record(seconds, kind=kind, service="reference")
    return history


def learned_in(history: DurationHistory, service: str = "reference") -> list[Observation]:
    """Return what is known of each job, except when it began."""
    return [job._replace(began_at=0.0) for job in history.jobs(service)]


STEADY = tuple(58 + number % 5 for number in range(50))


def test_an_empty_history_gives_a_quadratic_schedule(make_client: MakeClient, lines: LogLines) -> None:
    """`check_cost · k²` seconds after the submission. There is no check at once, as no job is finished then."""
    client = make_client(Scenario(40), history=True, check_cost=3, **LONG)
    client.wait(submit(client))

    assert checked_at(lines) == [3, 12, 27, 48]
    first = lines.of("sleeping")[0]
    assert (first["retry"], first["sleep_seconds"], first["reason"]) == (0, 3, "schedule")
    assert {line["reason"] for line in lines.of("sleeping")} == {"schedule"}


def test_a_target_lag_and_an_empty_history_give_equal_gaps(make_client: MakeClient, lines: LogLines) -> None:
    """Of twice the lag: no other schedule has that mean lag for every duration."""
    client = make_client(Scenario(40), history=True, target_lag=7, **LONG)
    client.wait(submit(client))

    assert checked_at(lines) == [14, 28, 42]


def test_a_job_of_the_usual_duration_takes_one_or_two_checks(make_client: MakeClient, lines: LogLines) -> None:
    """The backoff makes seven."""
    client = make_client(Scenario(60), history=past(*STEADY), check_cost=3, **LONG)
    client.wait(submit(client))

    assert len(checked_at(lines)) <= 2
    assert 60 <= checked_at(lines)[-1] <= 66


@pytest.mark.parametrize("call", ["wait", "get_status", "watch"])
def test_wait_get_status_and_watch_follow_the_schedule_and_record_the_job(
    call: str, make_client: MakeClient, lines: LogLines
) -> None:
    """A job of 20 s is checked at 3, 12 and 27 s, and was last pending at 12 s."""
    history = DurationHistory()
    client = make_client(Scenario(20), history=history, check_cost=3, **LONG)
    ended = getattr(client, call)(submit(client), kind="es", video_seconds=95)
    if call == "watch":
        assert [job.status.is_final for job in ended] == [False, False, True]

    assert checked_at(lines) == [3, 12, 27]
    assert learned_in(history) == [Observation(12, 27, 0, "es", 95, None, 1)]


def test_a_job_of_unknown_age_is_checked_at_once_and_not_recorded(make_client: MakeClient, lines: LogLines) -> None:
    """It may have finished an hour ago."""
    history = DurationHistory()
    make_client(Scenario(20), history=history, check_cost=3, **LONG).wait()

    assert checked_at(lines) == [0, 3, 12, 27]
    assert learned_in(history) == []


def test_the_schedule_counts_from_submitted_at(make_client: MakeClient, lines: LogLines) -> None:
    """Not from the start of the wait, as another process may have submitted the job."""
    history = past(*STEADY)
    client = make_client(Scenario(20), history=history, check_cost=3, **LONG)
    client.wait(submitted_at=time.time() - 40)

    assert 60 <= 40 + checked_at(lines)[0] <= 63


def test_a_job_much_older_than_the_usual_duration_is_checked_at_once(make_client: MakeClient, lines: LogLines) -> None:
    """It has most likely finished."""
    make_client(Scenario(0), history=past(*STEADY), check_cost=3, **LONG).wait(submitted_at=time.time() - 400)

    assert checked_at(lines) == [0]


def test_a_submitted_at_three_seconds_in_the_future_counts_as_now(make_client: MakeClient, lines: LogLines) -> None:
    """It may come from a clock that is ahead of this one."""
    make_client(Scenario(0), history=True, check_cost=3, **LONG).wait(submitted_at=time.time() + 3)

    assert checked_at(lines) == [3]


@pytest.mark.parametrize("off", [7200, 500, -40 * 86400, -1e9])
def test_an_implausible_submitted_at_is_ignored(off: float, make_client: MakeClient, lines: LogLines) -> None:
    """Such as one of another time zone, or an empty date. The job is checked at once, and not recorded."""
    history = DurationHistory()
    client = make_client(Scenario(20), history=history, check_cost=3, **LONG)
    client.wait(submitted_at=max(time.time() + off, 0))

    assert checked_at(lines) == [0, 3, 12, 27]
    assert history.jobs("reference") == []


def test_the_submitted_at_argument_overrides_that_of_the_job(make_client: MakeClient, lines: LogLines) -> None:
    """By the argument, the job is a second older."""
    make_client(Scenario(0), history=True, check_cost=3, **LONG).wait(submitted(), submitted_at=time.time() - 1)

    assert checked_at(lines) == [2]


def test_the_first_sleep_ends_before_the_deadline(make_client: MakeClient, lines: LogLines) -> None:
    """A last check is made before the deadline, as in any wait."""
    client = make_client(Scenario(100), history=past(*STEADY), check_cost=3, timeout=30)
    with pytest.raises(WaitTimeout):
        client.wait(submit(client))

    assert checked_at(lines) == [29.75]
    assert [line["reason"] for line in lines.of("sleeping")] == ["deadline"]


def test_the_first_sleep_can_be_cancelled(make_client: MakeClient, clock: Clock, lines: LogLines) -> None:
    """No request is sent then."""
    cancel = threading.Event()
    client = make_client(Scenario(100), history=True, check_cost=3, sleep=lambda _: cancel.set(), **LONG)
    with pytest.raises(WaitCancelled):
        client.wait(submitted(), cancel=cancel)

    assert checked_at(lines) == []


def test_no_gap_is_longer_than_max_lag(make_client: MakeClient, lines: LogLines) -> None:
    """Nor is the sleep before the first check."""
    client = make_client(Scenario(100), history=past(*STEADY), check_cost=30, max_lag=8, **LONG)
    client.wait(submit(client))

    checks = [0.0, *checked_at(lines)]
    assert all(0 < after - before <= 8.001 for before, after in pairwise(checks))


def test_retry_after_lengthens_a_sleep_of_the_schedule(make_client: MakeClient, clock: Clock, lines: LogLines) -> None:
    """It takes precedence over the schedule."""
    client = a_client(lambda _: response(retry_after="20"), clock, history=True, check_cost=3, timeout=60)
    with pytest.raises(WaitTimeout):
        client.wait(submitted())

    assert checked_at(lines)[:3] == [3, 23, 43]
    assert [line["reason"] for line in lines.of("sleeping")][1:3] == ["retry_after", "retry_after"]


def a_client(respond: Any, clock: Clock, **arguments: Any) -> VideoTranslationClient:
    session = requests.Session()
    session.mount("http://", FunctionAdapter(respond))
    usual = {"session": session, "sleep": clock.tick, "max_retries": 1000}
    return VideoTranslationClient(BASE_URL, **{**usual, **arguments})


def a_service(clock: Clock, duration: float, **fields: Any) -> Any:
    """Return a function that responds with a status, pending for `duration` seconds, and with functions of the age."""
    began = time.time()

    def respond(_: requests.PreparedRequest) -> requests.Response:
        age = time.time() - began
        body = {"result": "pending" if age < duration else "completed"}
        body |= {name: value(age) for name, value in fields.items()}
        return response(body=json.dumps(body).encode())

    return respond


def test_reported_progress_overrides_the_history(clock: Clock, lines: LogLines) -> None:
    """Two hundred past jobs took a minute. After a minute, this one reports a progress of a tenth."""
    respond = a_service(clock, 600, progress=lambda age: min(age / 600, 1))
    job = a_client(respond, clock, history=past(*STEADY * 4), check_cost=3, timeout=3600).wait(submitted())

    assert job.elapsed < 660
    assert len(checked_at(lines)) < 12
    without = len(list(make_schedule(None, Objective(3, None)).checks(600)))
    assert len(checked_at(lines)) < without


def test_progress_of_a_job_of_unknown_age_counts_from_the_first_check(clock: Clock, lines: LogLines) -> None:
    """A job that is half done at its first check did not begin then."""
    began = time.time() - 300
    respond = a_service(clock, 300, progress=lambda _: (time.time() - began) / 600)
    job = a_client(respond, clock, history=True, check_cost=3, timeout=3600).wait("job-1")

    assert 300 <= job.elapsed < 330
    assert len(checked_at(lines)) < 13


@pytest.mark.parametrize("progress", [0, 1, -1, 7, "half", None, math.nan])
def test_an_uninformative_progress_does_not_change_the_schedule(clock: Clock, lines: LogLines, progress: Any) -> None:
    """At 0 or 1, out of range, or no number."""
    respond = a_service(clock, 40, progress=lambda _: progress)
    a_client(respond, clock, history=True, check_cost=3, timeout=3600).wait(submitted())

    assert checked_at(lines) == [3, 12, 27, 48]


def test_the_finish_time_announced_by_the_service_is_waited_for(clock: Clock, lines: LogLines) -> None:
    """From the first response that has it, whatever the durations of past jobs."""
    due = datetime.now(timezone.utc) + timedelta(seconds=300)
    respond = a_service(clock, 300, finished_at=lambda _: due.isoformat().replace("+00:00", "Z"))
    job = a_client(respond, clock, history=past(*STEADY), check_cost=3, timeout=3600).wait(submitted())

    first, *others = checked_at(lines)
    assert first < 70
    assert others[0] > 200
    assert job.elapsed < 340


def test_expected_seconds_of_a_submitted_job_set_the_schedule(make_client: MakeClient, lines: LogLines) -> None:
    """With an empty history."""
    client = make_client(Scenario(500), history=True, check_cost=30, **LONG)
    client.wait(submit(client, expected_seconds=500))

    assert 200 < checked_at(lines)[0] < 600
    assert len(checked_at(lines)) <= 4


def test_expected_seconds_of_a_submitted_job_override_the_history(make_client: MakeClient, lines: LogLines) -> None:
    """Past jobs took a minute, this one is expected to take 500 s."""
    client = make_client(Scenario(500), history=past(*STEADY), check_cost=30, **LONG)
    client.wait(submit(client, expected_seconds=500))

    assert checked_at(lines)[0] > 200
    assert len(checked_at(lines)) <= 4


def test_expected_seconds_in_a_response_set_the_schedule_from_then_on(clock: Clock, lines: LogLines) -> None:
    """They are also an attribute of the job, and recorded in the history."""
    history = DurationHistory()
    respond = a_service(clock, 500, expected_seconds=lambda _: 500)
    job = a_client(respond, clock, history=history, check_cost=3, timeout=3600).wait(submitted())

    assert checked_at(lines)[0] == 3
    assert checked_at(lines)[1] > 100
    assert job.expected_seconds == 500
    assert history.jobs("reference")[0].expected_seconds == 500


def test_a_constant_error_of_expected_seconds_is_corrected(make_client: MakeClient, lines: LogLines) -> None:
    """Past jobs took twice as long as estimated."""
    history = DurationHistory()
    for number in range(40):
        history.add("reference", Observation(100 + number, 100 + number, expected_seconds=50 + number / 2))
    client = make_client(Scenario(200), history=history, check_cost=3, **LONG)
    client.wait(submit(client, expected_seconds=100))

    assert len(checked_at(lines)) <= 3
    assert 195 < checked_at(lines)[-1] < 220


def test_the_age_is_taken_from_the_first_response_with_created_at(clock: Clock, lines: LogLines) -> None:
    """From then on the schedule counts from that age, and the job is recorded."""
    history = past(*STEADY)
    created = time.time() - 30
    respond = a_service(clock, 30, created_at=lambda _: created)
    job = a_client(respond, clock, history=history, check_cost=3, timeout=3600).wait("job-1")

    assert checked_at(lines)[0] == 0
    assert 30 <= checked_at(lines)[1] <= 35
    assert job.submitted_at == created
    learned = history.jobs("reference")[-1]
    assert learned.entered == learned.pending_until == 30


@pytest.mark.parametrize("is_argument", [True, False], ids=["argument", "job"])
def test_submitted_at_of_the_caller_overrides_created_at_of_the_service(is_argument: bool, clock: Clock) -> None:
    """The caller may have submitted the job long before the service began with it."""
    mine = time.time() - 400
    client = a_client(a_service(clock, 30, created_at=lambda _: mine + 395), clock, history=True, check_cost=3, **LONG)
    if is_argument:
        done = client.wait("job-1", submitted_at=mine)
    else:
        done = client.wait(submitted("job-1", submitted_at=mine))

    assert done.submitted_at == mine


def test_times_of_a_server_whose_clock_is_off_are_corrected_by_its_date_header(clock: Clock, lines: LogLines) -> None:
    """On a clock that is an hour ahead, neither `created_at` nor `finished_at` is in the future."""
    ahead = time.time() + 3600
    date = datetime.fromtimestamp(ahead, timezone.utc).strftime("%a, %d %b %Y %H:%M:%S GMT")
    body = json.dumps({"result": "completed", "created_at": ahead - 30, "finished_at": ahead - 10}).encode()
    job = a_client(lambda _: response(body=body, date=date), clock, history=True, check_cost=3).wait("job-1")

    assert (job.submitted_at, job.finished_at) == pytest.approx((time.time() - 30, time.time() - 10), abs=1, rel=0)


def test_a_job_that_is_already_final_is_checked_at_once_and_not_recorded(clock: Clock, lines: LogLines) -> None:
    """The time of its end is unknown."""
    history = past(*STEADY)
    known = learned_in(history)
    done = Job("job-1", TranslationStatus.COMPLETED, "completed", submitted_at=time.time() - 5)
    assert a_client(a_service(clock, 0), clock, history=history, check_cost=3).wait(done).status == "completed"

    assert checked_at(lines) == [0]
    assert learned_in(history) == known


def test_the_recorded_end_is_between_the_last_pending_and_first_final_status(make_client: MakeClient) -> None:
    """Nothing else is known of it."""
    history = DurationHistory()
    client = make_client(Scenario(20), history=history, check_cost=3, **LONG)
    client.wait(submit(client))

    assert learned_in(history) == [Observation(12, 27, number=1)]


def test_pending_counts_at_the_request_and_finished_at_the_response(
    make_client: MakeClient, clock: Clock, lines: LogLines
) -> None:
    """The job may have ended while the response was on its way."""
    history = DurationHistory()
    client = make_client(Scenario(20), history=history, check_cost=3, **LONG)
    transport: Any = client._transport
    send = transport._session._session.send

    def slow_send(*arguments: Any, **more: Any) -> Any:
        received = send(*arguments, **more)
        clock.tick(2)
        return received

    transport._session._session.send = slow_send
    client.wait(submit(client))

    second, third = checked_at(lines)[1:]
    [learned] = history.jobs("reference")
    assert (learned.pending_until, learned.finished_by) == pytest.approx((second - 2, third), abs=0.001)


def test_a_wait_that_timed_out_is_recorded_as_censored(make_client: MakeClient) -> None:
    """The job took longer than until the last check."""
    history = DurationHistory()
    client = make_client(Scenario(100), history=history, check_cost=3, timeout=30)
    with pytest.raises(WaitTimeout):
        client.wait(submit(client))

    assert learned_in(history) == [Observation(29.75, None, number=1)]


def test_a_closed_watch_is_recorded_as_censored(make_client: MakeClient) -> None:
    """It is closed after two checks, which found the job pending."""
    history = DurationHistory()
    client = make_client(Scenario(100), history=history, check_cost=3, **LONG)
    watching = client.watch(submit(client))
    assert (next(watching).elapsed, next(watching).elapsed) == (3, 12)
    watching.close()  # type: ignore[attr-defined]  # a generator, as every iterator that is one

    assert learned_in(history) == [Observation(12, None, number=1)]


def test_a_job_first_checked_late_is_recorded_with_delayed_entry(make_client: MakeClient, clock: Clock) -> None:
    """It would not have been recorded if it had finished before."""
    history = past(*STEADY)
    client = make_client(Scenario(100), history=history, check_cost=3, **LONG)
    client.check()
    clock.tick(90)
    client.wait(submitted_at=time.time() - 90)

    learned = history.jobs("reference")[-1]
    assert learned.entered == 90
    assert 90 <= learned.pending_until < 100 <= (learned.finished_by or 0) < 150


def test_a_job_already_finished_at_a_late_first_check_is_not_recorded(make_client: MakeClient) -> None:
    """It only shows that the check came late."""
    history = past(*STEADY)
    make_client(Scenario(0), history=history, check_cost=3, **LONG).wait(submitted_at=time.time() - 4000)

    assert len(history.jobs("reference")) == len(STEADY)


def test_a_job_finished_at_the_first_scheduled_check_is_recorded(make_client: MakeClient) -> None:
    """The time of that check does not depend on the job."""
    history = past(*STEADY)
    client = make_client(Scenario(50), history=history, check_cost=3, **LONG)
    client.wait(submit(client))

    learned = history.jobs("reference")[-1]
    assert (learned.entered, learned.pending_until) == (0, 0)
    assert 50 < (learned.finished_by or 0) < 70


def test_two_waits_for_the_same_job_are_recorded_as_one_observation(make_client: MakeClient) -> None:
    """It keeps the entry of the first wait, which is the start of the job."""
    history = DurationHistory()
    client = make_client(Scenario(50), history=history, check_cost=3, max_retries=1000)
    job = submit(client)
    with pytest.raises(WaitTimeout):
        client.wait(job, timeout=30)
    assert learned_in(history) == [Observation(29.75, None, number=1)]
    client.wait(job, timeout=100)

    [learned] = history.jobs("reference")
    assert (learned.entered, learned.pending_until) == (0, 29.75)
    assert 50 <= (learned.finished_by or 0) < 60


def test_a_finished_job_is_checked_at_once_and_not_recorded_again(make_client: MakeClient, lines: LogLines) -> None:
    """Both by its `Job` and by its id."""
    history = DurationHistory()
    client = make_client(Scenario(20), history=history, check_cost=3, **LONG)
    done = client.wait(submit(client))
    lines.clear()
    client.wait(done)
    client.wait(done.id, submitted_at=done.submitted_at)

    assert checked_at(lines) == [0, 0]
    assert len(history.jobs("reference")) == 1


def test_a_progress_that_stays_near_1_does_not_cause_rapid_checks(clock: Clock, lines: LogLines) -> None:
    """The least gap grows with each estimate that was used."""
    respond = a_service(clock, 600, progress=lambda _: 0.9999999)
    a_client(respond, clock, history=True, check_cost=3, timeout=3600).wait(submitted_at=time.time() - 600)

    assert len(checked_at(lines)) < 70
    gaps = [line["sleep_seconds"] for line in lines.of("sleeping")]
    assert gaps[:3] == [0.3, 0.6, 0.9]


def test_jitter_adds_few_checks(clock: Clock) -> None:
    """Jitter adds a third of a per cent, and no check is repeated because it came a little early."""
    durations = [math.exp(6 + number % 20 / 10) for number in range(200)]
    checks = {
        is_spread: sum(
            len(polled(wait_learned(durations, check_cost=1, jitter=0.1 * is_spread), clock, duration))
            for duration in durations[:60]
        )
        for is_spread in (False, True)
    }

    assert checks[True] < 1.1 * checks[False]


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
def test_a_cancelled_or_interrupted_wait_does_not_wait_for_the_history_lock(
    ends: str, patience: float, make_client: MakeClient, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process may be writing for long. A wait that ends otherwise waits for `RECORD_TIMEOUT_SECONDS`."""
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
    watching = client.watch(submit(client), timeout=60 if ends == "finishes" else None, cancel=cancel)
    with suppress(WaitTimeout, WaitCancelled, KeyboardInterrupt):
        for _ in watching:
            if ends == "is dropped":
                break
    watching.close()  # type: ignore[attr-defined]  # a generator, as every iterator that is one

    assert patiences == [patience]


def test_a_duration_reported_by_the_service_is_recorded_exactly(clock: Clock, tmp_path: Path) -> None:
    """Azure reports when an iteration was created, and when its status last changed."""
    history = DurationHistory(tmp_path / "durations.sqlite")
    setup = ClientSetup(clock, "azure", Scenario(61.5), history=history, check_cost=3)
    setup.finished()

    [learned] = history.jobs("azure")
    assert learned.pending_until == learned.finished_by == pytest.approx(61.5, abs=0.01)


@pytest.mark.parametrize(
    ("service", "knows"), [("heygen", True), ("elevenlabs", True), ("azure", True), ("reference", False)]
)
def test_a_job_known_by_its_id_is_recorded_if_the_service_reports_its_start(
    service: str, knows: bool, clock: Clock
) -> None:
    """The caller passes no `submitted_at`."""
    history = DurationHistory()
    setup = ClientSetup(clock, service, Scenario(30), history=history, check_cost=3)
    setup.client.wait(setup.submit().id)

    assert len(history.jobs(service)) == knows


@pytest.mark.parametrize("service", ["heygen", "elevenlabs", "azure", "reference"])
def test_submitted_jobs_of_every_service_need_fewer_checks_over_time(
    service: str, clock: Clock, lines: LogLines
) -> None:
    """After twenty jobs of about a minute, two checks are enough."""
    setup = ClientSetup(clock, service, Scenario((58, 62), seed=1), history=True, check_cost=3)
    checks = []
    for _ in range(20):
        lines.clear()
        setup.finished()
        checks.append(len(lines.of("status_checked")))

    assert sum(checks[-5:]) < sum(checks[:5])
    assert max(checks[-5:]) <= 2


def test_a_schedule_is_cached_until_the_history_changes(
    make_client: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is computed once for all waits for such jobs."""
    made: list[Any] = []

    def counted(*arguments: Any) -> CheckSchedule:
        made.append(arguments)
        return make_schedule(*arguments)

    monkeypatch.setattr(planner, "make_schedule", counted)
    history = past(*STEADY)
    client = make_client(Scenario(200), history=history, check_cost=3, timeout=40)
    for _ in range(3):
        with pytest.raises(WaitTimeout):
            client.wait()  # of unknown age, so that nothing is recorded
    assert len(made) == 1

    history.record(60, service="reference")
    with pytest.raises(WaitTimeout):
        client.wait()
    assert len(made) == 2


def test_each_kind_has_a_schedule_of_its_own(make_client: MakeClient, lines: LogLines) -> None:
    """Past jobs of the one kind took ten times as long as those of the other."""
    history = past(*STEADY, kind="es")
    for seconds in STEADY:
        history.record(10 * seconds, kind="ja", service="reference")
    client = make_client(Scenario(0), history=history, check_cost=60, **LONG)
    for key in ("es", "ja", "es"):
        client.wait(submit(client), kind=key)

    first, other, again = checked_at(lines)
    assert first == pytest.approx(again, rel=0.05)
    assert 55 < first < 70
    assert 400 < other < 700


def test_the_schedule_scales_with_the_video_length(make_client: MakeClient, lines: LogLines) -> None:
    """As learned from the lengths of past videos."""
    history = DurationHistory()
    for number in range(40):
        history.record((2 + number % 3 / 10) * (30 + number), video_seconds=30 + number, service="reference")
    checks = []
    for length in (40, 400):
        lines.clear()
        client = make_client(Scenario(2.1 * length), history=history, check_cost=3, **LONG)
        client.wait(submit(client), video_seconds=length)
        checks.append(checked_at(lines))

    (short, *_), (long, *later) = checks
    assert 70 < short < 90
    assert 300 < long < 900
    assert len(later) <= 4


def test_the_history_of_one_service_does_not_affect_another(clock: Clock, lines: LogLines) -> None:
    """They only share the `DurationHistory`."""
    setup = ClientSetup(clock, "heygen", Scenario(0), history=past(*STEADY), check_cost=3)
    setup.finished()

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
def test_a_history_that_fails_during_a_wait_is_logged_as_a_warning(
    breaks: Any, make_client: MakeClient, lines: LogLines, tmp_path: Path
) -> None:
    """The wait continues until the job is finished."""
    path = tmp_path / "durations.sqlite"
    client = make_client(Scenario(20), history=path, check_cost=3, timeout=60, max_retries=100)
    watching = client.watch(submit(client))
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


def test_jitter_spreads_the_first_checks(make_client: MakeClient, lines: LogLines) -> None:
    """By up to half a gap."""
    client = make_client(Scenario(61), history=past(*STEADY), check_cost=3, jitter=0.1, **LONG)
    for _ in range(40):
        client.wait(submit(client))

    firsts = [line["elapsed_seconds"] for line in lines.of("status_checked") if line["attempt"] == 1]
    assert len(set(firsts)) > 30
    assert 1 < max(firsts) - min(firsts) < 20


def test_jitter_makes_gaps_up_to_a_tenth_longer_or_shorter(make_client: MakeClient, lines: LogLines) -> None:
    """Each gap counts from the check before."""
    make_client(Scenario(900), history=True, target_lag=10, jitter=0.1, **LONG).wait(submitted_at=time.time() - 1)

    gaps = [line["sleep_seconds"] for line in lines.of("sleeping")][1:]
    assert all(17.999 <= gap <= 22.001 for gap in gaps)
    assert len(set(gaps)) > 20


def test_jitter_does_not_use_the_global_random_generator(make_client: MakeClient) -> None:
    """A seeded run of the caller stays the same."""
    import random

    random.seed(1)
    state = random.getstate()
    client = make_client(Scenario(50), history=True, check_cost=3, jitter=0.1, **LONG)
    client.wait(submit(client))

    assert random.getstate() == state


def test_job_features_are_accepted_without_a_history(make_client: MakeClient, lines: LogLines) -> None:
    """The backoff ignores them."""
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


@pytest.mark.parametrize(("arguments", "error", "message"), BAD)
def test_invalid_schedule_arguments_are_rejected_when_the_client_is_created(
    arguments: dict[str, Any], error: type[Exception], message: str
) -> None:
    """The message names the argument."""
    with pytest.raises(error, match=message):
        VideoTranslationClient(BASE_URL, **arguments)


@pytest.mark.parametrize("learns", [True, False])
@pytest.mark.parametrize(
    ("features", "error"),
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
def test_invalid_job_features_are_rejected_before_any_request(
    features: dict[str, Any], error: type[Exception], learns: bool, make_client: MakeClient, lines: LogLines
) -> None:
    """Also without a history, where they are not used."""
    client = make_client(Scenario(0), **({"history": True, "check_cost": 3} if learns else {}))
    for call in (client.wait, client.get_status, client.watch):
        with pytest.raises(error, match=next(iter(features))):
            call(**features)

    assert lines == []


def test_without_a_history_the_wait_uses_the_backoff(make_client: MakeClient, lines: LogLines) -> None:
    """A `history` of None or False means none."""
    client = make_client(Scenario(5), history=None)
    client.wait(submit(client))
    client = make_client(Scenario(5), history=False)
    client.wait(submit(client))

    assert checked_at(lines) == [0, 2, 6] * 2


def _tick(clock: Clock, seconds: float) -> None:
    clock.tick(seconds)


def polled(strategy: Any, clock: Clock, duration: float) -> list[float]:
    """Return when a user's function, decorated with `tenacity.retry`, is called until the job is finished."""
    began, called_at = time.monotonic(), list[float]()

    @tenacity.retry(
        wait=strategy,
        retry=tenacity.retry_if_result(lambda done: not done),
        sleep=lambda seconds: _tick(clock, seconds),
    )
    def poll() -> bool:
        called_at.append(time.monotonic() - began)
        return called_at[-1] >= duration

    poll()
    return [round(moment, 6) for moment in called_at]


def test_wait_learned_is_a_wait_strategy_for_tenacity(clock: Clock) -> None:
    """The first check is made at once, as tenacity does, and the others by the schedule."""
    assert polled(wait_learned(check_cost=3), clock, 40) == [0, 3, 12, 27, 48]
    assert polled(wait_learned(target_lag=5), clock, 25) == [0, 10, 20, 30]
    assert polled(wait_learned(check_cost=3, max_lag=10), clock, 40) == [0, 3, 12, 22, 32, 42]


def test_wait_learned_accepts_durations_a_history_or_a_path(clock: Clock, tmp_path: Path) -> None:
    """A history that has grown is read again."""
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


def test_wait_learned_counts_from_the_age_of_the_job(clock: Clock) -> None:
    """The job may have begun before the function is called."""
    assert polled(wait_learned(check_cost=3, age=3), clock, 20) == [0, 9, 24]


def test_a_client_accepts_wait_learned_as_its_wait_strategy(make_client: MakeClient, lines: LogLines) -> None:
    """The first check is made at once."""
    make_client(Scenario(20), wait=wait_learned(check_cost=3), **LONG).wait()

    assert checked_at(lines) == [0, 3, 12, 27]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({}, ValueError, "exactly one"),
        ({"check_cost": 0}, ValueError, "check_cost"),
        ({"check_cost": 1, "age": -1}, ValueError, "age"),
        ({"check_cost": 1, "history": [1, -2]}, ValueError, "durations"),
        ({"check_cost": 1, "history": ["60"]}, TypeError, "durations"),
        ({"check_cost": 1, "history": 60}, TypeError, "history"),
        ({"check_cost": 1, "video_seconds": 0}, ValueError, "video_seconds"),
        ({"check_cost": 1, "kind": 1}, TypeError, "kind must be"),
        ({"check_cost": 1, "jitter": "yes"}, TypeError, "jitter"),
    ],
)
def test_invalid_arguments_of_wait_learned_are_rejected(arguments: Any, error: type[Exception], message: str) -> None:
    """When the strategy is created."""
    with pytest.raises(error, match=message):
        wait_learned(**arguments)


def test_a_fault_does_not_use_up_a_scheduled_check(make_client: MakeClient, lines: LogLines) -> None:
    """The request is retried, and the schedule continues from the response."""
    scenario = Scenario(40, faults=(Fault(nth=2, status_code=503),))
    client = make_client(scenario, history=True, check_cost=3, **LONG)
    client.wait(submit(client))

    checks = checked_at(lines)
    assert checks[0] == 3
    assert 12.3 < checks[1] < 12.7
    assert len(checks) == 4


@pytest.mark.parametrize("value", [1e-300, 1e300, 1e-9, 1e12, 5e-324])
@pytest.mark.parametrize("name", ["expected_seconds", "progress", "finished_at", "created_at"])
def test_extreme_numbers_in_a_response_do_not_end_the_wait(
    name: str, value: float, clock: Clock, lines: LogLines
) -> None:
    """No computation with them raises."""
    respond = a_service(clock, 20, **{name: lambda _: value})
    client = a_client(respond, clock, history=past(*STEADY), check_cost=3, timeout=1000)

    assert client.wait(submitted()).status == "completed"
    assert client.wait("job-1").status == "completed"


@pytest.mark.parametrize("length", [1e-300, 1e300])
def test_extreme_video_lengths_do_not_end_the_wait(length: float, make_client: MakeClient) -> None:
    """Neither this wait, nor the next one, whose history has such a length."""
    history = DurationHistory()
    for number in range(20):
        history.record(60 + number, video_seconds=30 + number, service="reference")
    client = make_client(Scenario(20), history=history, check_cost=3, **LONG)

    assert client.wait(submit(client), video_seconds=length).status == "completed"
    assert client.wait(submit(client), video_seconds=95).status == "completed"


def test_jittered_gaps_are_no_longer_than_max_lag(make_client: MakeClient, lines: LogLines) -> None:
    """By the target lag alone, the gaps would be 200 s."""
    client = make_client(Scenario(300), history=True, target_lag=100, max_lag=10, jitter=0.1, **LONG)
    client.wait(submitted_at=time.time() - 1)

    assert all(line["sleep_seconds"] <= 10.001 for line in lines.of("sleeping"))
