"""Send a request with aiohttp: one HTTP call with all its limits, without a thread that waits for it.

aiohttp does not expose where a response ends among the bytes of a connection: its parser in C drops line breaks between
two responses. A server that sends such a line break is out of step, and may send the response to this request once more
as the response to the next one.
"""

from __future__ import annotations

import asyncio
import inspect
import math
import os
import re
import socket
import ssl
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple
from weakref import WeakSet

import aiohttp
import certifi
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.client_proto import ResponseHandler
from aiohttp.http_exceptions import BadStatusLine, HttpProcessingError, LineTooLong
from requests.utils import get_environ_proxies, prepend_scheme_if_needed, select_proxy
from urllib3.util.wait import wait_for_read
from yarl import URL

from .._auth import KeyHeaders, same_origin, secrets_in
from .._clock import Deadline, Stopwatch, now, real_clock_of
from .._models import Fault, Request, Response, interim_as_final
from .async_cancel_scope import CURRENT_SCOPE, AsyncCancelScope, ScopeRegistry, abort
from .base import MAX_REDIRECTS, CancelEvent, TransportConfig, resolve_redirect
from .body import FILE_CODES, READ_BYTES, Sink, begin_file
from .cancel_scope import CallAborted, RequestNotSent
from .decoding import ACCEPT_ENCODING, content_codings, decode
from .dns import lookup_async
from .errors import NO_CA_BUNDLE, breaks_protocol, redacted_cause, root_reason
from .multipart import MultipartStream, RequestBody, encode_body
from .requests import MAX_BODY_BYTES, STATUS_BODY_SECONDS
from .sockets import (
    MAX_INTERIM_RESPONSES,
    UnreadableBody,
    content_length,
    is_interim,
    plain_content_length,
    too_long_error,
    too_many_interim_responses,
    transfer_codings,
)


class Slots:
    """A fixed number of slots. A slot that is freed is handed to the first in the queue, so no wake-up can be lost."""

    def __init__(self, number: int) -> None:
        """Create free slots.

        Args:
            number: How many slots there are.
        """
        self._free = number
        self._queue: deque[asyncio.Future[None]] = deque()

    def enter(self) -> asyncio.Future[None]:
        """Return a turn, which is done as soon as it has a slot. Each turn must be passed to `leave`."""
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self._free:
            self._free -= 1
            turn.set_result(None)
        else:
            self._queue.append(turn)
        return turn

    def leave(self, turn: asyncio.Future[None]) -> None:
        """Free the slot of a turn, or give up its place in the queue if it has none yet."""
        if turn.cancel() or turn.cancelled():
            with suppress(ValueError):  # `leave` has removed it already
                self._queue.remove(turn)
            return
        while self._queue:
            following = self._queue.popleft()
            if not following.done():
                following.set_result(None)
                return
        self._free += 1


async def read_capped(response: aiohttp.ClientResponse) -> bytes:
    """Read the body of a response to its end.

    Raises:
        Fault: The body is longer than the cap, packed or unpacked, breaks off, or cannot be decoded.
    """
    try:
        length = None
        if response.status != 204:  # which has no body, whatever its headers say (RFC 9110, section 15.3.5)
            length = plain_content_length(response.headers, is_chunked=True)
        body = await _capped_body(response, length)
        return decode(body, content_codings(response.headers), MAX_BODY_BYTES)
    except UnreadableBody as error:
        text = str(error)
    except (aiohttp.ClientPayloadError, aiohttp.ClientConnectionError) as error:
        text = f"the body breaks off ({root_reason(error)})"
    response.close()
    raise Fault("unreadable", text, _response_head(response))


async def _capped_body(response: aiohttp.ClientResponse, length: int | None) -> bytes:
    if length is not None and length <= MAX_BODY_BYTES:
        return await _read(response.content)
    parts = []
    size = 0
    while part := await _read(response.content, READ_BYTES):
        parts.append(part)
        size += len(part)
        if size > MAX_BODY_BYTES:
            raise too_long_error(MAX_BODY_BYTES)
    return b"".join(parts)


async def _read(content: aiohttp.StreamReader, size: int = -1) -> bytes:
    """Read up to `size` bytes, or all of them if it is negative. Returns nothing at the end of the body.

    Raises:
        ClientPayloadError: The body breaks off. For invalid chunks aiohttp itself raises a RuntimeError.
    """
    try:
        return await content.read(size)
    except RuntimeError as error:
        raise aiohttp.ClientPayloadError(str(error)) from error


