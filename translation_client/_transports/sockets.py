"""The sockets, connections and responses of blocking clients.

*Guarded* ones obey the cancel scope of the call that uses them. *Matched* responses are never those to another request.

Guarded sockets block for one slice of time at most. They replace urllib3's below everything that reads or writes: status line,
headers, chunk sizes, body, TLS handshake, a proxy's reply to CONNECT. No thread is needed. Outside a call of ours they
behave as any socket does. Connections through a SOCKS proxy are urllib3's own and obey only its time-outs.

http.client skips no interim response but `100 Continue`, and drops the bytes that it has read beyond the end of a
response. In both cases the next request on the connection would get a response to the one before.
"""

from __future__ import annotations

import os
import queue
import re
import socket
import ssl
import weakref
from collections.abc import Callable, Mapping
from contextlib import nullcontext, suppress
from functools import lru_cache, partial
from http.client import HTTPResponse, IncompleteRead, parse_headers
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import requests
import urllib3
from requests import PreparedRequest
from requests.adapters import HTTPAdapter
from requests.structures import CaseInsensitiveDict
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool
from urllib3.exceptions import NewConnectionError, SSLError
from urllib3.util.connection import is_connection_dropped
from urllib3.util.ssl_ import create_urllib3_context, resolve_cert_reqs
from urllib3.util.ssltransport import SSLTransport
from urllib3.util.wait import wait_for_read, wait_for_write

from .._clock import real_monotonic
from .._models import Fault, header_lines
from .cancel_scope import CURRENT, CancelScope
from .dns import SocketAddress, resolve

MAX_LENGTH_DIGITS = 18
"""More digits than the length of any body has. Python refuses to convert thousands of digits."""

NO_CODING: tuple[list[str], ...] = ([], ["identity"])
"""The transfer codings of a body that is sent as it is."""

CHUNKED_TWICE = ["chunked", "chunked"]
"""The transfer codings if an application and its proxy both name chunked, applied once (RFC 9112, section 6.1)."""


class UnreadableBody(Exception):
    """The body of a response cannot be read: too long, too short, encoded unreadably, or of uncertain length."""


def header_values(headers: Mapping[str, str], name: str) -> list[str]:
    """Return the members of a list header that may be sent several times (RFC 9110, section 5.6.1)."""
    if name not in headers:
        return []  # the most frequent case
    lines = ",".join(header_lines(headers, name))
    return [member for member in map(str.strip, lines.split(",")) if member]


def transfer_codings(headers: Mapping[str, str]) -> list[str]:
    """Return the codings of `Transfer-Encoding` in lower case."""
    codings = header_values(headers, "Transfer-Encoding")
    return [coding.lower() for coding in codings] if codings else codings


def content_length(headers: Mapping[str, str]) -> int | None:
    """Return the length of the encoded body, or None if none is sent, or if a `Transfer-Encoding` overrides it.

    Raises:
        UnreadableBody: `Content-Length` is not a number below 10¹⁸, or several differ (RFC 9112, section 6.3).
    """
    return _length_without_coding(headers) if transfer_codings(headers) in NO_CODING else None


def _length_without_coding(headers: Mapping[str, str]) -> int | None:
    lengths = header_values(headers, "Content-Length")
    if not lengths:
        return None
    if len(lengths) > 1 and len({value.lstrip("0") for value in lengths}) > 1:
        raise UnreadableBody("the response has several Content-Length headers that differ")
    length = lengths[0].lstrip("0") or "0"
    if not (length.isascii() and length.isdecimal()) or len(length) > MAX_LENGTH_DIGITS:
        raise UnreadableBody("the Content-Length of the response is not a length")
    return int(length)


def plain_content_length(headers: Mapping[str, str], *, is_chunked: bool) -> int | None:
    """Return the length as `content_length` does, for a body that is chunked or has no transfer coding.

    Args:
        headers: The headers of the response.
        is_chunked: True if the HTTP library decodes chunks although the headers name chunked twice.

    Raises:
        UnreadableBody: There is another transfer coding, which http.client does not decode. None was accepted by `TE`
            (RFC 9112, sections 6.1 and 7.4). Or the length is invalid.
    """
    codings = transfer_codings(headers)
    if codings in NO_CODING:
        return _length_without_coding(headers)
    if codings != ["chunked"] and not (is_chunked and codings == CHUNKED_TWICE):
        raise UnreadableBody("the body has a transfer coding other than chunked")
    return None


