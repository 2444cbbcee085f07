"""How long something took, minus the time that the threads of this process were ready to run and waited for a processor.

A test asserts that a call ends "at most 0.25 s after its deadline" to check our code. On a busy machine the same code takes longer, and
Linux says by how much: the second number of `/proc/PID/task/TID/schedstat` is the time that a thread has spent waiting on a run queue,
in nanoseconds (docs.kernel.org/scheduler/sched-stats.html). A thread that waits for a lock, a socket or the GIL is not on one.

The sum is over all threads that live when it is read. If these include each thread that the measured code waited for, it is an upper
estimate, as threads may wait at the same time, and a bound is never too strict. The kernel drops the number with the thread: of one
that has ended, nothing is taken off, and a bound is as strict as by the clock. So read the time in the thread that did the work, or
before it ends. Where the kernel does not say, nothing is taken off.
"""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path

TASKS = Path("/proc/self/task")


def run_delays(tasks: Path = TASKS) -> dict[str, float]:
    """Return the seconds that each thread has waited for a processor, by thread id; nothing where there is no such folder."""
    delays: dict[str, float] = {}
    with suppress(OSError):  # not Linux
        for task in tasks.iterdir():
            with suppress(OSError, IndexError, ValueError):  # the thread has ended, or the kernel has no such file
                delays[task.name] = int((task / "schedstat").read_text().split()[1]) / 1e9
    return delays


class Timer:
    """Starts when it is created. Measures real time and run delay."""

    def __init__(self, tasks: Path = TASKS) -> None:
        self._tasks = tasks
        self._delays = run_delays(tasks)
        self._began = time.monotonic()

    def elapsed(self) -> float:
        """Return the real seconds until now. Use it to assert "at least"."""
        return time.monotonic() - self._began

    def run_delay(self) -> float:
        """Return the seconds for which the threads that live now have waited for a processor since then, added up."""
        return sum(max(0.0, now - self._delays.get(thread, 0.0)) for thread, now in run_delays(self._tasks).items())

    def undelayed(self) -> float:
        """Return the real seconds until now minus the run delay. Use it to assert "at most"."""
        elapsed = self.elapsed()
        return elapsed - self.run_delay()
