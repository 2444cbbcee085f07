"""How is a body read so that no server can fill the memory with it? The cap holds while reading and while unpacking."""

from __future__ import annotations

import zlib
from typing import Any

from requests import Response

from ..messages import Answer

READ_BYTES = 64 * 1024

MAX_CODINGS = 2
"""Content codings on top of each other that are undone; more is an attack, as each costs time."""

MAX_MEMBERS = 16
"""Gzip members one after the other; the same."""

CODINGS = {"gzip": 16 + zlib.MAX_WBITS, "x-gzip": 16 + zlib.MAX_WBITS, "deflate": zlib.MAX_WBITS}
"""The content codings that we ask for (RFC 9110, section 8.4.1), and what zlib calls them."""

ACCEPT_ENCODING = "gzip, deflate"


class UnreadableBody(Exception):
    """The body is longer than the cap, shorter than it says, or not in the coding that it claims to be in."""


def read_body(response: Response, max_bytes: int) -> bytes:
    """Read a streamed response to its end.

    Raises:
        UnreadableBody: It is over the cap, before or after unpacking, breaks off, or does not unpack.
        Exception: What urllib3 raises when the connection breaks.
    """
    raw: Any = response.raw
    if raw is None:  # made by hand by somebody's adapter
        return _capped(response.content, max_bytes)
    if not hasattr(raw, "stream"):  # a plain file: requests takes it as it is, so do we
        return _capped(raw.read(max_bytes + 1), max_bytes)
    body = _read_capped(raw, max_bytes)
    if _is_cut_short(response, len(body)):  # urllib3 looks itself only from 2.0 on
        raise UnreadableBody("the body is shorter than its Content-Length")
    return decoded(body, response.headers.get("Content-Encoding", ""), max_bytes)


def answer_without_body(response: Response) -> Answer:
    """Keep what is known of a response whose body cannot be read, or does not count."""
    return Answer(response.status_code, response.headers, b"")


def _read_capped(raw: Any, max_bytes: int) -> bytes:
    parts: list[bytes] = []
    size = 0
    while part := raw.read(READ_BYTES, decode_content=False):
        parts.append(part)
        size += len(part)
        if size > max_bytes:
            raise too_long(max_bytes)
        if raw.length_remaining == 0:  # urllib3 knows: asking once more would only cost time
            break
    return b"".join(parts)


def _is_cut_short(response: Response, size: int) -> bool:
    length = response.headers.get("Content-Length", "")
    counts = response.status_code != 204 and "Transfer-Encoding" not in response.headers
    return counts and length.isdecimal() and size < int(length)


def decoded(body: bytes, codings: str, max_bytes: int) -> bytes:
    """Undo the content codings of a body.

    Raises:
        UnreadableBody: It is over the cap then, or does not unpack.
    """
    names = [name for name in (part.strip().lower() for part in codings.split(",")) if name not in ("", "identity")]
    if len(names) > MAX_CODINGS:
        raise UnreadableBody(f"the body has {len(names)} content codings on top of each other")
    for name in reversed(names):
        if name not in CODINGS:
            raise UnreadableBody("the body has a content coding that was not asked for")
        body = _unpacked(body, CODINGS[name], max_bytes)
    return body


def _unpacked(body: bytes, window_bits: int, max_bytes: int) -> bytes:
    if window_bits == zlib.MAX_WBITS and body[:1] and body[0] & 0x0F != zlib.DEFLATED:
        window_bits = -zlib.MAX_WBITS  # "deflate" without the zlib header: wrong, and common
    unpacked = b""
    for _ in range(MAX_MEMBERS):
        unpacker = zlib.decompressobj(window_bits)
        try:
            unpacked += unpacker.decompress(body, max_bytes + 1 - len(unpacked))
        except zlib.error as error:
            raise UnreadableBody("the body does not unpack") from error
        _capped(unpacked, max_bytes)
        if not unpacker.eof:
            raise UnreadableBody("the packed body breaks off")
        body = unpacker.unused_data.lstrip(b"\0")  # padding, as the gzip program allows it
        if not body:
            return unpacked
    raise UnreadableBody(f"the packed body has more than {MAX_MEMBERS} members")


def _capped(body: bytes, max_bytes: int) -> bytes:
    if len(body) > max_bytes:
        raise too_long(max_bytes)
    return body


def too_long(max_bytes: int) -> UnreadableBody:
    """Say that a body is over the cap."""
    return UnreadableBody(f"the body is longer than {max_bytes} bytes")
