"""Elapsed time, deadlines and the age of a job, in monotonic seconds: a change of the wall clock moves no deadline.

Elapsed time is the larger of the seconds of `time.monotonic` and the measured seconds of our own sleeps and socket
operations. The latter only count while a test freezes `time.monotonic`, for instance with freezegun, as sockets do not
stand still then. They leave out the caller's own code (session, `api_key()`, logger), so that a test on frozen time does
not depend on the speed of the machine.
"""

from __future__ import annotations

import importlib.util
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

MAX_CLOCK_SKEW_SECONDS, MAX_AGE_SECONDS = 5.0, 30 * 86400.0
"""5 s and 30 days: a `submitted_at` further in the future or in the past is wrong: another time zone, an empty date."""

DEADLINE_TOLERANCE_SECONDS = 0.001
"""1 ms: a deadline with at most this left has passed. freezegun rounds to microseconds, which may leave a few."""

MIN_REAL_SLEEP_SECONDS = 0.05
"""50 ms: a caller's `sleep` that took less did not really sleep.

The run time of such a function would make the elapsed time of a test on frozen time depend on the speed of the machine.
"""

FREEZE_TOLERANCE_SECONDS = 1.0
"""1 s: `time.monotonic` is not frozen if it is this close to `real_monotonic`, read right before or after it."""


def monotonic() -> float:
    """Return `time.monotonic()`. The function is looked up at each call, so that a test can replace it."""
    return time.monotonic()


def unpatched_monotonic() -> Callable[[], float]:
    """Return `monotonic` of a new copy of the module `time`, which freezegun does not patch."""
    spec = time.__spec__
    if spec is None or spec.loader is None:
        raise ImportError("the module time cannot be loaded again")
    copy = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(copy)
    copied: Callable[[], float] = copy.monotonic
    return copied


def _find_real_monotonic() -> Callable[[], float]:
    for name in ("CLOCK_UPTIME_RAW", "CLOCK_MONOTONIC"):  # the first is what `time.monotonic` reads on macOS
        if hasattr(time, name):
            return partial(time.clock_gettime, getattr(time, name))
    return unpatched_monotonic()


real_monotonic = _find_real_monotonic()
"""A monotonic clock that freezegun and time-machine do not stop.

freezegun replaces `time.monotonic` and `time.perf_counter` in each module that has them, and time-machine before 3.0
replaces `time.monotonic` inside the interpreter. Neither changes `time.clock_gettime` of a monotonic clock. Windows has
no such function: there it is `time.monotonic` of a copy of its module, which freezegun does not stop, but time-machine may.
"""


class ContinuousClock:
    """`time.monotonic` without the jumps when a test freezes the time, or unfreezes it.

    Such jumps are frequent: freezegun returns the real time to callers within five frames of the module `threading`,
    and the frozen time to others, so that one thread gets both in turn. `tick` and `move_to` of a frozen clock do
    count.
    """

    __slots__ = ("_is_real", "_latest", "_shift")

    def __init__(self) -> None:
        self._shift = 0.0
        self._latest = monotonic()
        self._is_real = abs(real_monotonic() - self._latest) < FREEZE_TOLERANCE_SECONDS

    @property
    def is_frozen(self) -> bool:
        """True if `time.monotonic` was not the real time at the last reading."""
        return not self._is_real

    def now(self) -> float:
        """Return the time of this clock in seconds. Not thread-safe."""
        reading = time.monotonic()
        is_real = -FREEZE_TOLERANCE_SECONDS < real_monotonic() - reading < FREEZE_TOLERANCE_SECONDS
        if is_real is not self._is_real:  # read again: a process that was stopped between the readings looks frozen
            reading = time.monotonic()
            is_real = -FREEZE_TOLERANCE_SECONDS < real_monotonic() - reading < FREEZE_TOLERANCE_SECONDS
        if is_real is not self._is_real:
            self._shift += self._latest - reading
            self._is_real = is_real
        self._latest = reading
        return reading + self._shift


class SharedClock(ContinuousClock):
    """One clock for many waits that sleep concurrently in an event loop.

    From one reading to the next it advances by the seconds of `time.monotonic` or by the real seconds, whichever are
    more. Real seconds count here without `Stopwatch.measure`: the event loop sleeps, or is in I/O, whenever nothing is
    computed. Over several readings the larger figures add up, so that 10 s of `tick` and then 5 s of sleep are 15 s.
    """

    __slots__ = ("_last_reading", "_last_real", "_loop_time", "_real_clock", "_surplus")

    def __init__(self, loop_time: Callable[[], float]) -> None:
        """Create a clock. It starts at its first reading, which must be made in the event loop.

        Args:
            loop_time: Returns the time of the event loop.
        """
        super().__init__()
        self._loop_time = loop_time
        self._real_clock: Callable[[], float] | None = None
        self._last_real = self._last_reading = math.inf  # until the first reading
        self._surplus = 0.0

    def now(self) -> float:
        """Return the time of this clock in seconds. Not thread-safe."""
        if self._real_clock is None:
            self._real_clock = real_clock_of(self._loop_time)
        # The real clock is read first here and last below: on a running clock its seconds are never the larger ones.
        real_seconds = self._real_clock() - self._last_real
        reading = super().now()
        if self._last_reading < math.inf:
            self._surplus += max(0.0, real_seconds - (reading - self._last_reading))
        self._last_reading = reading
        self._last_real = self._real_clock()
        return reading + self._surplus


