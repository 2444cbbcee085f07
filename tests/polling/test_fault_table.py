"""How a wait over each fault of the fake server ends, for both clients: in process on frozen time, and on sockets."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest
from support.both_clients import CLIENTS, Side, side_of
from support.ends_soon import ends_soon
from support.fault_table import GIVES_UP, LIMITS, ROWS, ROWS_IN_PROCESS, Ends, faults_of, readme_table
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
from support.fixtures import Clock, LogLines
from support.in_process_service import KEY
from support.readme import README

from fake_server import Scenario, Server
from fake_server.faults import ACTIONS
from fake_server.replies import gzip_bomb
from translation_client import (
    RequestFailed,
    TranslationClientError,
    UnexpectedAnswer,
    VideoTranslationClient,
    WaitTimeout,
)

ROUNDING = 1.001
"""Seconds that a `Retry-After` with a date, which has whole seconds, may differ."""

BOTH = pytest.mark.parametrize("client", CLIENTS)


def names_of(rows: list[tuple[str, str, Ends]]) -> list[str]:
    return [f"{fault} {times}" for fault, times, _ in rows]


def waited(side: Side, job_id: str | None = None) -> Any:
    """Return the job, or the error of the library."""
    try:
        return asyncio.run(side.call("wait", job_id))
    except TranslationClientError as error:
        return error


@BOTH
@pytest.mark.parametrize(("fault", "times", "ends"), ROWS_IN_PROCESS, ids=names_of(ROWS_IN_PROCESS))
def test_a_wait_in_process_ends_as_the_table_says(
    client: type[Any], fault: str, times: str, ends: Ends, clock: Clock, lines: LogLines
) -> None:
    """The outcome, the seconds, the requests, the log lines, and the facts of the error."""
    side = side_of(client, Scenario(duration=0, faults=faults_of(fault, times)), "reference", clock, **LIMITS)
    job_id = side.lab.create()
    began = clock()
    result = waited(side, job_id)
    took = (clock() - began).total_seconds()

    assert ends.at_least - ROUNDING <= took <= ends.by + ROUNDING
    assert result.elapsed == pytest.approx(took)
    assert len(side.lab.arrivals) == (ends.calls if ends.requests is None else ends.requests)
    is_last_call_the_end = ends.error in (RequestFailed, UnexpectedAnswer, WaitTimeout)
    assert len([*lines.of("status_checked"), *lines.of("check_failed")]) == ends.calls - is_last_call_the_end
    if ends.error is None:
        assert (result.id, str(result.status)) == (job_id, "completed")
        return
    assert type(result) is ends.error
    assert (result.job_id, result.attempts) == (job_id, ends.calls)
    assert lines[-1]["event"] == "gave_up"


def blocking(clock: Clock, fault: str) -> Side:
    """A blocking client whose requests all have a fault."""
    scenario = Scenario(duration=0, faults=faults_of(fault, "forever"))
    return side_of(VideoTranslationClient, scenario, "reference", clock, **LIMITS)


CODED = [fault for fault, times, ends in ROWS if times == "forever" and fault[:3].isdecimal() and ends != GIVES_UP]


@pytest.mark.parametrize("fault", CODED)
def test_the_error_has_the_status_code(fault: str, clock: Clock, lines: LogLines) -> None:
    """Also if the response could not be read."""
    error = waited(blocking(clock, fault))

    assert isinstance(error, RequestFailed | UnexpectedAnswer)
    assert error.status_code == int(fault[:3])


@pytest.mark.parametrize("fault", ["html", "invalid-json", "wrong-shape"])
def test_the_error_has_an_excerpt_of_an_unreadable_body(fault: str, clock: Clock, lines: LogLines) -> None:
    error = waited(blocking(clock, fault))

    assert isinstance(error, UnexpectedAnswer)
    assert error.excerpt
    assert error.excerpt[:8] in str(error)


@pytest.mark.parametrize("fault", [fault for fault, times, _ in ROWS if times == "forever" and fault != "refuse"])
def test_the_error_has_the_job_of_the_last_check(fault: str, clock: Clock, lines: LogLines) -> None:
    """Whichever fault the later requests have."""
    side = side_of(VideoTranslationClient, Scenario(duration=1000), "reference", clock, **LIMITS)
    watching = side.client.watch(side.lab.create())
    seen = [next(watching)]
    side.lab.faults = tuple(faults_of(fault, "forever"))
    with pytest.raises(TranslationClientError) as caught:
        seen.extend(watching)

    assert caught.value.job == seen[-1]
    assert caught.value.job_id == "job-1"
    assert caught.value.checks == len(seen) >= 1


def test_a_redirect_to_another_origin_carries_no_api_key(clock: Clock, lines: LogLines) -> None:
    """The request to our own origin does."""
    side = side_of(
        VideoTranslationClient, Scenario(duration=0, faults=["1:redirect-away"]), "reference", clock, **LIMITS
    )
    waited(side)

    ours, foreign = side.lab.arrivals
    assert ours.headers["Authorization"] == f"Bearer {KEY}"
    assert foreign.headers["Host"] == "elsewhere.fake.test"
    assert "Authorization" not in foreign.headers


def test_every_fault_of_the_fake_server_has_a_row() -> None:
    """So a new fault needs one."""
    named = {fault.partition(":")[0].partition("@")[0] for fault, _, _ in ROWS}

    assert set(ACTIONS) - {"answer"} <= named


def test_the_readme_shows_the_table() -> None:
    """Word for word."""
    table = README[README.index("| fault | once |") :]
    rows = table[: table.index("\n\n")].splitlines()[2:]

    assert rows == readme_table()


def outcome_on_sockets(client: type[Any], server: Server, job_id: str | None, **arguments: Any) -> Any:
    """Return the job, or the error of the library. The client is closed."""

    async def wait() -> Any:
        async with client(server.url, **arguments) as made:
            return await made.wait(job_id)

    try:
        if client is not VideoTranslationClient:
            return asyncio.run(wait())
        with VideoTranslationClient(server.url, **arguments) as blocking_client:
            return blocking_client.wait(job_id)
    except TranslationClientError as error:
        return error


def short_sleep(client: type[Any], before_sleep: Callable[[], None] = lambda: None) -> Callable[[float], Any]:
    """Return the `sleep` of a client: a `HURRY`-th of the seconds."""

    def sleep(seconds: float) -> None:
        before_sleep()
        time.sleep(seconds / HURRY)

    async def async_sleep(seconds: float) -> None:
        before_sleep()
        await asyncio.sleep(seconds / HURRY)

    return sleep if client is VideoTranslationClient else async_sleep


@pytest.mark.integration
@BOTH
@pytest.mark.parametrize(("fault", "times", "ends"), ROWS, ids=names_of(ROWS))
def test_a_wait_on_sockets_ends_as_the_table_says(
    client: type[Any], fault: str, times: str, ends: Ends, fake_translation_server: Server, lines: LogLines
) -> None:
    """The outcome, the attempts and the requests. No thread and no socket is left once the client is closed."""
    server = fake_translation_server
    with leaving_nothing(server) as job_id:
        sleep = short_sleep(client, strike(server, fault, times))
        result = outcome_on_sockets(client, server, job_id, **limits_of(fault, times), sleep=sleep)

    assert_ended(server, lines, fault, ends, result, job_id)


@pytest.mark.integration
@BOTH
@pytest.mark.parametrize("fault", FOR_EVER)
def test_no_fault_holds_a_wait_past_its_deadline(
    client: type[Any], fault: str, fake_translation_server: Server, lines: LogLines
) -> None:
    """A wait of 0.4 s ends by that. Its attempts and sleeps alone would take half a minute or more."""
    server = fake_translation_server
    with leaving_nothing(server) as job_id:
        server.faults = tuple(lasting(fault))
        with ends_soon(0.4):
            result = outcome_on_sockets(client, server, job_id, timeout=0.4, **LONG_WITHOUT_A_DEADLINE)

    assert_held(fault, result, job_id)


@pytest.mark.integration
@BOTH
@pytest.mark.parametrize("fault", ["gzip-bomb", "endless"])
def test_no_body_fills_the_memory(
    client: type[Any], fault: str, fake_translation_server: Server, lines: LogLines
) -> None:
    """Client and server together, at the peak of five such bodies."""
    gzip_bomb()  # packed once, and kept
    fake_translation_server.faults = tuple(faults_of(fault, "forever"))
    tracemalloc.start()
    try:
        result = outcome_on_sockets(client, fake_translation_server, None, **LIMITS, sleep=short_sleep(client))
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


@pytest.mark.integration
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
