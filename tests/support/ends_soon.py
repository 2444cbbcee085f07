"""The one upper bound on real time, and how long things last that a call must not wait for.

A busy machine may take seconds for what takes milliseconds elsewhere, so a test does not show how fast a call ends: that is
measured in `tests/benchmarks/benchmark_deadline.py`. It shows that a call ends by its limit at all, and not by something
else: whatever else could end it lasts for `LASTS_LONG` or more.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

from fake_server import Fault
from fake_server.faults import Action, Route
from translation_client import RequestFailed

T = TypeVar("T")

ENDS_SOON = 15.0
"""Seconds after its deadline, its cancellation or `close` by which a call has ended, on a machine however busy."""

LASTS_LONG = 60.0
"""Seconds of the silence of a server, and of limits that may not be what ends a call. Limits of calls that have to succeed, too."""

PATIENT: dict[str, Any] = {"timeout": LASTS_LONG, "request_timeout": LASTS_LONG}
"""Arguments of a client none of whose limits ends a call soon."""

DROWSY: dict[str, Any] = {**PATIENT, "backoff_factor": LASTS_LONG, "max_delay": LASTS_LONG}
"""The same, and it sleeps nearly all of its time after the first check of a pending job."""


@contextmanager
def ends_soon(after: float = 0.0) -> Iterator[None]:
    """A block that is over soon after so many seconds. What it would wait for otherwise has to last much longer.

    One that never ends is interrupted in the end, in the main thread.
    """
    began = time.monotonic()
    with _interrupted(after + 2 * ENDS_SOON):
        yield
    took = time.monotonic() - began
    assert took < after + ENDS_SOON, f"it took {took:.1f} s in place of {after:g}"


@contextmanager
def _interrupted(seconds: float) -> Iterator[None]:
    """A block that fails after so many seconds, if it runs in the main thread."""

    def fail(*_: object) -> None:
        raise AssertionError("it did not end")

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGALRM, fail)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def lasting(route: Route, action: Action, **more: str) -> Fault:
    """Make a fault of each response of a route that lasts long, though something comes all the time.

    Args:
        route: The route.
        action: The fault.
        more: Attributes of the fault.
    """
    return Fault(every=1, route=route, action=action, seconds=0.05, headers={"X-Long": "x" * 2000}, **more)  # type: ignore[arg-type]  # texts alone


def at_some_pace(attempt: Callable[[float], T]) -> T:
    """Return what an attempt returns, made with a limit in seconds, and with longer ones for as long as it breaks the limit.

    For what has to move faster than a limit, while all of it takes longer than that: a machine that is too busy for the
    shortest one is given more time.
    """
    for limit in (0.6, 3.0):
        with suppress(RequestFailed):
            return attempt(limit)
    return attempt(15.0)
