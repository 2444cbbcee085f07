"""The requests of a batch through a blocking session: a thread for each request in flight."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Generic, TypeVar

from .._clock import Deadline, Stopwatch
from .._models import Request, Response
from .base import CancelEvent, run_sync
from .body import Sink
from .event_loop import set_result, sleep_on_loop
from .requests import RequestsTransport

T = TypeVar("T")

MAX_THREADS = 8
"""Concurrent calls through the caller's requests session, which blocks a thread for each."""


class ThreadedTransport:
    """A transport that sends requests through a blocking one, each in a thread."""

    def __init__(self, transport: RequestsTransport) -> None:
        """Create a transport without starting a thread."""
        self.base_url = transport.base_url
        self.max_connections = MAX_THREADS
        self._transport = transport
        self._closed = threading.Event()

    @property
    def is_closed(self) -> bool:
        """True if the client was closed."""
        return self._transport.is_closed

    async def send(
        self,
        request: Request,
        deadline: Deadline,
        is_cancelled: Callable[[], bool],
        sink: Sink | None = None,
        *,
        new_connection: bool,
    ) -> Response:
        """Send one request in a thread, and return the response."""
        ends = Deadline.after(deadline.remaining)  # a stopwatch is for one thread, and the batch has its own

        def call() -> Response:
            return run_sync(
                self._transport.send(
                    request, ends, lambda: self._closed.is_set() or is_cancelled(), sink, new_connection=new_connection
                )
            )

        return await _run_in_thread(call)

    async def sleep(self, seconds: float, cancel: CancelEvent | None, stopwatch: Stopwatch) -> None:  # noqa: ARG002  # as others
        """Sleep. A batch has its own timers, and does not call this."""
        await sleep_on_loop(seconds)

    def close_idle(self) -> None:
        """Close the idle connections."""
        self._transport.close_idle()

    async def close(self) -> None:
        """Cancel the calls in progress, which ends their threads."""
        self._closed.set()


async def _run_in_thread(call: Callable[[], T]) -> T:
    """Run a call in a new daemon thread: a call that cannot be cancelled must not delay the exit.

    Raises:
        BaseException: What the call raised; a RuntimeError caused by it if that is a StopIteration (PEP 479).
    """
    loop = asyncio.get_running_loop()
    made: asyncio.Future[_CallResult[T]] = loop.create_future()

    def make() -> None:
        result: _CallResult[T] = _CallResult(call)
        call_threadsafe(loop, partial(set_result, made, result))

    threading.Thread(target=make, name="batch request", daemon=True).start()
    return (await made).value()


class _CallResult(Generic[T]):
    """The value that a call returned, or the error that it raised.

    It is stored in a future as a value. Before Python 3.12 a future refuses StopIteration, so that the caller would
    wait for ever, and a GeneratorExit raised by a future closes the coroutine that awaits it.
    """

    def __init__(self, call: Callable[[], T]) -> None:
        """Run the call."""
        self._error: BaseException | None = None
        try:
            self._value = call()
        except BaseException as raised:  # noqa: BLE001  # `value` raises it
            self._error = raised

    def value(self) -> T:
        """Return what the call returned, or raise what it raised."""
        if self._error is None:
            return self._value
        try:
            raise self._error
        finally:
            self._error = None  # its traceback refers to this frame


def call_threadsafe(loop: asyncio.AbstractEventLoop, call: Callable[[], object]) -> None:
    """Schedule a call in the event loop of another thread. Does nothing if that loop is closed."""
    with suppress(RuntimeError):  # the loop is closed, and no task waits any more
        loop.call_soon_threadsafe(call)
