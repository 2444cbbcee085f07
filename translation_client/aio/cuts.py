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


class Cut:
    """The end of one call. As an asynchronous context: what goes on in it is ended in time.

    Raises, at its end:
        CallTimedOut: The call had no more time.
        CallCancelled: It is not wanted any more.
    """

    def __init__(
        self, deadline: float, idle_seconds: float, is_cancelled: Callable[[], bool], *, is_transfer: bool
    ) -> None:
        """Prepare.

        Args:
            deadline: When it has to be over at the latest, in the seconds of `clock.now`; `math.inf` for never.
            idle_seconds: How long a call may take; or, of a transfer, how long nothing may move.
            is_cancelled: Asked again and again.
            is_transfer: Whether it may take any time as long as bytes move.
        """
        self.is_receiving_file = False
        self._is_transfer = is_transfer
        self._deadline = deadline
        self._idle_seconds = idle_seconds
        self._is_cancelled = is_cancelled
        self._loop = asyncio.get_running_loop()
        self._began_now, self._began_loop = now(), self._loop.time()
        self._timeout = timeout_at(self._at(min(now() + idle_seconds, deadline)))
        self._look_again: asyncio.TimerHandle | None = None

    async def __aenter__(self) -> Cut:
        self._require_time()
        await self._timeout.__aenter__()
        self._look_again = self._loop.call_later(SLICE_SECONDS, self._look)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._look_again is not None:
            self._look_again.cancel()
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

    def _begin_anew(self) -> None:
        _move(self._timeout, self._at(min(now() + self._idle_seconds, self._deadline)))

    def end(self) -> None:
        """Look at once whether the call is still wanted."""
        if self._look_again is not None:
            self._look_again.cancel()
            self._look()

    def _at(self, moment: float) -> float:
        """A moment by the clock of the loop, which runs beside ours."""
        return self._began_loop + moment - self._began_now

    def _require_time(self) -> None:
        if self._is_cancelled():
            raise CallCancelled
        if self._deadline - now() <= 0:
            raise CallTimedOut

    def _look(self) -> None:
        if self._is_cancelled():
            _move(self._timeout, self._loop.time())
        else:
            self._look_again = self._loop.call_later(SLICE_SECONDS, self._look)
