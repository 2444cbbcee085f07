"""Elapsed time, deadlines and the age of a job, in monotonic seconds: a change of the wall clock moves no deadline.

Elapsed time is the larger of two figures: what `time.monotonic` says, and the seconds really spent sleeping and in network
I/O. On a running clock the second figure is never the larger one. Under freezegun, where `time.monotonic` stands still and
sockets do not, it is what keeps each deadline. The caller's own code (session, `api_key()`, logger) is not counted, so that a
test on frozen time does not depend on the speed of the machine.
"""

from __future__ import annotations

import importlib.util
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

AHEAD_SECONDS, OLDEST_SECONDS = 5.0, 30 * 86400.0
"""A moment of an order that lies further ahead, or further back, is no such moment: another zone, an empty date."""

TICK_SECONDS = 0.001
"""Less than this left is nothing left. A frozen clock moves in microseconds and would never use up the rest."""

SAME_CLOCK_SECONDS = 1.0
"""`time.monotonic` is the real one if it is this close to `real_monotonic`: two readings are less than that apart."""


def now() -> float:
    """Return the seconds of `time.monotonic`. It is looked up at each call, so that a test can replace it."""
    return time.monotonic()


def monotonic_of_a_copy() -> Callable[[], float]:
    """Return `monotonic` of a new copy of the module `time`, which nobody has patched."""
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
    return monotonic_of_a_copy()


real_monotonic = _find_real_monotonic()
"""A monotonic clock that no test tool stops.

freezegun replaces `time.monotonic` and `time.perf_counter` in each module that has them, and time-machine before 3.0 replaces
`time.monotonic` inside the interpreter. Neither touches `time.clock_gettime` of a monotonic clock. Windows has no such
function: there it is `time.monotonic` of a copy of its module, which freezegun does not see.
"""


class ContinuousClock:
    """`now()`, without the jump when a test tool replaces `time.monotonic` or puts it back.

    freezegun also gives the real time to callers within five frames of the module `threading`, and the frozen time to all
    others, so that both come in turn in one thread. What the frozen clock is moved by (`tick`, `move_to`) counts.
    """

    __slots__ = ("_is_real", "_latest", "_shift")

    def __init__(self) -> None:
        self._shift = 0.0
        self._latest = now()
        self._is_real = abs(real_monotonic() - self._latest) < SAME_CLOCK_SECONDS

    def now(self) -> float:
        """Return the present moment. For one thread at a time."""
        moment = time.monotonic()
        is_real = -SAME_CLOCK_SECONDS < real_monotonic() - moment < SAME_CLOCK_SECONDS
        if is_real is not self._is_real:
            self._shift += self._latest - moment
            self._is_real = is_real
        self._latest = moment
        return moment + self._shift


class SharedClock(ContinuousClock):
    """One time for many waits that sleep side by side in an event loop.

    Between two looks at it, it advances by what `now()` advances or by the real seconds, whichever is more: those who share
    it are always asleep, or in I/O.
    """

    __slots__ = ("_ahead", "_loop_time", "_moment", "_real", "_real_at")

    def __init__(self, loop_time: Callable[[], float]) -> None:
        """Prepare. The clock starts with the first look at it, which may be later, in the loop.

        Args:
            loop_time: Returns the time of the event loop.
        """
        super().__init__()
        self._loop_time = loop_time
        self._real: Callable[[], float] | None = None
        self._real_at = self._moment = math.inf
        self._ahead = 0.0

    def now(self) -> float:
        """Return the present moment. For one thread."""
        if self._real is None:
            self._real = real_clock_of(self._loop_time)
        # The real seconds are read inside those of the clock: while that runs, they are never more.
        real_seconds = self._real() - self._real_at
        moment = super().now()
        if self._moment < math.inf:
            self._ahead += max(0.0, real_seconds - (moment - self._moment))
        self._moment = moment
        self._real_at = self._real()
        return moment + self._ahead


def real_clock_of(loop_time: Callable[[], float]) -> Callable[[], float]:
    """Return the clock of real seconds for an event loop: `real_monotonic`, or the loop's own where that is not real.

    An event loop whose time stands still runs no timer, and what happens in it takes no time.
    """
    return real_monotonic if abs(loop_time() - real_monotonic()) < SAME_CLOCK_SECONDS else loop_time


