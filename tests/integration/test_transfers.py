"""Files on real sockets: any size, any time as long as they move, and not a byte of memory for each byte of theirs."""

from __future__ import annotations

import json
import os
import socket
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from fake_server import Scenario, Server
from fake_server.files import result_body
from translation_client import RequestFailed, TranslationClientError, VideoTranslationClient, WaitTimeout

KEY = "key-0123456789"
VIDEO = "https://videos.example.com/talk.mp4"
MIB = 1024 * 1024
Play = Callable[[BaseHTTPRequestHandler], None]


class Quiet:
    """A logger for tests that read no log."""

    def info(self, *_: Any, **__: Any) -> None: ...

    warning = error = info


@contextmanager
def playing(play: Play) -> Iterator[tuple[str, list[str]]]:
    """A server that does with each request whatever a test says; its URL, and what was asked."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do(self) -> None:
            asked.append(f"{self.command} {self.path}")
            self.close_connection = True
            with suppress(OSError):  # the client has gone, which is what some tests are about
                play(self)

        do_GET = do_POST = do_PUT = do_DELETE = do  # noqa: N815  # as http.server calls them

        def log_message(self, *_: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def say(handler: BaseHTTPRequestHandler, body: bytes, **head: str) -> None:
    handler.send_response(200)
    for name, value in {"Content-Length": str(len(body)), "Connection": "close", **head}.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()
    handler.wfile.write(body)


def client_of(url: str, service: str = "elevenlabs", **arguments: Any) -> VideoTranslationClient:
    usual = {"service": service, "api_key": KEY, "timeout": 20, "logger": Quiet()}
    return VideoTranslationClient(url, **{**usual, **arguments})


def length_of(handler: BaseHTTPRequestHandler) -> int:
    return int(handler.headers["Content-Length"])


@pytest.fixture
def film(tmp_path: Path) -> Path:
    """24 MiB that are not all the same."""
    path = tmp_path / "film.mp4"
    block = os.urandom(MIB)
    with path.open("wb") as file:
        for _ in range(24):
            file.write(block)
    return path


def test_a_large_file_is_sent_without_being_held(film: Path) -> None:
    """Whatever its size."""
    received = [0]

    def play(handler: BaseHTTPRequestHandler) -> None:
        left = length_of(handler)
        while left:
            part = len(handler.rfile.read(min(left, 65536)))
            received[0] += part
            left -= part
        say(handler, b'{"dubbing_id": "d-1", "expected_duration_sec": 3}')

    with playing(play) as (url, _), client_of(url) as client:
        tracemalloc.start()
        try:
            job = client.submit(film, "es")
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    assert job.id == "d-1"
    assert received[0] > 24 * MIB
    assert peak < 4 * MIB


def test_an_upload_may_take_longer_than_a_call_as_long_as_it_moves(film: Path) -> None:
    """`request_timeout` without a byte ends it, and nothing else."""

    def play(handler: BaseHTTPRequestHandler) -> None:
        left = length_of(handler)
        for number in range(6):
            time.sleep(0.2)
            left -= len(handler.rfile.read(left if number == 5 else 4 * MIB))
        say(handler, b'{"dubbing_id": "d-1", "expected_duration_sec": 3}')

    with playing(play) as (url, _), client_of(url, request_timeout=0.6) as client:
        started = time.monotonic()
        assert client.submit(film, "es").id == "d-1"
        assert time.monotonic() - started > 1.0


def test_an_upload_that_stands_still_is_ended(film: Path) -> None:
    """And as the service cannot have it whole, no job was made."""
    over = threading.Event()

    def play(_: BaseHTTPRequestHandler) -> None:
        over.wait(10)

    with playing(play) as (url, asked):
        with client_of(url, request_timeout=0.3, max_faults=1) as client:
            started = time.monotonic()
            with pytest.raises(RequestFailed, match="No job was made") as caught:
                client.submit(film, "es")
            spent = time.monotonic() - started
        over.set()

    assert caught.value.may_have_been_accepted is False
    assert asked == ["POST /v1/dubbing"]
    assert 0.3 <= spent < 1.5


def test_an_upload_that_is_cut_off_is_sent_again(film: Path) -> None:
    """Nobody can have made a job of half a file, though the service has no keys."""

    def play(handler: BaseHTTPRequestHandler) -> None:
        if len(asked) == 1:
            handler.rfile.read(3 * MIB)
            handler.connection.shutdown(socket.SHUT_RDWR)
            return
        handler.rfile.read(length_of(handler))
        say(handler, b'{"dubbing_id": "d-1", "expected_duration_sec": 3}')

    with playing(play) as (url, asked), client_of(url) as client:
        assert client.submit(film, "es").id == "d-1"
        assert len(asked) == 2


def test_an_upload_whose_answer_is_lost_is_not_sent_again(film: Path) -> None:
    """The service may have it whole."""

    def play(handler: BaseHTTPRequestHandler) -> None:
        handler.rfile.read(length_of(handler))
        handler.connection.shutdown(socket.SHUT_RDWR)

    with playing(play) as (url, asked), client_of(url) as client:
        with pytest.raises(RequestFailed, match="may have been accepted") as caught:
            client.submit(film, "es")
        assert len(asked) == 1
    assert caught.value.may_have_been_accepted is True


def test_the_time_of_an_upload_is_kept(film: Path) -> None:
    """Where one is given, though it moves."""
    over = threading.Event()

    def play(handler: BaseHTTPRequestHandler) -> None:
        while not over.wait(0.05):
            handler.rfile.read(1024)

    with playing(play) as (url, _), client_of(url) as client:
        started = time.monotonic()
        with pytest.raises(WaitTimeout):
            client.submit(film, "es", timeout=0.7)
        assert time.monotonic() - started < 0.7 + 0.25
        over.set()


def test_an_order_that_nobody_can_have_got_made_no_job() -> None:
    """Nobody listens there."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{bound.getsockname()[1]}"
        with client_of(url, max_faults=2) as client, pytest.raises(RequestFailed, match="No job was made") as caught:
            client.submit(VIDEO, "es")
    assert (caught.value.may_have_been_accepted, caught.value.attempts) == (False, 2)


