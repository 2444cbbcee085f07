"""Responses with a file, or with a part of it: RFC 9110, sections 13 and 14, for one range at a time."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

from .media import Noise
from .replies import Body, Reply

if TYPE_CHECKING:
    from werkzeug.datastructures import Headers

_RANGE = re.compile(r"\s*bytes\s*=\s*(\d{0,18})\s*-\s*(\d{0,18})\s*", re.ASCII | re.IGNORECASE)


def result_body(job_id: str, size: int) -> Noise:
    """Return the result of a job, with this size in bytes. It is the same each time."""
    return Noise(job_id, 0, size)


def file_reply(name: str, body: Body, content_type: str, asked: Headers) -> Reply:
    """Return a file, or the requested part of it.

    Args:
        name: The identity of the file, for its `ETag`.
        body: The whole file.
        content_type: Its media type.
        asked: The headers of the request. `Range` and `If-Range` are read.
    """
    tag = f'"{hashlib.sha256(f"{name}/{len(body)}".encode()).hexdigest()[:32]}"'
    headers = (("Content-Type", content_type), ("ETag", tag), ("Accept-Ranges", "bytes"))
    span = _span(asked.get("Range", ""), len(body)) if asked.get("If-Range", tag) == tag else None
    if span is None:
        return Reply(200, headers, body)
    if not span:
        return Reply(416, (("Content-Range", f"bytes */{len(body)}"), *headers[1:]), b"")
    place = f"bytes {span.start}-{span.stop - 1}/{len(body)}"
    return Reply(206, (*headers, ("Content-Range", place)), body[span.start : span.stop])


def _span(text: str, size: int) -> range | None:
    """Return the requested bytes: an empty range if they are past the end, None for the whole file.

    A header with no valid range, or with more than one, is ignored.
    """
    match = _RANGE.fullmatch(text)
    first, last = match.groups() if match else ("", "")
    if not first and not last:
        return None
    if not first:
        return range(max(size - int(last), 0), size)
    if last and int(last) < int(first):
        return None
    return range(int(first), min(int(last) + 1, size) if last else size)
