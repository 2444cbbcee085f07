"""A priority queue of jobs by due time and by deadline, which finds the most overdue one in logarithmic time."""

from __future__ import annotations

import math
from collections.abc import Iterator
from heapq import heapify, heappop, heappush
from typing import Generic, Protocol, TypeVar

MOST_STALE = 1024
"""1024 entries: a longer heap of deadlines is rebuilt once more than half of its entries are stale."""


class Entry(Protocol):
    """An entry of a `DueQueue`. Times are seconds of the clock of the batch.

    Attributes:
        due: When it is to be checked; `math.inf` during a check.
        ends_at: Its deadline; `math.inf` for none.
        planned: When the check in progress was due.
        ends_itself: True while it has a request of its own, which ends at the deadline.
    """

    due: float
    ends_at: float
    planned: float
    ends_itself: bool


E = TypeVar("E", bound=Entry)


class DueQueue(Generic[E]):
    """Entries by due time, and by deadline. Heap items whose time has changed are stale, and are skipped."""

    def __init__(self) -> None:
        """Create an empty queue."""
        self._due: list[tuple[float, int, E]] = []
        self._ends: list[tuple[float, int, E]] = []
        self._count = 0
        self._entries = 0

    def __len__(self) -> int:
        return self._entries

    def add(self, entry: E) -> None:
        """Add an entry by its `due` and its `ends_at`."""
        self._entries += 1
        self._count += 1
        heappush(self._due, (entry.due, self._count, entry))
        if entry.ends_at < math.inf:
            heappush(self._ends, (entry.ends_at, self._count, entry))

    def again(self, entry: E, due: float) -> None:
        """Put back an entry that was popped, to be checked at `due`."""
        entry.due = due
        entry.ends_itself = False
        self._count += 1
        heappush(self._due, (due, self._count, entry))

    def remove(self, entry: E) -> None:
        """Remove an entry for good."""
        self._entries -= 1
        entry.due = entry.ends_at = math.inf
        if len(self._ends) > MOST_STALE and len(self._ends) > 2 * self._entries:
            self._ends = [one for one in self._ends if one[0] == one[2].ends_at]
            heapify(self._ends)

    @property
    def first_to_end(self) -> E | None:
        """The entry with the earliest deadline, or None if no entry has one."""
        return self._ends[0][2] if self.next_end < math.inf else None

    @property
    def first(self) -> E | None:
        """The entry that is due next, or None if no entry is waiting."""
        return self._due[0][2] if self.next_due < math.inf else None

    @property
    def next_due(self) -> float:
        """When the next entry is due, or `math.inf` if no entry is waiting."""
        heap = self._due
        while heap and heap[0][0] != heap[0][2].due:
            heappop(heap)
        return heap[0][0] if heap else math.inf

    @property
    def next_end(self) -> float:
        """The earliest deadline, or `math.inf` if no entry has one."""
        heap = self._ends
        while heap and heap[0][0] != heap[0][2].ends_at:
            heappop(heap)
        return heap[0][0] if heap else math.inf

    def pop_due(self, moment: float) -> E | None:
        """Remove and return the most overdue entry, or None if none is due at `moment`. Its check starts now."""
        if self.next_due > moment:
            return None
        entry = heappop(self._due)[2]
        entry.planned, entry.due = entry.due, math.inf
        return entry

    def pop_ended(self, moment: float) -> Iterator[E]:
        """Remove the deadlines up to `moment`, and yield their entries, except those with `ends_itself`."""
        while self.next_end <= moment:
            entry = heappop(self._ends)[2]
            if not entry.ends_itself:
                yield entry
