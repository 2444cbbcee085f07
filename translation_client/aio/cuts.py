"""When does a call of a task have to be over, and who else may end it? The twin of `transport/guard.py`, without threads."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import ContextVar
from types import TracebackType
from typing import Any

from ..clock import now
from ..transport.guard import CallCancelled, CallTimedOut

SLICE_SECONDS = 0.05
"""How soon a call that is under way sees that it was cancelled."""

_OURS = "the time of a call is up"
"""What a cancellation of ours says, by which Python 3.10 tells it from one that came from outside."""


class Alarm:
    """Ends what goes on in its block by cancelling the task at some moment. As a context.

    Like `asyncio.timeout_at`, which Python 3.10 has not; a cancellation that comes from outside, even in the same moment, is
    never taken for one of ours.

    Attributes:
        has_rung: Whether it ended the block.
    """

    def __init__(self, at: float) -> None:
        """Prepare; the moment is by the clock of the loop."""
        self.has_rung = False
        self._at = at
        self._loop = asyncio.get_running_loop()
        self._task: asyncio.Task[Any] | None = None
        self._handle: asyncio.TimerHandle | None = None
        self._cancelled_before = 0

    def __enter__(self) -> Alarm:
        self._task = asyncio.current_task()
        self._cancelled_before = _cancellations_of(self._task)
        self.set(self._at)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None
        task, self._task = self._task, None
        if not self.has_rung or task is None:
            return False
        if hasattr(task, "uncancel"):
            is_from_outside = task.uncancel() > self._cancelled_before
        else:
            is_from_outside = isinstance(error, asyncio.CancelledError) and error.args != (_OURS,)
        return error is not None and not is_from_outside  # it is told by who set the alarm

    def set(self, at: float) -> None:
        """Move the moment."""
        if self._task is None or self.has_rung:
            return
        if self._handle is not None:
            self._handle.cancel()
        if at <= self._loop.time():
            self.ring()  # a task that never has to wait would move the alarm again and again before it rings
        else:
            self._handle = self._loop.call_at(at, self.ring)

    def ring(self) -> None:
        """End the block now."""
        if self._task is not None and not self.has_rung:
            self.has_rung = True
            self._task.cancel(_OURS)


def _cancellations_of(task: asyncio.Task[Any] | None) -> int:
    return task.cancelling() if task is not None and hasattr(task, "cancelling") else 0


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
        self._connection: asyncio.BaseTransport | None = None
        self._cuts = cuts
        self._is_transfer = is_transfer
        self._deadline = deadline
        self._idle_seconds = idle_seconds
        self._is_cancelled = is_cancelled
        self._began = now()
        # By how much the clock of the loop is ahead of ours.
        self._ahead = asyncio.get_running_loop().time() - self._began
        self._alarm = Alarm(self._ahead + min(self._began + idle_seconds, deadline))

    async def __aenter__(self) -> Cut:
        if self._is_cancelled():
            raise CallCancelled
        if self._deadline <= self._began:
            raise CallTimedOut
        self._alarm.__enter__()
        self._cuts.add(self)
        self._token = CURRENT_CUT.set(self)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        CURRENT_CUT.reset(self._token)
        self._cuts.discard(self)
        if error is not None:
            self.abort()
        if self._alarm.__exit__(kind, error, trace):
            await asyncio.sleep(0)  # in which the connection is gone
            raise (CallCancelled if self._is_cancelled() else CallTimedOut) from None
        return False

    def abort(self) -> None:
        """Drop the connection with all that it still holds: to close it would wait for a peer who takes nothing."""
        if self._connection is not None:
            abort(self._connection)

    def sent(self) -> None:
        """Hear that bytes went out."""
        if self._is_transfer:
            self._begin_anew()

    def received(self) -> None:
        """Hear that bytes came in; they keep a transfer alive only if they are the file's."""
        if self.is_receiving_file:
            self._begin_anew()

    def connected(self, connection: asyncio.BaseTransport) -> None:
        """Hear by which connection it goes."""
        self._connection = connection

    def look(self) -> None:
        """End it, if it is not wanted any more."""
        if self._is_cancelled():
            self._alarm.ring()

    def _begin_anew(self) -> None:
        self._alarm.set(self._ahead + min(now() + self._idle_seconds, self._deadline))


CURRENT_CUT: ContextVar[Cut | None] = ContextVar("current cut", default=None)
"""That of the call which this task is making: a connection is made, or found, deep inside aiohttp."""


def abort(connection: asyncio.BaseTransport) -> None:
    """Drop a connection, if it can be."""
    if isinstance(connection, asyncio.WriteTransport):
        connection.abort()
