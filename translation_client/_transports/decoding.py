"""Read bodies into memory under a cap, or block by block into a sink, with content codings undone within limits.

Storage hosts send `Content-Encoding` (RFC 9110, section 8.4) as it was set at the upload, whatever the request accepts:
`aws-chunked`, `UTF-8`, `none`. A label that is not a registered coding says nothing about the bytes. Labels may also be
wrong: a file that does not begin as its coding begins, any JSON object or array, and an empty body are used as they
are.
"""

from __future__ import annotations

import json
import re
import zlib
from codecs import BOM_UTF8
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NoReturn, Protocol

import requests

from .._models import Fault, Response
from .cancel_scope import CURRENT, TransferScope
from .sockets import (
    MatchedResponse,
    UnreadableBody,
    content_length,
    header_values,
    plain_content_length,
    too_long_error,
)

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
"""The first bytes of each coding (RFC 1952, RFC 8878 3.1.1 and 3.1.2, RFC 9842 sections 4 and 5, compress(1))."""

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
"""The first bytes of media files and subtitles.

They disprove a coding that has no magic number, as Brotli has none, and a false media type.
"""

MEDIA_BYTES = 16
"""How many bytes of a body show whether it begins as a media file."""

MAGIC_BYTES = 8
"""How many bytes of a body show whether it begins with a magic number."""

PROBE_BYTES = 1024
"""How many bytes of a body show whether it is deflate, which has no magic number."""

UNCHECKED_BYTES = 64 * 1024 * 1024
"""64 MiB: up to here the unpacked size of a file that was packed twice is not compared with its packed size."""

MAX_RATIO = 100
"""Above `UNCHECKED_BYTES`, a file that was packed twice may unpack to this many times its packed size.

A file that was packed once has no limit: a block of it unpacks to at most a thousand times its size, and the deadline
is checked before each block. Packed twice, one block may become gigabytes.
"""

_GZIP = 16 + zlib.MAX_WBITS
_ZLIB = zlib.MAX_WBITS
_RAW_DEFLATE = -zlib.MAX_WBITS
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
        _require_decodable(coding, undone)
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


def _decompress(body: bytes, coding: str, max_bytes: int) -> bytes:
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
    """Undoes the content codings of a file block by block, in constant memory. Its results are lazy iterators."""

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
        """The codings that the body turned out to have, or None if too little of it has arrived to decide."""
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
        """Decode the rest at the end of the file.

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
    """Undoes one coding. A body that does not begin as that coding begins is yielded unchanged."""

    def __init__(self, coding: str, outer: Sequence[_Stage]) -> None:
        self.coding = coding
        self._outer = outer
        self._start: bytes | None = b""
        self._inflater: _Inflater | None = None

    @property
    def is_applied(self) -> bool | None:
        """True if the body turned out to have the coding, or None if too little of it has arrived to decide."""
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
        start: The first bytes of the body, `_bytes_to_tell` of them, or all of a shorter body.
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
        start: The first `MEDIA_BYTES` of the body, or all of a shorter body. Further bytes are ignored.
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
    """Unpacks gzip or deflate. Several consecutive gzip members are one file (RFC 1952, section 2.2).

    Bytes after the last member that do not begin another one are ignored, as the gzip program and urllib3 do.
    """

    def __init__(self, coding: str, window_bits: int) -> None:
        self._coding = coding
        self._window_bits = window_bits
        self._member = zlib.decompressobj(window_bits)
        self._behind = b""  # the first bytes after the members so far

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
        """Start another member and return its first bytes, or nothing if it has not arrived yet or does not exist."""
        start = (self._behind + block).lstrip(b"\0")  # padding, as the gzip program allows it
        self._behind = start[: len(GZIP_START)]
        if not start or (self._window_bits == _GZIP and self._behind != GZIP_START):
            return b""
        self._behind = b""
        self._member = zlib.decompressobj(self._window_bits)
        return start

    def finish(self) -> None:
        is_cut = bool(self._behind) and GZIP_START.startswith(self._behind)  # within the magic number of another member
        if is_cut or not self._member.eof:
            raise UnreadableBody(f"the packed file breaks off (Content-Encoding: {self._coding})")


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
    length = plain_content_length(response.headers, is_chunked=is_read_as_chunked(response))
    body = _read_capped(raw, max_bytes)
    if length is not None and len(body) < length and response.status_code != 204:  # urllib3 checks it only since 2.0
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
    the connection is closed.
    """
    # The response of a third-party adapter may lack `length_remaining`.
    while block := raw.read(
        min(read_bytes, getattr(raw, "length_remaining", None) or read_bytes), decode_content=False
    ):
        yield block
        if getattr(raw, "length_remaining", None) == 0:
            break


FILE_CODES = (200, 203, 206)
"""OK, Non-Authoritative Information and Partial Content: the body is the file, or a part of it.

RFC 9110, sections 15.3.1, 15.3.4 and 15.3.7.
"""

PACKED_READ_BYTES = 4 * 1024
"""4 KiB: smaller reads for a packed file, as each may unpack to 1000 times its size before the deadline is checked."""


