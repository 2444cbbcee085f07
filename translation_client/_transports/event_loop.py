"""Sleep on the event loop, independent of `asyncio.sleep`, which tests patch to return at once.

A `while` loop that awaits the patched function never yields to the event loop. No timer, cancellation or signal ends it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from types import coroutine


@coroutine
def yield_to_loop() -> Generator[None, None, None]:
    """Yield to the event loop for one step, as `asyncio.sleep(0)` does."""
    yield


async def sleep_on_loop(seconds: float) -> None:
    """Sleep for a number of seconds, by a timer of the event loop."""
    loop = asyncio.get_running_loop()
    sleeper: asyncio.Future[None] = loop.create_future()
    timer = loop.call_later(seconds, wake, sleeper)
    try:
        await sleeper
    finally:
        timer.cancel()


def wake(sleeper: asyncio.Future[None]) -> None:
    """End a sleep, unless it has ended."""
    if not sleeper.done():
        sleeper.set_result(None)
