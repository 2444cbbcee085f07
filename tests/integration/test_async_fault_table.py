"""The asyncio client through the whole fault lab, on real sockets: the same table, the same hard deadlines, and nothing left behind."""

from __future__ import annotations

import asyncio
import tracemalloc
from typing import Any

import pytest
from support.ends_soon import ends_soon
from support.fault_table import LIMITS, ROWS, Ends, faults_of
from support.fault_table_on_sockets import (
    FOR_EVER,
    HURRY,
    LONG_WITHOUT_A_DEADLINE,
    MEMORY,
    assert_ended,
    assert_held,
    lasting,
    leaving_nothing,
    limits_of,
    strike,
)
from support.fixtures import Lines

from fake_server import Server
from fake_server.replies import gzip_bomb
from translation_client import AsyncVideoTranslationClient, TranslationClientError, UnexpectedAnswer

ON_SOCKETS = {**LIMITS, "sleep": lambda seconds: asyncio.sleep(seconds / HURRY)}


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
        before_pause = strike(server, fault, times)

        async def sleep(seconds: float) -> None:
            before_pause()
            await asyncio.sleep(seconds / HURRY)

        result = asyncio.run(outcome(server.url, job_id, **limits_of(fault, times), sleep=sleep))

    assert_ended(server, lines, fault, ends, result, job_id)


@pytest.mark.parametrize("fault", FOR_EVER)
def test_no_fault_holds_a_task_past_its_deadline(fault: str, fake_translation_server: Server, lines: Lines) -> None:
    """A wait of 0.4 s ends by that, and takes its job's id along."""
    server = fake_translation_server

    async def timed(job_id: str) -> Any:
        with ends_soon(0.4):
            return await outcome(server.url, job_id, timeout=0.4, **LONG_WITHOUT_A_DEADLINE)

    with leaving_nothing(server) as job_id:
        server.faults = tuple(lasting(fault))
        result = asyncio.run(timed(job_id))

    assert_held(fault, result, job_id)


@pytest.mark.parametrize("fault", ["gzip-bomb", "endless"])
def test_no_body_fills_the_memory_of_asyncio(fault: str, fake_translation_server: Server, lines: Lines) -> None:
    """Client and server together, at the peak of five such bodies."""
    gzip_bomb()  # packed once, and kept
    fake_translation_server.faults = tuple(faults_of(fault, "forever"))
    tracemalloc.start()
    try:
        result = asyncio.run(outcome(fake_translation_server.url, None, **ON_SOCKETS))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert type(result) is UnexpectedAnswer
    assert peak <= MEMORY