def too_long_error(max_bytes: int) -> UnreadableBody:
    """Return the error for a body of more than `max_bytes`."""
    return UnreadableBody(f"the body is longer than {max_bytes} bytes")


MAX_INTERIM_RESPONSES = 100
"""The most 1xx responses before the final one. A server that sends more is taken to send no final one."""

SWITCHING_PROTOCOLS = 101
"""A final status: what follows it is not HTTP (RFC 9110, section 15.2.2)."""


RESPONSE_START = b"HTTP/"
"""The start of a response. One after a file is no part of the file: some proxies send one without a request."""

TRAILING_BYTES = 16
"""How many bytes after a file are looked at: line breaks are ignored (RFC 9112, section 2.2), as is `RESPONSE_START`."""

MAX_LINE_BYTES = 65536
"""The longest line that http.client reads."""

_CHUNK_SIZE = re.compile(rb"0*([0-9A-Fa-f]{1,15})[ \t]*(;[^\r\n]*)?\r?\n")
"""The line before a chunk: size and extensions (RFC 9112, section 7.1.1). Some servers add blanks after the size."""


def is_interim(status_code: int) -> bool:
    """True for a 1xx response that a final one follows (RFC 9110, section 15.2)."""
    return 100 <= status_code < 200 and status_code != SWITCHING_PROTOCOLS


def too_many_interim_responses() -> Fault:
    """Return the fault for too many 1xx responses before the final one."""
    return Fault("unreadable", f"more than {MAX_INTERIM_RESPONSES} interim (1xx) responses")


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


T = TypeVar("T")

MAX_HOSTS = 4
"""The most hosts, or proxies, with pooled connections: that of the service, and a few that it redirects to."""

MAX_IDLE_CONNECTIONS = 100
"""The most pooled connections for each host."""


class GuardedSocket(socket.socket):
    """A socket that obeys the cancel scope of the call that uses it. It blocks for one slice of time at most."""

    def settimeout(self, value: float | None) -> None:
        """Set the time-out, except during a call: its cancel scope sets it, and each change costs a system call."""
        if CURRENT.scope is None:
            super().settimeout(value)

    def recv(self, *args: Any, **kwargs: Any) -> bytes:
        scope = CURRENT.scope
        if scope is None:
            return super().recv(*args, **kwargs)
        data = _in_slices(self, scope, super().recv, *args, **kwargs)
        scope.record_received()
        return data

    def recv_into(self, *args: Any, **kwargs: Any) -> int:
        scope = CURRENT.scope
        if scope is None:
            return super().recv_into(*args, **kwargs)
        size = _in_slices(self, scope, super().recv_into, *args, **kwargs)
        scope.record_received()
        return size

    def send(self, *args: Any, **kwargs: Any) -> int:
        scope = CURRENT.scope
        if scope is None:
            return super().send(*args, **kwargs)
        scope.has_sent = True  # set first: if it fails, some bytes may have been sent
        count = _in_slices(self, scope, super().send, *args, **kwargs)
        scope.record_sent()
        return count

    def sendall(self, data: Any, flags: int = 0) -> None:
        if CURRENT.scope is None:
            return super().sendall(data, flags)
        rest = memoryview(data).cast("B")
        while rest:  # not the system's sendall: how much it sent is unknown after a time-out
            rest = rest[self.send(rest, flags) :]
        return None


IGNORE_UNEXPECTED_EOF = getattr(ssl, "OP_IGNORE_UNEXPECTED_EOF", 0)
"""The option of OpenSSL 3 that takes the end of a connection for an end of TLS.

Python sets it, and we clear it to detect bodies that are cut off.
"""


