"""The headers of a response to a request for a file: media type, content codings, range and validator."""

from __future__ import annotations

import re
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

from .._models import Response
from .._transports.content_range import ContentRange, content_range, may_be_part
from .._transports.decoding import content_codings
from .._transports.framing import UnreadableBody, content_length

Codings = tuple[str, ...]

_GZIP_TYPES = ("application/gzip", "application/x-gzip")
"""Media types of gzip files. `Content-Encoding: gzip` only repeats the type there."""


def codings_of(response: Response) -> Codings:
    """Return the content codings to decode. The gzip of a gzip file is not one of them."""
    codings = content_codings(response.headers)
    is_gzip_file = media_type(response.headers) in _GZIP_TYPES and codings in (("gzip",), ("x-gzip",))
    return () if is_gzip_file else codings


def media_type(headers: Mapping[str, str]) -> str:
    """Return the media type in lower case, without parameters, or an empty string if there is none.

    Of several headers it is the first. Some HTTP libraries join them with commas.
    """
    return media_type_as_sent(headers).lower()


def media_type_as_sent(headers: Mapping[str, str]) -> str:
    """Return the media type without parameters, or an empty string if there is none."""
    return re.split("[;,]", headers.get("Content-Type", ""))[0].strip()


def is_partial(response: Response, *, was_range_requested: bool) -> bool:
    """Return True if a response has a range of the file, which may be all of it. A proxy may have replaced its 206."""
    part = content_range(response.headers)
    if response.status_code == 206 or media_type(response.headers) == "multipart/byteranges":
        return True
    if part is not None and part.is_whole:
        return True  # it states the length, which the response may lack otherwise
    try:
        length = content_length(response.headers)
    except UnreadableBody:
        length = None
    return may_be_part(response.headers, length, was_range_requested=was_range_requested)


def range_of_part(response: Response) -> ContentRange | None:
    """Return the range of a partial response, or None.

    None stands for no range, several ranges, or one that contradicts `Content-Length`.
    """
    part = content_range(response.headers)
    if (
        part is None
        or part.first is None
        or part.stop is None
        or media_type(response.headers) == "multipart/byteranges"
    ):
        return None
    try:
        length = content_length(response.headers)
    except UnreadableBody:
        return None
    return part if length in (None, part.stop - part.first) else None


def strong_validator(headers: Mapping[str, str]) -> str | None:
    """Return the validator for `If-Range`: a strong `ETag`, or else a `Last-Modified` older than `Date`.

    Return None if there is no such validator, or a weak `ETag` (RFC 9110, sections 8.8.2.2, 8.8.3 and 13.1.5).
    """
    tag = headers.get("ETag")
    if tag is not None:
        return tag if tag.startswith('"') else None
    modified, date = headers.get("Last-Modified"), headers.get("Date")
    if modified is None or date is None:
        return None
    try:
        is_older = parsedate_to_datetime(date) > parsedate_to_datetime(modified)
    except (TypeError, ValueError, IndexError, OverflowError):  # one of them is invalid, or has no time zone
        return None
    return modified if is_older else None


def is_tag(validator: str | None) -> bool:
    """Return True if a validator is an `ETag`, and no date."""
    return validator is not None and validator.startswith('"')
