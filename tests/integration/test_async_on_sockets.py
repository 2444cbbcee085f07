"""The asyncio client on real sockets: submissions, transfers, limits, cancellation, proxies, TLS and connections."""

from __future__ import annotations

import asyncio
import base64
import gc
import os
import signal
import socket
import sqlite3
import ssl
import stat
import subprocess
import sys
import threading
import time
import tracemalloc
import warnings
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, TypeVar

import aiohttp
import pytest
import trustme
from support.child_processes import running
from support.ends_soon import DROWSY, ENDS_SOON, LASTS_LONG, PATIENT, at_some_pace, ends_soon, lasting
from support.file_servers import KEY, MIB, dripping_file, length_of, link, playing, send_ok, standing_file
from support.fixtures import LogLines, ServerTime, SilentLogger
from support.garbage import only_new_objects_collected
from support.hostile_server import Handler, answering, dripping, http, mute, refusing_url, relay, serving
from support.hostile_server import Server as HostileServer
from support.scripted_server import response, scripted
from support.shown_secrets import ECHOES, HEADER, RAW_ECHOES, shown_texts
from support.tls_servers import drip_tls, over_tls, serving_raw

from fake_server import Scenario, Server
from fake_server.storage import result_body
from translation_client import (
    AsyncVideoTranslationClient,
    DurationHistory,
    Job,
    RequestFailed,
    RetriesExhausted,
    TranslationClientError,
    TranslationStatus,
    UnexpectedAnswer,
    VideoTranslationClient,
    WaitCancelled,
    WaitTimeout,
)
from translation_client._transports.aiohttp import MAX_TRANSFERS

T = TypeVar("T")

SERVICES = ("heygen", "elevenlabs", "azure", "reference")
LANGUAGE = {"heygen": "Spanish (Spain)", "elevenlabs": "es", "azure": "es-ES", "reference": "es"}
PATH = {"azure": "/videotranslation"}
VIDEO = "https://videos.example.com/talk.mp4"

PENDING: Handler = answering(http(), close=False)
COMPLETED = http("200 OK", b'{"result": "completed"}')


def open_to(port: int) -> int:
    """Count the sockets of this process that are connected to a port of loopback.

    The table of the system is not used: a connection stays in it for a while after its socket was closed.
    """
    return sum(_port_of_peer(int(file.name)) == port for file in Path("/proc/self/fd").iterdir())


def _port_of_peer(file_descriptor: int) -> int | None:
    with suppress(OSError):  # closed by now, or not connected
        if stat.S_ISSOCK(os.fstat(file_descriptor).st_mode):  # `fromfd` leaks its copy of anything else
            with socket.fromfd(file_descriptor, socket.AF_INET, socket.SOCK_STREAM) as copy:
                address = copy.getpeername()
                return address[1] if isinstance(address, tuple) else None
    return None


def port_of(url: str) -> int:
    return int(url.rpartition(":")[2].partition("/")[0])


def client_of(url: str, service: str = "reference", **arguments: Any) -> AsyncVideoTranslationClient:
    usual = {**PATIENT, "service": service, "api_key": KEY, "logger": SilentLogger(), "backoff_factor": 0.05}
    return AsyncVideoTranslationClient(url + PATH.get(service, ""), **{**usual, **arguments})


def timers_of(loop: asyncio.AbstractEventLoop) -> list[asyncio.TimerHandle]:
    """Return the timers that are still scheduled, cancelled or not."""
    return list(vars(loop)["_scheduled"])


def ran(action: Coroutine[Any, Any, T], loop: asyncio.AbstractEventLoop | None = None) -> T:
    """Run a coroutine in the debug mode of asyncio. Fails if a task, timer, unhandled error or warning is left."""
    complaints: list[dict[str, Any]] = []

    async def watched() -> T:
        running = asyncio.get_running_loop()
        running.slow_callback_duration = 60
        running.set_exception_handler(lambda _, context: complaints.append(context))
        value = await action
        assert asyncio.all_tasks() == {asyncio.current_task()}
        assert [timer for timer in timers_of(running) if not timer.cancelled()] == []
        return value

    with only_new_objects_collected(), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        if loop is None:
            value = asyncio.run(watched(), debug=True)
        else:
            value = loop.run_until_complete(watched())
            loop.close()
        gc.collect()
    assert (complaints, [str(warning.message) for warning in caught]) == ([], [])
    return value


async def until(happened: Callable[[], object]) -> None:
    """Wait until a condition is true, for half a minute at the most."""
    end = time.monotonic() + LASTS_LONG / 2
    while not happened():
        assert time.monotonic() < end, "it never happened"
        await asyncio.sleep(0.005)


async def ended(task: asyncio.Task[Any]) -> BaseException | None:
    """Wait for a task, which has to end soon. Returns its exception, or None."""
    with ends_soon():
        [result] = await asyncio.wait_for(asyncio.gather(task, return_exceptions=True), LASTS_LONG)
    return result if isinstance(result, BaseException) else None


@contextmanager
def peak_of_memory() -> Iterator[list[int]]:
    """Measure the peak of memory in a block."""
    peak: list[int] = []
    tracemalloc.start()
    try:
        yield peak
        peak.append(tracemalloc.get_traced_memory()[1])
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("service", SERVICES)
def test_twenty_concurrent_jobs_of_one_client_give_twenty_files(service: str, tmp_path: Path) -> None:
    """Each file is whole and that of its job, over two faults. The API key is sent to the service alone."""

    async def translated(client: AsyncVideoTranslationClient, number: int) -> tuple[Job, Path]:
        job = await client.wait(await client.submit(f"{VIDEO}?{number}", LANGUAGE[service]))
        return job, await client.download(job, tmp_path / f"{number}.mp4")

    async def action() -> list[tuple[Job, Path]]:
        async with client_of(server.url, service) as client:
            return await asyncio.gather(*(translated(client, number) for number in range(20)))

    faults = ["1:503", "result/1:truncate"]
    with Server(Scenario((0.05, 0.2), result_bytes=150_000, faults=faults), service=service) as server:
        done = ran(action())
        names = [submission.job_id for submission in server.submissions]
        arrivals = server.requests
        assert open_to(server.port) == 0

    assert len(set(names)) == 20
    for job, file in done:
        [name] = [name for name in names if job.id == name or str(job.id) in name.split("/")]
        assert file.read_bytes() == bytes(result_body(name, 150_000))
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(f"{number}.mp4" for number in range(20))
    shown = {(one.headers["Host"].startswith("127.0.0.1"), KEY in str(one.headers)) for one in arrivals}
    has_storage = service in ("heygen", "azure")  # at another origin
    assert shown == ({(True, True), (False, False)} if has_storage else {(True, True)})


@pytest.fixture
def film(tmp_path: Path) -> Path:
    """A file of 24 MiB: a random MiB, repeated."""
    path = tmp_path / "film.mp4"
    path.write_bytes(os.urandom(MIB) * 24)
    return path


async def submitted(url: str, film: Path, service: str = "elevenlabs", **arguments: Any) -> Job:
    async with client_of(url, service, **arguments) as client:
        return await client.submit(film, LANGUAGE[service])


MADE = b'{"dubbing_id": "d-1", "expected_duration_sec": 3}'


def body_of(handler: BaseHTTPRequestHandler) -> bytes:
    return handler.rfile.read(length_of(handler))


def test_a_check_gets_a_connection_beside_a_hundred_running_downloads(tmp_path: Path) -> None:
    """No byte of them moves, as if they took hours. At most `MAX_TRANSFERS` of them have a connection."""
    arrived, over = threading.Semaphore(0), threading.Event()

    def play(handler: BaseHTTPRequestHandler) -> None:
        if handler.path == "/file":
            arrived.release()
            over.wait(LASTS_LONG)
        send_ok(handler, b'{"result": "pending"}')

    async def check(url: str) -> Job:
        finished = Job("j", TranslationStatus.COMPLETED, "completed", result_url=f"{url}/file")
        async with AsyncVideoTranslationClient(url, request_timeout=60) as client:
            downloads = [
                asyncio.create_task(client.download(finished, tmp_path / str(number))) for number in range(100)
            ]
            try:
                for _ in range(MAX_TRANSFERS):
                    await asyncio.to_thread(arrived.acquire, timeout=60)
                return await client.check("k")
            finally:
                over.set()
                for download in downloads:
                    download.cancel()
                await asyncio.wait(downloads)

    with playing(play) as (url, _):
        assert ran(check(url)).status == "pending"


