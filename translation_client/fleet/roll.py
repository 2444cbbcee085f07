"""The jobs that a batch waits for just now, and the results that nobody took yet."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Collection, Sequence

from ..clock import SharedClock, Stopwatch
from ..errors import RequestFailed, TranslationClientError
from ..models import Job
from ..policy import GRACE_FRACTION, GRACE_SECONDS
from ..tools import Tools
from ..waiting import Wait
from .agenda import Agenda
from .budget import Budget, Reservations
from .bulk import BulkAvailability
from .members import Member
from .results import Results
from .signals import Signals
from .terms import Outcome, Source, Terms, require_id, text_of

RESERVE = 0.1
"""10 %: how much slower than `checks_per_second` turns are reserved, as the rate limiter counts requests when they arrive."""


class Roll:
    """The jobs of a batch, from when they are taken in until their outcome is handed out."""

    def __init__(self, tools: Tools, terms: Terms, source: Source) -> None:
        """Begin with none."""
        self._tools = tools
        self._terms = terms
        self._source = source
        self._agenda: Agenda[Member] = Agenda()
        self._budget = Budget(terms.checks_per_second)
        self._last_checks = Reservations(self._budget.seconds_for(1 + RESERVE))
        self._bulk = tools.service.bulk
        self._availability = BulkAvailability()
        self._members: dict[str, Member] = {}
        self._results = Results(max(terms.max_in_flight, len(source) if isinstance(source, Collection) else 0))
        self._clock = SharedClock(lambda: asyncio.get_running_loop().time())
        self._signals = Signals(self._clock)
        self._is_cancelled = False

    def _moment(self) -> float:
        """Return when the next request may be sent; `math.inf` if no job is waiting for one."""
        due = self._agenda.next_due
        return due if due == math.inf else max(due, self._budget.moment(self._urgent_at))

    def _urgent_at(self) -> float:
        """Return the moment from which no pause holds anybody up: later, not each job would get its last check."""
        requests: float = len(self._members)
        if self._bulk is not None and self._has_bulk_answers:
            requests /= self._bulk.max_ids
        return self._clock.now() + self._spare_seconds(requests)

    @property
    def _has_bulk_answers(self) -> bool:
        """True while jobs share bulk requests."""
        return self._bulk is not None and not self._availability.is_suspended

    def _spare_seconds(self, requests: float) -> float:
        """Return what so many requests at the full rate leave of the time until the earliest last check; may be negative.

        Args:
            requests: How many are made; one for each job, if none of them shares a bulk request.
        """
        first = self._agenda.first_to_end
        if first is None:
            return math.inf
        return first.wait.seconds_until_last_check - self._budget.seconds_for(requests)

    def _join(self, job: Job | str) -> None:
        position = self._results.join()
        try:
            job_id = require_id(job)
        except (TypeError, ValueError) as error:  # of a source; the others go on
            message = self._tools.secrets.shown_id(f"nothing was asked: {error}")
            given = job.id if isinstance(job, Job) else job
            named = None if given is None else text_of(given)
            self._hand_out(position, RequestFailed(message, job_id=named, may_have_been_accepted=False))
            return
        known = self._members.get(job_id)
        if known is not None:
            known.positions.append(position)
        elif (outcome := self._results.known(job_id)) is not None:
            self._hand_out(position, outcome)
        else:
            self._begin(job, job_id, position)

    def _begin(self, job: Job | str, job_id: str, position: int) -> None:
        watch = Stopwatch(clock=self._clock)
        wait = Wait(self._tools, job, self._terms.timeout, None, watch, self._terms.said)
        try:
            member = Member(wait, position, self._clock.now())
        except TranslationClientError as error:  # the client is closed
            self._hand_out(position, error)
            return
        self._members[job_id] = member
        member.due = member.planned = self._clock.now() + self._until_check(member, None, member.pause)
        self._agenda.add(member)
        if self._is_cancelled:
            self._end(member, wait.cancelled())
        self._signals.rouse(self._moment())

    def _until_check(self, member: Member, job: Job | None, pause: float) -> float:
        """Return the seconds until the next check of a job.

        That is its pause. But the rate limit may be too low for all the last checks that are due at the same time. Then some
        jobs have a check before that, once, and their last check gives way to those of the others.

        Args:
            member: The job.
            job: The latest answer, which is pending; None if there is none yet.
            pause: The seconds until its next check by the rules of its wait.
        """
        if not member.is_before_last_check():
            return pause
        delay = min(GRACE_SECONDS, GRACE_FRACTION * self._terms.timeout) / 2  # so much time is left for late turns
        if member.was_early:
            return pause if self._has_bulk_answers else pause + delay
        now = self._clock.now()
        moment = self._last_checks.reserve(now, now + pause + delay)
        return pause if moment is None else member.check_early(job, moment - now)

    def _is_open(self, member: Member) -> bool:
        """Return whether a job has not ended meanwhile."""
        return self._members.get(str(member.wait.job_id)) is member

    def _put_back(self, members: Sequence[Member]) -> None:
        """Have jobs checked again, in the turn that they had."""
        for member in members:
            if self._is_open(member):
                self._agenda.again(member, member.planned)
        self._signals.rouse(self._moment())

    def _again(self, member: Member, pause: float) -> None:
        if self._is_open(member):
            self._agenda.again(member, self._clock.now() + pause)
            self._signals.rouse(self._moment())

    def _end(self, member: Member, outcome: Outcome) -> None:
        if not self._is_open(member):
            return
        job_id = str(member.wait.job_id)
        del self._members[job_id]
        self._agenda.remove(member)
        member.wait.learn(patience=0.0)  # whoever else writes to the history holds up no other job
        self._results.remember(job_id, outcome)
        for position in member.positions:
            self._hand_out(position, outcome)

    def _hand_out(self, position: int, outcome: Outcome) -> None:
        self._results.ready.append((position, outcome))
        self._signals.news.set()