class GuardedTLSSocket(GuardedSocket, ssl.SSLSocket):
    """A TLS socket that obeys the cancel scope of the call that uses it, during the handshake too."""

    def recv(self, *args: Any, **kwargs: Any) -> bytes:
        """Read decrypted bytes, or none at the end of TLS or of the connection. That is how urllib3 reads TLS within TLS."""
        try:
            return super().recv(*args, **kwargs)
        except ssl.SSLEOFError:
            return b""  # not recorded: the inner TLS may have ended before

    def recv_into(self, *args: Any, **kwargs: Any) -> int:
        """Read decrypted bytes, or 0 at the end of TLS or of the connection. The latter is recorded."""
        self.suppress_ragged_eofs = False
        try:
            return super().recv_into(*args, **kwargs)
        except ssl.SSLEOFError:
            _record_tls_cut_off()
            return 0

    def do_handshake(self, block: bool = False) -> None:
        """Do the TLS handshake in slices of time."""
        try:
            _in_slices(self, CURRENT.scope, super().do_handshake, block)
        except BaseException:  # older Pythons close the socket only for an OSError
            self.close()
            raise


class GuardedTLSObject(ssl.SSLObject):
    """TLS within TLS, through a proxy, whose end is recorded in the same way."""

    def read(self, len: int = 1024, buffer: Any = None) -> Any:  # noqa: A002  # the name that `ssl` gives it
        """Read decrypted bytes."""
        try:
            return super().read(len, buffer)
        except ssl.SSLEOFError:
            _record_tls_cut_off()
            raise


def _record_tls_cut_off() -> None:
    if CURRENT.scope is not None:
        CURRENT.scope.is_tls_cut_off = True


def _in_slices(
    sock: GuardedSocket, scope: CancelScope | None, operation: Callable[..., T], *args: Any, **kwargs: Any
) -> T:
    if scope is None:
        return operation(*args, **kwargs)
    while True:
        seconds = scope.next_slice()
        if sock.gettimeout() != seconds:
            socket.socket.settimeout(sock, seconds)  # ours does nothing during a call
        began_at = real_monotonic()
        try:
            return operation(*args, **kwargs)
        except TimeoutError:
            continue  # only the slice has ended; the scope raises when the call has
        finally:
            scope.stopwatch.add(real_monotonic() - began_at)


class GuardedHTTPConnection(MatchedConnection):
    """urllib3's plain connection over a `GuardedSocket`. It tries all addresses of the host within the limits of a call."""

    def _new_conn(self) -> socket.socket:
        scope = CURRENT.scope
        if scope is None:
            return super()._new_conn()
        try:
            return _connect_to_any(self, scope)
        except OSError as error:
            raise NewConnectionError(self, f"Failed to establish a new connection: {error}") from error


def _connect_to_any(connection: HTTPConnection, scope: CancelScope) -> socket.socket:
    host = connection._dns_host.strip("[]")
    addresses = resolve(host, connection.port or connection.default_port, scope)
    refusal: OSError = OSError(f"{host} has no address")
    for done, address in enumerate(addresses):
        share = scope.require_remaining() / (len(addresses) - done)
        try:
            return _connect(connection, address, scope, share)
        except OSError as error:  # the next address may work
            refusal = error
    raise refusal


def _connect(connection: HTTPConnection, address: SocketAddress, scope: CancelScope, seconds: float) -> socket.socket:
    family, kind, protocol, _, peer = address
    sock = GuardedSocket(family, kind, protocol)
    try:
        for option in connection.socket_options or ():
            sock.setsockopt(*option)
        if connection.source_address:
            sock.bind(connection.source_address)
        _connect_in_slices(sock, peer, scope, seconds)
    except BaseException:
        sock.close()
        raise
    return sock


def _connect_in_slices(sock: GuardedSocket, peer: Any, scope: CancelScope, seconds: float) -> None:
    # The seconds left of the call when the share of this address is used up.
    share_ends = scope.require_remaining() - seconds
    sock.setblocking(False)
    with suppress(BlockingIOError):  # the connection is in progress
        sock.connect(peer)
    while not _is_connected_within(sock, min(scope.next_slice(), seconds), scope):
        if scope.require_remaining() <= share_ends:
            raise TimeoutError("no response to the attempt to connect")
    refused = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if refused:
        raise OSError(refused, os.strerror(refused))
    # Blocking again: TLS refuses a non-blocking socket, and inherits its time-out.
    socket.socket.settimeout(sock, scope.require_remaining())


