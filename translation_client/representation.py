"""What responses say about a stored file: its length, its validator, its content codings; and which of them fit together.

A file may be replaced while it is downloaded, and a host may say less in one response than in another. Nothing weaker
replaces what is known: a length stated for an `ETag` holds for this `ETag`, and a response without a length or without a
validator takes neither back.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import NamedTuple

from .faults import Fault
from .messages import Answer
from .transport.decoding import content_codings
from .transport.framing import UnreadableBody, content_length

_CONTENT_RANGE = re.compile(r"\s*bytes\s+(?:(\d{1,18})-(\d{1,18})|\*)\s*/\s*(\d{1,18}|\*)\s*", re.ASCII | re.IGNORECASE)

_GZIP_TYPES = ("application/gzip", "application/x-gzip")
"""Media types whose files are packed themselves: `Content-Encoding: gzip` repeats what the type says already."""

Codings = tuple[str, ...]


class ContentRange(NamedTuple):
    """A parsed `Content-Range` (RFC 9110, section 14.4).

    Attributes:
        first: Offset of the first byte; None in a 416.
        end: Offset behind the last byte; None in a 416.
        total: The length of the whole file; None for `*`.
    """

    first: int | None
    end: int | None
    total: int | None

    @property
    def is_whole(self) -> bool:
        """True if the range is the whole file."""
        return self.first == 0 and self.end is not None and self.end == self.total


class Version(NamedTuple):
    """What is known of one version of the file.

    Attributes:
        validator: A strong `ETag` or `Last-Modified`; None if nothing proves later that the file is the same.
        codings: The content codings. Another coding has another length, though some hosts give both the same `ETag`.
        total: The length in bytes as it is sent, that is, encoded; None if unknown.
    """

    validator: str | None
    codings: Codings
    total: int | None


class Representation:
    """The versions of one file, as the responses of one download tell them."""

    def __init__(self) -> None:
        """Start without knowing anything."""
        self._version = Version(None, (), None)
        self._latest: Mapping[Codings, Version] = {}
        self._totals: Mapping[tuple[str, Codings], int] = {}
        self._may_have_changed = False
        self._before = self._state()

    @property
    def total(self) -> int | None:
        """The length of the current version as it is sent."""
        return self._version.total

    @property
    def validator(self) -> str | None:
        """What proves that a part belongs to the current version."""
        return self._version.validator

    @property
    def codings(self) -> Codings:
        """The content codings of the current version."""
        return self._version.codings

    def begin_whole(self, answer: Answer, length: int | None) -> None:
        """Note what a response with the whole file says.

        Args:
            answer: The response.
            length: The length that it states.

        Raises:
            Fault: It contradicts what is known.
        """
        validator, codings = strong_validator(answer.headers), codings_of(answer)
        total = self._total_of(Version(validator, codings, length), answer)
        self._before = self._state()
        self._set_version(Version(validator, codings, total))
        self._may_have_changed = False

    def retract(self) -> None:
        """Forget what the last whole response said: its body was not the file."""
        self._version, self._latest, self._totals, self._may_have_changed = self._before

    def doubt(self) -> None:
        """Note that the file may have been replaced: a response does not fit to the current version."""
        self._may_have_changed = True

    def accepts_part(self, answer: Answer, part: ContentRange, received: int) -> bool:
        """True if a partial response continues the current version (RFC 9110, section 15.3.7.3).

        Args:
            answer: The response.
            part: Its `Content-Range`.
            received: How many bytes of the current version there are.
        """
        total = self._version.total
        return (
            received > 0
            and self._version.validator is not None
            and part.first == received
            and part.end is not None
            and (total is None or (part.end <= total and part.total in (None, total)))
            and content_codings(answer.headers) in ((), self._version.codings)
            and self._is_same_version(answer)
        )

    def begin_part(self, part: ContentRange) -> None:
        """Note the length that an accepted partial response states."""
        if part.total is not None:
            self._set_version(self._version._replace(total=part.total))

    def ends_at(self, answer: Answer, received: int) -> bool:
        """True if a 416 says that the current version has no more than the received bytes (RFC 9110, section 15.5.17)."""
        said = content_range(answer.headers)
        return (
            said is not None
            and said.first is None
            and said.total == received
            and self._version.total in (None, received)
            and self._version.validator is not None
            and answer.headers.get("ETag") in (None, self._version.validator)
        )

    def _state(self) -> tuple[Version, Mapping[Codings, Version], Mapping[tuple[str, Codings], int], bool]:
        return self._version, self._latest, self._totals, self._may_have_changed

    def _total_of(self, new: Version, answer: Answer) -> int | None:
        known, length = self._latest.get(new.codings), new.total
        bound = self._totals.get((new.validator, new.codings)) if new.validator is not None else None
        if bound is not None:
            if length not in (None, bound):
                raise Fault("unreadable", f"the file has {length} bytes, and the same version had {bound}", answer)
            return bound
        if known is None or known.total is None or _is_another(known.validator, new.validator):
            return length
        if length is None:
            return known.total
        if length < known.total and not self._may_have_changed:
            raise Fault("unreadable", f"the file has {length} bytes, and had {known.total} before", answer)
        return length

    def _set_version(self, version: Version) -> None:
        self._version = version
        self._latest = {**self._latest, version.codings: version}
        if version.validator is not None and version.total is not None:
            self._totals = {**self._totals, (version.validator, version.codings): version.total}

    def _is_same_version(self, answer: Answer) -> bool:
        tag, modified = answer.headers.get("ETag"), answer.headers.get("Last-Modified")
        validator = self._version.validator
        if validator is not None and validator.startswith('"'):
            return tag == validator  # a partial response repeats the tag of the whole
        return tag is None and modified in (None, validator)


def codings_of(answer: Answer) -> Codings:
    """Return the content codings that a file has beside its own format."""
    codings = content_codings(answer.headers)
    is_packed_itself = media_type(answer.headers) in _GZIP_TYPES and codings in (("gzip",), ("x-gzip",))
    return () if is_packed_itself else codings


def media_type(headers: Mapping[str, str]) -> str:
    """Return the media type in lower case, without its parameters."""
    return headers.get("Content-Type", "").partition(";")[0].strip().lower()


def content_range(headers: Mapping[str, str]) -> ContentRange | None:
    """Parse `Content-Range`; None if there is none, or it makes no sense."""
    match = _CONTENT_RANGE.fullmatch(headers.get("Content-Range", ""))
    if match is None:
        return None
    total = None if match[3] == "*" else int(match[3])
    if match[1] is None:
        return ContentRange(None, None, total)
    first, end = int(match[1]), int(match[2]) + 1
    return ContentRange(first, end, total) if first < end and (total is None or end <= total) else None


def stated_part(answer: Answer) -> ContentRange | None:
    """Return the range of a 206; None if it has no single range, or one that its `Content-Length` contradicts."""
    part = content_range(answer.headers)
    if part is None or part.first is None or part.end is None or media_type(answer.headers) == "multipart/byteranges":
        return None
    try:
        length = content_length(answer.headers)
    except UnreadableBody:
        return None
    return part if length in (None, part.end - part.first) else None


def strong_validator(headers: Mapping[str, str]) -> str | None:
    """Return what proves later that a file is the same to the byte (RFC 9110, sections 8.8.2.2, 8.8.3 and 13.1.5)."""
    tag = headers.get("ETag")
    if tag is not None:
        return tag if tag.startswith('"') else None
    modified, date = headers.get("Last-Modified"), headers.get("Date")
    if modified is None or date is None:
        return None
    try:
        is_settled = parsedate_to_datetime(date) > parsedate_to_datetime(modified)
    except (TypeError, ValueError):  # one is no date, or has no time zone
        return None
    return modified if is_settled else None


def _is_another(one: str | None, other: str | None) -> bool:
    """True if two validators of the same kind prove that two versions differ."""
    if one is None or other is None or one.startswith('"') != other.startswith('"'):
        return False
    return one != other
