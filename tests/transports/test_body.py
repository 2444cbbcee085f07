"""How the body of a response is read: its framing, content coding and size limit, and a body that breaks off."""

from __future__ import annotations

import io
import random
import socket
import zlib
from contextlib import closing
from http.client import IncompleteRead
from typing import Any, NoReturn

import pytest
import requests
import urllib3
from support.adapters import FunctionAdapter
from support.hostile_server import answering, gzipped, http, serving
from support.send_request import send
from urllib3.connection import HTTPConnection
from urllib3.exceptions import ProtocolError

from translation_client._clock import Deadline, Stopwatch
from translation_client._models import Fault, Response
from translation_client._transports.body import ends_with_connection, raw_blocks, stream_to
from translation_client._transports.cancel_scope import CURRENT, CallCancelled, CallTimeout, TransferScope
from translation_client._transports.framing import announces_body, is_interim, too_many_interim_responses
from translation_client._transports.matched_response import MatchedResponse

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


@pytest.mark.parametrize(
    ("headers", "ends_with_it"),
    [
        ({}, True),
        ({"Transfer-Encoding": "identity"}, True),
        ({"Content-Range": "bytes */9"}, True),  # which is no range
        ({"Content-Length": "9"}, False),
        ({"Transfer-Encoding": "chunked"}, False),
        ({"Content-Range": "bytes 0-4/9"}, False),
    ],
)
def test_a_body_without_a_length_chunks_or_a_range_ends_with_the_connection(
    headers: dict[str, str], ends_with_it: bool
) -> None:
    """If TLS goes on then, it was cut off."""
    assert ends_with_connection(headers) is ends_with_it


def test_each_1xx_response_but_101_is_an_interim_one() -> None:
    """After a 101 there is no HTTP."""
    assert [code for code in range(90, 210) if is_interim(code)] == [100, *range(102, 200)]


def test_the_fault_for_too_many_interim_responses_names_their_maximum() -> None:
    """It is retried as other unreadable responses are."""
    fault = too_many_interim_responses()

    assert (fault.kind, str(fault)) == ("unreadable", "more than 100 interim (1xx) responses")


@pytest.mark.parametrize(
    ("status_code", "headers", "announces_one"),
    [
        (204, {}, False),
        (204, {"Content-Length": "0"}, False),
        (204, {"Content-Length": "3"}, True),
        (204, {"Content-Length": "three"}, True),
        (204, {"Transfer-Encoding": "chunked"}, True),
        (304, {"Content-Length": "3"}, False),  # that of a 200
        (304, {"Transfer-Encoding": "chunked"}, True),
    ],
)
def test_a_204_or_304_whose_headers_state_a_body_announces_one(
    status_code: int, headers: dict[str, str], announces_one: bool
) -> None:
    """It has none, but the bytes may come."""
    assert announces_body(status_code, headers) is announces_one


class Collected:
    """The destination of a file: keeps its blocks."""

    def __init__(self) -> None:
        self.blocks: list[bytes] = []

    def begin(self, head: Response) -> None: ...

    def write(self, block: bytes) -> None:
        self.blocks.append(block)

    def reject_surplus(self) -> NoReturn:
        raise Fault("unreadable", "surplus bytes")


class Undecoded(io.BytesIO):
    """In place of the response of urllib3: its bytes must not be decoded."""

    stream: Any = None
    _original_response: Any = None

    def read(self, size: int | None = -1, /, *, decode_content: bool = True) -> bytes:
        assert not decode_content
        return super().read(size)


def blocks_of(raw: Any, **headers: str) -> list[int]:
    """The sizes of the blocks in which a file from a plain file in place of a connection is written."""
    response = requests.Response()
    response.status_code, response.raw = 200, raw
    response.headers.update({name.replace("_", "-"): value for name, value in headers.items()})
    collected = Collected()
    stream_to(response, collected)
    assert b"".join(collected.blocks) == LONG[: sum(map(len, collected.blocks))]
    return list(map(len, collected.blocks))


def test_a_file_from_a_plain_file_is_written_block_by_block() -> None:
    """requests takes one in place of a connection. A packed one comes in smaller blocks."""
    assert blocks_of(io.BytesIO(LONG[:150_000]), content_length="150000") == [65_536, 65_536, 18_928]
    assert blocks_of(io.BytesIO(LONG[:9_000]), content_encoding="gzip") == [4_096, 4_096, 808]


def test_a_file_that_is_one_byte_too_short_breaks_off() -> None:
    """With the versions of urllib3 that do not check it, too. The fault has the head of the response."""
    with pytest.raises(Fault) as caught:
        blocks_of(io.BytesIO(LONG[:9_000]), content_length="9001")

    assert (caught.value.kind, str(caught.value)) == ("connection", "the file breaks off")
    assert caught.value.status_code == 200


def test_a_file_from_a_connection_is_not_decoded_while_it_is_read() -> None:
    """It is decoded by what writes it, block by block."""
    assert blocks_of(Undecoded(LONG[:9_000]), content_length="9000") == [9_000]


def test_bytes_after_a_file_are_looked_for_and_rejected() -> None:
    """Which the response of http.client does once it is told that it has a file."""
    one, other = socket.socketpair()
    with one, other, closing(MatchedResponse(HTTPConnection("127.0.0.1"), one, 0, "GET")) as original:
        raw = Undecoded(LONG[:9_000])
        raw._original_response = original
        assert blocks_of(raw) == [9_000]
        assert original.is_download

        raw.seek(0)
        original.has_surplus = True
        with pytest.raises(Fault, match="surplus bytes"):
            blocks_of(raw)


def test_a_file_that_is_chunked_but_labelled_chunked_twice_is_read() -> None:
    """A proxy may add its label to that of the application. The chunks are those of the connection."""
    one, other = socket.socketpair()
    with one, other, closing(MatchedResponse(HTTPConnection("127.0.0.1"), one, 0, "GET")) as original:
        original.chunked = True
        raw = Undecoded(LONG[:9_000])
        raw._original_response = original

        assert blocks_of(raw, transfer_encoding="chunked, chunked") == [9_000]


class CutOff(Undecoded):
    """A TLS connection that ends without the message for its end."""

    def read(self, size: int | None = -1, /, *, decode_content: bool = True) -> bytes:
        assert CURRENT.scope is not None
        CURRENT.scope.is_tls_cut_off = True
        return super().read(size, decode_content=decode_content)


def test_a_file_that_ends_with_a_connection_that_is_cut_off_breaks_off() -> None:
    """One with a length is complete by that, and a redirect before it does not count."""
    scope = TransferScope(Deadline.after(60), 60, lambda: False, Stopwatch())
    with scope:
        assert not scope.is_receiving_file
        scope.is_tls_cut_off = True
        assert blocks_of(Undecoded(LONG[:9_000])) == [9_000]
        assert scope.is_receiving_file
        assert blocks_of(CutOff(LONG[:9_000]), content_length="9000") == [9_000]
        with pytest.raises(Fault, match="the file breaks off"):
            blocks_of(CutOff(LONG[:9_000]))
