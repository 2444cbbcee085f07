"""Responses of the blocking client, matched to their requests.

http.client skips `100 Continue` alone, and drops the bytes that it has read beyond the end of a response. Either way the
connection is out of step, and the next request on it would get the response to the one before.
"""

from __future__ import annotations

import ssl
from http.client import HTTPResponse, parse_headers
from typing import Any

from urllib3.connection import HTTPConnection
from urllib3.util.ssltransport import SSLTransport

from ..faults import Fault

MAX_INTERIM_RESPONSES = 100
"""1xx responses before the final one. A server that sends more of them is taken to send no final one."""

SWITCHING_PROTOCOLS = 101
"""Final: what follows it is not HTTP any more (RFC 9110, section 15.2.2)."""


def is_interim(status_code: int) -> bool:
    """True for a 1xx response that a final one follows (RFC 9110, section 15.2)."""
    return 100 <= status_code < 200 and status_code != SWITCHING_PROTOCOLS


def too_many_interim_responses() -> Fault:
    """Return the fault for a response that never gets to its final part."""
    return Fault("unreadable", f"more than {MAX_INTERIM_RESPONSES} interim (1xx) responses")


class MatchedResponse(HTTPResponse):
    """A response that skips the interim ones before it, and closes its connection if bytes follow it."""

    def __init__(self, connection: HTTPConnection, sock: Any, debuglevel: int, method: str | None) -> None:
        super().__init__(sock, debuglevel, method)
        self._sock = sock
        self._connection: HTTPConnection | None = connection

    def _read_status(self) -> tuple[str, int, str]:
        # Not in `begin`, because http.client reads the reply to CONNECT without it.
        for _ in range(1 + MAX_INTERIM_RESPONSES):
            line: tuple[str, int, str] = super()._read_status()  # type: ignore[misc]  # typeshed leaves it out
            if not is_interim(line[1]):
                return line
            parse_headers(self.fp)
        raise too_many_interim_responses()

    def _close_conn(self) -> None:
        """Close the file, which http.client does at the end of the body, and the connection if more has been read."""
        connection, self._connection = self._connection, None
        is_current = connection is not None and connection.sock is self._sock
        is_out_of_step = is_current and (_has_buffered(self.fp) or has_decrypted(self._sock))
        super()._close_conn()  # type: ignore[misc]  # typeshed leaves it out
        if connection is not None and is_out_of_step:
            connection.close()


def _has_buffered(fp: Any) -> bool:
    vars(fp.raw)["readinto"] = _read_nothing  # or `peek` would wait for the next byte
    return bool(fp.peek(1))


def _read_nothing(_: Any) -> int:
    return 0


def has_decrypted(sock: Any) -> bool:
    """True if a TLS layer holds unread bytes, which no poll of the file descriptor reports."""
    if isinstance(sock, ssl.SSLSocket):
        return sock.pending() > 0
    if isinstance(sock, SSLTransport):  # TLS to the origin within TLS to the proxy
        return sock.incoming.pending > 0 or sock.sslobj.pending() > 0 or has_decrypted(sock.socket)
    return False


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
