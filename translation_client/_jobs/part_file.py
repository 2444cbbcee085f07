"""A temporary file beside its target, renamed when it is complete, so that no partial file has the target's name."""

from __future__ import annotations

import os
import re
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NoReturn

from .._models import Fault, Response
from .._transports.content_range import ContentRange, content_range, stated_total
from .._transports.file_decoding import FileDecoder
from .._transports.framing import UnreadableBody, content_length
from .._transports.sniffing import SUBTITLES, MarkupSniffer
from .file_headers import codings_of, is_partial, media_type, media_type_as_sent, range_of_part
from .remote_file import RemoteFile

_ERROR_TYPES = re.compile(r"text/(html|xml|json)|application/(json|xml|(.*\+)(json|xml))|image/.*", re.IGNORECASE)
"""Media types of what proxies and APIs send with a 2xx in place of a file. A file may have one of them by mistake."""


class LocalError(Exception):
    """A failure of the disk or of the caller's `on_progress`, which a retry cannot fix.

    It has a class of its own because the transport treats an `OSError` or a `ValueError` as a failed connection.

    Attributes:
        cause: The exception that was raised.
    """

    def __init__(self, cause: Exception) -> None:
        super().__init__(str(cause))
        self.cause = cause


@contextmanager
def _local_errors() -> Iterator[None]:
    try:
        yield
    except Exception as error:
        raise LocalError(error) from error


