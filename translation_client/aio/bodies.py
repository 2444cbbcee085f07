"""Receiving and sending bodies with aiohttp, under the same caps as in the blocking transport."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
from aiohttp.http_exceptions import HttpProcessingError

from ..faults import Fault
from ..messages import Answer
from ..transport import Sink
from ..transport.breakdowns import reason_of
from ..transport.decoding import READ_BYTES, content_codings, decoded
from ..transport.framing import UnreadableBody, content_length, require_plain_transfer, too_long_error, transfer_codings
from ..transport.payload import FormWithFile
from ..transport.receiving import begin_file
from ..transport.transport import MAX_BODY_BYTES
from .cuts import Cut


async def whole_body(response: aiohttp.ClientResponse) -> bytes:
    """Read the body of a response to its end.

    Raises:
        Fault: It is over the cap, before or after unpacking, breaks off, or cannot be decoded.
    """
    try:
        require_plain_transfer(response.headers, is_chunked=True)
        body = await _capped_body(response)
        return decoded(body, content_codings(response.headers), MAX_BODY_BYTES)
    except UnreadableBody as error:
        text = str(error)
    except (aiohttp.ClientPayloadError, aiohttp.ClientConnectionError) as error:
        text = f"the body breaks off ({reason_of(error)})"
    response.close()
    raise Fault("unreadable", text, _head(response))


async def _capped_body(response: aiohttp.ClientResponse) -> bytes:
    length = content_length(response.headers)
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
    """Read up to `size` bytes, or all of them. Returns nothing at the end of the body.

    Raises:
        ClientPayloadError: The body breaks off. Where chunks make no sense, aiohttp itself raises a RuntimeError.
    """
    try:
        return await content.read(size)
    except RuntimeError as error:
        raise aiohttp.ClientPayloadError(str(error)) from error


async def receive(response: aiohttp.ClientResponse, sink: Sink, cut: Cut) -> None:
    """Write the body of a response into a sink, block by block.

    Raises:
        Fault: It breaks off, or its end is uncertain.
        Exception: What the sink raises.
    """
    read_bytes = begin_file(_head(response), sink, is_chunked=True)
    cut.is_receiving_file = True
    try:
        while block := await _read(response.content, read_bytes):
            cut.received()
            sink.write(block)
            await asyncio.sleep(0)  # a body that is always there already would never let the deadline ring
    except aiohttp.ClientPayloadError:
        is_cut_short = True
    else:
        is_cut_short = _was_reset(response)
    if is_cut_short:
        raise Fault("connection", "the file breaks off", _head(response))
    if isinstance(_error_behind(response), HttpProcessingError):  # what came there is no response
        sink.reject_surplus()


def _was_reset(response: aiohttp.ClientResponse) -> bool:
    """True if the connection was reset where its end is the end of the body: aiohttp takes both for the same."""
    is_framed = content_length(response.headers) is not None or bool(transfer_codings(response.headers))
    return not is_framed and isinstance(_error_behind(response), aiohttp.ClientOSError)


def _error_behind(response: aiohttp.ClientResponse) -> BaseException | None:
    """Return the error of the connection behind the end of the body."""
    protocol: Any = getattr(response, "_protocol", None)  # `connection` is None once the body has ended
    error: BaseException | None = None if protocol is None else protocol.exception()
    return error


async def blocks_of(form: FormWithFile, cut: Cut) -> AsyncIterator[bytes]:
    """A file as it is read; each block is asked for when the one before has gone out."""
    while block := form.read(READ_BYTES):
        cut.sent()
        yield block
        await asyncio.sleep(0)  # a server that always takes more at once would never let the deadline ring


def _head(response: aiohttp.ClientResponse) -> Answer:
    return Answer(response.status, response.headers, b"")
