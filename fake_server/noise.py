"""The bytes of a result file: a function of its name and of their offset, computed when they are sent."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace

BLOCK_BYTES = 65536

START = b"\0\0\0\x18ftypmp42"
"""How every file begins, as an MP4 does. One random file in a thousand begins like markup, which no client takes for a video."""


@dataclass(frozen=True)
class Noise:
    """A stretch of the file of this name, from one offset to before another. No stretch looks like another."""

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
        """All of it, never more than `BLOCK_BYTES` at once."""
        for number in range(self.start // BLOCK_BYTES, -(-self.stop // BLOCK_BYTES)):
            begin = number * BLOCK_BYTES
            block = hashlib.shake_128(f"{self.name}/{number}".encode()).digest(BLOCK_BYTES)
            if not begin:
                block = START + block[len(START) :]
            yield block[max(self.start - begin, 0) : self.stop - begin]
