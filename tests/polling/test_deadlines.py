"""The times of the checks and the end of a wait, by its deadline, retries and faults, on frozen time."""

import math
import time
from typing import Any

import pytest
import tenacity
from support.fixtures import Clock, LogLines, MakeClient

from fake_server import Fault, Scenario
from translation_client import RequestFailed, RetriesExhausted, TranslationStatus, WaitTimeout, _models
from translation_client._auth.redactor import Redactor
from translation_client._config import RANDOM
from translation_client._polling import (
    CallState,
    limited_sleep,
    retry_after_reaches_deadline,
    stop_on_long_retry_after,
)

SEED: dict[str, Any] = {"max_retries": 10, "backoff_factor": 2, "timeout": 30}


def checked_at(lines: LogLines) -> list[float]:
    return [line["elapsed_seconds"] for line in lines.of("status_checked")]


def test_backoff_factor_2_and_timeout_30_check_at_0_2_6_14_and_29_75_s(
    make_client: MakeClient, lines: LogLines
) -> None:
    """The last sleep is shortened so that the last check gets its response by the deadline."""
    with pytest.raises(WaitTimeout):
        make_client(Scenario(100), **SEED).get_status()

    assert checked_at(lines) == [0, 2, 6, 14, 29.75]
    assert [line["reason"] for line in lines.of("sleeping")] == ["backoff"] * 3 + ["deadline"]


def test_a_job_that_completes_1_s_before_the_deadline_is_reported_completed(make_client: MakeClient) -> None:
    """The last check is after the job has completed."""
    assert make_client(Scenario(29), **SEED).get_status() is TranslationStatus.COMPLETED


def test_the_reference_service_checks_by_default_at_0_2_6_14_and_29_75_s(
    make_client: MakeClient, lines: LogLines
) -> None:
    """An argument that is `None` has the default of the service."""
    with pytest.raises(WaitTimeout):
        make_client(Scenario(100)).get_status()

    assert checked_at(lines) == [0, 2, 6, 14, 29.75]


@pytest.mark.parametrize("timeout", [0.2, 1, 3, 7.3, 12.345678, 61.1])
def test_the_last_check_is_at_most_a_quarter_second_before_any_deadline(
    make_client: MakeClient, lines: LogLines, timeout: float
) -> None:
    """Also if the timeout is no round number, or shorter than the first sleep."""
    with pytest.raises(WaitTimeout) as caught:
        make_client(Scenario(1000), timeout=timeout).wait()

    lead = timeout - checked_at(lines)[-1]
    assert 0 < lead <= 0.2501
    assert caught.value.elapsed <= timeout


def test_the_last_check_starts_earlier_by_twice_the_slowest_response_time(
    make_client: MakeClient, clock: Clock, lines: LogLines
) -> None:
    """It starts early enough to get its response by the deadline."""
    client = make_client(Scenario(1000), timeout=30)
    transport: Any = client._transport
    send = transport._session._session.send

    def slow_send(*arguments: Any, **more: Any) -> Any:
        clock.tick(1.5)
        return send(*arguments, **more)

    transport._session._session.send = slow_send
    with pytest.raises(WaitTimeout):
        client.wait()

    assert checked_at(lines)[-1] == 30 - 0.25 - 2 * 1.5 + 1.5


@pytest.mark.parametrize(("first", "timeout"), [(9, 30), (1.7, 5)])
def test_one_slow_response_does_not_end_a_wait_early(
    make_client: MakeClient, clock: Clock, lines: LogLines, first: float, timeout: float
) -> None:
    """After a slow first response, as at a cold start, the last check is still at most 2 s before the deadline."""
    client = make_client(Scenario(1000), timeout=timeout)
    transport: Any = client._transport
    send = transport._session._session.send
    took = iter([first])

    def slow_send(*arguments: Any, **more: Any) -> Any:
        clock.tick(next(took, 0.0))
        return send(*arguments, **more)

    transport._session._session.send = slow_send
    with pytest.raises(WaitTimeout):
        client.wait()

    assert checked_at(lines)[-1] >= timeout - 2


def test_a_slow_fault_does_not_end_a_wait_early(make_client: MakeClient, clock: Clock) -> None:
    """The next attempt completes the wait."""
    client = make_client(Scenario(2, faults=(Fault(nth=1, status_code=503),)), timeout=5)
    transport: Any = client._transport
    send = transport._session._session.send
    took = iter([1.7])

    def slow_send(*arguments: Any, **more: Any) -> Any:
        clock.tick(next(took, 0.0))
        return send(*arguments, **more)

    transport._session._session.send = slow_send
    assert client.get_status() == "completed"


