"""The batch runner: workers check the most overdue job next, within one rate limit, and results come as jobs end."""

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
    """The results of a batch, with the positions of their jobs in the source.

    Attributes:
        ready: The results that were not taken yet.
        joined: How many jobs were read from the source.
    """

    def __init__(self, most_known: float) -> None:
        """Create an empty collection.

        Args:
            most_known: How many of the latest results are kept by id, in case the source yields an id again.
        """
        self.ready: deque[tuple[int, JobResult]] = deque()
        self.joined = 0
        self._taken = 0
        self._most_known = most_known
        self._by_id: OrderedDict[str, JobResult] = OrderedDict()

    @property
    def open(self) -> int:
        """The number of jobs that were read, and whose results were not taken yet."""
        return self.joined - self._taken

    def join(self) -> int:
        """Count a job, and return its position."""
        self.joined += 1
        return self.joined - 1

    def take(self) -> tuple[int, JobResult]:
        """Remove and return the first result that is ready."""
        self._taken += 1
        return self.ready.popleft()

    def remember(self, job_id: str, outcome: JobResult) -> None:
        """Store the result of a job by its id."""
        self._by_id[job_id] = outcome
        while len(self._by_id) > self._most_known:
            self._by_id.popitem(last=False)

    def known(self, job_id: str) -> JobResult | None:
        """Return the result of a job, or None if none is stored."""
        return self._by_id.get(job_id)


class Signals:
    """The wake-ups of a batch. Idle workers share one timer, and each worker that is woken wakes the next one needed.

    Attributes:
        news: Set when a result is ready, or the batch is at its end.
        room: Set when another job may be read from the source.
    """

    def __init__(self, clock: ContinuousClock) -> None:
        """Create the signals, without idle workers. Times are those of `clock`."""
        self._clock = clock
        self.news = asyncio.Event()
        self.room = asyncio.Event()
        self._idle: deque[asyncio.Future[None]] = deque()
        self._alarm: asyncio.TimerHandle | None = None
        self._alarm_at = math.inf

    async def worker(self, moment: float) -> None:
        """Wait as an idle worker until one is needed, until `moment` at the latest."""
        idle: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._idle.append(idle)
        self.rouse(moment)
        try:
            await idle
        except BaseException:
            with suppress(ValueError):  # it was woken at the same time
                self._idle.remove(idle)
            raise

    def rouse(self, moment: float) -> None:
        """Wake an idle worker at `moment`, or now if that has passed."""
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
        """Cancel the timer."""
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
"""25 % of its sleep: how much earlier a job may be checked if it shares the request with other jobs."""

EARLY_SHARE_OF_LAST = 0.02
"""2 %: the same for a check that the caller's limits may make the last one. It should be as late as in a wait alone."""


