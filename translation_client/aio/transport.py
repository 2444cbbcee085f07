"""How do bytes get there and back without a thread that waits for them? By aiohttp, within the same limits."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, NamedTuple

import aiohttp
from yarl import URL

from ..clock import Deadline, now
from ..faults import Fault
from ..messages import Answer, Request
from ..origins import same_origin
from ..transport import CallCut, NotSent, Sink
from ..transport.body import ACCEPT_ENCODING, READ_BYTES, UnreadableBody, decoded, too_long
from ..transport.breakdowns import bared, reason_of
from ..transport.payload import FormWithFile, Payload, payload_of
from ..transport.receiving import FILE_CODES
from ..transport.redirects import MAX_REDIRECTS, target_of
from ..transport.transport import MAX_BODY_BYTES, STATUS_BODY_SECONDS
from .cuts import Cut, Cuts
from .sessions import Sessions

CLOSING_SECONDS = 0.4
"""How long closing waits for the calls under way."""

REDIRECTS = (301, 302, 303, 307, 308)

BROKEN = (aiohttp.ClientError, asyncio.TimeoutError, OSError, ValueError)
"""What aiohttp and the system raise where a call breaks down."""


class _Sending(NamedTuple):
    """A request on its way; without credentials, not even fixed ones, where it goes to another origin."""

    request: Request
    credentials: Mapping[str, str] | None
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
        credentials: Callable[[], Mapping[str, str]],
        session: aiohttp.ClientSession | None,
    ) -> None:
        """Set up; nothing is sent or opened. The arguments are those of `Transport`, but for the session."""
        self.base_url = base_url
        self._credentials = credentials
        self._request_timeout = request_timeout
        self._plain = {"User-Agent": user_agent, "Accept": "application/json", "Accept-Encoding": ACCEPT_ENCODING}
        self._full = {**self._plain, **headers}
        self._sessions = Sessions(session)
        self._cuts = Cuts()

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
        started = now()
        credentials, made = self._prepared(request)
        is_transfer = request.is_transfer or sink is not None
        trace = _Trace()
        with made as payload:
            try:
                async with Cut(
                    self._cuts, deadline.at, self._request_timeout, is_cancelled, is_transfer=is_transfer
                ) as cut:
                    sending = _Sending(request, credentials, payload, sink, cut)
                    status, headers, body = await self._guarded(sending, trace, is_fresh=is_fresh)
            except (CallCut, Fault) as error:
                error.was_sent = payload.is_read and trace.has_sent
                raise
        return Answer(status, headers, body, now() - started)

    async def close(self) -> None:
        """Close what is ours, once the calls under way have seen that they are not wanted any more."""
        self._cuts.look()
        until = now() + CLOSING_SECONDS
        while self._cuts and now() < until:
            await asyncio.sleep(0)
        await self._sessions.close()

    def _prepared(self, request: Request) -> tuple[Mapping[str, str] | None, Payload]:
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
            async with self._asked(sending, url, trace, is_trusted=is_trusted, is_fresh=is_fresh) as response:
                body = await self._read(response, sending)
                status, headers = response.status, response.headers
            location = headers.get("Location") if status in REDIRECTS else None
            if location is None or request.method != "GET":
                return status, headers, body
            url = target_of(url, location, Answer(status, headers, b""))
            is_trusted = is_trusted and same_origin(self.base_url, url)
        raise Fault("unreadable", f"more than {MAX_REDIRECTS} redirects", Answer(status, headers, b""))

    def _asked(self, sending: _Sending, url: str, trace: _Trace, *, is_trusted: bool, is_fresh: bool) -> Any:
        request, payload = sending.request, sending.payload
        if is_trusted:
            method, headers = request.method, {**self._full, **(sending.credentials or {}), **request.headers}
        else:
            method, headers = "GET", {**self._plain, **request.headers}
        if payload.content:
            headers["Content-Type"] = payload.content_type
        data: Any = payload.content or None
        if isinstance(payload.content, FormWithFile):
            headers["Content-Length"] = str(len(payload.content))
            data = _blocks(payload.content, sending.cut)
        return self._sessions.request(
            method, URL(url, encoded=True), headers, data, trace, is_watched=method != "GET", is_fresh=is_fresh
        )

    async def _read(self, response: aiohttp.ClientResponse, sending: _Sending) -> bytes:
        if sending.sink is not None and response.status in FILE_CODES:
            await _receive(response, sending.sink, sending.cut)
            return b""
        if response.status < 300:
            return await _whole_body(response)
        try:  # its status says enough, and no body can take that back
            return await asyncio.wait_for(_whole_body(response), STATUS_BODY_SECONDS)
        except (*BROKEN, Fault):
            response.close()
            return b""


async def _whole_body(response: aiohttp.ClientResponse) -> bytes:
    try:
        body = await _capped_body(response)
        return decoded(body, response.headers.get("Content-Encoding", ""), MAX_BODY_BYTES)
    except UnreadableBody as error:
        text = str(error)
    except (aiohttp.ClientPayloadError, aiohttp.ClientConnectionError) as error:
        text = f"the body breaks off ({reason_of(error)})"
    response.close()
    raise Fault("unreadable", text, _head(response))


async def _capped_body(response: aiohttp.ClientResponse) -> bytes:
    length = response.content_length
    if length is not None and length <= MAX_BODY_BYTES:
        return await response.content.read()
    parts = []
    size = 0
    async for part in response.content.iter_any():
        parts.append(part)
        size += len(part)
        if size > MAX_BODY_BYTES:
            raise too_long(MAX_BODY_BYTES)
    return b"".join(parts)


async def _receive(response: aiohttp.ClientResponse, sink: Sink, cut: Cut) -> None:
    if response.headers.get("Content-Encoding", "identity").strip().lower() not in ("", "identity"):
        raise Fault("unreadable", "the file has a content coding that was not asked for", _head(response))
    sink.begin(_head(response))
    cut.is_receiving_file = True
    try:
        async for block in response.content.iter_chunked(READ_BYTES):
            cut.received()
            sink.write(block)
    except aiohttp.ClientPayloadError:
        is_cut_short = True
    else:
        is_cut_short = False
    if is_cut_short:
        raise Fault("connection", "the file breaks off", _head(response))


async def _blocks(form: FormWithFile, cut: Cut) -> AsyncIterator[bytes]:
    """A file as it is read; each block is asked for when the one before has gone out."""
    while block := form.read(READ_BYTES):
        cut.sent()
        yield block


def _head(response: aiohttp.ClientResponse) -> Answer:
    return Answer(response.status, response.headers, b"")


def _fault_of(error: Exception) -> Fault:
    if isinstance(error, (asyncio.TimeoutError, aiohttp.ServerTimeoutError)):
        return Fault("timeout", "no answer in time")
    return Fault("connection", reason_of(error))
