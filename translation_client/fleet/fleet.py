"""How does a fleet go? Some workers take turns at the most overdue job, within one budget, and hand out what ends."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Awaitable, Sequence

from ..clock import now
from ..errors import TranslationClientError
from ..faults import Fault
from ..models import Job
from ..tools import Tools
from ..transport import CallCancelled
from ..waiting import Wait
from . import bulk
from .agenda import Agenda
from .budget import Budget
from .intake import each_of
from .members import Member
from .signals import Signals
from .terms import Outcome, Source, Terms, require_id

WORKERS = 100
"""Calls at once at the most: as many as there are connections."""

LOOK_SECONDS = 0.05
"""How soon a fleet sees that its client was closed, or that the caller's event was set."""


class Fleet:
    """Jobs that are waited for together. For one task, and for one use."""

    def __init__(self, tools: Tools, terms: Terms, source: Source) -> None:
        """Prepare; nothing is sent yet."""
        self._tools = tools
        self._terms = terms
        self._source = source
        self._agenda: Agenda[Member] = Agenda()
        self._budget = Budget(terms.checks_per_second)
        self._members: dict[str, Member] = {}
        self._ended: OrderedDict[str, Outcome] = OrderedDict()
        self._outcomes: deque[tuple[int, Outcome]] = deque()
        self._bulk = tools.service.bulk
        self._signals = Signals()
        self._is_read = False
        self._is_cancelled = False
        self._broken: BaseException | None = None

    async def outcomes(self) -> AsyncIterator[tuple[int, Outcome]]:
        """Give what came of each job as it comes, with its position in the source.

        Raises:
            Exception: What the source, or a function of the caller's, raises.
        """
        workers = [self._work() for _ in range(int(min(WORKERS, self._terms.max_in_flight)))]
        tasks = [asyncio.ensure_future(self._guarded(one)) for one in (self._take_in(), self._look(), *workers)]
        try:
            while True:
                while self._outcomes:
                    outcome = self._outcomes.popleft()
                    self._signals.room.set()
                    yield outcome
                if self._broken is not None:
                    raise self._broken
                if self._is_read and not self._members and not self._outcomes:
                    return
                await self._signals.news.wait()
                self._signals.news.clear()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._signals.alarm_off()

    async def _guarded(self, task: Awaitable[None]) -> None:
        try:
            await task
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # noqa: BLE001  # whoever takes the outcomes hears of it
            self._broken = error
            self._signals.news.set()

    async def _take_in(self) -> None:
        position = 0
        async for job in each_of(self._source):
            self._join(job, position)
            position += 1
            while self._is_full() and not self._is_cancelled:
                self._signals.room.clear()
                await self._signals.room.wait()
            if self._is_cancelled:
                break
        self._is_read = True
        self._signals.news.set()

    def _is_full(self) -> bool:
        return len(self._members) + len(self._outcomes) >= self._terms.max_in_flight

    def _join(self, job: Job | str, position: int) -> None:
        job_id = require_id(job)
        known = self._members.get(job_id)
        if known is not None:
            known.positions.append(position)
        elif job_id in self._ended:
            self._hand_out(position, self._ended[job_id])
        else:
            wait = Wait(self._tools, job, self._terms.timeout, None, said=self._terms.said)
            member = self._members[job_id] = Member(wait, position, now())
            self._agenda.add(member)
            self._signals.rouse(self._moment())

    async def _look(self) -> None:
        """End what is over, and all of it where that is wanted."""
        cancel = self._terms.cancel
        while not (self._tools.line.is_closed or (cancel is not None and cancel.is_set())):
            for member in self._agenda.pop_ended(now()):
                self._end(member, member.wait.timed_out())
            await asyncio.sleep(LOOK_SECONDS)
        self._is_cancelled = self._is_read = True
        for member in tuple(self._members.values()):
            self._end(member, member.wait.cancelled())
        self._signals.room.set()
        self._signals.news.set()

    async def _work(self) -> None:
        while True:
            members = await self._next()
            if len(members) == 1:
                await self._ask(members[0])
            else:
                await self._ask_together(members)

    def _moment(self) -> float:
        return max(self._agenda.next_due, self._budget.moment())

    async def _next(self) -> list[Member]:
        """Wait until a job is due and the budget allows a request; the job, and those that can go along with it."""
        while True:
            moment, present = self._moment(), now()
            if moment <= present:
                first = self._agenda.pop_due(present)
                if first is not None:
                    self._budget.spend(present)
                    members = [first, *(() if first.asks_alone else self._along(present))]
                    self._signals.rouse(self._moment())  # another worker may go on at once
                    return members
            await self._signals.worker(moment)

    def _along(self, present: float) -> list[Member]:
        """Those that are due too, or nearly, as far as one question can be about all of them."""
        members: list[Member] = []
        if self._bulk is None:
            return members
        while len(members) < self._bulk.max_ids - 1:
            entry = self._agenda.first
            if entry is None or entry.asks_alone or not entry.is_nearly_due(present):
                break
            popped = self._agenda.pop_due(entry.due)
            if popped is not None:
                members.append(popped)
        return members

    async def _ask(self, member: Member) -> None:
        member.asks_alone = False
        try:
            job = await member.wait.ask()
        except Fault as fault:
            self._failed(member, fault)
        except TranslationClientError as error:
            self._end(member, error)
        else:
            self._answered(member, job)

    async def _ask_together(self, members: Sequence[Member]) -> None:
        if self._bulk is None:
            return
        try:
            answer, jobs = await bulk.asked(self._tools, self._bulk, members)
        except bulk.Refused:
            self._bulk = None
            self._put_back(members)
        except CallCancelled:
            self._put_back(members)
        except Fault as fault:
            for member in self._still(members):
                self._failed(member, member.wait.failed(fault))
        else:
            for member in self._still(members):
                job = jobs.get(str(member.wait.job_id))
                if job is None:  # asked alone, it is told what is wrong with it
                    member.asks_alone = True
                    self._again(member, 0.0)
                else:
                    self._answered(member, member.wait.take(answer, job))

    def _still(self, members: Sequence[Member]) -> list[Member]:
        """Those that were not ended meanwhile."""
        return [member for member in members if str(member.wait.job_id) in self._members]

    def _put_back(self, members: Sequence[Member]) -> None:
        for member in members:
            self._again(member, 0.0)

    def _answered(self, member: Member, job: Job) -> None:
        self._budget.went_well(now())
        if self._terms.on_progress is not None:
            self._terms.on_progress(job)
        try:
            pause = member.pause_after(job)
        except TranslationClientError as error:
            self._end(member, error)
            return
        if pause is None:
            self._end(member, job)
        else:
            self._again(member, pause)

    def _failed(self, member: Member, fault: Fault) -> None:
        try:
            pause = member.pause_after_fault(fault)
        except TranslationClientError as error:
            self._budget.failed(fault.status_code, fault.hint, 0.0, now())
            self._end(member, error)
        else:
            self._budget.failed(fault.status_code, fault.hint, pause, now())
            self._again(member, pause)

    def _again(self, member: Member, pause: float) -> None:
        if str(member.wait.job_id) in self._members:  # else it was ended meanwhile
            self._agenda.again(member, now() + pause)
            self._signals.rouse(self._moment())

    def _end(self, member: Member, outcome: Outcome) -> None:
        job_id = str(member.wait.job_id)
        if self._members.pop(job_id, None) is None:
            return
        self._agenda.remove(member)
        member.wait.learn()
        self._ended[job_id] = outcome
        while len(self._ended) > self._terms.max_in_flight:
            self._ended.popitem(last=False)
        for position in member.positions:
            self._hand_out(position, outcome)

    def _hand_out(self, position: int, outcome: Outcome) -> None:
        self._outcomes.append((position, outcome))
        self._signals.news.set()
