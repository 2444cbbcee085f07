"""The limits of one blocking HTTP call: its deadline, and what else may cancel it.

A requests time-out is per read, so a server that sends one byte a second outlives it. Here every operation that can block does so for
a slice of time at the most, and looks at the deadline and at the cancellation before each slice.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable

from .._clock import Deadline, Stopwatch

SLICE_SECONDS = 0.1
"""How soon a blocked operation sees that it was cancelled."""


class CallAborted(Exception):
    """A call was ended by its guard.

    Not an `OSError` on purpose: urllib3 would wrap or repeat that. This one it lets through, and closes the connection.

    Attributes:
        was_sent: Whether the whole request may have reached the server before.
    """

    was_sent = True


class CallTimeout(CallAborted):
    """The call had no more time."""


class CallCancelled(CallAborted):
    """The call is not wanted any more."""


class RequestNotSent(Exception):
    """A call was never made: what gives the key raised, or the file that is to be sent cannot be read.

    Attributes:
        cause: What was raised.
    """

    def __init__(self, cause: Exception) -> None:
        super().__init__(str(cause))
        self.cause = cause


class CancelScope:
    """The limits of one HTTP call, redirects included. As a context: what the sockets of this thread obey."""

    def __init__(self, ends_at: float, is_cancelled: Callable[[], bool], stopwatch: Stopwatch | None = None) -> None:
        """Guard a call.

        Args:
            ends_at: The moment it has to be over, in the seconds of `clock.now`.
            is_cancelled: Asked before each slice; from here on it may be answered by another thread.
            stopwatch: The elapsed time of the call; None to start counting now.
        """
        self.has_sent = False
        self.stopwatch = stopwatch or Stopwatch()
        self._ends_at = ends_at
        self._is_cancelled = is_cancelled
        self._outer: CancelScope | None = None

    def __enter__(self) -> None:
        self._outer, _of_this_thread.guard = _of_this_thread.guard, self

    def __exit__(self, *_: object) -> None:
        _of_this_thread.guard = self._outer

    def shortened(self, seconds: float) -> CancelScope:
        """Make a guard for a part of the call, which has so many seconds at the most."""
        stopwatch = Stopwatch(self.stopwatch)
        return CancelScope(stopwatch.began_at + min(self._left(), seconds), self._is_cancelled, stopwatch)

    def left(self) -> float:
        """Say how many seconds are left, more than 0.

        Raises:
            CallTimedOut: None are.
            CallCancelled: The call is not wanted any more.
        """
        if self._is_cancelled():
            raise CallCancelled
        left = self._left()
        if left <= 0:
            raise CallTimeout
        return left

    def _left(self) -> float:
        return self._ends_at - self.stopwatch.began_at - self.stopwatch.elapsed

    def slice(self) -> float:
        """Say for how many seconds to block before asking again. Raises as `left` does."""
        return min(self.left(), SLICE_SECONDS)

    def sent(self) -> None:
        """Hear that bytes went out. A control call has its time, whether they do or not."""
        self.has_sent = True

    def received(self) -> None:
        """Hear that bytes came in."""


class TransferScope(CancelScope):
    """The limits of a transfer: it may take any time until the deadline, as long as the file moves.

    What is sent is the file, or so little that it is gone at once; what is received is one only from its first byte on:
    headers that drip keep no call alive.

    Attributes:
        is_receiving_file: Whether what comes in now is the file.
    """

    is_receiving_file = False

    def __init__(
        self, deadline: Deadline, idle_seconds: float, is_cancelled: Callable[[], bool], stopwatch: Stopwatch
    ) -> None:
        """Guard a transfer.

        Args:
            deadline: When it has to be over.
            idle_seconds: How long nothing may move.
            is_cancelled: As for `CancelScope`.
            stopwatch: The elapsed time of the call, which is a part of what the deadline is for.
        """
        super().__init__(math.inf, is_cancelled, stopwatch)
        self._call = stopwatch
        self._deadline = deadline
        self._idle_seconds = idle_seconds
        self._begin_anew()

    def sent(self) -> None:
        """Hear that bytes went out, and begin to count anew."""
        super().sent()
        self._begin_anew()

    def received(self) -> None:
        """Hear that bytes came in, and begin to count anew if they are the file's."""
        if self.is_receiving_file:
            self._begin_anew()

    def _begin_anew(self) -> None:
        self.stopwatch = Stopwatch(self._call)
        self._ends_at = self.stopwatch.began_at + min(self._idle_seconds, self._deadline.left)


class _Thread(threading.local):
    guard: CancelScope | None = None


_of_this_thread = _Thread()


def current_scope() -> CancelScope | None:
    """The guard of the call that this thread is making, if it is making one.

    It travels by thread because a connection is made and used deep inside urllib3, by the thread that makes the call.
    """
    return _of_this_thread.guard
