"""Uploads and downloads on real sockets: memory, limits, retries, ranges, and how a download over TLS ends."""

from __future__ import annotations

import asyncio
import itertools
import os
import random
import re
import socket
import ssl
import struct
import threading
import time
import tracemalloc
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
import trustme
from requests.structures import CaseInsensitiveDict
from support import hostile_server
from support.ends_soon import LASTS_LONG, PATIENT, at_some_pace, ends_soon, lasting
from support.file_servers import KEY, MIB, dripping_file, length_of, link, playing, send_ok, standing_file
from support.hostile_server import Handler, refusing_url
from support.lying_storage import LyingStorage, any_lies, any_version
from support.raw_responses import CLIENTS, Headers, Raw, Respond, Script, part, raw
from support.tls_servers import over_tls, serving_raw

from fake_server import Scenario, Server
from fake_server.storage import result_body
from translation_client import (
    AsyncVideoTranslationClient,
    Job,
    RequestFailed,
    TranslationClientError,
    TranslationStatus,
    UnexpectedAnswer,
    VideoTranslationClient,
    WaitTimeout,
)
from translation_client._transports import connections

VIDEO = "https://videos.example.com/talk.mp4"


class Quiet:
    """A logger for tests that read no log."""

    def info(self, *_: Any, **__: Any) -> None: ...

    warning = error = info


def client_of(url: str, service: str = "elevenlabs", **arguments: Any) -> VideoTranslationClient:
    usual = {**PATIENT, "service": service, "api_key": KEY, "logger": Quiet()}
    return VideoTranslationClient(url, **{**usual, **arguments})


@pytest.fixture
def film(tmp_path: Path) -> Path:
    """A file of 24 MiB: a random MiB, repeated."""
    path = tmp_path / "film.mp4"
    block = os.urandom(MIB)
    with path.open("wb") as file:
        for _ in range(24):
            file.write(block)
    return path


def test_a_large_upload_is_not_held_in_memory(film: Path) -> None:
    """24 MiB are sent with a peak below 4 MiB."""
    received = [0]

    def play(handler: BaseHTTPRequestHandler) -> None:
        left = length_of(handler)
        while left:
            part = len(handler.rfile.read(min(left, 65536)))
            received[0] += part
            left -= part
        send_ok(handler, b'{"dubbing_id": "d-1", "expected_duration_sec": 3}')

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


def test_an_upload_that_makes_progress_may_exceed_request_timeout(film: Path) -> None:
    """Only `request_timeout` seconds without a byte end it."""

    def submitted_within(limit: float) -> float:
        def play(handler: BaseHTTPRequestHandler) -> None:
            left = length_of(handler)
            for number in range(6):
                time.sleep(limit / 3)
                left -= len(handler.rfile.read(left if number == 5 else 4 * MIB))
            send_ok(handler, b'{"dubbing_id": "d-1", "expected_duration_sec": 3}')

        with playing(play) as (url, _), client_of(url, request_timeout=limit, max_faults=1) as client:
            started = time.monotonic()
            assert client.submit(film, "es").id == "d-1"
            return (time.monotonic() - started) / limit

    assert at_some_pace(submitted_within) > 1.6


def test_an_upload_without_progress_ends_after_request_timeout(film: Path) -> None:
    """The service cannot have the whole file, so no job was made."""
    over = threading.Event()

    def play(_: BaseHTTPRequestHandler) -> None:
        over.wait(LASTS_LONG)

    with playing(play) as (url, request_lines):
        with client_of(url, request_timeout=0.3, max_faults=1) as client:
            began = time.monotonic()
            with ends_soon(0.3), pytest.raises(RequestFailed, match="No job was made") as caught:
                client.submit(film, "es")
            elapsed = time.monotonic() - began
        over.set()

    assert caught.value.may_have_been_accepted is False
    assert request_lines in (["POST /v1/dubbing"], [])  # empty where a busy machine sent nothing in 0.3 s
    assert elapsed >= 0.3


