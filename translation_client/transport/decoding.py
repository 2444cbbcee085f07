"""Content codings: which ones a response names, and how they are undone within limits (RFC 9110, section 8.4).

Storage hosts send `Content-Encoding` as it was set at the upload, whatever was asked for: `aws-chunked`, `UTF-8`, `none`.
A label that is no registered coding says nothing about the bytes. Labels may also be wrong: a file that does not begin as its coding
begins, any JSON object or array, and an empty body are taken as they are.
"""

from __future__ import annotations

import json
import re
import zlib
from codecs import BOM_UTF8
from collections.abc import Iterable, Iterator, Mapping, Sequence

from .framing import UnreadableBody, header_values, too_long_error

READ_BYTES = 64 * 1024
"""64 KiB: how much is read, or unpacked, at a time."""

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
"""IANA's HTTP Content Coding Registry, and the two aliases of RFC 9110; without `identity`, which changes nothing."""

DECODABLE_CODINGS = ("gzip", "x-gzip", "deflate")
"""What the zlib of Python undoes."""

MAX_CODINGS = 2
"""Content codings on top of each other that are undone; more is an attack, as each costs time."""

MAX_MEMBERS = 16
"""Gzip members one after the other in a body that is held in memory; more is an attack, as each costs time."""

GZIP_START = b"\x1f\x8b\x08"
"""The magic number of gzip and its only method (RFC 1952, section 2.3.1)."""

_LABEL_ENDS = re.compile(r"[\s;\"']+")

_SKIPPABLE_FRAMES = tuple(b"%c*M\x18" % number for number in range(0x50, 0x60))

_MAGIC_NUMBERS = {
    "gzip": (GZIP_START,),
    "x-gzip": (GZIP_START,),
    "pack200-gzip": (GZIP_START,),
    "compress": (b"\x1f\x9d",),
    "x-compress": (b"\x1f\x9d",),
    "zstd": (b"\x28\xb5\x2f\xfd", *_SKIPPABLE_FRAMES),
    "dcb": (b"\xffDCB",),
    "dcz": (b"^*M\x18",),
}
"""How a body begins that has such a coding (RFC 1952, RFC 8878, sections 3.1.1 and 3.1.2, RFC 9842, sections 4 and 5, compress(1))."""

_MEDIA_START = re.compile(
    rb"""
    .{4} (mdat | moov | ftyp)                             # boxes of MP4 and QuickTime, of any size
    | (?= .{0,3} [\0-\x08\x0e-\x1f])                      # boxes whose names are also words: their size is no text
      .{4} (free | skip | wide | styp | moof | sidx | emsg | prft | pnot | uuid | pdin)
    | RIFF | RF64 | FORM.{4}AIF | \x1aE\xdf\xa3 | ID3[\x02-\x04] | OggS | fLaC | FLV\x01 | \.snd
    | \xff [\xe2\xe3\xf2\xf3\xfa\xfb\xfc\xfd] [\x10-\xeb]  # MPEG audio without tags
    | \xff [\xf0\xf1\xf8\xf9] [\x40-\x7f]                 # AAC in ADTS
    | G [\0@] \0 [\x10-\x1f\x30-\x3f] | G@\x11[\x10-\x1f\x30-\x3f] | G\x1f\xff[\x10-\x1f]  # MPEG-TS: PAT, SDT, filling
    | \0\0\x01[\xb3\xba] | \0\0\0?\x01[\x09\x27\x47\x67\x40\x42\x46]  # MPEG-1 and 2, and H.264 and H.265 without a container
    | \x30\x26\xb2\x75\x8e\x66\xcf\x11                    # ASF
    | (\xef\xbb\xbf)? (WEBVTT | \[Script\ Info | \d{1,4}\r?\n\d\d?:\d\d)  # WebVTT, ASS, SRT
    """,
    re.DOTALL | re.VERBOSE,
)
"""How media files and subtitles begin: it disproves a coding that has no magic number, as Brotli has none, and a false media type."""

MEDIA_BYTES = 16
"""How much of a body shows whether it begins as a media file."""

MAGIC_BYTES = 8
"""How much of a body shows whether it begins with a magic number."""

PROBE_BYTES = 1024
"""How much of a body shows whether it is deflate, which has no magic number."""

UNCHECKED_BYTES = 64 * 1024 * 1024
"""64 MiB: up to here the unpacked size of a file that was packed twice is not compared with its packed size."""

MAX_RATIO = 100
"""Beyond that a file that was packed twice may unpack to this many times its packed size.

A file that was packed once has no limit: a block of it unpacks to a thousand times as much at most, and the deadline is checked
before each block. Packed twice, one block may become gigabytes.
"""

