"""The source of the jobs of a batch: a list, or a slow, endless iterable, which is read only as the batch has room."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import AsyncGenerator, AsyncIterable, Collection, Iterator
from typing import Any, NamedTuple

from ..._transports.event_loop import set_result
from .options import Source

_NO_MORE_JOBS = object()


async def iterate(source: Source) -> AsyncGenerator[Any, None]:
    """Yield the jobs one by one, each when it is requested.

    An iterable that may block is read in a daemon thread, so that it cannot prevent the exit of the process.

    Raises:
        BaseException: The source raised it.
    """
    if isinstance(source, AsyncIterable):
        jobs = aiter(source)
        try:
            async for job in jobs:
                yield job
        finally:
            if isinstance(jobs, AsyncGenerator):
                await jobs.aclose()
    elif isinstance(source, Collection):
        for job in source:
            yield job
    else:
        reader = _ThreadReader(iter(source))
        try:
            while (job := await reader.next()) is not _NO_MORE_JOBS:
                yield job
        finally:
            reader.stop()


class _ThreadReader:
    """A daemon thread that reads a job from the source for each call of `next`."""

    def __init__(self, source: Iterator[Any]) -> None:
        self._source = source
        self._requests: queue.SimpleQueue[asyncio.Future[_Read] | None] = queue.SimpleQueue()
        self._loop = asyncio.get_running_loop()
        threading.Thread(target=self._read, name="source of jobs", daemon=True).start()

    async def next(self) -> Any:
        """Return the next job, or `_NO_MORE_JOBS` after the last one. Raises what the source raises."""
        future: asyncio.Future[_Read] = self._loop.create_future()
        self._requests.put(future)
        read = await future
        if read.error is not None:
            raise read.error  # not by the future: a GeneratorExit from a future would close the awaiting coroutine
        return read.job

    def stop(self) -> None:
        """End the thread, once the source lets it."""
        self._requests.put(None)

    def _read(self) -> None:
        while (future := self._requests.get()) is not None:
            try:
                read = _Read(next(self._source, _NO_MORE_JOBS), None)
            except BaseException as raised:  # noqa: BLE001  # the method `next` raises it
                read = _Read(None, raised)
            try:
                self._loop.call_soon_threadsafe(set_result, future, read)
            except RuntimeError:  # the loop was closed meanwhile, so that no task waits
                return


class _Read(NamedTuple):
    job: Any
    error: BaseException | None