class Stopwatch:
    """Elapsed seconds of a wait, or of a part of it. For one thread at a time.

    Attributes:
        began_at: When it was started, in the seconds of `now`.
    """

    __slots__ = ("_blocked", "_clock", "_whole", "began_at")

    def __init__(self, whole: Stopwatch | None = None, clock: ContinuousClock | None = None) -> None:
        """Start.

        Args:
            whole: What this is a part of: seconds spent in the part are spent in the whole.
            clock: The clock to read; None for that of the whole, or for a new one.
        """
        self._whole = whole
        self._clock: ContinuousClock = clock or (ContinuousClock() if whole is None else whole._clock)
        self._blocked = 0.0
        self.began_at = self._clock.now()

    @property
    def elapsed(self) -> float:
        """Seconds since the start: those of the clock, or those spent sleeping and in I/O if they are more."""
        by_clock = self._clock.now() - self.began_at
        return by_clock if by_clock > self._blocked else self._blocked  # `max` takes longer

    def now(self) -> float:
        """Return the present moment: the start and the elapsed seconds."""
        return self.began_at + self.elapsed

    def spent(self, seconds: float) -> None:
        """Count real seconds of a sleep or of I/O."""
        watch: Stopwatch | None = self
        while watch is not None:
            watch._blocked += seconds
            watch = watch._whole

    @contextmanager
    def blocked(self, real: Callable[[], float] = real_monotonic) -> Iterator[None]:
        """Count the real seconds of a block that sleeps or waits for I/O."""
        began_at = real()
        try:
            yield
        finally:
            self.spent(real() - began_at)

    @contextmanager
    def in_callers_sleep(self, seconds: float, real: Callable[[], float] = real_monotonic) -> Iterator[None]:
        """Count the seconds of a caller's `sleep` function if it really sleeps; one that moves a frozen clock does not."""
        began_at = real()
        yield
        if real() - began_at >= seconds:
            self.spent(seconds)


@dataclass(frozen=True)
class Deadline:
    """The moment after which nothing may go on.

    Attributes:
        at: In the seconds of `now` when `watch` was started; `math.inf` for never.
        watch: What counts the seconds until then.
    """

    at: float
    watch: Stopwatch = field(default_factory=Stopwatch)

    @classmethod
    def after(cls, seconds: float, whole: Stopwatch | None = None) -> Deadline:
        """Turn a relative time-out, of a part of something or of a thing of its own, into a moment."""
        watch = Stopwatch(whole)
        return cls(watch.began_at + seconds, watch)

    @property
    def left(self) -> float:
        """Seconds to go; negative once it has passed."""
        watch = self.watch
        return self.at - watch.began_at - watch.elapsed

    @property
    def has_passed(self) -> bool:
        """True if so little is left that nothing can be done with it."""
        return self.left <= TICK_SECONDS


class JobClock:
    """The age of a job: seconds since it was submitted, or since its wait began where that is unknown."""

    def __init__(self, submitted_at: float | None, watch: Stopwatch) -> None:
        """Start.

        Args:
            submitted_at: When the job was submitted, in seconds of the Unix epoch; None if unknown.
            watch: The elapsed time of its wait.
        """
        self.is_known = False
        self._watch = watch
        self._began = watch.now()
        self._said: float | None = None
        self.set(submitted_at)

    def set(self, submitted_at: float | None) -> None:
        """Take over when the job was submitted, if that makes sense: a moment a little ahead counts as the present."""
        age = -math.inf if submitted_at is None else time.time() - submitted_at
        if -AHEAD_SECONDS <= age <= OLDEST_SECONDS:
            self.is_known = True
            self._said = submitted_at
            self._began = self._watch.now() - max(age, 0.0)

    @property
    def began_at(self) -> float:
        """When the job was submitted, in seconds of the Unix epoch."""
        return self._said if self._said is not None else time.time() - self.age()

    def age(self) -> float:
        """Return the age in seconds."""
        return self._watch.now() - self._began
