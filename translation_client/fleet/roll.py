"""Who is waited for just now, and what came of whom?"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from ..clock import now
from ..errors import RequestFailed, TranslationClientError
from ..models import Job
from ..tools import Tools
from ..waiting import Wait
from .agenda import Agenda
from .budget import Budget
from .members import Member
from .results import Results
from .signals import Signals
from .terms import Outcome, Source, Terms, require_id


class Roll:
    """The jobs of a fleet, from when they are taken in until their outcome is handed out."""

    def __init__(self, tools: Tools, terms: Terms, source: Source) -> None:
        """Begin with none."""
        self._tools = tools
        self._terms = terms
        self._source = source
        self._agenda: Agenda[Member] = Agenda()
        self._budget = Budget(terms.checks_per_second)
        self._members: dict[str, Member] = {}
        self._results = Results(max(terms.max_in_flight, len(source) if isinstance(source, Collection) else 0))
        self._signals = Signals()
        self._is_cancelled = False

    def _moment(self) -> float:
        return max(self._agenda.next_due, self._budget.moment())

    def _join(self, job: Job | str) -> None:
        position = self._results.join()
        try:
            job_id = require_id(job)
        except (TypeError, ValueError) as error:  # of a source; the others go on
            message = self._tools.secrets.shown_id(f"nothing was asked: {error}")
            named = job.id if isinstance(job, Job) else str(job)
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
        wait = Wait(self._tools, job, self._terms.timeout, None, said=self._terms.said)
        try:
            member = Member(wait, position, now())
        except TranslationClientError as error:  # the client is closed
            self._hand_out(position, error)
            return
        self._members[job_id] = member
        self._agenda.add(member)
        if self._is_cancelled:
            self._end(member, wait.cancelled())
        self._signals.rouse(self._moment())

    def _still(self, members: Sequence[Member]) -> list[Member]:
        """Those that were not ended meanwhile."""
        return [member for member in members if str(member.wait.job_id) in self._members]

    def _put_back(self, members: Sequence[Member]) -> None:
        """Have them asked about again, in the turn that they had."""
        for member in self._still(members):
            self._agenda.again(member, member.planned)
        self._signals.rouse(self._moment())

    def _again(self, member: Member, pause: float) -> None:
        if str(member.wait.job_id) in self._members:  # else it was ended meanwhile
            self._agenda.again(member, now() + pause)
            self._signals.rouse(self._moment())

    def _end(self, member: Member, outcome: Outcome) -> None:
        job_id = str(member.wait.job_id)
        if self._members.pop(job_id, None) is None:
            return
        self._agenda.remove(member)
        member.wait.learn(patience=0.0)  # whoever else writes to the history holds up no other job
        self._results.remember(job_id, outcome)
        for position in member.positions:
            self._hand_out(position, outcome)

    def _hand_out(self, position: int, outcome: Outcome) -> None:
        self._results.ready.append((position, outcome))
        self._signals.news.set()
