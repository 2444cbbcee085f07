"""The server's memory: what has happened so far, and the faults to come."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar, cast

from .faults import ROUTES_OF_A_JOB, Fault, Route
from .jobs import Fields, Look, NoSuchJob, Sighting, Submission, TooManyJobs
from .notation import read_faults
from .scenario import PENDING, Life, Scenario

T = TypeVar("T")

SINGLE_JOB = None
"""The key of the seed's job, which has no id. Its clock starts when it is first asked for."""

MAX_ARRIVALS = 10_000
"""Requests, and orders, that are remembered: a server that runs for days fills no memory."""


@dataclass(frozen=True)
class Arrival:
    """A request that arrived.

    Attributes:
        at: Seconds since the server started, or was told to play another scenario.
        method: As it was sent.
        path: With the query, as it was sent.
        headers: By name, spelled as `X-Request-Id` whatever the case they were sent in; those of one name joined by
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
    """The jobs, faults and arrivals of one server. May be used by several threads."""

    def __init__(
        self,
        scenario: Scenario | None = None,
        *,
        now: Callable[[], float] | None = None,
        on_change: Callable[[], object] = lambda: None,
    ) -> None:
        """Begin without jobs.

        Args:
            scenario: How jobs go.
            now: Monotonic seconds; given by tests that move the time themselves.
            on_change: Called when something else is to go wrong from here on.
        """
        self._on_change = on_change
        self._now = now or (lambda: time.monotonic())  # looked up late: it may be frozen
        self.lock = threading.RLock()
        """Held by whoever does two things that belong together."""
        self.play(scenario or Scenario())

    def play(self, scenario: Scenario) -> None:
        """Start anew with a scenario and its faults: no jobs, nothing arrived."""
        with self.lock:
            self.scenario = scenario
            self._faults = read_faults(scenario.faults)
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
        """What goes wrong. May be set while jobs go on: they keep their time and the count of their answers."""
        return self._faults

    @faults.setter
    def faults(self, faults: Iterable[Fault | str]) -> None:
        self._faults = read_faults(tuple(faults))
        self._on_change()

    @property
    def arrivals(self) -> list[Arrival]:
        """The requests that arrived, the oldest first; the last 10 000 of them."""
        with self.lock:
            return list(self._arrivals)

    @property
    def submissions(self) -> list[Submission]:
        """The jobs that were made, the oldest first; the last 10 000 of them. The seed's single job was never ordered."""
        with self.lock:
            return list(self._submissions)

    @property
    def seconds(self) -> float:
        """Since the server started, or was told to play another scenario."""
        return self._now() - self._began

    def memory(self, kind: type[T]) -> T:
        """What a service remembers beside its jobs: one of its kind, made when it is first asked for, gone with the jobs."""
        with self.lock:
            return cast("T", self._memories.setdefault(kind, kind()))

    def arrived(self, method: str, path: str, headers: Mapping[str, str]) -> None:
        """Remember a request."""
        with self.lock:
            self._arrivals.append(Arrival(self.seconds, method, path, headers))

    def create(self, fields: Fields | None = None, job_id: str | None = None) -> str:
        """Make a job, which begins now, and name it.

        Args:
            fields: What was asked for.
            job_id: What it is called; None for a name of ours.

        Raises:
            TooManyJobs: So many are pending that it has no place.
        """
        with self.lock:
            self._require_places(1)
            return self._made_job(fields or {}, job_id)

    def create_each(self, wanted: Sequence[Fields]) -> list[str]:
        """Make several jobs, or none of them.

        Raises:
            TooManyJobs: So many are pending that not all of them have a place.
        """
        with self.lock:
            self._require_places(len(wanted))
            return [self._made_job(fields, None) for fields in wanted]

    def delete(self, job_id: str) -> None:
        """Forget a job; its order stays.

        Raises:
            NoSuchJob: There is none of that id.
        """
        with self.lock:
            self._entry(job_id)
            del self._entries[job_id]

    def look(self, job_id: str | None) -> Look:
        """See how a job stands, for no answer that is counted.

        Raises:
            NoSuchJob: There is none of that id.
        """
        with self.lock:
            entry = self._entry(job_id)
            return Look(job_id, entry.life, self._now() - entry.began, entry.began_at, entry.fields)

    def ask(self, job_id: str | None, route: Route = "status") -> Sighting:
        """Look at a job, for an answer about it on one of the `ROUTES_OF_A_JOB`.

        Raises:
            NoSuchJob: There is none of that id.
        """
        with self.lock:
            look = self.look(job_id)
            answers = self._entry(job_id).answers
            answers[route] += 1
            return Sighting(look, self._striking(route, answers[route], look.elapsed))

    def answer(self, route: Route) -> Fault | None:
        """Count one more answer on a route that is about no job in particular, and say what goes wrong with it."""
        with self.lock:
            self._answers[route] += 1
            return self._striking(route, self._answers[route], self.seconds)

    @property
    def can_refuse(self) -> bool:
        """Whether connections are to be refused at some time."""
        return any(fault.action == "refuse" for fault in self._faults)

    def refusal(self) -> Fault | None:
        """The fault because of which connections are refused now, for whichever job, and whatever is asked."""
        spans = [fault for fault in self._faults if fault.action == "refuse"]
        with self.lock:
            ages = [self._now() - entry.began for entry in self._entries.values()] if spans else []
            own = [self.seconds]
        in_time = ((span, age) for span in spans for age in (ages if span.route in ROUTES_OF_A_JOB else own))
        return next((span for span, age in in_time if span.strikes(0, age)), None)

    def _striking(self, route: Route, number: int, elapsed: float) -> Fault | None:
        ours = (fault for fault in self._faults if fault.route == route)
        return next((fault for fault in ours if fault.strikes(number, elapsed)), None)

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
