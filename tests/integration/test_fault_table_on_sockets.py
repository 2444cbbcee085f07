"""The client through the whole fault lab, on real sockets: the same table, hard deadlines, and nothing left behind."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests
from conftest import Lines
from fault_table import LIMITS, ROWS, Ends, faults_of
from run_delay import Timer

from fake_server import Server
from fake_server.replies import gzip_bomb
from translation_client import TranslationClientError, VideoTranslationClient

ALLOWED = 0.25

HURRY = 50
"""How much shorter the pauses of the table are here; how long they would be is shown on frozen time."""

ON_SOCKETS = {**LIMITS, "request_timeout": 0.3, "sleep": lambda seconds: time.sleep(seconds / HURRY)}

MEMORY = 8 * 1024 * 1024


def in_use() -> tuple[int, int]:
    """Threads, and open files of any kind."""
    return threading.active_count(), len(list(Path("/proc/self/fd").iterdir()))


def settled(condition: Callable[[], bool]) -> bool:
    """Whether it comes true in a moment: a server sees a little later that a client has gone."""
    until = time.monotonic() + 5
    while not condition() and time.monotonic() < until:
        time.sleep(0.002)
    return condition()


@contextmanager
def leaving_nothing(server: Server) -> Iterator[str]:
    """A block with a job of the server; what it opens is closed by its end."""
    threads = threading.active_count()
    job_id = requests.post(f"{server.url}/jobs", headers={"Connection": "close"}, timeout=5).json()["id"]
    assert settled(lambda: threading.active_count() == threads)
    before = in_use()
    yield job_id
    assert settled(lambda: in_use() == before), (before, in_use())


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
        server.faults = tuple(faults_of(fault, times))
        limits = {**ON_SOCKETS, "sleep": None} if fault == "refuse" and times != "forever" else ON_SOCKETS
        with VideoTranslationClient(server.url, **limits) as client:
            result = outcome(client, job_id)

    arrived = [(round(one.at, 4), one.method, one.path) for one in server.requests]
    assert len(arrived) - 1 == (ends.calls if ends.requests is None else ends.requests), arrived
    if ends.error is None:
        assert (result.id, str(result.status)) == (job_id, "completed")
    else:
        assert (type(result), result.job_id, result.attempts) == (ends.error, job_id, ends.calls)


FOR_EVER = [fault for fault, times, _ in ROWS if times == "forever"]


@pytest.mark.parametrize("fault", FOR_EVER)
def test_no_fault_holds_a_wait_past_its_deadline(fault: str, fake_translation_server: Server, lines: Lines) -> None:
    """Whatever is allowed in between: a wait of 0.4 s is over 0.65 s after its start, and takes its job's id along."""
    server = fake_translation_server
    with leaving_nothing(server) as job_id:
        server.faults = tuple(faults_of(fault, "forever"))
        with VideoTranslationClient(
            server.url, timeout=0.4, max_faults=1_000_000, max_retries=1_000_000, backoff_factor=0.05
        ) as client:
            timer = Timer()
            result = outcome(client, job_id)
            took = timer.undelayed()

    assert took <= 0.4 + ALLOWED
    assert (getattr(result, "job_id", None) or result.id) == job_id


@pytest.mark.parametrize("fault", ["gzip-bomb", "endless"])
def test_no_body_fills_the_memory(fault: str, fake_translation_server: Server, lines: Lines) -> None:
    """Client and server together, at the peak of five such bodies."""
    gzip_bomb()  # packed once, and kept
    fake_translation_server.faults = tuple(faults_of(fault, "forever"))
    with VideoTranslationClient(fake_translation_server.url, **ON_SOCKETS) as client:
        tracemalloc.start()
        try:
            outcome(client, None)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    assert peak <= MEMORY


MEASURED = """
import resource, sys
from translation_client import TranslationClientError, VideoTranslationClient

with VideoTranslationClient(sys.argv[1], max_faults=5, sleep=lambda seconds: None) as client:
    client.check()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(3):
        try:
            client.check()
        except TranslationClientError:
            pass
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
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

    assert int(done.stdout) * 1024 <= MEMORY
