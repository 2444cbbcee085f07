"""How does an errand make its calls and its pauses without blocking a thread? The twin of `BlockingLine`."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from typing import Any

import aiohttp

from ..clock import Deadline, Stopwatch, real_clock_of
from ..lines import Event, Wiring
from ..messages import Answer, Request
from ..transport import Sink
from .sessions import MAX_CONNECTIONS
from .transport import AsyncTransport

CANCEL_SLICE_SECONDS = 0.02
"""How soon a sleep sees that the caller's event was set."""


class AsyncLine:
    """The way that lets other tasks go on."""

    def __init__(self, transport: AsyncTransport, sleep: Callable[[float], Any] | None) -> None:
        """Take the transport, and what is called, and awaited if it can be, in place of an interruptible sleep."""
        self.transport = transport
        self.base_url = transport.base_url
        self.width = MAX_CONNECTIONS
        self.is_closed = False
        self._sleep = sleep
        self._sleepers: set[asyncio.Future[None]] = set()

    def url_of(self, request: Request) -> str:
        """Say where a request goes."""
        return self.transport.url_of(request)

    async def send(
        self,
        request: Request,
        deadline: Deadline,
        is_cancelled: Callable[[], bool],
        sink: Sink | None = None,
        *,
        is_fresh: bool = False,
    ) -> Answer:
        """Make one call."""
        return await self.transport.send(request, deadline, is_cancelled, sink, is_fresh=is_fresh)

    async def sleep(self, seconds: float, cancel: Event | None, watch: Stopwatch) -> None:
        """Sleep until the client is closed or the event is set, and count the seconds that it really took."""
        real = real_clock_of(asyncio.get_running_loop().time)
        if self._sleep is not None:
            with watch.measure_callers_sleep(seconds, real):
                slept = self._sleep(seconds)
                if inspect.isawaitable(slept):
                    await slept
            return
        if cancel is None:
            with watch.measure(real):
                await self._sleep_until_closed(seconds)
            return
        end = Deadline.after(seconds, watch)
        while not self.is_closed and not cancel.is_set() and end.left > 0:
            with end.watch.measure(real):
                await self._sleep_until_closed(min(end.left, CANCEL_SLICE_SECONDS))

    def close_idle(self) -> None:
        """Close the idle connections before they are used again."""
        self.transport.close_idle()

    async def close(self) -> None:
        """End whatever goes on, and free the sockets."""
        self.is_closed = True
        for sleeper in tuple(self._sleepers):
            if not sleeper.done():
                sleeper.set_result(None)
        await self.transport.close()

    async def _sleep_until_closed(self, seconds: float) -> None:
        if self.is_closed:
            return
        loop = asyncio.get_running_loop()
        sleeper: asyncio.Future[None] = loop.create_future()
        alarm = loop.call_later(seconds, _wake, sleeper)
        self._sleepers.add(sleeper)
        try:
            await sleeper
        finally:
            alarm.cancel()
            self._sleepers.discard(sleeper)


def _wake(sleeper: asyncio.Future[None]) -> None:
    if not sleeper.done():
        sleeper.set_result(None)


def async_line(wiring: Wiring) -> AsyncLine:
    """Make the line of a client.

    Raises:
        TypeError: The session is none of aiohttp.
    """
    session = wiring.session
    if session is not None and not isinstance(session, aiohttp.ClientSession):
        raise TypeError(f"session must be an aiohttp.ClientSession, got a value of type {type(session).__name__}")
    transport = AsyncTransport(
        wiring.base_url,
        user_agent=wiring.user_agent,
        headers=wiring.headers,
        request_timeout=wiring.request_timeout,
        credentials=wiring.credentials,
        session=session,
    )
    return AsyncLine(transport, wiring.sleep)
