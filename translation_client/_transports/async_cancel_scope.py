"""The limits of one HTTP call under asyncio: its deadline and its cancellation.

A call runs in a task of ours, and the caller waits for that task. At the deadline, or when the client is closed, our
task is cancelled, never the caller's. So a cancellation that reaches the caller always comes from outside, whatever
else happens in the same step of the event loop. `asyncio.timeout` cancels the caller's task and counts its
cancellations; Python 3.10 has no such count.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Coroutine
from contextvars import ContextVar
from typing import Any, TypeVar

from aiohttp.connector import Connection

from .._clock import monotonic
from .cancel_scope import CallAborted, CallCancelled, CallTimeout

CANCEL_CHECK_SECONDS = 0.05
"""50 ms: how soon a call in progress notices that its client was closed, or its event set."""

STOP_SECONDS = 0.1
"""100 ms: how long a cancelled task may take to end before its caller stops waiting for it."""

T = TypeVar("T")


class TimeoutAt:
    """A timer that can be moved, and calls a function once."""

    def __init__(self, call: Callable[[], object]) -> None:
        """Create a timer without a time.

        Args:
            call: Called when the time is reached, by the event loop or, if it has passed already, by `set`.
        """
        self._call: Callable[[], object] | None = call
        self._loop = asyncio.get_running_loop()
        self._handle: asyncio.TimerHandle | None = None

    def set(self, at: float) -> None:
        """Set or move the time, unless the timer has fired or was cancelled.

        Args:
            at: Seconds by the clock of the event loop; `math.inf` for never.
        """
        if self._call is None:
            return
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None
        if at <= self._loop.time():
            self._expire()  # a task that never suspends would move the timer again and again before it fires
        elif at < math.inf:
            self._handle = self._loop.call_at(at, self._expire)

    def cancel(self) -> None:
        """Cancel the timer for good."""
        self._call = None  # the function refers to the owner of the timer
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _expire(self) -> None:
        call = self._call
        self.cancel()
        if call is not None:
            call()


class ScopeRegistry:
    """The calls of one client that are in progress. One timer checks all of them for a cancellation."""

    def __init__(self) -> None:
        """Create a registry with no call and no timer."""
        self._running: set[AsyncCancelScope] = set()
        self._abandoned: set[asyncio.Future[Any]] = set()
        self._timer: asyncio.TimerHandle | None = None

    def add(self, scope: AsyncCancelScope) -> None:
        """Add a call, and start the timer with the first one."""
        self._running.add(scope)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(CANCEL_CHECK_SECONDS, self._check)

    def discard(self, scope: AsyncCancelScope) -> None:
        """Remove a call, and stop the timer with the last one."""
        self._running.discard(scope)
        self._stop_timer_if_idle()

    def abandon(self, future: asyncio.Future[Any]) -> None:
        """Cancel a future whose caller has stopped waiting, now and every `CANCEL_CHECK_SECONDS` until it ends.

        A reference is kept: the event loop holds none to a task, and a garbage-collected task is destroyed.
        """
        if not future.get_loop().is_closed():
            self._abandoned.add(future)
            future.add_done_callback(self._forget)
            future.cancel()

    def stop_cancelled(self) -> None:
        """Stop the cancelled calls, and those whose callers have stopped waiting."""
        for scope in tuple(self._running):
            scope.stop_cancelled()
        for future in tuple(self._abandoned):
            future.cancel()

    async def end(self, seconds: float) -> None:
        """Stop the calls as `stop_cancelled` does, and wait until no call is in progress.

        Args:
            seconds: The longest wait.
        """
        self.stop_cancelled()
        unfinished = {scope.future for scope in self._running if scope.future is not None} | self._abandoned
        own = asyncio.current_task()  # a hook of the caller's session may close the client
        others = [future for future in unfinished if future is not own]
        if others:
            await asyncio.wait(others, timeout=seconds)

    def _forget(self, future: asyncio.Future[Any]) -> None:
        self._abandoned.discard(future)
        self._stop_timer_if_idle()

    def _stop_timer_if_idle(self) -> None:
        if self._timer is not None and not self._running and not self._abandoned:
            self._timer.cancel()
            self._timer = None

    def _check(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(CANCEL_CHECK_SECONDS, self._check)
        self.stop_cancelled()


class AsyncCancelScope:
    """The limits of one call. A scope can be used once.

    Attributes:
        future: The future that the caller waits for: the task that makes the call, or the turn for a slot.
        is_receiving_file: True while the bytes received are those of a file.
        reuse_url: The URL of the request. Only a connection whose last request had the same may be reused. None for any.
    """

    def __init__(
        self,
        scopes: ScopeRegistry,
        deadline: float,
        idle_timeout: float,
        is_cancelled: Callable[[], bool],
        *,
        is_transfer: bool,
    ) -> None:
        """Create a scope.

        Args:
            scopes: The registry of the client.
            deadline: When the call must be over, in the seconds of `_clock.monotonic`; `math.inf` for never.
            idle_timeout: How many seconds a call may take; for a transfer, how many may pass without a byte.
            is_cancelled: Checked every `CANCEL_CHECK_SECONDS`; returns True to cancel.
            is_transfer: True if the call may take any time as long as bytes move.
        """
        self.future: asyncio.Future[Any] | None = None
        self.is_receiving_file = False
        self.reuse_url: str | None = None
        self._scopes = scopes
        self._is_transfer = is_transfer
        self._deadline = deadline
        self._idle_timeout = idle_timeout
        self._is_cancelled = is_cancelled
        self._loop = asyncio.get_running_loop()
        self._timeout = TimeoutAt(self._stop_soon)
        # Converted to the clock of the loop, which may be the only one that moves under freezegun.
        self._ends_at = self._loop.time() + deadline - monotonic()
        self._connection: Connection | None = None
        self._transport: asyncio.BaseTransport | None = None
        self._stopped_by: type[CallAborted] | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._is_complete = False
        self._has_stopped_waiting = False

    async def call(self, call: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Make a call in a task of ours, in a copy of the caller's context.

        Raises:
            CallTimeout: The deadline has passed.
            CallCancelled: `is_cancelled` returned True.
            asyncio.CancelledError: The caller was cancelled. Our task has ended by then, or soon will.
        """
        if self._is_cancelled():
            raise CallCancelled
        if self._deadline <= monotonic():
            raise CallTimeout
        return await self.wait(asyncio.create_task(self._in_task(call), name="translation_client call"))

    async def wait(self, future: asyncio.Future[T]) -> T:
        """Wait for a future of ours, and cancel it at the deadline. Raises as `call` does."""
        self.future = future
        future.add_done_callback(self._ended)
        self._scopes.add(self)
        self._restart_idle_timeout()
        try:
            await self._until_ended(future)
            return self._result_of(future)
        finally:
            self._timeout.cancel()
            if not future.done():
                self._scopes.abandon(future)
            self._scopes.discard(self)
            self.future = None
            del future  # its exception refers to this frame

    def abort(self) -> None:
        """Close the connection without sending what it still buffers: the server may never read that."""
        if self._connection is None or self._transport is None:
            return
        # A connection returned to the pool may already serve another call.
        if self._connection.transport is self._transport or self._transport.is_closing():
            abort(self._transport)

    def raise_if_stopped(self) -> None:
        """Raise if the call was stopped. Its task may run for a while longer, but must send and write nothing more.

        Raises:
            CallAborted: The call was stopped.
        """
        if self._stopped_by is not None:
            raise self._stopped_by

    def record_sent(self) -> None:
        """Record that bytes are about to be sent. Raises as `raise_if_stopped` does."""
        self.raise_if_stopped()
        if self._is_transfer:
            self._restart_idle_timeout()

    def record_received(self) -> None:
        """Record that bytes were received. Only a file's keep a transfer alive. Raises as `raise_if_stopped` does."""
        self.raise_if_stopped()
        if self.is_receiving_file:
            self._restart_idle_timeout()

    def record_connection(self, connection: Connection) -> None:
        """Record the connection of the call. Raises as `raise_if_stopped` does, and closes the connection."""
        self._connection, self._transport = connection, connection.transport
        if self._stopped_by is not None:
            self.abort()
            connection.close()
            raise self._stopped_by

    def record_complete_response(self) -> None:
        """Record that the response is complete, and must not be discarded. Raises as `raise_if_stopped` does."""
        self.raise_if_stopped()
        self._is_complete = True

    def stop_cancelled(self) -> None:
        """Stop the call if it was cancelled."""
        if self._is_cancelled():
            self._stop_soon()

    async def _in_task(self, call: Callable[[], Coroutine[Any, Any, T]]) -> T:
        CURRENT_SCOPE.set(self)
        try:
            return await call()
        except BaseException:
            self.abort()
            raise

    async def _until_ended(self, future: asyncio.Future[T]) -> None:
        """Wait until a future is done or abandoned. If the caller is cancelled, stop the call, and raise afterwards."""
        cancellation = None
        while not (future.done() or self._has_stopped_waiting):
            self._waiter = self._loop.create_future()
            try:
                await self._waiter
            except asyncio.CancelledError as error:
                cancellation = cancellation or error
                self._stop()
        try:
            if cancellation is not None:
                raise cancellation
        finally:
            del cancellation  # it refers to this frame

    def _result_of(self, future: asyncio.Future[T]) -> T:
        try:
            if self._stopped_by is not None and self._was_stopped(future):
                raise self._stopped_by
            return future.result()
        finally:
            del future  # its exception refers to this frame

    def _was_stopped(self, future: asyncio.Future[T]) -> bool:
        """True if a stopped call ended because it was stopped. An interrupt is another reason."""
        return not future.done() or future.cancelled() or isinstance(future.exception(), Exception)

    def _stop_soon(self) -> None:
        """Stop the call in the next step of the event loop: a response that has just arrived is read first."""
        self._loop.call_soon(self._stop)

    def _stop(self) -> None:
        """Close the connection and cancel the task, unless the response is complete and only the cleanup is left."""
        future = self.future
        if future is None or future.done() or self._stopped_by is not None:
            return
        self._stopped_by = CallCancelled if self._is_cancelled() else CallTimeout
        self._timeout.cancel()
        self._timeout = TimeoutAt(self._stop_waiting)
        self._timeout.set(self._loop.time() + STOP_SECONDS)
        if not self._is_complete:
            self.abort()
            self._loop.call_soon(future.cancel)  # aiohttp 3.11 must see its lost connection first, or it complains

    def _stop_waiting(self) -> None:
        self._has_stopped_waiting = True
        self._wake()

    def _ended(self, future: asyncio.Future[Any]) -> None:
        if not future.cancelled():
            future.exception()  # marks it as retrieved: the caller may be gone
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _restart_idle_timeout(self) -> None:
        self._timeout.set(min(self._loop.time() + self._idle_timeout, self._ends_at))


CURRENT_SCOPE: ContextVar[AsyncCancelScope | None] = ContextVar("current scope", default=None)
"""The scope of the call in progress in this task: aiohttp opens connections, or takes them from a pool, deep inside."""


def abort(connection: asyncio.BaseTransport) -> None:
    """Close a connection at once, if it can be aborted."""
    if isinstance(connection, asyncio.WriteTransport):
        connection.abort()
