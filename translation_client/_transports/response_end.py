"""The end of a response among the bytes of a connection, which aiohttp does not expose.

Its parser in C drops line breaks between two responses. A server that sends such a line break is out of step, and may
send the response to this request once more as the response to the next one.
"""

from __future__ import annotations

import re
from typing import Any

from .framing import NO_BODY_CODES

_HEAD_END = re.compile(rb"\r?\n\r?\n")

_INTERIM = re.compile(rb"HTTP/\d\.\d 1(?!01)\d\d")
"""The start of an interim response (RFC 9110, section 15.2); 101 is a final one."""

_LAST_CHUNK_END = re.compile(rb"[^\r\n]\r\n\r\n")
"""The last five bytes of a chunked body, with or without trailer fields (RFC 9112, section 7.1)."""


class ResponseEnd:
    """Counts the bytes of one response, and of the interim responses before it."""

    __slots__ = ("_body_bytes", "_has_blank_lines", "_head", "_last_bytes")

    def __init__(self) -> None:
        self._head: bytes | None = b""  # None once the head of the final response has ended
        self._has_blank_lines = False
        self._body_bytes = 0
        self._last_bytes = b""

    def feed(self, data: bytes) -> None:
        """Count the next bytes of the connection."""
        self._last_bytes = (self._last_bytes + data[-5:])[-5:]
        if self._head is None:
            self._body_bytes += len(data)
            return
        self._has_blank_lines |= not self._head and data[:1] in (b"\r", b"\n")  # left over from the previous response
        searched = max(0, len(self._head) - 3)
        self._head += data
        while (end := _HEAD_END.search(self._head, searched)) is not None:
            is_interim = _INTERIM.match(self._head) is not None
            rest, searched = self._head[end.end() :], 0
            if not is_interim:
                self._head, self._body_bytes = None, len(rest)
                return
            self._head = rest

    def is_reached(self, message: Any) -> bool:
        """True if the bytes so far are one whole response and nothing more.

        Args:
            message: The head of the response as aiohttp parsed it; None before that.
        """
        if message is None:
            return self._head == b""
        if self._head is not None or self._has_blank_lines:
            return False
        if message.code in NO_BODY_CODES:
            return self._body_bytes == 0
        if message.chunked:
            return _LAST_CHUNK_END.fullmatch(self._last_bytes) is not None
        return str(self._body_bytes) == (message.headers.get("Content-Length", "").lstrip("0") or "0")
