"""Detection of files that begin as media do, or as markup or JSON does, which is an error page in place of the file."""

from __future__ import annotations

import re
import zlib

from .decoding import GZIP_START

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

_WHITE_SPACE = b" \t\n\r\f\v"

_INVISIBLE = re.compile(
    rb"([\0-\x20\x7f]|\xef\xbb\xbf|\xff\xfe|\xfe\xff|\xc2[\x80-\xa0\xad]|\xa0|\xe2\x80[\x80-\x8f\xa8-\xaf]|\xe2\x81[\x9f-\xaf]"
    rb"|\xe3\x80\x80|\xc3\xaf\xc2\xbb\xc2\xbf)*"
)
"""Bytes that may precede the first visible character of a text, in any order.

They are control characters and blanks; byte order marks, also of UTF-8 that was taken for Latin-1 and encoded again; in
UTF-8 no-break, zero-width and other spaces of Unicode.
"""

_WIDE_BLANKS = re.compile(
    rb"(\xff\xfe)?([ \t\n\r\f\v]\0){7}|(\xfe\xff)?(\0[ \t\n\r\f\v]){7}"
    rb"|(\xff\xfe\0\0)?([ \t\n\r\f\v]\0\0\0){3}|(\0\0\xfe\xff)?(\0\0\0[ \t\n\r\f\v]){3}"
)
"""The first bytes of a text in UTF-16 or UTF-32 that begins with many blanks."""

_CONTROL_BYTES = re.compile(rb"[\0-\x1f\x7f]+")

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

_MAX_UNPACKED = 1024 * 1024
"""1 MiB: how much of a packed file is read and unpacked to examine it."""

_MAX_PACKED_LEVELS = 2
"""How many times a file may be packed, one gzip in the other, for its content to be examined."""

_MARKUP_START = re.compile(
    rb"<[!?/A-Za-z_]|[<{\[]\Z|\{[\"}]|\[[\[{\"\]]|\[(true|false|null)[,\]]|\[-?\d[\d.eE+-]{0,12}[,\]]"
    rb"|\)\]\}|for\(;;\);|while\(1\);|/\*\*/[\w$.]+\("
)
"""The first visible characters of markup, of a JSON object or array, and of JSON in JavaScript.

Also those of a file that ends before the second one. No container of video or audio begins so, nor do WebVTT, SRT, LRC,
ASS, MPL2 (`[10][25]`) and CSV; TTML and SAMI, which are markup, do.
"""

_TIMES = re.compile(rb"\[-?\d[\d.eE+-]{0,20}(,-?\d?[\d.eE+-]{0,20})?(\]|\Z)")
"""One or two numbers in brackets: a JSON array, or the times of a line of a transcript if a text follows."""

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


def begins_as_media(start: bytes) -> bool:
    """True if a body begins as a media file or as subtitles do.

    Args:
        start: The first `MEDIA_BYTES` of the body, or all of a shorter body. Further bytes are ignored.
    """
    return _MEDIA_START.match(start[:MEDIA_BYTES]) is not None