class Sink(Protocol):
    """The destination of a downloaded file."""

    def begin(self, head: Response) -> None:
        """Start with the head of a response with one of `FILE_CODES`. Its body follows."""

    def write(self, block: bytes) -> None:
        """Write the next block."""

    def reject_surplus(self) -> NoReturn:
        """Raise the fault for bytes that followed the body, and discard the response."""


def begin_file(head: Response, sink: Sink, *, is_chunked: bool) -> int:
    """Check the framing of a file, and start the sink with its head. Returns how many bytes to read at a time.

    Args:
        head: The head of the response.
        sink: Receives the file.
        is_chunked: True if the HTTP library decodes chunks although the headers name chunked twice.

    Raises:
        Fault: The end of the body would be uncertain.
        Exception: What the sink raises.
    """
    try:
        plain_content_length(head.headers, is_chunked=is_chunked)
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
    read_bytes = begin_file(head, sink, is_chunked=is_read_as_chunked(response))
    scope = CURRENT.scope
    if isinstance(scope, TransferScope):
        scope.is_receiving_file = True
    original = getattr(response.raw, "_original_response", None)
    if isinstance(original, MatchedResponse):
        original.is_file = True
    size = 0
    for block in _blocks(response, read_bytes):
        if scope is not None:  # needed behind a third-party adapter, whose sockets do not do it
            scope.require_remaining()
            scope.record_received()
        sink.write(block)
        size += len(block)
    length = content_length(response.headers)
    if length is not None and size < length:  # urllib3 checks it only since 2.0
        raise Fault("connection", "the file breaks off", head)
    if isinstance(original, MatchedResponse) and original.has_surplus:
        sink.reject_surplus()


def _blocks(response: requests.Response, read_bytes: int) -> Iterator[bytes]:
    raw: Any = response.raw
    if raw is None:  # built by a third-party adapter
        yield response.content
    elif hasattr(raw, "stream"):
        yield from raw_blocks(raw, read_bytes)
    else:
        yield from iter(lambda: raw.read(read_bytes), b"")


_WHITE_SPACE = b" \t\n\r\f\v"

_INVISIBLE = re.compile(
    rb"([\0-\x20\x7f]|\xef\xbb\xbf|\xff\xfe|\xfe\xff|\xc2[\x80-\xa0\xad]|\xa0|\xe2\x80[\x80-\x8f\xa8-\xaf]|\xe2\x81[\x9f-\xaf]"
    rb"|\xe3\x80\x80|\xc3\xaf\xc2\xbb\xc2\xbf)*"
)
"""Bytes that may precede the first visible character of a text, in any order.

They are control characters and blanks; byte order marks, also of UTF-8 that was taken for Latin-1 and encoded again; in
UTF-8 no-break, zero-width and other spaces of Unicode.
"""

_CONTROL = re.compile(rb"[\0-\x1f\x7f]+")

_BINARY = re.compile(rb"[\0-\x08\x0e-\x1f\x7f]|\xff\xfe|\xfe\xff")
"""Bytes that occur in UTF-16, in UTF-32 and in binary files, and in no other text."""

_DECISIVE_BYTES = 16
"""How many visible bytes distinguish markup and JSON from other files."""

_WIDE_CHARACTER_BYTES = 4
"""The bytes of a character in UTF-32."""

_PRINTABLE = re.compile(rb"[\x21-\x7e]+")
"""What the first `_DECISIVE_BYTES` characters must match if zero bytes or control characters are among them.

A binary file has such bytes too.
"""

_MAX_START = 1024
"""How many bytes are examined, without blanks: comments may precede the first element of subtitles."""

_MAX_UNPACKED = 64 * 1024
"""64 KiB: how much of a packed file is unpacked to examine it."""

_TEXT = re.compile(
    rb"<[!?/A-Za-z_]|[<{\[]\Z|\{[\"}]|\[[\[{\"\]]|\[(true|false|null)[,\]]"
    rb"|\)\]\}|for\(;;\);|while\(1\);|/\*\*/[\w$.]+\("
)
"""The first visible characters of markup, of a JSON object or array, and of JSON in JavaScript.

Also those of a file that ends before the second one. No container of video or audio begins so, nor do WebVTT, SRT, LRC,
ASS and CSV; TTML and SAMI, which are markup, do.
"""

_TTML_ROOT = re.compile(rb"(<\?.*?\?>|<!--.*?-->)*<([\w.-]+:)?tt(xmlns|xml:|ttp:|tts:|id=|>)", re.DOTALL)
_SAMI = re.compile(rb"<sami>", re.IGNORECASE)
_TRANSCRIPT = re.compile(rb"\[\[[a-z]|\{\}\{|\"", re.IGNORECASE)
"""`[[MUSIC]]` as in transcripts, MicroDVD without the numbers of its first frames, and direct speech."""

SUBTITLES = {
    "application/ttml+xml": _TTML_ROOT,
    "application/ttaf+xml": _TTML_ROOT,
    "application/x-sami": _SAMI,
    "application/x-subrip": _TRANSCRIPT,
    "text/plain": _TRANSCRIPT,
    "text/srt": _TRANSCRIPT,
    "text/vtt": _TRANSCRIPT,
    "text/x-srt": _TRANSCRIPT,
}
"""Media types of subtitles, with the visible characters of those that begin as markup or JSON does.

Formatted text, such as `<i>`, is not among them: SRT begins with a number, and WebVTT with its name.
"""


