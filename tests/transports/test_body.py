"""How the body of a response is read: its framing, content coding and size limit, and a body that breaks off."""

from __future__ import annotations

import io
import random
import zlib
from http.client import IncompleteRead
from typing import Any

import pytest
import requests
import urllib3
from support.adapters import FunctionAdapter
from support.hostile_server import answering, gzipped, http, serving
from support.send_request import send
from urllib3.exceptions import ProtocolError

from translation_client._models import Fault
from translation_client._transports.body import raw_blocks
from translation_client._transports.cancel_scope import CallCancelled, CallTimeout

LONG = bytes(range(256)) * 800


def chunked(body: bytes, size: int) -> bytes:
    parts = [body[at : at + size] for at in range(0, len(body), size)]
    framed = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in [*parts, b""])
    return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + framed


@pytest.mark.parametrize(
    "raw_response",
    [http("200 OK", LONG), chunked(LONG, 1000), chunked(LONG, 100_000), b"HTTP/1.1 200 OK\r\n\r\n" + LONG],
    ids=["with its length", "in small chunks", "in long chunks", "until the connection is closed"],
)
def test_a_body_longer_than_one_read_is_read_whole(raw_response: bytes) -> None:
    """With each framing: a length, short and long chunks, and the end of the connection."""
    with serving(answering(raw_response)) as server:
        assert send(server.url).body == LONG


@pytest.mark.parametrize("coding", ["gzip", "x-gzip", "deflate"])
def test_a_body_that_repeats_far_back_is_unpacked(coding: str) -> None:
    """The window for unpacking is that of the format, and not half of it."""
    far = random.Random(1).randbytes(32_000) * 2
    packed = zlib.compress(far, 9) if coding == "deflate" else gzipped(far)
    assert len(packed) < 33_000
    with serving(answering(http("200 OK", packed, f"Content-Encoding: {coding}"))) as server:
        assert send(server.url).body == far


@pytest.mark.parametrize("coding", ["gzip", "x-gzip"])
def test_a_zlib_stream_labelled_as_gzip_is_a_fault(coding: str) -> None:
    """The coding is not guessed."""
    with (
        serving(answering(http("200 OK", zlib.compress(b"{}"), f"Content-Encoding: {coding}"))) as server,
        pytest.raises(Fault, match="does not unpack"),
    ):
        send(server.url)


@pytest.mark.parametrize("size", [65_536, 65_537, 131_073])
def test_no_byte_is_lost_where_a_read_ends(size: int) -> None:
    """A read has 65 536 bytes; the bodies end with a read, or one byte after it."""
    with serving(answering(http("200 OK", b"x" * size))) as server:
        assert len(send(server.url).body) == size


@pytest.mark.parametrize(
    "raw_response",
    [
        http("200 OK", b"x" * 1000),
        chunked(b"x" * 1000, 1000),
        http("200 OK", gzipped(b"x" * 1000), "Content-Encoding: gzip"),
        http("200 OK", gzipped(b"x" * 600) + gzipped(b"x" * 400), "Content-Encoding: gzip"),
    ],
    ids=["plain", "chunked", "packed", "packed in two members"],
)
def test_a_body_as_long_as_max_body_bytes_is_read(raw_response: bytes) -> None:
    """Plain, chunked and packed."""
    with serving(answering(raw_response)) as server:
        assert send(server.url, max_body_bytes=1000).body == b"x" * 1000


