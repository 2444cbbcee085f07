"""When the last check comes, however slow the server is: on frozen time."""

from __future__ import annotations

from contextlib import suppress

import requests
from freezegun import freeze_time
from hypothesis import given, settings
from hypothesis import strategies as st
from support.adapters import BASE_URL
from support.fixtures import Silent

from fake_server import Fault, InProcessAdapter, Lab, Scenario, create_app
from translation_client import VideoTranslationClient, WaitTimeout


def started_at(timeout: float, backoff_factor: float, *answer_seconds: float) -> list[float]:
    """When the checks of a wait for an endless job begin; the last answer time is that of all further ones too."""
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
            logger=Silent(),
            timeout=timeout,
            backoff_factor=backoff_factor,
            max_retries=10_000,
        )
        with suppress(WaitTimeout):
            client.wait()
    return [arrival.at for arrival in lab.arrivals]


@settings(max_examples=100)
@given(st.floats(0, 3), st.floats(1, 60), st.floats(0.05, 30))
def test_a_steady_server_gets_a_last_check_shortly_before_the_deadline(
    answer_seconds: float, timeout: float, backoff_factor: float
) -> None:
    """It starts within 0.25 s and twice the answer time of the deadline, and there is no burst of calls around it."""
    at = started_at(timeout, backoff_factor, answer_seconds)

    assert timeout - at[-1] <= 0.25 + 2 * answer_seconds + 0.002 or len(at) == 1
    grace = min(0.25, 0.05 * timeout)
    assert len([one for one in at if one >= timeout - grace - 3 * answer_seconds]) <= 4


@settings(max_examples=100)
@given(st.lists(st.floats(0, 8), min_size=1, max_size=4), st.floats(10, 60))
def test_a_server_that_was_slow_at_first_gets_its_last_check_too(slow: list[float], timeout: float) -> None:
    """A cold start costs the time that it takes, and no more."""
    at = started_at(timeout, 1, *slow, 0.01)

    if len(at) > len(slow):
        assert timeout - at[-1] <= 0.6
