"""The slots for concurrent calls, handed out in the order in which they were requested."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress


class Slots:
    """A fixed number of slots. A slot that is freed is handed to the first in the queue, so no wake-up can be lost."""

    def __init__(self, number: int) -> None:
        """Create free slots.

        Args:
            number: How many slots there are.
        """
        self._free = number
        self._queue: deque[asyncio.Future[None]] = deque()

    def enter(self) -> asyncio.Future[None]:
        """Return a turn, which is done as soon as it has a slot. Each turn must be passed to `leave`."""
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self._free:
            self._free -= 1
            turn.set_result(None)
        else:
            self._queue.append(turn)
        return turn

    def leave(self, turn: asyncio.Future[None]) -> None:
        """Free the slot of a turn, or give up its place in the queue if it has none yet."""
        if turn.cancel() or turn.cancelled():
            with suppress(ValueError):  # `leave` has removed it already
                self._queue.remove(turn)
            return
        while self._queue:
            following = self._queue.popleft()
            if not following.done():
                following.set_result(None)
                return
        self._free += 1