_GZIP = 16 + zlib.MAX_WBITS
_ZLIB = zlib.MAX_WBITS
_RAW_DEFLATE = -zlib.MAX_WBITS
"""What servers send as "deflate" too, against RFC 9110, section 8.4.1.2."""


def content_codings(headers: Mapping[str, str]) -> tuple[str, ...]:
    """Return the registered codings that `Content-Encoding` names, in lower case and in the order they were applied.

    Quotes, parameters and blanks are no part of a name, though some servers send them.
    """
    labels = (
        label for value in header_values(headers, "Content-Encoding") for label in _LABEL_ENDS.split(value.lower())
    )
    return tuple(label for label in labels if label in REGISTERED_CODINGS)


def decoded(body: bytes, codings: Sequence[str], max_bytes: int) -> bytes:
    """Undo the content codings of a body that is held in memory.

    An empty body, as that of a 204 response, and a JSON object or array are returned as they are, whatever their label.

    Raises:
        UnreadableBody: The body cannot be decoded, or has more than `max_bytes` when decoded.
    """
    for undone, coding in enumerate(reversed(codings)):
        if not body or _is_json(body):
            break
        _require_decodable(coding, undone)
        body = _unpacked(body, coding, max_bytes)
    return body


def require_at_most(body: bytes, max_bytes: int) -> bytes:
    """Return the body if it has at most `max_bytes`.

    Raises:
        UnreadableBody: The body is longer.
    """
    if len(body) > max_bytes:
        raise too_long_error(max_bytes)
    return body


