"""Properties of every wait with any policy and any faults on frozen time, and a client against a model."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
import requests
from freezegun import freeze_time
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule
from support.adapters import BASE_URL
from support.random_faults import FAULTS, POLICIES

from fake_server import Fault, InProcessAdapter, Lab, Scenario, create_app
from translation_client import (
    Job,
    RetriesExhausted,
    TranslationClientError,
    VideoTranslationClient,
    WaitCancelled,
    WaitTimeout,
)

pytestmark = pytest.mark.exhaustive

LATE = 0.25
TICK = 0.001

LONGEST_FAULT_PAUSE = 30.0


class Events(list[tuple[str, dict[str, Any]]]):
    """A logger that stores its events."""

    def info(self, event: str, **keys: Any) -> None:
        self.append((event, keys))

    warning = error = info

    def of(self, *events: str) -> list[dict[str, Any]]:
        return [keys for event, keys in self if event in events]


class WaitSetup:
    """A client, a fake server in process, and a clock that only they move."""

    def __init__(self, policy: dict[str, Any], scenario: Scenario) -> None:
        self.freezer = freeze_time("2026-11-23T09:00:00")
        self.clock = self.freezer.start()
        self.sleeps: list[float] = []
        self.final_words: list[str] = []
        self.hints: list[float] = []
        self.events = Events()
        self.lab = Lab(scenario)
        self.policy = policy
        session = requests.Session()
        for scheme in ("http://", "https://"):
            session.mount(scheme, InProcessAdapter(create_app(self.lab), sleep=self.clock.tick))
        session.hooks["response"].append(self._see)
        self.session = session
        self.client = self.new_client()

    def new_client(self) -> VideoTranslationClient:
        return VideoTranslationClient(
            BASE_URL, session=self.session, sleep=self.sleep, logger=self.events, **self.policy
        )

    def sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        self.clock.tick(seconds)

    def _see(self, response: requests.Response, **_: Any) -> None:
        """Record a final status that the client has read. This hook runs after the one that reads the body."""
        with suppress(ValueError):
            body = response.json()
            word = body.get("result") if isinstance(body, dict) else None
            if 200 <= response.status_code < 300 and word in ("completed", "error"):
                self.final_words.append(word)

    @property
    def now(self) -> float:
        return self.clock().timestamp()


def run_wait(setup: WaitSetup, how: str, job_id: str) -> tuple[Any, float]:
    began = setup.now
    try:
        result: Any = (list(setup.client.watch(job_id))[-1]) if how == "watch" else getattr(setup.client, how)(job_id)
    except TranslationClientError as error:
        result = error
    return result, setup.now - began


@settings(max_examples=150)
@given(
    POLICIES,
    st.floats(0, 60),
    st.sampled_from(["completed", "error"]),
    st.lists(FAULTS, max_size=4),
    st.sampled_from(["wait", "watch", "check"]),
)
def test_every_wait_ends_once_and_in_time_with_a_job_or_an_error(
    policy: dict[str, Any], duration: float, outcome: Any, faults: list[Fault], how: str
) -> None:
    """The job is final, except that of a single check. No final response is lost; no sleep is out of bounds."""
    setup = WaitSetup(policy, Scenario(duration, outcome, faults=faults))
    try:
        job_id = setup.lab.create()
        result, took = run_wait(setup, how, job_id)
    finally:
        setup.freezer.stop()

    assert took <= policy["timeout"] + LATE
    assert sum(setup.sleeps) <= policy["timeout"] + TICK
    assert_pauses_within_bounds(setup, hinted=any("Retry-After" in fault.headers for fault in faults))
    assert len(setup.final_words) <= 1  # no request follows a final response
    if setup.final_words:
        assert isinstance(result, Job)
        assert str(result.status) == setup.final_words[0]
    assert_one_end(setup, result, how, job_id)


def assert_pauses_within_bounds(setup: WaitSetup, *, hinted: bool) -> None:
    """Assert that each kind of sleep stays within its own cap, which only a `Retry-After` can exceed."""
    assert all(seconds >= 0 for seconds in setup.sleeps)
    backoffs = [keys["sleep_seconds"] for keys in setup.events.of("sleeping") if keys["reason"] == "backoff"]
    after_faults = [keys["sleep_seconds"] for keys in setup.events.of("check_failed")]
    assert all(seconds <= setup.policy["max_delay"] + TICK for seconds in backoffs)
    assert all(seconds <= LONGEST_FAULT_PAUSE + TICK or hinted for seconds in after_faults)
    assert len(setup.sleeps) == len(setup.events.of("sleeping", "check_failed"))


def assert_one_end(setup: WaitSetup, result: Any, how: str, job_id: str) -> None:
    ends = len(setup.events.of("job_finished", "gave_up"))
    if isinstance(result, Job):
        assert result.id == job_id
        assert result.status.is_final or how == "check"
        assert ends == result.status.is_final
    else:
        assert isinstance(result, TranslationClientError)
        assert (result.job_id, ends) == (job_id, 1)


def assert_cancelled(call: Callable[[], object], job_id: str) -> None:
    try:
        call()
    except WaitCancelled as error:
        assert error.job_id == job_id
    else:
        raise AssertionError("it was cancelled")


class ClientAgainstModel(RuleBasedStateMachine):
    """The model: a job is pending for its duration, and then completed. Without faults the client returns just that."""

    jobs = Bundle("jobs")
    watches = Bundle("watches")

    def __init__(self) -> None:
        super().__init__()
        policy = {"timeout": 20, "max_retries": 40, "backoff_factor": 0.5, "max_delay": 2, "request_timeout": 5}
        self.setup = WaitSetup(policy, Scenario((0, 40)))
        self.ends_at: dict[str, float] = {}
        self.sick = False
        self.ended = 0

    def teardown(self) -> None:
        self.setup.freezer.stop()

    def finished(self, job_id: str) -> bool:
        return self.setup.now >= self.ends_at[job_id]

    @rule(target=jobs)
    def create(self) -> str:
        job_id = self.setup.lab.create()
        life = self.setup.lab.scenario.life(len(self.ends_at) + 1)
        self.ends_at[job_id] = self.setup.now + life.duration
        return job_id

    @rule(faults=st.lists(FAULTS, min_size=1, max_size=3))
    def fall_ill(self, faults: list[Fault]) -> None:
        self.setup.lab.faults = tuple(faults)
        self.sick = True

    @rule()
    def recover(self) -> None:
        self.setup.lab.faults = ()
        self.sick = False

    @rule(seconds=st.floats(0, 30))
    def time_passes(self, seconds: float) -> None:
        self.setup.clock.tick(seconds)

    @rule(job_id=jobs)
    def check(self, job_id: str) -> None:
        try:
            job = self.setup.client.check(job_id)
        except TranslationClientError as error:
            self.ended += 1
            assert self.sick
            assert error.job_id == job_id
        else:
            self.ended += job.status.is_final
            assert self.sick or job.status.is_final == self.finished(job_id)

    @rule(job_id=jobs, timeout=st.floats(0.5, 30))
    def wait(self, job_id: str, timeout: float) -> None:
        began = self.setup.now
        try:
            job = self.setup.client.wait(job_id, timeout=timeout)
        except TranslationClientError as error:
            self.ended += 1
            assert error.job_id == job_id
            assert self.sick or isinstance(error, (WaitTimeout, RetriesExhausted))
            # The last check is at most 0.25 s before the deadline, so no job that has ended by then is missed.
            assert self.sick or self.ends_at[job_id] > began + timeout - 0.26 or isinstance(error, RetriesExhausted)
        else:
            self.ended += 1
            assert job.status.is_final
            assert self.sick or self.finished(job_id)
        assert self.setup.now - began <= timeout + LATE

    @rule(target=watches, job_id=jobs)
    def watch(self, job_id: str) -> Iterator[Job]:
        return self.setup.client.watch(job_id)

    @rule(watch=watches)
    def look(self, watch: Iterator[Job]) -> None:
        try:
            job = next(watch, None)
        except TranslationClientError:
            self.ended += 1
        else:
            self.ended += job is not None and job.status.is_final
            assert job is None or self.sick or job.status.is_final == self.finished(job.id or "")

    @rule(job_id=jobs)
    def cancel(self, job_id: str) -> None:
        cancel = threading.Event()
        cancel.set()
        arrived = len(self.setup.lab.arrivals)
        assert_cancelled(lambda: self.setup.client.wait(job_id, cancel=cancel), job_id)
        self.ended += 1
        assert len(self.setup.lab.arrivals) == arrived

    @rule(job_id=jobs, watch=consumes(watches))
    def close(self, job_id: str, watch: Iterator[Job]) -> None:
        self.setup.client.close()
        assert_cancelled(lambda: self.setup.client.wait(job_id), job_id)
        assert_cancelled(lambda: self.setup.client.check(job_id), job_id)
        try:
            assert next(watch, None) is None
        except WaitCancelled:
            self.ended += 1
        self.ended += 2
        self.setup.client = self.setup.new_client()

    @invariant()
    def every_pause_is_one(self) -> None:
        assert all(0 <= seconds <= LONGEST_FAULT_PAUSE or self.sick for seconds in self.setup.sleeps)

    @invariant()
    def every_end_is_told_once(self) -> None:
        assert len(self.setup.events.of("gave_up", "job_finished")) == self.ended


ClientAgainstModel.TestCase.settings = settings(max_examples=60, stateful_step_count=25)
TestClientAgainstModel = ClientAgainstModel.TestCase