@pytest.mark.parametrize("drip", [b"HTTP/1.1 100 Continue\r\n\r\n", b"X: y\r\n"])
def test_what_is_no_file_keeps_no_transfer_alive(film: Path, tmp_path: Path, drip: bytes) -> None:
    """Headers that never end, after an upload and before a download."""

    def play(handler: BaseHTTPRequestHandler) -> None:
        if "status" in handler.path:
            say(handler, link(url))
            return
        handler.rfile.read(int(handler.headers.get("Content-Length", "0")))
        handler.wfile.write(b"" if drip.startswith(b"HTTP") else b"HTTP/1.1 200 OK\r\n")
        while True:
            handler.wfile.write(drip)
            time.sleep(0.1)

    errands: dict[str, Callable[[VideoTranslationClient], object]] = {
        "elevenlabs": lambda client: client.submit(film, "es"),
        "reference": lambda client: client.download("j", tmp_path / "out"),
    }
    with playing(play) as (url, _):
        for service in errands:
            with client_of(url, service, request_timeout=0.4, max_faults=1) as client:
                started = time.monotonic()
                with pytest.raises(RequestFailed, match=r"no answer within 0\.4 s"):
                    errands[service](client)
                assert time.monotonic() - started < 3


@pytest.mark.parametrize("service", ["heygen", "elevenlabs", "azure", "reference"])
@pytest.mark.parametrize("fault", ["mute", "drip-headers@0.05", "drip-body@0.05", "endless"])
def test_the_time_of_an_order_is_kept(service: str, fault: str) -> None:
    """Whatever the service does with it."""
    language = {"heygen": "Spanish (Spain)"}.get(service, "es")
    path = "/videotranslation" if service == "azure" else ""
    with (
        Server(Scenario(faults=[f"create/every-1:{fault}"]), service=service) as server,
        client_of(server.url + path, service) as client,
    ):
        started = time.monotonic()
        with pytest.raises(TranslationClientError) as caught:
            client.submit(VIDEO, language, timeout=0.6)
        assert time.monotonic() - started < 0.6 + 0.25
    assert caught.value.may_have_been_accepted is True


