"""When is asked, and when is it over: the three clocks, on frozen time."""

import math
import time
from typing import Any

import pytest
import tenacity
from support.fixtures import Clock, Lines, MakeClient

from fake_server import Fault, Scenario
from translation_client import RequestFailed, RetriesExhausted, TranslationStatus, WaitTimeout, _models
from translation_client._auth.redactor import Redactor
from translation_client._polling import CallState, retry_after_reaches_deadline

SEED: dict[str, Any] = {"max_retries": 10, "backoff_factor": 2, "timeout": 30}


def checked_at(lines: Lines) -> list[float]:
    return [line["elapsed_seconds"] for line in lines.of("status_checked")]


def test_the_seeds_arguments_check_at_0_2_6_14_and_just_before_30(make_client: MakeClient, lines: Lines) -> None:
    """The last sleep is cut so that the last check is answered by the deadline."""
    with pytest.raises(WaitTimeout):
        make_client(Scenario(100), **SEED).get_status()

    assert checked_at(lines) == [0, 2, 6, 14, 29.75]
    assert [line["reason"] for line in lines.of("sleeping")] == ["backoff"] * 3 + ["deadline"]


def test_a_job_that_finishes_at_29_of_30_seconds_is_reported_finished(make_client: MakeClient) -> None:
    """The last look is not missing."""
    assert make_client(Scenario(29), **SEED).get_status() is TranslationStatus.COMPLETED


def test_the_defaults_of_the_reference_service_are_the_seeds(make_client: MakeClient, lines: Lines) -> None:
    """`None` means the service's own value."""
    with pytest.raises(WaitTimeout):
        make_client(Scenario(100)).get_status()

    assert checked_at(lines) == [0, 2, 6, 14, 29.75]


@pytest.mark.parametrize("timeout", [0.2, 1, 3, 7.3, 12.345678, 61.1])
def test_the_last_check_is_shortly_before_any_deadline(make_client: MakeClient, lines: Lines, timeout: float) -> None:
    """Also where the time-out is no round number, or shorter than the first sleep."""
    with pytest.raises(WaitTimeout) as caught:
        make_client(Scenario(1000), timeout=timeout).wait()

    lead = timeout - checked_at(lines)[-1]
    assert 0 < lead <= 0.2501
    assert caught.value.elapsed <= timeout


def test_a_slow_server_gets_twice_its_slowest_answer_for_the_last_check(
    make_client: MakeClient, clock: Clock, lines: Lines
) -> None:
    """It starts early enough to be answered by the deadline."""
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
def test_one_slow_answer_does_not_end_a_wait_early(
    make_client: MakeClient, clock: Clock, lines: Lines, first: float, timeout: float
) -> None:
    """A cold start, say: the last look still is shortly before the deadline."""
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
    """Neither does one that took long: the faults that are allowed are spent first."""
    client = make_client(Scenario(2, faults=(Fault(nth=1, status_code=503),)), timeout=5)
    transport: Any = client._transport
    send = transport._session._session.send
    took = iter([1.7])

    def slow_send(*arguments: Any, **more: Any) -> Any:
        clock.tick(next(took, 0.0))
        return send(*arguments, **more)

    transport._session._session.send = slow_send
    assert client.get_status() == "completed"


def test_retries_are_counted(make_client: MakeClient, lines: Lines) -> None:
    """`max_retries` retries are one check more."""
    with pytest.raises(RetriesExhausted) as caught:
        make_client(Scenario(100), max_retries=2).wait()

    assert checked_at(lines) == [0, 2, 6]
    assert (caught.value.checks, caught.value.attempts) == (3, 3)


def test_no_retry_is_one_check(make_client: MakeClient) -> None:
    """0 is a number, not "none given"."""
    with pytest.raises(RetriesExhausted, match="still 'pending' when the retries were used up"):
        make_client(Scenario(100), max_retries=0).wait()


def test_without_limits_a_wait_goes_on(make_client: MakeClient, lines: Lines) -> None:
    """`math.inf` has to be written."""
    job = make_client(Scenario(9000), timeout=math.inf, max_retries=math.inf).wait()

    assert job.status is TranslationStatus.COMPLETED
    assert max(line["sleep_seconds"] for line in lines.of("sleeping")) == 60


