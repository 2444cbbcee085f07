"""When does a call of a task have to be over, and who else may end it? The twin of `transport/guard.py`, without threads."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from types import TracebackType

from ..clock import now
from ..transport.guard import CallCancelled, CallTimedOut

if sys.version_info >= (3, 11):
    from asyncio import Timeout, timeout_at

    def _move(timeout: Timeout, at: float) -> None:
        if not timeout.expired():
            timeout.reschedule(at)
else:  # aiohttp needs it there, too
    from async_timeout import Timeout, timeout_at

    def _move(timeout: Timeout, at: float) -> None:
        if not timeout.expired:
            timeout.update(at)


SLICE_SECONDS = 0.05
"""How soon a call that is under way sees that it was cancelled."""


class Cuts:
    """The calls of one client that are under way. One timer looks after all of them, while there are any."""

    def __init__(self) -> None:
        """Begin with none."""
        self._under_way: set[Cut] = set()
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._under_way)

    def add(self, cut: Cut) -> None:
        """Look after a call."""
        self._under_way.add(cut)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(SLICE_SECONDS, self._ring)

    def discard(self, cut: Cut) -> None:
        """Let go of a call; with the last one the timer goes."""
        self._under_way.discard(cut)
        if not self._under_way and self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def look(self) -> None:
        """End those that are not wanted any more."""
        for cut in tuple(self._under_way):
            cut.look()

    def _ring(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(SLICE_SECONDS, self._ring)
        self.look()


class Cut:
    """The end of one call. As an asynchronous context: what goes on in it is ended in time.

    Raises, at its end:
        CallTimedOut: The call had no more time.
        CallCancelled: It is not wanted any more.
    """

    def __init__(
        self, cuts: Cuts, deadline: float, idle_seconds: float, is_cancelled: Callable[[], bool], *, is_transfer: bool
    ) -> None:
        """Prepare.

        Args:
            cuts: Those of the client.
            deadline: When it has to be over at the latest, in the seconds of `clock.now`; `math.inf` for never.
            idle_seconds: How long a call may take; or, of a transfer, how long nothing may move.
            is_cancelled: Asked again and again.
            is_transfer: Whether it may take any time as long as bytes move.
        """
        self.is_receiving_file = False
        self._cuts = cuts
        self._is_transfer = is_transfer
        self._deadline = deadline
        self._idle_seconds = idle_seconds
        self._is_cancelled = is_cancelled
        self._began = now()
        self._loop = asyncio.get_running_loop()
        self._ahead = self._loop.time() - self._began  # by how much the clock of the loop is ahead of ours
        self._timeout = timeout_at(self._ahead + min(self._began + idle_seconds, deadline))

    async def __aenter__(self) -> Cut:
        if self._is_cancelled():
            raise CallCancelled
        if self._deadline <= self._began:
            raise CallTimedOut
        await self._timeout.__aenter__()
        self._cuts.add(self)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._cuts.discard(self)
        is_over = False
        try:
            await self._timeout.__aexit__(kind, error, trace)
        except asyncio.TimeoutError:  # the same as TimeoutError, but for Python 3.10
            is_over = True
        if is_over:  # out of the handler, or what was cut would go along as the context
            raise CallCancelled if self._is_cancelled() else CallTimedOut

    def sent(self) -> None:
        """Hear that bytes went out."""
        if self._is_transfer:
            self._begin_anew()

    def received(self) -> None:
        """Hear that bytes came in; they keep a transfer alive only if they are the file's."""
        if self.is_receiving_file:
            self._begin_anew()

    def look(self) -> None:
        """End it, if it is not wanted any more."""
        if self._is_cancelled():
            _move(self._timeout, self._loop.time())

    def _begin_anew(self) -> None:
        _move(self._timeout, self._ahead + min(now() + self._idle_seconds, self._deadline))