def test_an_upload_aborted_by_the_server_is_sent_again(film: Path) -> None:
    """Half a file cannot have made a job, so the retry is safe although the service has no idempotency keys."""

    def play(handler: BaseHTTPRequestHandler) -> None:
        if len(request_lines) == 1:
            handler.rfile.read(3 * MIB)
            handler.connection.shutdown(socket.SHUT_RDWR)
            return
        handler.rfile.read(length_of(handler))
        send_ok(handler, b'{"dubbing_id": "d-1", "expected_duration_sec": 3}')

    with playing(play) as (url, request_lines), client_of(url) as client:
        assert client.submit(film, "es").id == "d-1"
        assert len(request_lines) == 2


def test_an_upload_whose_response_is_lost_is_not_sent_again(film: Path) -> None:
    """The service may have the whole file."""

    def play(handler: BaseHTTPRequestHandler) -> None:
        handler.rfile.read(length_of(handler))
        handler.connection.shutdown(socket.SHUT_RDWR)

    with playing(play) as (url, request_lines), client_of(url) as client:
        with pytest.raises(RequestFailed, match="may have been accepted") as caught:
            client.submit(film, "es")
        assert len(request_lines) == 1
    assert caught.value.may_have_been_accepted is True


def test_the_deadline_ends_an_upload_that_makes_progress(film: Path) -> None:
    """If `timeout=` is given."""
    over = threading.Event()

    def play(handler: BaseHTTPRequestHandler) -> None:
        while not over.wait(0.05):
            handler.rfile.read(1024)

    with playing(play) as (url, _), client_of(url) as client:
        with ends_soon(0.7), pytest.raises(WaitTimeout):
            client.submit(film, "es", timeout=0.7)
        over.set()


def test_a_submission_to_a_port_that_refuses_connections_makes_no_job() -> None:
    """`may_have_been_accepted` is False after both attempts."""
    with (
        refusing_url() as url,
        client_of(url, max_faults=2) as client,
        pytest.raises(RequestFailed, match="No job was made") as caught,
    ):
        client.submit(VIDEO, "es")
    assert (caught.value.may_have_been_accepted, caught.value.attempts) == (False, 2)


@pytest.mark.parametrize("drip", [b"HTTP/1.1 100 Continue\r\n\r\n", b"X: y\r\n"])
def test_endless_headers_are_no_progress_of_a_transfer(film: Path, tmp_path: Path, drip: bytes) -> None:
    """After an upload, and before a download; interim responses neither."""

    def play(handler: BaseHTTPRequestHandler) -> None:
        if "status" in handler.path:
            send_ok(handler, link(url))
            return
        handler.rfile.read(int(handler.headers.get("Content-Length", "0")))
        handler.wfile.write(b"" if drip.startswith(b"HTTP") else b"HTTP/1.1 200 OK\r\n")
        while True:
            handler.wfile.write(drip)
            time.sleep(0.1)

    actions: dict[str, Callable[[VideoTranslationClient], object]] = {
        "elevenlabs": lambda client: client.submit(film, "es"),
        "reference": lambda client: client.download("j", tmp_path / "out"),
    }
    with playing(play) as (url, _):
        for service in actions:
            with (
                client_of(url, service, request_timeout=0.4, max_faults=1) as client,
                ends_soon(0.4),
                pytest.raises(RequestFailed, match=r"no response within 0\.4 s"),
            ):
                actions[service](client)


@pytest.mark.parametrize("service", ["heygen", "elevenlabs", "azure", "reference"])
@pytest.mark.parametrize("fault", ["mute", "drip-headers", "drip-body", "endless"])
def test_the_deadline_ends_a_submission(service: str, fault: Any) -> None:
    """Whatever the service does. If the request has arrived, the error says that a job may have been made."""
    language = {"heygen": "Spanish (Spain)"}.get(service, "es")
    path = "/videotranslation" if service == "azure" else ""
    with (
        Server(Scenario(faults=[lasting("create", fault, body="x" * 2000)]), service=service) as server,
        client_of(server.url + path, service) as client,
    ):
        with ends_soon(0.6), pytest.raises(TranslationClientError) as caught:
            client.submit(VIDEO, language, timeout=0.6)
        has_arrived = any(one.method in ("POST", "PUT") for one in server.requests)
    assert caught.value.may_have_been_accepted is True or not has_arrived


