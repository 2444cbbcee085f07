"""The start of the last check before the deadline, for fast and slow servers, on frozen time."""

from __future__ import annotations

import math
from contextlib import suppress

import pytest
import requests
from freezegun import freeze_time
from hypothesis import given, settings
from hypothesis import strategies as st
from support.adapters import BASE_URL
from support.fixtures import Clock, SilentLogger

from fake_server import Fault, InProcessAdapter, Lab, Scenario, create_app
from translation_client import VideoTranslationClient, WaitTimeout
from translation_client._auth.redactor import Redactor
from translation_client._polling import CallState, last_check_delay, seconds_until_last_check


def started_at(timeout: float, backoff_factor: float, *answer_seconds: float) -> list[float]:
    """Return when the checks of a wait for an endless job start. The last of the response times is repeated."""
    *first, steady = answer_seconds
    faults = [Fault(nth=number, action="late", seconds=seconds) for number, seconds in enumerate(first, 1)]
    with freeze_time("2026-11-23T09:00:00") as clock:
        lab = Lab(Scenario(duration=1e6, faults=[*faults, Fault(every=1, action="late", seconds=steady)]))
        session = requests.Session()
        session.mount(BASE_URL, InProcessAdapter(create_app(lab), sleep=clock.tick))
        client = VideoTranslationClient(
            BASE_URL,
            session=session,
            sleep=clock.tick,
            logger=SilentLogger(),
            timeout=timeout,
            backoff_factor=backoff_factor,
            max_retries=10_000,
        )
        with suppress(WaitTimeout):
            client.wait()
    return [arrival.at for arrival in lab.arrivals]


@pytest.mark.exhaustive
@settings(max_examples=100)
@given(st.floats(0, 3), st.floats(1, 60), st.floats(0.05, 30))
def test_the_last_check_is_close_to_the_deadline_for_constant_response_times(
    answer_seconds: float, timeout: float, backoff_factor: float
) -> None:
    """It starts at most 0.25 s and twice the response time before it, without a burst of requests around it."""
    at = started_at(timeout, backoff_factor, answer_seconds)

    assert timeout - at[-1] <= 0.25 + 2 * answer_seconds + 0.002 or len(at) == 1
    grace = min(0.25, 0.05 * timeout)
    assert len([one for one in at if one >= timeout - grace - 3 * answer_seconds]) <= 4


@pytest.mark.exhaustive
@settings(max_examples=100)
@given(st.lists(st.floats(0, 8), min_size=1, max_size=4), st.floats(10, 60))
def test_the_last_check_is_close_to_the_deadline_after_slow_first_responses(slow: list[float], timeout: float) -> None:
    """A cold start costs the time that it takes, and no more."""
    at = started_at(timeout, 1, *slow, 0.01)

    if len(at) > len(slow):
        assert timeout - at[-1] <= 0.6


@pytest.mark.parametrize(
    ("left", "timeout", "slowest", "latest", "seconds"),
    [
        (0.2, 0.2, 0, 0, 0.19),  # the margin is a twentieth of a short wait, not all of it
        (4, 30, 2, 1, 2.75),  # began early enough for twice the slowest: one check, as late as it can be
        (2.3, 30, 2, 2, 0.05),  # the same with a small delay
        (3, 30, 9, 2, 0.75),  # the latest response time fits once, but not twice
        (1, 30, 9, 0.5, 0),  # a delay of exactly the margin is no further check
    ],
)
def test_last_check_delay_follows_each_of_its_conditions(
    left: float, timeout: float, slowest: float, latest: float, seconds: float
) -> None:
    """Further cases of `test_last_check_delay_leaves_time_for_the_response_within_30_s`."""
    assert last_check_delay(left, timeout, slowest, latest) == pytest.approx(seconds)


PART = st.floats(min_value=0, max_value=1)


@given(st.floats(0, 1e6), st.floats(min_value=1e-3, max_value=1e6), st.floats(0, 100), PART)
def test_the_last_check_leads_by_at_most_250_ms_and_twice_the_slowest_response(
    left: float, timeout: float, slowest: float, part: float
) -> None:
    """Unless there is none, it starts early enough for a response as slow as the latest one."""
    latest = slowest * part
    seconds = last_check_delay(left, timeout, slowest, latest)

    assert seconds == 0 or latest <= left - seconds <= 0.25 + 2 * slowest + 1e-6


@pytest.mark.parametrize(
    ("left", "slowest", "latest", "seconds"),
    [
        (30, 0, 0, 29.75),
        (0.25, 0, 0, 0),
        (29.99, 0.01, 0.01, 29.72),
        (0.26, 0.01, 0.01, 0),
        (21, 9, 9, 2.75),  # one slow response: the check that is sure to get its response comes early …
        (18.24, 9, 0.01, 17.97),  # … and is not the last one, if its response was fast
        (3.3, 1.7, 1.7, 1.35),  # no time for twice the slow response, but for once
        (5.25, 5, 5, 0),
        (6.0, 5, 5, 0.75),  # the latest check began 11 s before the deadline: one more, in time
        (4.5, 2, 2, 0.25),
        (math.inf, 5, 5, math.inf),
    ],
)
def test_last_check_delay_leaves_time_for_the_response_within_30_s(
    left: float, slowest: float, latest: float, seconds: float
) -> None:
    """The timeout is 30 s. The delay is in seconds from now."""
    assert last_check_delay(left, 30, slowest, latest) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("left", "may_check_again", "seconds"),
    [
        (10, True, 4.95),  # there is time for a bulk response: its duration decides
        (2.6, True, 0.35),
        (2.6, False, 0),
        (2.5, True, 0),  # exactly the margin
        (2.35, True, 0),
    ],
)
def test_a_single_check_after_slow_bulk_responses_starts_more_than_the_margin_from_now(
    clock: Clock, left: float, may_check_again: bool, seconds: float
) -> None:
    """Single responses take 1 s here, and bulk responses 2.4 s, for which no time is left."""
    state = CallState(None, 30, Redactor([]))
    state.may_check_again = may_check_again
    state.slowest_response_seconds = state.previous_response_seconds = 2.4
    state.slowest_single_seconds = state.previous_single_seconds = 1.0
    clock.tick(30 - left)

    assert seconds_until_last_check(state) == pytest.approx(seconds)
