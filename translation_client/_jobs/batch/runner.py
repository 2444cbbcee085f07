"""A batch: workers check the most overdue job next, within one rate limit, and hand out jobs that are final."""

from __future__ import annotations

import asyncio
import math
from collections import OrderedDict, deque
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import suppress
from itertools import islice
from typing import NamedTuple, TypeVar

from ..._clock import ContinuousClock, Deadline, SharedClock, Stopwatch
from ..._config import FAULT_DELAY_SECONDS
from ..._exceptions import RequestFailed, TranslationClientError
from ..._models import Fault, Job, Response
from ..._polling import GRACE_FRACTION, GRACE_SECONDS, RetryStepper
from ..._transports.cancel_scope import CallCancelled
from ...services.service import BulkSpec
from ..bulk import BulkAvailability, BulkCall, BulkFailed
from ..context import ClientContext
from ..poller import Poller
from .due_queue import DueQueue
from .options import BatchOptions, JobResult, Source, require_id, text_of
from .rate_limiter import TOO_MANY_REQUESTS, Permit, RateLimiter, Reservations
from .source import iterate


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
        self.ready: deque[tuple[int, JobResult]] = deque()
        self.joined = 0
        self._taken = 0
        self._most_known = most_known
        self._by_id: OrderedDict[str, JobResult] = OrderedDict()

    @property
    def open(self) -> int:
        """How many were read, and their outcome was not taken yet."""
        return self.joined - self._taken

    def join(self) -> int:
        """Count one more; its position."""
        self.joined += 1
        return self.joined - 1

    def take(self) -> tuple[int, JobResult]:
        """Take the first that is ready."""
        self._taken += 1
        return self.ready.popleft()

    def remember(self, job_id: str, outcome: JobResult) -> None:
        """Keep what came of a job."""
        self._by_id[job_id] = outcome
        while len(self._by_id) > self._most_known:
            self._by_id.popitem(last=False)

    def known(self, job_id: str) -> JobResult | None:
        """What came of a job, if it ended."""
        return self._by_id.get(job_id)


class Signals:
    """What wakes whom. One timer for all idle workers, and each that is woken wakes the next one that is needed.

    Attributes:
        news: Something for the taker of outcomes.
        room: Room for the reader of the source.
    """

    def __init__(self, clock: ContinuousClock) -> None:
        """Begin with nobody waiting; moments are those of the clock."""
        self._clock = clock
        self.news = asyncio.Event()
        self.room = asyncio.Event()
        self._idle: deque[asyncio.Future[None]] = deque()
        self._alarm: asyncio.TimerHandle | None = None
        self._alarm_at = math.inf

    async def worker(self, moment: float) -> None:
        """Be idle until one is needed, at some moment at the latest."""
        idle: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._idle.append(idle)
        self.rouse(moment)
        try:
            await idle
        except BaseException:
            with suppress(ValueError):  # it was woken in the same moment
                self._idle.remove(idle)
            raise

    def rouse(self, moment: float) -> None:
        """Wake a worker at some moment, or now."""
        if not self._idle or moment == math.inf:
            return
        wait = moment - self._clock.now()
        if wait <= 0:
            self._wake_one()
        elif moment < self._alarm_at:
            self.alarm_off()
            self._alarm_at = moment
            self._alarm = asyncio.get_running_loop().call_later(wait, self._ring)

    def alarm_off(self) -> None:
        """Have nobody woken any more."""
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm, self._alarm_at = None, math.inf

    def _ring(self) -> None:
        self.alarm_off()
        self._wake_one()

    def _wake_one(self) -> None:
        while self._idle:
            idle = self._idle.popleft()
            if not idle.done():
                idle.set_result(None)
                return


EARLY_SHARE = 0.25
"""By what part of its sleep a job may be checked earlier if that costs no request of its own."""

EARLY_SHARE_OF_LAST = 0.02
"""The same of a check that may be the last one by the limits of the caller: it must not be earlier than that of a wait alone."""


