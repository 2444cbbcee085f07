"""When did a job begin and end, by the clock here?"""

from __future__ import annotations

import time

from .hints import answered_at
from .messages import Answer
from .models import Job

SAME_CLOCK_SECONDS = 2.0
"""A server's clock that is less off than this is not off: what it says is in whole seconds, and arrives later."""


def took(answered: Job) -> float | None:
    """How long a job took by the service's own clock, where it says when it began and when it ended."""
    if answered.finished_at is None or answered.submitted_at is None or not answered.status.is_final:
        return None
    return answered.finished_at - answered.submitted_at


def by_our_clock(moment: float | None, answer: Answer) -> float | None:
    """Correct a moment by how far the server's clock is off, as its `Date` shows."""
    if moment is None:
        return None
    off = time.time() - answered_at(answer.headers)
    return moment if abs(off) < SAME_CLOCK_SECONDS else moment + off