@pytest.mark.parametrize("service", ["heygen", "elevenlabs", "azure"])
def test_a_job_is_submitted_waited_for_and_downloaded_on_sockets(service: str, tmp_path: Path) -> None:
    """Over connections that break, and with a storage at another origin, which does not get the API key."""
    language = {"heygen": "Spanish (Spain)"}.get(service, "es")
    path = "/videotranslation" if service == "azure" else ""
    scenario = Scenario(
        0.2, result_bytes=3 * MIB, faults=["result/1:truncate", "result/2:reset-after-headers", "1:503"]
    )
    with Server(scenario, service=service) as server:
        with client_of(server.url + path, service, backoff_factor=0.1) as client:
            job = client.wait(client.submit(VIDEO, language))
            file = client.download(job, tmp_path / "out.mp4")
        [submission] = server.submissions
        ranges = [one.headers.get("Range") for one in server.requests if "_files" in one.path or "audio" in one.path]

        assert file.read_bytes() == bytes(result_body(submission.job_id, 3 * MIB))
        assert ranges[:2] == [None, f"bytes={3 * MIB // 2}-"]  # half of the requested bytes has arrived
        [after_reset] = ranges[2:]
        start = re.fullmatch(r"bytes=(\d+)-", str(after_reset))
        assert start is not None
        assert 3 * MIB // 2 <= int(start[1]) <= 3 * MIB * 3 // 4  # a reset can discard a part of the half that was sent
        keys = {one.headers["Host"]: KEY in str(one.headers) for one in server.requests}
        assert all(has_key == host.startswith("127.0.0.1") for host, has_key in keys.items())
        assert len(keys) == (1 if service == "elevenlabs" else 2)  # ElevenLabs serves the file itself


def test_a_large_download_is_not_held_in_memory(tmp_path: Path) -> None:
    """48 MiB are received with a peak below 4 MiB."""
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


@pytest.mark.parametrize("client", CLIENTS)
def test_the_time_of_on_progress_is_not_counted_as_time_without_data(client: type[Any], tmp_path: Path) -> None:
    """The data was there; the caller's function takes longer than `request_timeout`."""
    video = b"\0\0\0\x18ftypmp42" + os.urandom(300_000)
    arrived: list[bytes] = []

    def play(connection: socket.socket, server: hostile_server.Server) -> None:
        arrived.append(b"")
        connection.sendall(f"HTTP/1.1 200 OK\r\nContent-Length: {len(video)}\r\n\r\n".encode())
        for begin in range(0, len(video), 30_000):
            connection.sendall(video[begin : begin + 30_000])
            server.pause(0.02)

    def downloaded_within(limit: float) -> None:
        arrived.clear()
        slow = iter([1.3 * limit, 1.3 * limit])
        on_progress = lambda *_: time.sleep(next(slow, 0))  # noqa: E731  # it belongs to the call
        with hostile_server.serving(play) as server:
            error = fetched(
                client,
                server.url,
                tmp_path / "out.mp4",
                on_progress=on_progress,
                request_timeout=limit,
                max_faults=1,
            )
        if error is not None:
            raise error

    at_some_pace(downloaded_within)
    assert len(arrived) == 1
    assert (tmp_path / "out.mp4").read_bytes() == video


def test_a_download_that_makes_progress_may_exceed_request_timeout(tmp_path: Path) -> None:
    """`timeout=` ends it all the same, where it is given."""

    def downloaded_within(limit: float) -> None:
        with (
            playing(dripping_file(limit / 3)) as (url, _),
            client_of(url, "reference", request_timeout=limit, max_faults=1) as client,
        ):
            assert client.download("j", tmp_path / "out").read_bytes() == b"abcdef"
            with pytest.raises(WaitTimeout):
                client.download("j", tmp_path / "out of time", timeout=0.8 * limit)

    at_some_pace(downloaded_within)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_download_without_progress_ends_after_request_timeout(tmp_path: Path) -> None:
    """It is a fault, and no file is left."""
    over = threading.Event()
    with playing(standing_file(over)) as (url, _):
        with (
            client_of(url, "reference", request_timeout=0.3, max_faults=1) as client,
            ends_soon(0.3),
            pytest.raises(RequestFailed, match=r"no response within 0\.3 s"),
        ):
            client.download("j", tmp_path / "out")
        over.set()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("fault", ["mute", "drip-headers", "drip-body", "endless"])
