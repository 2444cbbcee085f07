"""How does a connection keep to the limits of the call that uses it, whatever the peer does?

By sockets that block for a slice at a time. They stand in for urllib3's below everything that reads or writes: status
line, headers, chunk sizes, body, TLS handshake, a proxy's reply to CONNECT. No thread is spent on it. Outside a guarded
call they behave as any socket does. Connections through a SOCKS proxy are urllib3's own and keep its time-outs alone.
"""

from __future__ import annotations

import os
import queue
import socket
import ssl
from collections.abc import Callable
from contextlib import nullcontext, suppress
from typing import Any, TypeVar
from urllib.parse import urlsplit

from requests import PreparedRequest, Response
from requests.adapters import HTTPAdapter
from requests.structures import CaseInsensitiveDict
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool
from urllib3.exceptions import NewConnectionError
from urllib3.util.ssl_ import create_urllib3_context, resolve_cert_reqs
from urllib3.util.wait import wait_for_write

from ..clock import real_monotonic
from .guard import CallGuard, current_guard
from .names import SocketAddress, resolve
from .responses import MatchedConnection, matched

T = TypeVar("T")

MAX_HOSTS = 4
"""Hosts that connections are kept for: that of the service, and a few that it redirects to."""

MAX_IDLE_CONNECTIONS = 100
"""Connections kept for reuse for each host: one for each thread that shares a client, up to this many."""


class _SlicedIO(socket.socket):
    """Reading and writing in slices of time."""

    def settimeout(self, value: float | None) -> None:
        """During a guarded call the guard alone says how long to block, and urllib3's opinion costs system calls."""
        if current_guard() is None:
            super().settimeout(value)

    def block_for(self, seconds: float) -> None:
        """Set the time-out of the next operation."""
        if self.gettimeout() != seconds:
            super().settimeout(seconds)

    def recv(self, *args: Any, **kwargs: Any) -> bytes:
        data = _in_slices(self, super().recv, *args, **kwargs)
        _heard_of()
        return data

    def recv_into(self, *args: Any, **kwargs: Any) -> int:
        size = _in_slices(self, super().recv_into, *args, **kwargs)
        _heard_of()
        return size

    def send(self, *args: Any, **kwargs: Any) -> int:
        guard = current_guard()
        if guard is None:
            return super().send(*args, **kwargs)
        guard.has_sent = True  # before, as nobody knows what of it went out where it fails
        count = _in_slices(self, super().send, *args, **kwargs)
        guard.sent()
        return count

    def sendall(self, data: Any, flags: int = 0) -> None:
        if current_guard() is None:
            return super().sendall(data, flags)
        rest = memoryview(data).cast("B")
        while rest:  # not the system's sendall: after a time-out nobody knows how much of it was sent
            rest = rest[self.send(rest, flags) :]
        return None


class GuardedSocket(_SlicedIO):
    """A socket that obeys the guard of the call that uses it."""


class GuardedTLSSocket(_SlicedIO, ssl.SSLSocket):
    """The same over TLS, its handshake included."""

    def do_handshake(self, block: bool = False) -> None:
        """Shake hands in slices of time."""
        try:
            _in_slices(self, super().do_handshake, block)
        except BaseException:  # of these, older Pythons close the socket for an OSError alone
            self.close()
            raise


def _in_slices(sock: _SlicedIO, operation: Callable[..., T], *args: Any, **kwargs: Any) -> T:
    guard = current_guard()
    if guard is None:
        return operation(*args, **kwargs)
    while True:
        sock.block_for(guard.slice())
        began_at = real_monotonic()
        try:
            return operation(*args, **kwargs)
        except TimeoutError:
            continue  # only the slice is over; the guard says when the call is
        finally:
            guard.watch.add(real_monotonic() - began_at)


def _heard_of() -> None:
    guard = current_guard()
    if guard is not None:
        guard.received()


class _GuardedConnecting(MatchedConnection):
    """Connecting within the limits of the call, all addresses of the host together."""

    def _new_conn(self) -> socket.socket:
        guard = current_guard()
        if guard is None:
            return super()._new_conn()
        try:
            return _connect_to_any(self, guard)
        except OSError as error:
            raise NewConnectionError(self, f"Failed to establish a new connection: {error}") from error


def _connect_to_any(connection: HTTPConnection, guard: CallGuard) -> socket.socket:
    host = connection._dns_host.strip("[]")
    addresses = resolve(host, connection.port or connection.default_port, guard)
    refusal: OSError = OSError(f"{host} has no address")
    for done, address in enumerate(addresses):
        share = guard.left() / (len(addresses) - done)
        try:
            return _connect(connection, address, guard, share)
        except OSError as error:  # the next address may be better
            refusal = error
    raise refusal


