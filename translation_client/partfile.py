"""A file that grows beside its target until it is whole, so that a half one never has the target's name."""

from __future__ import annotations

import os
import re
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from .faults import Fault
from .messages import Answer
from .representation import ContentRange, Representation, codings_of, media_type, stated_part
from .sniffing import TextSniffer
from .transport.decoding import FileDecoder
from .transport.framing import UnreadableBody, content_length

_NO_FILE = re.compile(r"text/(html|xml|json)|application/(json|xml|(.*\+)(json|xml))", re.IGNORECASE)
"""The media types of what a proxy or an API says in place of a file, with status 200."""


class NotTheNetwork(Exception):
    """The disk does not take the file, or the caller's own function failed: nothing that calling again would mend.

    Its own kind, as the transport would take an `OSError` or a `ValueError` for one of the network.
    """

    def __init__(self, cause: Exception) -> None:
        super().__init__(str(cause))
        self.cause = cause


@contextmanager
def _not_the_network() -> Iterator[None]:
    try:
        yield
    except Exception as error:
        raise NotTheNetwork(error) from error


class PartFile:
    """A file that is being received. As a context: what is not kept is removed.

    A file with a content coding is decoded while it is received, so that it is resumed in encoded bytes, as ranges count.

    Attributes:
        received: Bytes received of the current version, before decoding.
        size: Bytes written, after decoding.
    """

    def __init__(self, target: Path, on_progress: Callable[[int, int | None], object] | None) -> None:
        """Open a temporary file in the folder of the target.

        Args:
            target: Where the whole file will be; what lies there is replaced.
            on_progress: Called after each block with the bytes received, and with how many there will be, if known.

        Raises:
            OSError: It cannot be made.
        """
        self.received = 0
        self.size = 0
        self._stored = Representation()
        self._decoder = FileDecoder(())
        self._sniffer = TextSniffer()
        self._is_rest = False  # whether the response being received is a part that continues the file
        self._end: int | None = None  # where the response ends, in bytes of the file
        self._on_progress = on_progress
        self._target = Path(os.path.realpath(target))  # through a symbolic link, and not over it
        self._path = self._target.with_name(f".{secrets.token_hex(8)}.part")
        self._file = self._path.open("xb")

    def __enter__(self) -> PartFile:
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):  # what it could not write is thrown away here
            self._file.close()
        with suppress(FileNotFoundError):  # it was kept
            self._path.unlink()

    def range_headers(self) -> dict[str, str]:
        """Return the headers that ask for the rest if the file is the same (RFC 9110, sections 13.1.5 and 14.2)."""
        validator = self._stored.validator
        return {"Range": f"bytes={self.received}-", "If-Range": validator} if self.received and validator else {}

    def begin(self, answer: Answer) -> None:
        """Start with the body of a response: the whole file, or the rest of it.

        Raises:
            Fault: It is no file, cannot be decoded, is not the rest, or contradicts what is known of the file.
        """
        kind = media_type(answer.headers)
        if _NO_FILE.fullmatch(kind):
            raise Fault("unreadable", f"{kind} in place of the file", answer)
        if answer.status_code != 206:
            self._begin_whole(answer, content_length(answer.headers))
            return
        part = stated_part(answer)
        if part is not None and part.is_whole:  # some hosts answer so without being asked for a range
            self._begin_whole(answer, part.total)
        elif part is not None and self._stored.accepts_part(answer, part, self.received):
            self._begin_part(part)
        else:
            self.discard()
            raise Fault("unreadable", "another part of the file than was asked for", answer)

    def _begin_whole(self, answer: Answer, length: int | None) -> None:
        try:
            decoder = FileDecoder(codings_of(answer))
        except UnreadableBody as error:
            raise Fault("unreadable", str(error), answer) from None
        self._stored.begin_whole(answer, length)
        self._start_over()
        self._decoder = decoder
        self._end = self._stored.total
        self._is_rest = False

    def _begin_part(self, part: ContentRange) -> None:
        self._stored.begin_part(part)
        self._end = part.end
        self._is_rest = True

    def write(self, block: bytes) -> None:
        """Append the next block.

        Raises:
            Fault: It is no file that begins like this, or more than was announced, or it does not unpack.
            NotTheNetwork: The disk is full, say.
        """
        if self._end is not None and self.received + len(block) > self._end:
            if self._is_rest:
                self.discard()
            else:
                self._reject()
            raise Fault("unreadable", "more bytes than the response announced")
        self._write(self._decoder.feed(block))
        self.received += len(block)
        if self._on_progress is not None:
            with _not_the_network():
                self._on_progress(self.received, self._stored.total)

    def complete(self, answer: Answer) -> bool:
        """Check what was received when a response has ended. Returns True if the file is whole, False if more is needed.

        Raises:
            Fault: There are fewer bytes than announced, or none at all, or it is no file.
            NotTheNetwork: The disk is full, say.
        """
        if self._end is not None and self.received < self._end:
            total = self._stored.total or self._end
            raise Fault("connection", f"the file has {self.received} of {total} bytes", answer)
        if self._is_rest and self.received != self._stored.total:
            return False  # a server may send less than was asked for (RFC 9110, section 15.3.7)
        return self._finish(answer)

    def completes_at(self, answer: Answer) -> bool:
        """Check what was received when a 416 came. Returns True if the file turns out to be whole.

        Raises:
            Fault: It is no file.
            NotTheNetwork: The disk is full, say.
        """
        return self._stored.ends_at(answer, self.received) and self._finish(answer)

    def _finish(self, answer: Answer) -> bool:
        self._write(self._decoder.finish())
        self._sniffer.finish()
        if not self.size:
            self._reject()
            raise Fault("unreadable", "the file is empty", answer)
        self._require_no_text()
        return True

    def discard(self) -> None:
        """Forget the received bytes: the file may have been replaced.

        Raises:
            NotTheNetwork: The disk is full, say.
        """
        self._stored.doubt()
        self._start_over()

    def _reject(self) -> None:
        """Forget the received bytes and what the response said that they began with: it was not the file."""
        self._stored.retract()
        self._start_over()

    def _start_over(self) -> None:
        with _not_the_network():
            self._file.seek(0)
            self._file.truncate()
        self.received = self.size = 0
        self._decoder = FileDecoder(())
        self._sniffer = TextSniffer()

    def _write(self, pieces: Iterator[bytes]) -> None:
        try:
            for piece in pieces:
                self._sniffer.feed(piece)
                self._require_no_text()
                with _not_the_network():
                    self._file.write(piece)
                self.size += len(piece)
        except UnreadableBody as error:
            self._reject()
            raise Fault("unreadable", str(error)) from None

    def _require_no_text(self) -> None:
        if self._sniffer.is_text:
            self._reject()
            raise Fault("unreadable", "a text in place of the file")

    def keep(self) -> Path:
        """Give it the name of the target, and the permissions of what lay there.

        Raises:
            OSError: The disk is full, say.
        """
        self._file.flush()
        os.fsync(self._file.fileno())  # or a crash of the machine could leave the name on an empty file
        self._file.close()
        if self._target.exists():
            shutil.copymode(self._target, self._path)
        self._path.replace(self._target)
        return self._target
