"""The bytes of a result file: a function of its name and their offset, computed as they are sent."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace

BLOCK_BYTES = 65536

START = b"\0\0\0\x18ftypmp42"
"""The first bytes of every file, as in an MP4: one random file in a thousand starts like markup, and is rejected."""


@dataclass(frozen=True)
class Noise:
    """A part of the file with this name, from one offset to another. No two parts are alike."""

    name: str
    start: int
    stop: int

    def __len__(self) -> int:
        return self.stop - self.start

    def __getitem__(self, part: slice) -> Noise:
        start, stop, _ = part.indices(len(self))
        return replace(self, start=self.start + start, stop=self.start + max(start, stop))

    def __bytes__(self) -> bytes:
        return b"".join(self.blocks())

    def blocks(self) -> Iterator[bytes]:
        """Yield the bytes in blocks of at most `BLOCK_BYTES`."""
        for number in range(self.start // BLOCK_BYTES, -(-self.stop // BLOCK_BYTES)):
            begin = number * BLOCK_BYTES
            block = hashlib.shake_128(f"{self.name}/{number}".encode()).digest(BLOCK_BYTES)
            if not begin:
                block = START + block[len(START) :]
            yield block[max(self.start - begin, 0) : self.stop - begin]
