"""A priority queue of jobs by due time and by deadline, which finds the next one in logarithmic time."""

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
        call_in_flight: True while a request of its own is in flight, which ends at the deadline by itself.
        throttled: How many times in a row the server refused its request because there were too many.
    """

    due: float
    ends_at: float
    planned: float
    call_in_flight: bool
    throttled: int


E = TypeVar("E", bound=Entry)


class DueQueue(Generic[E]):
    """Entries by due time, and by deadline. Heap items whose time has changed are stale, and are skipped.

    Of the entries that are due, those that were throttled come first, the most often first. At a server that allows few
    requests, the same job would otherwise be refused again and again by chance.
    """

    def __init__(self) -> None:
        """Create an empty queue."""
        self._due: list[tuple[float, int, E]] = []
        self._throttled: list[tuple[float, int, E]] = []
        self._retries: list[tuple[int, int, E]] = []  # throttled entries that are due
        self._deadlines: list[tuple[float, int, E]] = []
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
            heappush(self._deadlines, (entry.ends_at, self._count, entry))

    def reschedule(self, entry: E, due: float) -> None:
        """Put back an entry that was popped, to be checked at `due`."""
        entry.due = due
        entry.call_in_flight = False
        self._count += 1
        heappush(self._throttled if entry.throttled else self._due, (due, self._count, entry))

    def remove(self, entry: E) -> None:
        """Remove an entry for good."""
        self._entries -= 1
        entry.due = entry.ends_at = math.inf
        if len(self._deadlines) > MOST_STALE and len(self._deadlines) > 2 * self._entries:
            self._deadlines = [item for item in self._deadlines if item[0] == item[2].ends_at]
            heapify(self._deadlines)

    @property
    def first_to_expire(self) -> E | None:
        """The entry with the earliest deadline, or None if no entry has one."""
        return self._deadlines[0][2] if self.next_deadline < math.inf else None

    @property
    def first(self) -> E | None:
        """The entry that is due next, or None if no entry is waiting. Throttled entries do not count."""
        return self._due[0][2] if _next_of(self._due) < math.inf else None

    @property
    def next_due(self) -> float:
        """When an entry is due next, or `math.inf` if no entry is waiting. In the past if one is due."""
        while self._retries and self._retries[0][2].due == math.inf:
            heappop(self._retries)
        if self._retries:
            return self._retries[0][2].due
        return min(_next_of(self._due), _next_of(self._throttled))

    @property
    def next_deadline(self) -> float:
        """The earliest deadline, or `math.inf` if no entry has one."""
        heap = self._deadlines
        while heap and heap[0][0] != heap[0][2].ends_at:
            heappop(heap)
        return heap[0][0] if heap else math.inf

    def pop_due(self, now: float) -> E | None:
        """Remove and return the next entry, or None if none is due at `now`. Its check starts now.

        It is the one that was throttled most often, or else the most overdue one.
        """
        while (due := _next_of(self._throttled)) <= now and due < math.inf:
            _, number, entry = heappop(self._throttled)
            heappush(self._retries, (-entry.throttled, number, entry))
        if self.next_due > now:
            return None
        entry = heappop(self._retries)[2] if self._retries else heappop(self._due)[2]
        entry.planned, entry.due = entry.due, math.inf
        return entry

    def pop_first(self) -> E:
        """Remove and return the entry that `first` has just returned. Its check starts now."""
        entry = heappop(self._due)[2]
        entry.planned, entry.due = entry.due, math.inf
        return entry

    def pop_expired(self, now: float) -> Iterator[E]:
        """Remove the deadlines up to `now`, and yield their entries, except those with `call_in_flight`."""
        while self.next_deadline <= now:
            entry = heappop(self._deadlines)[2]
            if not entry.call_in_flight:
                yield entry


def _next_of(heap: list[tuple[float, int, E]]) -> float:
    """Return the earliest due time in a heap, or `math.inf`. Stale items before it are dropped."""
    while heap and heap[0][0] != heap[0][2].due:
        heappop(heap)
    return heap[0][0] if heap else math.inf