class MarkupSniffer:
    """Decides whether a file is markup, JSON or blank, as soon as enough of it has arrived, or at the end of the file.

    Attributes:
        is_markup: True if the file is markup, JSON or blank; None if too little of it has arrived to decide.
    """

    def __init__(self, media_type: str = "", *, is_error_type: bool = False, may_be_packed: bool = True) -> None:
        """Create a sniffer.

        Args:
            media_type: The declared media type. Subtitles of the `SUBTITLES` types do not count as markup.
            is_error_type: True if every file counts as markup unless it begins as media do.
            may_be_packed: True to examine the content of a gzip too, unless the file is declared to be one.
        """
        self.is_markup: bool | None = None
        self._media_type = media_type
        self._is_error_type = is_error_type
        self._subtitles = SUBTITLES.get(media_type)
        self._may_be_packed = may_be_packed and not is_error_type and not media_type.endswith("gzip")
        self._packed: _PackedStart | None = None
        self._head: bytes | None = b""  # None once it was long enough to detect media and gzip
        self._start = b""  # without blanks

    def feed(self, block: bytes) -> None:
        """Examine the next block of the file."""
        if self.is_markup is not None:
            return
        if self._head is not None:
            self._head += block
            if len(self._head) < MEDIA_BYTES:
                return
            block = self._after_head(self._head)
        self._look(block)

    def finish(self) -> None:
        """Decide at the end of the file."""
        if self._head is not None:
            self._look(self._after_head(self._head))
        if self.is_markup is None:
            self.is_markup = self._is_text(is_all=True) if self._packed is None else self._packed.finish()

    def _after_head(self, head: bytes) -> bytes:
        """Decide by the first bytes of media and gzip. Returns `head`."""
        self._head = None
        if self._is_error_type or begins_as_media(head):
            self.is_markup = not begins_as_media(head)
        elif self._may_be_packed and head.startswith(GZIP_START):
            self._packed = _PackedStart(self._media_type)
        return head

    def _look(self, block: bytes) -> None:
        if self.is_markup is not None:
            return
        if self._packed is not None:
            self.is_markup = self._packed.feed(block)
            return
        self._start += block.translate(None, _WHITE_SPACE)[:_MAX_START]
        self.is_markup = self._is_text(is_all=False)

    def _is_text(self, *, is_all: bool) -> bool | None:
        """True if the file begins as a text does, or None if too little of it has arrived to decide."""
        start = self._start[:_MAX_START]
        is_full = len(start) == _MAX_START
        invisible = _INVISIBLE.match(start)
        place = invisible.end() if invisible is not None else 0
        visible = start[place:]
        if not visible and (is_all or is_full):
            return is_all and not (start and _CONTROL.fullmatch(start))
        is_enough = is_all or is_full
        if len(visible) < _DECISIVE_BYTES and not is_enough:
            return None
        if _BINARY.search(start[: place + _DECISIVE_BYTES]):
            if len(visible) < _DECISIVE_BYTES * _WIDE_CHARACTER_BYTES and not is_enough:
                return None
            narrow = visible[: _DECISIVE_BYTES * _WIDE_CHARACTER_BYTES].replace(b"\0", b"")[:_DECISIVE_BYTES]
            if not _PRINTABLE.fullmatch(narrow):
                return False
        return self._is_no_subtitle(visible.replace(b"\0", b""), is_all=is_enough)

    def _is_no_subtitle(self, visible: bytes, *, is_all: bool) -> bool | None:
        """True if a text begins as markup or JSON and is not subtitles, or None if more bytes may show that it is."""
        if not _TEXT.match(visible[:_DECISIVE_BYTES]):
            return False
        if self._subtitles is None:
            return True
        if self._subtitles.match(visible):
            return False
        return True if is_all else None


class _PackedStart:
    """The start of a gzip that is not declared as one: a page without its label, or a file that is stored so."""

    def __init__(self, media_type: str) -> None:
        self._unpacker = zlib.decompressobj(16 + zlib.MAX_WBITS)
        self._sniffer = MarkupSniffer(media_type, may_be_packed=False)
        self._left = _MAX_UNPACKED

    def feed(self, block: bytes) -> bool | None:
        """Return True if the content is markup, or None if too little of it has arrived to decide."""
        for number in range(len(block)):  # byte by byte: zlib returns nothing for a damaged block
            try:
                piece = self._unpacker.decompress(block[number : number + 1], self._left)
            except zlib.error:
                return False
            self._left -= len(piece)
            self._sniffer.feed(piece)
            if self._sniffer.is_markup is not None:
                return self._sniffer.is_markup
            if not self._left:
                return False
            if self._unpacker.eof:
                return self.finish()
        return None

    def finish(self) -> bool:
        """Decide at the end of the file."""
        if self._left == _MAX_UNPACKED:
            return False
        self._sniffer.finish()
        return self._sniffer.is_markup is True
