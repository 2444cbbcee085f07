"""What came of whom, and how many are still open?"""

from __future__ import annotations

from collections import OrderedDict, deque

from .terms import Outcome


class Results:
    """The outcomes of a fleet, with the positions that their jobs had in the source.

    Attributes:
        ready: Those that nobody took yet.
        joined: How many jobs were read from the source.
    """

    def __init__(self, most_known: float) -> None:
        """Begin with none.

        Args:
            most_known: How many of the jobs that ended are known by their ids, the latest, should one come again.
        """
        self.ready: deque[tuple[int, Outcome]] = deque()
        self.joined = 0
        self._taken = 0
        self._most_known = most_known
        self._by_id: OrderedDict[str, Outcome] = OrderedDict()

    @property
    def open(self) -> int:
        """How many were read, and their outcome was not taken yet."""
        return self.joined - self._taken

    def join(self) -> int:
        """Count one more; its position."""
        self.joined += 1
        return self.joined - 1

    def take(self) -> tuple[int, Outcome]:
        """Take the first that is ready."""
        self._taken += 1
        return self.ready.popleft()

    def remember(self, job_id: str, outcome: Outcome) -> None:
        """Keep what came of a job."""
        self._by_id[job_id] = outcome
        while len(self._by_id) > self._most_known:
            self._by_id.popitem(last=False)

    def known(self, job_id: str) -> Outcome | None:
        """What came of a job, if it ended."""
        return self._by_id.get(job_id)
