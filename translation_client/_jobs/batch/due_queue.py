"""The jobs of a batch by when they are due. The most overdue one is found in logarithmic time."""

from __future__ import annotations

import math
from collections.abc import Iterator
from heapq import heapify, heappop, heappush
from typing import Generic, Protocol, TypeVar

MOST_STALE = 1024
"""Entries that count no more, and are kept until they come up; beyond this, and more than half, they are thrown away."""


class Entry(Protocol):
    """What is on an agenda.

    Attributes:
        due: When it is to be asked about, in the seconds of `clock.now`; `math.inf` while it is being asked about.
        ends_at: When its time is up; `math.inf` for never.
        planned: When it was due before it is asked about.
        ends_itself: Whether a call of its own hears of the end of its time.
    """

    due: float
    ends_at: float
    planned: float
    ends_itself: bool


E = TypeVar("E", bound=Entry)


class DueQueue(Generic[E]):
    """Entries by when they are due, and by when their time is up."""

    def __init__(self) -> None:
        """Begin with none."""
        self._due: list[tuple[float, int, E]] = []
        self._ends: list[tuple[float, int, E]] = []
        self._count = 0
        self._entries = 0

    def __len__(self) -> int:
        return self._entries

    def add(self, entry: E) -> None:
        """Take in an entry, by its `due` and its `ends_at`."""
        self._entries += 1
        self._count += 1
        heappush(self._due, (entry.due, self._count, entry))
        if entry.ends_at < math.inf:
            heappush(self._ends, (entry.ends_at, self._count, entry))

    def again(self, entry: E, due: float) -> None:
        """Have an entry asked about again at some moment."""
        entry.due = due
        entry.ends_itself = False
        self._count += 1
        heappush(self._due, (due, self._count, entry))

    def remove(self, entry: E) -> None:
        """Let go of an entry for good."""
        self._entries -= 1
        entry.due = entry.ends_at = math.inf
        if len(self._ends) > MOST_STALE and len(self._ends) > 2 * self._entries:
            self._ends = [one for one in self._ends if one[0] == one[2].ends_at]
            heapify(self._ends)

    @property
    def first_to_end(self) -> E | None:
        """The one whose time is up next; None if there is none."""
        return self._ends[0][2] if self.next_end < math.inf else None

    @property
    def first(self) -> E | None:
        """The one that is due next; None for none."""
        return self._due[0][2] if self.next_due < math.inf else None

    @property
    def next_due(self) -> float:
        """When the next one is due; `math.inf` for none."""
        heap = self._due
        while heap and heap[0][0] != heap[0][2].due:
            heappop(heap)
        return heap[0][0] if heap else math.inf

    @property
    def next_end(self) -> float:
        """When the time of the next one is up; `math.inf` for none."""
        heap = self._ends
        while heap and heap[0][0] != heap[0][2].ends_at:
            heappop(heap)
        return heap[0][0] if heap else math.inf

    def pop_due(self, moment: float) -> E | None:
        """Take the most overdue one; None where none is due at that moment. It is being asked about from here on."""
        if self.next_due > moment:
            return None
        entry = heappop(self._due)[2]
        entry.planned, entry.due = entry.due, math.inf
        return entry

    def pop_ended(self, moment: float) -> Iterator[E]:
        """Take those whose time is up at that moment, but for those that end themselves."""
        while self.next_end <= moment:
            entry = heappop(self._ends)[2]
            if not entry.ends_itself:
                yield entry