class MarkupSniffer:
    """Decides whether a file is markup, JSON or blank, as soon as enough of it has arrived, or at the end of the file.

    Attributes:
        is_markup: True if the file is markup, JSON or blank; None if too little of it has arrived to decide.
    """

    def __init__(
        self, media_type: str = "", *, is_error_type: bool = False, packed_levels: int = _MAX_PACKED_LEVELS
    ) -> None:
        """Create a sniffer.

        Args:
            media_type: The declared media type. Subtitles of the `SUBTITLES` types do not count as markup.
            is_error_type: True if every file counts as markup unless it begins as media do.
            packed_levels: How many gzips, one in the other, are unpacked to examine the content. A file that is declared
                to be a gzip is not unpacked.
        """
        self.is_markup: bool | None = None
        self._media_type = media_type
        self._is_error_type = is_error_type
        self._subtitles = SUBTITLES.get(media_type)
        self._packed_levels = 0 if is_error_type or media_type.endswith("gzip") else packed_levels
        self._packed: _PackedStart | None = None
        self._head: bytes | None = b""  # None once it was long enough to detect media and gzip
        self._start = b""  # without blanks
        self._is_wide = False  # True if the zero bytes of wide blanks are left out, too

    @property
    def may_be_markup(self) -> bool:
        """True if too little of the file has arrived to decide, and it begins as markup or JSON does.

        Not for the types of subtitles, some of which begin so.
        """
        start = (self._start if self._head is None else self._head).translate(None, _WHITE_SPACE + b"\0")
        invisible = _INVISIBLE.match(start)
        begins_as_markup = _MARKUP_START.match(start, invisible.end() if invisible is not None else 0) is not None
        return self.is_markup is None and self._subtitles is None and begins_as_markup

    def feed(self, block: bytes) -> None:
        """Examine the next block of the file."""
        if self.is_markup is not None:
            return
        if self._head is not None:
            self._head += block
            if len(self._head) < MEDIA_BYTES:
                return
            block = self._after_head(self._head)
        self._examine(block)

    def finish(self) -> None:
        """Decide at the end of the file."""
        if self._head is not None:
            self._examine(self._after_head(self._head))
        if self.is_markup is None:
            self.is_markup = self._is_markup_so_far(is_all=True) if self._packed is None else self._packed.finish()

    def _after_head(self, head: bytes) -> bytes:
        """Decide by the first bytes of media and gzip. Returns `head`."""
        self._head = None
        if self._is_error_type or begins_as_media(head):
            self.is_markup = not begins_as_media(head)
        elif self._packed_levels and head.startswith(GZIP_START):
            self._packed = _PackedStart(self._media_type, self._packed_levels - 1)
        self._is_wide = _WIDE_BLANKS.match(head) is not None
        return head

    def _examine(self, block: bytes) -> None:
        if self.is_markup is not None:
            return
        if self._packed is not None:
            self.is_markup = self._packed.feed(block)
            return
        ignored = _WHITE_SPACE + b"\0" if self._is_wide else _WHITE_SPACE
        self._start += block.translate(None, ignored)[:_MAX_START]
        self.is_markup = self._is_markup_so_far(is_all=False)

    def _is_markup_so_far(self, *, is_all: bool) -> bool | None:
        """True if the file is markup or blank, or None if too little of it has arrived to decide."""
        start = self._start[:_MAX_START]
        is_full = len(start) == _MAX_START
        invisible = _INVISIBLE.match(start)
        visible_at = invisible.end() if invisible is not None else 0
        visible = start[visible_at:]
        if not visible and (is_all or is_full):
            return is_all and not (start and _CONTROL_BYTES.fullmatch(start))
        is_enough = is_all or is_full
        if len(visible) < _DECISIVE_BYTES and not is_enough:
            return None
        if self._is_wide or _BINARY.search(start[: visible_at + _DECISIVE_BYTES]):
            if len(visible) < _DECISIVE_BYTES * _WIDE_CHARACTER_BYTES and not is_enough:
                return None
            narrow = visible[: _DECISIVE_BYTES * _WIDE_CHARACTER_BYTES].replace(b"\0", b"")[:_DECISIVE_BYTES]
            if not _PRINTABLE.fullmatch(narrow):
                return False
        return self._is_markup_not_subtitles(visible.replace(b"\0", b""), is_all=is_enough)

    def _is_markup_not_subtitles(self, visible: bytes, *, is_all: bool) -> bool | None:
        """True if a text begins as markup or JSON and is not subtitles, or None if more bytes may show subtitles."""
        if not _MARKUP_START.match(visible[:_DECISIVE_BYTES]):
            return False
        times = _TIMES.match(visible)
        if times is not None and times.end() < len(visible):
            return False  # a text follows the times
        if times is not None and not is_all:
            return None
        if self._subtitles is None:
            return True
        if self._subtitles.match(visible):
            return False
        return True if is_all else None


class _PackedStart:
    """The start of a gzip that is not declared as one: a page without its label, or a file that is stored so.

    Several consecutive gzip members are one file (RFC 1952, section 2.2).
    """

    def __init__(self, media_type: str, packed_levels: int) -> None:
        self._unpacker = zlib.decompressobj(16 + zlib.MAX_WBITS)
        self._sniffer = MarkupSniffer(media_type, packed_levels=packed_levels)
        self._left = _MAX_UNPACKED  # of packed and unpacked bytes together, as a member may be empty
        self._has_content = False
        self._has_member = False

    def feed(self, block: bytes) -> bool | None:
        """Return True if the content is markup, or None if too little of it has arrived to decide."""
        for number in range(len(block)):  # byte by byte: zlib returns nothing for a damaged block
            try:
                piece = self._unpacker.decompress(block[number : number + 1], self._left)
            except zlib.error:
                return self._has_member and self.finish()
            self._left -= len(piece) + 1
            self._has_content |= bool(piece)
            self._sniffer.feed(piece)
            if self._sniffer.is_markup is not None:
                return self._sniffer.is_markup
            if self._left <= 0:
                return False
            if self._unpacker.eof:
                self._has_member = True
                self._unpacker = zlib.decompressobj(16 + zlib.MAX_WBITS)
        return None

    def finish(self) -> bool:
        """Decide at the end of the file."""
        if not self._has_content:
            return False
        self._sniffer.finish()
        return self._sniffer.is_markup is True
