"""Read the body of a response of aiohttp, under a cap or into a sink, and send the file of a form block by block."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
from aiohttp.http_exceptions import HttpProcessingError

from .._models import Fault, Response
from .async_cancel_scope import AsyncCancelScope
from .body import MAX_BODY_BYTES, READ_BYTES, Sink, begin_file, ends_with_connection
from .decoding import content_codings, decode
from .errors import root_reason
from .event_loop import yield_to_loop
from .framing import NO_BODY_CODES, UnreadableBody, checked_content_length, too_long_error
from .multipart import MultipartStream


async def read_capped(response: aiohttp.ClientResponse) -> bytes:
    """Read the body of a response to its end.

    Raises:
        Fault: The body is longer than the cap, packed or unpacked, breaks off, or cannot be decoded.
    """
    try:
        length = None
        if response.status not in NO_BODY_CODES:
            length = checked_content_length(response.headers, allow_chunked_twice=True)
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
    read_bytes = begin_file(_response_head(response), sink, allow_chunked_twice=True)
    scope.is_receiving_file = True
    try:
        while block := await _read(response.content, read_bytes):
            scope.record_received()
            sink.write(block)
            scope.record_received()  # again, as time in the caller's `on_progress` does not count as idle
            await yield_to_loop()  # or a body that has always arrived already would keep the timer from firing
    except aiohttp.ClientPayloadError:
        is_cut_short = True
    else:
        is_cut_short = _was_cut_off(response)
    if is_cut_short:
        raise Fault("connection", "the file breaks off", _response_head(response))
    if isinstance(_error_after_body(response), HttpProcessingError):  # the surplus bytes are not a response
        sink.reject_surplus()


def _was_cut_off(response: aiohttp.ClientResponse) -> bool:
    """True if a body that ends with its connection was cut off, by a reset or by TLS not closed. aiohttp accepts both."""
    is_reset = isinstance(_error_after_body(response), aiohttp.ClientOSError)
    is_cut_off = is_reset or getattr(_protocol_of(response), "is_tls_cut_off", False)
    return is_cut_off and ends_with_connection(response.headers)


def _error_after_body(response: aiohttp.ClientResponse) -> BaseException | None:
    """Return the error that ended the connection after the body."""
    protocol = _protocol_of(response)
    error: BaseException | None = None if protocol is None else protocol.exception()
    return error


def _protocol_of(response: aiohttp.ClientResponse) -> Any:
    return getattr(response, "_protocol", None)  # `connection` is None once the body has ended


async def blocks_of(form: MultipartStream, scope: AsyncCancelScope) -> AsyncIterator[bytes]:
    """Yield a file in blocks as it is read. Each is requested when the one before was sent."""
    while block := form.read(READ_BYTES):
        scope.record_sent()
        yield block
        await yield_to_loop()  # or a server that always accepts more would keep the timer from firing


def _response_head(response: aiohttp.ClientResponse) -> Response:
    return Response(response.status, response.headers, b"")