def _require_decodable(coding: str, undone: int) -> None:
    if coding not in DECODABLE_CODINGS:
        raise UnreadableBody(
            f"the body has a content coding that was not asked for and cannot be decoded (Content-Encoding: {coding})"
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


def _unpacked(body: bytes, coding: str, max_bytes: int) -> bytes:
    window_bits = _GZIP if coding != "deflate" else _ZLIB
    if window_bits == _ZLIB and body[:1] and body[0] & 0x0F != zlib.DEFLATED:
        window_bits = _RAW_DEFLATE
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
        if not body or (window_bits == _GZIP and not _begins_as(coding, body)):
            return unpacked
    raise UnreadableBody(f"the packed body has more than {MAX_MEMBERS} members")


class FileDecoder:
    """Undoes the content codings of a file block by block, in constant memory. Nothing is decoded unless the results are iterated over."""

    def __init__(self, codings: Sequence[str]) -> None:
        """Create a decoder.

        Args:
            codings: The names, in the order they were applied.
        """
        self._stages: list[_Stage] = []
        for coding in reversed(codings):
            self._stages.append(_Stage(coding, tuple(self._stages)))
        self._packed_bytes = 0
        self._unpacked_bytes = 0

    @property
    def applied_codings(self) -> tuple[str, ...] | None:
        """The codings that the body turned out to have; None if too little of it has come to tell."""
        if any(stage.is_applied is None for stage in self._stages):
            return None
        return tuple(stage.coding for stage in reversed(self._stages) if stage.is_applied)

    def feed(self, block: bytes) -> Iterator[bytes]:
        """Decode the next block of the file, in pieces of at most `READ_BYTES`.

        Raises:
            UnreadableBody: The file has a coding that cannot be undone, or cannot be decoded, or unpacks to too much.
        """
        self._packed_bytes += len(block)
        return self._limited(_through_stages([block], self._stages))

    def finish(self) -> Iterator[bytes]:
        """Decode what is left at the end of the file.

        Raises:
            UnreadableBody: The packed file breaks off, or cannot be decoded.
        """
        for number, stage in enumerate(self._stages, start=1):
            yield from self._limited(_through_stages(stage.finish(), self._stages[number:]))

    def _limited(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        for piece in pieces:
            self._unpacked_bytes += len(piece)
            is_too_much = self._unpacked_bytes > max(UNCHECKED_BYTES, MAX_RATIO * self._packed_bytes)
            if is_too_much and len(self.applied_codings or ()) > 1:
                raise UnreadableBody(f"the file unpacks to more than {MAX_RATIO} times its size")
            yield piece


def _through_stages(blocks: Iterable[bytes], stages: Sequence[_Stage]) -> Iterable[bytes]:
    for stage in stages:
        blocks = stage.feed_all(blocks)
    return blocks


class _Stage:
    """Undoes one coding. A body that does not begin as that coding begins is passed on as it is."""

    def __init__(self, coding: str, outer: Sequence[_Stage]) -> None:
        self.coding = coding
        self._outer = outer
        self._start: bytes | None = b""
        self._inflater: _Inflater | None = None

    @property
    def is_applied(self) -> bool | None:
        """True if the body turned out to have the coding; None if too little of it has come to tell."""
        return None if self._start is not None else self._inflater is not None

    def feed_all(self, blocks: Iterable[bytes]) -> Iterator[bytes]:
        for block in blocks:
            yield from self._feed(block)

    def finish(self) -> Iterator[bytes]:
        if self._start:
            yield from self._decide()
        if self._inflater is not None:
            self._inflater.finish()

    def _feed(self, block: bytes) -> Iterator[bytes]:
        if self._start is not None:
            self._start += block
            if len(self._start) >= _bytes_to_tell(self.coding):
                yield from self._decide()
        elif self._inflater is not None:
            yield from self._inflater.feed(block)
        else:
            yield block

    def _decide(self) -> Iterator[bytes]:
        start, self._start = self._start or b"", None
        if not _begins_as(self.coding, start):
            yield start
            return
        _require_decodable(self.coding, sum(bool(stage.is_applied) for stage in self._outer))
        window_bits = _GZIP
        if self.coding == "deflate":
            window_bits = _ZLIB if _inflates(start, _ZLIB) else _RAW_DEFLATE
        self._inflater = _Inflater(self.coding, window_bits)
        yield from self._inflater.feed(start)


def _begins_as(coding: str, start: bytes) -> bool:
    """True if a body may have a coding.

    Args:
        coding: One of `REGISTERED_CODINGS`.
        start: The first bytes of the body, as many as show it, or all of a shorter body.
    """
    if coding == "deflate":
        return _inflates(start, _ZLIB) or _inflates(start, _RAW_DEFLATE)
    numbers = _MAGIC_NUMBERS.get(coding)
    if numbers is None:
        return not begins_as_media(start)
    return any(number.startswith(start[: len(number)]) for number in numbers)


def begins_as_media(start: bytes) -> bool:
    """True if a body begins as a media file or as subtitles do.

    Args:
        start: The first `MEDIA_BYTES` of the body, or all of a shorter body; what follows them is ignored.
    """
    return _MEDIA_START.match(start[:MEDIA_BYTES]) is not None


def _bytes_to_tell(coding: str) -> int:
    """Return how many bytes of a body show whether it may have a coding."""
    if coding == "deflate":
        return PROBE_BYTES
    return MAGIC_BYTES if coding in _MAGIC_NUMBERS else MEDIA_BYTES


def _inflates(start: bytes, window_bits: int) -> bool:
    unpacker = zlib.decompressobj(window_bits)
    try:
        unpacker.decompress(start, READ_BYTES)
    except zlib.error:
        return False
    return not unpacker.unused_data.strip(b"\0")


class _Inflater:
    """Unpacks gzip or deflate. Several gzip members in a row are one file (RFC 1952, section 2.2).

    What follows the last member and does not begin as another one is ignored, as the gzip program and urllib3 do.
    """

    def __init__(self, coding: str, window_bits: int) -> None:
        self._coding = coding
        self._window_bits = window_bits
        self._member = zlib.decompressobj(window_bits)
        self._behind = b""  # the first bytes behind the members so far

    def feed(self, block: bytes) -> Iterator[bytes]:
        has_more = True
        while block or has_more:
            if self._member.eof:
                block = self._next_member(block)
                if not block:
                    return
            try:
                piece = self._member.decompress(block, READ_BYTES)
            except zlib.error as error:
                raise UnreadableBody(f"the file does not unpack (Content-Encoding: {self._coding})") from error
            block = self._member.unused_data if self._member.eof else self._member.unconsumed_tail
            has_more = len(piece) == READ_BYTES  # zlib may hold more output although it has no input left
            if piece:
                yield piece

    def _next_member(self, block: bytes) -> bytes:
        """Begin another member and return its first bytes; none if it has not come yet, or never will."""
        start = (self._behind + block).lstrip(b"\0")  # padding, as the gzip program allows it
        self._behind = start[: len(GZIP_START)]
        if not start or (self._window_bits == _GZIP and self._behind != GZIP_START):
            return b""
        self._behind = b""
        self._member = zlib.decompressobj(self._window_bits)
        return start

    def finish(self) -> None:
        is_cut = bool(self._behind) and GZIP_START.startswith(self._behind)  # in the magic number of another member
        if is_cut or not self._member.eof:
            raise UnreadableBody(f"the packed file breaks off (Content-Encoding: {self._coding})")
