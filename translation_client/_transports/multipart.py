"""Request bodies: JSON, or a form with a file that is read while it is sent, so that its size costs no memory."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from types import TracebackType
from typing import BinaryIO

from urllib3.filepost import encode_multipart_formdata

from .._models import Request

BLOCK_BYTES = 64 * 1024
"""64 KiB: how much of a file is read and sent at a time."""


class RequestBody:
    """The body of a request and its media type. As a context manager, it closes the file."""

    def __init__(self, content: bytes | MultipartStream, content_type: str) -> None:
        """Store a body in memory, or the form around a file."""
        self.content = content
        self.content_type = content_type

    @property
    def is_read(self) -> bool:
        """True if all of the body was read, and so may have been sent."""
        return not isinstance(self.content, MultipartStream) or self.content.is_read

    def __enter__(self) -> RequestBody:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(self.content, MultipartStream):
            self.content.close()


class MultipartStream:
    """A `multipart/form-data` body (RFC 7578) whose last part is a file, with the methods that requests streams by."""

    def __init__(self, head: bytes, file: BinaryIO, tail: bytes) -> None:
        """Create a stream around a file that is at its start."""
        self.is_read = False
        self._file = file
        self._head = head
        self._tail = tail
        self._rest = b""
        self._left = os.fstat(file.fileno()).st_size
        self._size = len(head) + self._left + len(tail)
        self._pieces = self._all_pieces()

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[bytes]:
        return iter(lambda: self.read(BLOCK_BYTES), b"")

    def read(self, size: int = -1) -> bytes:
        """Read the next bytes: at most `size`, or all that are left if `size` is negative."""
        if size < 0:
            return b"".join(self)
        while not self._rest:
            piece = next(self._pieces, None)
            if piece is None:
                return b""
            self._rest = piece
        piece, self._rest = self._rest[:size], self._rest[size:]
        return piece

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _all_pieces(self) -> Iterator[bytes]:
        yield self._head
        while self._left > 0 and (block := self._file.read(min(BLOCK_BYTES, self._left))):
            self._left -= len(block)  # no more than the Content-Length, though the file may grow meanwhile
            yield block
        self.is_read = True
        yield self._tail


NO_BODY = RequestBody(b"", "")
"""The body of a request without one, such as a status check."""


def encode_body(request: Request) -> RequestBody:
    """Return the body of a request.

    Raises:
        OSError: The file cannot be read.
    """
    if request.json is not None:
        return RequestBody(json.dumps(request.json, allow_nan=False).encode(), "application/json")
    if request.form is None and request.file is None:
        return NO_BODY
    fields: list[tuple[str, str | tuple[str, bytes]]] = list(request.form or ())
    if request.file is None:
        return RequestBody(*encode_multipart_formdata(fields))
    path = request.file.path
    name = os.fsencode(path.name).decode("utf-8", "replace")  # a file name may be any bytes
    encoded, content_type = encode_multipart_formdata([*fields, (request.file.field, (name, b""))])
    ending = f"\r\n--{content_type.partition('boundary=')[2]}--\r\n".encode()
    return RequestBody(MultipartStream(encoded.removesuffix(ending), path.open("rb"), ending), content_type)
