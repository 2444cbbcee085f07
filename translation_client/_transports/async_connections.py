"""The connections of aiohttp: matched to requests, each reused for the same URL alone, told to the cancel scope."""

from __future__ import annotations

import asyncio
import socket
import ssl
from functools import partial
from typing import Any
from weakref import WeakSet

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.client_proto import ResponseHandler
from aiohttp.client_reqrep import ConnectionKey
from aiohttp.http_exceptions import HttpProcessingError
from urllib3.util.wait import wait_for_read

from .async_cancel_scope import CURRENT_SCOPE, abort
from .dns import lookup_async
from .event_loop import yield_to_loop
from .framing import MAX_INTERIM_RESPONSES, NO_BODY_CODES, announces_body, is_interim, too_many_interim_responses
from .response_end import ResponseEnd

MAX_CONNECTIONS = 100
"""Concurrent connections, to all hosts together. A call that finds none free waits for one, until its own deadline."""


def new_connector() -> Connector:
    return Connector(limit=MAX_CONNECTIONS, resolver=Resolver(), use_dns_cache=False, enable_cleanup_closed=False)


class RequestPooledByURL(aiohttp.ClientRequest):
    """A request that reuses a connection only for the same `reuse_url`: that is put into the key of aiohttp's pool."""

    @property
    def connection_key(self) -> ConnectionKey:
        """The key in the pool of connections."""
        key, scope = super().connection_key, CURRENT_SCOPE.get()
        url = None if scope is None else scope.reuse_url
        hash_and_url: Any = (key.proxy_headers_hash, url)  # aiohttp only compares it
        return key if url is None else key._replace(proxy_headers_hash=hash_and_url)


def _without_url(key: ConnectionKey) -> ConnectionKey:
    return key._replace(proxy_headers_hash=None)


class Connector(aiohttp.TCPConnector):
    """A connection pool that tells each cancel scope its connection, and replaces idle ones.

    At the end it aborts all connections, whatever they still buffer.
    """

    def __init__(self, **more: Any) -> None:
        super().__init__(**more)
        self._factory: Any = partial(MatchedProtocol, loop=self._loop)
        self._made: WeakSet[Any] = WeakSet()
        self._protocols: WeakSet[MatchedProtocol] = WeakSet()

    async def connect(self, *call: Any, **more: Any) -> Any:
        """Return a connection, new or pooled."""
        connection = await super().connect(*call, **more)
        if isinstance(connection.protocol, MatchedProtocol):
            self._protocols.add(connection.protocol)
        transport = connection.transport
        if transport is not None:
            self._made.add(transport)
            scope = CURRENT_SCOPE.get()
            if scope is not None:
                scope.record_connection(connection)
        return connection

    async def _create_connection(self, req: aiohttp.ClientRequest, *call: Any, **more: Any) -> Any:
        """Open a connection in place of the one to the same host that is idle longest, if any is idle.

        So a host never has more connections than it had concurrent calls.
        """
        self._abort_longest_idle(_without_url(req.connection_key))
        await yield_to_loop()  # one step of the event loop, which closes the socket of the idle or unusable one
        return await super()._create_connection(req, *call, **more)

    def _abort_longest_idle(self, host: ConnectionKey) -> None:
        keys = [key for key in self._conns if _without_url(key) == host]
        if not keys:
            return
        key = min(keys, key=lambda key: self._conns[key][0][1])
        protocol, _ = self._conns[key].popleft()
        if not self._conns[key]:
            del self._conns[key]
        if protocol.transport is not None:
            abort(protocol.transport)

    def forbid_reuse(self) -> None:
        """Mark the current connections as not reusable."""
        for protocol in self._protocols:
            protocol.forbid_reuse()

    def abort(self) -> None:
        """Abort all connections."""
        for transport in tuple(self._made):
            abort(transport)


