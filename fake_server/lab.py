"""The state of a server: its jobs, its faults, and the requests that arrived."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar, cast

from .fault_syntax import to_faults
from .faults import JOB_ROUTES, Fault, Route
from .jobs import Fields, JobState, NoSuchJob, Submission, TooManyJobs
from .scenario import PENDING, Life, Scenario

T = TypeVar("T")

SINGLE_JOB = None
"""The key of the single job, which has no id. It starts at its first status request."""

MAX_RECORDED = 10_000
"""The most requests, and the most submissions, that are kept: memory stays bounded if a server runs for days."""


@dataclass(frozen=True)
class Arrival:
    """A request that arrived.

    Attributes:
        at: Seconds since the server started or was restarted by `play`.
        method: The method as sent.
        path: The path with the query, as sent.
        headers: The headers by name. Names are capitalized like `X-Request-Id`, and values of the same name are joined
            by commas.
    """

    at: float
    method: str
    path: str
    headers: Mapping[str, str]


@dataclass
class _Job:
    life: Life
    started: float
    started_at: float
    fields: Fields
    response_counts: Counter[Route]


class Lab:
    """The jobs, faults and arrivals of one server. Threads may share it."""

    def __init__(
        self,
        scenario: Scenario | None = None,
        *,
        now: Callable[[], float] | None = None,
        on_change: Callable[[], object] = lambda: None,
    ) -> None:
        """Create a lab without jobs.

        Args:
            scenario: The behaviour of the server. None for `Scenario()`.
            now: Returns monotonic seconds, such as the clock of a test. None for `time.monotonic`.
            on_change: Called when the faults have changed, and at each `play`.
        """
        self._on_change = on_change
        self._now = now or (lambda: time.monotonic())  # looked up at each call, since a test may freeze the time
        self.lock = threading.RLock()
        """Reentrant. Held to make several calls atomic."""
        self.play(scenario or Scenario())

    def play(self, scenario: Scenario) -> None:
        """Restart with a scenario and its faults. Jobs, submissions and arrivals are dropped."""
        with self.lock:
            self.scenario = scenario
            self._faults = to_faults(scenario.faults)
            self._started = self._now()
            self._job_count = 0
            self._jobs: dict[str | None, _Job] = {}
            self._response_counts: Counter[Route] = Counter()
            self._service_states: dict[type, object] = {}
            self._arrivals: deque[Arrival] = deque(maxlen=MAX_RECORDED)
            self._submissions: deque[Submission] = deque(maxlen=MAX_RECORDED)
        self._on_change()

    @property
    def faults(self) -> tuple[Fault, ...]:
        """The current faults. They may be set while jobs run, whose ages and counts of responses are kept."""
        return self._faults

    @faults.setter
    def faults(self, faults: Iterable[Fault | str]) -> None:
        self._faults = to_faults(faults)
        self._on_change()

    @property
    def arrivals(self) -> list[Arrival]:
        """The last 10 000 requests that arrived, oldest first."""
        with self.lock:
            return list(self._arrivals)

    @property
    def submissions(self) -> list[Submission]:
        """The last 10 000 jobs that were created, oldest first. The single job is not among them."""
        with self.lock:
            return list(self._submissions)

    @property
    def elapsed(self) -> float:
        """Seconds since the server started or was restarted by `play`."""
        return self._now() - self._started

    def service_state(self, state_class: type[T]) -> T:
        """Return what a service stores beside its jobs. Created by `state_class()` on first use, and again after `play`."""
        with self.lock:
            return cast("T", self._service_states.setdefault(state_class, state_class()))

    def record_arrival(self, method: str, path: str, headers: Mapping[str, str]) -> None:
        """Record a request."""
        with self.lock:
            self._arrivals.append(Arrival(self.elapsed, method, path, headers))

    def create(self, fields: Fields | None = None, job_id: str | None = None) -> str:
        """Create a job that starts now, and return its id.

        Args:
            fields: The fields of the request. None for none.
            job_id: The id of the job. None for a generated one.

        Raises:
            TooManyJobs: The limit of pending jobs is reached.
        """
        with self.lock:
            self._check_limit(1)
            return self._add_job(fields or {}, job_id)

    def create_many(self, fields_of_jobs: Sequence[Fields]) -> list[str]:
        """Create several jobs, or none of them.

        Raises:
            TooManyJobs: The limit of pending jobs is too low for all of them.
        """
        with self.lock:
            self._check_limit(len(fields_of_jobs))
            return [self._add_job(fields, None) for fields in fields_of_jobs]

    def delete(self, job_id: str) -> None:
        """Delete a job. Its submission stays in `submissions`.

        Raises:
            NoSuchJob: There is no job with this id.
        """
        with self.lock:
            self._find_job(job_id)
            del self._jobs[job_id]

    def job_state(self, job_id: str | None) -> JobState:
        """Return the state of a job, without counting a response.

        Raises:
            NoSuchJob: There is no job with this id.
        """
        with self.lock:
            job = self._find_job(job_id)
            return JobState(job_id, job.life, self._now() - job.started, job.started_at, job.fields)

    def count_job_response(self, job_id: str | None, route: Route = "status") -> tuple[JobState, Fault | None]:
        """Count a response about a job on one of the `JOB_ROUTES`, and return the state of the job and the fault, or None.

        Raises:
            NoSuchJob: There is no job with this id.
        """
        with self.lock:
            state = self.job_state(job_id)
            counts = self._find_job(job_id).response_counts
            counts[route] += 1
            return state, self._fault_for(route, counts[route], state.elapsed)

    def count_response(self, route: Route) -> Fault | None:
        """Count a response on another route, and return its fault, if any."""
        with self.lock:
            self._response_counts[route] += 1
            return self._fault_for(route, self._response_counts[route], self.elapsed)

    @property
    def has_refusals(self) -> bool:
        """True if any fault is `refuse`."""
        return any(fault.action == "refuse" for fault in self._faults)

    def active_refuse_fault(self) -> Fault | None:
        """Return the fault that refuses all connections now, if any."""
        refusals = [fault for fault in self._faults if fault.action == "refuse"]
        with self.lock:
            ages = [self._now() - job.started for job in self._jobs.values()] if refusals else []
            server_age = [self.elapsed]
        pairs = ((fault, age) for fault in refusals for age in (ages if fault.route in JOB_ROUTES else server_age))
        return next((fault for fault, age in pairs if fault.applies_to(0, age)), None)

    def _fault_for(self, route: Route, number: int, elapsed: float) -> Fault | None:
        faults = (fault for fault in self._faults if fault.route == route)
        return next((fault for fault in faults if fault.applies_to(number, elapsed)), None)

    def _find_job(self, job_id: str | None) -> _Job:
        if job_id is SINGLE_JOB and job_id not in self._jobs:
            self._jobs[SINGLE_JOB] = self._new_job(0, {})
        if job_id not in self._jobs:
            raise NoSuchJob(job_id)
        return self._jobs[job_id]

    def _new_job(self, number: int, fields: Fields) -> _Job:
        return _Job(self.scenario.life(number), self._now(), time.time(), fields, Counter())

    def _add_job(self, fields: Fields, job_id: str | None) -> str:
        self._job_count += 1
        job_id = job_id or f"job-{self._job_count}"
        self._jobs[job_id] = self._new_job(self._job_count, fields)
        self._submissions.append(Submission(job_id, self.elapsed, fields))
        return job_id

    def _check_limit(self, new_jobs: int) -> None:
        limit = self.scenario.max_jobs
        if limit is None:
            return
        states = [self.job_state(job_id) for job_id in self._jobs if job_id is not SINGLE_JOB]
        remaining = [state.life.duration - state.elapsed for state in states if state.status == PENDING]
        if len(remaining) + new_jobs > limit:
            raise TooManyJobs(limit, min(remaining, default=0.0))
