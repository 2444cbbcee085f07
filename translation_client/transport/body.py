"""Reading a response's body into memory, under a cap that holds while reading and while unpacking."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from requests import Response

from ..messages import Answer
from .decoding import READ_BYTES, content_codings, decoded, require_at_most
from .framing import UnreadableBody, content_length, require_plain_transfer, too_long_error


def read_body(response: Response, max_bytes: int) -> bytes:
    """Read a streamed response to its end.

    Raises:
        UnreadableBody: It is over the cap, before or after unpacking, breaks off, or cannot be decoded.
        Exception: What urllib3 raises when the connection breaks.
    """
    raw: Any = response.raw
    if raw is None:  # made by hand by somebody's adapter
        return require_at_most(response.content, max_bytes)
    if not hasattr(raw, "stream"):  # a plain file: requests takes it as it is, so do we
        return require_at_most(raw.read(max_bytes + 1), max_bytes)
    require_plain_transfer(response.headers, is_chunked=is_read_as_chunked(response))
    length = content_length(response.headers) if response.status_code != 204 else None
    body = _read_capped(raw, max_bytes)
    if length is not None and len(body) < length:  # urllib3 checks it only from 2.0 on
        raise UnreadableBody("the body is shorter than its Content-Length")
    return decoded(body, content_codings(response.headers), max_bytes)


def is_read_as_chunked(response: Response) -> bool:
    """True if http.client reads the body as chunked."""
    return getattr(getattr(response.raw, "_original_response", None), "chunked", False) is True


def answer_without_body(response: Response) -> Answer:
    """Keep what is known of a response whose body cannot be read, or does not count."""
    return Answer(response.status_code, response.headers, b"")


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
    """Read from a response of urllib3, block by block and not decoded.

    urllib3 understands a `Content-Length: n, n`, and http.client does not: to read more than is left would wait until the connection
    is closed.
    """
    while block := raw.read(min(read_bytes, _left(raw) or read_bytes), decode_content=False):
        yield block
        if _left(raw) == 0:
            break


def _left(raw: Any) -> int | None:
    left: int | None = getattr(raw, "length_remaining", None)  # an adapter's own response may not count
    return left