def test_jitter_moves_the_backoff_and_never_above_the_cap(make_client: MakeClient, lines: Lines) -> None:
    """Also at the cap, where other libraries end in lock-step."""
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
def test_any_tenacity_wait_replaces_the_backoff(make_client: MakeClient, lines: Lines, wait: Any) -> None:
    """And the log says that it was the caller's schedule."""
    make_client(Scenario(8), wait=wait).wait()

    assert checked_at(lines) == [0, 3, 6, 9]
    assert {line["reason"] for line in lines.of("sleeping")} == {"schedule"}


@pytest.mark.parametrize("wait", [tenacity.wait_none(), lambda state: -5, lambda state: math.nan])
def test_a_schedule_that_makes_no_sense_sleeps_for_nothing(make_client: MakeClient, wait: Any) -> None:
    """Not for a negative time."""
    with pytest.raises(RetriesExhausted):
        make_client(Scenario(8), wait=wait).wait()


@pytest.mark.parametrize(
    "stop",
    [
        tenacity.stop_after_attempt(3),
        tenacity.stop_after_attempt(9) | tenacity.stop_after_delay(5),
        tenacity.stop_before_delay(7),
        lambda state: state.attempt_number == 3,
    ],
)
def test_any_tenacity_stop_is_added_to_the_limits(make_client: MakeClient, lines: Lines, stop: Any) -> None:
    """And raises `RetriesExhausted`."""
    with pytest.raises(RetriesExhausted):
        make_client(Scenario(100), stop=stop).wait()

    assert checked_at(lines) == [0, 2, 6]


def test_a_callers_stop_lifts_no_limit(make_client: MakeClient) -> None:
    """It is added."""
    with pytest.raises(WaitTimeout):
        make_client(Scenario(100), stop=tenacity.stop_never).wait()


def test_pending_and_faults_never_wear_each_others_budget(make_client: MakeClient, lines: Lines) -> None:
    """Four faults between two answers spend no retry, and pending answers spend no fault."""
    faults = tuple(Fault(nth=number, status_code=502) for number in (2, 3, 4, 5, 7, 8, 9, 10))

    job = make_client(Scenario(14, faults=faults), max_retries=3, timeout=100).wait()

    assert job.status is TranslationStatus.COMPLETED
    assert len(lines.of("check_failed")) == 8
    assert job.checks == 3


def test_the_sleeps_after_faults_double_from_half_a_second(make_client: MakeClient, lines: Lines) -> None:
    """0.5, 1, 2, 4 … s ± 25 %, at most 30 s."""
    with pytest.raises(RequestFailed):
        make_client(Scenario(faults=(Fault(every=1),)), max_faults=9, timeout=1000).wait()

    sleeps = [line["sleep_seconds"] for line in lines.of("check_failed")]
    assert len(sleeps) == 8
    for number, seconds in enumerate(sleeps):
        usual = min(30, 0.5 * 2**number)
        assert 0.749 * usual <= seconds <= min(30, 1.251 * usual)


def test_the_last_fault_allowed_fails_the_check(make_client: MakeClient) -> None:
    """`max_faults=1` repeats nothing."""
    with pytest.raises(RequestFailed) as caught:
        make_client(Scenario(faults=(Fault(nth=1),)), max_faults=1).wait()

    assert caught.value.attempts == 1


def test_a_usable_answer_resets_the_count_of_faults(make_client: MakeClient) -> None:
    """Consecutive ones count."""
    faults = tuple(Fault(nth=number) for number in (1, 3, 5, 7))

    assert make_client(Scenario(40, faults=faults), max_faults=2, timeout=100).wait().checks >= 4


def test_faults_at_the_end_still_get_a_last_call(make_client: MakeClient, lines: Lines) -> None:
    """The sleep after a fault is cut as any other; the job that was pending is a time-out and not a failure."""
    with pytest.raises(WaitTimeout) as caught:
        make_client(Scenario(100, faults=(Fault(between=(5, 100)),)), max_faults=99, timeout=20).wait()

    assert caught.value.job is not None
    assert caught.value.seen == {"pending": 2, "HTTP 503": len(lines.of("check_failed")) + 1}
    assert 19.7 < caught.value.elapsed <= 20


def test_a_time_out_of_one_wait_replaces_the_clients(make_client: MakeClient, lines: Lines) -> None:
    """For that wait."""
    client = make_client(Scenario(100), timeout=30)

    with pytest.raises(WaitTimeout, match="timeout=5"):
        client.wait(timeout=5)

    assert checked_at(lines) == [0, 2, 4.75]