def _is_connected_within(sock: GuardedSocket, seconds: float, scope: CancelScope) -> bool:
    with scope.stopwatch.measure():
        return wait_for_write(sock, timeout=seconds)


class GuardedHTTPSConnection(GuardedHTTPConnection, HTTPSConnection):
    """urllib3's TLS connection over a `GuardedTLSSocket`."""

    def connect(self) -> None:
        """Connect with a TLS context for `GuardedTLSSocket`."""
        self.ssl_context = self.ssl_context or _tls_context(self)
        self.ssl_context.sslsocket_class = GuardedTLSSocket
        self.ssl_context.sslobject_class = GuardedTLSObject
        self.ssl_context.options &= ~IGNORE_UNEXPECTED_EOF
        super().connect()
        if isinstance(self.sock, ssl.SSLSocket) and not isinstance(self.sock, GuardedSocket):
            self.sock.__class__ = _guarded(type(self.sock))  # the context has sockets of its own, as that of truststore
        if not isinstance(self.sock, (GuardedSocket, SSLTransport)):
            _record_unguarded()

    def _connect_tls_proxy(self, *args: Any, **kwargs: Any) -> Any:
        # urllib3 creates the context for a proxy itself, and the deadline of its handshake is the socket's own.
        scope = CURRENT.scope
        with nullcontext() if scope is None else scope.stopwatch.measure():
            secured = super()._connect_tls_proxy(*args, **kwargs)
        if isinstance(secured, ssl.SSLSocket) and not isinstance(secured, GuardedSocket):
            secured.__class__ = _guarded(type(secured))
        return secured


def _tls_context(connection: HTTPSConnection) -> ssl.SSLContext:
    """Return the TLS context for a connection. Those with the same CA bundle share one, if that is safe.

    A context of another library may have a lock for the length of a handshake (truststore), or be used once (pyOpenSSL). The
    certificates that were read from a directory stay in a context, even if they are removed from there.
    """
    is_standard = urllib3.util.ssl_.SSLContext is ssl.SSLContext and ssl.SSLContext.__module__ == "ssl"
    if connection.ca_certs is None or connection.ca_cert_dir is not None or not is_standard:
        return create_urllib3_context(cert_reqs=resolve_cert_reqs(connection.cert_reqs))
    try:
        found = Path(connection.ca_certs).stat()
        version = (found.st_mtime_ns, found.st_size, found.st_ino)
        return _shared_tls_context(connection.cert_reqs, connection.ca_certs, version)
    except OSError as error:
        raise SSLError(error) from error


@lru_cache(maxsize=8)
def _shared_tls_context(cert_reqs: Any, bundle: str, _: object) -> ssl.SSLContext:
    """Return a TLS context with a CA bundle. urllib3 reads it for each connection, which takes some 20 ms and 0.7 MB."""
    context = create_urllib3_context(cert_reqs=resolve_cert_reqs(cert_reqs))
    context.load_verify_locations(bundle)
    vars(context)["load_verify_locations"] = _do_nothing  # as urllib3 would read it again
    return context


def _do_nothing(*_: object) -> None:
    pass


def _guarded(kind: type[ssl.SSLSocket]) -> type[GuardedTLSSocket]:
    """Return the class of a TLS socket with the methods of `GuardedTLSSocket` before its own."""
    return GuardedTLSSocket if kind is ssl.SSLSocket else type(kind.__name__, (GuardedTLSSocket, kind), {})


def connection_class(kind: type[HTTPConnection]) -> type[HTTPConnection]:
    """Return the class to use for the connections of a pool in place of `kind`: `kind` itself if it is one of ours."""
    if issubclass(kind, MatchedConnection):  # the pool has come before: several origins may share that of a proxy
        return kind
    return _GUARDED.get(kind) or unguarded(kind)


def unguarded(kind: type[HTTPConnection]) -> type[HTTPConnection]:
    """Return a class of connections over sockets that are not ours, with matched responses."""

    def connect(self: HTTPConnection) -> None:
        _record_unguarded()
        super(made, self).connect()

    made: type[HTTPConnection] = type(kind.__name__, (matched(kind),), {"connect": connect})
    return made


def _record_unguarded() -> None:
    if CURRENT.scope is not None:
        CURRENT.scope.is_unguarded = True