class BatchJob:
    """One job of a batch, and the state of its wait. It has slots because there are thousands.

    Attributes:
        wait: The poller of the job.
        due: When the next check is due; `math.inf` during a check.
        ends_at: The deadline.
        planned: When the check in progress was due.
        ends_itself: True while the job has a request of its own, which ends at the deadline.
        single_checks: How many of its next checks need a request of its own.
        pause: Seconds of the latest sleep.
        early: How many seconds before `due` the job may be checked.
        is_early: True if the next check is an extra one before the last, as too many jobs have their last check then.
        was_early: True if there is or was such an extra check.
        positions: Its positions in the source, several if its id came again.
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
        """Return the seconds until the next check, or None if the job is final.

        Raises:
            TranslationClientError: A limit is reached.
        """
        self._faults = None
        self.is_early = False
        pause = self._pending.sleep_after(job, self.wait.retries())
        if pause is None:
            return None
        self.pause = pause
        if self.wait.has_retry_limit and self.planned > now:  # an early check must not shorten the wait
            self.pause = max(pause, min(pause + self.planned - now, self.wait.seconds_until_last_check))
        self.early = self._earlier(job.checks, job.retry_after or 0.0)
        return self.pause

    def is_before_last_check(self) -> bool:
        """Return True if the check after the sleep that begins now is the last one before the deadline."""
        return self.pause >= self.wait.seconds_until_last_check

    def check_early(self, job: Job | None, seconds: float) -> float:
        """Shorten the sleep before the last check to make an extra one first, and return the seconds to sleep.

        A `Retry-After` is not shortened. Nor is a sleep if `max_retries` or `stop` may end the wait within two checks.

        Args:
            job: The job as last checked; None before the first check.
            seconds: Seconds until the extra check.
        """
        checks, retry_after = (0, 0.0) if job is None else (job.checks, job.retry_after or 0.0)
        seconds = max(seconds, retry_after)
        if seconds < self.pause and not self.wait.may_end_after(checks + 2):
            self.is_early = self.was_early = True
            self.pause = seconds
            self.early = self._earlier(checks, retry_after)
        return self.pause

    def pause_after_fault(self, fault: Fault) -> float:
        """Return the seconds until the next request after a request of the job's own failed.

        Raises:
            TranslationClientError: A limit is reached.
        """
        self.early = 0.0
        until_last_check = self.wait.seconds_until_last_check
        if self.is_early and until_last_check > 0:
            # The extra check was made because of the other jobs, so its fault does not count.
            self.is_early = False
            self.pause = max(fault.retry_after or 0.0, until_last_check)
            self.wait.log_fault(fault, self.pause)
            return self.pause
        self._faults = self._faults or RetryStepper()
        self.pause = self._faults.sleep_after_fault(fault, self.wait.fault_retries())
        return self.pause

    def needs_single_checks(self, number: float) -> None:
        """Require requests of the job's own for the next `number` checks, `math.inf` for all."""
        self.single_checks = max(self.single_checks, number)

    def checked_singly(self) -> None:
        """Record a response to a request of the job's own."""
        self.single_checks = max(0.0, self.single_checks - 1)

    def is_nearly_due(self, now: float) -> bool:
        """Return True if the job may be checked now, in a shared request."""
        return self.due - now <= self.early

    def _earlier(self, checks: int, retry_after: float) -> float:
        """Return how many seconds early the next check may be in a shared request. It is never within `Retry-After`."""
        return max(0.0, min(self._nearly(checks), self.pause - retry_after))

    def _nearly(self, checks: int) -> float:
        return self.pause * (EARLY_SHARE_OF_LAST if self.wait.may_end_after(checks + 1) else EARLY_SHARE)


