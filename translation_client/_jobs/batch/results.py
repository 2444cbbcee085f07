"""The results of a batch: those that are ready, and the latest by the keys of their jobs."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Hashable

from .options import JobResult


class Results:
    """The results of a batch, with the positions of their jobs in the source.

    Attributes:
        done: The results that were not taken yet.
        accepted: How many jobs were read from the source.
    """

    def __init__(self, max_known: float) -> None:
        """Create an empty collection.

        Args:
            max_known: How many of the latest results are kept by `wait_key`, in case the source yields a job again.
        """
        self.done: deque[tuple[int, JobResult]] = deque()
        self.accepted = 0
        self._taken = 0
        self._max_known = max_known
        self._by_key: OrderedDict[Hashable, JobResult] = OrderedDict()

    @property
    def in_flight(self) -> int:
        """The number of jobs that were read, and whose results were not taken yet."""
        return self.accepted - self._taken

    def accept(self) -> int:
        """Count a job, and return its position."""
        self.accepted += 1
        return self.accepted - 1

    def take(self) -> tuple[int, JobResult]:
        """Remove and return the first result that is ready."""
        self._taken += 1
        return self.done.popleft()

    def store(self, key: Hashable, result: JobResult) -> None:
        """Store the result of a job by its `wait_key`."""
        self._by_key[key] = result
        while len(self._by_key) > self._max_known:
            self._by_key.popitem(last=False)

    def get(self, key: Hashable) -> JobResult | None:
        """Return the result of a job, or None if none is stored."""
        return self._by_key.get(key)
