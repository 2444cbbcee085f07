"""Record how long jobs take, as waits see it."""

from __future__ import annotations

from .._clock import JobAge, Stopwatch
from .._logging import EventLog
from .._models import Job
from .censoring import LONGEST_SECONDS, Observation
from .model import Traits
from .planner import SchedulePlanner
from .wait import wait_planned


class ScheduleLearner:
    """What the waits of a client share. May be shared by threads."""

    def __init__(self, planner: SchedulePlanner, *, jitter: float) -> None:
        """Take what makes the plans, and whether checks are spread by chance."""
        self._planner = planner
        self._jitter = jitter

    def begin(self, traits: Traits, submitted_at: float | None, log: EventLog, stopwatch: Stopwatch) -> WaitRecorder:
        """Begin one wait for a job, by what is known of it; `watch` is the elapsed time of the wait."""
        return WaitRecorder(self._planner, traits, JobAge(submitted_at, stopwatch), log, jitter=self._jitter)


class WaitRecorder:
    """One wait that asks by a plan. For one thread at a time, and for one use.

    Attributes:
        pace: The pauses between its questions.
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
        """Say for how many seconds not even the first question pays."""
        seconds = self.pace.initial_delay()
        if seconds > 0:
            self._lesson.planned()
        return seconds

    def record_job(self, job: Job, request_seconds: float, took: float | None) -> None:
        """Take over an answer: see `DurationRecorder.saw`."""
        self.pace.record_job(job)
        self._lesson.record_job(job, request_seconds, took)

    def end(self, patience: float) -> None:
        """Remember what there was to learn, and wait no longer than some seconds for others that write."""
        observation = self._lesson.observation(self.pace.traits)
        if observation is not None:
            self._planner.remember(observation, self._warn, patience)

    def _warn(self, why: str) -> None:
        if why not in self._warned:
            self._warned.add(why)
            self._log.write("history_failed", error=why)


class DurationRecorder:
    """What one wait has seen of its job's age. For one thread at a time, and for one use."""

    def __init__(self, clock: JobAge) -> None:
        """Begin before the first answer."""
        self._clock = clock
        self._is_planned = False
        self._began = clock.age()
        self._first_asked: float | None = None
        self._pending_until: float | None = None
        self._finished_by: float | None = None
        self._took: float | None = None

    def planned(self) -> None:
        """Hear that the first question waited for the moment that the plan has for it, whatever the job does."""
        self._is_planned = True

    def record_job(self, job: Job, request_seconds: float, took: float | None) -> None:
        """Take over an answer.

        Args:
            job: What it says.
            request_seconds: How long the call took: the job was as it says at some moment of it.
            took: How long the job took by the service's own word, where it says so.
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
        """Say what is to be remembered; None where nothing can be learned.

        Not from a job of which nobody knows when it began. Nor from one that was finished when it was first looked at,
        unless that look was planned before: it only says that somebody came late, or came again.
        """
        was_pending = self._pending_until is not None
        if not self._clock.is_known or self._first_asked is None or not (was_pending or self._is_planned):
            return None
        known = Observation(0.0, None, 0.0, *traits, began_at=self._clock.submitted_at)
        if self._took is not None:
            return known._replace(pending_until=self._took, finished_by=self._took)
        # Where a planned look found it pending, it is known of from when the wait began; before, another may have waited.
        entered = (self._began if self._is_planned else self._first_asked) if was_pending else 0.0
        seen = known._replace(pending_until=self._pending_until or 0.0, finished_by=self._finished_by, entered=entered)
        return seen if (seen.finished_by or seen.pending_until) <= LONGEST_SECONDS else None
