"""Receiving a file block by block into a sink, with no cap on its size."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NoReturn, Protocol

from requests import Response

from ..faults import Fault
from ..messages import Answer
from .body import answer_without_body, is_read_as_chunked, raw_blocks
from .decoding import READ_BYTES, content_codings
from .framing import UnreadableBody, content_length, require_plain_transfer
from .guard import TransferGuard, current_guard
from .responses import MatchedResponse

FILE_CODES = (200, 203, 206)
"""OK, Non-Authoritative Information and Partial Content: what follows is the file, or a part of it.

RFC 9110, sections 15.3.1, 15.3.4 and 15.3.7.
"""

PACKED_READ_BYTES = 4 * 1024
"""Reads of a packed file are smaller, as each may unpack to a thousand times its size before the deadline is checked."""


class Sink(Protocol):
    """Where a file goes."""

    def begin(self, answer: Answer) -> None:
        """Take the head of an answer with one of `FILE_CODES`; its body follows."""

    def write(self, block: bytes) -> None:
        """Take the next block."""

    def reject_surplus(self) -> NoReturn:
        """Raise the fault for bytes that followed the body, and forget the response."""


def begin_file(answer: Answer, sink: Sink, *, is_chunked: bool) -> int:
    """Check the framing of a file and pass its head to the sink. Returns how many bytes to read at a time.

    Args:
        answer: The head of the response.
        sink: What receives the file.
        is_chunked: True if the HTTP library reads the body as chunked where the headers name chunked twice.

    Raises:
        Fault: The end of the body would be uncertain.
        Exception: What the sink raises.
    """
    try:
        require_plain_transfer(answer.headers, is_chunked=is_chunked)
        content_length(answer.headers)
    except UnreadableBody as error:
        raise Fault("unreadable", str(error), answer) from None
    sink.begin(answer)
    return PACKED_READ_BYTES if content_codings(answer.headers) else READ_BYTES


def receive(response: Response, sink: Sink) -> None:
    """Write the body of a streamed response into a sink.

    Raises:
        Fault: It breaks off, or its end is uncertain.
        Exception: What the sink raises, and what urllib3 does when the connection breaks.
    """
    answer = answer_without_body(response)
    read_bytes = begin_file(answer, sink, is_chunked=is_read_as_chunked(response))
    guard = current_guard()
    if isinstance(guard, TransferGuard):
        guard.is_receiving_file = True
    original = getattr(response.raw, "_original_response", None)
    if isinstance(original, MatchedResponse):
        original.is_file = True
    size = 0
    for block in _blocks(response, read_bytes):
        if guard is not None:  # looked at and told here too: behind somebody else's adapter nobody does
            guard.left()
            guard.received()
        sink.write(block)
        size += len(block)
    length = content_length(response.headers)
    if length is not None and size < length:  # urllib3 checks it only from 2.0 on
        raise Fault("connection", "the file breaks off", answer)
    if isinstance(original, MatchedResponse) and original.has_surplus:
        sink.reject_surplus()


def _blocks(response: Response, read_bytes: int) -> Iterator[bytes]:
    raw: Any = response.raw
    if raw is None:  # made by hand by somebody's adapter
        yield response.content
    elif hasattr(raw, "stream"):
        yield from raw_blocks(raw, read_bytes)
    else:
        yield from iter(lambda: raw.read(read_bytes), b"")