async def stream_to(response: aiohttp.ClientResponse, sink: Sink, scope: AsyncCancelScope) -> None:
    """Write the body of a response into a sink, block by block.

    Raises:
        Fault: The body breaks off, or its end is uncertain.
        Exception: What the sink raises.
    """
    read_bytes = begin_file(_response_head(response), sink, is_chunked=True)
    scope.is_receiving_file = True
    try:
        while block := await _read(response.content, read_bytes):
            scope.record_received()
            sink.write(block)
            await asyncio.sleep(0)  # or a body that has always arrived already would keep the timer from firing
    except aiohttp.ClientPayloadError:
        is_cut_short = True
    else:
        is_cut_short = _was_reset(response)
    if is_cut_short:
        raise Fault("connection", "the file breaks off", _response_head(response))
    if isinstance(_error_behind(response), HttpProcessingError):  # the surplus bytes are not a response
        sink.reject_surplus()


def _was_reset(response: aiohttp.ClientResponse) -> bool:
    """True if the connection was reset where its end is the end of the body. aiohttp does not distinguish them."""
    is_framed = content_length(response.headers) is not None or bool(transfer_codings(response.headers))
    return not is_framed and isinstance(_error_behind(response), aiohttp.ClientOSError)


def _error_behind(response: aiohttp.ClientResponse) -> BaseException | None:
    """Return the error that ended the connection after the body."""
    protocol: Any = getattr(response, "_protocol", None)  # `connection` is None once the body has ended
    error: BaseException | None = None if protocol is None else protocol.exception()
    return error


async def blocks_of(form: MultipartStream, scope: AsyncCancelScope) -> AsyncIterator[bytes]:
    """Yield a file in blocks as it is read. Each is requested when the one before was sent."""
    while block := form.read(READ_BYTES):
        scope.record_sent()
        yield block
        await asyncio.sleep(0)  # or a server that always accepts more would keep the timer from firing


def _response_head(response: aiohttp.ClientResponse) -> Response:
    return Response(response.status, response.headers, b"")


_HEAD_END = re.compile(rb"\r?\n\r?\n")

_INTERIM = re.compile(rb"HTTP/\d\.\d 1(?!01)\d\d")
"""The start of an interim response (RFC 9110, section 15.2); 101 is a final one."""

_NO_BODY_CODES = (204, 304)

_LAST_CHUNK_END = re.compile(rb"[^\r\n]\r\n\r\n")
"""The last five bytes of a chunked body, with or without trailer fields (RFC 9112, section 7.1)."""


class ResponseEnd:
    """Counts the bytes of one response, and of the interim responses before it."""

    __slots__ = ("_body_bytes", "_has_blank_lines", "_head", "_last_bytes")

    def __init__(self) -> None:
        self._head: bytes | None = b""  # None once the head of the final response has ended
        self._has_blank_lines = False
        self._body_bytes = 0
        self._last_bytes = b""

    def feed(self, data: bytes) -> None:
        """Count the next bytes of the connection."""
        self._last_bytes = (self._last_bytes + data[-5:])[-5:]
        if self._head is None:
            self._body_bytes += len(data)
            return
        self._has_blank_lines |= not self._head and data[:1] in (b"\r", b"\n")  # left over from the previous response
        searched = max(0, len(self._head) - 3)
        self._head += data
        while (end := _HEAD_END.search(self._head, searched)) is not None:
            is_interim = _INTERIM.match(self._head) is not None
            rest, searched = self._head[end.end() :], 0
            if not is_interim:
                self._head, self._body_bytes = None, len(rest)
                return
            self._head = rest

    def is_reached(self, message: Any) -> bool:
        """True if the bytes so far are one whole response and nothing more.

        Args:
            message: The head of the response as aiohttp parsed it; None before that.
        """
        if message is None:
            return self._head == b""
        if self._head is not None or self._has_blank_lines:
            return False
        if message.code in _NO_BODY_CODES:
            return self._body_bytes == 0
        if message.chunked:
            return _LAST_CHUNK_END.fullmatch(self._last_bytes) is not None
        return str(self._body_bytes) == (message.headers.get("Content-Length", "").lstrip("0") or "0")


MAX_CONNECTIONS = 100
"""Concurrent connections, to all hosts together. A call that finds none free waits for one, until its own deadline."""

