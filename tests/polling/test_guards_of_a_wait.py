"""Each guard of a wait was broken on purpose once; these are the tests that noticed nothing until then."""

from __future__ import annotations

import math
from typing import Any

import pytest
from support.fixtures import Clock, Lines, MakeClient
from tenacity import RetryCallState

from fake_server import Fault as Scripted
from fake_server import Scenario
from translation_client import RequestFailed, RetriesExhausted, TranslationStatus, WaitTimeout
from translation_client._auth.redactor import Redactor
from translation_client._config import RANDOM, PollingPolicy
from translation_client._models import Fault
from translation_client._polling import CallState, fault_of, last_check_delay, retry_after_reaches_deadline


@pytest.mark.parametrize("wait", [lambda state: -5, lambda state: -0.1, lambda state: math.nan])
def test_a_schedule_that_makes_no_sense_sleeps_for_exactly_nothing(
    make_client: MakeClient, lines: Lines, wait: Any
) -> None:
    """Not for less, either."""
    with pytest.raises(RetriesExhausted):
        make_client(Scenario(8), wait=wait).wait()

    assert {line["sleep_seconds"] for line in lines.of("sleeping")} == {0}


@pytest.mark.parametrize(
    ("chance", "part"),
    [(0.0, 0.75), (1.0, 1.25)],
)
def test_the_sleeps_after_faults_at_the_ends_of_their_range(
    make_client: MakeClient, lines: Lines, monkeypatch: pytest.MonkeyPatch, chance: float, part: float
) -> None:
    """A quarter less, a quarter more, and never above the cap."""
    monkeypatch.setattr(RANDOM, "random", lambda: chance)
    with pytest.raises(RequestFailed):
        make_client(Scenario(faults=(Scripted(every=1),)), max_faults=9, timeout=1000).wait()

    sleeps = [line["sleep_seconds"] for line in lines.of("check_failed")]
    assert sleeps == pytest.approx([min(30, part * min(30, 0.5 * 2**number)) for number in range(8)])


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


def test_a_fault_of_the_last_second_still_gets_a_further_call(make_client: MakeClient) -> None:
    """No hint is not a hint of a second."""
    scenario = Scenario(2.2, faults=(Scripted(nth=2, status_code=503),))

    assert make_client(scenario, timeout=2.9).wait().status is TranslationStatus.COMPLETED


def test_a_hint_of_a_second_can_be_past_the_deadline_too(make_client: MakeClient) -> None:
    """The wait would sleep past its deadline."""
    fault = Scripted(nth=2, status_code=429, headers={"Retry-After": "1"})
    with pytest.raises(WaitTimeout) as caught:
        make_client(Scenario(9, faults=(fault,)), timeout=2.9).wait()

    assert (caught.value.elapsed, caught.value.retry_after) == (2, 1)


def test_a_refusal_after_a_fault_fails_at_once_too(make_client: MakeClient) -> None:
    """Tenacity's default would repeat everything."""
    faults = (Scripted(nth=1, status_code=503), Scripted(nth=2, status_code=401))
    with pytest.raises(RequestFailed) as caught:
        make_client(Scenario(9, faults=faults)).wait()

    assert (caught.value.status_code, caught.value.attempts) == (401, 2)


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

    assert retry_after_reaches_deadline(progress, Fault("status", "busy", retry_after=hint)) is outlasts


def test_only_a_call_that_failed_has_a_fault() -> None:
    """A state without one is a mistake of ours."""
    retrying: Any = None
    states = [RetryCallState(retrying, None, (), {}) for _ in range(3)]
    states[1].set_result(7)
    fault = Fault("connection", "broke")
    states[2].set_exception((Fault, fault, None))

    for state in states[:2]:
        with pytest.raises(TypeError, match="not the state of a failed call"):
            fault_of(state)
    assert fault_of(states[2]) is fault


@pytest.mark.parametrize(
    ("left", "timeout", "slowest", "latest", "seconds"),
    [
        (0.2, 0.2, 0, 0, 0.19),  # policy.py:17, MARGIN_FRACTION: a twentieth of a short wait, and not all of it
        (4, 30, 2, 1, 2.75),  # policy.py:88, `left + latest` -> `left - latest`: one call, as late as it can be
        (2.3, 30, 2, 2, 0.05),  # the same: also for a gain that is small
        (3, 30, 9, 2, 0.75),  # policy.py:90, `(2, 1)` -> `(2, 2)`: once fits where twice does not
        (1, 30, 9, 0.5, 0),  # policy.py:91, `> grace` -> `>= grace`: a gain of just the grace is none
    ],
)
def test_when_the_last_check_has_to_start_more(
    left: float, timeout: float, slowest: float, latest: float, seconds: float
) -> None:
    """More rows for test_when_the_last_check_has_to_start."""
    assert last_check_delay(left, timeout, slowest, latest) == pytest.approx(seconds)


def test_a_policy_stays_as_it_was_checked() -> None:
    """It is frozen."""
    policy: Any = PollingPolicy(30, 10, 10, 5, backoff_factor=2, max_delay=60, jitter=0)
    with pytest.raises(AttributeError):
        policy.timeout = -1
