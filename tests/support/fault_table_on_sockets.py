"""The fault table on real sockets: its waits, and what is left behind."""

from __future__ import annotations

import itertools
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import requests

from fake_server import Fault, Server
from support.ends_soon import LASTS_LONG
from support.fault_table import LIMITS, ROWS, SILENT, Ends, faults_of
from support.fixtures import LogLines
from support.open_resources import is_nothing_more_open, open_resources
from translation_client import (
    Job,
    RetriesExhausted,
    WaitTimeout,
)

LONG_WITHOUT_A_DEADLINE: dict[str, Any] = {
    "request_timeout": LASTS_LONG,
    "max_faults": 8,
    "max_retries": 9,
    "backoff_factor": 0.05,
    "max_delay": 20,
}
"""Limits with which a wait without a deadline lasts for half a minute or more over any fault: by its call, or by its pauses."""


HURRY = 50
"""How much shorter the pauses of the table are here; how long they would be is shown on frozen time."""


REFUSED_CALLS = {"once": 1, "thrice": 3}


MEMORY = 8 * 1024 * 1024


def settled(condition: Callable[[], bool]) -> bool:
    """Whether it comes true in a moment: a server sees a little later that a client has gone."""
    until = time.monotonic() + LASTS_LONG
    while not condition() and time.monotonic() < until:
        time.sleep(0.002)
    return condition()


@contextmanager
def leaving_nothing(server: Server) -> Iterator[str]:
    """A block with a job of the server; what it opens is closed by its end."""
    threads = threading.active_count()
    job_id = requests.post(f"{server.url}/jobs", headers={"Connection": "close"}, timeout=60).json()["id"]
    assert settled(lambda: threading.active_count() == threads)
    before = open_resources()
    yield job_id
    assert settled(lambda: is_nothing_more_open(before)), (before, open_resources())


def limits_of(fault: str, times: str) -> dict[str, Any]:
    """The limits of a row without its `sleep`. Only a fault without a response needs a short `request_timeout`."""
    if fault not in SILENT:
        return LIMITS
    limits = {**LIMITS, "request_timeout": 0.3}
    # A response that is late because the machine is busy is one more fault, and not the last.
    return limits if times == "forever" else {**limits, "max_faults": 1000}


def accepts_connections(server: Server) -> bool:
    try:
        socket.create_connection(("127.0.0.1", server.port), timeout=60).close()
    except ConnectionError:  # refused, or reset because the server began to refuse in this moment
        return False
    return True


def strike(server: Server, fault: str, times: str) -> Callable[[], None]:
    """Make the fault of a row happen. Call the result before each pause: it ends a refusal after the calls of the row."""
    pauses = itertools.count(1)
    if fault != "refuse":
        server.faults = tuple(faults_of(fault, times))
        return lambda: None
    server.faults = tuple(faults_of(fault, "forever"))
    assert settled(lambda: not accepts_connections(server))

    def end_refusal() -> None:
        if next(pauses) == REFUSED_CALLS.get(times):
            server.faults = ()
            assert settled(lambda: accepts_connections(server))

    return end_refusal


def assert_ended(server: Server, lines: LogLines, fault: str, ends: Ends, result: Any, job_id: str) -> None:
    """Assert that a wait ended as its row says: the outcome, the calls and the requests."""
    arrived = [(round(one.at, 4), one.method, one.path) for one in server.requests][1:]
    failed = lines.of("check_failed")
    calls = len(failed) + len([*lines.of("status_checked"), *lines.of("gave_up")])
    calls -= ends.error is RetriesExhausted  # which no failed call ends
    if fault in SILENT:  # on a busy machine `request_timeout` cuts more calls, even before they have sent anything
        assert calls >= ends.calls
        assert len(arrived) <= calls
        assert {line["fault"] for line in failed} == {"timeout"}
    else:
        assert calls == ends.calls
        assert len(arrived) == (ends.calls if ends.requests is None else ends.requests), arrived
    if fault == "refuse":
        assert {line["fault"] for line in failed} == {"connection"}
    if ends.error is None:
        assert (result.id, str(result.status)) == (job_id, "completed")
    else:
        assert (type(result), result.job_id, result.attempts) == (ends.error, job_id, ends.calls)


FOR_EVER = {fault: ends for fault, times, ends in ROWS if times == "forever"}


def lasting(fault: str) -> list[Fault]:
    """Strike for ever, and ask for a minute where the row of the table asks for three seconds."""
    return faults_of(fault.replace("Retry-After=3", "Retry-After=60").replace("date+3}", "date+60}"), "forever")


def assert_held(fault: str, result: Any, job_id: str) -> None:
    """Assert that a wait ended by its deadline, or as its row says where its first call is the last."""
    ends = FOR_EVER[fault]
    by_itself = {ends.error or Job} if ends.calls == 1 else set()
    assert type(result) in {WaitTimeout, *by_itself}
    assert (result.id if isinstance(result, Job) else result.job_id) == job_id
