"""How does a file come in? Block by block into a sink, with no cap on its size."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

from requests import Response

from ..faults import Fault
from ..messages import Answer
from .body import READ_BYTES, answer_without_body
from .guard import TransferGuard, current_guard

FILE_CODES = (200, 206)
"""OK and Partial Content: what follows is the file, or the rest of it (RFC 9110, sections 15.3.1 and 15.3.7)."""


class Sink(Protocol):
    """Where a file goes."""

    def begin(self, answer: Answer) -> None:
        """Take the head of an answer with one of `FILE_CODES`; its body follows."""

    def write(self, block: bytes) -> None:
        """Take the next block."""


def receive(response: Response, sink: Sink) -> None:
    """Pour the body of a streamed response into a sink.

    Raises:
        Fault: It breaks off, or comes in a content coding, which was not asked for.
        Exception: What the sink raises, and what urllib3 does when the connection breaks.
    """
    if response.headers.get("Content-Encoding", "identity").strip().lower() not in ("", "identity"):
        raise Fault("unreadable", "the file has a content coding that was not asked for", answer_without_body(response))
    sink.begin(answer_without_body(response))
    guard = current_guard()
    if isinstance(guard, TransferGuard):
        guard.is_receiving_file = True
    size = 0
    for block in _blocks(response):
        if guard is not None:  # looked at and told here too: behind somebody else's adapter nobody does
            guard.left()
            guard.received()
        sink.write(block)
        size += len(block)
    length = response.headers.get("Content-Length", "")
    if "Transfer-Encoding" not in response.headers and length.isdecimal() and size < int(length):
        raise Fault("connection", "the file breaks off", answer_without_body(response))


def _blocks(response: Response) -> Iterator[bytes]:
    raw: Any = response.raw
    if raw is None:  # made by hand by somebody's adapter
        yield response.content
    elif hasattr(raw, "stream"):
        yield from iter(lambda: raw.read(READ_BYTES, decode_content=False), b"")
    else:
        yield from iter(lambda: raw.read(READ_BYTES), b"")