_GUARDED = {HTTPConnection: GuardedHTTPConnection, HTTPSConnection: GuardedHTTPSConnection}


class GuardedAdapter(HTTPAdapter):
    """A transport adapter whose connections obey the cancel scope. It never retries; the policy above it does."""

    def __init__(self) -> None:
        super().__init__(pool_connections=MAX_HOSTS, pool_maxsize=MAX_IDLE_CONNECTIONS, max_retries=0)
        self._pools: dict[tuple[Any, ...], Any] = {}

    def get_connection_with_tls_context(
        self, request: PreparedRequest, verify: Any, proxies: Any = None, cert: Any = None
    ) -> HTTPConnectionPool:
        """Return the pool that requests chooses, direct or by proxy, with connections of ours.

        The choice is cached: it takes a tenth of the time of a whole call.
        """
        origin = urlsplit(request.url or "")[:2]
        key = (*origin, str(verify), str(cert), *sorted((proxies or {}).items()))
        pool: Any = self._pools.get(key)
        if pool is None:
            pool = super().get_connection_with_tls_context(request, verify, proxies, cert)
            pool.ConnectionCls = connection_class(pool.ConnectionCls)
            pool._get_conn = partial(_connection_for_url, weakref.ref(pool))  # weak, or the pool would hold itself
            self._pools = {**(self._pools if len(self._pools) < MAX_HOSTS else {}), key: pool}
        guarded: HTTPConnectionPool = pool
        return guarded

    def close(self) -> None:
        """Close the idle connections. urllib3 leaves that to the garbage collector, but we keep the pools."""
        pools, self._pools = self._pools, {}
        for pool in pools.values():
            pool.close()
        super().close()

    def close_idle(self) -> None:
        """Close the idle connections. The pools stay, as connections in use are returned to them."""
        for pool in self._pools.values():
            _close_all(pool.pool)

    def request_url(self, request: PreparedRequest, proxies: Any) -> str:
        """Return the target of the request line: always the path if there is no proxy."""
        return super().request_url(request, proxies) if proxies else request.path_url

    def build_response(self, req: PreparedRequest, resp: Any) -> requests.Response:
        """Build a response as requests does, without cookies and a guessed encoding, which are not needed."""
        response = requests.Response()
        response.status_code = resp.status
        response.reason = resp.reason
        response.headers = CaseInsensitiveDict(resp.headers)
        response.raw = resp
        response.url = req.url or ""
        response.request = req
        return response


def _connection_for_url(reference: Callable[[], Any], timeout: float | None = None) -> Any:
    """Return a connection of a pool whose last request was for `reuse_url` of the cancel scope, or else a new one.

    A new one replaces the one that is idle longest, if any is idle. So a pool never has more connections than it had
    concurrent calls.
    """
    pool, scope = reference(), CURRENT.scope
    idle, url = pool.pool, None if scope is None else scope.reuse_url
    if url is None or idle is None:
        return type(pool)._get_conn(pool, timeout)
    connection = _take_idle(idle, url)
    if connection is None or connection.reuse_url != url or is_connection_dropped(connection):
        if connection is not None:
            connection.close()
        connection = pool._new_conn()
    connection.reuse_url, connection.taken_at = url, real_monotonic()
    return connection


def _take_idle(idle: queue.LifoQueue[MatchedConnection | None], url: str) -> MatchedConnection | None:
    """Remove from a pool the connection whose last request was for a URL, or else the one that is idle longest.

    Returns None if no connection is idle.
    """

    def preference(connection: MatchedConnection) -> tuple[bool, float]:
        is_own = connection.reuse_url == url
        return is_own, connection.taken_at if is_own else -connection.taken_at

    with idle.mutex:
        places = list(idle.queue)
        if not places:
            return None
        connected = [connection for connection in places if connection is not None and connection.sock is not None]
        taken = max(connected, key=preference, default=None)
        places.remove(taken if connected else places[-1])
        idle.queue = places  # at once: a signal handler may raise at any line
    return taken


def _close_all(idle: queue.LifoQueue[HTTPConnection | None] | None) -> None:
    with suppress(queue.Empty):
        while idle is not None:
            connection = idle.get(block=False)
            if connection is not None:
                connection.close()