def test_the_deadline_ends_a_download(tmp_path: Path, fault: Any) -> None:
    """`timeout=` holds against a storage that is mute, drips or sends without end; no file is left."""
    with (
        Server(Scenario(0, faults=[lasting("result", fault)]), service="heygen") as server,
        client_of(server.url, "heygen") as client,
    ):
        job = client.wait(client.submit(VIDEO, "Spanish (Spain)"))
        with ends_soon(0.6), pytest.raises(WaitTimeout):  # `on_progress` sleeps, or it would fill the disk
            client.download(job, tmp_path / "o.mp4", timeout=0.6, on_progress=lambda *_: time.sleep(0.005))
    assert list(tmp_path.iterdir()) == []


def test_close_cancels_a_download(tmp_path: Path) -> None:
    """From another thread. No file is left."""
    with Server(Scenario(0, faults=["result/every-1:drip-body@0.05"]), service="heygen") as server:
        client = client_of(server.url, "heygen")
        job = client.wait(client.submit(VIDEO, "Spanish (Spain)"))
        closing = threading.Timer(0.2, client.close)
        closing.start()
        with ends_soon(0.2), pytest.raises(TranslationClientError, match="cancelled"):
            client.download(job, tmp_path / "out.mp4")
        closing.join()
    assert list(tmp_path.iterdir()) == []


def playing_raw(respond: Respond) -> Handler:
    """Respond to each request with raw bytes, block after block, and then close or reset the connection."""

    def handle(connection: socket.socket, server: hostile_server.Server) -> None:
        lines = (line.partition(": ") for line in server.requests[-1].decode("latin-1").split("\r\n")[1:-2])
        response = respond(CaseInsensitiveDict({name: value for name, _, value in lines}))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for block in response.arriving():
            connection.sendall(block)
        if response.is_reset:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.close()
        else:
            connection.shutdown(socket.SHUT_WR)

    return handle


def fetched(
    client: type[Any],
    url: str,
    target: Path,
    *,
    timeout: float | None = None,
    on_progress: Callable[[int, int | None], object] | None = None,
    **arguments: Any,
) -> TranslationClientError | None:
    """Download a file with a client of some class, on its own session. Returns the error."""
    job = Job("j", TranslationStatus.COMPLETED, "completed", result_url=f"{url}/file")
    usual = {**PATIENT, "logger": Quiet(), "sleep": lambda _: None, "max_faults": 4, **arguments}

    async def fetch() -> None:
        async with AsyncVideoTranslationClient(url, **usual) as asynchronous:
            await asynchronous.download(job, target, timeout=timeout, on_progress=on_progress)

    try:
        if client is AsyncVideoTranslationClient:
            asyncio.run(fetch())
        else:
            with VideoTranslationClient(url, **usual) as blocking:
                blocking.download(job, target, timeout=timeout, on_progress=on_progress)
    except TranslationClientError as error:
        return error
    return None


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("seed", range(10))
def test_a_lying_storage_gives_a_whole_version_of_the_file_or_an_error(
    client: type[Any], seed: int, tmp_path: Path
) -> None:
    """As in `test_lying_storage.py`, with fixed seeds. Nothing is reset: that can take back what was sent before."""
    numbers = itertools.count(1)
    chance = random.Random(seed)
    target = tmp_path / "out.mp4"
    for _ in range(10):
        lies = [lie._replace(is_reset=False) for lie in any_lies(chance)]
        storage = LyingStorage(any_version(chance, next(numbers)), numbers, lies)
        before = target.read_bytes() if target.exists() else None
        with hostile_server.serving(playing_raw(storage)) as server:
            error = fetched(client, server.url, target)
        after = target.read_bytes() if target.exists() else None
        assert after in storage.files if error is None else after == before
        assert [path.name for path in tmp_path.iterdir() if path != target] == []


