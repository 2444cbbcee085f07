"""Whether the machine is too busy for a test that keeps a time, by the pressure stall information of Linux.

A test on real time fails if its processes have to wait for a processor, and that says nothing about the code. So it is run again then,
twice at most. On a machine that has processors to spare, the first failure counts.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

PRESSURE = Path("/proc/pressure/cpu")
"""See docs.kernel.org/accounting/psi.html: `some avg10` is in which part of the last 10 s some task had to wait for a processor."""

BUSY_PERCENT = 30.0

ATTEMPTS = 3

T = TypeVar("T")


def is_busy(pressure: Path = PRESSURE) -> bool:
    """Return True if tasks had to wait for a processor in a large part of the last 10 s; False where that is not measured."""
    try:
        text = pressure.read_text()
    except OSError:  # another system, or a kernel without it
        return False
    match = re.search(r"^some avg10=([\d.]+)", text)
    return match is not None and float(match[1]) >= BUSY_PERCENT


def on_a_fair_machine(run: Callable[[], T], has_failed: Callable[[T], bool], busy: Callable[[], bool] = is_busy) -> T:
    """Run a test, and again while it fails on a busy machine; return the last result.

    Args:
        run: Runs the test.
        has_failed: Whether a result of it is a failure.
        busy: Whether the machine is busy now.
    """
    result = run()
    for _ in range(ATTEMPTS - 1):
        if not has_failed(result) or not busy():
            break
        result = run()
    return result
