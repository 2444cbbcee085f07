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
"""Visible characters that tell markup and JSON from other files."""

_DECISIVE_BYTES_OF_SUBTITLES = 1024
"""Visible characters that tell subtitles from other markup and JSON: comments may come before the first element."""

_TEXT = re.compile(rb"<[!?/A-Za-z]|\{[\"}]|\[[\[{\"\]]|[<{\[]?")
"""The first two visible characters of markup, of a JSON object or of an array of strings, objects or arrays; or of a file that ends
before the second. No container of video or audio begins so, nor do WebVTT, SRT and ASS; TTML and SAMI, which are markup, do.
"""

_TTML_ROOT = re.compile(rb"(<\?.*?\?>|<!--.*?-->)*<([\w.-]+:)?tt(xmlns|xml:|ttp:|tts:|id=|>)", re.DOTALL)
_SAMI = re.compile(rb"<sami>", re.IGNORECASE)
_PLAIN_SUBTITLES = re.compile(rb"</?[biu]>|<font|\[\[[a-z]|\{\}\{", re.IGNORECASE)
"""Formatted text as in SRT, `[[MUSIC]]` as in transcripts, and MicroDVD without the numbers of its first frames."""

SUBTITLES = {
    "application/ttml+xml": _TTML_ROOT,
    "application/ttaf+xml": _TTML_ROOT,
    "application/x-sami": _SAMI,
    "application/x-subrip": _PLAIN_SUBTITLES,
    "text/plain": _PLAIN_SUBTITLES,
    "text/srt": _PLAIN_SUBTITLES,
    "text/vtt": _PLAIN_SUBTITLES,
    "text/x-srt": _PLAIN_SUBTITLES,
}
"""Media types of subtitles, with the visible characters of those that begin as markup or JSON does."""


class MarkupSniffer:
    """Decides whether a file is markup, JSON or blank, as soon as two visible characters have arrived, or at the end of the file.

    Attributes:
        is_markup: True if the file is markup, JSON or blank; None if it is too early to say.
    """

    def __init__(self, media_type: str = "") -> None:
        """Create a sniffer.

        Args:
            media_type: What the file is declared to be. Subtitles of the `SUBTITLES` types are not taken for markup.
        """
        self.is_markup: bool | None = None
        self._subtitles = SUBTITLES.get(media_type)
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
        self._visible += block.translate(None, self._ignored)[:_DECISIVE_BYTES_OF_SUBTITLES]
        if len(self._visible) >= _DECISIVE_BYTES:
            self._decide(is_all=len(self._visible) >= _DECISIVE_BYTES_OF_SUBTITLES)

    def finish(self) -> None:
        """Decide at the end of the file."""
        if self._start is not None:
            self._visible = self._after_mark(self._start).translate(None, self._ignored)
        if self.is_markup is None:
            self._decide(is_all=True)

    def _after_mark(self, start: bytes) -> bytes:
        """Return the start of the file without its byte order mark, and keep which bytes are ignored after that."""
        mark, self._ignored = next((pair for pair in _MARKS if start.startswith(pair[0])), (b"", _WHITE_SPACE))
        self._start = None
        return start[len(mark) :]

    def _decide(self, *, is_all: bool) -> None:
        """Decide if that is possible: as soon as subtitles are recognized, or no more may be looked at."""
        is_markup = bool(_TEXT.fullmatch(self._visible[:_DECISIVE_BYTES]))
        if is_markup and self._subtitles is not None:
            is_markup = not self._subtitles.match(self._visible[:_DECISIVE_BYTES_OF_SUBTITLES])
            if is_markup and not is_all:
                return
        self.is_markup = is_markup