class PartFile:
    """A temporary file with the part of a file received so far. Leaving its `with` block removes it unless committed.

    Content codings are decoded on arrival. Both sizes are kept because ranges count encoded bytes.

    Attributes:
        received: Encoded bytes received of the current version.
        transferred: Encoded bytes received in all, also of versions that were given up, but not those of markup or JSON.
        size: Decoded bytes written.
    """

    def __init__(self, target: Path, on_progress: Callable[[int, int | None], object] | None) -> None:
        """Open a temporary file in the folder of the target.

        Args:
            target: The path of the complete file. An existing file, or the target of a symbolic link, is replaced.
            on_progress: Called after each block with the bytes received, and the total or None if that is unknown.

        Raises:
            OSError: The temporary file cannot be created.
        """
        self.received = 0
        self.transferred = 0
        self.size = 0
        self._unclassified_bytes = 0  # encoded bytes in `transferred` that may turn out to be markup or JSON
        self._remote = RemoteFile()
        self._decoder = FileDecoder(())
        self._sniffer = MarkupSniffer()
        self._is_resuming = False  # True if the response being received continues the file
        self._media_type = ""  # the media type of the current version
        self._type_fault: Fault | None = None  # to raise unless the file begins as media do, despite its media type
        self._end: int | None = None  # the offset after the last byte of the response, as announced
        self._least = 0  # the least size by the `Content-Range` of a 200 response, whose total may be the last offset
        self._on_progress = on_progress
        self._target = Path(os.path.realpath(target))  # so that a symbolic link stays
        self._path = self._target.with_name(f".{secrets.token_hex(8)}.part")
        self._file = self._path.open("xb")

    def __enter__(self) -> PartFile:
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):  # the rest of the buffer is not needed
            self._file.close()
        with suppress(FileNotFoundError):  # it was committed
            self._path.unlink()

    def range_headers(self) -> dict[str, str]:
        """Return the headers to request the rest of the same version (RFC 9110, sections 13.1.5 and 14.2)."""
        validator = self._remote.validator
        return {"Range": f"bytes={self.received}-", "If-Range": validator} if self.received and validator else {}

    def begin(self, response: Response) -> None:
        """Start to receive the body of a response: the whole file, or the rest of it.

        Raises:
            Fault: The response is an error message, or contradicts what is known of the file.
            LocalError: The disk fails.
        """
        type_fault = _fault_for_type(response)
        if not is_partial(response, was_range_requested=bool(self.range_headers())):
            length = content_length(response.headers)
            self._begin_whole(response, length, type_fault)
            if length is None and not codings_of(response):
                self._least = stated_total(response.headers) or 0
            return
        part = range_of_part(response)
        if part is not None and part.is_whole:  # some hosts send this without a request for a range
            self._begin_whole(response, part.total, type_fault)
        elif type_fault is not None and media_type(response.headers) != self._media_type:
            raise type_fault
        elif part is not None and self._remote.accepts_part(response, part, self.received):
            self._begin_part(response, part)
        else:
            self.start_over()
            self._remote.record_other_part(response, None if part is None else part.total)
            raise Fault("unreadable", "a part that does not continue the file", response)

    def _begin_whole(self, response: Response, length: int | None, type_fault: Fault | None) -> None:
        self.start_over()
        try:
            self._remote.begin_whole(response, length)
        except Fault as fault:  # the length of an error message says nothing about the file
            raise (type_fault or fault) from None
        self._media_type, self._type_fault = media_type(response.headers), type_fault
        self._decoder = FileDecoder(codings_of(response))
        self._sniffer = MarkupSniffer(self._media_type, is_error_type=type_fault is not None)
        self._end = self._remote.total
        self._least = 0
        self._is_resuming = False

    def _begin_part(self, response: Response, part: ContentRange) -> None:
        self._remote.begin_part(response, part)
        self._end = part.stop
        self._least = 0 if part.total is not None else self._least
        self._is_resuming = True

    def write(self, block: bytes) -> None:
        """Decode and write the next block.

        Raises:
            Fault: The file begins as markup or JSON, is longer than announced, or cannot be decoded.
            LocalError: The disk or `on_progress` fails.
        """
        self._require_room_for(len(block))
        self._write(self._decoder.feed(block))
        self.received += len(block)
        self.transferred += len(block)
        self._unclassified_bytes = 0 if self._sniffer.is_markup is False else self._unclassified_bytes + len(block)
        self._confirm_codings()
        if self._on_progress is not None:
            with _local_errors():
                self._on_progress(self.received, self._remote.total)

    def reject_surplus(self) -> NoReturn:
        """Start over, because bytes follow those that the response announced.

        Raises:
            Fault: Always.
            LocalError: The disk fails.
        """
        if self._is_resuming:
            self.start_over()
        else:
            self._reject()
        raise Fault("unreadable", "more bytes than the response announced")

    def finish(self, response: Response) -> bool:
        """Write the rest from the decoder at the end of a response, and return True if the file is complete.

        Return False if the rest has to be requested. A server may send less than the requested range (RFC 9110,
        section 15.3.7).

        Raises:
            Fault: The response had fewer bytes than it announced, or the file is empty, markup or JSON, or cannot be
                decoded.
            LocalError: The disk fails.
        """
        self._require_all(response)
        if self._is_resuming and self.received != self._remote.total:
            return False
        self._finish(response)
        return True

    def finish_if_complete(self, response: Response) -> bool:
        """Finish the file as `finish` does and return True if a 416 response says that it is complete, or else start over.

        Raises:
            Fault: The file is empty, markup or JSON, or cannot be decoded.
            LocalError: The disk fails.
        """
        if self._remote.is_complete(response, self.received):
            self._least = 0
            self._finish(response)
            return True
        self.start_over()
        unsatisfied = content_range(response.headers)
        self._remote.record_unsatisfied_range(response, None if unsatisfied is None else unsatisfied.total)
        return False

    def _finish(self, response: Response) -> None:
        self._write(self._decoder.finish())
        self._confirm_codings()  # a short file may have ended before they were known
        self._require_all(response)
        self._remote.require_received(self.received)
        self._sniffer.finish()
        if not self.size and self._type_fault is None:
            self._reject()
            raise Fault("unreadable", "the file is empty", response)
        self._require_no_markup()
        # A 206 response may lack `Content-Encoding`.
        may_be_mixed = self._is_resuming and self._decoder.has_ignored_bytes
        try:
            self._remote.require_unpacked(self.size, None if may_be_mixed else self.received)
        except Fault:
            self._reject()
            raise

    def start_over(self) -> None:
        """Empty the file. What is known of the remote file holds, unless the body may be an error message.

        Raises:
            LocalError: The disk fails.
        """
        is_from_error_type = self._type_fault is not None and self._sniffer.is_markup is None
        if is_from_error_type or self._sniffer.may_be_markup:
            self._remote.undo_begin_whole()  # an error message may have broken off before it was known as one
        else:
            self._remote.record_given_up(self.received)
        self._clear()

    def _reject(self) -> None:
        """Empty the file, as the body of the last `begin_whole` was not the file. Forget what that response stated."""
        self._remote.undo_begin_whole()
        self._clear()

    def _clear(self) -> None:
        """Empty the temporary file. The next `begin` sets what is not reset here."""
        with _local_errors():
            self._file.seek(0)
            self._file.truncate()
        self.received = self.size = self._unclassified_bytes = 0
        self._decoder = FileDecoder(())
        self._sniffer = MarkupSniffer()
        self._type_fault = None

    def _require_room_for(self, size: int) -> None:
        if self._end is not None and self.received + size > self._end:
            self.reject_surplus()

    def _require_all(self, response: Response) -> None:
        if self.received < max(self._end or 0, self._least):
            total = self._remote.total or self._end or self._least
            raise Fault("connection", f"the file has {self.received} of {total} bytes", response)

    def _confirm_codings(self) -> None:
        """Set the codings of the remote file to those that the decoder found, once they are known."""
        codings = self._decoder.applied_codings
        if codings is None:
            return
        type_fault = self._type_fault
        try:
            self._remote.confirm_codings(codings)
        except Fault as fault:
            self._clear()
            raise (type_fault or fault) from None
        if not self._is_resuming:
            self._end = self._remote.total
            self._require_room_for(0)

    def _write(self, pieces: Iterator[bytes]) -> None:
        try:
            for piece in pieces:
                self._sniffer.feed(piece)
                self._require_no_markup()
                with _local_errors():
                    self._file.write(piece)
                self.size += len(piece)
        except UnreadableBody as error:
            fault = self._type_fault or Fault("unreadable", str(error))
            self._reject()
            raise fault from None

    def _require_no_markup(self) -> None:
        if self._sniffer.is_markup:
            fault = self._type_fault or Fault("unreadable", "HTML, XML or JSON in place of the file")
            self.transferred -= self._unclassified_bytes
            self._reject()
            raise fault

    def commit(self) -> Path:
        """Rename the temporary file to the target, and return the target. The permissions of an existing file are kept.

        Raises:
            OSError: The disk fails.
        """
        self._file.flush()
        os.fsync(self._file.fileno())  # without it, the target could be empty after a power failure
        self._file.close()
        if self._target.exists():
            shutil.copymode(self._target, self._path)
        self._path.replace(self._target)
        return self._target


def _fault_for_type(response: Response) -> Fault | None:
    """Return the fault for a response whose media type is that of an error message or an image, or None."""
    kind = media_type(response.headers)
    if not _ERROR_TYPES.fullmatch(kind) or kind in SUBTITLES:
        return None
    # As sent: a secret in it would not be found in another case.
    return Fault("unreadable", "in place of the file", response, media_type=media_type_as_sent(response.headers))