def test_max_retries_of_2_is_3_checks(make_client: MakeClient, lines: LogLines) -> None:
    """The first check is no retry."""
    with pytest.raises(RetriesExhausted) as caught:
        make_client(Scenario(100), max_retries=2).wait()

    assert checked_at(lines) == [0, 2, 6]
    assert (caught.value.checks, caught.value.attempts) == (3, 3)


def test_max_retries_of_0_is_1_check(make_client: MakeClient, lines: LogLines) -> None:
    """0 is not taken for a missing argument."""
    with pytest.raises(RetriesExhausted, match="still 'pending' when the retries were used up") as caught:
        make_client(Scenario(100), max_retries=0).wait()

    assert checked_at(lines) == [0]
    assert (caught.value.checks, caught.value.attempts) == (1, 1)


def test_a_wait_with_infinite_limits_continues_until_the_job_ends(make_client: MakeClient, lines: LogLines) -> None:
    """No limit is `math.inf`. The longest sleep is 60 s."""
    job = make_client(Scenario(9000), timeout=math.inf, max_retries=math.inf).wait()

    assert job.status is TranslationStatus.COMPLETED
    assert max(line["sleep_seconds"] for line in lines.of("sleeping")) == 60


def test_jitter_varies_the_sleeps_at_the_cap_and_never_exceeds_it(make_client: MakeClient, lines: LogLines) -> None:
    """The sleeps of other libraries end in lock-step at the cap."""
    make_client(Scenario(2000), timeout=math.inf, max_retries=math.inf, max_delay=20, jitter=0.5).wait()

    at_the_cap = [line["sleep_seconds"] for line in lines.of("sleeping")][5:]
    assert len(set(at_the_cap)) > len(at_the_cap) / 2
    assert all(10 <= seconds <= 20 for seconds in at_the_cap)


@pytest.mark.parametrize(
    "wait",
    [
        tenacity.wait_fixed(3),
        tenacity.wait_chain(tenacity.wait_fixed(3), tenacity.wait_fixed(3)),
        tenacity.wait_incrementing(start=3, increment=0),
        tenacity.wait_fixed(1) + tenacity.wait_fixed(2),
        tenacity.wait_random(3, 3),
        lambda state: 3,
    ],
)
def test_any_tenacity_wait_strategy_replaces_the_backoff(make_client: MakeClient, lines: LogLines, wait: Any) -> None:
    """The reason of its sleeps in the log is "schedule"."""
    make_client(Scenario(8), wait=wait).wait()

    assert checked_at(lines) == [0, 3, 6, 9]
    assert {line["reason"] for line in lines.of("sleeping")} == {"schedule"}


@pytest.mark.parametrize(
    "stop",
    [
        tenacity.stop_after_attempt(3),
        tenacity.stop_after_attempt(9) | tenacity.stop_after_delay(5),
        tenacity.stop_before_delay(7),
        lambda state: state.attempt_number == 3,
    ],
)
def test_any_tenacity_stop_strategy_raises_retries_exhausted(
    make_client: MakeClient, lines: LogLines, stop: Any
) -> None:
    """It applies in addition to the limits of the client."""
    with pytest.raises(RetriesExhausted):
        make_client(Scenario(100), stop=stop).wait()

    assert checked_at(lines) == [0, 2, 6]


def test_stop_never_does_not_remove_the_deadline(make_client: MakeClient) -> None:
    """The caller's stop strategy applies in addition to the limits."""
    with pytest.raises(WaitTimeout):
        make_client(Scenario(100), stop=tenacity.stop_never).wait()


def test_faults_use_no_retries_and_pending_responses_use_no_faults(make_client: MakeClient, lines: LogLines) -> None:
    """With 3 retries, the wait survives two series of four faults between usable responses."""
    faults = tuple(Fault(nth=number, status_code=502) for number in (2, 3, 4, 5, 7, 8, 9, 10))

    job = make_client(Scenario(14, faults=faults), max_retries=3, timeout=100).wait()

    assert job.status is TranslationStatus.COMPLETED
    assert len(lines.of("check_failed")) == 8
    assert job.checks == 3