def take_due_together(
    agenda: DueQueue[BatchJob], first: BatchJob, most: int, now: float, fits: Callable[[BatchJob], bool]
) -> list[BatchJob]:
    """Pop the jobs that can share a bulk request with `first`, and return all of them.

    Args:
        agenda: The queue of the jobs that are not being checked.
        first: The most overdue job, which was popped already.
        most: The maximum number of jobs in a bulk request.
        now: The current time.
        fits: Returns True if a job has enough time left for a bulk response.
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
"""10 %: how much wider than `1 / checks_per_second` reserved slots are spaced, as requests count on arrival."""


class BatchState:
    """The jobs of a batch, from when they are read from the source until their results are ready."""

    def __init__(self, context: ClientContext, terms: BatchOptions, source: Source) -> None:
        """Create the state, without jobs."""
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
        """Return when the next request may be sent, or `math.inf` if no job is in the queue."""
        due = self._agenda.next_due
        return due if due == math.inf else max(due, self._budget.moment(self._urgent_at))

    def _urgent_at(self) -> float:
        """Return the time from which pauses are ignored. With a longer pause, some job would miss its last check."""
        requests: float = len(self._members)
        if self._bulk is not None and self._has_bulk_answers:
            requests /= self._bulk.max_ids
        return self._clock.now() + self._spare_seconds(requests)

    @property
    def _has_bulk_answers(self) -> bool:
        """True while jobs share bulk requests."""
        return self._bulk is not None and not self._availability.is_suspended

    def _spare_seconds(self, requests: float) -> float:
        """Return the seconds left before the earliest last check after `requests` at the full rate. May be negative.

        Args:
            requests: The number of requests; one for each job if there are no bulk requests.
        """
        first = self._agenda.first_to_end
        if first is None:
            return math.inf
        return first.wait.seconds_until_last_check - self._budget.seconds_for(requests)

    def _join(self, job: Job | str) -> None:
        position = self._results.join()
        try:
            job_id = require_id(job)
        except (TypeError, ValueError) as error:  # a source may yield anything, and the other jobs are still waited for
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

        This is `pause`, unless the rate limit is too low for all the last checks that are due at the same time. Then
        some jobs have one extra check before that, and their last check yields to those of the others.

        Args:
            member: The job.
            job: The pending job as last checked; None before the first check.
            pause: The seconds until the next check of this job in a wait without other jobs.
        """
        if not member.is_before_last_check():
            return pause
        delay = min(GRACE_SECONDS, GRACE_FRACTION * self._terms.timeout) / 2  # the other half is left for late requests
        if member.was_early:
            return pause if self._has_bulk_answers else pause + delay
        now = self._clock.now()
        moment = self._last_checks.reserve(now, now + pause + delay)
        return pause if moment is None else member.check_early(job, moment - now)

    def _is_open(self, member: BatchJob) -> bool:
        """Return True if the job has not ended meanwhile."""
        return self._members.get(str(member.wait.job_id)) is member

    def _put_back(self, members: Sequence[BatchJob]) -> None:
        """Put jobs back into the queue, due when they were due before."""
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
        member.wait.learn(patience=0.0)  # waiting for another process to write would delay the other jobs
        self._results.remember(job_id, outcome)
        for position in member.positions:
            self._hand_out(position, outcome)

    def _hand_out(self, position: int, outcome: JobResult) -> None:
        self._results.ready.append((position, outcome))
        self._signals.news.set()


T = TypeVar("T")

WINDOW = 200
"""200 jobs of a kind: as many as the history keeps."""

JOINED_AT_ONCE = 100
"""100 jobs: how many are read before other tasks run, as a list of thousands must not delay the requests."""

LOOK_SECONDS = 0.05
"""50 ms: how soon a batch notices that its client was closed, or that `cancel` was set."""

SOURCE_SECONDS, MOST_SLICES = 0.1, 5
"""0.1 s, 5 times: how long a batch cancelled from the start waits for its source, as each job read has a result."""

TRIAL_SECONDS = 0.5
"""0.5 s: the time of single requests that a trial may cost, as the rate limiter counts it until it has arrived."""

CONTROL_FLOW = (asyncio.CancelledError, GeneratorExit, StopIteration, StopAsyncIteration)
"""Exceptions that Python interprets as the end of a task or of an iteration."""


class Turn(NamedTuple):
    """The next request of a worker.

    Attributes:
        members: The jobs to check. Several share a bulk request.
        ticket: The rate-limit permit of the request; None without a rate limit.
        is_trial: True for a bulk request that no job waits for, as in `BulkAvailability`.
    """

    members: Sequence[BatchJob]
    ticket: Permit | None
    is_trial: bool