def test_an_upload_arrives_whole(tmp_path: Path) -> None:
    """Byte for byte, in a form with a `Content-Length` and without `Transfer-Encoding`."""
    film = tmp_path / "film.mp4"
    film.write_bytes(os.urandom(3 * MIB + 17))
    bodies: list[bytes] = []

    def play(handler: BaseHTTPRequestHandler) -> None:
        assert "Transfer-Encoding" not in handler.headers
        assert handler.headers["Content-Type"].startswith("multipart/form-data; boundary=")
        bodies.append(body_of(handler))
        send_ok(handler, MADE)

    with playing(play) as (url, _):
        assert ran(submitted(url, film)).id == "d-1"
    assert film.read_bytes() in bodies[0]
    assert len(bodies) == 1


@pytest.mark.parametrize(("service", "fault"), [("heygen", "upload/1:reset"), ("elevenlabs", "create/1:425")])
def test_an_upload_that_a_fault_repeats_makes_one_submission(service: str, fault: str, film: Path) -> None:
    """All bytes arrive; the first request is reset, or gets a 425."""
    with Server(Scenario(0, faults=[fault]), service=service) as server:
        assert ran(submitted(server.url, film, service)).status == "pending"
        [submission] = server.submissions
        arrivals = [one.path for one in server.requests if one.method == "POST"]

    assert "film.mp4" in str(submission.fields)
    assert str(24 * MIB) in str(submission.fields)
    assert len(arrivals) == {"heygen": 3, "elevenlabs": 2}[service]


def test_an_upload_aborted_by_the_server_is_sent_again(film: Path) -> None:
    """Half a file cannot have made a job, so the retry is safe although the service has no idempotency keys."""

    def play(handler: BaseHTTPRequestHandler) -> None:
        if len(request_lines) == 1:
            handler.rfile.read(3 * MIB)
            handler.connection.shutdown(socket.SHUT_RDWR)
            return
        body_of(handler)
        send_ok(handler, MADE)

    with playing(play) as (url, request_lines):
        assert ran(submitted(url, film)).id == "d-1"
        assert len(request_lines) == 2


def test_an_upload_whose_response_is_lost_is_not_sent_again(film: Path) -> None:
    """The service may have the whole file."""

    def play(handler: BaseHTTPRequestHandler) -> None:
        body_of(handler)
        handler.connection.shutdown(socket.SHUT_RDWR)

    with playing(play) as (url, request_lines):
        with pytest.raises(RequestFailed, match="may have been accepted") as caught:
            ran(submitted(url, film))
        assert len(request_lines) == 1
    assert caught.value.may_have_been_accepted is True


def test_a_submission_to_a_port_that_refuses_connections_makes_no_job() -> None:
    """`may_have_been_accepted` is False after both attempts."""

    async def submitted(url: str) -> None:
        async with client_of(url, "elevenlabs", max_faults=2) as client:
            await client.submit(VIDEO, "es")

    with refusing_url() as url, pytest.raises(RequestFailed, match="No job was made") as caught:
        ran(submitted(url))
    assert (caught.value.may_have_been_accepted, caught.value.attempts) == (False, 2)


def test_a_403_before_the_end_of_an_upload_ends_it(tmp_path: Path) -> None:
    """The response counts without a retry, and the rest of the file is not sent."""
    film = tmp_path / "film.mp4"
    film.write_bytes(os.urandom(MIB) * 24)
    over = threading.Event()

    def play(handler: BaseHTTPRequestHandler) -> None:
        handler.rfile.read(MIB)
        handler.send_response(403)
        handler.send_header("Content-Length", "0")
        handler.end_headers()
        over.wait(LASTS_LONG)

    async def action() -> None:
        try:
            with pytest.raises(RequestFailed, match="HTTP 403") as caught:
                await submitted(url, film)
            assert (caught.value.attempts, caught.value.may_have_been_accepted) == (1, False)
            # A transport that is closed, and not aborted, waits until its buffer is sent, which never happens here.
            assert open_to(port_of(url)) == 0
        finally:
            over.set()
            await asyncio.sleep(0.1)

    with playing(play) as (url, _):
        ran(action())


def test_an_upload_that_makes_progress_may_exceed_request_timeout(film: Path) -> None:
    """Only `request_timeout` seconds without a byte end it."""

    def submitted_within(limit: float) -> float:
        def play(handler: BaseHTTPRequestHandler) -> None:
            left = length_of(handler)
            for number in range(6):
                time.sleep(limit / 3)
                left -= len(handler.rfile.read(left if number == 5 else 4 * MIB))
            send_ok(handler, MADE)

        with playing(play) as (url, _):
            began = time.monotonic()
            assert ran(submitted(url, film, request_timeout=limit, max_faults=1)).id == "d-1"
            return (time.monotonic() - began) / limit

    assert at_some_pace(submitted_within) > 1.6


def held(over: threading.Event) -> Callable[[BaseHTTPRequestHandler], None]:
    """A server that reads nothing of a request but its headers."""

    def play(_: BaseHTTPRequestHandler) -> None:
        over.wait(LASTS_LONG)

    return play


def test_an_upload_without_progress_ends_after_request_timeout(film: Path) -> None:
    """The service cannot have the whole file, so no job was made."""
    over = threading.Event()

    async def action() -> None:
        began = time.monotonic()
        try:
            with ends_soon(0.3), pytest.raises(RequestFailed, match="No job was made") as caught:
                await submitted(url, film, request_timeout=0.3, max_faults=1)
            assert caught.value.may_have_been_accepted is False
            assert time.monotonic() - began >= 0.3
        finally:
            over.set()
            await asyncio.sleep(0.1)  # see the end of this test

    with playing(held(over)) as (url, request_lines):
        ran(action())
        assert request_lines in (["POST /v1/dubbing"], [])  # empty where a busy machine sent nothing in 0.3 s


def test_a_cancelled_upload_leaves_no_socket(film: Path) -> None:
    """Also if the server reads nothing any more, so that buffered data is never sent."""
    over = threading.Event()

    async def action() -> None:
        async with client_of(url, "elevenlabs") as client:
            sending = asyncio.create_task(client.submit(film, "es"))
            await until(lambda: request_lines)
            await asyncio.sleep(0.1)
            sending.cancel()
            assert type(await ended(sending)) is asyncio.CancelledError
        await until(lambda: open_to(port_of(url)) == 0)  # the server does not close it for a minute
        over.set()
        await asyncio.sleep(0.1)

    with playing(held(over)) as (url, request_lines):
        ran(action())


def test_a_large_upload_is_not_held_in_memory(film: Path) -> None:
    """24 MiB are sent with a peak below 8 MiB."""
    received = [0]

    def play(handler: BaseHTTPRequestHandler) -> None:
        left = length_of(handler)
        while left:
            part = len(handler.rfile.read(min(left, 65536)))
            received[0] += part
            left -= part
        send_ok(handler, MADE)

    with playing(play) as (url, _), peak_of_memory() as peak:
        assert asyncio.run(submitted(url, film)).id == "d-1"

    assert received[0] > 24 * MIB
    assert peak[0] < 8 * MIB


def test_a_large_download_is_not_held_in_memory(tmp_path: Path) -> None:
    """48 MiB are received with a peak below 8 MiB."""

    async def action() -> Path:
        async with client_of(server.url, "heygen") as client:
            job = await client.wait(await client.submit(VIDEO, LANGUAGE["heygen"]))
            with peak_of_memory() as peak:
                file = await client.download(job, tmp_path / "out.mp4")
            peaks.extend(peak)
            return file

    peaks: list[int] = []
    with Server(Scenario(0, result_bytes=48 * MIB), service="heygen") as server:
        file = asyncio.run(action())

    assert file.stat().st_size == 48 * MIB
    assert peaks[0] < 8 * MIB


