"""Responses of http.client that never belong to another request, and the connections that read them.

http.client skips no interim response but `100 Continue`, and drops the bytes that it has read beyond the end of a
response. In both cases the next request on the connection would get a response to the one before.
"""

from __future__ import annotations

import re
import socket
import ssl
from contextlib import suppress
from http.client import HTTPResponse, IncompleteRead, parse_headers
from typing import Any

from urllib3.connection import HTTPConnection
from urllib3.util.ssltransport import SSLTransport
from urllib3.util.wait import wait_for_read

from .framing import (
    CHUNKED_TWICE,
    MAX_INTERIM_RESPONSES,
    MAX_LINE_BYTES,
    UnreadableBody,
    content_length,
    is_interim,
    too_many_interim_responses,
    transfer_codings,
)

RESPONSE_START = b"HTTP/"
"""The start of a response. One after a file is no part of the file: some proxies send one without a request."""

TRAILING_BYTES = 16
"""How many bytes after a file are looked at: line breaks are ignored (RFC 9112, section 2.2), as is `RESPONSE_START`."""

_CHUNK_SIZE = re.compile(rb"0*([0-9A-Fa-f]{1,15})[ \t]*(;[^\r\n]*)?\r?\n")
"""The line before a chunk: size and extensions (RFC 9112, section 7.1.1). Some servers add blanks after the size."""


class MatchedResponse(HTTPResponse):
    """A response that skips the interim ones before it, and closes its connection if bytes follow it.

    Attributes:
        is_download: True if the body is written to a file, after which surplus bytes are checked for.
        has_surplus: True if bytes have arrived after the end of a file that do not start another response.
    """

    is_download = has_surplus = False

    def __init__(self, connection: HTTPConnection, sock: Any, debuglevel: int, method: str | None) -> None:
        super().__init__(sock, debuglevel, method)
        self._sock = sock
        self._connection: HTTPConnection | None = connection

    def begin(self) -> None:
        """Read the headers, with two forms that http.client ignores: `n, n` as length, `chunked, chunked` as coding.

        For those, http.client would read until the connection is closed. The lines that it cannot parse are dropped, or
        urllib3 would log them in a warning with the signed URL of the request.
        """
        super().begin()
        headers: Any = self.headers
        if headers.defects:
            headers.defects.clear()
            headers.set_payload(None)  # the lines from the first invalid header on
        if self.length is None and not self.chunked:
            if transfer_codings(headers) == CHUNKED_TWICE:  # in one header, which http.client does not parse
                self.chunked, self.chunk_left = True, None
                return
            with suppress(UnreadableBody):  # reported when the body is read
                self.length = content_length(headers)

    def _read_status(self) -> tuple[str, int, str]:
        # Not in `begin`, which http.client does not call for the reply to CONNECT.
        for _ in range(1 + MAX_INTERIM_RESPONSES):
            line: tuple[str, int, str] = super()._read_status()  # type: ignore[misc]  # typeshed leaves it out
            if not is_interim(line[1]):
                return line
            parse_headers(self.fp)
        raise too_many_interim_responses()

    def _get_chunk_left(self) -> int | None:
        """Check the line break after a chunk before the next size is read. http.client skips it unchecked."""
        if self.chunk_left == 0:
            if self._safe_read(2) != b"\r\n":  # type: ignore[attr-defined]  # typeshed leaves it out
                self._close_conn()
                raise IncompleteRead(b"")
            self.chunk_left = None
        left: int | None = super()._get_chunk_left()  # type: ignore[misc]  # typeshed leaves it out
        return left

    def _read_next_chunk_size(self) -> int:
        """Read the size of the next chunk from a complete line.

        Raises:
            ValueError: The line breaks off, or is not a size. http.client turns it into an `IncompleteRead`.
        """
        size = _CHUNK_SIZE.fullmatch(self.fp.readline(MAX_LINE_BYTES + 1))
        if size is None:
            self._close_conn()
            raise ValueError("the size of a chunk breaks off or is no size")
        return int(size[1], 16)

    def _close_conn(self) -> None:
        """Close `fp`, as http.client does at the end of the body, and the connection if more bytes were read."""
        connection, self._connection = self._connection, None
        is_current = connection is not None and connection.sock is self._sock
        buffered, is_decrypted = _buffered(self.fp), has_decrypted(self._sock)
        is_out_of_step = is_current and (bool(buffered) or is_decrypted)
        if self.is_download:
            behind = (buffered or _arrived(self._sock, is_decrypted=is_decrypted)).lstrip(b"\r\n")
            self.has_surplus = not RESPONSE_START.startswith(behind[: len(RESPONSE_START)])
        super()._close_conn()  # type: ignore[misc]  # typeshed leaves it out
        if connection is not None and is_out_of_step:
            connection.close()


def _buffered(fp: Any) -> bytes:
    vars(fp.raw)["readinto"] = _read_nothing  # or `peek` would wait for the next byte
    return bytes(fp.peek(1))


def _read_nothing(_: Any) -> int:
    return 0


def has_decrypted(sock: Any) -> bool:
    """True if a TLS layer holds unread bytes, which polling the file descriptor does not show."""
    if isinstance(sock, ssl.SSLSocket):
        return sock.pending() > 0
    if isinstance(sock, SSLTransport):  # TLS to the origin within TLS to the proxy
        return sock.incoming.pending > 0 or sock.sslobj.pending() > 0 or has_decrypted(sock.socket)
    return False


def _arrived(sock: Any, *, is_decrypted: bool) -> bytes:
    """Return the first unread bytes that a TLS layer or the system holds, without waiting.

    What the system holds of a TLS connection may be a session ticket instead of HTTP, and is not read.
    """
    try:
        if is_decrypted:
            return bytes(sock.recv(TRAILING_BYTES))  # the bytes are lost, but the connection will be closed
        if isinstance(sock, socket.socket) and not isinstance(sock, ssl.SSLSocket) and wait_for_read(sock, timeout=0):
            return socket.socket.recv(sock, TRAILING_BYTES, socket.MSG_PEEK)
    except (OSError, ValueError):  # the connection is broken, or closed
        pass
    return b""


class MatchedConnection(HTTPConnection):
    """A connection with matched responses. If it has unread bytes, it is closed and not reused.

    Attributes:
        reuse_url: The `reuse_url` of its last request.
        taken_at: When it was last taken from the pool, in seconds of `real_monotonic`.
    """

    reuse_url: str | None = None
    taken_at: float = 0.0

    def response_class(  # type: ignore[override]  # http.client only calls it
        self, sock: Any, debuglevel: int = 0, method: str | None = None
    ) -> MatchedResponse:
        """Create a response."""
        return MatchedResponse(self, sock, debuglevel, method)

    def _tunnel(self) -> None:
        super()._tunnel()
        if self.sock is None:
            raise OSError("Tunnel connection failed: bytes after the proxy's reply")


def matched(kind: type[HTTPConnection]) -> type[HTTPConnection]:
    """Return a class of connections, such as that for SOCKS proxies, with matched responses."""
    return kind if issubclass(kind, MatchedConnection) else type(kind.__name__, (MatchedConnection, kind), {})