class BatchJob:
    """One job of a batch: its wait, and where it stands. Small: there are thousands.

    Attributes:
        wait: Its wait, which has begun.
        due: When it is to be checked; `math.inf` while it is.
        ends_at: When its time is up.
        planned: When it was due before the check that is being made.
        ends_itself: True while it has a request of its own, which ends at the deadline.
        single_checks: How many of its next checks need a request of its own.
        pause: Seconds of its latest sleep.
        early: By how many seconds it may be checked earlier.
        is_early: True if the next check is one before its last one, because too many jobs have their last check then.
        was_early: True if there was or is such a check.
        positions: Where in the order of the source it was asked for; more than once where its id came again.
    """

    __slots__ = (
        "_faults",
        "_pending",
        "due",
        "early",
        "ends_at",
        "ends_itself",
        "is_early",
        "pause",
        "planned",
        "positions",
        "single_checks",
        "wait",
        "was_early",
    )

    def __init__(self, wait: Poller, position: int, now: float) -> None:
        self.wait = wait
        self.positions = [position]
        self.ends_itself = self.is_early = self.was_early = False
        self.single_checks = 0.0
        self.pause = wait.initial_delay()
        self.early = self._nearly(0)
        self.due = self.planned = now + self.pause
        self.ends_at = wait.deadline.at
        self._pending = RetryStepper()
        self._faults: RetryStepper | None = None

    def pause_after(self, job: Job, now: float) -> float | None:
        """Return the seconds until the next check; None if the job is final.

        Raises:
            TranslationClientError: A limit is reached.
        """
        self._faults = None
        self.is_early = False
        pause = self._pending.sleep_after(job, self.wait.retries())
        if pause is None:
            return None
        self.pause = pause
        if self.wait.has_retry_limit and self.planned > now:  # an early check shortens no wait
            self.pause = max(pause, min(pause + self.planned - now, self.wait.seconds_until_last_check))
        self.early = self._earlier(job.checks, job.retry_after or 0.0)
        return self.pause

    def is_before_last_check(self) -> bool:
        """Return whether the sleep that begins now ends with the last check before the deadline."""
        return self.pause >= self.wait.seconds_until_last_check

    def check_early(self, job: Job | None, seconds: float) -> float:
        """Shorten the sleep before the last check, and return its seconds. There is another check after it.

        A `Retry-After` is not shortened. Neither is the sleep before a check that may be the last one by another limit.

        Args:
            job: The latest answer; None if there is none yet.
            seconds: After which the check is to be made.
        """
        checks, retry_after = (0, 0.0) if job is None else (job.checks, job.retry_after or 0.0)
        seconds = max(seconds, retry_after)
        if seconds < self.pause and not self.wait.may_end_after(checks + 2):
            self.is_early = self.was_early = True
            self.pause = seconds
            self.early = self._earlier(checks, retry_after)
        return self.pause

    def pause_after_fault(self, fault: Fault) -> float:
        """Return the seconds until the next request after one of its own that failed.

        Raises:
            TranslationClientError: A limit is reached.
        """
        self.early = 0.0
        until_last_check = self.wait.seconds_until_last_check
        if self.is_early and until_last_check > 0:
            # Without the other jobs there would have been no check, and no fault.
            self.is_early = False
            self.pause = max(fault.retry_after or 0.0, until_last_check)
            self.wait.log_fault(fault, self.pause)
            return self.pause
        self._faults = self._faults or RetryStepper()
        self.pause = self._faults.sleep_after_fault(fault, self.wait.fault_retries())
        return self.pause

    def needs_single_checks(self, number: float) -> None:
        """Have the next checks made by requests of its own, as many or `math.inf`."""
        self.single_checks = max(self.single_checks, number)

    def checked_singly(self) -> None:
        """Note that a request of its own was answered."""
        self.single_checks = max(0.0, self.single_checks - 1)

    def is_nearly_due(self, now: float) -> bool:
        """Return whether an answer now is as good as one a little later."""
        return self.due - now <= self.early

    def _earlier(self, checks: int, retry_after: float) -> float:
        """Return by how many seconds the next check may be earlier if it costs no request, but within no `Retry-After`."""
        return max(0.0, min(self._nearly(checks), self.pause - retry_after))

    def _nearly(self, checks: int) -> float:
        return self.pause * (EARLY_SHARE_OF_LAST if self.wait.may_end_after(checks + 1) else EARLY_SHARE)


