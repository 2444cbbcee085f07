"""Recording of job durations as waits observe them."""

from __future__ import annotations

from .._clock import JobAge, Stopwatch
from .._logging import EventLog
from .._models import Job
from .censoring import LONGEST_SECONDS, Observation
from .model import Traits
from .planner import SchedulePlanner
from .wait import wait_planned


class ScheduleLearner:
    """The part of a schedule that all waits of a client share. Threads may share it."""

    def __init__(self, planner: SchedulePlanner, *, jitter: float) -> None:
        """Store the planner and the jitter of checks, from 0 to 1."""
        self._planner = planner
        self._jitter = jitter

    def begin(self, traits: Traits, submitted_at: float | None, log: EventLog, stopwatch: Stopwatch) -> WaitRecorder:
        """Create the recorder of one wait for a job.

        Args:
            traits: The traits of the job.
            submitted_at: The submission time in seconds of the Unix epoch, or None if it is unknown.
            log: The log of the wait.
            stopwatch: The elapsed time of the wait.
        """
        return WaitRecorder(self._planner, traits, JobAge(submitted_at, stopwatch), log, jitter=self._jitter)


class WaitRecorder:
    """One wait with scheduled checks. For one thread at a time, and for one use.

    Attributes:
        pace: The wait strategy between checks.
    """

    def __init__(
        self, planner: SchedulePlanner, traits: Traits, clock: JobAge, log: EventLog, *, jitter: float
    ) -> None:
        self._planner = planner
        self._log = log
        self._warned: set[str] = set()
        self._lesson = DurationRecorder(clock)
        self.pace = wait_planned(planner, traits, clock, self._warn, jitter=jitter)

    def initial_delay(self) -> float:
        """Return the seconds until the first check."""
        seconds = self.pace.initial_delay()
        if seconds > 0:
            self._lesson.planned()
        return seconds

    def record_job(self, job: Job, request_seconds: float, took: float | None) -> None:
        """Record the result of a check: see `DurationRecorder.record_job`."""
        self.pace.record_job(job)
        self._lesson.record_job(job, request_seconds, took)

    def end(self, patience: float) -> None:
        """Record the observed duration in the history, if there is one.

        Args:
            patience: Seconds to wait for other writers of the history.
        """
        observation = self._lesson.observation(self.pace.traits)
        if observation is not None:
            self._planner.remember(observation, self._warn, patience)

    def _warn(self, why: str) -> None:
        if why not in self._warned:
            self._warned.add(why)
            self._log.write("history_failed", error=why)


class DurationRecorder:
    """The ages of one job at the checks of one wait. For one thread at a time, and for one use."""

    def __init__(self, clock: JobAge) -> None:
        """Start at the current age of the job, before the first check."""
        self._clock = clock
        self._is_planned = False
        self._began = clock.age()
        self._first_asked: float | None = None
        self._pending_until: float | None = None
        self._finished_by: float | None = None
        self._took: float | None = None

    def planned(self) -> None:
        """Record that the first check ran at its planned time."""
        self._is_planned = True

    def record_job(self, job: Job, request_seconds: float, took: float | None) -> None:
        """Record the result of a check.

        Args:
            job: The result.
            request_seconds: The duration of the request. The job had this status at some time within it.
            took: The duration of the job in seconds as the service reports it, or None.
        """
        answered = self._clock.age()
        asked = max(answered - request_seconds, 0.0)
        if self._first_asked is None:
            self._first_asked = asked
        if job.status.is_final:
            self._finished_by = answered
            self._took = took if took is not None and 0 < took <= LONGEST_SECONDS else None
        else:
            self._pending_until = asked

    def observation(self, traits: Traits) -> Observation | None:
        """Return the observation to record, or None if the wait has learned nothing.

        There is nothing to learn if the start of the job is unknown. Nor if the job was final at an unplanned first
        check, which only shows that the check came late, or was repeated.
        """
        was_pending = self._pending_until is not None
        if not self._clock.is_known or self._first_asked is None or not (was_pending or self._is_planned):
            return None
        known = Observation(0.0, None, 0.0, *traits, began_at=self._clock.submitted_at)
        if self._took is not None:
            return known._replace(pending_until=self._took, finished_by=self._took)
        # Delayed entry: a planned first check covers the wait from its start. Before that, another wait may have run.
        entered = (self._began if self._is_planned else self._first_asked) if was_pending else 0.0
        seen = known._replace(pending_until=self._pending_until or 0.0, finished_by=self._finished_by, entered=entered)
        return seen if (seen.finished_by or seen.pending_until) <= LONGEST_SECONDS else None
