"""A batch: workers take turns at the most overdue job, within one rate limit, and hand out what ends."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Mapping, Sequence
from itertools import islice
from typing import NamedTuple, TypeVar

from ..clock import Deadline, Stopwatch
from ..errors import TranslationClientError
from ..faults import Fault
from ..messages import Answer
from ..models import Job
from ..policy import FAULT_DELAY_SECONDS
from ..services.extras import Bulk
from ..tools import Tools
from ..transport import CallCancelled
from .budget import TOO_MANY_REQUESTS, Ticket
from .bulk import BulkCall, BulkFailed
from .intake import each_of
from .members import Member, take_due_together
from .roll import Roll
from .terms import Outcome, Source, Terms

T = TypeVar("T")

WINDOW = 200
"""As many jobs of a kind as a history keeps."""

JOINED_AT_ONCE = 100
"""How many jobs are taken in before others have a turn: a list of thousands must not hold up the calls."""

LOOK_SECONDS = 0.05
"""How soon a batch notices that its client was closed, or that the caller's event was set."""

SOURCE_SECONDS, MOST_SLICES = 0.1, 5
"""How long a batch that is cancelled from the start waits for a job of its source, and how often: each job is an outcome."""

TRIAL_SECONDS = 0.5
"""0.5 s: the time that a trial may take from the requests for single jobs. It needs a turn, and counts until it has arrived."""

CONTROL_FLOW = (asyncio.CancelledError, GeneratorExit, StopIteration, StopAsyncIteration)
"""Exceptions that Python takes for the end of a task or of an iteration."""


class Turn(NamedTuple):
    """What a worker does next.

    Attributes:
        members: The jobs to check; several share a bulk request.
        ticket: What the request is paid with.
        is_trial: True for a bulk request that nobody waits for: see `BulkAvailability`.
    """

    members: Sequence[Member]
    ticket: Ticket | None
    is_trial: bool


