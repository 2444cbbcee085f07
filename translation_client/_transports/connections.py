"""Connections over guarded sockets. Those through a SOCKS proxy are urllib3's own and obey only its timeouts."""

from __future__ import annotations

import os
import socket
import ssl
from contextlib import nullcontext, suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import NewConnectionError, SSLError
from urllib3.util.ssl_ import create_urllib3_context, resolve_cert_reqs
from urllib3.util.ssltransport import SSLTransport
from urllib3.util.wait import wait_for_write

from .cancel_scope import CURRENT, CancelScope
from .dns import SocketAddress, resolve
from .matched_response import MatchedConnection, matched
from .sockets import IGNORE_UNEXPECTED_EOF, GuardedSocket, GuardedTLSObject, GuardedTLSSocket, guarded


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
    # Blocking again: TLS refuses a non-blocking socket, and inherits its timeout.
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
            self.sock.__class__ = guarded(type(self.sock))  # the context has sockets of its own, as that of truststore
        if not isinstance(self.sock, (GuardedSocket, SSLTransport)):
            _record_unguarded()

    def _connect_tls_proxy(self, *args: Any, **kwargs: Any) -> Any:
        # urllib3 creates the context for a proxy itself, and the deadline of its handshake is the socket's own.
        scope = CURRENT.scope
        with nullcontext() if scope is None else scope.stopwatch.measure():
            secured = super()._connect_tls_proxy(*args, **kwargs)
        if isinstance(secured, ssl.SSLSocket) and not isinstance(secured, GuardedSocket):
            secured.__class__ = guarded(type(secured))
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
        file = Path(connection.ca_certs).stat()
        version = (file.st_mtime_ns, file.st_size, file.st_ino)
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