def _connect(connection: HTTPConnection, address: SocketAddress, guard: CallGuard, seconds: float) -> socket.socket:
    family, kind, protocol, _, peer = address
    sock = GuardedSocket(family, kind, protocol)
    try:
        for option in connection.socket_options or ():
            sock.setsockopt(*option)
        if connection.source_address:
            sock.bind(connection.source_address)
        _connect_in_slices(sock, peer, guard, seconds)
    except BaseException:
        sock.close()
        raise
    return sock


def _connect_in_slices(sock: GuardedSocket, peer: Any, guard: CallGuard, seconds: float) -> None:
    share_ends = guard.left() - seconds  # what is left of the call when the share of this address is used up
    sock.setblocking(False)
    with suppress(BlockingIOError):  # it is under way
        sock.connect(peer)
    while not _is_connected_within(sock, min(guard.slice(), seconds), guard):
        if guard.left() <= share_ends:
            raise TimeoutError("no answer to the attempt to connect")
    refused = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if refused:
        raise OSError(refused, os.strerror(refused))
    sock.block_for(guard.left())  # blocking again: TLS refuses a socket that is not, and takes over its time-out


def _is_connected_within(sock: GuardedSocket, seconds: float, guard: CallGuard) -> bool:
    with guard.watch.measure():
        return wait_for_write(sock, timeout=seconds)


class GuardedHTTPConnection(_GuardedConnecting):
    """urllib3's plain connection over a guarded socket."""


class GuardedHTTPSConnection(_GuardedConnecting, HTTPSConnection):
    """urllib3's TLS connection over a guarded socket."""

    def connect(self) -> None:
        """Connect with a context whose sockets are guarded; urllib3 makes one for each connection too."""
        if self.ssl_context is None:
            self.ssl_context = create_urllib3_context(cert_reqs=resolve_cert_reqs(self.cert_reqs))
        self.ssl_context.sslsocket_class = GuardedTLSSocket
        super().connect()

    def _connect_tls_proxy(self, *args: Any, **kwargs: Any) -> Any:
        # urllib3 makes the context for a proxy out of our reach, and the deadline of its handshake is the socket's own.
        guard = current_guard()
        with nullcontext() if guard is None else guard.watch.measure():
            secured = super()._connect_tls_proxy(*args, **kwargs)
        if type(secured) is ssl.SSLSocket:
            secured.__class__ = GuardedTLSSocket
        return secured


_GUARDED = {HTTPConnection: GuardedHTTPConnection, HTTPSConnection: GuardedHTTPSConnection}


class GuardedAdapter(HTTPAdapter):
    """A transport adapter whose connections are guarded. It repeats nothing: when to ask again is not its business."""

    def __init__(self) -> None:
        super().__init__(pool_connections=MAX_HOSTS, pool_maxsize=MAX_IDLE_CONNECTIONS, max_retries=0)
        self._pools: dict[tuple[Any, ...], Any] = {}

    def get_connection_with_tls_context(
        self, request: PreparedRequest, verify: Any, proxies: Any = None, cert: Any = None
    ) -> HTTPConnectionPool:
        """Choose the pool as requests does, direct or by proxy, and have it make guarded connections.

        The choice is remembered: making it is a tenth of the work of a whole call.
        """
        origin = urlsplit(request.url or "")[:2]
        key = (*origin, str(verify), str(cert), *sorted((proxies or {}).items()))
        pool: Any = self._pools.get(key)
        if pool is None:
            pool = super().get_connection_with_tls_context(request, verify, proxies, cert)
            pool.ConnectionCls = _GUARDED.get(pool.ConnectionCls) or matched(pool.ConnectionCls)
            self._pools = {**(self._pools if len(self._pools) < MAX_HOSTS else {}), key: pool}
        guarded: HTTPConnectionPool = pool
        return guarded

    def close(self) -> None:
        """Close the idle connections; urllib3 leaves that to the garbage collector, and we hold on to the pools."""
        pools, self._pools = self._pools, {}
        for pool in pools.values():
            pool.close()
        super().close()

    def close_idle(self) -> None:
        """Close the idle connections. The pools stay, as connections in use come back to them."""
        for pool in self._pools.values():
            _close_all(pool.pool)

    def request_url(self, request: PreparedRequest, proxies: Any) -> str:
        """Say what stands in the request line: without a proxy always the path."""
        return super().request_url(request, proxies) if proxies else request.path_url

    def build_response(self, req: PreparedRequest, resp: Any) -> Response:
        """Make a response as requests does, but for the cookies and the guess of an encoding, which nobody asks for."""
        response = Response()
        response.status_code = resp.status
        response.reason = resp.reason
        response.headers = CaseInsensitiveDict(resp.headers)
        response.raw = resp
        response.url = req.url or ""
        response.request = req
        return response


def _close_all(idle: queue.LifoQueue[HTTPConnection | None] | None) -> None:
    with suppress(queue.Empty):
        while idle is not None:
            connection = idle.get(block=False)
            if connection is not None:
                connection.close()
