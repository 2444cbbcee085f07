"""The bytes of a result file: a function of its name and the offset, computed when they are sent."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace

BLOCK_BYTES = 65536

MP4_HEADER = b"\0\0\0\x18ftypmp42"
"""The first bytes of every file, as in an MP4. One random file in a thousand would begin like markup, which clients
reject.
"""


@dataclass(frozen=True)
class MediaBytes:
    """The bytes of the file `name` from `start` to `stop`. No two parts of a file are equal."""

    name: str
    start: int
    stop: int

    def __len__(self) -> int:
        return self.stop - self.start

    def __getitem__(self, part: slice) -> MediaBytes:
        start, stop, _ = part.indices(len(self))
        return replace(self, start=self.start + start, stop=self.start + max(start, stop))

    def __bytes__(self) -> bytes:
        return b"".join(self.blocks())

    def blocks(self) -> Iterator[bytes]:
        """Yield the bytes in blocks of at most `BLOCK_BYTES`."""
        for number in range(self.start // BLOCK_BYTES, -(-self.stop // BLOCK_BYTES)):
            offset = number * BLOCK_BYTES
            block = hashlib.shake_128(f"{self.name}/{number}".encode()).digest(BLOCK_BYTES)
            if offset == 0:
                block = MP4_HEADER + block[len(MP4_HEADER) :]
            yield block[max(self.start - offset, 0) : self.stop - offset]
