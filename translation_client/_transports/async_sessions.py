"""The sessions of aiohttp of one client: our own, with connections that match responses to requests, or the caller's."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any
from weakref import WeakSet

import aiohttp
import certifi
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.client_proto import ResponseHandler
from aiohttp.client_reqrep import ConnectionKey
from aiohttp.helpers import basicauth_from_netrc, get_env_proxy_for_url, netrc_from_env
from aiohttp.http_exceptions import HttpProcessingError
from multidict import CIMultiDict
from requests.utils import get_environ_proxies, prepend_scheme_if_needed, select_proxy
from urllib3.util.wait import wait_for_read
from yarl import URL

from .._models import Fault
from .async_cancel_scope import CURRENT_SCOPE, abort
from .dns import lookup_async
from .errors import NO_CA_BUNDLE, RequestNotSent
from .event_loop import yield_to_loop
from .response_end import ResponseEnd
from .sockets import (
    MAX_INTERIM_RESPONSES,
    is_interim,
    too_many_interim_responses,
)

MAX_CONNECTIONS = 100
"""Concurrent connections, to all hosts together. A call that finds none free waits for one, until its own deadline."""

MAX_LINE_BYTES = 65536
"""The longest line of a response's head, as in http.client."""

AUTH_CONFLICT = (
    "session (by auth, or by trust_env and a .netrc) and client (by api_key, headers or base_url) both have credentials, and "
    "aiohttp sends one Authorization header: leave out one of the two"
)

NO_LIMIT = aiohttp.ClientTimeout(total=None, connect=None, sock_connect=None, sock_read=None)
"""No time-outs of aiohttp: our own limits apply to each call."""

MAX_PROXIES_KEPT = 16


class Sessions:
    """The sessions of one client, for one event loop."""

    def __init__(self, callers: aiohttp.ClientSession | None) -> None:
        """Create no session yet.

        Args:
            callers: The caller's session, used as it is and never closed; None for our own.
        """
        self._callers = callers
        self._connector: _Connector | None = None
        self._pool: aiohttp.ClientSession | None = None
        self._proxies: dict[str, str | None] = {}
        self._trusted: ssl.SSLContext | None = None

    def request(
        self,
        method: str,
        url: URL,
        headers: Mapping[str, str],
        data: Any,
        trace: Any,
        *,
        is_cross_origin: bool,
        new_connection: bool,
    ) -> Any:
        """Return an asynchronous context manager that sends a request and yields the response. No redirect is followed.

        Without a session of the caller's, any request but a GET has a new connection of its own: a late response to it
        would otherwise be taken for the response to the next request. A caller's session always uses its own pool.

        Args:
            method: The HTTP method in capitals.
            url: The absolute URL, encoded.
            headers: All headers.
            data: The body.
            trace: Its `has_sent` becomes True once the request headers are sent. For a GET on a pooled connection, or on a
                caller's session, it is set before.
            is_cross_origin: True if the origin is not that of `base_url`. It gets no default header, cookie or auth of the
                caller's session.
            new_connection: True to open a new connection for a GET too. Ignored for a caller's session.
        """
        more = {"headers": headers, "data": data, "allow_redirects": False, "timeout": NO_LIMIT}
        more["auto_decompress"] = False  # bodies are decoded by us, under a cap, and ranges count encoded bytes
        if self._callers is not None:
            if self._callers.closed is True:  # that of a mock is truthy, too
                raise RequestNotSent(RuntimeError("Session is closed"))
            trace.has_sent = True  # the caller's session is not traced
            if is_cross_origin and _adds_to_requests(self._callers, url):
                return _request_without_defaults(self._callers, method, url, more)
            if not is_cross_origin and "authorization" in map(str.lower, headers) and _reads_netrc(self._callers, url):
                raise auth_conflict()
            return self._callers.request(method, url, **more)
        more["proxy"] = self._proxy_of(url)
        if url.scheme == "https" or (more["proxy"] or "").startswith("https"):
            more["ssl"] = self._trust()
        if new_connection or method != "GET":
            return _request_on_new_connection(method, url, more, trace)
        trace.has_sent = True  # whether a GET was sent makes no difference
        return self._pooled().request(method, url, **more)

    def close_idle(self) -> None:
        """Mark the current connections as not reusable. Each is closed after its response, or before it would be reused."""
        if self._connector is not None:
            self._connector.distrust_all()

    async def close(self) -> None:
        """Close our own sessions and connections."""
        if self._pool is not None:
            await self._pool.close()
        if self._connector is not None:
            self._connector.abort()
            await self._connector.close()
            await yield_to_loop()  # one step of the event loop, in which the connections close

    def _pooled(self) -> aiohttp.ClientSession:
        if self._connector is None:
            self._connector = _connector()
        self._pool = self._pool or _session(self._connector, owns=False)
        return self._pool

    def _proxy_of(self, url: URL) -> str | None:
        """Return the proxy of the environment, which is read once for each origin."""
        origin = f"{url.scheme}://{url.raw_authority}"
        if origin not in self._proxies:
            if len(self._proxies) >= MAX_PROXIES_KEPT:
                self._proxies.clear()
            self._proxies[origin] = _usable(select_proxy(origin, get_environ_proxies(origin, no_proxy=None)))
        return self._proxies[origin]

    def _trust(self) -> ssl.SSLContext:
        """Return the TLS context. It is created at the first HTTPS request, as reading a CA bundle takes 25 ms.

        Raises:
            Fault: The CA bundle that the environment names does not exist.
        """
        if self._trusted is None:
            self._trusted = _trust()
        return self._trusted


