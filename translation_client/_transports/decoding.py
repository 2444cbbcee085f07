"""Content codings: which ones a response names, and how those of a body in memory are undone.

Storage hosts send `Content-Encoding` (RFC 9110, section 8.4) as it was set at the upload, whatever the request accepts:
`aws-chunked`, `UTF-8`, `none`. A label that is not a registered coding says nothing about the bytes. Labels may also be
wrong: any JSON object or array and an empty body are used as they are. `file_decoding` undoes those of files.
"""

from __future__ import annotations

import json
import re
import zlib
from codecs import BOM_UTF8
from collections.abc import Mapping, Sequence

from .framing import UnreadableBody, header_values, too_long_error

ACCEPT_ENCODING = "gzip, deflate"
"""The request header for everything but files, which are requested as `identity`."""

REGISTERED_CODINGS = frozenset(
    (
        "aes128gcm",
        "br",
        "compress",
        "dcb",
        "dcz",
        "deflate",
        "exi",
        "gzip",
        "pack200-gzip",
        "x-compress",
        "x-gzip",
        "zstd",
    )
)
"""IANA's HTTP Content Coding Registry, and the two aliases of RFC 9110, without `identity`, which changes nothing."""

DECODABLE_CODINGS = ("gzip", "x-gzip", "deflate")
"""The codings that Python's zlib undoes."""

MAX_CODINGS = 2
"""Nested content codings that are undone. More are an attack, as each costs time."""

MAX_MEMBERS = 16
"""Consecutive gzip members in a body held in memory. More are an attack, as each costs time."""

GZIP_START = b"\x1f\x8b\x08"
"""The magic number of gzip and its only method (RFC 1952, section 2.3.1)."""

_LABEL_ENDS = re.compile(r"[\s;\"']+")

GZIP_WINDOW_BITS = 16 + zlib.MAX_WBITS
ZLIB_WINDOW_BITS = zlib.MAX_WBITS
RAW_DEFLATE_WINDOW_BITS = -zlib.MAX_WBITS
"""What some servers send as "deflate", against RFC 9110, section 8.4.1.2."""


def content_codings(headers: Mapping[str, str]) -> tuple[str, ...]:
    """Return the registered codings that `Content-Encoding` names, in lower case and in the order they were applied.

    Quotes, parameters and blanks are removed: they are not part of a name, though some servers send them.
    """
    values = header_values(headers, "Content-Encoding")
    if not values:
        return ()
    labels = (label for value in values for label in _LABEL_ENDS.split(value.lower()))
    return tuple(label for label in labels if label in REGISTERED_CODINGS)


def decode(body: bytes, codings: Sequence[str], max_bytes: int) -> bytes:
    """Undo the content codings of a body in memory.

    An empty body, as that of a 204 response, and a JSON object or array are returned as they are, whatever their label.

    Raises:
        UnreadableBody: The body cannot be decoded, or has more than `max_bytes` when decoded.
    """
    for undone, coding in enumerate(reversed(codings)):
        if not body or _is_json(body):
            break
        require_decodable(coding, undone)
        body = _decompress(body, coding, max_bytes)
    return body


def require_at_most(body: bytes, max_bytes: int) -> bytes:
    """Return the body if it has at most `max_bytes`.

    Raises:
        UnreadableBody: The body is longer.
    """
    if len(body) > max_bytes:
        raise too_long_error(max_bytes)
    return body


def require_decodable(coding: str, undone: int) -> None:
    if coding not in DECODABLE_CODINGS:
        raise UnreadableBody(
            f"the body has a content coding that was not accepted and cannot be decoded (Content-Encoding: {coding})"
        )
    if undone >= MAX_CODINGS:
        raise UnreadableBody(f"the body has more than {MAX_CODINGS} content codings on top of each other")


def _is_json(body: bytes) -> bool:
    """True if the body is a JSON object or array, which no packed body is."""
    if body.removeprefix(BOM_UTF8).lstrip()[:1] not in (b"{", b"["):
        return False
    try:
        json.loads(body)
    except (ValueError, RecursionError):
        return False
    return True


def _decompress(body: bytes, coding: str, max_bytes: int) -> bytes:
    window_bits = GZIP_WINDOW_BITS if coding != "deflate" else ZLIB_WINDOW_BITS
    if window_bits == ZLIB_WINDOW_BITS and body[:1] and body[0] & 0x0F != zlib.DEFLATED:
        window_bits = RAW_DEFLATE_WINDOW_BITS
    unpacked = b""
    for _ in range(MAX_MEMBERS):
        unpacker = zlib.decompressobj(window_bits)
        try:
            unpacked += unpacker.decompress(body, max_bytes + 1 - len(unpacked))
        except zlib.error as error:
            raise UnreadableBody(f"the body does not unpack (Content-Encoding: {coding})") from error
        require_at_most(unpacked, max_bytes)
        if not unpacker.eof:
            raise UnreadableBody(f"the packed body breaks off (Content-Encoding: {coding})")
        body = unpacker.unused_data.lstrip(b"\0")  # padding, as the gzip program allows it
        if not body or (window_bits == GZIP_WINDOW_BITS and not GZIP_START.startswith(body[: len(GZIP_START)])):
            return unpacked
    raise UnreadableBody(f"the packed body has more than {MAX_MEMBERS} members")
