"""How do bytes get there and back without a thread that waits for them? By aiohttp, within the same limits."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any, NamedTuple

import aiohttp
from aiohttp.http_exceptions import BadStatusLine, HttpProcessingError, LineTooLong
from yarl import URL

from ..clock import Deadline, Stopwatch, now, real_clock_of
from ..faults import Fault, interim_as_final
from ..headers import KeyHeaders, secrets_of
from ..messages import Answer, Request
from ..origins import same_origin
from ..transport import CallCut, NotSent, Sink
from ..transport.breakdowns import bared, breaks_http, reason_of
from ..transport.decoding import ACCEPT_ENCODING
from ..transport.payload import FormWithFile, Payload, payload_of
from ..transport.receiving import FILE_CODES
from ..transport.redirects import MAX_REDIRECTS, target_of
from ..transport.transport import STATUS_BODY_SECONDS
from .bodies import blocks_of, receive, whole_body
from .cuts import Cut, Cuts
from .sessions import MAX_CONNECTIONS, Sessions
from .slots import Slots

CLOSING_SECONDS = 0.4
"""How long closing waits for the calls under way."""

REDIRECTS = (301, 302, 303, 307, 308)

BROKEN = (aiohttp.ClientError, asyncio.TimeoutError, OSError, ValueError)
"""What aiohttp and the system raise where a call breaks down."""

NO_HTTP = (BadStatusLine, LineTooLong)
"""Errors of aiohttp's parser that http.client reports as a broken connection too."""


class _Sending(NamedTuple):
    """A request on its way; without credentials, not even fixed ones, where it goes to another origin."""

    request: Request
    credentials: KeyHeaders | None
    payload: Payload
    sink: Sink | None
    cut: Cut


class _Trace:
    """What is known of a request under way.

    Attributes:
        has_sent: Whether its headers went out.
    """

    has_sent = False


