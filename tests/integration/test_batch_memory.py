"""The memory that a batch holds, in a file of its own, as that of a coverage measurement would be counted too."""

from __future__ import annotations

import asyncio
import gc
import time
import tracemalloc
from typing import Any

from support.fixtures import SilentLogger

from fake_server import Scenario, Server
from translation_client import AsyncVideoTranslationClient


def test_a_pending_job_of_a_batch_takes_less_than_6000_bytes() -> None:
    """While it is waited for, in a batch of 3000."""
    with Server(Scenario(duration=3600)) as server:
        ids = [server._lab.create() for _ in range(3000)]

        async def waited() -> float:
            limits: dict[str, Any] = {"timeout": 3600, "backoff_factor": 600, "max_delay": 600, "max_retries": 10_000}
            async with AsyncVideoTranslationClient(server.url, logger=SilentLogger(), **limits) as client:
                await client.check(ids[0])
                updates: list[None] = []
                gc.collect()
                tracemalloc.start()
                try:
                    before = tracemalloc.get_traced_memory()[0]
                    task = asyncio.ensure_future(client.wait_all(ids, on_progress=lambda _: updates.append(None)))
                    end = time.monotonic() + 120
                    while len(updates) < len(ids) and time.monotonic() < end:
                        await asyncio.sleep(0.02)
                    gc.collect()
                    held = tracemalloc.get_traced_memory()[0] - before
                finally:
                    tracemalloc.stop()
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
                assert len(updates) == len(ids)
                return held / len(ids)

        assert asyncio.run(waited()) < 6000
