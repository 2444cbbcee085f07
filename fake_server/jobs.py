"""Which jobs are there, since when, and how often was each asked for? The server's only memory."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from .scenario import Fault, Life, Scenario

SINGLE_JOB = None
"""The key of the seed's job, which has no id. Its clock starts when it is first asked for."""


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


class Jobs:
    """The jobs of one server; may be asked by several threads."""

    def __init__(self, scenario: Scenario, now: Callable[[], float]) -> None:
        """Begin without jobs; `now` gives monotonic seconds."""
        self._scenario = scenario
        self._now = now
        self._entries: dict[str | None, _Entry] = {}
        self._lock = threading.Lock()

    def create(self) -> str:
        """Make a job, which begins now, and name it."""
        with self._lock:
            number = 1 + sum(key is not SINGLE_JOB for key in self._entries)
            job_id = f"job-{number}"
            self._entries[job_id] = _Entry(self._scenario.life(number), self._now())
            return job_id

    def ask(self, job_id: str | None) -> Sighting:
        """Look at a job.

        Raises:
            KeyError: There is none of that id.
        """
        with self._lock:
            if job_id is SINGLE_JOB and job_id not in self._entries:
                self._entries[SINGLE_JOB] = _Entry(self._scenario.life(0), self._now())
            entry = self._entries[job_id]
            entry.answers += 1
            elapsed = self._now() - entry.began
            return Sighting(entry.life.status_at(elapsed), self._scenario.fault_in(entry.answers, elapsed))
