"""How do bodies come in and go out, in tasks? Under the same caps as those of threads."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import aiohttp

from ..faults import Fault
from ..messages import Answer
from ..transport import Sink
from ..transport.body import READ_BYTES, UnreadableBody, decoded, too_long
from ..transport.breakdowns import reason_of
from ..transport.payload import FormWithFile
from ..transport.transport import MAX_BODY_BYTES
from .cuts import Cut


async def whole_body(response: aiohttp.ClientResponse) -> bytes:
    """Read it to its end.

    Raises:
        Fault: It is over the cap, before or after unpacking, breaks off, or does not unpack.
    """
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


async def receive(response: aiohttp.ClientResponse, sink: Sink, cut: Cut) -> None:
    """Pour it into a sink, block by block.

    Raises:
        Fault: It breaks off, or comes in a content coding, which was not asked for.
    """
    if response.headers.get("Content-Encoding", "identity").strip().lower() not in ("", "identity"):
        raise Fault("unreadable", "the file has a content coding that was not asked for", _head(response))
    sink.begin(_head(response))
    cut.is_receiving_file = True
    try:
        async for block in response.content.iter_chunked(READ_BYTES):
            cut.received()
            sink.write(block)
            await asyncio.sleep(0)  # a body that is always there already would never let the deadline ring
    except aiohttp.ClientPayloadError:
        is_cut_short = True
    else:
        is_cut_short = False
    if is_cut_short:
        raise Fault("connection", "the file breaks off", _head(response))


async def blocks_of(form: FormWithFile, cut: Cut) -> AsyncIterator[bytes]:
    """A file as it is read; each block is asked for when the one before has gone out."""
    while block := form.read(READ_BYTES):
        cut.sent()
        yield block
        await asyncio.sleep(0)  # a server that always takes more at once would never let the deadline ring


def _head(response: aiohttp.ClientResponse) -> Answer:
    return Answer(response.status, response.headers, b"")