@pytest.mark.parametrize("client", CLIENTS)
def test_a_reset_is_not_taken_for_the_end_of_a_file(client: type[Any], tmp_path: Path) -> None:
    """Where the end of the connection is the end of the body."""
    broken = raw(200, "Content-Type: video/mp4", body=bytes(1_000_000), is_reset=True)
    with hostile_server.serving(playing_raw(Script(broken))) as server:
        assert isinstance(fetched(client, server.url, tmp_path / "out.mp4"), RequestFailed)

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("first", [b"<", b"\r\n\r\n", b"{", b"\xef\xbb", b"\xff\xfe<"])
@pytest.mark.parametrize("is_chunked", [False, True])
def test_a_page_that_arrives_in_two_blocks_is_not_taken_for_a_file(
    client: type[Any], first: bytes, is_chunked: bool, tmp_path: Path
) -> None:
    """The first block has only the first bytes of the page."""
    rest = {b"{": b'"error":"expired"}', b"\xff\xfe<": "\0html>".encode("utf-16-le")[1:]}.get(first, b"<html>no</html>")
    rest = b"html>no</html>" if first == b"<" else b"\xbf<html>" if first == b"\xef\xbb" else rest

    def handle(connection: socket.socket, server: hostile_server.Server) -> None:
        framing = b"Transfer-Encoding: chunked" if is_chunked else b"Content-Length: %d" % len(first + rest)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: video/mp4\r\n" + framing + b"\r\n\r\n")
        for block in (first, rest):
            server.pause(0.05)
            connection.sendall(b"%x\r\n%b\r\n" % (len(block), block) if is_chunked else block)
        connection.sendall(b"0\r\n\r\n" if is_chunked else b"")

    with hostile_server.serving(handle) as server:
        error = fetched(client, server.url, tmp_path / "out.mp4", max_faults=1)

    assert isinstance(error, UnexpectedAnswer)
    assert "HTML, XML or JSON in place of the file" in str(error)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("label", ["aws-chunked", "UTF-8", "none", "gzip", "gzip, aws-chunked"])
def test_a_download_accepts_any_content_encoding_of_a_stored_file(
    client: type[Any], label: str, tmp_path: Path
) -> None:
    """gzip is unpacked. The connection breaks, and the rest comes by a range request."""
    video = b"\0\0\0\x18ftypmp42" + os.urandom(200_000)
    stored = hostile_server.gzipped(video) if "gzip" in label else video
    about = (f"Content-Encoding: {label}", 'ETag: "a"')

    def rest(request_lines: Headers) -> Raw:
        start = int(request_lines["Range"][len("bytes=") : -1])
        return part(stored[start:], f"bytes {start}-{len(stored) - 1}/{len(stored)}", *about)

    first = raw(200, f"Content-Length: {len(stored)}", "Content-Type: video/mp4", *about, body=stored[:150_000])
    script = Script(first, rest)
    with hostile_server.serving(playing_raw(script)) as server:
        assert fetched(client, server.url, tmp_path / "out.mp4") is None

    assert (tmp_path / "out.mp4").read_bytes() == video
    assert len(script.requests) == 2


@pytest.fixture
def trusted(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> trustme.CA:
    """A certificate authority that `REQUESTS_CA_BUNDLE` trusts, without `no_proxy`."""
    authority = trustme.CA()
    bundle = tmp_path_factory.mktemp("authority") / "ca.pem"
    authority.cert_pem.write_to_path(str(bundle))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(bundle))
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    return authority


