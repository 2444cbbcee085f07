"""The remote file of a download: its length, validator and content codings, according to the responses.

The file may be replaced during the download, and a response may have fewer headers than the one before. A known length
is never replaced by an unknown one. A length stated with a validator holds for this validator. A length stated without
one holds until another validator proves that the file was replaced; a response may state a greater one, and none that is
smaller. A version without a content coding is at least as long as what was received of it under its validator.

Lengths and offsets count encoded bytes, as ranges do, unless they are called unpacked.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from .._models import Fault, Response
from .._transports.content_range import ContentRange, content_range
from .._transports.decoding import content_codings
from .file_headers import Codings, codings_of, is_tag, strong_validator

MAX_PACKED_GROWTH = 1.05
MAX_PACKED_FRAME_BYTES = 64
"""A packed file is taken to be at most 5 % and 64 bytes longer than the file itself.

What cannot be packed is stored (RFC 1951, section 3.2.4): 0.03 % longer by default, and up to 4 % with flushes or little memory.
"""


class Version(NamedTuple):
    """One version of the remote file.

    Attributes:
        validator: A strong `ETag` or `Last-Modified`; None if there is none, so that it cannot be resumed.
        codings: The real content codings, or None until the first bytes have shown them. Another coding has another
            length, though some hosts send the same `ETag`.
        total: The length in bytes; None if unknown.
        labels: The content codings according to the response. Some of them may be wrong.
        modified: Its `Last-Modified`, also if its `ETag` is the validator; None if there was none.
    """

    validator: str | None
    codings: Codings | None
    total: int | None
    labels: Codings = ()
    modified: str | None = None


class _Known(NamedTuple):
    """The known length and validators of the latest version that has certain content codings.

    Attributes:
        total: The length in bytes; None if unknown.
        tag: The latest strong `ETag` since the file was replaced; None if there was none.
        date: The latest `Last-Modified` that is a strong validator, in the same way.
    """

    total: int | None = None
    tag: str | None = None
    date: str | None = None

    def differs_from(self, validator: str | None) -> bool:
        """Return True if a validator proves another version. An `ETag` is not compared with a date."""
        known = self.tag if is_tag(validator) else self.date
        return validator is not None and known is not None and known != validator

    def updated(self, version: Version) -> _Known:
        """Return what is known after a response. If it states no length, `version.total` is already the known one."""
        known = _Known() if self.differs_from(version.validator) else self
        if version.validator is None:
            return known._replace(total=version.total)
        if is_tag(version.validator):
            return known._replace(total=version.total, tag=version.validator)
        return known._replace(total=version.total, date=version.validator)


_State = tuple[Version, Mapping[Codings, _Known], Mapping[tuple[str, Codings], int], Mapping[str | None, int]]


class RemoteFile:
    """The remote file according to the responses of one download. Another version may replace it meanwhile."""

    def __init__(self) -> None:
        self._version = Version(None, (), None)  # the one being received, or one that is known to have replaced it
        self._known: Mapping[Codings, _Known] = {}
        self._stated_totals: Mapping[tuple[str, Codings], int] = {}  # as stated, by validator and codings
        self._least: Mapping[str | None, int] = {}  # lower bounds of the unpacked length, by validator
        self._before_whole = self._state()

    @property
    def total(self) -> int | None:
        """The length of the current version in bytes, or None if unknown."""
        return self._version.total

    @property
    def validator(self) -> str | None:
        """The value of `If-Range` to resume the current version, or None if it cannot be resumed.

        A validator may stand for a packed and an unpacked form of the file, and the rest could be that of the other form.
        So it is None until the real codings are known, or if they differ from the labels without a known length.
        """
        codings = self._version.codings
        is_uncertain = codings is None or (codings != self._version.labels and self._version.total is None)
        return None if is_uncertain else self._version.validator

    def begin_whole(self, response: Response, length: int | None) -> None:
        """Set the current version to that of a response with the file from its start.

        If it is labelled with content codings, its length counts once `confirm_codings` says which of them it has.

        Args:
            response: The response.
            length: The length stated in it, in bytes; None if there is none.

        Raises:
            Fault: `length` contradicts the known length of the same version.
        """
        self._before_whole = self._state()
        labels, modified = codings_of(response), response.headers.get("Last-Modified")
        version = Version(strong_validator(response.headers), None, length, labels, modified)
        if not labels:
            version = self._checked(version._replace(codings=()), response)
        self._version = version
        self._record(version, length)

    def confirm_codings(self, codings: Codings) -> None:
        """Set the real codings of the current version, which may differ from its labels, if they were not known before.

        Raises:
            Fault: Its length contradicts the known length of the version with these codings. The state before the last
                `begin_whole` is restored.
        """
        if self._version.codings is not None:
            return
        stated = self._version.total
        try:
            self._version = self._checked(self._version._replace(codings=codings))
        except Fault:
            self.undo_begin_whole()
            raise
        self._record(self._version, stated)

    def undo_begin_whole(self) -> None:
        """Restore the state before the last `begin_whole`, as the body of that response was not the file."""
        self._version, self._known, self._stated_totals, self._least = self._before_whole

    def record_given_up(self, size: int) -> None:
        """Record a lower bound of the unpacked length, as the `size` bytes received of the current version are given up.

        While its codings are unknown, the stated length gives the bound. A packed file gives none.
        """
        version = self._version
        if version.codings == () and version.validator is not None:
            self._record_least(version.validator, size)  # a packed file may be packed in another way the next time
        elif version.codings is None and version.total is not None:
            self._record_least(version.validator, _least_unpacked(version.total))

    def require_received(self, size: int) -> None:
        """Check the size of a complete body whose length may be unknown.

        Raises:
            Fault: More bytes of the same version were received or stated before.
        """
        self._require_least(self._version, size)

    def record_other_part(self, response: Response, total: int | None) -> None:
        """Record the version of a part that does not continue the current one, if its validator proves a replacement.

        Otherwise it may be a mistake of the host or of a proxy: a known length still holds, and the total of the part is
        about the least length of its version.

        Args:
            response: A 206 response.
            total: The length of the file stated in it, in bytes; None if there is none.
        """
        labels = codings_of(response)
        codings = self._likely_codings if labels in ((), self._version.labels) else labels
        is_replaced = self._replace(response, codings, total if codings == labels else None)
        validator = strong_validator(response.headers)
        is_unlabelled = codings == self._version.labels == ()
        if not is_replaced and is_unlabelled and validator is not None and total is not None:
            self._record_least(validator, _least_unpacked(total))  # it may be packed, although it has no label

    def record_unsatisfied_range(self, response: Response, total: int | None) -> None:
        """Record the version of a 416 response, if its validator proves a replacement.

        Args:
            response: A 416 response. Its content codings are those of the error message.
            total: The length of the file stated in it, in bytes; None if there is none.
        """
        codings = self._likely_codings
        self._replace(response, codings, total if codings == codings_of(response) else None)

    def accepts_part(self, response: Response, part: ContentRange, received: int) -> bool:
        """Return True if a 206 response continues the current version (RFC 9110, section 15.3.7.3).

        Args:
            response: The response.
            part: Its `Content-Range`.
            received: The number of bytes of the current version that were received before.
        """
        total = self._version.total
        return (
            received > 0
            and self.validator is not None
            and part.first == received
            and part.stop is not None
            and (total is None or (part.stop <= total and part.total in (None, total)))
            and not self._is_of_another_coding(part.total)
            and (not content_codings(response.headers) or codings_of(response) == self._version.labels)
            and self._is_same_version(response)
        )

    def begin_part(self, response: Response, part: ContentRange) -> None:
        """Set the length of the current version to that stated in an accepted 206 response."""
        if part.total is not None:
            self._version = self._version._replace(total=part.total)
            if codings_of(response) == self._version.labels:  # without the label, it may be that of the unpacked file
                self._record(self._version, part.total)

    def is_complete(self, response: Response, received: int) -> bool:
        """Return True if a 416 response says that `received` bytes are the whole file (RFC 9110, section 15.5.17)."""
        part = content_range(response.headers)
        return (
            part is not None
            and part.first is None
            and part.total == received
            and self._version.total in (None, received)
            and self.validator is not None
            and (self._is_same_version(response) or self._has_same_date(response))
        )

    def require_unpacked(self, size: int, packed_size: int | None) -> None:
        """Check the unpacked size of a packed file against what is known of the same version without a coding.

        Does nothing without a coding. The file may be stored packed, and have lacked its label before: then the known
        length is its packed size.

        Args:
            size: The unpacked size in bytes.
            packed_size: The packed size in bytes; None if some of the packed bytes may be those of another coding.

        Raises:
            Fault: `size` contradicts the known length of the same version without a coding.
        """
        plain = self._version._replace(codings=(), total=None)
        if self._version.codings and (packed_size is None or packed_size != self._checked_total(plain)):
            self._checked_total(plain._replace(total=size))
            self._require_least(plain, max(size, packed_size or 0))

    @property
    def _likely_codings(self) -> Codings:
        """The content codings of the current version, or its labels until the first bytes have shown them."""
        return self._version.labels if self._version.codings is None else self._version.codings

    def _replace(self, response: Response, codings: Codings, total: int | None) -> bool:
        """Set the current version to that of a response, if its validator proves a replacement. Return True if so."""
        validator = strong_validator(response.headers)
        if not self._known_of(codings).differs_from(validator):
            return False
        self._version = Version(validator, codings, total)
        self._record(self._version, total)
        return True

    def _state(self) -> _State:
        return self._version, self._known, self._stated_totals, self._least

    def _known_of(self, codings: Codings) -> _Known:
        return self._known.get(codings, _Known())

    def _checked(self, new: Version, response: Response | None = None) -> Version:
        """Return a version with its known length if it states none."""
        total = self._checked_total(new, response)
        if new.total is not None:
            self._require_least(new, new.total, response)
        return new._replace(total=total)

    def _checked_total(self, new: Version, response: Response | None = None) -> int | None:
        codings = new.codings or ()
        known, length = self._known_of(codings), new.total
        stated = self._stated_totals.get((new.validator, codings)) if new.validator is not None else None
        if stated is not None:
            if length not in (None, stated):
                raise Fault("unreadable", f"the file has {length} bytes, and the same version had {stated}", response)
            return stated
        if known.total is None or known.differs_from(new.validator):
            return length
        if length is None:
            return known.total
        if length < known.total:
            raise Fault("unreadable", f"the file has {length} bytes, and had {known.total} before", response)
        return length

    def _is_of_another_coding(self, total: int | None) -> bool:
        """Return True if a total is that of the current version in another coding, and is unlike its own."""
        lengths = {
            codings: total for (validator, codings), total in self._stated_totals.items() if validator == self.validator
        }
        own = lengths.pop(self._version.codings or (), None)
        return total is not None and total != own and total in lengths.values()

    def _record_least(self, validator: str | None, size: int) -> None:
        if (validator, ()) not in self._stated_totals:
            self._least = {**self._least, validator: max(size, self._least.get(validator, 0))}

    def _require_least(self, version: Version, size: int, response: Response | None = None) -> None:
        least = 0 if version.codings else self._least.get(version.validator, 0)
        if size < least:
            raise Fault("unreadable", f"the file has {size} bytes, and the same version had {least} or more", response)

    def _record(self, version: Version, stated: int | None) -> None:
        """Record a version, and the length stated in its response, unless its codings are not known yet."""
        if version.codings is None:
            return
        known = self._known_of(version.codings)
        if known.differs_from(version.validator):
            self._least = {validator: least for validator, least in self._least.items() if validator is not None}
        self._known = {**self._known, version.codings: known.updated(version)}
        if version.validator is not None and stated is not None:
            self._stated_totals = {**self._stated_totals, (version.validator, version.codings): stated}

    def _is_same_version(self, response: Response) -> bool:
        tag, modified = response.headers.get("ETag"), response.headers.get("Last-Modified")
        validator = self._version.validator
        if is_tag(validator):
            return tag == validator  # a 206 response has to send it (RFC 9110, section 15.3.7)
        return tag is None and modified in (None, validator)

    def _has_same_date(self, response: Response) -> bool:
        """Return True if a response without an `ETag` has no other date. A 416 need not repeat the `ETag`."""
        modified = response.headers.get("Last-Modified")
        return "ETag" not in response.headers and (modified is None or self._version.modified in (None, modified))


def _least_unpacked(length: int) -> int:
    """Return the least length of a file whose packed form may have this length."""
    return int(length / MAX_PACKED_GROWTH) - MAX_PACKED_FRAME_BYTES