@pytest.mark.parametrize("service", ["heygen", "elevenlabs", "azure"])
def test_from_order_to_file_on_sockets(service: str, tmp_path: Path) -> None:
    """With a connection that breaks on the way, and a storage at another origin."""
    language = {"heygen": "Spanish (Spain)"}.get(service, "es")
    path = "/videotranslation" if service == "azure" else ""
    scenario = Scenario(
        0.2, result_bytes=3 * MIB, faults=["result/1:truncate", "result/2:reset-after-headers", "1:503"]
    )
    with Server(scenario, service=service) as server:
        with client_of(server.url + path, service, backoff_factor=0.1) as client:
            job = client.wait(client.submit(VIDEO, language))
            file = client.download(job, tmp_path / "out.mp4")
        [order] = server.orders
        ranges = [one.headers.get("Range") for one in server.requests if "_files" in one.path or "audio" in one.path]

        assert file.read_bytes() == bytes(result_body(order.job_id, 3 * MIB))
        assert ranges[0] is None
        assert all(ranges[1:])
        keys = {one.headers["Host"]: KEY in str(one.headers) for one in server.requests}
        assert all(has_key == host.startswith("127.0.0.1") for host, has_key in keys.items())


def test_a_large_result_is_received_without_being_held(tmp_path: Path) -> None:
    """Whatever its size."""
    with (
        Server(Scenario(0, result_bytes=48 * MIB), service="heygen") as server,
        client_of(server.url, "heygen") as client,
    ):
        job = client.wait(client.submit(VIDEO, "Spanish (Spain)"))
        tracemalloc.start()
        try:
            file = client.download(job, tmp_path / "out.mp4")
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

        assert file.stat().st_size == 48 * MIB
        assert peak < 4 * MIB


def link(url: str) -> bytes:
    return json.dumps({"result": "completed", "result_url": f"{url}/file"}).encode()


def test_a_download_may_take_longer_than_a_call_as_long_as_it_moves(tmp_path: Path) -> None:
    """And one that stands still is ended."""

    def play(handler: BaseHTTPRequestHandler) -> None:
        if "status" in handler.path:
            say(handler, link(url))
            return
        handler.send_response(200)
        handler.send_header("Content-Length", "6")
        handler.end_headers()
        for byte in (b"a", b"b", b"c", b"d", b"e", b"f"):
            time.sleep(0.2)
            handler.wfile.write(byte)

    with playing(play) as (url, _), client_of(url, "reference", request_timeout=0.6) as client:
        assert client.download("j", tmp_path / "out").read_bytes() == b"abcdef"
        with pytest.raises(WaitTimeout):
            client.download("j", tmp_path / "out", timeout=0.5)
    with (
        playing(play) as (url, _),
        client_of(url, "reference", request_timeout=0.1, max_faults=1) as client,
        pytest.raises(RequestFailed, match=r"no answer within 0\.1 s"),
    ):
        client.download("j", tmp_path / "other")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out"]


@pytest.mark.parametrize("fault", ["mute", "drip-headers@0.05", "drip-body@0.05", "endless"])
def test_the_time_of_a_download_is_kept(tmp_path: Path, fault: str) -> None:
    """Where one is given, whatever the storage does."""
    with (
        Server(Scenario(0, faults=[f"result/every-1:{fault}"]), service="heygen") as server,
        client_of(server.url, "heygen") as client,
    ):
        job = client.wait(client.submit(VIDEO, "Spanish (Spain)"))
        started = time.monotonic()
        with pytest.raises(WaitTimeout):  # not too fast, or removing what came takes the disk longer than all of it
            client.download(job, tmp_path / "o.mp4", timeout=0.6, on_progress=lambda *_: time.sleep(0.005))
        assert time.monotonic() - started < 0.6 + 0.25
    assert list(tmp_path.iterdir()) == []


def test_a_download_ends_when_its_client_is_closed(tmp_path: Path) -> None:
    """Within half a second, from another thread."""
    with Server(Scenario(0, faults=["result/every-1:drip-body@0.05"]), service="heygen") as server:
        client = client_of(server.url, "heygen")
        job = client.wait(client.submit(VIDEO, "Spanish (Spain)"))
        closing = threading.Timer(0.2, client.close)
        closing.start()
        started = time.monotonic()
        with pytest.raises(TranslationClientError, match="cancelled"):
            client.download(job, tmp_path / "out.mp4")
        assert time.monotonic() - started < 0.2 + 0.5
        closing.join()
    assert list(tmp_path.iterdir()) == []
