"""What happens to a job, and when. Pure data and pure functions of elapsed time: a run repeats exactly."""

from __future__ import annotations

import math
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from .faults import Fault
from .notation import read_faults

Outcome = Literal["completed", "error"]
OUTCOMES: tuple[Outcome, ...] = ("completed", "error")

PENDING = "pending"


@dataclass(frozen=True)
class Life:
    """One job: pending for `duration` seconds, then its outcome. Its result is there `link_delay` seconds after that."""

    duration: float
    outcome: Outcome = "completed"
    link_delay: float = 0.0

    def status_at(self, elapsed: float) -> str:
        """The status word, `elapsed` seconds after the job began."""
        return PENDING if elapsed < self.duration else self.outcome

    def has_result_at(self, elapsed: float) -> bool:
        """Whether the result can be had, `elapsed` seconds after the job began."""
        return self.outcome == "completed" and elapsed >= self.duration + self.link_delay


@dataclass(frozen=True)
class Scenario:
    """How all jobs of a server go.

    Attributes:
        duration: The seconds that a job takes; or the least and the most, between which each job draws.
        outcome: How they end.
        seed: Two servers with the same one draw the same durations.
        faults: Looked at in order for each answer; the first that strikes counts. Each is a `Fault`, or written as
            for `parse_fault`.
        api_key: The only key that is accepted. None: any is, where the service asks for one.
        max_jobs: How many jobs may be pending at once; one more is refused with the 429 of the service.
        result_bytes: The size of a result.
        link_seconds: How long a link to a result can be used; each answer about a job makes a new one. None: for ever.
        link_delay: How many seconds a job is said to be completed before its result, or the link to it, is there.

    Raises:
        ValueError: Something of it makes no sense; the message says what.
    """

    duration: float | tuple[float, float] = 10.0
    outcome: Outcome = "completed"
    seed: int = 0
    faults: Sequence[Fault | str] = ()
    api_key: str | None = None
    max_jobs: int | None = None
    result_bytes: int = 65536
    link_seconds: float | None = None
    link_delay: float = 0.0

    def __post_init__(self) -> None:
        shortest, longest = self._range()
        are_numbers = all(isinstance(seconds, (int, float)) for seconds in (shortest, longest))
        if not are_numbers or not 0 <= shortest <= longest or not math.isfinite(longest):
            raise ValueError(f"a duration is 0 s or more, and a range of them rises; got {self.duration!r}")
        if self.outcome not in OUTCOMES:
            raise ValueError(f"outcome must be one of {', '.join(OUTCOMES)}, got {self.outcome!r}")
        object.__setattr__(self, "faults", read_faults(self.faults))
        self._check_service()

    def _check_service(self) -> None:
        key = self.api_key
        if key is not None and not (isinstance(key, str) and key.isascii() and key.isprintable() and key.strip()):
            raise ValueError("api_key is text that a header can hold")  # and is not repeated: it may be a real one
        if self.max_jobs is not None and not _is_whole(self.max_jobs, 1):
            raise ValueError(f"max_jobs is a whole number from 1 on, or None; got {self.max_jobs!r}")
        if not _is_whole(self.result_bytes, 0):
            raise ValueError(f"result_bytes is a whole number from 0 on; got {self.result_bytes!r}")
        if self.link_seconds is not None and not _is_seconds(self.link_seconds):
            raise ValueError(f"link_seconds is a number of seconds, 0 or more, or None; got {self.link_seconds!r}")
        if not _is_seconds(self.link_delay):
            raise ValueError(f"link_delay is a number of seconds, 0 or more; got {self.link_delay!r}")

    def life(self, number: int) -> Life:
        """The life of the job with this number; the seed's single job is number 0."""
        shortest, longest = self._range()
        chance = random.Random(f"{self.seed}/{number}").random()  # noqa: S311  # a draw that repeats, not a secret
        return Life(shortest + (longest - shortest) * chance, self.outcome, self.link_delay)

    def _range(self) -> tuple[float, float]:
        return (
            self.duration
            if isinstance(self.duration, tuple) and len(self.duration) == 2
            else (self.duration, self.duration)
        )


def _is_whole(value: Any, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _is_seconds(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < math.inf


def parse_duration(text: str) -> float | tuple[float, float]:
    """Read seconds, `10`, or a range of them, `5-15`.

    Raises:
        ValueError: It is neither.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(?:-(\d+(?:\.\d+)?))?", text)
    if match is None:
        raise ValueError(f"a duration is seconds, such as 10, or a range of them, such as 5-15; got {text!r}")
    return float(match[1]) if match[2] is None else (float(match[1]), float(match[2]))
