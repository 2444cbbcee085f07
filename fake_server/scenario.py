"""What happens to a job, and when? Pure data and pure functions of elapsed time: a run repeats exactly."""

from __future__ import annotations

import math
import random
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Outcome = Literal["completed", "error"]
OUTCOMES: tuple[Outcome, ...] = ("completed", "error")

Action = Literal["answer", "drop", "html", "truncate"]

HTML_PAGE = "<!doctype html><html><body><h1>Welcome to the proxy</h1></body></html>"

_FAULT = re.compile(
    r"(?:(?P<nth>[1-9]\d*)|every-(?P<every>[1-9]\d*)|(?P<begin>\d+(?:\.\d+)?)s-(?P<end>\d+(?:\.\d+)?)s)"
    r":(?P<action>[2-5]\d\d|drop|html|truncate)(?::(?P<header>[A-Za-z-]+)=(?P<value>[\x20-\x7e]+))?"
)


@dataclass(frozen=True)
class Life:
    """One job: pending for `duration` seconds, then its outcome."""

    duration: float
    outcome: Outcome = "completed"

    def status_at(self, elapsed: float) -> str:
        """The status word, `elapsed` seconds after the job began."""
        return "pending" if elapsed < self.duration else self.outcome


@dataclass(frozen=True)
class Fault:
    """Something that goes wrong with the answers about a job. Exactly one of the three triggers is set.

    Attributes:
        nth: The n-th answer about a job, counted from 1.
        every: Every so many answers about it.
        between: From and until, in seconds of the job's time.
        action: `answer` with `status_code` and `headers`, `drop` the connection, a page of `html` with status 200, or
            `truncate` the body.
    """

    nth: int | None = None
    every: int | None = None
    between: tuple[float, float] | None = None
    action: Action = "answer"
    status_code: int = 503
    headers: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if sum(trigger is not None for trigger in (self.nth, self.every, self.between)) != 1:
            raise ValueError(f"a fault has exactly one trigger: nth, every or between; got {self!r}")
        if self.nth == 0 or self.every == 0:
            raise ValueError(f"answers are counted from 1; got {self!r}")
        if self.between is not None and not self.between[0] < self.between[1]:
            raise ValueError(f"a span of time rises; got {self.between[0]:g} to {self.between[1]:g} s")

    def strikes(self, number: int, elapsed: float) -> bool:
        """Whether it hits the answer `number`, which is given `elapsed` seconds into the job."""
        if self.between is not None:
            return self.between[0] <= elapsed < self.between[1]
        return number == self.nth if self.every is None else number % self.every == 0


def parse_fault(text: str) -> Fault:
    """Read a fault from `WHEN:WHAT[:HEADER=VALUE]`.

    WHEN is `2` (the second answer), `every-3`, or `5s-8s`; WHAT is a status code, `drop`, `html` or `truncate`.

    Raises:
        ValueError: It is not of that form.
    """
    match = _FAULT.fullmatch(text)
    if match is None:
        raise ValueError(f"a fault is WHEN:WHAT[:HEADER=VALUE], such as 2:503 or 5s-8s:429:Retry-After=3; got {text!r}")
    part: dict[str, Any] = match.groupdict()
    code = part["action"].isdecimal()
    return Fault(
        nth=_whole(part["nth"]),
        every=_whole(part["every"]),
        between=None if part["begin"] is None else (float(part["begin"]), float(part["end"])),
        action="answer" if code else part["action"],
        status_code=int(part["action"]) if code else 200,
        headers={part["header"]: part["value"]} if part["header"] else {},
    )


def _whole(text: str | None) -> int | None:
    return None if text is None else int(text)


@dataclass(frozen=True)
class Scenario:
    """How all jobs of a server go.

    Attributes:
        shortest: The least seconds that a job takes.
        longest: The most; the same number where all take as long.
        outcome: How they end.
        seed: Two servers with the same one draw the same durations.
        faults: Looked at in order for each answer; the first that strikes counts.
    """

    shortest: float = 10.0
    longest: float = 10.0
    outcome: Outcome = "completed"
    seed: int = 0
    faults: tuple[Fault, ...] = ()

    def __post_init__(self) -> None:
        if not 0 <= self.shortest <= self.longest or not math.isfinite(self.longest):
            raise ValueError(f"a duration is 0 or more, and a range rises; got {self.shortest!r} to {self.longest!r}")
        if self.outcome not in OUTCOMES:
            raise ValueError(f"outcome must be one of {', '.join(OUTCOMES)}, got {self.outcome!r}")

    def life(self, number: int) -> Life:
        """The life of the job with this number; the seed's single job is number 0."""
        chance = random.Random(f"{self.seed}/{number}").random()  # noqa: S311  # a draw that repeats, not a secret
        return Life(self.shortest + (self.longest - self.shortest) * chance, self.outcome)

    def fault_in(self, number: int, elapsed: float) -> Fault | None:
        """The fault that strikes this answer, or None."""
        return next((fault for fault in self.faults if fault.strikes(number, elapsed)), None)


def parse_duration(text: str) -> tuple[float, float]:
    """Read seconds, `10`, or a range of them, `5-15`.

    Raises:
        ValueError: It is neither.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(?:-(\d+(?:\.\d+)?))?", text)
    if match is None:
        raise ValueError(f"a duration is seconds, such as 10, or a range of them, such as 5-15; got {text!r}")
    return float(match[1]), float(match[2] or match[1])
