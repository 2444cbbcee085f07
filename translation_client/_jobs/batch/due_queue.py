"""A priority queue of jobs by due time and by deadline, which finds the most overdue one in logarithmic time."""

from __future__ import annotations

import math
from collections.abc import Iterator
from heapq import heapify, heappop, heappush
from typing import Generic, Protocol, TypeVar

MIN_REBUILD_LENGTH = 1024
"""1024 entries: a longer heap of deadlines is rebuilt once more than half of its entries are stale."""


class Entry(Protocol):
    """An entry of a `DueQueue`. Times are seconds of the clock of the batch.

    Attributes:
        due_at: When it is to be checked; `math.inf` during a check.
        ends_at: Its deadline; `math.inf` for none.
        was_due_at: When the check in progress was due.
        call_in_flight: True while a request of its own is in flight, which ends at the deadline by itself.
    """

    due_at: float
    ends_at: float
    was_due_at: float
    call_in_flight: bool


E = TypeVar("E", bound=Entry)


class DueQueue(Generic[E]):
    """Entries by due time, and by deadline. Heap items whose time has changed are stale, and are skipped."""

    def __init__(self) -> None:
        """Create an empty queue."""
        self._due: list[tuple[float, int, E]] = []
        self._deadlines: list[tuple[float, int, E]] = []
        self._sequence = 0
        self._length = 0

    def __len__(self) -> int:
        return self._length

    def add(self, entry: E) -> None:
        """Add an entry by its `due_at` and its `ends_at`."""
        self._length += 1
        self._sequence += 1
        heappush(self._due, (entry.due_at, self._sequence, entry))
        if entry.ends_at < math.inf:
            heappush(self._deadlines, (entry.ends_at, self._sequence, entry))

    def reschedule(self, entry: E, due_at: float) -> None:
        """Put back an entry that was popped, to be checked at `due_at`."""
        entry.due_at = due_at
        entry.call_in_flight = False
        self._sequence += 1
        heappush(self._due, (due_at, self._sequence, entry))

    def remove(self, entry: E) -> None:
        """Remove an entry for good."""
        self._length -= 1
        entry.due_at = entry.ends_at = math.inf
        if len(self._deadlines) > MIN_REBUILD_LENGTH and len(self._deadlines) > 2 * self._length:
            self._deadlines = [item for item in self._deadlines if item[0] == item[2].ends_at]
            heapify(self._deadlines)

    @property
    def first_to_expire(self) -> E | None:
        """The entry with the earliest deadline, or None if no entry has one. Drops stale items."""
        return self._deadlines[0][2] if self.next_deadline < math.inf else None

    @property
    def first(self) -> E | None:
        """The entry that is due next, or None if no entry is waiting. Drops stale items."""
        return self._due[0][2] if self.next_due < math.inf else None

    @property
    def next_due(self) -> float:
        """The time at which the next entry is due, or `math.inf` if no entry is waiting. Drops stale items."""
        heap = self._due
        while heap and heap[0][0] != heap[0][2].due_at:
            heappop(heap)
        return heap[0][0] if heap else math.inf

    @property
    def next_deadline(self) -> float:
        """The earliest deadline, or `math.inf` if no entry has one. Drops stale items."""
        heap = self._deadlines
        while heap and heap[0][0] != heap[0][2].ends_at:
            heappop(heap)
        return heap[0][0] if heap else math.inf

    def pop_due(self, now: float) -> E | None:
        """Remove and return the most overdue entry, or None if none is due at `now`. Its check starts now."""
        if self.next_due > now:
            return None
        entry = heappop(self._due)[2]
        entry.was_due_at, entry.due_at = entry.due_at, math.inf
        return entry

    def pop_expired(self, now: float) -> Iterator[E]:
        """Remove the deadlines up to `now`, and yield their entries, except those with `call_in_flight`."""
        while self.next_deadline <= now:
            entry = heappop(self._deadlines)[2]
            if not entry.call_in_flight:
                yield entry
