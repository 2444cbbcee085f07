"""Read the body of a response into memory under a cap, or block by block into a sink."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NoReturn, Protocol

import requests

from .._models import Fault, Response
from .cancel_scope import CURRENT, TransferScope
from .content_range import content_range
from .decoding import content_codings, decode, require_at_most
from .framing import (
    NO_BODY_CODES,
    NO_CODING,
    UnreadableBody,
    announces_body,
    checked_content_length,
    content_length,
    header_values,
    too_long_error,
    transfer_codings,
)
from .matched_response import MatchedResponse

MAX_BODY_BYTES = 1024 * 1024
"""1 MiB: the longest body held in memory."""

STATUS_BODY_SECONDS = 1.0
"""1 s: how long the body of an error or a redirect is read. Only the status counts, which has already arrived."""

READ_BYTES = 64 * 1024
"""64 KiB: how much is read, or unpacked, at a time."""

FILE_CODES = (200, 203, 206)
"""OK, Non-Authoritative Information and Partial Content: the body is the file, or a part of it.

RFC 9110, sections 15.3.1, 15.3.4 and 15.3.7.
"""

PACKED_READ_BYTES = 4 * 1024
"""4 KiB: smaller reads for a packed file, as each may unpack to 1000 times its size before the deadline is checked."""


def read_capped(response: requests.Response, max_bytes: int) -> bytes:
    """Read a streamed response to its end.

    Raises:
        UnreadableBody: The body is longer than the cap, packed or unpacked, breaks off, or cannot be decoded.
        Exception: What urllib3 raises if the connection breaks.
    """
    raw: Any = response.raw
    if raw is None:  # built by a third-party adapter
        return require_at_most(response.content, max_bytes)
    if not hasattr(raw, "stream"):  # a plain file, which requests accepts too
        return require_at_most(raw.read(max_bytes + 1), max_bytes)
    length = None
    if response.status_code not in NO_BODY_CODES:
        length = checked_content_length(response.headers, allow_chunked_twice=is_read_as_chunked(response))
    elif announces_body(response.status_code, response.headers):
        response.close()  # or its bytes would be taken for the next response
        return b""
    body = _read_capped(raw, max_bytes)
    if length is not None and len(body) < length:  # urllib3 checks it only since 2.0
        raise UnreadableBody("the body is shorter than its Content-Length")
    return decode(body, content_codings(response.headers), max_bytes)


def is_read_as_chunked(response: requests.Response) -> bool:
    """True if http.client reads the body as chunked."""
    return getattr(getattr(response.raw, "_original_response", None), "chunked", False) is True


def response_head(response: requests.Response) -> Response:
    """Return the status and headers of a response, for one whose body is unreadable or not needed."""
    return Response(response.status_code, response.headers, b"")


def _read_capped(raw: Any, max_bytes: int) -> bytes:
    parts: list[bytes] = []
    size = 0
    for part in raw_blocks(raw, READ_BYTES):
        parts.append(part)
        size += len(part)
        if size > max_bytes:
            raise too_long_error(max_bytes)
    return b"".join(parts)


def raw_blocks(raw: Any, read_bytes: int) -> Iterator[bytes]:
    """Yield the blocks of a urllib3 response, not decoded.

    urllib3 parses a `Content-Length: n, n`, and http.client does not. Reading more than is left would then block until
    the connection is closed. If a body is longer than urllib3 expects, `length_remaining` gets negative, and urllib3
    would read the whole body for a negative number of bytes.
    """
    # The response of a third-party adapter may lack `length_remaining`.
    while block := raw.read(
        min(read_bytes, getattr(raw, "length_remaining", None) or read_bytes), decode_content=False
    ):
        yield block
        remaining = getattr(raw, "length_remaining", None)
        if remaining is not None and remaining <= 0:
            break


class Sink(Protocol):
    """The destination of a downloaded file."""

    def begin(self, head: Response) -> None:
        """Start with the head of a response with one of `FILE_CODES`. Its body follows."""

    def write(self, block: bytes) -> None:
        """Write the next block."""

    def reject_surplus(self) -> NoReturn:
        """Raise the fault for bytes that followed the body, and discard the response."""


def begin_file(head: Response, sink: Sink, *, allow_chunked_twice: bool) -> int:
    """Check the framing of a file, and start the sink with its head. Returns how many bytes to read at a time.

    Args:
        head: The head of the response.
        sink: Receives the file.
        allow_chunked_twice: True if the HTTP library decodes chunks although the headers name chunked twice.

    Raises:
        Fault: The end of the body would be uncertain.
        Exception: What the sink raises.
    """
    try:
        checked_content_length(head.headers, allow_chunked_twice=allow_chunked_twice)
    except UnreadableBody as error:
        raise Fault("unreadable", str(error), head) from None
    sink.begin(head)
    return PACKED_READ_BYTES if content_codings(head.headers) else READ_BYTES


def stream_to(response: requests.Response, sink: Sink) -> None:
    """Write the body of a streamed response into a sink.

    Raises:
        Fault: The body breaks off, or its end is uncertain.
        Exception: What the sink raises, and what urllib3 raises if the connection breaks.
    """
    head = response_head(response)
    read_bytes = begin_file(head, sink, allow_chunked_twice=is_read_as_chunked(response))
    scope = CURRENT.scope
    if isinstance(scope, TransferScope):
        scope.is_receiving_file, scope.is_tls_cut_off = True, False  # a cut-off redirect says nothing about the file
    original = getattr(response.raw, "_original_response", None)
    if isinstance(original, MatchedResponse):
        original.is_download = True
    size = 0
    for block in _blocks(response, read_bytes):
        if scope is not None:  # needed behind a third-party adapter, whose sockets do not do it
            scope.require_remaining()
            scope.record_received()
        sink.write(block)
        if scope is not None:
            scope.record_received()  # again, as time in the caller's `on_progress` does not count as idle
        size += len(block)
    length = content_length(response.headers)
    is_short = length is not None and size < length  # urllib3 checks it only since 2.0
    # Without a length, a connection that ends while TLS goes on was cut off (RFC 9112, section 9.8).
    is_cut_off = scope is not None and scope.is_tls_cut_off and ends_with_connection(response.headers)
    if is_short or is_cut_off:
        raise Fault("connection", "the file breaks off", head)
    if isinstance(original, MatchedResponse) and original.has_surplus:
        sink.reject_surplus()


def ends_with_connection(headers: Mapping[str, str]) -> bool:
    """Return True if the body has no length, no chunks and no range, so that it ends where the connection ends."""
    if transfer_codings(headers) not in NO_CODING or header_values(headers, "Content-Length"):
        return False
    part = content_range(headers)
    return part is None or part.first is None


def _blocks(response: requests.Response, read_bytes: int) -> Iterator[bytes]:
    raw: Any = response.raw
    if raw is None:  # built by a third-party adapter
        yield response.content
    elif hasattr(raw, "stream"):
        yield from raw_blocks(raw, read_bytes)
    else:
        yield from iter(lambda: raw.read(read_bytes), b"")
