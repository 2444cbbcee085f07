"""What time is it, and when is it over? Monotonic seconds only: a change of the wall clock moves no deadline."""

from __future__ import annotations

import time
from dataclasses import dataclass

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
        self.is_known = submitted_at is not None
        self._began = now()
        self.set(submitted_at)

    def set(self, submitted_at: float | None) -> None:
        """Learn of the moment, if it is one; what is in the future was just now."""
        if submitted_at is not None:
            self.is_known = True
            self._began = now() - max(time.time() - submitted_at, 0.0)

    def age(self) -> float:
        """Seconds since the job began; since the wait began, where nobody knows."""
        return now() - self._began
