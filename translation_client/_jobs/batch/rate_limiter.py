"""The rate limiter of a batch: a number of requests a second for all jobs together, and pauses that a server asks for."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable

TOO_MANY_REQUESTS, UNAVAILABLE = 429, 503
"""By these a server speaks of all our requests, or of itself, and not of the job that met them."""

DEFAULT_CHECKS_PER_SECOND = 100.0
"""Requests a second where the caller says nothing."""

WINDOW_SECONDS = 1.02
"""The second over which they are counted, and a little more: they arrive less evenly than they leave."""

ON_ITS_WAY_SECONDS = 0.25
"""How long a request is thought to be on its way, where a connection has to be made first, until its answer tells more."""

CATCH_UP_SECONDS = 0.02
"""How much of what a late timer missed is made up for; more would come all at once."""

MOST_SLOWED, EASE = 16.0, 0.5
"""How many times slower it goes at the most after refusals, each of which halves it; and by what an untroubled second eases that."""

LONGEST_PAUSE_SECONDS = 60.0
"""The longest pause of all jobs because of one: `Retry-After` of a day may be about that job alone."""

MOST_RESERVED = 1024
"""Reserved turns that are kept before those that have passed are forgotten; later twice as many as were left."""


def never() -> float:
    """Return the moment that never comes."""
    return math.inf


class Permit:
    """One request.

    Attributes:
        arrived_by: When it has reached the server, as far as is known.
    """

    __slots__ = ("arrived_by",)

    def __init__(self, arrived_by: float) -> None:
        self.arrived_by = arrived_by


class RateLimiter:
    """Says when a request may be sent, and is told when one was. Moments are in the seconds of `clock.now`.

    `checks_per_second` always holds. Pauses and the slower rate after a 429 are a courtesy: they yield where jobs would
    otherwise miss their last check.
    """

    def __init__(self, per_second: float) -> None:
        """Begin with nothing spent.

        Args:
            per_second: How many in any second at the most; `math.inf` for no limit.
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
        """Return the moment from which the next request may be sent.

        Args:
            urgent_at: Returns the moment from which pauses yield. Called only if there is one.
        """
        least = self._next_turn
        if len(self._spent) == self._most:
            least = max(least, self._spent[0].arrived_by + self._window)
        courteous = max(self._not_before, self._next_slow_turn)
        return least if courteous <= least else max(least, min(courteous, urgent_at()))

    def seconds_for(self, requests: float) -> float:
        """Return how long so many requests take at the full rate."""
        return requests * self._window / self._most

    def spend(self, now: float) -> Permit | None:
        """Note that a request is sent; return what it is paid with, for `over`."""
        if math.isinf(self._per_second):
            return None
        ticket = Permit(now + ON_ITS_WAY_SECONDS)
        self._spent.append(ticket)
        gap = 1 / self._per_second
        self._next_turn = max(self._next_turn, now - CATCH_UP_SECONDS) + gap
        slow_turn = min(self._next_slow_turn, now)  # later only if an urgent request did not wait for it
        self._next_slow_turn = max(slow_turn, now - CATCH_UP_SECONDS) + self._slowed * gap
        return ticket

    def over(self, ticket: Permit | None, now: float) -> None:
        """Note that a request is over: it arrived before."""
        if ticket is not None:
            ticket.arrived_by = min(ticket.arrived_by, now)

    def failed(self, status_code: int | None, retry_after: float | None, pause: float, now: float) -> None:
        """Note a request that failed. If the server has too much to do, no job sends one for a while.

        Args:
            status_code: What the server answered, if it did.
            retry_after: The seconds of `Retry-After`.
            pause: For how long the job that met it sleeps.
            now: The present moment.
        """
        if status_code == TOO_MANY_REQUESTS or (status_code == UNAVAILABLE and retry_after is not None):
            self.slow_down(now)
            self.pause(now + min(pause if retry_after is None else retry_after, LONGEST_PAUSE_SECONDS))

    def pause(self, until: float) -> None:
        """Let no request be sent until then, unless it is urgent."""
        self._not_before = max(self._not_before, until)

    def slow_down(self, now: float) -> None:
        """Halve the rate: the server says that there are too many. Once, for all that it says so of within a second."""
        if now - self._eased_at < 1 and self._slowed > 1:
            return
        self._slowed = min(self._slowed * 2, MOST_SLOWED)
        self._eased_at = now

    def went_well(self, now: float) -> None:
        """Note an answer; after a while without trouble the rate comes back."""
        if self._slowed > 1 and now - self._eased_at >= 1:
            self._slowed = max(1.0, self._slowed * (1 - EASE / 2))
            self._eased_at = now


class Reservations:
    """Turns that are reserved for requests which have to be sent by a certain time, at the full rate.

    Each request gets the latest turn that is free. So one is early only if too many others have to be sent by the same time,
    and all of them are in time wherever that is possible, in whatever order they reserve.
    """

    def __init__(self, gap_seconds: float) -> None:
        """Begin with no turn reserved.

        Args:
            gap_seconds: Between two requests; 0 for no limit.
        """
        self._gap = gap_seconds
        self._earlier: dict[int, int] = {}  # from each reserved turn to one before it that may be free
        self._most = MOST_RESERVED

    def reserve(self, now: float, latest: float) -> float | None:
        """Reserve the latest free turn, and return its moment; None if there is none from now on.

        Args:
            now: The present moment.
            latest: The moment by which the request has to be sent; returned if nobody else needs it.
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
