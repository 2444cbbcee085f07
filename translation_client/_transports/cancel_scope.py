"""The limits of one blocking HTTP call: its deadline and its cancellation.

A timeout of requests is per read: a server sending one byte a second outlives it. Here every blocking operation
blocks for one slice of time at most, and checks the deadline and the cancellation before each slice.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable

from .._clock import Deadline, Stopwatch

SLICE_SECONDS = 0.1
"""100 ms: how soon a blocked operation notices its cancellation."""


class CallAborted(Exception):
    """A call was ended by its cancel scope.

    Not an `OSError` on purpose: urllib3 would wrap or retry that. It lets this one through, and closes the connection.

    Attributes:
        was_sent: True if the whole request may have reached the server.
    """

    was_sent = True


class CallTimeout(CallAborted):
    """The deadline of the call has passed."""


class CallCancelled(CallAborted):
    """The call was cancelled."""


class CancelScope:
    """The limits of one HTTP call, redirects included. Within its `with` block, the sockets of this thread obey it.

    Unlike trio's, its exception leaves the block.

    Attributes:
        has_sent: True if any bytes were sent, be it to a proxy.
        has_response: True if the head of a response has arrived.
        is_unguarded: True if a socket is not one of ours, so that `has_sent` may stay False.
        is_tls_cut_off: True if a connection ended without `close_notify`.
        reuse_url: The URL of the request. Only a connection whose last request had the same may be reused. None for any.
    """

    def __init__(self, ends_at: float, is_cancelled: Callable[[], bool], stopwatch: Stopwatch | None = None) -> None:
        """Create a scope.

        Args:
            ends_at: When the call must be over, by the clock of `stopwatch`.
            is_cancelled: Called before each slice; returns True to cancel. Its result may change at any time, in
                another thread.
            stopwatch: Measures the call; None to start one.
        """
        self.has_sent = self.has_response = False
        self.is_unguarded = self.is_tls_cut_off = False
        self.stopwatch = stopwatch or Stopwatch()
        self._ends_at = ends_at
        self._is_cancelled = is_cancelled
        self.reuse_url: str | None = None
        self._outer: CancelScope | None = None

    def __enter__(self) -> None:
        self._outer, CURRENT.scope = CURRENT.scope, self

    def __exit__(self, *_: object) -> None:
        CURRENT.scope = self._outer

    def child(self, seconds: float) -> CancelScope:
        """Return a scope of at most `seconds` for a part of the call. Does not raise, even if no time is left."""
        remaining = self._ends_at - self.stopwatch.began_at - self.stopwatch.elapsed
        stopwatch = Stopwatch(self.stopwatch)
        return CancelScope(stopwatch.began_at + min(remaining, seconds), self._is_cancelled, stopwatch)

    def require_remaining(self) -> float:
        """Return the seconds left, more than 0.

        Raises:
            CallTimeout: No time is left.
            CallCancelled: The call was cancelled.
        """
        if self._is_cancelled():
            raise CallCancelled
        remaining = self._ends_at - self.stopwatch.began_at - self.stopwatch.elapsed
        if remaining <= 0:
            raise CallTimeout
        return remaining

    def next_slice(self) -> float:
        """Return how many seconds to block before the next check. Raises as `require_remaining` does."""
        return min(self.require_remaining(), SLICE_SECONDS)

    def record_sent(self) -> None:
        """Record that bytes were sent. Does not extend the deadline."""
        self.has_sent = True

    def record_received(self) -> None:
        """Record that bytes were received. Does not extend the deadline."""


class TransferScope(CancelScope):
    """The limits of a transfer: it may take any time until the deadline, as long as the file moves.

    Any byte sent restarts the idle timeout, as little is sent besides the file. A byte received restarts it only
    within the file: headers that arrive one byte at a time keep no call alive.

    Attributes:
        is_receiving_file: True while the bytes received are those of the file.
    """

    is_receiving_file = False

    def __init__(
        self, deadline: Deadline, idle_timeout: float, is_cancelled: Callable[[], bool], stopwatch: Stopwatch
    ) -> None:
        """Create a scope.

        Args:
            deadline: When the transfer must be over.
            idle_timeout: Seconds that may pass without a byte.
            is_cancelled: As for `CancelScope`.
            stopwatch: The elapsed time of the call, which counts towards the deadline.
        """
        super().__init__(math.inf, is_cancelled, stopwatch)
        self._call_stopwatch = stopwatch
        self._deadline = deadline
        self._idle_timeout = idle_timeout
        self._restart_idle_timeout()

    def record_sent(self) -> None:
        """Record that bytes were sent, and restart the idle timeout."""
        super().record_sent()
        self._restart_idle_timeout()

    def record_received(self) -> None:
        """Record that bytes were received, and restart the idle timeout if they are the file's."""
        if self.is_receiving_file:
            self._restart_idle_timeout()

    def _restart_idle_timeout(self) -> None:
        self.stopwatch = Stopwatch(self._call_stopwatch)
        self._ends_at = self.stopwatch.began_at + min(self._idle_timeout, self._deadline.remaining)


class _Current(threading.local):
    scope: CancelScope | None = None


CURRENT = _Current()
"""`CURRENT.scope` is the scope of the call in progress in this thread, or None.

It is a thread-local variable, as urllib3 opens and uses connections deep inside, in the thread of the call.
"""