FRAMED = [
    ["Content-Length: 60012"],
    ["Content-Range: bytes 0-60011/60012"],
    ["Content-Range: bytes 0-60011 / 60012"],
    ["Content-Range: bytes 0-60011/60012"] * 2,
]
UNFRAMED = [
    [],
    ["Transfer-Encoding: identity"],
    ["Content-Range: none"],
    ["Content-Range:"],
    ["Content-Range: bytes */60012"],
    ["Content-Range: bytes 0-60012/60012"],
    ["Content-Range: bytes 0-60011/60012", "Content-Range: x"],
]
PARTS = [
    ["Content-Range: bytes 9-3/60012"],
    ["Content-Range: bytes 0-9999999999999999999/*"],
]
"""Malformed ranges, which no response with the whole file has."""


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("is_ended", [True, False])
@pytest.mark.parametrize("fields", [*FRAMED, *UNFRAMED, *PARTS], ids=str)
def test_a_download_over_tls_without_a_length_has_to_end_with_close_notify(
    client: type[Any], is_ended: bool, fields: list[str], tmp_path: Path, trusted: trustme.CA
) -> None:
    """Without it, a body that ends with its connection is incomplete (RFC 9112, section 9.8)."""
    video = b"\0\0\0\x18ftypmp42" + os.urandom(60_000)
    lines = ["HTTP/1.1 200 OK", "Content-Type: video/mp4", "Connection: close", *fields, "", ""]
    head = "\r\n".join(lines).encode()

    def handle(connection: socket.socket, server: hostile_server.Server) -> None:
        connection.sendall(head + video)
        if is_ended:
            connection.unwrap()  # type: ignore[attr-defined]  # over TLS it has one

    with serving_raw(over_tls(trusted, handle)) as server:
        error = fetched(client, server.url, tmp_path / "out.mp4")

    if fields not in PARTS and (is_ended or fields in FRAMED):
        assert error is None
        assert (tmp_path / "out.mp4").read_bytes() == video
    else:
        assert isinstance(error, UnexpectedAnswer if fields in PARTS else RequestFailed)
        assert not (tmp_path / "out.mp4").exists()


