"""Responses of arbitrary bytes, on a real socket."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import suppress

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support.fixtures import SilentLogger
from support.hostile_server import Server, serving

from translation_client import Job, TranslationClientError, VideoTranslationClient

STATUS_LINES = st.sampled_from(
    [
        b"HTTP/1.1 200 OK",
        b"HTTP/1.0 200",
        b"HTTP/1.1 503 Busy",
        b"HTTP/1.1 204 None",
        b"HTTP/1.1 100 Continue",
        b"HTTP/1.1 302 Found",
        b"HTTP/1.1 99999 Much",
        b"HTTP/1.1 -1 Less",
        b"HTTP/9.9 200 OK",
        b"ICY 200 OK",
        b"",
    ]
)

HEADER_LINES = st.sampled_from(
    [
        b"Content-Length: 23",
        b"Content-Length: 5",
        b"Content-Length: 5, 23",
        b"Content-Length: -1",
        b"Content-Length: 99999999999999999999999",
        b"Content-Length: x",
        b"Transfer-Encoding: chunked",
        b"Transfer-Encoding: gzip, chunked",
        b"Content-Encoding: gzip",
        b"Content-Encoding: deflate, gzip, br",
        b"Location: /status",
        b"Location: http://[::1",
        b"Location: \xff\xfe",
        b"Connection: close",
        b"Set-Cookie: a=b; Domain=\xe9",
        b"Retry-After: \xff",
        b"no colon at all",
        b" folded",
        b": nameless",
        b"X: " + b"y" * 70_000,
    ]
)

BODIES = st.one_of(
    st.sampled_from(
        [
            b'{"result": "completed"}',
            b'17\r\n{"result": "completed"}\r\n0\r\n\r\n',
            b'ffffffffffffffff\r\n{"result"',
            b"-5\r\n",
            b"0\r\nTrailer: x\r\n\r\n",
            b"\x1f\x8b\x08\x00\x00\x00",
        ]
    ),
    st.binary(max_size=60),
)

RESPONSES = st.one_of(
    st.builds(
        lambda status, lines, body: b"\r\n".join([status, *lines, b"", b""]) + body,
        STATUS_LINES,
        st.lists(HEADER_LINES | st.binary(max_size=20), max_size=4),
        BODIES,
    ),
    st.binary(max_size=300),
)


GOOD = b'HTTP/1.1 200 OK\r\nContent-Length: 23\r\n\r\n{"result": "completed"}'


class Reply:
    """The bytes that the server sends next."""

    data = b""


@pytest.fixture(scope="module")
def reply() -> Reply:
    return Reply()


@pytest.fixture(scope="module")
def server(reply: Reply) -> Iterator[Server]:
    def handle(connection: socket.socket, _: Server) -> None:
        connection.sendall(reply.data)
        with suppress(OSError):
            connection.shutdown(socket.SHUT_WR)

    with serving(handle) as running:
        yield running


@settings(max_examples=200)
@given(RESPONSES)
@example(GOOD)
@example(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n")
@example(b"HTTP/1.1 100 Continue\r\n\r\n" * 1000)
def test_any_response_bytes_give_a_job_or_a_translation_client_error(server: Server, reply: Reply, data: bytes) -> None:
    """An error has one attempt. A job needs a response with status 200 and the completed status in its body."""
    reply.data = data
    with VideoTranslationClient(
        server.url, max_faults=1, timeout=5, request_timeout=2, logger=SilentLogger()
    ) as client:
        try:
            result: object = client.check("j")
        except TranslationClientError as error:
            assert data != GOOD
            assert (error.job_id, error.attempts) == ("j", 1)
        else:
            assert isinstance(result, Job)
            assert (result.id, result.status, result.payload) == ("j", "completed", {"result": "completed"})
            assert b'{"result": "completed"}' in data
            assert data.split(b"\r\n")[0].split(b" ")[1] == b"200"