MAX_LINE_BYTES = 65536
"""The longest line of a response's head, as in http.client."""

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
        new_connection: bool,
    ) -> Any:
        """Return an asynchronous context manager that sends a request and yields the response. No redirect is followed.

        Any request but a GET is sent on a new connection of its own: a late response to it would otherwise be taken for
        the response to the next request.

        Args:
            method: The HTTP method in capitals.
            url: The absolute URL, encoded.
            headers: All headers.
            data: The body.
            trace: `has_sent` is set once the request headers are sent, or immediately if the session is not traced.
            new_connection: True to open a new connection for a GET too.
        """
        more = {"headers": headers, "data": data, "allow_redirects": False, "timeout": NO_LIMIT}
        more["auto_decompress"] = False  # bodies are decoded by us, under a cap, and ranges count encoded bytes
        if self._callers is not None:
            trace.has_sent = True  # the caller's session is not traced
            return self._callers.request(method, url, **more)
        more["proxy"] = self._proxy_of(url)
        if url.scheme == "https" or (more["proxy"] or "").startswith("https"):
            more["ssl"] = self._trust()
        if new_connection or method != "GET":
            return _request_on_new_connection(method, url, more, trace)
        trace.has_sent = True  # a GET changes nothing, so nobody asks
        return self._pooled().request(method, url, **more)

    def close_idle(self) -> None:
        """Mark the current connections as not reusable."""
        if self._connector is not None:
            self._connector.distrust_all()

    async def close(self) -> None:
        """Close our own sessions and connections."""
        if self._pool is not None:
            await self._pool.close()
        if self._connector is not None:
            self._connector.abort()
            await self._connector.close()
            await asyncio.sleep(0)  # one step of the event loop, in which the connections close

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
            "connection", "the environment names a proxy that is none of HTTP, which asyncio's client does not speak to"
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


class _Connector(aiohttp.TCPConnector):
    """Reports to each call its connection, and aborts all connections at the end, whatever they still buffer."""

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

    def distrust_all(self) -> None:
        """Mark the current connections as not reusable."""
        for protocol in self._protocols:
            protocol.distrust()

    def abort(self) -> None:
        """Abort all connections."""
        for transport in tuple(self._made):
            abort(transport)


class _Protocol(ResponseHandler):
    """A protocol that matches responses to requests. It detects unread bytes, and limits interim responses."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self._interim_responses = 0
        self._message: Any = None
        self._end = ResponseEnd()

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
    """True if the parser holds the beginning of a response. `feed_eof` ends it, but each request creates a new one."""
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
    if Path(bundle).is_dir():
        return ssl.create_default_context(capath=bundle)
    return ssl.create_default_context(cafile=bundle)


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


CLOSING_SECONDS = 0.4
"""400 ms: how long closing waits for the calls in progress."""

REDIRECT_CODES = (301, 302, 303, 307, 308)

BROKEN = (aiohttp.ClientError, asyncio.TimeoutError, OSError, ValueError)
"""What aiohttp and the system raise if a call fails."""

NO_HTTP = (BadStatusLine, LineTooLong)
"""Errors of aiohttp's parser that http.client too reports as a broken connection."""


class _AsyncExchange(NamedTuple):
    """A request in flight. `credentials` is None if it goes to another origin, which gets no fixed key either."""

    request: Request
    credentials: KeyHeaders | None
    payload: RequestBody
    sink: Sink | None
    scope: AsyncCancelScope


class _Trace:
    """The progress of a request in flight.

    Attributes:
        has_sent: True if its headers were sent.
    """

    has_sent = False


CANCEL_SLICE_SECONDS = 0.02
"""20 ms: how soon a sleep notices the caller's event."""


