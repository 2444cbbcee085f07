"""Recognizing markup and JSON in place of a media file by its first two visible characters, in whatever blocks they arrive."""

from __future__ import annotations

import re

_WHITE_SPACE = b" \t\n\r\f\v"

_MARKS = (
    (b"\xef\xbb\xbf", _WHITE_SPACE),
    (b"\xff\xfe\0\0", _WHITE_SPACE + b"\0"),
    (b"\0\0\xfe\xff", _WHITE_SPACE + b"\0"),
    (b"\xff\xfe", _WHITE_SPACE + b"\0"),
    (b"\xfe\xff", _WHITE_SPACE + b"\0"),
)
"""Byte order marks of UTF-8, UTF-32 and UTF-16, each with the bytes that are ignored after it: in UTF-16 and UTF-32 an ASCII
character comes with zero bytes. The mark of UTF-32 comes first, as that of UTF-16 is the start of it.
"""

_LONGEST_MARK = max(len(mark) for mark, _ in _MARKS)

_DECISIVE_BYTES = 2

_TEXT = re.compile(rb"<[!?/A-Za-z]|\{[\"}]|\[[\[{\"\]]|[<{\[]?")
"""The first two visible characters of markup, of a JSON object or of an array of strings, objects or arrays; or of a file that ends
before the second. No container of video or audio begins so, nor do WebVTT, SRT and ASS; TTML and SAMI, which are markup, do.
"""


class MarkupSniffer:
    """Decides whether a file is markup, JSON or blank, as soon as two visible characters have arrived, or at the end of the file.

    Attributes:
        is_markup: True if the file is markup, JSON or blank; None if it is too early to say.
    """

    def __init__(self) -> None:
        self.is_markup: bool | None = None
        self._start: bytes | None = b""  # None once a byte order mark was looked for
        self._ignored = _WHITE_SPACE
        self._visible = b""

    def feed(self, block: bytes) -> None:
        """Take the next block of the file."""
        if self.is_markup is not None:
            return
        if self._start is not None:
            self._start += block
            if len(self._start) < _LONGEST_MARK:
                return
            block = self._after_mark(self._start)
        self._visible += block.translate(None, self._ignored)[:_DECISIVE_BYTES]
        if len(self._visible) >= _DECISIVE_BYTES:
            self._decide()

    def finish(self) -> None:
        """Decide at the end of the file."""
        if self._start is not None:
            self._visible = self._after_mark(self._start).translate(None, self._ignored)
        if self.is_markup is None:
            self._decide()

    def _after_mark(self, start: bytes) -> bytes:
        """Return the start of the file without its byte order mark, and keep which bytes are ignored after that."""
        mark, self._ignored = next((pair for pair in _MARKS if start.startswith(pair[0])), (b"", _WHITE_SPACE))
        self._start = None
        return start[len(mark) :]

    def _decide(self) -> None:
        self.is_markup = bool(_TEXT.fullmatch(self._visible[:_DECISIVE_BYTES]))
