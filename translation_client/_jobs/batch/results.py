"""The results of a batch: those that are ready, and the latest by their ids."""

from __future__ import annotations

from collections import OrderedDict, deque

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
            max_known: How many of the latest results are kept by id, in case the source yields an id again.
        """
        self.done: deque[tuple[int, JobResult]] = deque()
        self.accepted = 0
        self._taken = 0
        self._max_known = max_known
        self._by_id: OrderedDict[str, JobResult] = OrderedDict()

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

    def remember(self, job_id: str, result: JobResult) -> None:
        """Store the result of a job by its id."""
        self._by_id[job_id] = result
        while len(self._by_id) > self._max_known:
            self._by_id.popitem(last=False)

    def known(self, job_id: str) -> JobResult | None:
        """Return the result of a job, or None if none is stored."""
        return self._by_id.get(job_id)