def test_the_content_length_of_a_204_is_ignored() -> None:
    """The response has no body, and its status alone counts."""
    with serving(answering(b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n")) as server:
        received = send(server.url)

    assert (received.status_code, received.body) == (204, b"")


@pytest.mark.parametrize("make_session", [lambda: None, requests.Session])
@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
def test_a_chunked_body_of_a_status_without_a_body_is_not_read(make_session: Any, status: str) -> None:
    """RFC 9112, section 6.3. http.client would read it."""
    head, body = chunked(b"x" * 200_000, 1000).split(b"\r\n", 1)
    with serving(answering(head.replace(b"200 OK", status.encode()) + b"\r\n" + body)) as server:
        received = send(server.url, session=make_session())

    assert (received.status_code, received.body) == (int(status[:3]), b"")


class Longer(io.BytesIO):
    """A raw body as urllib3 reads it that is longer than its length, so that `length_remaining` gets negative."""

    def __init__(self, length: int) -> None:
        super().__init__(b"x" * 10_000)
        self.length_remaining = length

    def read(self, size: int | None = -1, **_: Any) -> bytes:
        """Read as `io.BytesIO` does. A negative number would be all of an endless body."""
        assert size is not None
        assert size > 0
        block = super().read(size)
        self.length_remaining -= len(block)
        return block


@pytest.mark.parametrize("length", [0, 10, 9_999])
def test_a_body_longer_than_its_length_is_never_read_at_once(length: int) -> None:
    """urllib3 takes a negative number of bytes for all of them."""
    assert len(b"".join(raw_blocks(Longer(length), 4000))) <= max(length, 4000)


@pytest.mark.parametrize("make_session", [lambda: None, requests.Session])
@pytest.mark.parametrize("status", ["200 OK", "404 Not Found"])
def test_a_content_length_repeated_in_one_header_ends_the_body(make_session: Any, status: str) -> None:
    """RFC 9112, section 6.3. The server keeps the connection open, and the client does not wait until it is closed."""
    raw_response = f"HTTP/1.1 {status}\r\nContent-Length: 2, 2\r\n\r\n{{}}".encode()
    with serving(answering(raw_response, close=False)) as server:
        assert send(server.url, session=make_session(), request_timeout=60).body == b"{}"


def test_transfer_encoding_overrides_content_length() -> None:
    """RFC 9112, section 6.3."""
    both = b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"
    with serving(answering(both)) as server:
        assert send(server.url).body == b"{}"


def from_an_adapter(raw: Any, **headers: str) -> Any:
    """Send one request through an adapter of the caller's that returns this raw body, with a cap of 1000 bytes."""
    made = requests.Response()
    made.status_code, made.raw, made.url = 200, raw, "http://service.test/status"
    made.headers.update({name.replace("_", "-"): value for name, value in headers.items()})
    session = requests.Session()
    session.mount("http://service.test", FunctionAdapter(lambda _: made))
    return send("http://service.test", session=session, max_body_bytes=1000)


def test_a_raw_body_that_is_a_plain_file_is_capped() -> None:
    """Reading one byte less would truncate a body and take it for whole."""
    assert from_an_adapter(io.BytesIO(b"x" * 1000)).body == b"x" * 1000
    with pytest.raises(Fault, match="longer than 1000 bytes"):
        from_an_adapter(io.BytesIO(b"x" * 1001))


class Short(io.BytesIO):
    """A raw body as urllib3 1.26 reads it: it raises nothing if it ends too early."""

    length_remaining = None
    stream = None

    def read(self, size: int | None = -1, decode_content: bool = False) -> bytes:
        return super().read(size)


def test_a_body_shorter_than_its_content_length_is_a_fault() -> None:
    """Also where urllib3 does not check it, as before 2.0."""
    assert from_an_adapter(Short(b"xyz"), content_length="3").body == b"xyz"
    with pytest.raises(Fault, match="shorter than its Content-Length"):
        from_an_adapter(Short(b"xy"), content_length="3")


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "gzip, gzip"])
def test_an_empty_body_is_read_with_any_content_encoding(coding: str) -> None:
    """Proxies label the body that a 204 cannot have, and bodies of no bytes."""
    label = f"Content-Encoding: {coding}"
    no_content = f"HTTP/1.1 204 No Content\r\n{label}\r\n\r\n".encode()
    for raw_response in (no_content, http("200 OK", b"", label)):
        with serving(answering(raw_response)) as server:
            assert send(server.url).body == b""


def test_a_packed_response_that_would_decode_itself_is_unpacked() -> None:
    """It is read without `decode_content`: the cap would not hold while it unpacks itself."""
    headers = {"Content-Encoding": "gzip"}
    raw = urllib3.HTTPResponse(io.BytesIO(gzipped(b"no JSON")), headers, preload_content=False)

    assert from_an_adapter(raw, content_encoding="gzip").body == b"no JSON"


def test_the_default_max_body_bytes_is_one_mebibyte() -> None:
    """A body of that length is read, and one that is a byte longer is a fault."""
    with serving(answering(http("200 OK", b"x" * 1024 * 1024))) as server:
        assert len(send(server.url).body) == 1024 * 1024
    with (
        serving(answering(http("200 OK", b"x" * (1024 * 1024 + 1)))) as server,
        pytest.raises(Fault, match="longer than 1048576 bytes"),
    ):
        send(server.url)


class Breaking(io.BytesIO):
    """A raw body whose `read` raises an error."""

    stream = None

    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self.error = error

    def read(self, *_: Any, **__: Any) -> bytes:
        raise self.error


@pytest.mark.parametrize(
    "error",
    [OSError("s3cret"), ValueError("s3cret"), IncompleteRead(b"s3cret"), ProtocolError("s3cret")],
    ids=lambda error: type(error).__name__,
)
def test_a_body_that_breaks_off_is_a_fault_with_its_status_and_is_closed(error: Exception) -> None:
    """A connection with half a response on it must not be reused."""
    raw = Breaking(error)
    with pytest.raises(Fault, match=r"^the body breaks off \(the connection broke\)$") as caught:
        from_an_adapter(raw)

    assert (caught.value.kind, caught.value.status_code, raw.closed) == ("unreadable", 200, True)


@pytest.mark.parametrize("error", [CallCancelled(), KeyboardInterrupt()], ids=lambda error: type(error).__name__)
def test_a_body_whose_reading_is_cancelled_or_interrupted_is_closed(error: BaseException) -> None:
    """A connection with half a response on it must not be reused. The exception is raised on."""
    raw = Breaking(error)
    with pytest.raises(type(error)):
        from_an_adapter(raw)

    assert raw.closed


def test_the_body_of_a_503_that_times_out_is_closed_and_empty() -> None:
    """The rest of the body must not become the beginning of the next response."""
    raw = Breaking(CallTimeout())
    made = requests.Response()
    made.status_code, made.raw, made.url = 503, raw, "http://service.test/status"
    session = requests.Session()
    session.mount("http://service.test", FunctionAdapter(lambda _: made))
    received = send("http://service.test", session=session)

    assert (received.status_code, received.body, raw.closed) == (503, b"", True)
