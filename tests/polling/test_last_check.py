"""When the last check comes, however slow the server is: on frozen time."""

from __future__ import annotations

import math
from contextlib import suppress

import pytest
import requests
from freezegun import freeze_time
from hypothesis import given, settings
from hypothesis import strategies as st
from support.adapters import BASE_URL
from support.fixtures import Silent

from fake_server import Fault, InProcessAdapter, Lab, Scenario, create_app
from translation_client import VideoTranslationClient, WaitTimeout
from translation_client._polling import last_check_delay


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


PART = st.floats(min_value=0, max_value=1)


@given(st.floats(0, 1e6), st.floats(min_value=1e-3, max_value=1e6), st.floats(0, 100), PART)
def test_the_last_check_leads_by_what_the_contract_allows(
    left: float, timeout: float, slowest: float, part: float
) -> None:
    """At most a quarter of a second and twice the slowest answer; and it has the time that the latest one took."""
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
        (21, 9, 9, 2.75),  # one slow answer: the check that is answered for sure comes early …
        (18.24, 9, 0.01, 17.97),  # … and is not the last one, if it was fast
        (3.3, 1.7, 1.7, 1.35),  # no time for twice the slow one, but for once
        (5.25, 5, 5, 0),
        (6.0, 5, 5, 0.75),  # the latest check began 11 s before the deadline: one more, in time
        (4.5, 2, 2, 0.25),
        (math.inf, 5, 5, math.inf),
    ],
)
def test_when_the_last_check_has_to_start(left: float, slowest: float, latest: float, seconds: float) -> None:
    """Of thirty seconds; in how many seconds from now."""
    assert last_check_delay(left, 30, slowest, latest) == pytest.approx(seconds)
