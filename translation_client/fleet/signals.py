"""Who is woken when? The workers one after the other, the taker of outcomes, the reader of the source."""

from __future__ import annotations

import asyncio
import math
from collections import deque
from contextlib import suppress

from ..clock import ContinuousClock


class Signals:
    """What wakes whom. One timer for all idle workers, and each that is woken wakes the next one that is needed.

    Attributes:
        news: Something for the taker of outcomes.
        room: Room for the reader of the source.
    """

    def __init__(self, clock: ContinuousClock) -> None:
        """Begin with nobody waiting; moments are those of the clock."""
        self._clock = clock
        self.news = asyncio.Event()
        self.room = asyncio.Event()
        self._idle: deque[asyncio.Future[None]] = deque()
        self._alarm: asyncio.TimerHandle | None = None
        self._alarm_at = math.inf

    async def worker(self, moment: float) -> None:
        """Be idle until one is needed, at some moment at the latest."""
        idle: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._idle.append(idle)
        self.rouse(moment)
        try:
            await idle
        except BaseException:
            with suppress(ValueError):  # it was woken in the same moment
                self._idle.remove(idle)
            raise

    def rouse(self, moment: float) -> None:
        """Wake a worker at some moment, or now."""
        if not self._idle or moment == math.inf:
            return
        wait = moment - self._clock.now()
        if wait <= 0:
            self._wake_one()
        elif moment < self._alarm_at:
            self.alarm_off()
            self._alarm_at = moment
            self._alarm = asyncio.get_running_loop().call_later(wait, self._ring)

    def alarm_off(self) -> None:
        """Have nobody woken any more."""
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm, self._alarm_at = None, math.inf

    def _ring(self) -> None:
        self.alarm_off()
        self._wake_one()

    def _wake_one(self) -> None:
        while self._idle:
            idle = self._idle.popleft()
            if not idle.done():
                idle.set_result(None)
                return
