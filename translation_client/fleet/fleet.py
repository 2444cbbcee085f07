"""How does a fleet go? Some workers take turns at the most overdue job, within one budget, and hand out what ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Collection, Sequence
from itertools import islice
from typing import TypeVar

from ..clock import now
from ..errors import TranslationClientError
from ..faults import Fault
from ..models import Job, TranslationStatus
from ..tools import Tools
from ..transport import CallCancelled
from . import bulk
from .intake import each_of
from .members import Member, along
from .roll import Roll
from .terms import Outcome, Source, Terms

T = TypeVar("T")

COMPLETED = TranslationStatus.COMPLETED

WINDOW = 200
"""As many jobs of a kind as a history keeps."""

JOINED_AT_ONCE = 100
"""How many jobs are taken in before others have a turn: a list of thousands must not hold up the calls."""

LOOK_SECONDS = 0.05
"""How soon a fleet sees that its client was closed, or that the caller's event was set."""


class Fleet(Roll):
    """Jobs that are waited for together. For one task, and for one use."""

    def __init__(self, tools: Tools, terms: Terms, source: Source) -> None:
        """Prepare; nothing is sent yet."""
        super().__init__(tools, terms, source)
        self._bulk = tools.service.bulk
        self._is_read = False
        self._is_over = False
        self._broken: BaseException | None = None

    async def outcomes(self) -> AsyncGenerator[tuple[int, Outcome], None]:
        """Give what came of each job as it comes, with its position in the source.

        Raises:
            Exception: What the source, or a function of the caller's, raises.
        """
        workers = [self._work() for _ in range(int(min(self._tools.line.width, self._terms.max_in_flight)))]
        tasks = [asyncio.ensure_future(self._guarded(one)) for one in (self._take_in(), self._look(), *workers)]
        try:
            while True:
                while self._results.ready:
                    outcome = self._results.take()
                    self._signals.room.set()
                    yield outcome
                if self._broken is not None:
                    raise self._broken
                if self._is_read and not self._members and not self._results.ready:
                    return
                await self._signals.news.wait()
                self._signals.news.clear()
        finally:
            self._is_over = True
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            for member in islice(self._members.values(), WINDOW):  # no more are remembered
                member.wait.learn(patience=0.0)
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
        jobs = each_of(self._source)
        try:
            async for job in jobs:
                self._join(job)
                if self._results.joined % JOINED_AT_ONCE == 0:
                    await asyncio.sleep(0)
                while self._results.open >= self._terms.max_in_flight and not self._is_cancelled:
                    self._signals.room.clear()
                    await self._signals.room.wait()
                if self._is_cancelled and not isinstance(self._source, Collection):
                    break
        finally:
            await jobs.aclose()
        self._is_read = True
        self._signals.news.set()

    async def _look(self) -> None:
        """End what is over, and all of it where that is wanted."""
        cancel = self._terms.cancel
        while not (self._is_over or self._tools.line.is_closed or (cancel is not None and cancel.is_set())):
            for member in self._agenda.pop_ended(now()):
                self._end(member, member.wait.timed_out())
            await asyncio.sleep(LOOK_SECONDS)
        self._is_cancelled = True
        self._is_read |= not isinstance(self._source, Collection)
        for member in tuple(self._members.values()):
            self._end(member, member.wait.cancelled())
        self._signals.room.set()
        self._signals.news.set()

    async def _work(self) -> None:
        while not self._is_over:
            members = await self._next()
            if len(members) == 1:
                await self._ask(members[0])
            else:
                await self._ask_together(members)

    async def _next(self) -> list[Member]:
        """Wait until a job is due and the budget allows a request; the job, and those that can go along with it."""
        while True:
            moment, present = self._moment(), now()
            if moment <= present:
                first = self._agenda.pop_due(present)
                if first is not None:
                    first.ticket = self._budget.spend(present)
                    members = [first, *along(self._agenda, first, present, self._bulk)]
                    self._signals.rouse(self._moment())  # another worker may go on at once
                    return members
            await self._signals.worker(moment)

    async def _ask(self, member: Member) -> None:
        member.ends_itself = True
        try:
            job = await self._billed(member, member.wait.ask())
        except Fault as fault:
            self._failed(member, fault)
            self._budget.failed(fault.status_code, fault.hint, member.pause, now())
        except TranslationClientError as error:
            self._end(member, error)
        else:
            self._answered(member, job)

    async def _ask_together(self, members: Sequence[Member]) -> None:
        if self._bulk is None:
            return
        try:
            answer, jobs = await self._billed(members[0], bulk.asked(self._tools, self._bulk, members))
        except bulk.Refused:
            self._bulk = None
            self._put_back(members)
        except CallCancelled:  # put back, they would go round without letting anybody else go on
            for member in self._still(members):
                self._end(member, member.wait.cancelled())
        except Fault as fault:
            for member in self._still(members):
                self._failed(member, member.wait.failed(fault))
            self._budget.failed(fault.status_code, fault.hint, members[0].pause, now())
        else:
            for member in self._still(members):
                job = jobs.get(str(member.wait.job_id))
                is_vague = job is not None and job.status is COMPLETED and self._tools.service.has_late_result
                if (
                    job is None or is_vague
                ):  # asked alone, from here on, it is told what is wrong, or where its result is
                    member.asks_alone = True
                    self._put_back([member])
                else:
                    self._answered(member, member.wait.take(answer, job))

    async def _billed(self, member: Member, call: Awaitable[T]) -> T:
        """Make a call, and tell the budget when it was over: it reached the server before that."""
        try:
            return await call
        finally:
            self._budget.over(member.ticket, now())

    def _answered(self, member: Member, job: Job) -> None:
        if not self._still([member]):
            return
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
            self._end(member, error)
        else:
            self._again(member, pause)