class AiohttpTransport:
    """The transport for asyncio: other tasks of its event loop run while it waits."""

    max_connections = MAX_CONNECTIONS

    def __init__(self, config: TransportConfig) -> None:
        """Create a transport without opening a connection.

        Args:
            config: The arguments of the client. The session is an `aiohttp.ClientSession` or None. What `sleep` returns
                is awaited if possible.

        Raises:
            TypeError: The session is not an `aiohttp.ClientSession`.
        """
        session = config.session
        if session is not None and not isinstance(session, aiohttp.ClientSession):
            raise TypeError(f"session must be an aiohttp.ClientSession, got a value of type {type(session).__name__}")
        self.base_url = config.base_url
        self.is_closed = False
        self._credentials = config.credentials
        self._request_timeout = config.request_timeout
        self._sleep = config.sleep
        self._sleepers: set[asyncio.Future[None]] = set()
        self._default_headers = {
            "User-Agent": config.user_agent,
            "Accept": "application/json",
            "Accept-Encoding": ACCEPT_ENCODING,
        }
        self._own_headers = KeyHeaders({**self._default_headers, **config.headers})
        self._sessions = Sessions(session)
        self._scopes = ScopeRegistry()
        self._slots = Slots(MAX_CONNECTIONS)
        self._loop: asyncio.AbstractEventLoop | None = None

    async def send(
        self,
        request: Request,
        deadline: Deadline,
        is_cancelled: Callable[[], bool],
        sink: Sink | None = None,
        *,
        new_connection: bool = False,
    ) -> Response:
        """Send a request and read the response to its end, as `RequestsTransport.send_blocking` does."""
        stopwatch = Stopwatch(deadline.stopwatch)
        credentials, body = self._credentials_and_body(request)
        is_transfer = request.is_transfer or sink is not None
        trace = _Trace()
        self._require_same_loop()
        with body as payload, stopwatch.measure(real_clock_of(asyncio.get_running_loop().time)):
            try:
                async with self._slot(deadline, is_cancelled):
                    scope = AsyncCancelScope(
                        self._scopes,
                        now() + deadline.remaining,
                        self._request_timeout,
                        is_cancelled,
                        is_transfer=is_transfer,
                    )
                    exchange = _AsyncExchange(request, credentials, payload, sink, scope)
                    status, headers, content = await scope.call(
                        lambda: self._send_in_scope(exchange, trace, new_connection=new_connection)
                    )
                    if not payload.is_read:  # the response came before all of the file was sent
                        scope.abort()
            except (CallAborted, Fault) as error:
                error.was_sent = payload.is_read and trace.has_sent
                if isinstance(error, Fault):
                    error.add_sent_keys(secrets_in(credentials))
                raise
        return Response(status, headers, content, stopwatch.elapsed, secrets_in(credentials))

    async def sleep(self, seconds: float, cancel: CancelEvent | None, stopwatch: Stopwatch) -> None:
        """Sleep until the client is closed or the event is set, and add the seconds really slept to `stopwatch`."""
        real = real_clock_of(asyncio.get_running_loop().time)
        if self._sleep is not None:
            with stopwatch.measure_callers_sleep(seconds, real):
                slept = self._sleep(seconds)
                if inspect.isawaitable(slept):
                    await slept
            return
        if cancel is None:
            with stopwatch.measure(real):
                await self._sleep_until_closed(seconds)
            return
        end = Deadline.after(seconds, stopwatch)
        while not self.is_closed and not cancel.is_set() and end.remaining > 0:
            with end.stopwatch.measure(real):
                await self._sleep_until_closed(min(end.remaining, CANCEL_SLICE_SECONDS))

    async def _sleep_until_closed(self, seconds: float) -> None:
        if self.is_closed:
            return
        loop = asyncio.get_running_loop()
        sleeper: asyncio.Future[None] = loop.create_future()
        timer = loop.call_later(seconds, _wake, sleeper)
        self._sleepers.add(sleeper)
        try:
            await sleeper
        finally:
            timer.cancel()
            self._sleepers.discard(sleeper)

    def close_idle(self) -> None:
        """Mark the connections of our own session as not reusable."""
        self._sessions.close_idle()

    async def close(self) -> None:
        """End sleeps and requests in progress, then close our own sessions, even if the caller is cancelled meanwhile."""
        self.is_closed = True
        for sleeper in tuple(self._sleepers):
            _wake(sleeper)
        try:
            await self._scopes.end(CLOSING_SECONDS)
        finally:
            await self._sessions.close()

    @asynccontextmanager
    async def _slot(self, deadline: Deadline, is_cancelled: Callable[[], bool]) -> AsyncIterator[None]:
        """Hold one of the connections. Waiting for a free one does not count towards `request_timeout`."""
        turn = self._slots.enter()
        try:
            if not turn.done():
                await AsyncCancelScope(
                    self._scopes, now() + deadline.remaining, math.inf, is_cancelled, is_transfer=False
                ).wait(turn)
            yield
        finally:
            self._slots.leave(turn)

    def _require_same_loop(self) -> None:
        loop = asyncio.get_running_loop()
        self._loop = self._loop or loop
        if loop is not self._loop:
            raise RuntimeError(
                "an AsyncVideoTranslationClient is of the event loop that it was first used in: make another"
            )

    def _credentials_and_body(self, request: Request) -> tuple[KeyHeaders | None, RequestBody]:
        is_same_origin = request.path.startswith("/") or same_origin(self.base_url, request.path)
        try:
            return self._credentials() if is_same_origin else None, encode_body(request)
        except Exception as error:
            raise RequestNotSent(error) from error

    async def _send_in_scope(
        self, exchange: _AsyncExchange, trace: _Trace, *, new_connection: bool
    ) -> tuple[int, Mapping[str, str], bytes]:
        try:
            return await self._send_following_redirects(exchange, trace, new_connection=new_connection)
        except BROKEN as error:
            fault = _fault_of(error)
            cause = redacted_cause(error, fault.text)
        # Raised outside the handler, or the original exception with all it holds would be the context of the fault.
        raise fault from cause

    async def _send_following_redirects(
        self, exchange: _AsyncExchange, trace: _Trace, *, new_connection: bool
    ) -> tuple[int, Mapping[str, str], bytes]:
        request = exchange.request
        url = request.url(self.base_url)
        is_same_origin = exchange.credentials is not None
        for _ in range(1 + MAX_REDIRECTS):
            exchange.scope.raise_if_stopped()
            async with self._request(
                exchange, url, trace, is_same_origin=is_same_origin, new_connection=new_connection
            ) as response:
                body = await self._read(response, exchange)
                status, headers = response.status, response.headers
                location = headers.get("Location") if status in REDIRECT_CODES else None
                is_final = location is None or request.method != "GET"
                if is_final:
                    exchange.scope.record_complete_response()
            if location is None or is_final:
                return status, headers, body
            url = resolve_redirect(url, location, Response(status, headers, b""))
            is_same_origin = is_same_origin and same_origin(self.base_url, url)
        raise Fault("unreadable", f"more than {MAX_REDIRECTS} redirects", Response(status, headers, b""))

    def _request(
        self, exchange: _AsyncExchange, url: str, trace: _Trace, *, is_same_origin: bool, new_connection: bool
    ) -> Any:
        request, payload = exchange.request, exchange.payload
        if is_same_origin:
            headers = KeyHeaders({**self._own_headers, **(exchange.credentials or {}), **request.headers})
        else:
            headers = KeyHeaders({**self._default_headers, **request.headers})
        if payload.content:
            headers["Content-Type"] = payload.content_type
        data: Any = payload.content or None
        if isinstance(payload.content, MultipartStream):
            headers["Content-Length"] = str(len(payload.content))
            data = blocks_of(payload.content, exchange.scope)
        return self._sessions.request(
            request.method,
            URL(url, encoded=True),
            headers,
            data,
            trace,
            new_connection=new_connection,
        )

    async def _read(self, response: aiohttp.ClientResponse, exchange: _AsyncExchange) -> bytes:
        if response.status < 200:
            response.close()
            raise interim_as_final(Response(response.status, response.headers, b""))
        if exchange.sink is not None and response.status in FILE_CODES:
            exchange.scope.raise_if_stopped()
            await stream_to(response, exchange.sink, exchange.scope)
            return b""
        if response.status < 300:
            return await read_capped(response)
        body = await _body_of_error(response)
        if not body:
            response.close()
        return body


