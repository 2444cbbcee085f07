"""When may the next request go out? One budget for all jobs: a number a second, and pauses that a server asks for."""

from __future__ import annotations

import math
from collections import deque

TOO_MANY_REQUESTS, UNAVAILABLE = 429, 503
"""By these a server speaks of all our requests, or of itself, and not of the job that met them."""

USUAL_PER_SECOND = 100.0
"""Requests a second where the caller says nothing."""

WINDOW_SECONDS = 1.02
"""The second over which they are counted, and a little more: they arrive less evenly than they leave."""

ON_ITS_WAY_SECONDS = 0.25
"""How long a request is thought to be on its way, where a connection has to be made first, until its answer tells more."""

CATCH_UP_SECONDS = 0.02
"""How much of what a late timer missed is made up for; more would come all at once."""

MOST_SLOWED, EASE = 16.0, 0.5
"""How many times slower it goes at the most after refusals, each of which halves it; and by what an untroubled second eases that."""


class Ticket:
    """One request.

    Attributes:
        arrived_by: When it has reached the server, as far as is known.
    """

    __slots__ = ("arrived_by",)

    def __init__(self, arrived_by: float) -> None:
        self.arrived_by = arrived_by


class Budget:
    """Says when a request may go out, and hears when one did. Moments are in the seconds of `clock.now`."""

    def __init__(self, per_second: float) -> None:
        """Begin with nothing spent.

        Args:
            per_second: How many in any second at the most; `math.inf` for no limit.
        """
        self._per_second = per_second
        self._slowed = 1.0
        self._not_before = -math.inf
        self._next_turn = -math.inf
        self._spent: deque[Ticket] = deque(maxlen=max(1, math.floor(per_second)) if math.isfinite(per_second) else 1)
        self._eased_at = -math.inf

    def moment(self) -> float:
        """From when on the next one may go out."""
        if math.isinf(self._per_second):
            return self._not_before
        is_full = len(self._spent) == self._spent.maxlen
        after_window = self._spent[0].arrived_by + max(WINDOW_SECONDS, 1 / self._per_second) if is_full else -math.inf
        return max(self._not_before, self._next_turn, after_window)

    def spend(self, now: float) -> Ticket | None:
        """Hear that one goes out; what it is paid with, for `over`."""
        if math.isinf(self._per_second):
            return None
        ticket = Ticket(now + ON_ITS_WAY_SECONDS)
        self._spent.append(ticket)
        self._next_turn = max(self._next_turn, now - CATCH_UP_SECONDS) + self._gap
        return ticket

    def over(self, ticket: Ticket | None, now: float) -> None:
        """Hear that one is over: it arrived before."""
        if ticket is not None:
            ticket.arrived_by = min(ticket.arrived_by, now)

    def failed(self, status_code: int | None, hint: float | None, pause: float, now: float) -> None:
        """Hear of a call that failed: where the server has too much to do, all of us leave it alone.

        Args:
            status_code: What the server answered, if it did.
            hint: The seconds for which it asks to be left alone.
            pause: For how long the job that met it is left alone.
            now: The present moment.
        """
        if status_code == TOO_MANY_REQUESTS or (status_code == UNAVAILABLE and hint is not None):
            self.slow_down(now)
            self.pause(now + (pause if hint is None else hint))

    def pause(self, until: float) -> None:
        """Let none go out until then: the server asks to be left alone, and it means all of us."""
        self._not_before = max(self._not_before, until)

    def slow_down(self, now: float) -> None:
        """Halve the rate: the server says that there are too many. Once, for all that it says so of within a second."""
        if now - self._eased_at < 1 and self._slowed > 1:
            return
        self._slowed = min(self._slowed * 2, MOST_SLOWED)
        self._eased_at = now

    def went_well(self, now: float) -> None:
        """Hear of an answer; after a while without trouble the rate comes back."""
        if self._slowed > 1 and now - self._eased_at >= 1:
            self._slowed = max(1.0, self._slowed * (1 - EASE / 2))
            self._eased_at = now

    @property
    def _gap(self) -> float:
        return self._slowed / self._per_second
