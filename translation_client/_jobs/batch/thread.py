"""Run a batch for blocking code: an event loop in a daemon thread that hands results over a queue."""

from __future__ import annotations

import asyncio
import os
import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Any

from ..._clock import real_monotonic
from ..._transports.aiohttp import AiohttpTransport
from ..._transports.base import CancelEvent, TransportConfig
from ..._transports.requests import RequestsTransport
from ..._transports.threaded import ThreadedTransport, call_threadsafe
from ..context import ClientContext
from .options import BatchOptions, JobResult, Source
from .runner import BatchRunner

_NO_MORE_RESULTS = object()

ALIVE_SECONDS = 1.0
"""1 s: how often the thread is checked for being alive. It reports its end, unless the interpreter ended it."""


class AnyEvent:
    """Several events as one, which is set when any of them is."""

    def __init__(self, *events: CancelEvent | None) -> None:
        """Combine the events. None stands for no event."""
        self._events = [event for event in events if event is not None]

    def is_set(self) -> bool:
        """Return True if any of the events is set."""
        return any(event.is_set() for event in self._events)


def batch_results(
    context: ClientContext,
    transport: RequestsTransport,
    transport_config: TransportConfig,
    options: BatchOptions,
    source: Source,
) -> Iterator[tuple[int, JobResult]]:
    """Run a batch in a thread, and yield the results as jobs end. The thread ends with the iterator."""
    cancel = AnyEvent(transport.closed, options.cancel)
    thread = _BatchThread(context, transport, transport_config, options._replace(cancel=cancel), source)
    try:
        thread.start()
        while (result := thread.next()) is not _NO_MORE_RESULTS:
            yield result
    finally:
        thread.stop()


class _BatchThread:
    """A daemon thread with an event loop that runs a batch."""

    def __init__(
        self,
        context: ClientContext,
        transport: RequestsTransport,
        transport_config: TransportConfig,
        options: BatchOptions,
        source: Source,
    ) -> None:
        self._context = context
        self._blocking_transport = transport
        self._transport_config = transport_config
        self._options = options
        self._source = source
        self._results: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._stop: Callable[[], object] = lambda: None
        self._acknowledge: Callable[[], object] = lambda: None
        self._is_stopped = threading.Event()
        self._process = os.getpid()
        self._thread = threading.Thread(target=self._run, name="batch", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def next(self) -> Any:
        """Return the next result with its position, or `_NO_MORE_RESULTS` after the last one.

        Raises:
            RuntimeError: This is a fork of the process that started the thread, or the thread ended unexpectedly.
            BaseException: It ended the batch.
        """
        if os.getpid() != self._process:
            raise RuntimeError("a batch cannot be continued in a fork of its process: wait for its jobs again there")
        result = self._wait_for_result()
        self._acknowledge()
        if isinstance(result, BaseException):
            raise result
        return result

    def _wait_for_result(self) -> Any:
        while self._thread.is_alive():
            with suppress(queue.Empty):
                return self._results.get(timeout=ALIVE_SECONDS)
        with suppress(queue.Empty):
            return self._results.get_nowait()
        raise RuntimeError("the thread of the batch ended unexpectedly")

    def stop(self) -> None:
        """Cancel the batch, and wait until the thread has ended."""
        self._is_stopped.set()
        self._stop()
        is_ours = threading.current_thread() is self._thread  # the garbage collector may call this in the thread itself
        if self._thread.ident is not None and not is_ours and os.getpid() == self._process:
            self._thread.join()

    def _run(self) -> None:
        try:
            asyncio.run(self._run_batch())
        except BaseException as error:  # noqa: BLE001  # the method `next` raises it
            self._results.put(error)
        self._results.put(_NO_MORE_RESULTS)

    async def _run_batch(self) -> None:
        loop, task, acknowledged = asyncio.get_running_loop(), asyncio.current_task(), asyncio.Event()
        _use_real_time(loop)
        self._acknowledge = lambda: call_threadsafe(loop, acknowledged.set)
        self._stop = lambda: call_threadsafe(loop, task.cancel) if task is not None else None
        if self._is_stopped.is_set():  # `stop` was called before it could cancel this task
            return
        transport = (
            AiohttpTransport(self._transport_config)
            if self._transport_config.session is None
            else ThreadedTransport(self._blocking_transport)
        )
        results = BatchRunner(replace(self._context, transport=transport), self._options, self._source).results()
        try:
            async for result in results:
                acknowledged.clear()
                self._results.put(result)
                await acknowledged.wait()
        finally:
            await results.aclose()
            await transport.close()


def _use_real_time(loop: asyncio.AbstractEventLoop) -> None:
    """Set the clock of this loop to the real time, so that its timers run under freezegun. Called before any timer."""
    with suppress(AttributeError):  # a loop that is not written in Python, such as uvloop's, reads no frozen clock
        loop.time = real_monotonic  # type: ignore[method-assign]  # for this loop only
