"""Which jobs are waited for just now, and for how many who asked? Each id is taken in once."""

from __future__ import annotations

from ..faults import Fault
from ..models import Job
from ..polling import Repetition
from ..services.extras import Bulk
from ..waiting import Wait
from .agenda import Agenda
from .budget import Ticket

NEARLY_DUE = 0.25
"""By what part of its pause a job may be asked about earlier, where that costs no request of its own."""


class Member:
    """One job of a fleet: its wait, and where it stands. Small: there are thousands.

    Attributes:
        wait: Its wait, which has begun.
        due: When it is to be asked about; `math.inf` while it is.
        ends_at: When its time is up.
        planned: When it was due before it is asked about.
        ends_itself: Whether a call of its own is under way, which hears of the end of its time.
        asks_alone: Whether it is asked about by a question of its own next.
        ticket: What its call was paid with.
        positions: Where in the order of the source it was asked for; more than once where its id came again.
    """

    __slots__ = (
        "_faults",
        "_pending",
        "asks_alone",
        "due",
        "ends_at",
        "ends_itself",
        "pause",
        "planned",
        "positions",
        "ticket",
        "wait",
    )

    def __init__(self, wait: Wait, position: int, now: float) -> None:
        self.wait = wait
        self.positions = [position]
        self.asks_alone = self.ends_itself = False
        self.ticket: Ticket | None = None
        self.pause = wait.first_pause()
        self.due = self.planned = now + self.pause
        self.ends_at = wait.deadline.at
        self._pending = Repetition()
        self._faults: Repetition | None = None

    def pause_after(self, job: Job) -> float | None:
        """Say how long to leave it alone after an answer; None where that was final.

        Raises:
            TranslationClientError: A limit is reached.
        """
        self._faults = None
        return self._kept(self._pending.pause_after(job, self.wait.rules()))

    def pause_after_fault(self, fault: Fault) -> float:
        """The same after a call that failed."""
        self._faults = self._faults or Repetition()
        return self._kept(self._faults.pause_after_fault(fault, self.wait.fault_rules())) or 0.0

    def is_nearly_due(self, now: float) -> bool:
        """Whether an answer now is as good as one a little later."""
        return self.due - now <= NEARLY_DUE * self.pause

    def _kept(self, pause: float | None) -> float | None:
        self.pause = pause or 0.0
        return pause


def along(agenda: Agenda[Member], first: Member, present: float, bulk: Bulk | None) -> list[Member]:
    """Take those off the agenda that are due too, or nearly, as far as one question can be about all of them."""
    members: list[Member] = []
    if bulk is None or first.asks_alone:
        return members
    while len(members) < bulk.max_ids - 1:
        entry = agenda.first
        if entry is None or entry.asks_alone or not entry.is_nearly_due(present):
            break
        agenda.pop_due(entry.due)
        members.append(entry)
    return members
