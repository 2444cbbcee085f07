"""Sleep on the event loop, independent of `asyncio.sleep`, which tests patch to return at once.

A `while` loop that awaits the patched function never yields to the event loop. No timer, cancellation or signal ends it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from types import coroutine
from typing import TypeVar

T = TypeVar("T")


@coroutine
def yield_to_loop() -> Generator[None, None, None]:
    """Yield to the event loop for one step, as `asyncio.sleep(0)` does."""
    yield


async def sleep_on_loop(seconds: float) -> None:
    """Sleep for a number of seconds, by a timer of the event loop."""
    loop = asyncio.get_running_loop()
    sleeper: asyncio.Future[None] = loop.create_future()
    timer = loop.call_later(seconds, set_result, sleeper, None)
    try:
        await sleeper
    finally:
        timer.cancel()


def set_result(future: asyncio.Future[T], value: T) -> None:
    """Set the result of a future, unless it is done: its task may have been cancelled meanwhile."""
    if not future.done():
        future.set_result(value)