class BatchRunner(BatchState):
    """Runs a batch of jobs. For one task, and for one use."""

    def __init__(self, context: ClientContext, terms: BatchOptions, source: Source) -> None:
        """Create the runner. Nothing is sent yet."""
        super().__init__(context, terms, source)
        self._is_read = False
        self._is_over = False
        self._broken: BaseException | None = None

    async def outcomes(self) -> AsyncGenerator[tuple[int, JobResult], None]:
        """Yield the result of each job as it ends, with its position in the source.

        Raises:
            BaseException: The source or a function of the caller raised it. One of `CONTROL_FLOW` is the cause of a
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
                for member in islice(self._members.values(), WINDOW):  # the history keeps no more
                    member.wait.learn(patience=0.0)
                self._signals.alarm_off()

    async def _guarded(self, name: str, part: Callable[[], Awaitable[None]]) -> None:
        """Run a part of the batch. `outcomes` raises the exception that it ends with."""
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
                if self._is_read:  # the batch was cancelled
                    break
        finally:
            await jobs.aclose()
        self._is_read = True
        self._signals.news.set()

    @property
    def _has_room(self) -> bool:
        """True if another job may be read. A cancelled batch reads a list to its end, regardless of `max_in_flight`."""
        is_ending = self._is_cancelled and (self._is_read or isinstance(self._source, Collection))
        return is_ending or self._results.open < self._terms.max_in_flight

    async def _look(self) -> None:
        """End each job at its deadline, and all jobs once the client is closed or `cancel` is set."""
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
        """Wait until no job is read for `SOURCE_SECONDS`, at most `MOST_SLICES` times, as the source may be endless."""
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
                    self._signals.rouse(self._moment())  # another worker may have a request to send at once
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
        """Return True if the time left is just enough for one request per job. A trial would cost one job its own."""
        return abs(self._spare_seconds(len(self._members))) < TRIAL_SECONDS

    async def _check(self, member: BatchJob, ticket: Permit | None) -> None:
        """Check one job by a request of its own."""
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
        """Check several jobs by one bulk request. A failure does not count towards `max_faults` of any job."""
        stopwatch = Stopwatch(clock=self._clock)
        call = BulkCall(self._context, bulk, [str(member.wait.job_id) for member in turn.members], stopwatch)
        seconds = math.inf if turn.is_trial else self._patience(turn.members, stopwatch.began_at)
        try:
            response, jobs = await self._billed(
                turn.ticket,
                call.send(Deadline(stopwatch.began_at + seconds, stopwatch), lambda: self._context.transport.is_closed),
            )
        except CallCancelled:  # if they were put back, this loop would never yield to the event loop
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
        """Pause all jobs after a 429 to a bulk request, as after a 429 to a request for a single job.

        Any other failure, including a 503 with `Retry-After`, concerns only the bulk route, and the jobs are checked
        singly at once. After a trial the rate is lowered without a pause, because single requests succeed meanwhile:
        a server that limits only bulk requests would stop these again and again.
        """
        if fault.status_code != TOO_MANY_REQUESTS:
            return
        now = self._clock.now()
        if is_trial:
            self._budget.slow_down(now)
        else:
            self._budget.failed(fault.status_code, fault.retry_after, FAULT_DELAY_SECONDS, now)

    def _patience(self, members: Sequence[BatchJob], present: float) -> float:
        """Return for how many seconds jobs wait for a bulk response. After that each job may need its own request."""
        first = min(members, key=lambda member: member.ends_at)
        spare_seconds = first.wait.seconds_until_last_check - self._budget.seconds_for(len(self._members))
        return self._availability.patience(first.ends_at - present, spare_seconds)

    def _take_over(self, members: Sequence[BatchJob], response: Response, jobs: Mapping[str, Job]) -> None:
        """Apply a bulk response to its jobs. A job that it lacks, or whose details it lacks, is checked singly."""
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
        """Await a call, and update its rate-limit permit when it ends: the request reached the server before that."""
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
    """The results of a batch without their positions. The event loop closes the generator inside at shutdown."""

    def __init__(self, batch: BatchRunner) -> None:
        self._outcomes = batch.outcomes()
        self._is_cancelled = False

    async def __anext__(self) -> JobResult:
        if self._is_cancelled:  # StopAsyncIteration would mean that all jobs have ended
            raise RuntimeError("as_completed was cancelled before all jobs had ended: call it again for the others")
        try:
            return (await self._outcomes.__anext__())[1]
        except asyncio.CancelledError:
            self._is_cancelled = True
            raise

    async def aclose(self) -> None:
        """Cancel the batch."""
        await self._outcomes.aclose()
