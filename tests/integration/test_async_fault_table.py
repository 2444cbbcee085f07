"""The asyncio client through the whole fault lab, on real sockets: the same table, the same hard deadlines, and nothing left behind."""

from __future__ import annotations

import asyncio
import tracemalloc
from typing import Any

import pytest
from conftest import Lines
from fault_table import LIMITS, ROWS, Ends, faults_of
from run_delay import Timer
from test_fault_table_on_sockets import ALLOWED, HURRY, MEMORY, leaving_nothing

from fake_server import Server
from fake_server.replies import gzip_bomb
from translation_client import AsyncVideoTranslationClient, TranslationClientError

ON_SOCKETS = {**LIMITS, "request_timeout": 0.3, "sleep": lambda seconds: asyncio.sleep(seconds / HURRY)}


async def outcome(url: str, job_id: str | None, **limits: Any) -> Any:
    async with AsyncVideoTranslationClient(url, **limits) as client:
        try:
            return await client.wait(job_id)
        except TranslationClientError as error:
            return error


@pytest.mark.parametrize(("fault", "times", "ends"), ROWS, ids=[f"{fault} {times}" for fault, times, _ in ROWS])
def test_a_row_of_the_table_of_asyncio(
    fault: str, times: str, ends: Ends, fake_translation_server: Server, lines: Lines
) -> None:
    """The outcome, the calls, the requests; and no socket once the client is closed."""
    server = fake_translation_server
    with leaving_nothing(server) as job_id:
        server.faults = tuple(faults_of(fault, times))
        limits = {**ON_SOCKETS, "sleep": None} if fault == "refuse" and times != "forever" else ON_SOCKETS
        result = asyncio.run(outcome(server.url, job_id, **limits))

    arrived = [(round(one.at, 4), one.method, one.path) for one in server.requests]
    assert len(arrived) - 1 == (ends.calls if ends.requests is None else ends.requests), arrived
    if ends.error is None:
        assert (result.id, str(result.status)) == (job_id, "completed")
    else:
        assert (type(result), result.job_id, result.attempts) == (ends.error, job_id, ends.calls)


@pytest.mark.parametrize("fault", [fault for fault, times, _ in ROWS if times == "forever"])
def test_no_fault_holds_a_task_past_its_deadline(fault: str, fake_translation_server: Server, lines: Lines) -> None:
    """A wait of 0.4 s is over 0.65 s after its start, and takes its job's id along."""
    server = fake_translation_server
    limits = {"timeout": 0.4, "max_faults": 1_000_000, "max_retries": 1_000_000, "backoff_factor": 0.05}

    async def timed(job_id: str) -> tuple[Any, float]:
        timer = Timer()
        result = await outcome(server.url, job_id, **limits)
        return result, timer.undelayed()

    with leaving_nothing(server) as job_id:
        server.faults = tuple(faults_of(fault, "forever"))
        result, took = asyncio.run(timed(job_id))

    assert took <= 0.4 + ALLOWED
    assert (getattr(result, "job_id", None) or result.id) == job_id


@pytest.mark.parametrize("fault", ["gzip-bomb", "endless"])
def test_no_body_fills_the_memory_of_asyncio(fault: str, fake_translation_server: Server, lines: Lines) -> None:
    """Client and server together, at the peak of five such bodies."""
    gzip_bomb()  # packed once, and kept
    fake_translation_server.faults = tuple(faults_of(fault, "forever"))
    tracemalloc.start()
    try:
        asyncio.run(outcome(fake_translation_server.url, None, **ON_SOCKETS))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert peak <= MEMORY
