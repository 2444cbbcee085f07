"""`Content-Range`: the range of a file that a response has, also where hosts write it incorrectly."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from .framing import header_values

_CONTENT_RANGE = re.compile(r"\s*bytes\s+(?:(\d{1,18})-(\d{1,18})|\*)\s*/\s*(\d{1,18}|\*)\s*", re.ASCII | re.IGNORECASE)

_MALFORMED_RANGE = re.compile(
    r"\s*(?:bytes\b)?\s*[=:]?\s*(\d{0,18})\s*-\s*(\d{0,18})\s*(?:/\s*(\d{1,18}|\*))?\s*",
    re.ASCII | re.IGNORECASE,
)
"""`Content-Range` as some hosts write it: with `=`, without its unit, its end or its total."""

_WITH_TOTAL = re.compile(r"[^/]*/\s*(\d{1,18})\s*", re.ASCII)

_OTHER_UNIT = re.compile(r"\s*(?!bytes\b)[a-z][^\s=]*", re.ASCII | re.IGNORECASE)


class ContentRange(NamedTuple):
    """A parsed `Content-Range` (RFC 9110, section 14.4).

    Attributes:
        first: Offset of the first byte; None if the range is `*`, as in a 416 response.
        stop: The exclusive end: one more than the last position in the header. None if the range is `*`.
        total: The length of the whole file; None if it is `*`.
    """

    first: int | None
    stop: int | None
    total: int | None

    @property
    def is_whole(self) -> bool:
        """True if the range is the whole file."""
        return self.first == 0 and self.stop is not None and self.stop == self.total


def content_range(headers: Mapping[str, str]) -> ContentRange | None:
    """Parse `Content-Range`. Return None if it is missing, invalid or sent with several values."""
    values = set(header_values(headers, "Content-Range"))
    match = _CONTENT_RANGE.fullmatch(values.pop()) if len(values) == 1 else None
    if match is None:
        return None
    total = None if match[3] == "*" else int(match[3])
    if match[1] is None:
        return ContentRange(None, None, total)
    first, stop = int(match[1]), int(match[2]) + 1
    return ContentRange(first, stop, total) if first < stop and (total is None or stop <= total) else None


def may_be_part(headers: Mapping[str, str], length: int | None, *, was_range_requested: bool) -> bool:
    """Return True if the body of a response with another status than 206 may be only a part of the file.

    RFC 9110, section 14.4, gives `Content-Range` no meaning there, but some hosts send it, malformed or not.

    Args:
        headers: The headers of the response.
        length: The length of the body in bytes; None if unknown.
        was_range_requested: True if the request was for a range, so that an odd value may be about the rest of the file.
    """
    return any(_is_part(value, length, was_range_requested) for value in header_values(headers, "Content-Range"))


def _is_part(value: str, length: int | None, was_range_requested: bool) -> bool:
    """Return True unless a `Content-Range` has another unit, no range, or may be that of all bytes."""
    if _OTHER_UNIT.match(value):
        return False
    if "-" not in value:
        return was_range_requested and "*" in value
    match = _MALFORMED_RANGE.fullmatch(value)
    if match is None:
        return True
    first, last, total = (int(text) if text and text != "*" else None for text in match.groups())
    if total is not None and length not in (None, total):
        return True
    if first is None:
        return last is not None or was_range_requested  # "-500" are the last 500 bytes; "-" is no range
    if last is None:
        return first > 0
    if total is not None:
        counts_from_one = first == 1 and length == last == total and not was_range_requested
        return not counts_from_one and (first > 0 or last + 1 < total)  # many hosts send the total as the last position
    has_total = match[3] is not None  # "*"; a host that leaves the total out may do so for the first part of a file
    return first > 0 or not has_total or last + 1 != length


def stated_total(headers: Mapping[str, str]) -> int | None:
    """Return the length of the whole file that `Content-Range` states, also if it is malformed, or None."""
    values = [value for value in header_values(headers, "Content-Range") if not _OTHER_UNIT.match(value)]
    totals = {match[1] for value in values if (match := _WITH_TOTAL.fullmatch(value)) is not None}
    return int(totals.pop()) if len(totals) == 1 else None
