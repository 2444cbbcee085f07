"""Where do the jobs come from? A list, or a source that may be slow and endless: it is read only as there is room."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import AsyncGenerator, AsyncIterable, Collection, Iterator
from typing import Any

from .terms import Source

_END = object()


async def each_of(source: Source) -> AsyncGenerator[Any, None]:
    """Give one after the other, each when it is asked for.

    What may block is read by a helper thread, a daemon: a source that never gives its next one holds up no exit.
    """
    if isinstance(source, AsyncIterable):
        try:
            async for one in source:
                yield one
        finally:
            if isinstance(source, AsyncGenerator):
                await source.aclose()
    elif isinstance(source, Collection):
        for one in source:
            yield one
    else:
        reader = _Reader(iter(source))
        try:
            while (one := await reader.next()) is not _END:
                yield one
        finally:
            reader.stop()


class _Reader:
    """A thread that reads the next one whenever it is asked to."""

    def __init__(self, source: Iterator[Any]) -> None:
        self._source = source
        self._wanted: queue.SimpleQueue[asyncio.Future[Any] | None] = queue.SimpleQueue()
        self._loop = asyncio.get_running_loop()
        threading.Thread(target=self._read, name="source of jobs", daemon=True).start()

    def next(self) -> asyncio.Future[Any]:
        wanted: asyncio.Future[Any] = self._loop.create_future()
        self._wanted.put(wanted)
        return wanted

    def stop(self) -> None:
        self._wanted.put(None)

    def _read(self) -> None:
        while (wanted := self._wanted.get()) is not None:
            try:
                one, error = next(self._source, _END), None
            except BaseException as raised:  # noqa: BLE001  # whatever it is, whoever waits has to hear of it
                one, error = None, raised
            try:
                self._loop.call_soon_threadsafe(_give, wanted, one, error)
            except RuntimeError:  # the loop was closed meanwhile, and nobody waits
                return


def _give(wanted: asyncio.Future[Any], one: Any, error: BaseException | None) -> None:
    if wanted.done():
        return
    if error is None:
        wanted.set_result(one)
    else:
        wanted.set_exception(error if isinstance(error, Exception) else RuntimeError(f"the source of jobs: {error!r}"))
