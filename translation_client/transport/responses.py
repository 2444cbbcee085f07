"""Responses of the blocking client, matched to their requests.

http.client skips `100 Continue` alone, and drops the bytes that it has read beyond the end of a response. Either way the
connection is out of step, and the next request on it would get the response to the one before. It also takes whatever `int` converts
for the size of a chunk, and a size that the end of the connection has cut for a whole one.
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

from ..faults import Fault
from .framing import CHUNKED_TWICE, UnreadableBody, content_length, transfer_codings

MAX_INTERIM_RESPONSES = 100
"""1xx responses before the final one. A server that sends more of them is taken to send no final one."""

SWITCHING_PROTOCOLS = 101
"""Final: what follows it is not HTTP any more (RFC 9110, section 15.2.2)."""


RESPONSE_START = b"HTTP/"
"""How a response begins that nobody asked for, as proxies send some (RFC 9112, section 4)."""

BEHIND_BYTES = 16
"""How much is looked at of what follows a body: line breaks, which are ignored (RFC 9112, section 2.2), and `RESPONSE_START`."""

MAX_LINE_BYTES = 65536
"""What http.client reads of a line at most."""

_CHUNK_SIZE = re.compile(rb"0*([0-9A-Fa-f]{1,15})[ \t]*(;[^\r\n]*)?\r?\n")
"""The line before a chunk: its size and its extensions (RFC 9112, section 7.1.1). Some servers pad the size with blanks behind it."""


def is_interim(status_code: int) -> bool:
    """True for a 1xx response that a final one follows (RFC 9110, section 15.2)."""
    return 100 <= status_code < 200 and status_code != SWITCHING_PROTOCOLS


def too_many_interim_responses() -> Fault:
    """Return the fault for a response that never gets to its final part."""
    return Fault("unreadable", f"more than {MAX_INTERIM_RESPONSES} interim (1xx) responses")


class MatchedResponse(HTTPResponse):
    """A response that skips the interim ones before it, and closes its connection if bytes follow it.

    Attributes:
        is_file: True if the body is a file, behind whose end surplus bytes are looked for.
        has_surplus: True if a file has ended and bytes have already come behind it that begin no other response.
    """

    is_file = has_surplus = False

    def __init__(self, connection: HTTPConnection, sock: Any, debuglevel: int, method: str | None) -> None:
        super().__init__(sock, debuglevel, method)
        self._sock = sock
        self._connection: HTTPConnection | None = connection

    def begin(self) -> None:
        """Read the headers. http.client ignores a `Content-Length: n, n`, and a `Transfer-Encoding: chunked, chunked`.

        It would read until the connection is closed. What it could not parse is dropped, or urllib3 would log it as a warning,
        with the signed URL of the request.
        """
        super().begin()
        headers: Any = self.headers
        if headers.defects:
            headers.defects.clear()
            headers.set_payload(None)  # the lines from the first one on that is no header
        if self.length is None and not self.chunked:
            if transfer_codings(headers) == CHUNKED_TWICE:  # in one header, which http.client does not read
                self.chunked, self.chunk_left = True, None
                return
            with suppress(UnreadableBody):  # reported by who reads the body
                self.length = content_length(headers)

    def _read_status(self) -> tuple[str, int, str]:
        # Not in `begin`, because http.client reads the reply to CONNECT without it.
        for _ in range(1 + MAX_INTERIM_RESPONSES):
            line: tuple[str, int, str] = super()._read_status()  # type: ignore[misc]  # typeshed leaves it out
            if not is_interim(line[1]):
                return line
            parse_headers(self.fp)
        raise too_many_interim_responses()

    def _get_chunk_left(self) -> int | None:
        """Check the line break behind a chunk, which http.client skips unread, before the size of the next one is read."""
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
            ValueError: The line breaks off, or is no size. http.client makes an `IncompleteRead` of it.
        """
        size = _CHUNK_SIZE.fullmatch(self.fp.readline(MAX_LINE_BYTES + 1))
        if size is None:
            self._close_conn()
            raise ValueError("the size of a chunk breaks off or is no size")
        return int(size[1], 16)

    def _close_conn(self) -> None:
        """Close the file, which http.client does at the end of the body, and the connection if more has been read."""
        connection, self._connection = self._connection, None
        is_current = connection is not None and connection.sock is self._sock
        buffered, is_decrypted = _buffered(self.fp), has_decrypted(self._sock)
        is_out_of_step = is_current and (bool(buffered) or is_decrypted)
        if self.is_file:
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
    """True if a TLS layer holds unread bytes, which no poll of the file descriptor reports."""
    if isinstance(sock, ssl.SSLSocket):
        return sock.pending() > 0
    if isinstance(sock, SSLTransport):  # TLS to the origin within TLS to the proxy
        return sock.incoming.pending > 0 or sock.sslobj.pending() > 0 or has_decrypted(sock.socket)
    return False


def _arrived(sock: Any, *, is_decrypted: bool) -> bytes:
    """Return the first unread bytes that a TLS layer or the system holds, if any, without waiting.

    What the system holds of a TLS connection may be no bytes of HTTP, but a session ticket.
    """
    try:
        if is_decrypted:
            return bytes(sock.recv(BEHIND_BYTES))  # they are lost, but the connection will be closed
        if isinstance(sock, socket.socket) and not isinstance(sock, ssl.SSLSocket) and wait_for_read(sock, timeout=0):
            return socket.socket.recv(sock, BEHIND_BYTES, socket.MSG_PEEK)
    except (OSError, ValueError):  # the connection is broken, or closed
        pass
    return b""


class MatchedConnection(HTTPConnection):
    """A connection whose responses are matched. urllib3 itself closes one that is readable before it is used again."""

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
    """Return a class of connections, such as that for SOCKS proxies, with its responses matched."""
    return kind if issubclass(kind, MatchedConnection) else type(kind.__name__, (MatchedConnection, kind), {})