class TLSObject(ssl.SSLObject):
    """A TLS connection that records whether the server has closed it, by the alert `close_notify`."""

    is_closed_by_server = False

    def read(self, len: int = 1024, buffer: Any = None) -> Any:  # noqa: A002  # the name that `ssl` gives it
        """Read decrypted bytes. An empty read means that the alert came: a connection that merely ends brings none."""
        read = super().read(len, buffer)
        self.is_closed_by_server = self.is_closed_by_server or not read
        return read


class MatchedProtocol(ResponseHandler):
    """A protocol whose connection is reused only after the whole response, and if nothing is unread.

    It also limits interim responses.

    Attributes:
        is_tls_cut_off: True if the connection has ended, but the server has not sent `close_notify`. Then a body with
            neither a length nor chunks may be incomplete (RFC 9112, sections 8 and 9.8).
    """

    is_tls_cut_off = False

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self._tls: Any = None
        self._interim_responses = 0
        self._message: Any = None
        self._end = ResponseEnd()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start to use a connection."""
        self._tls = transport.get_extra_info("ssl_object")
        super().connection_made(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Record how the connection has ended."""
        self.is_tls_cut_off = isinstance(self._tls, TLSObject) and not self._tls.is_closed_by_server
        super().connection_lost(exc)

    def is_connected(self) -> bool:
        """True if the next request may use the connection. The pool checks it for an idle one."""
        return super().is_connected() and self._end.is_reached(self._message) and not _has_unread(self)

    def set_response_params(self, **params: Any) -> None:
        """Start to read the response to another request."""
        self._message, self._end = None, ResponseEnd()
        super().set_response_params(**params)

    def data_received(self, data: bytes) -> None:
        """Process bytes of the connection, expected or not."""
        self._end.feed(data)
        super().data_received(data)

    def forbid_reuse(self) -> None:
        """Mark the connection as not reusable. aiohttp 3.11.0 has no method for this."""
        self._should_close = True

    async def read(self) -> Any:
        """Return the head and the body of the next response. aiohttp itself skips an interim one.

        Raises:
            Fault: There are more than `MAX_INTERIM_RESPONSES` interim ones.
        """
        message, body = await super().read()
        self._message = message
        self._interim_responses = self._interim_responses + 1 if is_interim(message.code) else 0
        if self._interim_responses > MAX_INTERIM_RESPONSES:
            raise too_many_interim_responses()
        if message.code in NO_BODY_CODES and announces_body(message.code, message.headers):
            self.forbid_reuse()
        return message, body


def _has_unread(protocol: ResponseHandler) -> bool:
    """True if an idle connection has unread bytes, in whatever buffer, or the server has closed it."""
    transport = protocol.transport
    if transport is None or protocol.should_close or _is_amid_message(protocol._parser):
        return True
    tls = transport.get_extra_info("ssl_object")
    if tls is not None and tls.pending() > 0:
        return True
    sock = transport.get_extra_info("socket")
    return sock is not None and bool(wait_for_read(sock, timeout=0))


def _is_amid_message(parser: Any) -> bool:
    """True if there is no parser, or it holds the beginning of a response.

    `feed_eof` uses up the parser, but each request creates a new one.
    """
    if parser is None or any(getattr(parser, name, None) for name in ("_tail", "_lines")):  # of the Python parser
        return True
    try:
        return parser.feed_eof() is not None
    except HttpProcessingError:
        return True


class Resolver(AbstractResolver):
    """A resolver that looks up names as the blocking transport does.

    In one daemon thread for each name, which does not delay the exit.
    """

    async def resolve(self, host: str, port: int = 0, family: int = socket.AF_INET) -> list[ResolveResult]:
        """Return the addresses of a host."""
        addresses = await lookup_async(host, port)
        return [
            ResolveResult(
                hostname=host,
                host=address[0],
                port=address[1],
                family=kind,
                proto=protocol,
                flags=socket.AI_NUMERICHOST,
            )
            for kind, _, protocol, _, address in addresses
            if family in (socket.AF_UNSPEC, kind)
        ]

    async def close(self) -> None:
        """Do nothing: there is nothing to close."""
