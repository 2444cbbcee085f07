"""What has happened at this server so far, and what is to go wrong from here on? The server's only memory."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from .faults import Fault
from .notation import read_faults
from .scenario import Life, Scenario

SINGLE_JOB = None
"""The key of the seed's job, which has no id. Its clock starts when it is first asked for."""

MAX_ARRIVALS = 10_000
"""Requests that are remembered: a server that runs for days fills no memory."""


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
    answers: int = 0


@dataclass(frozen=True)
class Sighting:
    """What one answer about a job is made of."""

    status: str
    fault: Fault | None


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
        self._lock = threading.RLock()
        self.play(scenario or Scenario())

    def play(self, scenario: Scenario) -> None:
        """Start anew with a scenario and its faults: no jobs, nothing arrived."""
        with self._lock:
            self.scenario = scenario
            self._faults = read_faults(scenario.faults)
            self._began = self._now()
            self._made = 0
            self._entries: dict[str | None, _Entry] = {}
            self._arrivals: deque[Arrival] = deque(maxlen=MAX_ARRIVALS)
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
        with self._lock:
            return list(self._arrivals)

    def arrived(self, method: str, path: str, headers: Mapping[str, str]) -> None:
        """Remember a request."""
        with self._lock:
            self._arrivals.append(Arrival(self._now() - self._began, method, path, headers))

    def create(self) -> str:
        """Make a job, which begins now, and name it."""
        with self._lock:
            self._made += 1
            number = self._made
            job_id = f"job-{number}"
            self._entries[job_id] = _Entry(self.scenario.life(number), self._now())
            return job_id

    def ask(self, job_id: str | None) -> Sighting:
        """Look at a job.

        Raises:
            KeyError: There is none of that id.
        """
        with self._lock:
            if job_id is SINGLE_JOB and job_id not in self._entries:
                self._entries[SINGLE_JOB] = _Entry(self.scenario.life(0), self._now())
            entry = self._entries[job_id]
            entry.answers += 1
            elapsed = self._now() - entry.began
            striking = (fault for fault in self._faults if fault.strikes(entry.answers, elapsed))
            return Sighting(entry.life.status_at(elapsed), next(striking, None))

    @property
    def can_refuse(self) -> bool:
        """Whether connections are to be refused at some time."""
        return any(fault.action == "refuse" for fault in self._faults)

    def refusal(self) -> Fault | None:
        """The fault because of which connections are refused now, for whichever job."""
        spans = [fault for fault in self._faults if fault.action == "refuse"]
        with self._lock:
            ages = [self._now() - entry.began for entry in self._entries.values()] if spans else []
        return next((span for span in spans for age in ages if span.strikes(0, age)), None)
