"""Which aiohttp session makes a call? Ours, made when it is first needed; or the caller's, as it is."""

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
from aiohttp.http_exceptions import HttpProcessingError
from requests.utils import get_environ_proxies, prepend_scheme_if_needed, select_proxy
from urllib3.util.wait import wait_for_read
from yarl import URL

from ..faults import Fault
from ..transport.breakdowns import NO_CA_BUNDLE
from ..transport.names import lookup_async
from ..transport.responses import MAX_INTERIM_RESPONSES, is_interim, too_many_interim_responses
from .cuts import CURRENT_CUT, abort
from .response_end import ResponseEnd

MAX_CONNECTIONS = 100
"""Connections at once, to all hosts together; a call that finds none free waits for one, within its own time."""

MAX_LINE_BYTES = 65536
"""As long as a line of an answer's head may be: what http.client takes."""

NO_LIMIT = aiohttp.ClientTimeout(total=None, connect=None, sock_connect=None, sock_read=None)
"""Our own limits are around each call."""

MAX_PROXIES_KEPT = 16


class Sessions:
    """The sessions of one client. For one event loop."""

    def __init__(self, callers: aiohttp.ClientSession | None) -> None:
        """Open nothing yet."""
        self._callers = callers
        self._connector: _Connector | None = None
        self._plain: aiohttp.ClientSession | None = None
        self._watched: aiohttp.ClientSession | None = None
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
        is_watched: bool,
        is_fresh: bool,
    ) -> Any:
        """Make a call, as an asynchronous context that gives the response; its redirect is not followed.

        Args:
            method: In capitals.
            url: Absolute, and encoded.
            headers: All of them.
            data: The body.
            trace: Its `has_sent` is set when the headers have gone out; at once where nobody watches for that.
            is_watched: Whether it matters if they have.
            is_fresh: True to open a new connection for it.
        """
        more = {"headers": headers, "data": data, "allow_redirects": False, "timeout": NO_LIMIT}
        more["auto_decompress"] = False  # bodies are decoded by us, under a cap, and ranges count encoded bytes
        if self._callers is not None:
            trace.has_sent = True  # nobody knows
            return self._callers.request(method, url, **more)
        more["proxy"] = self._proxy_of(url)
        if url.scheme == "https" or (more["proxy"] or "").startswith("https"):
            more["ssl"] = self._trust()
        if is_fresh:
            return _fresh_request(method, url, more, trace)
        if is_watched:
            return self._session(is_watched=True).request(method, url, trace_request_ctx=trace, **more)
        trace.has_sent = True
        return self._session(is_watched=False).request(method, url, **more)

    def close_idle(self) -> None:
        """Close the connections of now before they are used again."""
        if self._connector is not None:
            self._connector.distrust_all()

    async def close(self) -> None:
        """Close what is ours."""
        for session in (self._plain, self._watched):
            if session is not None:
                await session.close()
        if self._connector is not None:
            self._connector.abort()
            await self._connector.close()
            await asyncio.sleep(0)  # in which the connections are gone

    def _session(self, *, is_watched: bool) -> aiohttp.ClientSession:
        if self._connector is None:
            self._connector = _connector()
        if is_watched:
            self._watched = self._watched or _session(self._connector, owns=False, is_watched=True)
            return self._watched
        self._plain = self._plain or _session(self._connector, owns=False, is_watched=False)
        return self._plain

    def _proxy_of(self, url: URL) -> str | None:
        """The proxy of the environment, looked up once for each origin."""
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


def _usable(proxy: str | None) -> str | None:
    """Spell a proxy out, as requests does.

    Raises:
        Fault: It is one that aiohttp does not speak to.
    """
    if proxy is None:
        return None
    spelled = ""
    with suppress(Exception):  # what it raises where there is no host is not told
        spelled = prepend_scheme_if_needed(proxy, "http")
    if not spelled.lower().startswith(("http://", "https://")):
        raise Fault(
            "connection", "the environment names a proxy that is none of HTTP, which asyncio's client does not speak to"
        )
    return spelled


@asynccontextmanager
async def _fresh_request(
    method: str, url: URL, more: dict[str, Any], trace: Any
) -> AsyncIterator[aiohttp.ClientResponse]:
    """A call on a new connection, which is closed with it."""
    async with (
        _session(_connector(), owns=True, is_watched=True) as session,
        session.request(method, url, trace_request_ctx=trace, **more) as response,
    ):
        yield response