def test_the_clock_of_a_watch_starts_with_the_call(make_client: MakeClient, clock: Clock) -> None:
    """As that of its twin `wait` does; and it goes on while the caller does something with an answer."""
    watching = make_client(Scenario(100), timeout=30).watch()
    clock.tick(10)
    assert next(watching).elapsed == 10
    clock.tick(15)
    assert next(watching).elapsed == 27

    assert next(watching).elapsed == 29.75

    with pytest.raises(WaitTimeout):
        next(watching)


def test_watch_checks_when_wait_does(make_client: MakeClient, lines: Lines) -> None:
    """One declaration, run in two ways."""
    scenario = Scenario(17, faults=(Fault(nth=2), Fault(nth=4, status_code=429, headers={"Retry-After": "3"})))
    arguments: dict[str, Any] = {"wait": tenacity.wait_exponential(multiplier=1), "timeout": 60}

    waited = make_client(scenario, **arguments).wait()
    first = [(line["event"], line.get("reason")) for line in lines]
    lines.clear()
    watched = list(make_client(scenario, **arguments).watch())
    second = [(line["event"], line.get("reason")) for line in lines]

    assert first == second
    assert (watched[-1].status, watched[-1].checks) == (waited.status, waited.checks)
    assert [job.status.is_final for job in watched] == [False] * (len(watched) - 1) + [True]


def test_watch_stops_where_wait_does(make_client: MakeClient) -> None:
    """With the same error."""
    with pytest.raises(RetriesExhausted):
        list(make_client(Scenario(100), max_retries=3).watch())


def test_the_wall_clock_has_no_say(make_client: MakeClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """A step of NTP neither ends nor lengthens a wait."""
    client = make_client(Scenario(10))
    monkeypatch.setattr(time, "time", lambda: 0.0)

    assert client.wait().elapsed == 14


@pytest.mark.parametrize("wait", [lambda state: -5, lambda state: -0.1, lambda state: math.nan])
def test_a_schedule_that_makes_no_sense_sleeps_for_exactly_nothing(
    make_client: MakeClient, lines: Lines, wait: Any
) -> None:
    """Not for less, either."""
    with pytest.raises(RetriesExhausted):
        make_client(Scenario(8), wait=wait).wait()

    assert {line["sleep_seconds"] for line in lines.of("sleeping")} == {0}


def _hinting(client: Any, retry_after: str) -> Any:
    session = client._transport._session._session
    session.hooks["response"].append(lambda response, **_: response.headers.update({"Retry-After": retry_after}))
    return client


def test_a_hint_on_a_pending_answer_shortens_no_pause(make_client: MakeClient, lines: Lines) -> None:
    """The longer of the two counts."""
    job = _hinting(make_client(Scenario(9)), "2").wait()

    assert job.elapsed == 14
    assert [(line["sleep_seconds"], line["reason"]) for line in lines.of("sleeping")] == [
        (2, "backoff"),
        (4, "backoff"),
        (8, "backoff"),
    ]


def test_a_hint_of_a_second_can_be_past_the_deadline_too(make_client: MakeClient) -> None:
    """The wait would sleep past its deadline."""
    fault = Fault(nth=2, status_code=429, headers={"Retry-After": "1"})
    with pytest.raises(WaitTimeout) as caught:
        make_client(Scenario(9, faults=(fault,)), timeout=2.9).wait()

    assert (caught.value.elapsed, caught.value.retry_after) == (2, 1)


@pytest.mark.parametrize("call", ["wait", "watch"])
def test_a_callers_stop_may_look_at_all_that_tenacity_tells(make_client: MakeClient, lines: Lines, call: str) -> None:
    """In the iteration that is not tenacity's own, too."""
    client = make_client(Scenario(100), stop=lambda state: state.idle_for >= 6)
    with pytest.raises(RetriesExhausted):
        list(client.watch()) if call == "watch" else client.wait()

    assert [line["elapsed_seconds"] for line in lines.of("status_checked")] == [0, 2, 6]


@pytest.mark.parametrize(
    ("hint", "left", "outlasts"),
    [
        (3, 3, True),  # to the moment: nothing could be answered any more
        (3, 3.1, False),
        (0.5, 0.4, True),
        (None, 0.5, False),
        (None, 0, False),
        (0, 0, False),  # no hint at all, and no time left: a time-out that is not the hint's doing
    ],
)
def test_which_hint_outlasts_the_deadline(clock: Clock, hint: float | None, left: float, outlasts: bool) -> None:
    """To the moment."""
    progress = CallState(None, 10, Redactor([]))
    clock.tick(10 - left)

    assert retry_after_reaches_deadline(progress, _models.Fault("status", "busy", retry_after=hint)) is outlasts
