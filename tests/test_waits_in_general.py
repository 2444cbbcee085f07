"""What holds for every wait, whatever the server does and whatever the policy is: on frozen time, with random servers."""

from __future__ import annotations

from typing import Any

import requests
from conftest import BASE_URL, Answers, response
from freezegun import freeze_time
from hypothesis import given, settings
from hypothesis import strategies as st

from translation_client import TranslationClientError, TranslationStatus, VideoTranslationClient

SECONDS = st.floats(0, 3).map(lambda seconds: round(seconds, 3))
PENDING, COMPLETED = b'{"result": "pending"}', b'{"result": "completed"}'
ANSWERS = st.sampled_from(
    [
        (200, PENDING, {}),
        (200, PENDING, {}),
        (200, PENDING, {"Retry-After": "4"}),
        (200, b"<html>", {}),
        (503, b"", {}),
        (429, b"", {"Retry-After": "3"}),
        (200, COMPLETED, {}),
    ]
)
POLICIES = st.fixed_dictionaries(
    {
        "timeout": st.floats(0.5, 60).map(lambda seconds: round(seconds, 2)),
        "max_retries": st.integers(0, 30),
        "backoff_factor": st.floats(0.05, 5),
        "max_delay": st.floats(0.1, 20),
        "jitter": st.floats(0, 1),
        "max_faults": st.integers(1, 6),
    }
)


class Run:
    """One wait against a server that answers as the script says, and how it went."""

    def __init__(self, policy: dict[str, Any], script: list[tuple[float, tuple[int, bytes, dict[str, str]]]]) -> None:
        self.started_at: list[float] = []
        self.sleeps: list[float] = []
        self.result: Any = None
        with freeze_time("2026-11-23T09:00:00") as clock:
            begin = clock()
            left = iter(script)

            def answer(_: object) -> requests.Response:
                self.started_at.append((clock() - begin).total_seconds())
                seconds, (code, body, headers) = next(left, script[-1])
                clock.tick(min(seconds, policy["timeout"] + 0.001 - self.started_at[-1]))
                if self.started_at[-1] + seconds > policy["timeout"]:
                    raise requests.ReadTimeout  # the adapter keeps the deadline
                self.sent.append(body)
                return response(code, body, **{name.replace("-", "_"): value for name, value in headers.items()})

            def sleep(seconds: float) -> None:
                self.sleeps.append(seconds)
                clock.tick(seconds)

            self.sent: list[bytes] = []
            session = requests.Session()
            session.mount(BASE_URL, Answers(answer))
            client = VideoTranslationClient(BASE_URL, session=session, sleep=sleep, logger=Silent(), **policy)
            try:
                self.result = client.wait()
            except TranslationClientError as error:
                self.result = error
            self.elapsed = (clock() - begin).total_seconds()


class Silent:
    def info(self, *_: Any, **__: Any) -> None: ...

    warning = error = info


@settings(max_examples=100, deadline=None)
@given(POLICIES, st.lists(st.tuples(SECONDS, ANSWERS), min_size=1, max_size=12))
def test_every_wait_ends_in_time_and_loses_no_final_answer(
    policy: dict[str, Any], script: list[tuple[float, tuple[int, bytes, dict[str, str]]]]
) -> None:
    """In a final job, or in one of the errors of the tree; never late; sleeps never negative, and capped but for hints."""
    run = Run(policy, script)

    assert run.elapsed <= policy["timeout"] + 0.25
    assert all(0 <= seconds <= max(policy["max_delay"], 0.625 * 2**5, 4) + 1e-6 for seconds in run.sleeps)
    if COMPLETED in run.sent:
        assert run.result.status is TranslationStatus.COMPLETED
    else:
        assert isinstance(run.result, TranslationClientError)


@settings(max_examples=100, deadline=None)
@given(st.floats(0, 3), st.floats(1, 60), st.floats(0.05, 30))
def test_a_steady_server_gets_a_last_check_shortly_before_the_deadline(
    answer_seconds: float, timeout: float, backoff_factor: float
) -> None:
    """It starts within 0.25 s and twice the answer time of the deadline, and there is no burst of calls around it."""
    policy = {"timeout": timeout, "backoff_factor": backoff_factor, "max_retries": 10_000, "max_delay": 60}
    run = Run(policy, [(answer_seconds, (200, PENDING, {}))])

    assert timeout - run.started_at[-1] <= 0.25 + 2 * answer_seconds + 0.002 or len(run.started_at) == 1
    grace = min(0.25, 0.05 * timeout)
    assert len([at for at in run.started_at if at >= timeout - grace - 3 * answer_seconds]) <= 4


@settings(max_examples=100, deadline=None)
@given(st.lists(st.floats(0, 8), min_size=1, max_size=4), st.floats(10, 60))
def test_a_server_that_was_slow_at_first_gets_its_last_check_too(slow: list[float], timeout: float) -> None:
    """A cold start costs the time that it takes, and no more."""
    script: list[tuple[float, tuple[int, bytes, dict[str, str]]]] = [(seconds, (200, PENDING, {})) for seconds in slow]
    policy = {"timeout": timeout, "backoff_factor": 1, "max_retries": 10_000, "max_delay": 60}
    run = Run(policy, [*script, (0.01, (200, PENDING, {}))])

    if len(run.started_at) > len(slow):
        assert timeout - run.started_at[-1] <= 0.6
