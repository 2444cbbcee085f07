"""The state of a server: its jobs, the requests that arrived, and its faults."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar, cast

from .fault_syntax import to_faults
from .faults import JOB_ROUTES, Fault, Route
from .jobs import Fields, Look, NoSuchJob, Sighting, Submission, TooManyJobs
from .scenario import PENDING, Life, Scenario

T = TypeVar("T")

SINGLE_JOB = None
"""The key of the single job, which has no id. Its time starts at its first check."""

MAX_ARRIVALS = 10_000
"""The most requests, and submissions, in memory, so that a server can run for days."""


@dataclass(frozen=True)
class Arrival:
    """A request that arrived.

    Attributes:
        at: Seconds since the server started or was restarted by `play`.
        method: The method as sent.
        path: The path with the query, as sent.
        headers: The headers by name, in the case of `X-Request-Id` whatever was sent. Those of one name are joined by
            commas.
    """

    at: float
    method: str
    path: str
    headers: Mapping[str, str]


@dataclass
class _Entry:
    life: Life
    began: float
    began_at: float
    fields: Fields
    answers: Counter[Route]


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
            now: Returns monotonic seconds. A test may pass its own clock. None for `time.monotonic`.
            on_change: Called when the faults have changed.
        """
        self._on_change = on_change
        self._now = now or (lambda: time.monotonic())  # looked up at each call, as a test may freeze it
        self.lock = threading.RLock()
        """Held for operations that belong together."""
        self.play(scenario or Scenario())

    def play(self, scenario: Scenario) -> None:
        """Restart with a scenario and its faults: without jobs, and without arrivals."""
        with self.lock:
            self.scenario = scenario
            self._faults = to_faults(scenario.faults)
            self._began = self._now()
            self._made = 0
            self._entries: dict[str | None, _Entry] = {}
            self._answers: Counter[Route] = Counter()
            self._memories: dict[type, object] = {}
            self._arrivals: deque[Arrival] = deque(maxlen=MAX_ARRIVALS)
            self._submissions: deque[Submission] = deque(maxlen=MAX_ARRIVALS)
        self._on_change()

    @property
    def faults(self) -> tuple[Fault, ...]:
        """The current faults. They may be set while jobs run. The jobs keep their time and their response counts."""
        return self._faults

    @faults.setter
    def faults(self, faults: Iterable[Fault | str]) -> None:
        self._faults = to_faults(tuple(faults))
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
    def seconds(self) -> float:
        """Seconds since the server started or was restarted by `play`."""
        return self._now() - self._began

    def memory(self, kind: type[T]) -> T:
        """Return the state of this type that a service keeps beside its jobs. Created on first use, reset by `play`."""
        with self.lock:
            return cast("T", self._memories.setdefault(kind, kind()))

    def arrived(self, method: str, path: str, headers: Mapping[str, str]) -> None:
        """Record a request."""
        with self.lock:
            self._arrivals.append(Arrival(self.seconds, method, path, headers))

    def create(self, fields: Fields | None = None, job_id: str | None = None) -> str:
        """Create a job that starts now, and return its id.

        Args:
            fields: The fields of the request.
            job_id: The id of the job. None for a generated one.

        Raises:
            TooManyJobs: The limit of pending jobs is reached.
        """
        with self.lock:
            self._require_places(1)
            return self._made_job(fields or {}, job_id)

    def create_each(self, wanted: Sequence[Fields]) -> list[str]:
        """Create several jobs, or none of them.

        Raises:
            TooManyJobs: The limit of pending jobs is too low for all of them.
        """
        with self.lock:
            self._require_places(len(wanted))
            return [self._made_job(fields, None) for fields in wanted]

    def delete(self, job_id: str) -> None:
        """Delete a job. Its submission stays in `submissions`.

        Raises:
            NoSuchJob: There is no job with this id.
        """
        with self.lock:
            self._entry(job_id)
            del self._entries[job_id]

    def look(self, job_id: str | None) -> Look:
        """Return the state of a job, without counting a response.

        Raises:
            NoSuchJob: There is no job with this id.
        """
        with self.lock:
            entry = self._entry(job_id)
            return Look(job_id, entry.life, self._now() - entry.began, entry.began_at, entry.fields)

    def ask(self, job_id: str | None, route: Route = "status") -> Sighting:
        """Count a response about a job on one of the `JOB_ROUTES`, and return the state of the job and the fault.

        Raises:
            NoSuchJob: There is no job with this id.
        """
        with self.lock:
            look = self.look(job_id)
            answers = self._entry(job_id).answers
            answers[route] += 1
            return Sighting(look, self._striking(route, answers[route], look.elapsed))

    def answer(self, route: Route) -> Fault | None:
        """Count a response on another route, and return its fault, if any."""
        with self.lock:
            self._answers[route] += 1
            return self._striking(route, self._answers[route], self.seconds)

    @property
    def can_refuse(self) -> bool:
        """True if any fault refuses connections at some time."""
        return any(fault.action == "refuse" for fault in self._faults)

    def refusal(self) -> Fault | None:
        """Return the fault that refuses all connections at the moment, if any."""
        spans = [fault for fault in self._faults if fault.action == "refuse"]
        with self.lock:
            ages = [self._now() - entry.began for entry in self._entries.values()] if spans else []
            own = [self.seconds]
        in_time = ((span, age) for span in spans for age in (ages if span.route in JOB_ROUTES else own))
        return next((span for span, age in in_time if span.applies_to(0, age)), None)

    def _striking(self, route: Route, number: int, elapsed: float) -> Fault | None:
        ours = (fault for fault in self._faults if fault.route == route)
        return next((fault for fault in ours if fault.applies_to(number, elapsed)), None)

    def _entry(self, job_id: str | None) -> _Entry:
        if job_id is SINGLE_JOB and job_id not in self._entries:
            self._entries[SINGLE_JOB] = self._begun(0, {})
        if job_id not in self._entries:
            raise NoSuchJob(job_id)
        return self._entries[job_id]

    def _begun(self, number: int, fields: Fields) -> _Entry:
        return _Entry(self.scenario.life(number), self._now(), time.time(), fields, Counter())

    def _made_job(self, fields: Fields, job_id: str | None) -> str:
        self._made += 1
        name = job_id or f"job-{self._made}"
        self._entries[name] = self._begun(self._made, fields)
        self._submissions.append(Submission(name, self.seconds, fields))
        return name

    def _require_places(self, wanted: int) -> None:
        limit = self.scenario.max_jobs
        if limit is None:
            return
        looks = [self.look(job_id) for job_id in self._entries if job_id is not SINGLE_JOB]
        left = [look.life.duration - look.elapsed for look in looks if look.status == PENDING]
        if len(left) + wanted > limit:
            raise TooManyJobs(limit, min(left, default=0.0))
