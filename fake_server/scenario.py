"""The behaviour of a server and of its jobs: data, and functions of elapsed time, so that a run repeats exactly."""

from __future__ import annotations

import math
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from .fault_syntax import to_faults
from .faults import Fault

Outcome = Literal["completed", "error"]
OUTCOMES: tuple[Outcome, ...] = ("completed", "error")

PENDING = "pending"


@dataclass(frozen=True)
class Life:
    """The course of one job, which is pending at first and then final.

    Attributes:
        duration: Seconds until it is final.
        outcome: `completed` or `error`.
        link_delay: Seconds from the end until the result is available.
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
        duration: The duration of a job in seconds, or a range, from which the duration of each job is drawn.
        outcome: The outcome of all jobs.
        seed: The seed of the random durations. Servers with the same seed have the same durations.
        faults: The faults of responses, each as a `Fault` or text for `parse_fault`. The first one that applies to a
            response is used.
        api_key: The only valid API key. None for any key, if the service requires one.
        max_jobs: The maximum of pending jobs. One more is rejected with the 429 of the service. None for no limit.
        result_bytes: The size of a result in bytes.
        link_seconds: How many seconds the URL of a result is valid. Each status response has a new one. None for no
            limit.
        link_delay: Seconds from the completion of a job until its result, or the URL of it, is available.

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
        shortest, longest = self._duration_range()
        are_numbers = all(isinstance(seconds, (int, float)) for seconds in (shortest, longest))
        if not are_numbers or not 0 <= shortest <= longest or not math.isfinite(longest):
            raise ValueError(
                f"duration must be seconds, 0 or more, or a range with the shorter first; got {self.duration!r}"
            )
        if self.outcome not in OUTCOMES:
            raise ValueError(f"outcome must be one of {', '.join(OUTCOMES)}; got {self.outcome!r}")
        object.__setattr__(self, "faults", to_faults(self.faults))
        self._check_limits()

    def _check_limits(self) -> None:
        key = self.api_key
        if key is not None and not (isinstance(key, str) and key.isascii() and key.isprintable() and key.strip()):
            raise ValueError("api_key must be printable ASCII, not blank")  # not its value: the key may be real
        if self.max_jobs is not None and not _is_integer(self.max_jobs, 1):
            raise ValueError(f"max_jobs must be a positive integer, or None; got {self.max_jobs!r}")
        if not _is_integer(self.result_bytes, 0):
            raise ValueError(f"result_bytes must be an integer, 0 or more; got {self.result_bytes!r}")
        if self.link_seconds is not None and not _is_seconds(self.link_seconds):
            raise ValueError(f"link_seconds must be seconds, 0 or more, or None; got {self.link_seconds!r}")
        if not _is_seconds(self.link_delay):
            raise ValueError(f"link_delay must be seconds, 0 or more; got {self.link_delay!r}")

    def life(self, number: int) -> Life:
        """Return the course of the job with this number. The single job has the number 0."""
        shortest, longest = self._duration_range()
        fraction = random.Random(f"{self.seed}/{number}").random()  # noqa: S311  # repeatable, and not a secret
        return Life(shortest + (longest - shortest) * fraction, self.outcome, self.link_delay)

    def _duration_range(self) -> tuple[float, float]:
        return (
            self.duration
            if isinstance(self.duration, tuple) and len(self.duration) == 2
            else (self.duration, self.duration)
        )


def _is_integer(value: Any, minimum: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= minimum


def _is_seconds(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < math.inf


def parse_duration(text: str) -> float | tuple[float, float]:
    """Parse seconds, `10`, or a range of them, `5-15`.

    Raises:
        ValueError: The text is not a duration.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(?:-(\d+(?:\.\d+)?))?", text)
    if match is None:
        raise ValueError(f"a duration must be seconds, such as 10, or a range, such as 5-15; got {text!r}")
    return float(match[1]) if match[2] is None else (float(match[1]), float(match[2]))
