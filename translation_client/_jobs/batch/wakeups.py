"""The wake-ups of the workers and of the reader of a batch."""

from __future__ import annotations

import asyncio
import math
from collections import deque
from contextlib import suppress

from ..._clock import ContinuousClock


class Wakeups:
    """The wake-ups of a batch. Idle workers share one timer, and each worker that is woken wakes the next one needed.

    Attributes:
        changed: Set when a result is ready, or the batch is at its end.
        room_freed: Set when another job may be read from the source.
    """

    def __init__(self, clock: ContinuousClock) -> None:
        """Create the wake-ups, without idle workers. Times are those of `clock`."""
        self._clock = clock
        self.changed = asyncio.Event()
        self.room_freed = asyncio.Event()
        self._idle: deque[asyncio.Future[None]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = math.inf

    async def wait_idle(self, until: float) -> None:
        """Wait as an idle worker until woken. At `until` one of the idle workers is woken, and not necessarily this one."""
        idle: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._idle.append(idle)
        self.wake_at(until)
        try:
            await idle
        except BaseException:
            with suppress(ValueError):  # it was woken at the same time
                self._idle.remove(idle)
            raise

    def wake_at(self, at: float) -> None:
        """Wake an idle worker at a time of the clock, or now if that has passed."""
        if not self._idle or at == math.inf:
            return
        seconds = at - self._clock.now()
        if seconds <= 0:
            self._wake_one()
        elif at < self._timer_at:
            self.cancel_timer()
            self._timer_at = at
            self._timer = asyncio.get_running_loop().call_later(seconds, self._on_timer)

    def cancel_timer(self) -> None:
        """Cancel the timer."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._timer_at = None, math.inf

    def _on_timer(self) -> None:
        self.cancel_timer()
        self._wake_one()

    def _wake_one(self) -> None:
        while self._idle:
            idle = self._idle.popleft()
            if not idle.done():
                idle.set_result(None)
                return