def take_due_together(
    agenda: DueQueue[BatchJob], first: BatchJob, most: int, now: float, fits: Callable[[BatchJob], bool]
) -> list[BatchJob]:
    """Take those off the agenda that can share a bulk request; return them, the first included.

    Args:
        agenda: Those that are not being checked.
        first: The one whose turn it is, which was taken off.
        most: How many at once.
        now: The present moment.
        fits: Whether one has the time for it.
    """
    members = [first]
    if first.single_checks or not fits(first):
        return members
    passed: list[BatchJob] = []
    while len(members) < most and len(passed) < most:
        entry = agenda.first
        if entry is None or not entry.is_nearly_due(now):
            break
        agenda.pop_due(math.inf)
        (passed if entry.single_checks or not fits(entry) else members).append(entry)
    for entry in passed:
        agenda.again(entry, entry.planned)
    return members


RESERVE = 0.1
"""10 %: how much slower than `checks_per_second` turns are reserved, as the rate limiter counts requests when they arrive."""


class BatchState:
    """The jobs of a batch, from when they are taken in until their outcome is handed out."""

    def __init__(self, context: ClientContext, terms: BatchOptions, source: Source) -> None:
        """Begin with none."""
        self._context = context
        self._terms = terms
        self._source = source
        self._agenda: DueQueue[BatchJob] = DueQueue()
        self._budget = RateLimiter(terms.checks_per_second)
        self._last_checks = Reservations(self._budget.seconds_for(1 + RESERVE))
        self._bulk = context.service.bulk
        self._availability = BulkAvailability()
        self._members: dict[str, BatchJob] = {}
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
            message = self._context.secrets.shown_id(f"nothing was asked: {error}")
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
        stopwatch = Stopwatch(clock=self._clock)
        wait = Poller(self._context, job, self._terms.timeout, None, stopwatch, self._terms.features)
        try:
            member = BatchJob(wait, position, self._clock.now())
        except TranslationClientError as error:  # the client is closed
            self._hand_out(position, error)
            return
        self._members[job_id] = member
        member.due = member.planned = self._clock.now() + self._until_check(member, None, member.pause)
        self._agenda.add(member)
        if self._is_cancelled:
            self._end(member, wait.cancelled())
        self._signals.rouse(self._moment())

    def _until_check(self, member: BatchJob, job: Job | None, pause: float) -> float:
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

    def _is_open(self, member: BatchJob) -> bool:
        """Return whether a job has not ended meanwhile."""
        return self._members.get(str(member.wait.job_id)) is member

    def _put_back(self, members: Sequence[BatchJob]) -> None:
        """Have jobs checked again, in the turn that they had."""
        for member in members:
            if self._is_open(member):
                self._agenda.again(member, member.planned)
        self._signals.rouse(self._moment())

    def _again(self, member: BatchJob, pause: float) -> None:
        if self._is_open(member):
            self._agenda.again(member, self._clock.now() + pause)
            self._signals.rouse(self._moment())

    def _end(self, member: BatchJob, outcome: JobResult) -> None:
        if not self._is_open(member):
            return
        job_id = str(member.wait.job_id)
        del self._members[job_id]
        self._agenda.remove(member)
        member.wait.learn(patience=0.0)  # whoever else writes to the history holds up no other job
        self._results.remember(job_id, outcome)
        for position in member.positions:
            self._hand_out(position, outcome)

    def _hand_out(self, position: int, outcome: JobResult) -> None:
        self._results.ready.append((position, outcome))
        self._signals.news.set()


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

    members: Sequence[BatchJob]
    ticket: Permit | None
    is_trial: bool


