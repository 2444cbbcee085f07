"""What time is it, and when is it over? Monotonic seconds only: a change of the wall clock moves no deadline."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

AHEAD_SECONDS, OLDEST_SECONDS = 5.0, 30 * 86400.0
"""A moment of an order that lies further ahead, or further back, is no such moment: another zone, an empty date."""

TICK_SECONDS = 0.001
"""Less than this left is nothing left. A frozen clock moves in microseconds and would never use up the rest."""


def now() -> float:
    """Monotonic seconds. Looked up at each call, so that a frozen clock is seen by everyone."""
    return time.monotonic()


@dataclass(frozen=True)
class Deadline:
    """The moment after which nothing may go on, in the seconds of `now`; `math.inf` for never."""

    at: float

    @classmethod
    def after(cls, seconds: float) -> Deadline:
        """Turn a relative time-out into a moment, once."""
        return cls(now() + seconds)

    @property
    def left(self) -> float:
        """Seconds to go; negative once it has passed."""
        return self.at - now()

    @property
    def has_passed(self) -> bool:
        """Whether so little is left that nothing can be done with it."""
        return self.left <= TICK_SECONDS


class JobClock:
    """When did the job begin? From then on its age is counted."""

    def __init__(self, submitted_at: float | None) -> None:
        """Take the moment of the order, in seconds of the Unix epoch; None where it is not known."""
        self.is_known = False
        self._began = now()
        self._said: float | None = None
        self.set(submitted_at)

    def set(self, submitted_at: float | None) -> None:
        """Learn of the moment, if it is one that makes sense: what lies a little ahead was just now."""
        age = -math.inf if submitted_at is None else time.time() - submitted_at
        if -AHEAD_SECONDS <= age <= OLDEST_SECONDS:
            self.is_known = True
            self._said = submitted_at
            self._began = now() - max(age, 0.0)

    @property
    def began_at(self) -> float:
        """The moment, in seconds of the Unix epoch."""
        return self._said if self._said is not None else time.time() - self.age()

    def age(self) -> float:
        """Seconds since the job began; since the wait began, where nobody knows."""
        return now() - self._began
