"""The course of each job. Pure data and pure functions of elapsed time: a run repeats exactly."""

from __future__ import annotations

import math
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from .fault_syntax import read_faults
from .faults import Fault

Outcome = Literal["completed", "error"]
OUTCOMES: tuple[Outcome, ...] = ("completed", "error")

PENDING = "pending"


@dataclass(frozen=True)
class Life:
    """The course of one job: pending for `duration` seconds, then final.

    Its result is available `link_delay` seconds after the end.
    """

    duration: float
    outcome: Outcome = "completed"
    link_delay: float = 0.0

    def status_at(self, elapsed: float) -> str:
        """Return the status word `elapsed` seconds after the job started."""
        return PENDING if elapsed < self.duration else self.outcome

    def has_result_at(self, elapsed: float) -> bool:
        """True if the result is available `elapsed` seconds after the job started."""
        return self.outcome == "completed" and elapsed >= self.duration + self.link_delay


@dataclass(frozen=True)
class Scenario:
    """The behaviour of a server.

    Attributes:
        duration: The duration of a job in seconds, or the least and the most, between which each job draws its own.
        outcome: The outcome of all jobs.
        seed: Servers with the same seed draw the same durations.
        faults: The faults of responses. The first in order that applies to a response counts. Each is a `Fault`, or
            text for `parse_fault`.
        api_key: The only valid API key. None for any key, if the service needs one.
        max_jobs: The most pending jobs. One more is refused with the 429 of the service. None for no limit.
        result_bytes: The size of a result in bytes.
        link_seconds: How many seconds the URL of a result is valid. Each status response has a new one. None for no
            limit.
        link_delay: The seconds from the completion of a job until its result, or the URL of it, is available.

    Raises:
        ValueError: An attribute is out of range or has the wrong type. The message says which.
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
            raise ValueError("api_key is text that a header can hold")  # without the value: it may be a real key
        if self.max_jobs is not None and not _is_whole(self.max_jobs, 1):
            raise ValueError(f"max_jobs is a whole number from 1 on, or None; got {self.max_jobs!r}")
        if not _is_whole(self.result_bytes, 0):
            raise ValueError(f"result_bytes is a whole number from 0 on; got {self.result_bytes!r}")
        if self.link_seconds is not None and not _is_seconds(self.link_seconds):
            raise ValueError(f"link_seconds is a number of seconds, 0 or more, or None; got {self.link_seconds!r}")
        if not _is_seconds(self.link_delay):
            raise ValueError(f"link_delay is a number of seconds, 0 or more; got {self.link_delay!r}")

    def life(self, number: int) -> Life:
        """Return the course of the job with this number. The single job has the number 0."""
        shortest, longest = self._range()
        chance = random.Random(f"{self.seed}/{number}").random()  # noqa: S311  # a repeatable draw, not a secret
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
    """Parse seconds, `10`, or a range of them, `5-15`.

    Raises:
        ValueError: The text is neither.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(?:-(\d+(?:\.\d+)?))?", text)
    if match is None:
        raise ValueError(f"a duration is seconds, such as 10, or a range of them, such as 5-15; got {text!r}")
    return float(match[1]) if match[2] is None else (float(match[1]), float(match[2]))