def test_the_sleeps_after_faults_double_from_half_a_second(make_client: MakeClient, lines: LogLines) -> None:
    """0.5, 1, 2, 4 … s ± 25 %, at most 30 s."""
    with pytest.raises(RequestFailed):
        make_client(Scenario(faults=(Fault(every=1),)), max_faults=9, timeout=1000).wait()

    sleeps = [line["sleep_seconds"] for line in lines.of("check_failed")]
    assert len(sleeps) == 8
    for number, seconds in enumerate(sleeps):
        usual = min(30, 0.5 * 2**number)
        assert 0.749 * usual <= seconds <= min(30, 1.251 * usual)


def test_max_faults_of_1_fails_the_check_at_the_first_fault(make_client: MakeClient) -> None:
    """No request is repeated."""
    with pytest.raises(RequestFailed) as caught:
        make_client(Scenario(faults=(Fault(nth=1),)), max_faults=1).wait()

    assert caught.value.attempts == 1


def test_a_usable_response_resets_the_count_of_faults(make_client: MakeClient) -> None:
    """Only consecutive faults count."""
    faults = tuple(Fault(nth=number) for number in (1, 3, 5, 7))

    assert make_client(Scenario(40, faults=faults), max_faults=2, timeout=100).wait().checks >= 4


def test_faults_until_the_deadline_still_get_a_last_attempt(make_client: MakeClient, lines: LogLines) -> None:
    """The sleep after a fault is shortened as any other. A job that was pending is a timeout, not a failure."""
    with pytest.raises(WaitTimeout) as caught:
        make_client(Scenario(100, faults=(Fault(between=(5, 100)),)), max_faults=99, timeout=20).wait()

    assert caught.value.job is not None
    assert caught.value.seen == {"pending": 2, "HTTP 503": len(lines.of("check_failed")) + 1}
    assert 19.7 < caught.value.elapsed <= 20


def test_the_timeout_of_wait_replaces_that_of_the_client(make_client: MakeClient, lines: LogLines) -> None:
    """The client has 30 s, the wait has 5 s."""
    client = make_client(Scenario(100), timeout=30)

    with pytest.raises(WaitTimeout, match="timeout=5"):
        client.wait(timeout=5)

    assert checked_at(lines) == [0, 2, 4.75]


def test_the_elapsed_time_of_watch_starts_when_it_is_called(make_client: MakeClient, clock: Clock) -> None:
    """As that of `wait` does. It continues while the caller handles a job that was yielded."""
    watching = make_client(Scenario(100), timeout=30).watch()
    clock.tick(10)
    assert next(watching).elapsed == 10
    clock.tick(15)
    assert next(watching).elapsed == 27

    assert next(watching).elapsed == 29.75

    with pytest.raises(WaitTimeout):
        next(watching)