def real_clock_of(loop_time: Callable[[], float]) -> Callable[[], float]:
    """Return the clock of real seconds for an event loop: `real_monotonic`, or the loop's own time if the loop is frozen.

    In a frozen event loop no timer fires, so that nothing in it sleeps for real seconds.

    Args:
        loop_time: Returns the time of the event loop.
    """
    return real_monotonic if abs(loop_time() - real_monotonic()) < FREEZE_TOLERANCE_SECONDS else loop_time


class Stopwatch:
    """Elapsed seconds of a wait, or of a part of it. Not thread-safe.

    Attributes:
        began_at: When it was started, by its clock.
    """

    __slots__ = ("_clock", "_measured", "_parent", "began_at")

    def __init__(self, parent: Stopwatch | None = None, clock: ContinuousClock | None = None) -> None:
        """Start a stopwatch.

        Args:
            parent: The enclosing stopwatch, which also counts all seconds added here; None for none.
            clock: The clock to read; None for that of the parent, or for a new one.
        """
        self._parent = parent
        self._clock: ContinuousClock = clock or (ContinuousClock() if parent is None else parent._clock)
        self._measured = 0.0
        self.began_at = self._clock.now()

    @property
    def elapsed(self) -> float:
        """The seconds since the start by the clock, or those of our sleeps and socket operations if they are more."""
        by_clock = self._clock.now() - self.began_at
        return by_clock if by_clock > self._measured else self._measured  # read often, and `max` takes longer

    def now(self) -> float:
        """Return `began_at` plus the elapsed seconds."""
        return self.began_at + self.elapsed

    def add(self, seconds: float) -> None:
        """Add the real seconds of a sleep or of a socket operation."""
        stopwatch: Stopwatch | None = self
        while stopwatch is not None:
            stopwatch._measured += seconds
            stopwatch = stopwatch._parent

    @contextmanager
    def measure(self, real: Callable[[], float] = real_monotonic) -> Iterator[None]:
        """Add the real seconds of a block that sleeps or does I/O, even if it raises. `real` is the clock to read."""
        began_at = real()
        try:
            yield
        finally:
            self.add(real() - began_at)

    @contextmanager
    def measure_callers_sleep(self, seconds: float, real: Callable[[], float] = real_monotonic) -> Iterator[None]:
        """Add the seconds that the caller's `sleep` function really slept. In tests it may only move the frozen clock.

        If it does neither, as a function that only records its argument, the requested seconds are added, or a frozen
        clock would never reach a deadline.

        Args:
            seconds: The seconds to sleep. No more than these are added.
            real: The clock to read.
        """
        began_at, clock_began_at = real(), self._clock.now()
        yield
        slept = real() - began_at
        if slept >= min(seconds, MIN_REAL_SLEEP_SECONDS):
            self.add(min(slept, seconds))
        elif self._clock.now() == clock_began_at and self._clock.is_frozen:
            self.add(seconds)


@dataclass(frozen=True, eq=False, repr=False)
class Deadline:
    """The time at which a call or a wait must end.

    Attributes:
        at: The time by the clock of `stopwatch`; `math.inf` for never.
        stopwatch: The stopwatch that measures it.
    """

    at: float
    stopwatch: Stopwatch = field(default_factory=Stopwatch)

    @classmethod
    def after(cls, seconds: float, parent: Stopwatch | None = None) -> Deadline:
        """Return a deadline in `seconds` from now. `parent` is the enclosing stopwatch, or None."""
        stopwatch = Stopwatch(parent)
        return cls(stopwatch.began_at + seconds, stopwatch)

    @property
    def remaining(self) -> float:
        """The seconds left, which may be negative."""
        stopwatch = self.stopwatch
        return self.at - stopwatch.began_at - stopwatch.elapsed

    @property
    def expired(self) -> bool:
        """True if at most `DEADLINE_TOLERANCE_SECONDS` are left."""
        return self.remaining <= DEADLINE_TOLERANCE_SECONDS


class JobAge:
    """The age of a job: seconds since its submission, or since the start of its wait if `submitted_at` is unknown.

    Attributes:
        is_known: True if a plausible `submitted_at` is known.
    """

    def __init__(self, submitted_at: float | None, stopwatch: Stopwatch) -> None:
        """Start to count.

        Args:
            submitted_at: When the job was submitted, in seconds of the Unix epoch; None if unknown. An implausible time
                is ignored.
            stopwatch: The stopwatch of its wait.
        """
        self.is_known = False
        self._watch = stopwatch
        self._began = stopwatch.now()
        self._submitted_at: float | None = None
        self.set_submitted_at(submitted_at)

    def set_submitted_at(self, submitted_at: float | None) -> None:
        """Set the time of submission, unless it is implausible or None. Up to 5 s in the future count as now."""
        age = -math.inf if submitted_at is None else time.time() - submitted_at
        if -MAX_CLOCK_SKEW_SECONDS <= age <= MAX_AGE_SECONDS:
            self.is_known = True
            self._submitted_at = submitted_at
            self._began = self._watch.now() - max(age, 0.0)

    @property
    def submitted_at(self) -> float:
        """The Unix time of the submission, in seconds, or of the start of its wait if the submission is unknown."""
        return self._submitted_at if self._submitted_at is not None else time.time() - self.age()

    def age(self) -> float:
        """Return the age in seconds."""
        return self._watch.now() - self._began