class Fleet(Roll):
    """A batch of jobs. For one task, and for one use."""

    def __init__(self, tools: Tools, terms: Terms, source: Source) -> None:
        """Prepare; nothing is sent yet."""
        super().__init__(tools, terms, source)
        self._is_read = False
        self._is_over = False
        self._broken: BaseException | None = None

    async def outcomes(self) -> AsyncGenerator[tuple[int, Outcome], None]:
        """Yield the outcome of each job as it ends, with its position in the source.

        Raises:
            BaseException: What the source or a function of the caller's raised. `CONTROL_FLOW` comes as the cause of a
                RuntimeError.
        """
        workers = int(min(self._tools.line.width, self._terms.max_in_flight))
        parts = [("the source of jobs", self._take_in), ("the end of a job", self._look)]
        parts += [("a check", self._work)] * workers
        tasks = [asyncio.ensure_future(self._guarded(name, part)) for name, part in parts]
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
            try:
                await _cancel(tasks)
            finally:  # also if the caller is cancelled a second time
                for member in islice(self._members.values(), WINDOW):  # no more are remembered
                    member.wait.learn(patience=0.0)
                self._signals.alarm_off()

    async def _guarded(self, name: str, part: Callable[[], Awaitable[None]]) -> None:
        """Run a part of the batch. If it dies, whoever takes the outcomes gets what it died of."""
        loop = asyncio.get_running_loop()
        try:
            await part()
        except BaseException as error:
            if self._is_over or loop.is_closed():
                raise
            if self._broken is None:
                self._broken = _to_raise(name, error)
            self._signals.news.set()

    async def _take_in(self) -> None:
        jobs = each_of(self._source)
        try:
            async for job in jobs:
                self._join(job)
                if self._results.joined % JOINED_AT_ONCE == 0:
                    await asyncio.sleep(0)
                while not self._has_room:
                    self._signals.room.clear()
                    await self._signals.room.wait()
                if self._is_read:  # its reading was given up
                    break
        finally:
            await jobs.aclose()
        self._is_read = True
        self._signals.news.set()

    @property
    def _has_room(self) -> bool:
        """True if another job may be taken in. A list is read to its end where all its jobs are cancelled."""
        is_ending = self._is_cancelled and (self._is_read or isinstance(self._source, Collection))
        return is_ending or self._results.open < self._terms.max_in_flight

    async def _look(self) -> None:
        """End the jobs whose time is up; all jobs, if the client was closed or the caller's event was set."""
        cancel, has_begun = self._terms.cancel, False
        while not (self._is_over or self._tools.line.is_closed or (cancel is not None and cancel.is_set())):
            has_begun = True
            for member in self._agenda.pop_ended(self._clock.now()):
                self._end(member, member.wait.timed_out())
            await asyncio.sleep(LOOK_SECONDS)
        self._is_cancelled = True
        for member in tuple(self._members.values()):
            self._end(member, member.wait.cancelled())
        if not isinstance(self._source, Collection):
            if not has_begun:
                await self._until_source_blocks()
            self._is_read = True
        self._signals.room.set()
        self._signals.news.set()

    async def _until_source_blocks(self) -> None:
        """Return when the source gave no job for a while, or has given some for long enough: it may be endless."""
        joined = -1
        for _ in range(MOST_SLICES):
            if self._is_read or self._results.joined == joined:
                return
            joined = self._results.joined
            await asyncio.sleep(SOURCE_SECONDS)

    async def _work(self) -> None:
        while not self._is_over:
            turn = await self._next()
            if len(turn.members) == 1 or self._bulk is None:
                await self._check(turn.members[0], turn.ticket)
            else:
                await self._check_in_bulk(self._bulk, turn)

    async def _next(self) -> Turn:
        """Wait until a job is due and the rate limit allows a request."""
        while True:
            moment, present = self._moment(), self._clock.now()
            if moment <= present:
                first = self._agenda.pop_due(present)
                if first is not None:
                    turn = self._turn_of(first, present)
                    self._signals.rouse(self._moment())  # another worker may go on at once
                    return turn
            await self._signals.worker(moment)

    def _turn_of(self, first: Member, present: float) -> Turn:
        ticket = self._budget.spend(present)
        is_trial = self._availability.may_try(present) and not self._needs_each_request()
        if self._bulk is None or (self._availability.is_suspended and not is_trial):
            return Turn([first], ticket, is_trial=False)
        members = take_due_together(
            self._agenda,
            first,
            self._bulk.max_ids,
            present,
            lambda member: self._availability.has_time(member.ends_at - present),
        )
        is_trial = is_trial and len(members) > 1
        if is_trial:
            self._availability.start_trial()
            self._put_back(members)
        return Turn(members, ticket, is_trial)

    def _needs_each_request(self) -> bool:
        """Return whether the time suffices just for a request for each job: a trial would cost one of them its own."""
        return abs(self._spare_seconds(len(self._members))) < TRIAL_SECONDS

    async def _check(self, member: Member, ticket: Ticket | None) -> None:
        """Check a job by a request of its own."""
        member.ends_itself = True
        try:
            job = await self._billed(ticket, member.wait.ask())
        except Fault as fault:
            self._failed(member, fault)
            self._budget.failed(fault.status_code, fault.hint, member.pause, self._clock.now())
        except TranslationClientError as error:
            self._end(member, error)
        else:
            member.checked_singly()
            self._answered(member, job)

    async def _check_in_bulk(self, bulk: Bulk, turn: Turn) -> None:
        """Check several jobs by one request. If it fails, that is no fault of any of them."""
        watch = Stopwatch(clock=self._clock)
        call = BulkCall(self._tools, bulk, [str(member.wait.job_id) for member in turn.members], watch)
        seconds = math.inf if turn.is_trial else self._patience(turn.members, watch.began_at)
        try:
            answer, jobs = await self._billed(
                turn.ticket, call.send(Deadline(watch.began_at + seconds, watch), lambda: self._tools.line.is_closed)
            )
        except CallCancelled:  # put back, they would go round without letting anybody else go on
            for member in turn.members:
                self._end(member, member.wait.cancelled())
        except BulkFailed as failed:
            call.log_failure(failed, self._availability.failed(failed, self._clock.now(), is_trial=turn.is_trial))
            self._slow_down_after(failed.fault, is_trial=turn.is_trial)
            if not turn.is_trial:
                self._put_back(turn.members)
        else:
            self._availability.answered(answer.seconds, is_trial=turn.is_trial)
            if not turn.is_trial:
                self._take_over(turn.members, answer, jobs)

    def _slow_down_after(self, fault: Fault, *, is_trial: bool) -> None:
        """Pause all jobs after a failed bulk request as after one for a single job.

        After a trial there is no pause: meanwhile there are responses about single jobs, and a server that limits bulk
        requests alone would stop these again and again.
        """
        now = self._clock.now()
        if not is_trial:
            self._budget.failed(fault.status_code, fault.hint, FAULT_DELAY_SECONDS, now)
        elif fault.status_code == TOO_MANY_REQUESTS:
            self._budget.slow_down(now)

    def _patience(self, members: Sequence[Member], present: float) -> float:
        """Return for how many seconds jobs wait for a bulk answer. After that there may be a request for each job."""
        first = min(members, key=lambda member: member.ends_at)
        spare_seconds = first.wait.seconds_until_last_check - self._budget.seconds_for(len(self._members))
        return self._availability.patience(first.ends_at - present, spare_seconds)

    def _take_over(self, members: Sequence[Member], answer: Answer, jobs: Mapping[str, Job]) -> None:
        """Take over what a bulk answer says. A job that it says nothing of, or too little, is checked singly."""
        has_more = self._tools.service.has_details_in_single_responses
        for member in members:
            if not self._is_open(member):
                continue
            job = jobs.get(str(member.wait.job_id))
            lacks_details = job is not None and job.status.is_final and has_more
            if job is None or lacks_details:
                member.needs_single_checks(math.inf if lacks_details else 1)
                self._put_back([member])
            else:
                self._answered(member, member.wait.take(answer, job))

    async def _billed(self, ticket: Ticket | None, call: Awaitable[T]) -> T:
        """Make a call, and tell the rate limiter when it was over: it reached the server before that."""
        try:
            return await call
        finally:
            self._budget.over(ticket, self._clock.now())

    def _answered(self, member: Member, job: Job) -> None:
        if not self._is_open(member):
            return
        self._budget.went_well(self._clock.now())
        if self._terms.on_progress is not None:
            self._terms.on_progress(job)
        try:
            pause = member.pause_after(job, self._clock.now())
        except TranslationClientError as error:
            self._end(member, error)
            return
        if pause is None:
            self._end(member, job)
        else:
            self._again(member, self._until_check(member, job, pause))

    def _failed(self, member: Member, fault: Fault) -> None:
        try:
            pause = member.pause_after_fault(fault)
        except TranslationClientError as error:
            self._end(member, error)
        else:
            self._again(member, pause)


async def _cancel(tasks: Sequence[asyncio.Future[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _to_raise(name: str, error: BaseException) -> BaseException:
    if not isinstance(error, CONTROL_FLOW):
        return error
    raised = RuntimeError(f"{name} raised {type(error).__name__}, although nobody cancelled the batch")
    raised.__cause__ = error
    return raised
