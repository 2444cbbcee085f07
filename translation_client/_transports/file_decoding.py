"""Undo the content codings of a file block by block, in constant memory.

A file that does not begin as its coding begins is used as it is, as a label may be wrong.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Sequence

from .body import READ_BYTES
from .decoding import (
    GZIP_START,
    GZIP_WINDOW_BITS,
    RAW_DEFLATE_WINDOW_BITS,
    ZLIB_WINDOW_BITS,
    require_decodable,
)
from .framing import UnreadableBody
from .sniffing import MEDIA_BYTES, begins_as_media

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

    @property
    def has_ignored_bytes(self) -> bool:
        """True if there were bytes after the end of a packed file, which are not decoded."""
        return any(stage.has_ignored_bytes for stage in self._stages)

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

    @property
    def has_ignored_bytes(self) -> bool:
        """True if there were bytes after the end of the packed file."""
        return self._inflater is not None and self._inflater.has_ignored_bytes

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
        require_decodable(self.coding, sum(bool(stage.is_applied) for stage in self._outer))
        window_bits = GZIP_WINDOW_BITS
        if self.coding == "deflate":
            window_bits = ZLIB_WINDOW_BITS if _inflates(start, ZLIB_WINDOW_BITS) else RAW_DEFLATE_WINDOW_BITS
        self._inflater = _Inflater(self.coding, window_bits)
        yield from self._inflater.feed(start)


def _begins_as(coding: str, start: bytes) -> bool:
    """True if a body may have a coding.

    Args:
        coding: One of `REGISTERED_CODINGS`.
        start: The first bytes of the body, `_bytes_to_tell` of them, or all of a shorter body.
    """
    if coding == "deflate":
        return _inflates(start, ZLIB_WINDOW_BITS) or _inflates(start, RAW_DEFLATE_WINDOW_BITS)
    numbers = _MAGIC_NUMBERS.get(coding)
    if numbers is None:
        return not begins_as_media(start)
    return any(number.startswith(start[: len(number)]) for number in numbers)


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

    Attributes:
        has_ignored_bytes: True if there were such bytes, or padding.
    """

    def __init__(self, coding: str, window_bits: int) -> None:
        self._coding = coding
        self._window_bits = window_bits
        self.has_ignored_bytes = False
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
        behind = self._behind + block
        start = behind.lstrip(b"\0")  # padding, as the gzip program allows it
        self._behind = start[: len(GZIP_START)]
        is_gzip = self._window_bits == GZIP_WINDOW_BITS
        self.has_ignored_bytes |= start != behind or (is_gzip and not GZIP_START.startswith(self._behind))
        if not start or (is_gzip and self._behind != GZIP_START):
            return b""
        self._behind = b""
        self._member = zlib.decompressobj(self._window_bits)
        return start

    def finish(self) -> None:
        is_cut = bool(self._behind) and GZIP_START.startswith(self._behind)  # within the magic number of another member
        if is_cut or not self._member.eof:
            raise UnreadableBody(f"the packed file breaks off (Content-Encoding: {self._coding})")
