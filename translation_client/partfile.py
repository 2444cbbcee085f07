"""Where does a file grow until it is whole? Beside its target, so that a half one never has the target's name."""

from __future__ import annotations

import os
import re
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from email.utils import parsedate_to_datetime
from pathlib import Path

from .faults import Fault
from .messages import Answer

_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")

_NO_FILE = re.compile(r"text/(html|xml|json)|application/(json|xml|(.*\+)(json|xml))", re.IGNORECASE)
"""The media types of what a proxy or an API says in place of a file, with status 200."""

_MARKUP = re.compile(rb"(\xef\xbb\xbf)?\s*(<[!?A-Za-z]|\{\s*[\"}]|\[\s*\{)")
"""How that begins, under whatever media type. No container of video or audio does."""


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

    Attributes:
        received: How many bytes there are.
    """

    def __init__(self, target: Path, on_progress: Callable[[int, int | None], object] | None) -> None:
        """Open a temporary file in the folder of the target.

        Args:
            target: Where the whole file will be; what lies there is replaced.
            on_progress: Told after each block how many bytes there are, and how many there will be, if that is known.

        Raises:
            OSError: It cannot be made.
        """
        self.received = 0
        self._total: int | None = None
        self._validator: str | None = None
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
        """Ask for the rest, provided that the file is still the same (RFC 9110, sections 13.1.5 and 14.2)."""
        if not self.received or self._validator is None:
            return {}
        return {"Range": f"bytes={self.received}-", "If-Range": self._validator}

    def begin(self, answer: Answer) -> None:
        """Take the head of an answer: the whole file, or the rest of it.

        Raises:
            Fault: It is no file, or not the rest that was asked for.
        """
        kind = answer.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if _NO_FILE.fullmatch(kind):
            raise Fault("unreadable", f"{kind} in place of the file", answer)
        if answer.status_code == 206:
            if not self._is_the_rest(answer, kind):
                self.start_anew()
                raise Fault("unreadable", "another part of the file than was asked for", answer)
            return
        self.start_anew()
        length = answer.headers.get("Content-Length", "")
        self._total = int(length) if length.isdecimal() and "Transfer-Encoding" not in answer.headers else None
        self._validator = _strong_validator(answer)

    def _is_the_rest(self, answer: Answer, kind: str) -> bool:
        """Whether a partial answer is all that is missing, of the same file (RFC 9110, section 15.3.7.3)."""
        match = _CONTENT_RANGE.fullmatch(answer.headers.get("Content-Range", ""))
        if match is None or kind == "multipart/byteranges" or not self.received:
            return False
        first, last, total = int(match[1]), int(match[2]), self._total
        is_to_the_end = match[3] == "*" or last + 1 == int(match[3])
        is_as_long = total is None or match[3] == "*" or int(match[3]) == total
        if first != self.received or not is_to_the_end or not is_as_long or not self._is_same_file(answer):
            return False
        self._total = last + 1
        return True

    def _is_same_file(self, answer: Answer) -> bool:
        tag, modified = answer.headers.get("ETag"), answer.headers.get("Last-Modified")
        if self._validator is not None and self._validator.startswith('"'):
            return tag == self._validator  # an answer with a part repeats the tag that the whole has
        return tag is None and modified in (None, self._validator)

    def write(self, block: bytes) -> None:
        """Take the next block.

        Raises:
            Fault: It is no file that begins like this.
            NotTheNetwork: The disk is full, say.
        """
        if not self.received and _MARKUP.match(block):
            raise Fault("unreadable", "a text in place of the file")
        with _not_the_network():
            self._file.write(block)
            self.received += len(block)
            if self._on_progress is not None:
                self._on_progress(self.received, self._total)

    def start_anew(self) -> None:
        """Forget what was received.

        Raises:
            NotTheNetwork: The disk is full, say.
        """
        with _not_the_network():
            self._file.seek(0)
            self._file.truncate()
        self.received = 0
        self._total = self._validator = None

    def check_whole(self, answer: Answer) -> None:
        """Pass where all bytes are there that were promised.

        Raises:
            Fault: There are fewer, or more, or none at all.
        """
        if not self.received:
            raise Fault("unreadable", "the file is empty", answer)
        if self._total is not None and self.received != self._total:
            raise Fault("connection", f"the file has {self.received} of {self._total} bytes", answer)

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


def _strong_validator(answer: Answer) -> str | None:
    """What proves later that a file is the same to the byte (RFC 9110, sections 8.8.2.2, 8.8.3 and 13.1.5)."""
    tag = answer.headers.get("ETag")
    if tag is not None:
        return tag if tag.startswith('"') else None
    modified, date = answer.headers.get("Last-Modified"), answer.headers.get("Date")
    if modified is None or date is None:
        return None
    try:
        is_settled = parsedate_to_datetime(date) > parsedate_to_datetime(modified)
    except (TypeError, ValueError):  # one is no date, or has no time zone
        return None
    return modified if is_settled else None
