"""`ResponseEnd` finds the end of a response, and notices any byte after it, whatever the blocks are."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from aiohttp.client_proto import ResponseHandler
from aiohttp.http_parser import HttpResponseParserPy

from translation_client._transports.response_end import ResponseEnd

RESPONSES: dict[str, bytes] = {
    "length": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
    "length with zeros": b"HTTP/1.1 200 OK\r\ncontent-length: 002\r\n\r\n{}",
    "empty": b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    "body of line breaks": b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n\r\n\r\n",
    "204": b"HTTP/1.1 204 No Content\r\n\r\n",
    "304": b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n",
    "chunked": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    "chunk of line breaks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n\r\n\r\n0\r\n\r\n",
    "trailers": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\nX: y\r\n\r\n",
    "interim": b"HTTP/1.1 103 Early\r\nLink: x\r\n\r\nHTTP/1.1 100 C\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
}

LEFTOVERS = [b"\r\n", b"\n", b"\r", b"\r\n\r\n", b"x"]
"""Bytes after a response. Another response, or the start of one, is noticed by aiohttp."""


def parsed(data: bytes) -> Any:
    """Return the head of the final response, as aiohttp's parser in Python reads it."""
    loop = asyncio.new_event_loop()
    try:
        parser: Any = HttpResponseParserPy(ResponseHandler(loop), loop, 2**16, read_until_eof=True)
        messages, _, _ = parser.feed_data(data)
    finally:
        loop.close()
    return messages[-1][0]


def cut(data: bytes, size: int) -> Iterator[bytes]:
    return (data[start : start + size] for start in range(0, len(data), size))


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
@pytest.mark.parametrize("name", RESPONSES)
def test_the_end_of_a_response_is_at_its_last_byte(name: str, size: int) -> None:
    """Not before it, and not if any byte follows."""
    data = RESPONSES[name]
    message, end = parsed(data), ResponseEnd()
    for block in cut(data, size):
        end.feed(block)
    assert end.is_reached(message)

    for leftover in LEFTOVERS:
        end = ResponseEnd()
        for block in cut(data + leftover, size):
            end.feed(block)
        assert not end.is_reached(message), leftover

    end = ResponseEnd()
    for block in cut(data[:-1], size):
        end.feed(block)
    assert not end.is_reached(message)


def test_an_unused_connection_is_at_an_end() -> None:
    """Unless bytes have arrived without a request."""
    end = ResponseEnd()
    assert end.is_reached(None)
    end.feed(b"\r\n")
    assert not end.is_reached(None)


def test_a_response_after_leftover_blank_lines_prevents_the_reuse_of_its_connection() -> None:
    """They are left over from another response. aiohttp skips them, and the connection is not reused."""
    data = RESPONSES["length"]
    end = ResponseEnd()
    end.feed(b"\r\n" + data)
    end.feed(b"")
    assert not end.is_reached(parsed(data))


def test_a_body_that_ends_with_the_connection_has_no_other_end() -> None:
    """No request follows on such a connection."""
    data = b"HTTP/1.1 200 OK\r\n\r\n{}"
    end = ResponseEnd()
    end.feed(data)
    assert not end.is_reached(parsed(data))
