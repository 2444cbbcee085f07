"""How does plain blocking code wait for many jobs? The event loop runs in one helper thread, and hands out what ends."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

from ..assembly import Wiring
from ..clock import Deadline
from ..fleet.fleet import Fleet
from ..fleet.terms import Outcome, Source, Terms
from ..lines import BlockingLine, Event
from ..messages import Answer, Request
from ..tools import Tools
from ..transport import Sink
from .client import async_line

CALLERS_THREADS = 8
"""Calls at once through a session of the caller's, which is one of requests and blocks a thread for each."""

_END = object()


class AnyEvent:
    """Several events as one: it is set when one of them is."""

    def __init__(self, *events: Event | None) -> None:
        """Take them; None is no event."""
        self._events = [event for event in events if event is not None]

    def is_set(self) -> bool:
        """Whether one of them is."""
        return any(event.is_set() for event in self._events)


class ThreadedLine:
    """A line through a blocking one, some threads wide."""

    def __init__(self, line: BlockingLine) -> None:
        """Start no thread yet."""
        self.base_url = line.base_url
        self._line = line
        self._pool = ThreadPoolExecutor(CALLERS_THREADS, thread_name_prefix="fleet")

    @property
    def is_closed(self) -> bool:
        """Whether the client was closed."""
        return self._line.is_closed

    def url_of(self, request: Request) -> str:
        """Say where a request goes."""
        return self._line.url_of(request)

    async def send(
        self,
        request: Request,
        deadline: Deadline,
        is_cancelled: Callable[[], bool],
        sink: Sink | None = None,
        *,
        is_fresh: bool = False,
    ) -> Answer:
        """Make one call, in a thread."""

        def call() -> Answer:
            return self._line.transport.send(request, deadline, is_cancelled, sink, is_fresh=is_fresh)

        return await asyncio.get_running_loop().run_in_executor(self._pool, call)

    async def sleep(self, seconds: float, cancel: Event | None) -> None:  # noqa: ARG002  # a fleet has its own event
        """Let time pass. A fleet has timers of its own, and does not."""
        await asyncio.sleep(seconds)

    async def close(self) -> None:
        """End the threads."""
        self._pool.shutdown(wait=False)


def outcomes_of(
    tools: Tools, line: BlockingLine, wiring: Wiring, terms: Terms, source: Source
) -> Iterator[tuple[int, Outcome]]:
    """Run a fleet in a thread, and give what ends; the thread ends with the iterator."""
    ends = AnyEvent(line.closed, terms.cancel)
    thread = _FleetThread(tools, line, wiring, terms._replace(cancel=ends), source)
    try:
        while (outcome := thread.next()) is not _END:
            yield outcome
    finally:
        thread.stop()


class _FleetThread:
    """A thread with an event loop, and a fleet in it."""

    def __init__(self, tools: Tools, line: BlockingLine, wiring: Wiring, terms: Terms, source: Source) -> None:
        self._tools = tools
        self._blocking_line = line
        self._wiring = wiring
        self._terms = terms
        self._source = source
        self._outcomes: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._stop: Callable[[], object] = lambda: None
        self._take: Callable[[], object] = lambda: None
        self._thread = threading.Thread(target=self._run, name="fleet", daemon=True)
        self._thread.start()

    def next(self) -> Any:
        """The next outcome; `_END` after the last; raises what ended the fleet."""
        outcome = self._outcomes.get()
        self._take()
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    def stop(self) -> None:
        """End the fleet, and the thread."""
        self._stop()
        self._thread.join()

    def _run(self) -> None:
        try:
            asyncio.run(self._pump())
        except BaseException as error:  # noqa: BLE001  # whoever takes the outcomes hears of it
            self._outcomes.put(error)
        self._outcomes.put(_END)

    async def _pump(self) -> None:
        loop, task, taken = asyncio.get_running_loop(), asyncio.current_task(), asyncio.Event()
        self._take = lambda: _threadsafe(loop, taken.set)
        self._stop = lambda: _threadsafe(loop, task.cancel) if task is not None else None
        line = async_line(self._wiring) if self._wiring.session is None else ThreadedLine(self._blocking_line)
        fleet = Fleet(replace(self._tools, line=line), self._terms, self._source).outcomes()
        try:
            async for outcome in fleet:
                taken.clear()
                self._outcomes.put(outcome)
                await taken.wait()
        finally:
            await fleet.aclose()  # type: ignore[attr-defined]  # an asynchronous generator, as it is written
            await line.close()


def _threadsafe(loop: asyncio.AbstractEventLoop, call: Callable[[], object]) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(call)
