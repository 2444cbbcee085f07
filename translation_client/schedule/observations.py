"""What is known of how long a past job took? Seldom the moment itself: it was pending when asked, and then it was not."""

from __future__ import annotations

import math
from typing import NamedTuple

from .. import arguments
from .brackets import Bracket

GOLDEN_RATIO = (math.sqrt(5) - 1) / 2

SHORTEST_SECONDS = 1e-3
"""What is shorter counts as this: laws are of logarithms."""

LONGEST_SECONDS = 1e9
"""Thirty years. What is longer is a mistake of units."""


class Observation(NamedTuple):
    """One past job, in seconds from its start.

    Attributes:
        pending_until: It was pending then; 0 where that was never seen.
        finished_by: It was finished then, or None: nobody waited for the end. The same as `pending_until` where the
            moment is known exactly.
        entered: It was first looked at then, and would not be known of had it been finished; 0 for from the start.
        key: What kind of job it was.
        video_seconds: The length of the video.
        expected_seconds: How long the service said that it would take.
        number: Which one it is in its history: jobs that are known alike are told apart by it.
        began_at: When it began, in seconds of the Unix epoch: two waits for one job are recognised by it.
    """

    pending_until: float
    finished_by: float | None
    entered: float = 0.0
    key: str | None = None
    video_seconds: float | None = None
    expected_seconds: float | None = None
    number: int = 0
    began_at: float = 0.0

    def bracket(self, offset: float = 0.0) -> Bracket:
        """The same on the scale of logarithms, with an offset taken out."""
        most = None if self.finished_by is None else _log_of(self.finished_by) - offset
        least = _log_of(self.pending_until) - offset if self.pending_until > 0 or most is None else -math.inf
        if self.finished_by == self.pending_until:
            least = least if most is None else most
        entry = math.log(self.entered) - offset if self.entered > 0 else -math.inf
        share = (self.number * GOLDEN_RATIO + 0.5) % 1.0
        return Bracket(self.key, entry, least if most is None else min(least, most), most, share)


def exactly(seconds: float, number: int = 0) -> Observation:
    """A job of which it is known how long it took.

    Raises:
        TypeError: Not a number.
        ValueError: Negative, NaN, infinite, or more than `LONGEST_SECONDS`.
    """
    took = arguments.duration("durations", seconds, LONGEST_SECONDS)
    return Observation(took, took, number=number)


def _log_of(seconds: float) -> float:
    return math.log(max(seconds, SHORTEST_SECONDS))
