"""The rate limiter of a batch: a maximum of requests per second for all jobs, and pauses after a 429 or 503."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable

TOO_MANY_REQUESTS, UNAVAILABLE = 429, 503
"""Status codes that concern all requests of the client, or the server itself, and not the job of the request."""

DEFAULT_CHECKS_PER_SECOND = 100.0
"""The default maximum of requests per second."""

MAX_PER_SECOND = 1e9
"""A higher maximum is no limit: the permits of a second would not fit into memory."""

WINDOW_SECONDS = 1.02
"""Length of the rate window in seconds: one second plus 2 %, as network delay bunches requests."""

IN_TRANSIT_SECONDS = 0.25
"""0.25 s: how long a request is assumed to travel, including a new connection, unless its response comes earlier."""

CATCH_UP_SECONDS = 0.02
"""20 ms: how much of the delay of a late timer is made up for. Making up for more would send a burst."""

MAX_SLOWDOWN, RECOVERY = 16.0, 0.25
"""A 429, or a 503 with `Retry-After`, halves the rate, down to 1/16. A second without one lowers the slowdown by 25 %."""

MAX_PAUSE_SECONDS = 60.0
"""60 s: the longest pause of all jobs after a 429 or 503. A `Retry-After` of a day may concern one job alone."""

MAX_RESERVED = 1024
"""1024 reserved slots are kept before past ones are dropped. From then on it is twice the number left, if that is more."""


def never() -> float:
    """Return `math.inf`, a time that never comes."""
    return math.inf


class Permit:
    """The record of one request in the rate window.

    Attributes:
        arrived_by: The time by which the request has reached the server, as far as is known.
    """

    __slots__ = ("arrived_by",)

    def __init__(self, arrived_by: float) -> None:
        self.arrived_by = arrived_by


class RateLimiter:
    """Computes when the next request may be sent. Times are seconds of the clock of the batch.

    `checks_per_second` always holds. Pauses and the slower rate after a 429 or 503 are best effort: they are
    ignored where jobs would otherwise miss their last check.
    """

    def __init__(self, per_second: float) -> None:
        """Create a rate limiter, without requests.

        Args:
            per_second: The maximum number of requests in any second; `math.inf` for no limit.
        """
        per_second = per_second if per_second <= MAX_PER_SECOND else math.inf
        self._per_second = per_second
        self._max_in_window = max(1, math.floor(per_second)) if math.isfinite(per_second) else math.inf
        self._window = max(WINDOW_SECONDS, 1 / per_second)
        self._slowdown = 1.0
        self._paused_until = -math.inf
        self._next_slot = self._next_slow_slot = -math.inf
        self._permits: deque[Permit] = deque(maxlen=int(self._max_in_window) if math.isfinite(per_second) else 0)
        self._slowdown_changed_at = -math.inf

    def next_slot(self, urgent_at: Callable[[], float] = never) -> float:
        """Return the time from which the next request may be sent.

        Args:
            urgent_at: Returns the time from which pauses and the slower rate are ignored. Called only if they apply.
        """
        earliest = self._next_slot
        if len(self._permits) == self._max_in_window:
            earliest = max(earliest, self._permits[0].arrived_by + self._window)
        throttled = max(self._paused_until, self._next_slow_slot)
        return earliest if throttled <= earliest else max(earliest, min(throttled, urgent_at()))

    def seconds_for(self, requests: float) -> float:
        """Return how many seconds this number of requests takes at the full rate."""
        return requests * self._window / self._max_in_window

    def acquire(self, now: float) -> Permit | None:
        """Record that a request is sent, and return its permit, or None without a rate limit."""
        if math.isinf(self._per_second):
            return None
        permit = Permit(now + IN_TRANSIT_SECONDS)
        self._permits.append(permit)
        gap = 1 / self._per_second
        self._next_slot = max(self._next_slot, now - CATCH_UP_SECONDS) + gap
        slow_slot = min(self._next_slow_slot, now)  # later than `now` only if an urgent request was sent before it
        self._next_slow_slot = max(slow_slot, now - CATCH_UP_SECONDS) + self._slowdown * gap
        return permit

    def release(self, permit: Permit | None, now: float) -> None:
        """Record the end of a request: it reached the server before that."""
        if permit is not None:
            permit.arrived_by = min(permit.arrived_by, now)

    def record_failure(self, status_code: int | None, retry_after: float | None, delay: float, now: float) -> None:
        """Record a failed request. After a 429, or a 503 with `Retry-After`, pause all jobs and halve the rate.

        Args:
            status_code: The status code of the response; None if there is no response.
            retry_after: Seconds from `Retry-After`, or None.
            delay: Seconds of the pause without `Retry-After`: the sleep of the job of the request.
            now: The current time.
        """
        if status_code == TOO_MANY_REQUESTS or (status_code == UNAVAILABLE and retry_after is not None):
            self.throttle(now)
            self.pause(now + min(delay if retry_after is None else retry_after, MAX_PAUSE_SECONDS))

    def pause(self, until: float) -> None:
        """Send no request before `until`, unless it is urgent."""
        self._paused_until = max(self._paused_until, until)

    def throttle(self, now: float) -> None:
        """Halve the rate, as the server gets too many requests. Calls within a second halve it once."""
        if now - self._slowdown_changed_at < 1 and self._slowdown > 1:
            return
        self._slowdown = min(self._slowdown * 2, MAX_SLOWDOWN)
        self._slowdown_changed_at = now

    def recover(self, now: float) -> None:
        """Record a usable response. A second without a call of `throttle` raises a lowered rate."""
        if self._slowdown > 1 and now - self._slowdown_changed_at >= 1:
            self._slowdown = max(1.0, self._slowdown * (1 - RECOVERY))
            self._slowdown_changed_at = now


class Reservations:
    """Time slots at the full rate, reserved for requests that have to be sent by a certain time.

    Each request gets the latest free slot. So a request is early only if too many others have to be sent by the same
    time, and all of them are in time wherever that is possible, in whatever order they reserve.
    """

    def __init__(self, gap_seconds: float) -> None:
        """Create the slots, all of them free.

        Args:
            gap_seconds: Seconds between two requests; 0 for no rate limit.
        """
        self._gap = gap_seconds
        self._earlier: dict[int, int] = {}  # from each reserved slot to an earlier one that may be free
        self._max_reserved = MAX_RESERVED

    def reserve(self, now: float, latest: float) -> float | None:
        """Reserve the latest free slot, and return its time, or None if no slot is free from now on.

        Args:
            now: The current time.
            latest: The time by which the request has to be sent. It is returned if its slot is free.
        """
        if self._gap == 0:
            return latest
        last = math.floor(latest / self._gap)
        free = self._latest_free(last)
        reserved_at = latest - (last - free) * self._gap
        if reserved_at < now:
            return None
        self._earlier[free] = free - 1
        if len(self._earlier) > self._max_reserved:
            self._forget(math.floor(now / self._gap))
        return reserved_at

    def _latest_free(self, latest: int) -> int:
        free = latest
        while free in self._earlier:
            free = self._earlier[free]
        while latest in self._earlier:  # so that the next search is short
            reserved, latest = latest, self._earlier[latest]
            self._earlier[reserved] = free
        return free

    def _forget(self, present: int) -> None:
        self._earlier = {slot: earlier for slot, earlier in self._earlier.items() if slot >= present}
        self._max_reserved = max(MAX_RESERVED, 2 * len(self._earlier))