class AsyncTransport:
    """Sends the requests of one client, from any number of tasks of one event loop."""

    def __init__(
        self,
        base_url: str,
        *,
        user_agent: str,
        headers: Mapping[str, str],
        request_timeout: float,
        credentials: Callable[[], KeyHeaders],
        session: aiohttp.ClientSession | None,
    ) -> None:
        """Set up; nothing is sent or opened. The arguments are those of `Transport`, but for the session."""
        self.base_url = base_url
        self._credentials = credentials
        self._request_timeout = request_timeout
        self._plain = {"User-Agent": user_agent, "Accept": "application/json", "Accept-Encoding": ACCEPT_ENCODING}
        self._full = KeyHeaders({**self._plain, **headers})
        self._sessions = Sessions(session)
        self._cuts = Cuts()
        self._slots = Slots(MAX_CONNECTIONS)
        self._loop: asyncio.AbstractEventLoop | None = None

    def url_of(self, request: Request) -> str:
        """Say where a request goes."""
        return self.base_url + request.path if request.path.startswith("/") else request.path

    async def send(
        self,
        request: Request,
        deadline: Deadline,
        is_cancelled: Callable[[], bool],
        sink: Sink | None = None,
        *,
        is_fresh: bool = False,
    ) -> Answer:
        """Send a request and read the answer to its end: see `Transport.send`."""
        watch = Stopwatch(deadline.watch)
        credentials, made = self._prepared(request)
        is_transfer = request.is_transfer or sink is not None
        trace = _Trace()
        self._require_same_loop()
        with made as payload, watch.measure(real_clock_of(asyncio.get_running_loop().time)):
            try:
                async with self._slot(deadline, is_cancelled):
                    cut = Cut(
                        self._cuts, now() + deadline.left, self._request_timeout, is_cancelled, is_transfer=is_transfer
                    )
                    sending = _Sending(request, credentials, payload, sink, cut)
                    status, headers, body = await cut.call(lambda: self._guarded(sending, trace, is_fresh=is_fresh))
                    if not payload.is_read:  # it was answered before all of it had gone out
                        cut.abort()
            except (CallCut, Fault) as error:
                error.was_sent = payload.is_read and trace.has_sent
                if isinstance(error, Fault):
                    error.add_sent_keys(secrets_of(credentials))
                raise
        return Answer(status, headers, body, watch.elapsed, secrets_of(credentials))

    def close_idle(self) -> None:
        """Close the idle connections of our own session before they are used again."""
        self._sessions.close_idle()

    async def close(self) -> None:
        """End the calls in progress, then close the sessions that are ours, even if the caller is cancelled meanwhile."""
        try:
            await self._cuts.end(CLOSING_SECONDS)
        finally:
            await self._sessions.close()

    @asynccontextmanager
    async def _slot(self, deadline: Deadline, is_cancelled: Callable[[], bool]) -> AsyncIterator[None]:
        """Hold one of the connections. The wait for a free one is not the server's fault, and not part of `request_timeout`."""
        turn = self._slots.enter()
        try:
            if not turn.done():
                await Cut(self._cuts, now() + deadline.left, math.inf, is_cancelled, is_transfer=False).wait(turn)
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

    def _prepared(self, request: Request) -> tuple[KeyHeaders | None, Payload]:
        is_trusted = request.path.startswith("/") or same_origin(self.base_url, request.path)
        try:
            return self._credentials() if is_trusted else None, payload_of(request)
        except Exception as error:
            raise NotSent(error) from error

    async def _guarded(
        self, sending: _Sending, trace: _Trace, *, is_fresh: bool
    ) -> tuple[int, Mapping[str, str], bytes]:
        try:
            return await self._follow(sending, trace, is_fresh=is_fresh)
        except BROKEN as error:
            fault = _fault_of(error)
            cause = bared(error, fault.text)
        # Out of the handler, or the exception with everything in it would go along as the context of ours.
        raise fault from cause

    async def _follow(
        self, sending: _Sending, trace: _Trace, *, is_fresh: bool
    ) -> tuple[int, Mapping[str, str], bytes]:
        request = sending.request
        url = self.url_of(request)
        is_trusted = sending.credentials is not None
        for _ in range(1 + MAX_REDIRECTS):
            sending.cut.raise_if_stopped()
            async with self._asked(sending, url, trace, is_trusted=is_trusted, is_fresh=is_fresh) as response:
                body = await self._read(response, sending)
                status, headers = response.status, response.headers
                location = headers.get("Location") if status in REDIRECTS else None
                is_final = location is None or request.method != "GET"
                if is_final:
                    sending.cut.answered()
            if location is None or is_final:
                return status, headers, body
            url = target_of(url, location, Answer(status, headers, b""))
            is_trusted = is_trusted and same_origin(self.base_url, url)
        raise Fault("unreadable", f"more than {MAX_REDIRECTS} redirects", Answer(status, headers, b""))

    def _asked(self, sending: _Sending, url: str, trace: _Trace, *, is_trusted: bool, is_fresh: bool) -> Any:
        request, payload = sending.request, sending.payload
        if is_trusted:
            method = request.method
            headers = KeyHeaders({**self._full, **(sending.credentials or {}), **request.headers})
        else:
            method, headers = "GET", KeyHeaders({**self._plain, **request.headers})
        if payload.content:
            headers["Content-Type"] = payload.content_type
        data: Any = payload.content or None
        if isinstance(payload.content, FormWithFile):
            headers["Content-Length"] = str(len(payload.content))
            data = blocks_of(payload.content, sending.cut)
        return self._sessions.request(
            method, URL(url, encoded=True), headers, data, trace, is_watched=method != "GET", is_fresh=is_fresh
        )

    async def _read(self, response: aiohttp.ClientResponse, sending: _Sending) -> bytes:
        if response.status < 200:
            response.close()
            raise interim_as_final(Answer(response.status, response.headers, b""))
        if sending.sink is not None and response.status in FILE_CODES:
            sending.cut.raise_if_stopped()
            await receive(response, sending.sink, sending.cut)
            return b""
        if response.status < 300:
            return await whole_body(response)
        body = await _body_of_error(response)
        if not body:
            response.close()
        return body


async def _body_of_error(response: aiohttp.ClientResponse) -> bytes:
    """Read the body of an error or a redirect; empty if it breaks off or takes too long: the status says enough."""
    failure = asyncio.TimeoutError("the body of an error takes too long")
    failing = asyncio.get_running_loop().call_later(STATUS_BODY_SECONDS, response.content.set_exception, failure)
    try:
        with suppress(*BROKEN, Fault):
            return await whole_body(response)
        return b""
    finally:
        failing.cancel()


def _fault_of(error: Exception) -> Fault:
    """Map an exception of aiohttp to a fault. A bad status line may be no HTTP at all, so it is a connection error."""
    if isinstance(error, (asyncio.TimeoutError, aiohttp.ServerTimeoutError)):
        return Fault("timeout", "no answer in time")
    broken: BaseException = error
    while isinstance(broken, (aiohttp.ClientResponseError, HttpProcessingError)) and broken.__cause__ is not None:
        broken = broken.__cause__
    if isinstance(broken, HttpProcessingError) and not isinstance(broken, NO_HTTP):
        return breaks_http(broken)
    if isinstance(error, ValueError) and not isinstance(error, aiohttp.ClientError):
        return breaks_http(error)
    return Fault("connection", reason_of(error))
