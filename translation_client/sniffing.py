"""Telling markup and JSON from media by how a file begins, however the network cuts it into blocks."""

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
"""Byte order marks of UTF-8, UTF-32 and UTF-16, and what may be skipped after them: wide ASCII is padded with zeros."""

_LONGEST_MARK = max(len(mark) for mark, _ in _MARKS)

_DECISIVE_BYTES = 2

_TEXT = re.compile(rb"<[!?/A-Za-z]|\{[\"}]|\[[\[{\"\]]|[<{\[]?")
"""The first two visible characters of markup and JSON, or of a text that ends before the second. No container of video
or audio begins so, and no format of subtitles but XML.
"""


class TextSniffer:
    """Decides whether a file is markup, JSON or blank. As soon as two visible characters are there, or at the end.

    Attributes:
        is_text: True if the file is markup, JSON or blank; None if it is too early to say.
    """

    def __init__(self) -> None:
        """Start before the first byte."""
        self.is_text: bool | None = None
        self._start: bytes | None = b""
        self._skipped = _WHITE_SPACE
        self._visible = b""

    def feed(self, block: bytes) -> None:
        """Take the next block of the file."""
        if self.is_text is not None:
            return
        if self._start is not None:
            self._start += block
            if len(self._start) < _LONGEST_MARK:
                return
            block = self._after_mark(self._start)
        self._visible += block.translate(None, self._skipped)[:_DECISIVE_BYTES]
        if len(self._visible) >= _DECISIVE_BYTES:
            self._decide()

    def finish(self) -> None:
        """Decide at the end of the file."""
        if self._start is not None:
            self._visible = self._after_mark(self._start).translate(None, self._skipped)
        if self.is_text is None:
            self._decide()

    def _after_mark(self, start: bytes) -> bytes:
        """Drop a byte order mark from what the file begins with."""
        mark, self._skipped = next((pair for pair in _MARKS if start.startswith(pair[0])), (b"", _WHITE_SPACE))
        self._start = None
        return start[len(mark) :]

    def _decide(self) -> None:
        self.is_text = bool(_TEXT.fullmatch(self._visible[:_DECISIVE_BYTES]))