def auth_conflict() -> RequestNotSent:
    """Return the error for a session and a client that both have credentials for the `Authorization` header."""
    return RequestNotSent(ValueError(AUTH_CONFLICT))


def _reads_netrc(session: aiohttp.ClientSession, url: URL) -> bool:
    """True if aiohttp reads credentials from .netrc. Before 3.13 it replaces our header by them without an error."""
    if session.trust_env is not True or session.auth is not None or url.host is None:
        return False
    with suppress(LookupError):
        return basicauth_from_netrc(netrc_from_env(), url.host) is not None
    return False


def is_auth_conflict(error: BaseException) -> bool:
    """True if aiohttp rejects a request with an `Authorization` header, as the session has credentials of its own."""
    return isinstance(error, ValueError) and str(error).startswith("Cannot combine AUTHORIZATION header with AUTH")


def _adds_to_requests(session: aiohttp.ClientSession, url: URL) -> bool:
    """True if a session may add headers, cookies or credentials to a request, be it by a middleware."""
    if not isinstance(session.connector, aiohttp.BaseConnector):
        return False  # it is closed, or a mock
    if any(map(_is_method, vars(session))):
        return False  # a method was replaced on it, by a mock or a decorator, which must be called
    has_auth = session.auth is not None or session.trust_env  # which reads .netrc
    has_middlewares = bool(getattr(session, "_middlewares", ()))  # exists since aiohttp 3.12
    return has_auth or has_middlewares or bool(session.headers) or bool(session.cookie_jar.filter_cookies(url))


@asynccontextmanager
async def _request_without_defaults(
    session: aiohttp.ClientSession, method: str, url: URL, more: dict[str, Any]
) -> AsyncIterator[aiohttp.ClientResponse]:
    """Send a request through a copy of the caller's session without default headers, cookies, auth and middlewares.

    The copy has the class, the connections and the proxies of the session.
    """
    bare = object.__new__(session.__class__)
    without_defaults: dict[str, Any] = {
        "_default_headers": CIMultiDict(),
        "_default_auth": None,
        "_cookie_jar": aiohttp.DummyCookieJar(),
        "_middlewares": (),
        "_trust_env": False,
    }
    vars(bare).update(vars(session), **without_defaults)
    proxy = _proxy_of_environment(url) if session.trust_env and not getattr(session, "_default_proxy", None) else None
    if proxy is not None:
        vars(bare).update(_default_proxy=proxy, _default_proxy_auth=None)
    try:
        async with bare.request(method, url, **more) as response:
            yield response
    finally:
        bare.detach()  # or aiohttp would complain that the copy was not closed


def _is_method(name: str) -> bool:
    return callable(getattr(aiohttp.ClientSession, name, None))


def _proxy_of_environment(url: URL) -> URL | None:
    """Return the proxy that aiohttp reads from the environment, with its user information."""
    try:
        proxy, auth = get_env_proxy_for_url(url)
    except LookupError:
        return None
    return proxy if auth is None else proxy.with_user(auth.login).with_password(auth.password)


def _usable(proxy: str | None) -> str | None:
    """Return the URL of a proxy with its scheme, as requests completes it.

    Raises:
        Fault: aiohttp does not support the kind of proxy.
    """
    if proxy is None:
        return None
    spelled = ""
    with suppress(Exception):  # it raises various errors if there is no host
        spelled = prepend_scheme_if_needed(proxy, "http")
    if not spelled.lower().startswith(("http://", "https://")):
        raise Fault(
            "connection", "the proxy of the environment is no HTTP proxy, and asyncio clients support no other kind"
        )
    return spelled


@asynccontextmanager
async def _request_on_new_connection(
    method: str, url: URL, more: dict[str, Any], trace: Any
) -> AsyncIterator[aiohttp.ClientResponse]:
    """Send a request on a new connection, and close the connection afterwards."""
    async with (
        _session(_connector(), owns=True, trace_configs=[_trace_of_sent_headers()]) as session,
        session.request(method, url, trace_request_ctx=trace, **more) as response,
    ):
        yield response