def test_watch_logs_the_same_events_sleeps_and_times_as_wait(
    make_client: MakeClient, lines: LogLines, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the random part of the sleeps after faults. The result has the same status and number of checks."""
    monkeypatch.setattr(RANDOM, "random", lambda: 0.5)
    scenario = Scenario(17, faults=(Fault(nth=2), Fault(nth=4, status_code=429, headers={"Retry-After": "3"})))
    arguments: dict[str, Any] = {"wait": tenacity.wait_exponential(multiplier=1), "timeout": 60}

    def logged() -> list[tuple[Any, ...]]:
        keys = ("event", "reason", "elapsed_seconds", "sleep_seconds")
        return [tuple(line.get(key) for key in keys) for line in lines]

    waited = make_client(scenario, **arguments).wait()
    first = logged()
    lines.clear()
    watched = list(make_client(scenario, **arguments).watch())
    second = logged()

    assert first == second
    assert (watched[-1].status, watched[-1].checks) == (waited.status, waited.checks)
    assert [job.status.is_final for job in watched] == [False] * (len(watched) - 1) + [True]


def test_watch_raises_retries_exhausted_as_wait_does(make_client: MakeClient) -> None:
    """Here after 3 retries."""
    with pytest.raises(RetriesExhausted):
        list(make_client(Scenario(100), max_retries=3).watch())


def test_a_step_of_the_wall_clock_does_not_change_a_wait(
    make_client: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A step by NTP neither ends nor lengthens it."""
    client = make_client(Scenario(10))
    monkeypatch.setattr(time, "time", lambda: 0.0)

    assert client.wait().elapsed == 14


@pytest.mark.parametrize("wait", [tenacity.wait_none(), lambda state: -5, lambda state: -0.1, lambda state: math.nan])
def test_a_zero_negative_or_nan_sleep_is_0_s(make_client: MakeClient, lines: LogLines, wait: Any) -> None:
    """The caller's wait strategy returns it. The retries are used up before the 8 s of the job have passed."""
    with pytest.raises(RetriesExhausted):
        make_client(Scenario(8), wait=wait).wait()

    assert {line["sleep_seconds"] for line in lines.of("sleeping")} == {0}


def _hinting(client: Any, retry_after: str) -> Any:
    session = client._transport._session._session
    session.hooks["response"].append(lambda response, **_: response.headers.update({"Retry-After": retry_after}))
    return client


def test_retry_after_of_a_pending_response_shortens_no_sleep(make_client: MakeClient, lines: LogLines) -> None:
    """The sleep is the longer of `Retry-After` and the backoff."""
    job = _hinting(make_client(Scenario(9)), "2").wait()

    assert job.elapsed == 14
    assert [(line["sleep_seconds"], line["reason"]) for line in lines.of("sleeping")] == [
        (2, "backoff"),
        (4, "backoff"),
        (8, "backoff"),
    ]


def test_retry_after_of_1_s_past_the_deadline_ends_the_wait(make_client: MakeClient) -> None:
    """The wait would sleep past its deadline."""
    fault = Fault(nth=2, status_code=429, headers={"Retry-After": "1"})
    with pytest.raises(WaitTimeout) as caught:
        make_client(Scenario(9, faults=(fault,)), timeout=2.9).wait()

    assert (caught.value.elapsed, caught.value.retry_after) == (2, 1)


@pytest.mark.parametrize("call", ["wait", "watch"])
def test_a_callers_stop_strategy_may_read_idle_for(make_client: MakeClient, lines: LogLines, call: str) -> None:
    """Also in `watch`, which does not run in tenacity's own loop."""
    client = make_client(Scenario(100), stop=lambda state: state.idle_for >= 6)
    with pytest.raises(RetriesExhausted):
        list(client.watch()) if call == "watch" else client.wait()

    assert [line["elapsed_seconds"] for line in lines.of("status_checked")] == [0, 2, 6]


@pytest.mark.parametrize(
    ("hint", "left", "outlasts"),
    [
        (3, 3, True),  # exactly at the deadline: no response could arrive in time
        (3, 3.1, False),
        (0.5, 0.4, True),
        (None, 0.5, False),
        (None, 0, False),
        (0, 0, False),  # 0 counts as no `Retry-After`: the timeout has another cause
    ],
)
def test_a_retry_after_of_the_time_left_or_more_reaches_the_deadline(
    clock: Clock, hint: float | None, left: float, outlasts: bool
) -> None:
    """A `Retry-After` that ends exactly at the deadline reaches it."""
    progress = CallState(None, 10, Redactor([]))
    clock.tick(10 - left)

    assert retry_after_reaches_deadline(progress, _models.Fault("status", "busy", retry_after=hint)) is outlasts


@pytest.mark.parametrize(
    ("retry_after", "left", "is_long"),
    [(4.9, 10, False), (5, 10, True), (29.9, 600, False), (30, 600, True), (30, math.inf, True), (None, 10, False)],
)
def test_half_of_the_time_left_or_30_s_is_a_long_retry_after_of_a_bulk_request(
    clock: Clock, retry_after: float | None, left: float, is_long: bool
) -> None:
    """Whichever is shorter, at the time of the response."""
    state = CallState(None, left + 7, Redactor([]))
    clock.tick(7)
    attempt = tenacity.RetryCallState(None, None, (), {})  # type: ignore[arg-type]  # the strategy reads none of these
    attempt.set_exception((_models.Fault, _models.Fault("status", "busy", retry_after=retry_after), None))

    assert stop_on_long_retry_after(state)(attempt) is is_long


@pytest.mark.parametrize(("seconds", "reason"), [(5, "schedule"), (5.1, "deadline")])
def test_a_sleep_that_ends_at_its_limit_was_not_shortened(seconds: float, reason: str) -> None:
    """Only one that would have been longer has the reason "deadline"."""
    progress = CallState(None, math.inf, Redactor([]))

    assert limited_sleep(progress, seconds, "schedule", max_sleep=5) == 5
    assert progress.sleep_reason == reason