class BatchRunner(BatchState):
    """A batch of jobs. For one task, and for one use."""

    def __init__(self, context: ClientContext, terms: BatchOptions, source: Source) -> None:
        """Prepare; nothing is sent yet."""
        super().__init__(context, terms, source)
        self._is_read = False
        self._is_over = False
        self._broken: BaseException | None = None

    async def outcomes(self) -> AsyncGenerator[tuple[int, JobResult], None]:
        """Yield the outcome of each job as it ends, with its position in the source.

        Raises:
            BaseException: What the source or a function of the caller's raised. `CONTROL_FLOW` comes as the cause of a
                RuntimeError.
        """
        workers = int(min(self._context.transport.max_connections, self._terms.max_in_flight))
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
        jobs = iterate(self._source)
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
        while not (self._is_over or self._context.transport.is_closed or (cancel is not None and cancel.is_set())):
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

    def _turn_of(self, first: BatchJob, present: float) -> Turn:
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

    async def _check(self, member: BatchJob, ticket: Permit | None) -> None:
        """Check a job by a request of its own."""
        member.ends_itself = True
        try:
            job = await self._billed(ticket, member.wait.check_once())
        except Fault as fault:
            self._failed(member, fault)
            self._budget.failed(fault.status_code, fault.retry_after, member.pause, self._clock.now())
        except TranslationClientError as error:
            self._end(member, error)
        else:
            member.checked_singly()
            self._answered(member, job)

    async def _check_in_bulk(self, bulk: BulkSpec, turn: Turn) -> None:
        """Check several jobs by one request. If it fails, that is no fault of any of them."""
        stopwatch = Stopwatch(clock=self._clock)
        call = BulkCall(self._context, bulk, [str(member.wait.job_id) for member in turn.members], stopwatch)
        seconds = math.inf if turn.is_trial else self._patience(turn.members, stopwatch.began_at)
        try:
            response, jobs = await self._billed(
                turn.ticket,
                call.send(Deadline(stopwatch.began_at + seconds, stopwatch), lambda: self._context.transport.is_closed),
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
            self._availability.answered(response.seconds, is_trial=turn.is_trial)
            if not turn.is_trial:
                self._take_over(turn.members, response, jobs)

    def _slow_down_after(self, fault: Fault, *, is_trial: bool) -> None:
        """Pause all jobs after a 429 to a bulk request, as after a 429 to one about a single job.

        Any other failure, a 503 with `Retry-After` too, is one of the bulk route, and single jobs are checked at once. After
        a trial there is no pause: meanwhile there are responses about single jobs, and a server that limits bulk requests
        alone would stop these again and again.
        """
        if fault.status_code != TOO_MANY_REQUESTS:
            return
        now = self._clock.now()
        if is_trial:
            self._budget.slow_down(now)
        else:
            self._budget.failed(fault.status_code, fault.retry_after, FAULT_DELAY_SECONDS, now)

    def _patience(self, members: Sequence[BatchJob], present: float) -> float:
        """Return for how many seconds jobs wait for a bulk answer. After that there may be a request for each job."""
        first = min(members, key=lambda member: member.ends_at)
        spare_seconds = first.wait.seconds_until_last_check - self._budget.seconds_for(len(self._members))
        return self._availability.patience(first.ends_at - present, spare_seconds)

    def _take_over(self, members: Sequence[BatchJob], response: Response, jobs: Mapping[str, Job]) -> None:
        """Take over what a bulk answer says. A job that it says nothing of, or too little, is checked singly."""
        has_more = self._context.service.has_details_in_single_responses
        for member in members:
            if not self._is_open(member):
                continue
            job = jobs.get(str(member.wait.job_id))
            lacks_details = job is not None and job.status.is_final and has_more
            if job is None or lacks_details:
                member.needs_single_checks(math.inf if lacks_details else 1)
                self._put_back([member])
            else:
                self._answered(member, member.wait.take(response, job))

    async def _billed(self, ticket: Permit | None, call: Awaitable[T]) -> T:
        """Make a call, and tell the rate limiter when it was over: it reached the server before that."""
        try:
            return await call
        finally:
            self._budget.over(ticket, self._clock.now())

    def _answered(self, member: BatchJob, job: Job) -> None:
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

    def _failed(self, member: BatchJob, fault: Fault) -> None:
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


class BatchIterator(AsyncIterator[JobResult]):
    """The results of a batch without their positions, as one generator: an event loop closes it at its end."""

    def __init__(self, batch: BatchRunner) -> None:
        self._outcomes = batch.outcomes()
        self._is_cancelled = False

    async def __anext__(self) -> JobResult:
        if self._is_cancelled:  # StopAsyncIteration would say that all jobs have ended
            raise RuntimeError("as_completed was cancelled before all jobs had ended: call it again for the others")
        try:
            return (await self._outcomes.__anext__())[1]
        except asyncio.CancelledError:
            self._is_cancelled = True
            raise

    async def aclose(self) -> None:
        """End the batch."""
        await self._outcomes.aclose()