def _session(
    connector: aiohttp.TCPConnector, *, owns: bool, trace_configs: list[aiohttp.TraceConfig] | None = None
) -> aiohttp.ClientSession:
    session = aiohttp.ClientSession(
        connector=connector,
        connector_owner=owns,
        request_class=_Request,
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        trace_configs=trace_configs,
        max_line_size=MAX_LINE_BYTES,
        max_field_size=MAX_LINE_BYTES,
    )
    # Or aiohttp would retry a call on its own if a pooled connection turns out to be closed.
    session._retry_connection = False
    return session


def _trace_of_sent_headers() -> aiohttp.TraceConfig:
    trace = aiohttp.TraceConfig()

    async def sent(_: Any, context: Any, __: Any) -> None:
        context.trace_request_ctx.has_sent = True

    trace.on_request_headers_sent.append(sent)
    return trace


def _connector() -> _Connector:
    return _Connector(limit=MAX_CONNECTIONS, resolver=_Resolver(), use_dns_cache=False, enable_cleanup_closed=False)


class _Request(aiohttp.ClientRequest):
    """A request that reuses a connection only of the same `reuse_url`, which is a part of the key in aiohttp's pool."""

    @property
    def connection_key(self) -> ConnectionKey:
        """The key in the pool of connections."""
        key, scope = super().connection_key, CURRENT_SCOPE.get()
        url = None if scope is None else scope.reuse_url
        marked: Any = (key.proxy_headers_hash, url)  # aiohttp only compares it
        return key if url is None else key._replace(proxy_headers_hash=marked)


def _without_url(key: ConnectionKey) -> ConnectionKey:
    return key._replace(proxy_headers_hash=None)


class _Connector(aiohttp.TCPConnector):
    """Tells each cancel scope its connection, and replaces idle ones.

    At the end it aborts all connections, whatever they still buffer.
    """

    def __init__(self, **more: Any) -> None:
        super().__init__(**more)
        self._factory: Any = partial(_Protocol, loop=self._loop)
        self._made: WeakSet[Any] = WeakSet()
        self._protocols: WeakSet[_Protocol] = WeakSet()

    async def connect(self, *call: Any, **more: Any) -> Any:
        """Return a connection, new or pooled."""
        connection = await super().connect(*call, **more)
        if isinstance(connection.protocol, _Protocol):
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
        await yield_to_loop()  # one step of the event loop, in which its socket is closed, or one that was unusable
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

    def distrust_all(self) -> None:
        """Mark the current connections as not reusable."""
        for protocol in self._protocols:
            protocol.distrust()

    def abort(self) -> None:
        """Abort all connections."""
        for transport in tuple(self._made):
            abort(transport)


class _TLSObject(ssl.SSLObject):
    """A TLS connection that records whether the server has closed it, by the alert `close_notify`."""

    is_closed_by_server = False

    def read(self, len: int = 1024, buffer: Any = None) -> Any:  # noqa: A002  # the name that `ssl` gives it
        """Read decrypted bytes: none once the alert has arrived, which a connection that merely ends does not bring."""
        read = super().read(len, buffer)
        self.is_closed_by_server = self.is_closed_by_server or not read
        return read


class _Protocol(ResponseHandler):
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
        self.is_tls_cut_off = isinstance(self._tls, _TLSObject) and not self._tls.is_closed_by_server
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

    def distrust(self) -> None:
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


def _trust() -> ssl.SSLContext:
    """Return a TLS context with the CA bundle of the environment, or certifi's if there is none."""
    bundle = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE") or certifi.where()
    if not Path(bundle).exists():
        raise Fault("connection", NO_CA_BUNDLE)
    is_folder = Path(bundle).is_dir()
    context = ssl.create_default_context(cafile=None if is_folder else bundle, capath=bundle if is_folder else None)
    context.sslobject_class = _TLSObject
    return context


class _Resolver(AbstractResolver):
    """Looks up names as the blocking transport does: in one daemon thread for a name, which does not delay the exit."""

    async def resolve(self, host: str, port: int = 0, family: int = socket.AF_INET) -> list[ResolveResult]:
        """Return the addresses of a host."""
        found = await lookup_async(host, port)
        return [
            ResolveResult(
                hostname=host,
                host=address[0],
                port=address[1],
                family=kind,
                proto=protocol,
                flags=socket.AI_NUMERICHOST,
            )
            for kind, _, protocol, _, address in found
            if family in (socket.AF_UNSPEC, kind)
        ]

    async def close(self) -> None:
        """Do nothing: there is nothing to close."""
