"""The rate limiter of a batch: a maximum of requests per second for all jobs, and pauses after a 429 or 503."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable

TOO_MANY_REQUESTS, UNAVAILABLE = 429, 503
"""Status codes that concern all requests of the client, or the server itself, and not the job of the request."""

DEFAULT_CHECKS_PER_SECOND = 100.0
"""The default maximum of requests per second."""

WINDOW_SECONDS = 1.02
"""Length of the rate window in seconds: one second plus 2 %, as network delay bunches requests."""

ON_ITS_WAY_SECONDS = 0.25
"""0.25 s: how long a request is assumed to travel, including a new connection, unless its response comes earlier."""

CATCH_UP_SECONDS = 0.02
"""20 ms: how much of the delay of a late timer is made up for. Making up for more would send a burst."""

MOST_SLOWED, EASE = 16.0, 0.5
"""16: refusals halve the rate, down to 1/16. 0.5: a second without one lowers the slowdown by `EASE / 2`, 25 %."""

LONGEST_PAUSE_SECONDS = 60.0
"""60 s: the longest pause of all jobs after a refused request. A `Retry-After` of a day may concern one job alone."""

MOST_RESERVED = 1024
"""1024 reserved slots are kept before past ones are dropped. Later the limit is twice the number left, if more."""


def never() -> float:
    """Return `math.inf`, a time that never comes."""
    return math.inf


class Permit:
    """The rate-limit permit of one request.

    Attributes:
        arrived_by: The time by which the request has reached the server, as far as is known.
    """

    __slots__ = ("arrived_by",)

    def __init__(self, arrived_by: float) -> None:
        self.arrived_by = arrived_by


class RateLimiter:
    """Computes when the next request may be sent. Times are seconds of the clock of the batch.

    `checks_per_second` always holds. Pauses and the slower rate after a 429 or 503 are a courtesy: they are ignored
    where jobs would otherwise miss their last check.
    """

    def __init__(self, per_second: float) -> None:
        """Create a rate limiter, without requests.

        Args:
            per_second: The maximum number of requests in any second; `math.inf` for no limit.
        """
        self._per_second = per_second
        self._most = max(1, math.floor(per_second)) if math.isfinite(per_second) else math.inf
        self._window = max(WINDOW_SECONDS, 1 / per_second)
        self._slowed = 1.0
        self._not_before = -math.inf
        self._next_turn = self._next_slow_turn = -math.inf
        self._spent: deque[Permit] = deque(maxlen=int(self._most) if math.isfinite(per_second) else 0)
        self._eased_at = -math.inf

    def moment(self, urgent_at: Callable[[], float] = never) -> float:
        """Return the time from which the next request may be sent.

        Args:
            urgent_at: Returns the time from which pauses and the slower rate are ignored. Called only if they apply.
        """
        least = self._next_turn
        if len(self._spent) == self._most:
            least = max(least, self._spent[0].arrived_by + self._window)
        courteous = max(self._not_before, self._next_slow_turn)
        return least if courteous <= least else max(least, min(courteous, urgent_at()))

    def seconds_for(self, requests: float) -> float:
        """Return how many seconds this number of requests takes at the full rate."""
        return requests * self._window / self._most

    def spend(self, now: float) -> Permit | None:
        """Record that a request is sent, and return its permit, or None without a rate limit."""
        if math.isinf(self._per_second):
            return None
        ticket = Permit(now + ON_ITS_WAY_SECONDS)
        self._spent.append(ticket)
        gap = 1 / self._per_second
        self._next_turn = max(self._next_turn, now - CATCH_UP_SECONDS) + gap
        slow_turn = min(self._next_slow_turn, now)  # later than `now` only if an urgent request was sent before it
        self._next_slow_turn = max(slow_turn, now - CATCH_UP_SECONDS) + self._slowed * gap
        return ticket

    def over(self, ticket: Permit | None, now: float) -> None:
        """Record the end of a request: it reached the server before that."""
        if ticket is not None:
            ticket.arrived_by = min(ticket.arrived_by, now)

    def failed(self, status_code: int | None, retry_after: float | None, pause: float, now: float) -> None:
        """Record a failed request. After a 429, or a 503 with `Retry-After`, pause all jobs and halve the rate.

        Args:
            status_code: The status code of the response; None if there is no response.
            retry_after: Seconds from `Retry-After`, or None.
            pause: Seconds of the pause without `Retry-After`: the sleep of the job of the request.
            now: The current time.
        """
        if status_code == TOO_MANY_REQUESTS or (status_code == UNAVAILABLE and retry_after is not None):
            self.slow_down(now)
            self.pause(now + min(pause if retry_after is None else retry_after, LONGEST_PAUSE_SECONDS))

    def pause(self, until: float) -> None:
        """Send no request before `until`, unless it is urgent."""
        self._not_before = max(self._not_before, until)

    def slow_down(self, now: float) -> None:
        """Halve the rate, as the server gets too many requests. Refusals within a second halve it once."""
        if now - self._eased_at < 1 and self._slowed > 1:
            return
        self._slowed = min(self._slowed * 2, MOST_SLOWED)
        self._eased_at = now

    def went_well(self, now: float) -> None:
        """Record a usable response. A second without refusals raises a lowered rate."""
        if self._slowed > 1 and now - self._eased_at >= 1:
            self._slowed = max(1.0, self._slowed * (1 - EASE / 2))
            self._eased_at = now


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
        self._most = MOST_RESERVED

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
        moment = latest - (last - free) * self._gap
        if moment < now:
            return None
        self._earlier[free] = free - 1
        if len(self._earlier) > self._most:
            self._forget(math.floor(now / self._gap))
        return moment

    def _latest_free(self, latest: int) -> int:
        free = latest
        while free in self._earlier:
            free = self._earlier[free]
        while latest in self._earlier:  # so that the next search is short
            reserved, latest = latest, self._earlier[latest]
            self._earlier[reserved] = free
        return free

    def _forget(self, present: int) -> None:
        self._earlier = {turn: earlier for turn, earlier in self._earlier.items() if turn >= present}
        self._most = max(MOST_RESERVED, 2 * len(self._earlier))
