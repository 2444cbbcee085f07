"""How does one wait ask by a plan, and teach the waits after it?"""

from __future__ import annotations

from .clock import JobAge, Stopwatch
from .lessons import Lesson
from .logs import EventLog
from .models import Job
from .pace import Pace
from .planner import Planner
from .schedule.relatives import Traits


class Learning:
    """What the waits of a client share. May be shared by threads."""

    def __init__(self, planner: Planner, *, is_spread: bool) -> None:
        """Take what makes the plans, and whether checks are spread by chance."""
        self._planner = planner
        self._is_spread = is_spread

    def begin(self, traits: Traits, submitted_at: float | None, log: EventLog, watch: Stopwatch) -> LearningWait:
        """Begin one wait for a job, by what is known of it; `watch` is the elapsed time of the wait."""
        return LearningWait(self._planner, traits, JobAge(submitted_at, watch), log, is_spread=self._is_spread)


class LearningWait:
    """One wait that asks by a plan. For one thread at a time, and for one use.

    Attributes:
        pace: The pauses between its questions.
    """

    def __init__(self, planner: Planner, traits: Traits, clock: JobAge, log: EventLog, *, is_spread: bool) -> None:
        self._planner = planner
        self._log = log
        self._warned: set[str] = set()
        self._lesson = Lesson(clock)
        self.pace = Pace(planner, traits, clock, self._warn, is_spread=is_spread)

    def first_pause(self) -> float:
        """Say for how many seconds not even the first question pays."""
        seconds = self.pace.first_pause()
        if seconds > 0:
            self._lesson.planned()
        return seconds

    def saw(self, job: Job, request_seconds: float, took: float | None) -> None:
        """Take over an answer: see `Lesson.saw`."""
        self.pace.saw(job)
        self._lesson.saw(job, request_seconds, took)

    def end(self, patience: float) -> None:
        """Remember what there was to learn, and wait no longer than some seconds for others that write."""
        observation = self._lesson.observation(self.pace.traits)
        if observation is not None:
            self._planner.remember(observation, self._warn, patience)

    def _warn(self, why: str) -> None:
        if why not in self._warned:
            self._warned.add(why)
            self._log.write("history_failed", error=why)
