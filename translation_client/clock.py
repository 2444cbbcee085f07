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
