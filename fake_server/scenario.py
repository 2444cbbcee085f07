"""What happens to a job, and when? Pure data and pure functions of elapsed time: a run repeats exactly."""

from __future__ import annotations

import math
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from .faults import Fault
from .notation import read_faults

Outcome = Literal["completed", "error"]
OUTCOMES: tuple[Outcome, ...] = ("completed", "error")

PENDING = "pending"


@dataclass(frozen=True)
class Life:
    """One job: pending for `duration` seconds, then its outcome."""

    duration: float
    outcome: Outcome = "completed"

    def status_at(self, elapsed: float) -> str:
        """The status word, `elapsed` seconds after the job began."""
        return PENDING if elapsed < self.duration else self.outcome


@dataclass(frozen=True)
class Scenario:
    """How all jobs of a server go.

    Attributes:
        duration: The seconds that a job takes; or the least and the most, between which each job draws.
        outcome: How they end.
        seed: Two servers with the same one draw the same durations.
        faults: Looked at in order for each answer; the first that strikes counts. Each is a `Fault`, or written as
            for `parse_fault`.

    Raises:
        ValueError: Something of it makes no sense; the message says what.
    """

    duration: float | tuple[float, float] = 10.0
    outcome: Outcome = "completed"
    seed: int = 0
    faults: Sequence[Fault | str] = ()

    def __post_init__(self) -> None:
        shortest, longest = self._range()
        are_numbers = all(isinstance(seconds, (int, float)) for seconds in (shortest, longest))
        if not are_numbers or not 0 <= shortest <= longest or not math.isfinite(longest):
            raise ValueError(f"a duration is 0 s or more, and a range of them rises; got {self.duration!r}")
        if self.outcome not in OUTCOMES:
            raise ValueError(f"outcome must be one of {', '.join(OUTCOMES)}, got {self.outcome!r}")
        object.__setattr__(self, "faults", read_faults(self.faults))

    def life(self, number: int) -> Life:
        """The life of the job with this number; the seed's single job is number 0."""
        shortest, longest = self._range()
        chance = random.Random(f"{self.seed}/{number}").random()  # noqa: S311  # a draw that repeats, not a secret
        return Life(shortest + (longest - shortest) * chance, self.outcome)

    def _range(self) -> tuple[float, float]:
        return (
            self.duration
            if isinstance(self.duration, tuple) and len(self.duration) == 2
            else (self.duration, self.duration)
        )


def parse_duration(text: str) -> float | tuple[float, float]:
    """Read seconds, `10`, or a range of them, `5-15`.

    Raises:
        ValueError: It is neither.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(?:-(\d+(?:\.\d+)?))?", text)
    if match is None:
        raise ValueError(f"a duration is seconds, such as 10, or a range of them, such as 5-15; got {text!r}")
    return float(match[1]) if match[2] is None else (float(match[1]), float(match[2]))
