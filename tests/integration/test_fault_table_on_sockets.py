"""The client through the whole fault lab, on real sockets: the same table, hard deadlines, and nothing left behind."""

from __future__ import annotations

import subprocess
import sys
import time
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
from translation_client import (
    TranslationClientError,
    UnexpectedAnswer,
    VideoTranslationClient,
)

ON_SOCKETS = {**LIMITS, "sleep": lambda seconds: time.sleep(seconds / HURRY)}


def outcome(client: VideoTranslationClient, job_id: str | None) -> Any:
    try:
        return client.wait(job_id)
    except TranslationClientError as error:
        return error


@pytest.mark.parametrize(("fault", "times", "ends"), ROWS, ids=[f"{fault} {times}" for fault, times, _ in ROWS])
def test_a_row_of_the_table_on_sockets(
    fault: str, times: str, ends: Ends, fake_translation_server: Server, lines: Lines
) -> None:
    """The outcome, the calls, the requests; and no thread and no socket once the client is closed."""
    server = fake_translation_server
    with leaving_nothing(server) as job_id:
        before_pause = strike(server, fault, times)

        def sleep(seconds: float) -> None:
            before_pause()
            time.sleep(seconds / HURRY)

        with VideoTranslationClient(server.url, **limits_of(fault, times), sleep=sleep) as client:
            result = outcome(client, job_id)

    assert_ended(server, lines, fault, ends, result, job_id)


@pytest.mark.parametrize("fault", FOR_EVER)
def test_no_fault_holds_a_wait_past_its_deadline(fault: str, fake_translation_server: Server, lines: Lines) -> None:
    """Whatever is allowed in between: a wait of 0.4 s ends by that, and takes its job's id along."""
    server = fake_translation_server
    with leaving_nothing(server) as job_id:
        server.faults = tuple(lasting(fault))
        with VideoTranslationClient(server.url, timeout=0.4, **LONG_WITHOUT_A_DEADLINE) as client, ends_soon(0.4):
            result = outcome(client, job_id)

    assert_held(fault, result, job_id)


@pytest.mark.parametrize("fault", ["gzip-bomb", "endless"])
def test_no_body_fills_the_memory(fault: str, fake_translation_server: Server, lines: Lines) -> None:
    """Client and server together, at the peak of five such bodies."""
    gzip_bomb()  # packed once, and kept
    fake_translation_server.faults = tuple(faults_of(fault, "forever"))
    with VideoTranslationClient(fake_translation_server.url, **ON_SOCKETS) as client:
        tracemalloc.start()
        try:
            result = outcome(client, None)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    assert type(result) is UnexpectedAnswer
    assert peak <= MEMORY


MEASURED = """
import resource, sys
from translation_client import UnexpectedAnswer, VideoTranslationClient

attempts = 0
with VideoTranslationClient(sys.argv[1], max_faults=5, sleep=lambda seconds: None) as client:
    client.check()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(3):
        try:
            client.check()
        except UnexpectedAnswer as error:
            attempts += error.attempts
    print(attempts, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.parametrize("fault", ["gzip-bomb", "endless"])
def test_the_process_of_the_client_does_not_grow(fault: str, fake_translation_server: Server) -> None:
    """As the system counts it, over fifteen such bodies."""
    fake_translation_server.faults = ["1:relapse", *faults_of(fault, "forever")]
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, fake_translation_server.url],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )

    attempts, grown = map(int, done.stdout.split())
    assert attempts == 15
    assert grown * 1024 <= MEMORY