async def downloaded(url: str, target: Path, *, client: dict[str, Any] | None = None, **arguments: Any) -> Path:
    async with client_of(url, **(client or {})) as made:
        return await made.download("job-1", target, **arguments)


@pytest.mark.parametrize("fault", ["mute", "drip-headers", "drip-body", "endless"])
def test_the_deadline_ends_a_download(fault: Any, tmp_path: Path) -> None:
    """`timeout=` holds against a storage that is mute, drips or sends without end; no file is left."""

    async def action() -> None:
        async with client_of(server.url, "heygen") as client:
            job = await client.wait(await client.submit(VIDEO, LANGUAGE["heygen"]))
            began = time.monotonic()
            with ends_soon(0.6), pytest.raises(WaitTimeout):  # `on_progress` sleeps, or it would fill the disk
                await client.download(job, tmp_path / "o", timeout=0.6, on_progress=lambda *_: time.sleep(0.005))
            assert time.monotonic() - began >= 0.55

    with Server(Scenario(0, faults=[lasting("result", fault)]), service="heygen") as server:
        ran(action())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("fault", ["mute", "drip-headers", "drip-body", "endless"])
def test_the_deadline_ends_a_submission(service: str, fault: Any) -> None:
    """Whatever the service does. If the request has arrived, the error says that a job may have been made."""

    async def action() -> None:
        async with client_of(server.url, service) as client:
            with ends_soon(0.5), pytest.raises(TranslationClientError) as caught:
                await client.submit(VIDEO, LANGUAGE[service], timeout=0.5)
            has_arrived = any(one.method in ("POST", "PUT") for one in server.requests)
            assert caught.value.may_have_been_accepted is True or not has_arrived

    with Server(Scenario(faults=[lasting("create", fault, body="x" * 2000)]), service=service) as server:
        ran(action())


def test_a_download_that_makes_progress_may_exceed_request_timeout(tmp_path: Path) -> None:
    """Only `request_timeout` seconds without a byte end it."""

    def downloaded_within(limit: float) -> Path:
        with playing(dripping_file(limit / 3)) as (url, _):
            return ran(downloaded(url, tmp_path / "out", client={"request_timeout": limit, "max_faults": 1}))

    assert at_some_pace(downloaded_within).read_bytes() == b"abcdef"


def test_a_download_without_progress_ends_after_request_timeout(tmp_path: Path) -> None:
    """It is a fault, and no file is left."""
    over = threading.Event()
    with playing(standing_file(over)) as (url, _):
        with ends_soon(0.3), pytest.raises(RequestFailed, match=r"no response within 0\.3 s"):
            ran(downloaded(url, tmp_path / "out", client={"request_timeout": 0.3, "max_faults": 1}))
        over.set()
    assert list(tmp_path.iterdir()) == []


def test_dripping_headers_are_no_progress_of_a_download(tmp_path: Path) -> None:
    """Only bytes of the file are."""

    def play(handler: BaseHTTPRequestHandler) -> None:
        if "status" in handler.path:
            send_ok(handler, link(url))
            return
        handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
        while True:
            handler.wfile.write(b"X: y\r\n")
            time.sleep(0.1)

    with (
        playing(play) as (url, _),
        ends_soon(0.4),
        pytest.raises(RequestFailed, match=r"no response within 0\.4 s"),
    ):
        ran(downloaded(url, tmp_path / "out", client={"request_timeout": 0.4, "max_faults": 1}))


