"""What is in the file of a result? Bytes that are a function of its name and of where they lie, made when they are sent."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace

BLOCK_BYTES = 65536


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
            yield block[max(self.start - begin, 0) : self.stop - begin]