async def _body_of_error(response: aiohttp.ClientResponse) -> bytes:
    """Return the body of an error or a redirect, or nothing if it breaks off or is late: the status is enough."""
    failure = asyncio.TimeoutError("the body of an error takes too long")
    failing = asyncio.get_running_loop().call_later(STATUS_BODY_SECONDS, response.content.set_exception, failure)
    try:
        with suppress(*BROKEN, Fault):
            return await read_capped(response)
        return b""
    finally:
        failing.cancel()


def _fault_of(error: Exception) -> Fault:
    """Map an exception of aiohttp to a fault. A bad status line may be no HTTP at all, so it is a connection error."""
    if isinstance(error, (asyncio.TimeoutError, aiohttp.ServerTimeoutError)):
        return Fault("timeout", "no response in time")
    broken: BaseException = error
    while isinstance(broken, (aiohttp.ClientResponseError, HttpProcessingError)) and broken.__cause__ is not None:
        broken = broken.__cause__
    if isinstance(broken, HttpProcessingError) and not isinstance(broken, NO_HTTP):
        return breaks_protocol(broken)
    if isinstance(error, ValueError) and not isinstance(error, aiohttp.ClientError):
        return breaks_protocol(error)
    return Fault("connection", root_reason(error))


def _wake(sleeper: asyncio.Future[None]) -> None:
    if not sleeper.done():
        sleeper.set_result(None)
