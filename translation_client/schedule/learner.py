"""Recording of job durations as waits observe them."""

from __future__ import annotations

from .._clock import JobAge, Stopwatch
from .._config import JobFeatures
from .._logging import EventLog
from .._models import Job
from .censoring import MAX_DURATION_SECONDS, Observation
from .planner import SchedulePlanner
from .wait import wait_planned


class ScheduleLearner:
    """The part of a schedule that all waits of a client share. Threads may share it."""

    def __init__(self, planner: SchedulePlanner, *, jitter: float) -> None:
        """Store the planner and the jitter of checks, from 0 to 1."""
        self._planner = planner
        self._jitter = jitter

    def begin(self, features: JobFeatures, log: EventLog, stopwatch: Stopwatch) -> WaitRecorder:
        """Create the recorder of one wait for a job.

        Args:
            features: The features of the job.
            log: The log of the wait.
            stopwatch: The elapsed time of the wait.
        """
        job_age = JobAge(features.submitted_at, stopwatch)
        return WaitRecorder(self._planner, features, job_age, log, jitter=self._jitter)


class WaitRecorder:
    """One wait with scheduled checks. For one thread at a time, and for one use.

    Attributes:
        strategy: The wait strategy between checks.
    """

    def __init__(
        self, planner: SchedulePlanner, features: JobFeatures, job_age: JobAge, log: EventLog, *, jitter: float
    ) -> None:
        self._planner = planner
        self._log = log
        self._warned: set[str] = set()
        self._recorder = DurationRecorder(job_age)
        self.strategy = wait_planned(planner, features, job_age, self._warn, jitter=jitter)

    def initial_delay(self) -> float:
        """Return the seconds until the first check."""
        seconds = self.strategy.initial_delay()
        if seconds > 0:
            self._recorder.record_planned_start()
        return seconds

    def record_job(self, job: Job, request_seconds: float, reported_seconds: float | None) -> None:
        """Record the result of a check: see `DurationRecorder.record_job`."""
        self.strategy.record_job(job)
        self._recorder.record_job(job, request_seconds, reported_seconds)

    def finish(self, lock_timeout: float) -> None:
        """Record the observed duration in the history, if there is one.

        Args:
            lock_timeout: Seconds to wait for other writers of the history.
        """
        observation = self._recorder.observation(self.strategy.features)
        if observation is not None:
            self._planner.remember(observation, self._warn, lock_timeout)

    def _warn(self, reason: str) -> None:
        if reason not in self._warned:
            self._warned.add(reason)
            self._log.write("history_failed", error=reason)


class DurationRecorder:
    """The ages of one job at the checks of one wait. For one thread at a time, and for one use."""

    def __init__(self, job_age: JobAge) -> None:
        """Start at the current age of the job, before the first check."""
        self._job_age = job_age
        self._is_planned = False
        self._began_at_age = job_age.age()
        self._first_checked: float | None = None
        self._pending_until: float | None = None
        self._finished_by: float | None = None
        self._reported_seconds: float | None = None

    def record_planned_start(self) -> None:
        """Record that the first check ran at its planned time."""
        self._is_planned = True

    def record_job(self, job: Job, request_seconds: float, reported_seconds: float | None) -> None:
        """Record the result of a check.

        Args:
            job: The result.
            request_seconds: The duration of the request. The job had this status at some time within it.
            reported_seconds: The duration of the job in seconds as the service reports it, or None.
        """
        responded_at = self._job_age.age()
        requested_at = max(responded_at - request_seconds, 0.0)
        if self._first_checked is None:
            self._first_checked = requested_at
        if job.status.is_final:
            self._finished_by = responded_at
            is_plausible = reported_seconds is not None and 0 < reported_seconds <= MAX_DURATION_SECONDS
            self._reported_seconds = reported_seconds if is_plausible else None
        else:
            self._pending_until = requested_at

    def observation(self, features: JobFeatures) -> Observation | None:
        """Return the observation to record, or None if the wait has learned nothing.

        There is nothing to learn if the start of the job is unknown. Nor if the job was final at an unplanned first
        check, which only shows that the check came late, or was repeated.
        """
        was_pending = self._pending_until is not None
        if not self._job_age.is_known or self._first_checked is None or not (was_pending or self._is_planned):
            return None
        known = Observation(
            0.0,
            None,
            kind=features.kind,
            video_seconds=features.video_seconds,
            expected_seconds=features.expected_seconds,
            began_at=self._job_age.submitted_at,
        )
        if self._reported_seconds is not None:
            return known._replace(pending_until=self._reported_seconds, finished_by=self._reported_seconds)
        # Delayed entry: a planned first check covers the wait from its start. Before that, another wait may have run.
        entered = (self._began_at_age if self._is_planned else self._first_checked) if was_pending else 0.0
        observed = known._replace(
            pending_until=self._pending_until or 0.0, finished_by=self._finished_by, entered=entered
        )
        return observed if (observed.finished_by or observed.pending_until) <= MAX_DURATION_SECONDS else None