@pytest.mark.parametrize("is_ended", [True, False])
def test_a_download_over_tls_in_tls_ends_with_the_inner_close_notify(
    is_ended: bool, tmp_path: Path, trusted: trustme.CA, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The proxy does not send one for the outer TLS connection."""
    video = b"\0\0\0\x18ftypmp42" + os.urandom(60_000)

    def handle(connection: socket.socket, server: hostile_server.Server) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: video/mp4\r\nConnection: close\r\n\r\n" + video)
        if is_ended:
            connection.unwrap()  # type: ignore[attr-defined]  # over TLS it has one

    def relay(connection: socket.socket, server: hostile_server.Server) -> None:
        connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        with socket.create_connection(("127.0.0.1", origin.port)) as beyond:
            hostile_server.relay(connection, beyond, server)

    with serving_raw(over_tls(trusted, handle)) as origin, serving_raw(over_tls(trusted, relay)) as proxy:
        monkeypatch.setenv("https_proxy", proxy.url)
        error = fetched(VideoTranslationClient, origin.url, tmp_path / "out.mp4", max_faults=1)

    assert (error is None) is is_ended, error
    assert (tmp_path / "out.mp4").exists() is is_ended


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("has_length", [True, False])
def test_an_aborted_download_over_tls_is_resumed_by_range_requests(
    client: type[Any], has_length: bool, tmp_path: Path, trusted: trustme.CA
) -> None:
    """From a host that never sends `close_notify`, in pieces smaller than a read. A complete range is not aborted."""
    video = b"\0\0\0\x18ftypmp42" + os.urandom(200_000)
    starts: list[int] = []

    def handle(connection: socket.socket, server: hostile_server.Server) -> None:
        request_lines = re.search(rb"(?i)range: bytes=(\d+)-", server.requests[-1])
        start = int(request_lines[1]) if request_lines else 0
        starts.append(start)
        length = f"Content-Length: {len(video) - start}\r\n" if has_length or not request_lines else ""
        status = (
            f"206 Part\r\nContent-Range: bytes {start}-{len(video) - 1}/{len(video)}" if request_lines else "200 OK"
        )
        fields = f'ETag: "a"\r\nContent-Type: video/mp4\r\n{length}Connection: close'
        piece = video[start : start + 40_000] if has_length or not request_lines else video[start:]
        connection.sendall(f"HTTP/1.1 {status}\r\n{fields}\r\n\r\n".encode() + piece)

    with serving_raw(over_tls(trusted, handle)) as server:
        assert fetched(client, server.url, tmp_path / "out.mp4") is None

    assert (tmp_path / "out.mp4").read_bytes() == video
    assert starts == (list(range(0, len(video), 40_000)) if has_length else [0, 40_000])


class SocketOfAnotherKind(ssl.SSLSocket):
    """A TLS socket that does not record how its connection ended."""


@pytest.fixture(params=[ssl.SSLSocket, SocketOfAnotherKind])
def _contexts_with_sockets_of_their_own(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """As if truststore had replaced the contexts of `ssl`."""

    class Context(ssl.SSLContext):
        sslsocket_class = property(lambda _: request.param, lambda *_: None)

    monkeypatch.setattr(connections, "create_urllib3_context", lambda **_: Context(ssl.PROTOCOL_TLS_CLIENT))


@pytest.mark.usefixtures("_contexts_with_sockets_of_their_own")
def test_the_deadline_holds_over_a_tls_socket_of_another_class(trusted: trustme.CA) -> None:
    """Though each read of it may last as long as `request_timeout`."""
    drip = hostile_server.dripping(b"HTTP/1.1 200 OK\r\nX-Drip: ", b"x")
    with (
        serving_raw(over_tls(trusted, drip)) as server,
        VideoTranslationClient(server.url, logger=Quiet(), timeout=0.6, request_timeout=LASTS_LONG) as client,
        ends_soon(0.6),
        pytest.raises(WaitTimeout),
    ):
        client.wait("j")


@pytest.mark.usefixtures("_contexts_with_sockets_of_their_own")
def test_a_submission_over_a_tls_socket_of_another_class_is_sent_once(trusted: trustme.CA) -> None:
    """What was sent is known, or it is unknown; it is never taken for nothing."""
    with (
        serving_raw(over_tls(trusted, lambda *_: None)) as server,
        VideoTranslationClient(server.url, logger=Quiet(), sleep=lambda _: None) as client,
        pytest.raises(RequestFailed) as caught,
    ):
        client.submit(VIDEO, "es")

    assert (caught.value.may_have_been_accepted, len(server.requests)) == (True, 1)


@pytest.mark.parametrize("client", CLIENTS)
def test_a_status_over_tls_without_close_notify_is_accepted(client: type[Any], trusted: trustme.CA) -> None:
    """Some servers never send it, and JSON shows by itself whether it is complete."""

    def handle(connection: socket.socket, server: hostile_server.Server) -> None:
        connection.sendall(b'HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{"result": "completed"}')

    async def check(url: str) -> str:
        async with AsyncVideoTranslationClient(url, logger=Quiet()) as asynchronous:
            return str((await asynchronous.check("j")).status)

    with serving_raw(over_tls(trusted, handle)) as server:
        if client is AsyncVideoTranslationClient:
            assert asyncio.run(check(server.url)) == "completed"
        else:
            with VideoTranslationClient(server.url, logger=Quiet()) as blocking:
                assert blocking.check("j").status == "completed"


@pytest.mark.parametrize("client", CLIENTS)
def test_the_deadline_ends_the_download_of_a_gzip_bomb(client: type[Any], tmp_path: Path) -> None:
    """Blocks become a thousand times their size, except for a random one now and then."""
    packed = hostile_server.gzipped(os.urandom(MIB)) + hostile_server.gzipped(bytes(16 * MIB)) * 4

    def handle(connection: socket.socket, server: hostile_server.Server) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n")
        while not server.over.is_set():
            connection.sendall(packed)

    with hostile_server.serving(handle) as server:
        pause = lambda *_: time.sleep(0.02)  # noqa: E731  # or it would fill the disk
        with ends_soon(0.7):
            error = fetched(client, server.url, tmp_path / "out.mp4", timeout=0.7, on_progress=pause)

    assert isinstance(error, WaitTimeout)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("left", [b"000", b"0000", b"0;ext="])
def test_a_download_whose_connection_ends_in_a_chunk_size_is_truncated(
    client: type[Any], left: bytes, tmp_path: Path
) -> None:
    """The blocking client took the zeros that a size is padded with for the last chunk."""
    head = b"HTTP/1.1 200 OK\r\nContent-Type: video/mp4\r\nTransfer-Encoding: chunked\r\n\r\n"
    body = b"00001000\r\n\0\0\0\x18ftypmp42" + bytes(4084) + b"\r\n"
    with hostile_server.serving(hostile_server.answering(head + body + left)) as server:
        assert isinstance(fetched(client, server.url, tmp_path / "out.mp4", max_faults=1), RequestFailed)

    assert list(tmp_path.iterdir()) == []