PLACES: dict[str, Handler] = {
    "sleeping": PENDING,
    "mute": mute,
    "dripping headers": dripping(b"HTTP/1.1 200 OK\r\nX-Drip: ", b"x"),
    "dripping body": dripping(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", b"x"),
    "dripping body of an error": dripping(b"HTTP/1.1 503 Busy\r\nContent-Length: 1000\r\n\r\n", b"x"),
}
where = pytest.mark.parametrize("place", PLACES)


@where
def test_a_cancelled_task_ends_soon_with_cancelled_error(place: str) -> None:
    """No further request is sent, and its socket is closed although the client is not."""

    async def action() -> None:
        async with client_of(server.url, **DROWSY) as client:
            waiting = asyncio.create_task(client.wait())
            await until(lambda: server.requests)
            await asyncio.sleep(0.1)
            waiting.cancel()
            assert type(await ended(waiting)) is asyncio.CancelledError
            assert waiting.cancelled()
            assert asyncio.all_tasks() == {asyncio.current_task()}
            if place != "sleeping":
                await until(lambda: open_to(server.port) == 0)
        assert open_to(server.port) == 0

    with serving(PLACES[place]) as server:
        ran(action())
    assert len(server.requests) == 1


@where
def test_wait_for_ends_a_wait_with_its_own_time_out_error(place: str) -> None:
    """`asyncio.TimeoutError` is raised, and not `WaitTimeout`."""

    async def action() -> None:
        async with client_of(server.url, **DROWSY) as client:
            began = time.monotonic()
            with ends_soon(0.3), pytest.raises(asyncio.TimeoutError) as caught:
                await asyncio.wait_for(client.wait(), 0.3)
            assert time.monotonic() - began >= 0.29
            assert not isinstance(caught.value, WaitTimeout)

    with serving(PLACES[place]) as server:
        ran(action())


@where
@pytest.mark.parametrize("kind", [asyncio.Event, threading.Event])
def test_an_event_cancels_a_wait(place: str, kind: type[Any]) -> None:
    """Of asyncio, or of threading and set by another thread. Another wait of the client goes on."""

    async def action() -> None:
        cancel = kind()
        async with client_of(server.url, **DROWSY) as client:
            waiting = asyncio.create_task(client.wait(cancel=cancel))
            other = asyncio.create_task(client.wait())
            await until(lambda: len(server.requests) == 2)
            await asyncio.sleep(0.1)
            if kind is asyncio.Event:
                cancel.set()
            else:
                threading.Thread(target=cancel.set).start()
            assert type(await ended(waiting)) is WaitCancelled
            assert not other.done()
            other.cancel()
            await ended(other)

    with serving(PLACES[place]) as server:
        ran(action())
    assert len(server.requests) == 2


@pytest.mark.parametrize("how", ["close", "event"])
def test_a_cancelled_request_is_logged_as_cancelled_and_not_as_a_fault(how: str, lines: LogLines) -> None:
    """Cancelled by `close` or an event, it has one log line, with the reason `cancelled`."""

    async def action() -> None:
        cancel = asyncio.Event()
        async with client_of(server.url, logger=None) as client:
            waiting = asyncio.create_task(client.wait(cancel=cancel))
            await until(lambda: server.requests)
            if how == "close":
                await client.close()
            cancel.set()
            assert type(await ended(waiting)) is WaitCancelled

    with serving(mute) as server:
        ran(action())
    assert [(line["event"], line["reason"], line["attempts"]) for line in lines] == [("gave_up", "cancelled", 1)]


@where
@pytest.mark.parametrize("is_left", [False, True])
def test_close_cancels_the_waits_of_all_tasks(place: str, is_left: bool) -> None:
    """By `close()` in another task, or at the end of the `async with` block."""

    async def action() -> None:
        client = client_of(server.url, **DROWSY)
        if is_left:
            async with client:
                waits = [asyncio.create_task(client.wait()) for _ in range(8)]
                await until(lambda: len(server.requests) == 8)
                await asyncio.sleep(0.1)
                began = time.monotonic()
        else:
            waits = [asyncio.create_task(client.wait()) for _ in range(8)]
            await until(lambda: len(server.requests) == 8)
            await asyncio.sleep(0.1)
            began = time.monotonic()
            await asyncio.create_task(client.close())
        errors = [await ended(wait) for wait in waits]
        assert {type(error) for error in errors} == {WaitCancelled}
        assert time.monotonic() - began < ENDS_SOON
        assert open_to(server.port) == 0
        with pytest.raises(WaitCancelled):
            await client.check()

    with serving(PLACES[place]) as server:
        ran(action())
    assert len(server.requests) == 8


@pytest.mark.parametrize("is_cancelled_first", [False, True])
def test_a_task_cancelled_in_the_step_of_close_ends_with_cancelled_error(is_cancelled_first: bool) -> None:
    """A cancellation from outside is never taken for that by `close`, whichever comes first."""

    async def action() -> None:
        client = client_of(server.url)
        waiting = asyncio.create_task(client.wait())
        await until(lambda: server.requests)
        loop = asyncio.get_running_loop()
        if is_cancelled_first:
            loop.call_soon(waiting.cancel)
        closing = asyncio.create_task(client.close())
        if not is_cancelled_first:
            loop.call_soon(waiting.cancel)
        await asyncio.sleep(0)  # one step of the loop: both happen, and the task has not run since
        assert not waiting.done()
        error = await ended(waiting)
        await closing
        assert type(error) is asyncio.CancelledError

    with serving(mute) as server:
        ran(action())


def test_async_with_closes_the_client_in_a_cancelled_task() -> None:
    """Although that task may not await anything more."""

    async def used(client: AsyncVideoTranslationClient) -> None:
        async with client:
            await asyncio.gather(*(client.wait() for _ in range(4)))

    async def action() -> None:
        client = client_of(server.url)
        using = asyncio.create_task(used(client))
        await until(lambda: len(server.requests) == 4)
        using.cancel()
        assert type(await ended(using)) is asyncio.CancelledError
        assert open_to(server.port) == 0

    with serving(mute) as server:
        ran(action())


def test_close_cancels_a_download(tmp_path: Path) -> None:
    """No file is left."""

    async def action() -> None:
        client = client_of(server.url, "heygen")
        job = await client.wait(await client.submit(VIDEO, LANGUAGE["heygen"]))
        loading = asyncio.create_task(client.download(job, tmp_path / "out.mp4"))
        await asyncio.sleep(0.2)
        await client.close()
        assert type(await ended(loading)) is WaitCancelled

    with Server(Scenario(0, faults=["result/every-1:drip-body@0.05"]), service="heygen") as server:
        ran(action())
    assert list(tmp_path.iterdir()) == []


def test_a_cancelled_download_leaves_no_file(tmp_path: Path) -> None:
    """The part that had arrived is removed, too."""

    async def action() -> None:
        async with client_of(server.url, "heygen") as client:
            job = await client.wait(await client.submit(VIDEO, LANGUAGE["heygen"]))
            loading = asyncio.create_task(client.download(job, tmp_path / "out.mp4"))
            await until(lambda: list(tmp_path.iterdir()))
            loading.cancel()
            assert type(await ended(loading)) is asyncio.CancelledError

    with Server(Scenario(0, faults=["result/every-1:drip-body@0.05"]), service="heygen") as server:
        ran(action())
    assert list(tmp_path.iterdir()) == []


def test_a_cancelled_submission_can_be_repeated_with_its_idempotency_key(lines: LogLines) -> None:
    """The key is in the log line `submit_started`; no second job is made."""

    async def action() -> Job:
        async with client_of(server.url, "heygen", logger=None) as client:
            ordering = asyncio.create_task(client.submit(VIDEO, LANGUAGE["heygen"]))
            await until(lambda: server.submissions)
            ordering.cancel()
            assert type(await ended(ordering)) is asyncio.CancelledError
            server.faults = ()
            [started] = lines.of("submit_started")
            return await client.submit(VIDEO, LANGUAGE["heygen"], idempotency_key=started["idempotency_key"])

    with Server(Scenario(0, faults=["create/1:mute"]), service="heygen") as server:
        job = ran(action())
        assert [submission.job_id for submission in server.submissions] == [job.id]


def test_a_locked_history_delays_the_event_loop_by_less_than_0_2_seconds(
    tmp_path: Path, server_time: ServerTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another connection has locked the database at the end of the wait, whose duration is not recorded."""
    history = DurationHistory(tmp_path / "history")
    slept: list[float] = []
    usual, thread_of_loop = time.sleep, threading.current_thread()

    def sleep(seconds: float) -> None:
        if threading.current_thread() is thread_of_loop:
            slept.append(seconds)
        usual(seconds)

    async def action() -> None:
        async with client_of(server.url, history=history, check_cost=0.01) as client:
            job = await client.submit(VIDEO, "es")
            waiting = asyncio.create_task(client.wait(job))
            await until(lambda: len(server.requests) > 1)
            with closing(sqlite3.connect(tmp_path / "history", isolation_level=None)) as other:
                other.execute("BEGIN EXCLUSIVE")
                server_time.advance(10)
                assert (await waiting).status == "completed"
                other.execute("ROLLBACK")

    monkeypatch.setattr(time, "sleep", sleep)
    with Server(Scenario(10)) as server:
        ran(action())
    assert 0 < sum(slept) < 0.2
    assert history.jobs("reference") == []


class SteppingLoop(asyncio.SelectorEventLoop):
    """An event loop that calls a function at its n-th step."""

    def __init__(self) -> None:
        super().__init__()
        self.set_debug(True)
        self.steps = -1
        self.at = 0
        self.act: Callable[[], object] = lambda: None

    def begin(self, at: int, act: Callable[[], object]) -> None:
        self.steps, self.at, self.act = 0, at, act

    def end(self) -> None:
        self.steps = -1

    def _run_once(self) -> None:
        if self.steps >= 0:
            self.steps += 1
            if self.steps == self.at:
                self.act()
        super()._run_once()  # type: ignore[misc]  # it is there


def mute_wait(
    client: AsyncVideoTranslationClient, act_at: float, act: Callable[[asyncio.Task[Any]], object]
) -> asyncio.Task[Job]:
    """Wait for a mute server, and call `act` so many seconds after the timer of the client expires."""
    loop = asyncio.get_running_loop()

    def plan() -> None:
        """Schedule `act` as soon as there is a timer."""
        for cut in client._transport._scopes._running:
            loop.call_at(vars(cut._timeout)["_handle"].when() + act_at, act, waiting)
            return
        loop.call_soon(plan)

    waiting = asyncio.create_task(client.wait())
    loop.call_soon(plan)
    return waiting


@pytest.mark.parametrize("limit", ["timeout", "request_timeout"])
@pytest.mark.parametrize("after", [-1e-6, -1e-7, 0.0, 1e-7, 1e-6, 1e-5])
def test_a_task_cancelled_at_the_time_out_ends_with_cancelled_error(limit: str, after: float) -> None:
    """Just before or just after the timer of the client, or in the same step of the event loop."""

    async def action() -> None:
        limits: dict[str, Any] = {limit: 0.2}
        async with client_of(server.url, **limits) as client:
            error = await ended(mute_wait(client, after, lambda task: task.cancel()))
            assert isinstance(error, asyncio.CancelledError)

    with serving(mute) as server:
        ran(action())


def test_wait_for_with_the_seconds_of_request_timeout_raises_its_own_error() -> None:
    """Each of ten times, though both timers expire together: its cancellation is not taken for one by the client."""

    async def action() -> None:
        async with client_of(server.url, request_timeout=0.1) as client:
            for _ in range(10):
                with ends_soon(0.1), pytest.raises(asyncio.TimeoutError) as caught:
                    await asyncio.wait_for(client.wait(), 0.1)
                assert not isinstance(caught.value, WaitTimeout)

    with serving(mute) as server:
        ran(action())


class DeafConnector(aiohttp.TCPConnector):
    """A connector whose connections wait for an event, and ignore cancellation."""

    def __init__(self, let_go: asyncio.Event) -> None:
        super().__init__()
        self._let_go = let_go

    async def connect(self, *arguments: Any, **more: Any) -> Any:
        while not self._let_go.is_set():
            with suppress(asyncio.CancelledError):
                await self._let_go.wait()
        return await super().connect(*arguments, **more)


@pytest.mark.parametrize("how", ["timeout", "request_timeout", "event", "cancel", "close"])
def test_a_session_that_ignores_cancellation_delays_no_caller(how: str) -> None:
    """The submission ends in time. Its task ends when the session lets it, and may even send the request."""

    async def action() -> None:
        cancel, let_go = asyncio.Event(), asyncio.Event()
        giving_up = asyncio.get_running_loop().call_later(LASTS_LONG, let_go.set)
        async with aiohttp.ClientSession(connector=DeafConnector(let_go)) as session:
            limits: dict[str, Any] = {how: 0.2} if "timeout" in how else {}
            client = client_of(server.url, session=session, max_faults=1, **limits)
            waiting = asyncio.create_task(client.submit(VIDEO, "es", cancel=cancel))
            await asyncio.sleep(0.1)
            if how == "cancel":
                waiting.cancel()
            if how == "close":
                await client.close()
            if how == "event":
                cancel.set()
            error = await ended(waiting)
            let_go.set()
            giving_up.cancel()
            ends = {"timeout": WaitTimeout, "request_timeout": RequestFailed, "cancel": asyncio.CancelledError}
            assert isinstance(error, ends.get(how, WaitCancelled))
            assert getattr(error, "may_have_been_accepted", True)
            await until(lambda: len(asyncio.all_tasks()) == 1)
            await client.close()

    with serving(PENDING) as server:
        ran(action())


RESPONSES = {"200": http(), "503": http("503 Busy", b'{"code": 1}'), "302": http("302 Found", b"", "Location: /x")}
ENDS = {"200": RetriesExhausted, "503": RequestFailed, "302": UnexpectedAnswer}
"""The error of a wait that is not cancelled, by the status code of the response."""


@pytest.mark.parametrize("status_code", RESPONSES)
@pytest.mark.parametrize(
    "how", ["cancel", "close", "event", "cancel, close", "close, cancel", "cancel, event", "event, cancel"]
)
def test_a_wait_can_be_cancelled_at_every_step_of_the_event_loop(how: str, status_code: str) -> None:
    """The task ends with the error of what cancelled it, and no connection is left."""

    async def action(at: int) -> tuple[bool, bool, BaseException | None]:
        client = client_of(server.url, max_faults=1, max_retries=0)
        cancel = asyncio.Event()
        closing: list[asyncio.Task[None]] = []
        calling = asyncio.create_task(client.wait(cancel=cancel))

        before = len(server.requests)

        def act() -> None:
            was_over.append(calling.done())
            was_unasked.append(len(server.requests) == before)
            for one in how.split(", "):
                acts[one]()

        def close() -> None:
            client._transport._scopes.stop_cancelled()
            closing.append(asyncio.create_task(client.close()))

        def set_event() -> None:
            cancel.set()
            client._transport._scopes.stop_cancelled()

        was_over: list[bool] = []
        acts: dict[str, Callable[[], object]] = {"cancel": calling.cancel, "close": close, "event": set_event}
        loop = asyncio.get_running_loop()
        assert isinstance(loop, SteppingLoop)
        loop.begin(at, act)
        error = await ended(calling)
        loop.end()  # the steps from here on are not those of the call
        await asyncio.gather(*closing)
        await client.close()
        assert open_to(server.port) == 0
        return bool(was_over), was_over == [True], error

    was_unasked: list[bool] = []
    with serving(answering(RESPONSES[status_code], close=False)) as server:
        for at in range(1, 200):
            happened, was_over, error = ran(action(at), SteppingLoop())
            if not happened or was_over:
                break
            # If its task was not cancelled, it may have ended by itself, but not before the server had its request.
            wanted = asyncio.CancelledError if "cancel" in how else WaitCancelled
            may_have_ended = "cancel" not in how and not was_unasked[-1]
            assert type(error) is wanted or (may_have_ended and type(error) is ENDS[status_code]), (at, error)
    assert 5 < at < 199
    assert was_unasked[0]
    assert type(error) is ENDS[status_code]  # of the last wait, which had ended before that step


@pytest.mark.parametrize("how", ["cancel", "close", "close, cancel"])
@pytest.mark.parametrize("call", ["submit", "upload", "download"])
def test_a_transfer_can_be_cancelled_at_every_step_of_the_event_loop(call: str, how: str, tmp_path: Path) -> None:
    """No task, socket, file or warning is left. If a job may have been made, the error says so."""
    film = tmp_path / "film.mp4"
    film.write_bytes(os.urandom(300_000))
    arrived: list[int] = []

    def play(handler: BaseHTTPRequestHandler) -> None:
        if handler.command == "POST":
            body = handler.rfile.read(length_of(handler))
            if len(body) == length_of(handler):
                arrived.append(len(body))
                send_ok(handler, MADE)
        elif "status" in handler.path:
            send_ok(handler, link(url))
        else:
            send_ok(handler, bytes(300_000))

    def all_that_came() -> int:
        """Count the requests after which a transfer may have succeeded."""
        return len([one for one in request_lines if "/file" in one]) if call == "download" else len(arrived)

    async def action(at: int) -> tuple[bool, BaseException | None]:
        client = client_of(url, "reference" if call == "download" else "elevenlabs", max_faults=1)
        before = all_that_came()
        target = tmp_path / "out.mp4"
        made: Coroutine[Any, Any, Any]
        if call == "download":
            made = client.download("job-1", target)
        else:
            made = client.submit(film if call == "upload" else VIDEO, "es")
        calling = asyncio.create_task(made)
        closing: list[asyncio.Task[None]] = []

        def act() -> None:
            was_over.append(calling.done())
            was_unasked.append(all_that_came() == before)
            for one in how.split(", "):
                if one == "cancel":
                    calling.cancel()
                else:
                    client._transport._scopes.stop_cancelled()
                    closing.append(asyncio.create_task(client.close()))

        was_over: list[bool] = []
        loop = asyncio.get_running_loop()
        assert isinstance(loop, SteppingLoop)
        loop.begin(at, act)
        error = await ended(calling)
        loop.end()  # the steps from here on are not those of the call
        await asyncio.gather(*closing)
        await client.close()
        assert open_to(port_of(url)) == 0
        assert target.exists() is (call == "download" and error is None)
        assert not target.exists() or target.read_bytes() == bytes(300_000)
        assert [path for path in tmp_path.iterdir() if path not in (film, target)] == []
        target.unlink(missing_ok=True)
        return was_over == [False], error

    ends: list[BaseException | None] = []
    was_unasked: list[bool] = []
    with playing(play) as (url, request_lines):
        for at in range(1, 400):
            was_ended, error = ran(action(at), SteppingLoop())
            if not was_ended:
                break
            ends.append(error)
        time.sleep(0.1)
    assert 5 < at < 399
    assert error is None  # of the last transfer, which had ended before that step
    wanted = asyncio.CancelledError if "cancel" in how else WaitCancelled
    # At `close`, a transfer may have its response already, but not before the service had all of the request.
    for end, unasked in zip(ends, was_unasked, strict=False):
        may_be_over = how == "close" and not unasked
        assert type(end) is wanted or (may_be_over and end is None)
    assert was_unasked[0]
    maybe = [error for error in ends if getattr(error, "may_have_been_accepted", True) is not False]
    assert len(arrived) <= len(maybe) + 1  # the last one was not cancelled


INTERRUPTED = """
import asyncio, sys
from translation_client import AsyncVideoTranslationClient

class SilentLogger:
    def info(self, *_, **__): pass
    warning = error = info

async def watched(client):
    async for job in client.watch():
        pass

async def main():
    asyncio.get_running_loop().slow_callback_duration = 60
    async with AsyncVideoTranslationClient(
        sys.argv[1], backoff_factor=60, timeout=60, request_timeout=60, logger=SilentLogger()
    ) as client:
        await asyncio.gather(client.wait(), watched(client), client.get_status(), client.wait())

asyncio.run(main())
"""

COMPLAINTS = ("destroyed", "nclosed", "ResourceWarning", "never retrieved", "never awaited", "unraisable", "ignored")


def in_a_child(code: str, *arguments: str) -> AbstractContextManager[subprocess.Popen[str]]:
    """Run code in the development mode of Python: each warning is an error, and asyncio is in debug mode."""
    command = [sys.executable, "-X", "dev", "-W", "error", "-c", code, *arguments]
    return running(command, {"PYTHONASYNCIODEBUG": "1"})


@pytest.mark.parametrize("place", ["sleeping", "mute", "dripping body"])
def test_ctrl_c_ends_all_waits_at_once(place: str) -> None:
    """With `KeyboardInterrupt`, and no warning about anything that was left."""
    with serving(PLACES[place]) as server, in_a_child(INTERRUPTED, server.url) as script:
        asyncio.run(until(lambda: len(server.requests) == 4))
        time.sleep(0.2)
        script.send_signal(signal.SIGINT)
        _, err = script.communicate(timeout=2 * ENDS_SOON)

    assert err.rstrip().endswith("KeyboardInterrupt")
    assert not [word for word in COMPLAINTS if word in err], err
    assert script.returncode != 0


ABANDONED = """
import asyncio, gc, sys
from translation_client import AsyncVideoTranslationClient

class SilentLogger:
    def info(self, *_, **__): pass
    warning = error = info

async def main():
    asyncio.get_running_loop().slow_callback_duration = 60
    async with AsyncVideoTranslationClient(sys.argv[1], backoff_factor=0.01, logger=SilentLogger()) as client:
        async for job in client.watch():
            print("left in the middle")
            break
        gc.collect()
        await asyncio.sleep(0.05)
        never_begun = client.watch()
        del never_begun
        kept.append(client.watch())
        await anext(kept[0])
        kept.append(client.watch())
    closed_before = AsyncVideoTranslationClient(sys.argv[1], logger=SilentLogger())
    kept.append(closed_before.watch())
    await anext(kept[2])
    await closed_before.close()

kept = []
asyncio.run(main())
kept.clear()
gc.collect()
print("done")
"""


def test_a_watch_that_is_not_read_to_its_end_causes_no_warning() -> None:
    """Left in the middle, never begun, or kept until the event loop is closed."""
    with serving(PENDING) as server, in_a_child(ABANDONED, server.url) as script:
        out, err = script.communicate(timeout=LASTS_LONG)

    assert (out.splitlines(), err, script.returncode) == (["left in the middle", "done"], "", 0)


@pytest.mark.parametrize("is_closed", [False, True])
def test_a_watch_that_is_left_gives_its_connection_back(is_closed: bool) -> None:
    """Whether its iterator is closed or kept. Its connection is used for the next check, and closed with the client."""

    async def action() -> None:
        async with client_of(server.url) as client:
            watching: Any = client.watch()
            async for job in watching:
                assert job.status == "pending"
                break
            if is_closed:
                await watching.aclose()
            assert open_to(server.port) == 1
            await client.check()
            assert [request.connection for request in server.arrived] == [1, 1]
        assert open_to(server.port) == 0
        await watching.aclose()

    with scripted(lambda _: [response({"result": "pending"})]) as server:
        ran(action())


def test_the_blocking_client_works_inside_a_running_event_loop() -> None:
    """As in a cell of Jupyter. It blocks the event loop, and does not use it."""

    async def cell() -> tuple[Any, Any]:
        with VideoTranslationClient(server.url, backoff_factor=0.05, logger=SilentLogger()) as client:
            blocking = client.wait(), client.check(), list(client.watch())[-1]
        async with client_of(server.url) as waiting:
            return blocking, await waiting.wait()

    with Server(Scenario(0.1)) as server:
        blocking, other = ran(cell())

    assert {job.status for job in (*blocking, other)} == {"completed"}


def test_a_client_made_outside_an_event_loop_works_in_one() -> None:
    """A module may make it when it is imported."""

    async def action() -> Job:
        async with client:
            return await client.wait()

    with Server(Scenario(0.1)) as server:
        client = client_of(server.url)
        assert ran(action()).status == "completed"


def test_a_submission_in_a_second_event_loop_raises_runtime_error() -> None:
    """The client belongs to the event loop that it was first used in."""
    with refusing_url() as url, closing(asyncio.new_event_loop()) as first:
        client = client_of(url, "elevenlabs", max_faults=1)
        with pytest.raises(RequestFailed):
            first.run_until_complete(client.check("a"))
        with pytest.raises(RuntimeError, match="of the event loop that it was first used in"):
            ran(client.submit(VIDEO, "es"))
        first.run_until_complete(client.close())


def test_a_submission_with_a_closed_session_raises_runtime_error() -> None:
    async def submitted(url: str) -> None:
        session = aiohttp.ClientSession()
        await session.close()
        with pytest.raises(RuntimeError, match="Session is closed"):
            await client_of(url, "elevenlabs", session=session).submit(VIDEO, "es")

    with refusing_url() as url:
        ran(submitted(url))


def test_a_redirect_to_another_origin_carries_no_api_key() -> None:
    """Nor the caller's headers. A redirect to the same origin carries both."""
    mine = {"X-Mine": "m-0123456789"}

    async def action() -> Job:
        async with client_of(server.url, headers=mine) as client:
            return await client.wait()

    def redirect(connection: socket.socket, server: HostileServer) -> None:
        target = "/again" if len(server.requests) == 1 else f"{elsewhere.url}/away"
        connection.sendall(http("302 Found", b"", f"Location: {target}"))

    with serving(answering(COMPLETED)) as elsewhere, serving(redirect) as server:
        assert ran(action()).status == "completed"

    assert [request.split(b" ")[1] for request in server.requests] == [b"/status", b"/again"]
    for request in server.requests:
        assert f"Bearer {KEY}".encode() in request
        assert b"m-0123456789" in request
    [away] = elsewhere.requests
    assert KEY.encode() not in away
    assert b"m-0123456789" not in away
    assert b"translation-client/" in away


async def outcome(url: str, **arguments: Any) -> str:
    """Return the repr of a client, and that of the job or all texts of the error that a wait ends with."""
    async with client_of(url, **{"max_faults": 1, "max_retries": 1, "logger": None, **arguments}) as client:
        shown = repr(client)
        try:
            return shown + repr(await client.wait())
        except TranslationClientError as error:
            return shown + shown_texts(error)


async def assert_times_out(url: str, seconds: float = 0.5) -> None:
    """Assert that a wait ends with `WaitTimeout` by its limit."""
    with ends_soon(seconds):
        assert "WaitTimeout" in await outcome(url, timeout=seconds)


NO_GOOD = {
    "half an address": b"HTTP/1.1 302 Found\r\nLocation: http://[::1\r\nContent-Length: 0\r\n\r\n",
    "a chunk without a size": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}x",
    "a length that is no number": b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n{}",
    "not HTTP": b"220 ready\r\n",
    "no status": b"HTTP/1.1 abc OK\r\n\r\n",
    "a line without an end": b"HTTP/1.1 200 OK\r\nX: " + 70_000 * b"a" + b"\r\n\r\n",
    "nothing": b"",
    "half a body": b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{",
    "no gzip": b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\nxx",
}


def blocking_end_of(url: str) -> str:
    with VideoTranslationClient(url, **PATIENT, max_faults=1, logger=SilentLogger()) as client:
        with pytest.raises(TranslationClientError) as caught:
            client.wait()
        return type(caught.value).__name__


def end_of(url: str) -> str:
    async def action() -> str:
        async with client_of(url, max_faults=1) as client:
            error = await ended(asyncio.create_task(client.wait()))
            return type(error).__name__

    return ran(action())


@pytest.mark.parametrize("raw", NO_GOOD.values(), ids=NO_GOOD)
def test_a_malformed_response_gives_the_same_error_type_in_both_clients(raw: bytes) -> None:
    """Responses that cannot be read, that are incomplete, and that are no HTTP."""
    with serving(answering(raw)) as server:
        assert end_of(server.url) == blocking_end_of(server.url)


@pytest.mark.parametrize("proxy", ["http://u:p@", "foo bar", "http://[::1", "http://x:abc", "://", "ftp://x"])
def test_an_invalid_proxy_url_is_a_failed_request_in_both_clients(proxy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment is wrong, and not a response of the service."""
    monkeypatch.setenv("http_proxy", proxy)
    url = "http://service.test"

    assert (end_of(url), blocking_end_of(url)) == ("RequestFailed", "RequestFailed")


def test_a_refused_connection_is_reported_with_the_text_of_the_system() -> None:
    """And not with that of asyncio, which repeats the address."""
    with serving(answering(b"")) as server:
        url = server.url

    assert "could not be reached: Connection refused." in ran(outcome(url))


def test_a_missing_ca_bundle_is_an_error_over_tls_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names `REQUESTS_CA_BUNDLE`."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/there/is/none")
    with serving(answering(COMPLETED)) as server:
        assert "completed" in ran(outcome(server.url))

    assert "no CA bundle where REQUESTS_CA_BUNDLE" in ran(outcome(f"https://localhost:{server.port}"))


def test_a_ca_bundle_is_read_once_for_all_connections(trusted: trustme.CA, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of submissions included: to read it takes the event loop longer than many a response."""
    made = []
    usual = ssl.create_default_context

    def make(**more: Any) -> ssl.SSLContext:
        made.append(more)
        return usual(**more)

    async def action() -> None:
        async with client_of(server.url, max_faults=3) as client:
            for _ in range(2):
                with pytest.raises(RequestFailed):
                    await client.submit(VIDEO, "es")
            with pytest.raises(RequestFailed):
                await client.wait()

    monkeypatch.setattr(ssl, "create_default_context", make)
    with serving_raw(over_tls(trusted, answering(http("503 Busy")))) as server:
        ran(action())

    assert [more["cafile"] for more in made] == [os.environ["REQUESTS_CA_BUNDLE"]]


@pytest.mark.parametrize("echo", ECHOES)
@pytest.mark.parametrize("status", ["200 OK", "401 Unauthorized", "503 Busy"])
def test_a_secret_that_the_server_echoes_is_redacted(
    echo: str, status: str, lines: LogLines, capsys: pytest.CaptureFixture[str]
) -> None:
    """In log lines, in an error, its repr and its causes, and in the repr of a job."""
    key = 'k/"s3cr3t"<>'
    for secret in (key, HEADER):
        body = ECHOES[echo](secret)
        with serving(answering(http(status, body, f"X-Echo: {secret}", f"Retry-After: {secret}"))) as server:
            shown = ran(outcome(server.url, api_key=key, headers={"X-Mine": HEADER}))
        shown += repr(list(lines)) + "".join(capsys.readouterr())
        assert server.requests
        assert "s3cr3t" not in shown
        assert base64.b64encode(secret.encode()).decode() not in shown


@pytest.mark.parametrize("number", range(len(RAW_ECHOES)))
def test_a_secret_in_a_malformed_response_is_redacted(
    number: int, lines: LogLines, capsys: pytest.CaptureFixture[str]
) -> None:
    """The exceptions of aiohttp hold what was received and what was sent."""
    with serving(answering(RAW_ECHOES[number])) as server:
        shown = ran(outcome(server.url, api_key="s3cr3t-key"))

    assert server.requests
    assert "s3cr3t" not in shown + repr(list(lines)) + "".join(capsys.readouterr())


def test_cookies_are_not_kept() -> None:
    """No request has a `Cookie`, though each response has a `Set-Cookie`."""

    async def action() -> None:
        async with client_of(server.url) as client:
            for _ in range(3):
                await client.check()

    with serving(answering(http("200 OK", b'{"result": "pending"}', "Set-Cookie: a=b; Path=/"), close=False)) as server:
        ran(action())

    assert len(server.requests) == 3
    assert not [request for request in server.requests if b"cookie" in request.lower()]


@pytest.fixture
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the proxies of the environment of the machine."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


direct = pytest.mark.usefixtures("no_proxies")


@direct
@pytest.mark.parametrize("form", ["http://{}", "http://me:p%40ss@{}", "{}"])
def test_a_proxy_of_the_environment_is_used(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the name and password in its URL, or without a scheme, as curl and requests accept it."""
    with serving(answering(COMPLETED)) as proxy:
        monkeypatch.setenv("http_proxy", form.format(f"127.0.0.1:{proxy.port}"))
        shown = ran(outcome("http://service.test"))

    assert "completed" in shown
    assert proxy.requests[0].startswith(b"GET http://service.test/status HTTP/1.1\r\n")
    basic = b"Proxy-Authorization: Basic " + base64.b64encode(b"me:p@ss")
    assert (basic in proxy.requests[0]) is ("@" in form)


@direct
def test_a_host_in_no_proxy_is_requested_without_the_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """By its address, by its network, or by `*`."""
    with serving(answering(COMPLETED)) as server, serving(answering(http("502 Bad Gateway"))) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        for spared in ("127.0.0.1", "127.0.0.0/8", "*"):
            monkeypatch.setenv("no_proxy", spared)
            assert "completed" in ran(outcome(server.url))

    assert (len(server.requests), proxy.requests) == (3, [])


@direct
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_the_deadline_ends_a_dripping_response_of_a_proxy(monkeypatch: pytest.MonkeyPatch, scheme: str) -> None:
    """To a request in the clear, or to CONNECT."""
    with serving(dripping(b"HTTP/1.1 200 OK\r\nX: ", b"x")) as proxy:
        monkeypatch.setenv(f"{scheme}_proxy", proxy.url)
        for seconds in (0.5, 4, 16):  # longer ones where a busy machine sent nothing in 0.5 s
            ran(assert_times_out(f"{scheme}://service.test", seconds))
            if proxy.requests:
                break
        assert proxy.requests
        assert open_to(proxy.port) == 0


@direct
@pytest.mark.parametrize(
    ("proxy", "why"),
    [
        ("http://u:s3cr3t@127.0.0.1:99999", "the proxy of the environment is no HTTP proxy"),
        ("http://u:s3cr3t@", "the proxy of the environment is no HTTP proxy"),
        ("http://u:s3cr3t@127.0.0.1:1", "Connection refused"),
    ],
)
def test_the_password_of_a_proxy_is_in_no_error_and_no_log_line(
    proxy: str, why: str, monkeypatch: pytest.MonkeyPatch, lines: LogLines
) -> None:
    """If its URL is invalid, and if it refuses connections."""
    monkeypatch.setenv("http_proxy", proxy)
    shown = ran(outcome("http://service.test"))

    assert f"RequestFailed: http://service.test/status could not be reached: {why}" in shown
    assert [line["reason"] for line in lines.of("gave_up")] == ["faults"]
    assert "s3cr3t" not in shown + repr(list(lines))


@pytest.fixture
def trusted(authority: trustme.CA, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, no_proxies: None) -> trustme.CA:
    """A certificate authority that `REQUESTS_CA_BUNDLE` trusts."""
    bundle = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(bundle))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(bundle))
    return authority


def test_a_request_over_tls_succeeds(trusted: trustme.CA) -> None:
    """With the CA bundle that `REQUESTS_CA_BUNDLE` names. Its connection is closed with the client."""
    with serving_raw(over_tls(trusted, answering(COMPLETED, close=False))) as server:
        shown = ran(outcome(server.url, api_key="k-0123456789"))
        assert open_to(server.port) == 0

    assert "status=<TranslationStatus.COMPLETED" in shown
    assert b"Authorization: Bearer k-0123456789" in server.requests[0]


@direct
def test_an_untrusted_certificate_is_a_fault_that_names_the_reason(authority: trustme.CA) -> None:
    """The error contains `CERTIFICATE_VERIFY_FAILED`, and no request was sent."""
    with serving_raw(over_tls(authority, mute)) as server:
        shown = ran(outcome(server.url))

    assert "RequestFailed" in shown
    assert "CERTIFICATE_VERIFY_FAILED" in shown
    assert server.requests == []


@direct
@pytest.mark.parametrize("handle", [mute, drip_tls], ids=["mute", "dripping"])
def test_the_deadline_ends_a_tls_handshake(handle: Handler) -> None:
    """The handshake is part of the request."""
    with serving_raw(handle) as server:
        ran(assert_times_out(server.url))
        assert open_to(server.port) == 0


def test_the_deadline_ends_a_dripping_body_over_tls(trusted: trustme.CA) -> None:
    """And its connection is closed with the client."""

    async def action() -> None:
        await assert_times_out(server.url)
        # A TLS transport that is closed, and not aborted, waits up to 30 s for the `close_notify` of the other side.
        assert open_to(server.port) == 0

    body = dripping(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", b"x")
    with serving_raw(over_tls(trusted, body)) as server:
        ran(action())


def test_an_idle_connection_over_tls_is_closed_with_the_client(trusted: trustme.CA) -> None:
    """Though the server does not send `close_notify`."""

    async def action() -> None:
        client = client_of(server.url)
        await client.check()
        assert open_to(server.port) == 1
        with ends_soon():
            await client.close()
        assert open_to(server.port) == 0

    def handle(connection: socket.socket, server: HostileServer) -> None:
        connection.sendall(http())
        server.over.wait(LASTS_LONG)

    with serving_raw(over_tls(trusted, handle)) as server:
        ran(action())


def test_a_request_over_tls_through_a_proxy_succeeds(trusted: trustme.CA, monkeypatch: pytest.MonkeyPatch) -> None:
    """By CONNECT, which does not carry the API key."""

    def tunnel(connection: socket.socket, proxy: HostileServer) -> None:
        connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        with socket.create_connection(("127.0.0.1", target.port)) as beyond:
            relay(connection, beyond, proxy)

    with serving_raw(over_tls(trusted, answering(COMPLETED, close=False))) as target, serving(tunnel) as proxy:
        monkeypatch.setenv("https_proxy", proxy.url)
        shown = ran(outcome(target.url))

    assert "completed" in shown
    assert proxy.requests[0].startswith(f"CONNECT 127.0.0.1:{target.port} HTTP/1.1\r\n".encode())
    assert KEY.encode() not in b"".join(proxy.requests)
    assert KEY.encode() in target.requests[0]


def test_a_request_on_a_kept_connection_that_the_server_closes_is_not_repeated() -> None:
    """It counts as one attempt; aiohttp would repeat it of its own accord."""
    served_peers: set[Any] = set()

    def handle(connection: socket.socket, server: HostileServer) -> None:
        """Respond to the first request of each connection, and close it at the second."""
        peer = connection.getpeername()
        if peer in served_peers:
            connection.shutdown(socket.SHUT_RDWR)
            return
        served_peers.add(peer)
        connection.sendall(http())

    async def action() -> None:
        async with client_of(server.url, max_faults=1) as client:
            await client.check()
            with pytest.raises(RequestFailed) as caught:
                await client.check()
            assert caught.value.attempts == 1
            assert len(server.requests) == 2
            await client.check()
        assert len(server.requests) == 3

    with serving(handle) as server:
        ran(action())


def test_checks_reuse_a_connection_and_a_submission_gets_a_new_one() -> None:
    """An idle connection may be closed just then: it would be unknown whether the submission was accepted."""
    peers: list[tuple[str, Any]] = []

    def play(handler: BaseHTTPRequestHandler) -> None:
        handler.close_connection = False
        peers.append((handler.command, handler.client_address))
        handler.rfile.read(int(handler.headers.get("Content-Length", "0")))
        send_ok(handler, b'{"id": "job-1", "result": "pending"}', Connection="keep-alive")

    async def action() -> None:
        async with client_of(url) as client:
            await client.check("job-1")
            await client.submit(VIDEO, "es")
            assert open_to(port_of(url)) == 1
            await client.check("job-1")
            await client.check("job-1")

    with playing(play) as (url, _):
        ran(action())

    assert [method for method, _ in peers] == ["GET", "POST", "GET", "GET"]
    assert len({peer for method, peer in peers if method == "GET"}) == 1
    assert len({peer for _, peer in peers}) == 2


def test_a_connection_for_another_url_is_opened_once_an_idle_one_is_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Also if all are opened in the same step of the event loop."""
    seen: list[int] = []
    everybody = threading.Barrier(20)

    def handle(connection: socket.socket, server: HostileServer) -> None:
        everybody.wait(LASTS_LONG)
        connection.sendall(COMPLETED)

    async def action() -> None:
        loop = asyncio.get_running_loop()
        connect = loop.sock_connect

        async def counting(sock: socket.socket, address: Any) -> None:
            seen.append(open_to(server.port))
            await connect(sock, address)

        monkeypatch.setattr(loop, "sock_connect", counting)
        async with client_of(server.url) as client:
            for turn in range(4):
                await asyncio.gather(*(client.check(f"job-{turn}-{number}") for number in range(20)))

    with serving(handle) as server:
        ran(action())
    assert len(seen) == 80
    assert max(seen) < 20


def test_a_session_of_the_callers_is_used_and_never_closed() -> None:
    """Its own headers are sent beside those of the client."""

    async def action() -> None:
        async with aiohttp.ClientSession(headers={"X-Session": "theirs"}) as session:
            async with client_of(server.url, session=session) as client:
                assert (await client.check()).status == "pending"
            assert not session.closed
            async with session.get(server.url) as received:
                assert received.status == 200

    with serving(PENDING) as server:
        ran(action())
    assert b"X-Session: theirs" in server.requests[0]
    assert f"Bearer {KEY}".encode() in server.requests[0]


def test_a_lookup_that_hangs_ends_with_wait_timeout(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One thread looks a name up; its late error, for which no task waits any more, is not reported."""
    release = threading.Event()
    lookup = socket.getaddrinfo

    def hang(host: str, *arguments: Any, **more: Any) -> Any:
        if host != "stuck.test":
            return lookup(host, *arguments, **more)
        release.wait(LASTS_LONG)
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    async def action() -> None:
        before = threading.active_count()
        async with client_of("http://stuck.test", timeout=0.3) as client:
            with ends_soon(0.3):
                errors = await asyncio.gather(*(client.wait() for _ in range(5)), return_exceptions=True)
            assert {type(error) for error in errors} == {WaitTimeout}
            assert threading.active_count() == before + 1
        release.set()
        await until(lambda: threading.active_count() == before)
        await asyncio.sleep(0.05)
        gc.collect()

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    ran(action())


def test_two_hundred_waits_share_a_hundred_connections() -> None:
    """All at once over one client: each finishes, and no thread is started for any of them."""
    seen: list[tuple[int, int]] = []
    at_first: list[int] = []

    def strangers() -> int:
        return sum("_handle" not in thread.name for thread in threading.enumerate())

    def handle(connection: socket.socket, server: HostileServer) -> None:
        """Respond once a hundred requests have arrived, and after a time for more to arrive."""
        while len(server.requests) < 100 and not server.pause(0.01):
            pass
        if not at_first:
            server.pause(0.3)
            at_first.append(len(server.requests))
        connection.sendall(COMPLETED)

    async def look() -> None:
        while True:
            seen.append((open_to(server.port), strangers()))
            await asyncio.sleep(0.01)

    async def action() -> list[Job]:
        async with client_of(server.url) as client:
            looking = asyncio.create_task(look())
            jobs = await asyncio.gather(*(client.wait(job_id) for job_id in ids))
            looking.cancel()
            await asyncio.gather(looking, return_exceptions=True)
        assert open_to(server.port) == 0
        return jobs

    ids = [f"job-{number}" for number in range(200)]
    with serving(handle) as server:
        before = strangers()
        jobs = asyncio.run(action())

    assert [(job.id, str(job.status)) for job in jobs] == [(one, "completed") for one in ids]
    assert at_first[0] == 100
    assert max(connections for connections, _ in seen) == 100
    assert max(threads for _, threads in seen) <= before + 3