def _session(connector: aiohttp.TCPConnector, *, owns: bool, is_watched: bool) -> aiohttp.ClientSession:
    session = aiohttp.ClientSession(
        connector=connector,
        connector_owner=owns,
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        trace_configs=[_watching()] if is_watched else None,
        max_line_size=MAX_LINE_BYTES,
        max_field_size=MAX_LINE_BYTES,
    )
    # aiohttp would make a call a second time where a kept connection turns out to be closed: who repeats is not its business.
    session._retry_connection = False
    return session


def _watching() -> aiohttp.TraceConfig:
    trace = aiohttp.TraceConfig()

    async def sent(_: Any, context: Any, __: Any) -> None:
        context.trace_request_ctx.has_sent = True

    trace.on_request_headers_sent.append(sent)
    return trace


def _connector() -> _Connector:
    return _Connector(limit=MAX_CONNECTIONS, resolver=_Resolver(), use_dns_cache=False, enable_cleanup_closed=False)


class _Connector(aiohttp.TCPConnector):
    """Tells each call by which connection it goes, and drops all of them at the end, whatever they still hold."""

    def __init__(self, **more: Any) -> None:
        super().__init__(**more)
        self._factory: Any = partial(_Protocol, loop=self._loop)
        self._made: WeakSet[Any] = WeakSet()
        self._protocols: WeakSet[_Protocol] = WeakSet()

    async def connect(self, *call: Any, **more: Any) -> Any:
        """Return a connection, new or kept."""
        connection = await super().connect(*call, **more)
        if isinstance(connection.protocol, _Protocol):
            self._protocols.add(connection.protocol)
        transport = connection.transport
        if transport is not None:
            self._made.add(transport)
            cut = CURRENT_CUT.get()
            if cut is not None:
                cut.connected(connection)
        return connection

    def distrust_all(self) -> None:
        """Use none of the connections of now for another request."""
        for protocol in self._protocols:
            protocol.distrust()

    def abort(self) -> None:
        """Drop them."""
        for transport in tuple(self._made):
            abort(transport)


class _Protocol(ResponseHandler):
    """A protocol that matches responses to requests: it knows unread bytes, and reads so many interim responses at most."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self._interim_responses = 0
        self._message: Any = None
        self._end = ResponseEnd()

    def is_connected(self) -> bool:
        """True if the next request may use the connection. The pool asks this of an idle one."""
        return super().is_connected() and self._end.is_reached(self._message) and not _has_unread(self)

    def set_response_params(self, **params: Any) -> None:
        """Start to read the response to another request."""
        self._message, self._end = None, ResponseEnd()
        super().set_response_params(**params)

    def data_received(self, data: bytes) -> None:
        """Take bytes of the connection, expected or not."""
        self._end.feed(data)
        super().data_received(data)

    def distrust(self) -> None:
        """Use the connection for no other request. aiohttp 3.11.0 has no method for this."""
        self._should_close = True

    async def read(self) -> Any:
        """Return the head and the body of the next response; aiohttp itself skips an interim one.

        Raises:
            Fault: There are too many interim ones.
        """
        message, body = await super().read()
        self._message = message
        self._interim_responses = self._interim_responses + 1 if is_interim(message.code) else 0
        if self._interim_responses > MAX_INTERIM_RESPONSES:
            raise too_many_interim_responses()
        return message, body


def _has_unread(protocol: ResponseHandler) -> bool:
    """True if bytes have come in on an idle connection, wherever they are by now, or the server has closed it."""
    transport = protocol.transport
    if transport is None or protocol.should_close or _is_amid_message(protocol._parser):
        return True
    tls = transport.get_extra_info("ssl_object")
    if tls is not None and tls.pending() > 0:
        return True
    sock = transport.get_extra_info("socket")
    return sock is not None and bool(wait_for_read(sock, timeout=0))


def _is_amid_message(parser: Any) -> bool:
    """True if the parser holds the beginning of a response. It is not used for another one: each request makes its own."""
    if parser is None or any(getattr(parser, name, None) for name in ("_tail", "_lines")):  # of the parser in Python
        return True
    try:
        return parser.feed_eof() is not None
    except HttpProcessingError:
        return True


def _trust() -> ssl.SSLContext:
    """The CA bundle of the environment, else that of certifi."""
    bundle = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE") or certifi.where()
    if not Path(bundle).exists():
        raise Fault("connection", NO_CA_BUNDLE)
    if Path(bundle).is_dir():
        return ssl.create_default_context(capath=bundle)
    return ssl.create_default_context(cafile=bundle)


class _Resolver(AbstractResolver):
    """Looks names up as the blocking transport does: in one helper thread for a name, which holds up no exit."""

    async def resolve(self, host: str, port: int = 0, family: int = socket.AF_INET) -> list[ResolveResult]:
        """Give the addresses of a host."""
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
        """Nothing is held."""
