"""The transport for asyncio: sends one HTTP request with aiohttp, without a thread that waits for it."""

from __future__ import annotations

import asyncio
import inspect
import math
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, nullcontext, suppress
from typing import Any, NamedTuple

import aiohttp
from aiohttp.http_exceptions import BadStatusLine, HttpProcessingError, LineTooLong
from yarl import URL

from .._auth.headers import KeyHeaders, merged_headers, secrets_in
from .._auth.urls import same_origin
from .._clock import Deadline, Stopwatch, monotonic, real_clock_of
from .._models import Fault, Request, Response, interim_as_final
from .async_body import blocks_of, read_capped, stream_to
from .async_cancel_scope import AsyncCancelScope, ScopeRegistry
from .async_connections import MAX_CONNECTIONS
from .async_sessions import Sessions, auth_conflict, is_auth_conflict
from .base import (
    EVENT_CHECK_SECONDS,
    MAX_REDIRECTS,
    CancelEvent,
    TransportConfig,
    quoted_url,
    redirected,
    resolve_redirect,
)
from .body import FILE_CODES, STATUS_BODY_SECONDS, Sink
from .cancel_scope import CallAborted
from .decoding import ACCEPT_ENCODING
from .errors import RequestNotSent, breaks_protocol, causes_of, redacted_cause, root_reason
from .event_loop import set_result
from .multipart import NO_BODY, MultipartStream, RequestBody, encode_body
from .slots import Slots

CLOSING_SECONDS = 0.4
"""400 ms: how long closing waits for the calls in progress."""

MAX_TRANSFERS = 80
"""80 of the 100 connections: how many files are sent and received at once, which may take hours. Checks have the rest."""

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
        self._own_headers = merged_headers(self._default_headers, config.headers)
        self._sessions = Sessions(session)
        self._scopes = ScopeRegistry()
        self._slots = Slots(MAX_CONNECTIONS)
        self._transfer_slots = Slots(MAX_TRANSFERS)
        self._loop: asyncio.AbstractEventLoop | None = None

    async def send(
        self,
        request: Request,
        deadline: Deadline,
        is_cancelled: Callable[[], bool],
        sink: Sink | None = None,
        *,
        new_connection: bool,
    ) -> Response:
        """Send a request and read the response to its end, as `RequestsTransport.send` does."""
        stopwatch = Stopwatch(deadline.stopwatch)
        credentials, body = self._credentials_and_body(request)
        is_transfer = request.is_transfer or sink is not None
        trace = _Trace()
        self._require_same_loop()
        with body as payload, stopwatch.measure(real_clock_of(asyncio.get_running_loop().time)):
            try:
                async with (
                    self._slot(self._transfer_slots, deadline, is_cancelled) if is_transfer else nullcontext(),
                    self._slot(self._slots, deadline, is_cancelled),
                ):
                    scope = AsyncCancelScope(
                        self._scopes,
                        monotonic() + deadline.remaining,
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
                await self._sleep_until_closed(min(end.remaining, EVENT_CHECK_SECONDS))

    async def _sleep_until_closed(self, seconds: float) -> None:
        if self.is_closed:
            return
        loop = asyncio.get_running_loop()
        sleeper: asyncio.Future[None] = loop.create_future()
        timer = loop.call_later(seconds, set_result, sleeper, None)
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
            set_result(sleeper, None)
        try:
            await self._scopes.end(CLOSING_SECONDS)
        finally:
            await self._sessions.close()

    @asynccontextmanager
    async def _slot(self, slots: Slots, deadline: Deadline, is_cancelled: Callable[[], bool]) -> AsyncIterator[None]:
        """Hold one of `slots`. Waiting for a free one does not count towards `request_timeout`."""
        turn = slots.enter()
        try:
            if not turn.done():
                await AsyncCancelScope(
                    self._scopes, monotonic() + deadline.remaining, math.inf, is_cancelled, is_transfer=False
                ).wait(turn)
            yield
        finally:
            slots.leave(turn)

    def _require_same_loop(self) -> None:
        loop = asyncio.get_running_loop()
        self._loop = self._loop or loop
        if loop is not self._loop:
            wrong_loop = "an AsyncVideoTranslationClient is of the event loop that it was first used in: make another"
            raise RequestNotSent(RuntimeError(wrong_loop))

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
            if is_auth_conflict(error):
                raise auth_conflict() from None
            fault = _map_exception(error)
            cause = redacted_cause(error, fault.text)
        # Raised outside the handler, or the original exception with all it holds would be the context of the fault.
        raise fault from cause

    async def _send_following_redirects(
        self, exchange: _AsyncExchange, trace: _Trace, *, new_connection: bool
    ) -> tuple[int, Mapping[str, str], bytes]:
        request = exchange.request
        url = request.url(self.base_url)
        is_same_origin = exchange.credentials is not None
        exchange.scope.reuse_url = url  # also after a redirect, which is about the same job
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
            target = resolve_redirect(url, location, Response(status, headers, b""))
            exchange = exchange._replace(request=redirected(exchange.request, url, target))
            url, is_same_origin = target, is_same_origin and same_origin(self.base_url, target)
            if not is_same_origin:
                exchange = exchange._replace(payload=NO_BODY)  # it was for our origin
        raise Fault("unreadable", f"more than {MAX_REDIRECTS} redirects", Response(status, headers, b""))

    def _request(
        self, exchange: _AsyncExchange, url: str, trace: _Trace, *, is_same_origin: bool, new_connection: bool
    ) -> Any:
        request, payload = exchange.request, exchange.payload
        if is_same_origin:
            headers = merged_headers(self._own_headers, exchange.credentials or {}, request.headers)
        else:
            headers = merged_headers(self._default_headers, request.headers)
        if payload.content:
            headers["Content-Type"] = payload.content_type
        data: Any = payload.content or None
        if isinstance(payload.content, MultipartStream):
            headers["Content-Length"] = str(len(payload.content))
            data = blocks_of(payload.content, exchange.scope)
        return self._sessions.request(
            request.method,
            URL(quoted_url(url), encoded=True).with_user(None),  # requests ignores user information in a redirect
            headers,
            data,
            trace,
            is_cross_origin=not is_same_origin,
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


def _is_no_http(error: HttpProcessingError) -> bool:
    """Return True if what the server sent does not begin like HTTP. aiohttp 3.11 has no type of its own for that."""
    return isinstance(error, NO_HTTP) or error.message.startswith("Expected HTTP/")


def _map_exception(error: Exception) -> Fault:
    """Map an exception of aiohttp to a fault. A bad status line may be no HTTP at all, so it is a connection error."""
    if isinstance(error, (asyncio.TimeoutError, aiohttp.ServerTimeoutError)):
        return Fault("timeout", "no response in time")
    broken: BaseException = error
    for broken in causes_of(error):
        if not isinstance(broken, (aiohttp.ClientResponseError, HttpProcessingError)):
            break
    if isinstance(broken, HttpProcessingError) and not _is_no_http(broken):
        return breaks_protocol(broken)
    if isinstance(error, ValueError) and not isinstance(error, aiohttp.ClientError):
        return breaks_protocol(error)
    return Fault("connection", root_reason(error))
