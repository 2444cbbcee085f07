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
from ..._models import Fault, Job, Response, job_id_of
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
        done: The results that were not taken yet.
        accepted: How many jobs were read from the source.
    """

    def __init__(self, max_known: float) -> None:
        """Create an empty collection.

        Args:
            max_known: How many of the latest results are kept by id, in case the source yields an id again.
        """
        self.done: deque[tuple[int, JobResult]] = deque()
        self.accepted = 0
        self._taken = 0
        self._max_known = max_known
        self._by_id: OrderedDict[str, JobResult] = OrderedDict()

    @property
    def in_flight(self) -> int:
        """The number of jobs that were read, and whose results were not taken yet."""
        return self.accepted - self._taken

    def accept(self) -> int:
        """Count a job, and return its position."""
        self.accepted += 1
        return self.accepted - 1

    def take(self) -> tuple[int, JobResult]:
        """Remove and return the first result that is ready."""
        self._taken += 1
        return self.done.popleft()

    def remember(self, job_id: str, result: JobResult) -> None:
        """Store the result of a job by its id."""
        self._by_id[job_id] = result
        while len(self._by_id) > self._max_known:
            self._by_id.popitem(last=False)

    def known(self, job_id: str) -> JobResult | None:
        """Return the result of a job, or None if none is stored."""
        return self._by_id.get(job_id)


class Wakeups:
    """The wake-ups of a batch. Idle workers share one timer, and each worker that is woken wakes the next one needed.

    Attributes:
        changed: Set when a result is ready, or the batch is at its end.
        room_freed: Set when another job may be read from the source.
    """

    def __init__(self, clock: ContinuousClock) -> None:
        """Create the wake-ups, without idle workers. Times are those of `clock`."""
        self._clock = clock
        self.changed = asyncio.Event()
        self.room_freed = asyncio.Event()
        self._idle: deque[asyncio.Future[None]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = math.inf

    async def wait_idle(self, until: float) -> None:
        """Wait as an idle worker until one is needed, until `until` at the latest."""
        idle: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._idle.append(idle)
        self.wake_at(until)
        try:
            await idle
        except BaseException:
            with suppress(ValueError):  # it was woken at the same time
                self._idle.remove(idle)
            raise

    def wake_at(self, time: float) -> None:
        """Wake an idle worker at `time`, or now if that has passed."""
        if not self._idle or time == math.inf:
            return
        seconds = time - self._clock.now()
        if seconds <= 0:
            self._wake_one()
        elif time < self._timer_at:
            self.cancel_timer()
            self._timer_at = time
            self._timer = asyncio.get_running_loop().call_later(seconds, self._on_timer)

    def cancel_timer(self) -> None:
        """Cancel the timer."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._timer_at = None, math.inf

    def _on_timer(self) -> None:
        self.cancel_timer()
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
        poller: The wait for the job.
        job_id: The id of the job, empty for the single job of the service.
        due: When the next check is due; `math.inf` during a check.
        ends_at: The deadline.
        planned: When the check in progress was due.
        call_in_flight: True while a request of its own is in flight, which ends at the deadline by itself.
        single_checks: How many of its next checks need a request of its own.
        delay: Seconds of the latest sleep.
        early: How many seconds before `due` the job may be checked.
        is_early: True if the next check is an extra one before the last, as too many jobs have their last check then.
        was_early: True if there is or was such an extra check.
        positions: Its positions in the source, several if its id came again.
    """

    __slots__ = (
        "_fault_stepper",
        "_stepper",
        "call_in_flight",
        "delay",
        "due",
        "early",
        "ends_at",
        "is_early",
        "job_id",
        "planned",
        "poller",
        "positions",
        "single_checks",
        "was_early",
    )

    def __init__(self, poller: Poller, position: int, now: float) -> None:
        self.poller = poller
        self.job_id = poller.job_id or ""
        self.positions = [position]
        self.call_in_flight = self.is_early = self.was_early = False
        self.single_checks = 0.0 if self.job_id else math.inf
        self.delay = poller.initial_delay()
        self.early = self._max_early(0)
        self.due = self.planned = now + self.delay
        self.ends_at = poller.deadline.at
        self._stepper = RetryStepper()
        self._fault_stepper: RetryStepper | None = None

    def sleep_after(self, job: Job, now: float) -> float | None:
        """Return the seconds until the next check, or None if the job is final.

        Raises:
            TranslationClientError: A limit is reached.
        """
        self._fault_stepper = None
        self.is_early = False
        delay = self._stepper.sleep_after(job, self.poller.retries())
        if delay is None:
            return None
        self.delay = delay
        if self.poller.has_retry_limit and self.planned > now:  # an early check must not shorten the wait
            self.delay = max(delay, min(delay + self.planned - now, self.poller.seconds_until_last_check))
        self.early = self._early_seconds(job.checks, job.retry_after or 0.0)
        return self.delay

    def is_before_last_check(self) -> bool:
        """Return True if the check after the sleep that begins now is the last one before the deadline."""
        return self.delay >= self.poller.seconds_until_last_check

    def check_early(self, job: Job | None, seconds: float) -> float:
        """Shorten the sleep before the last check to make an extra one first, and return the seconds to sleep.

        A `Retry-After` is not shortened. Nor is a sleep if `max_retries` or `stop` may end the wait within two checks.

        Args:
            job: The job as last checked; None before the first check.
            seconds: Seconds until the extra check.
        """
        checks, retry_after = (0, 0.0) if job is None else (job.checks, job.retry_after or 0.0)
        seconds = max(seconds, retry_after)
        if seconds < self.delay and not self.poller.may_end_after(checks + 2):
            self.is_early = self.was_early = True
            self.delay = seconds
            self.early = self._early_seconds(checks, retry_after)
        return self.delay

    def sleep_after_fault(self, fault: Fault) -> float:
        """Return the seconds until the next request after a request of the job's own failed.

        Raises:
            TranslationClientError: A limit is reached.
        """
        self.early = 0.0
        until_last_check = self.poller.seconds_until_last_check
        if self.is_early and until_last_check > 0:
            # The extra check was made because of the other jobs, so its fault does not count.
            self.is_early = False
            self.delay = max(fault.retry_after or 0.0, until_last_check)
            self.poller.log_fault(fault, self.delay)
            return self.delay
        self._fault_stepper = self._fault_stepper or RetryStepper()
        self.delay = self._fault_stepper.sleep_after_fault(fault, self.poller.fault_retries())
        return self.delay

    def require_single_checks(self, number: float) -> None:
        """Require requests of the job's own for the next `number` checks, `math.inf` for all."""
        self.single_checks = max(self.single_checks, number)

    def record_single_check(self) -> None:
        """Record a response to a request of the job's own."""
        self.single_checks = max(0.0, self.single_checks - 1)

    def is_nearly_due(self, now: float) -> bool:
        """Return True if the job may be checked now, in a shared request."""
        return self.due - now <= self.early

    def _early_seconds(self, checks: int, retry_after: float) -> float:
        """Return how many seconds early the next check may be in a shared request. It is never within `Retry-After`."""
        return max(0.0, min(self._max_early(checks), self.delay - retry_after))

    def _max_early(self, checks: int) -> float:
        return self.delay * (EARLY_SHARE_OF_LAST if self.poller.may_end_after(checks + 1) else EARLY_SHARE)


def take_due_together(
    queue: DueQueue[BatchJob], first: BatchJob, max_jobs: int, now: float, fits: Callable[[BatchJob], bool]
) -> list[BatchJob]:
    """Pop the jobs that can share a bulk request with `first`, and return all of them.

    Args:
        queue: The queue of the jobs that are not being checked.
        first: The most overdue job, which is popped already.
        max_jobs: The maximum number of jobs in a bulk request.
        now: The current time.
        fits: Returns True if a job has enough time left for a bulk response.
    """
    together = [first]
    if first.single_checks or not fits(first):
        return together
    skipped: list[BatchJob] = []
    while len(together) < max_jobs and len(skipped) < max_jobs:
        entry = queue.first
        if entry is None or not entry.is_nearly_due(now):
            break
        queue.pop_due(math.inf)
        (skipped if entry.single_checks or not fits(entry) else together).append(entry)
    for entry in skipped:
        queue.reschedule(entry, entry.planned)
    return together


SLOT_MARGIN = 0.1
"""10 %: how much wider than `1 / checks_per_second` reserved slots are spaced, as requests count on arrival."""


T = TypeVar("T")

WINDOW = 200
"""200 jobs of a kind: as many as the history keeps."""

ACCEPTED_AT_ONCE = 100
"""100 jobs: how many are read before other tasks run, as a list of thousands must not delay the requests."""

LIMIT_CHECK_SECONDS = 0.05
"""50 ms: how soon a batch notices that its client was closed, or that `cancel` was set."""

SOURCE_WAIT_SECONDS, MAX_SOURCE_WAITS = 0.1, 5
"""0.1 s, 5 times: how long a batch cancelled from the start waits for its source, as each job read has a result."""

TRIAL_SECONDS = 0.5
"""0.5 s: the time of single requests that a trial may cost, as the rate limiter counts it until it has arrived."""

CONTROL_FLOW = (asyncio.CancelledError, GeneratorExit, StopIteration, StopAsyncIteration)
"""Exceptions that Python interprets as the end of a task or of an iteration."""


class NextRequest(NamedTuple):
    """The next request of a worker.

    Attributes:
        batch_jobs: The jobs to check. Several share a bulk request.
        permit: The rate-limit permit of the request; None without a rate limit.
        is_trial: True for a bulk request that no job waits for, as in `BulkAvailability`.
    """

    batch_jobs: Sequence[BatchJob]
    permit: Permit | None
    is_trial: bool


class BatchRunner:
    """Runs a batch of jobs, from when they are read from the source until their results are ready.

    For one task, and for one use.
    """

    def __init__(self, context: ClientContext, options: BatchOptions, source: Source) -> None:
        """Create the runner. Nothing is sent yet."""
        self._context = context
        self._options = options
        self._source = source
        self._queue: DueQueue[BatchJob] = DueQueue()
        self._limiter = RateLimiter(options.checks_per_second)
        self._last_checks = Reservations(self._limiter.seconds_for(1 + SLOT_MARGIN))
        self._bulk = context.service.bulk
        self._availability = BulkAvailability()
        self._waiting: dict[str, BatchJob] = {}
        self._results = Results(max(options.max_in_flight, len(source) if isinstance(source, Collection) else 0))
        self._clock = SharedClock(lambda: asyncio.get_running_loop().time())
        self._wakeups = Wakeups(self._clock)
        self._is_cancelled = False
        self._is_source_read = False
        self._is_closing = False
        self._failure: BaseException | None = None

    async def results(self) -> AsyncGenerator[tuple[int, JobResult], None]:
        """Yield the result of each job as it ends, with its position in the source.

        Raises:
            BaseException: The source or a function of the caller raised it. One of `CONTROL_FLOW` is the cause of a
                RuntimeError.
        """
        workers = int(min(self._context.transport.max_connections, self._options.max_in_flight))
        parts = [("the source of jobs", self._read_source), ("the end of a job", self._enforce_limits)]
        parts += [("a check", self._run_worker)] * workers
        tasks = [asyncio.ensure_future(self._run_part(name, part)) for name, part in parts]
        try:
            while True:
                while self._results.done:
                    result = self._results.take()
                    self._wakeups.room_freed.set()
                    yield result
                if self._failure is not None:
                    raise self._failure
                if self._is_source_read and not self._waiting and not self._results.done:
                    return
                await self._wakeups.changed.wait()
                self._wakeups.changed.clear()
        finally:
            self._is_closing = True
            try:
                await _cancel(tasks)
            finally:  # also if the caller is cancelled a second time
                for batch_job in islice(self._waiting.values(), WINDOW):  # the history keeps no more
                    batch_job.poller.record_duration(lock_timeout=0.0)
                self._wakeups.cancel_timer()

    async def _run_part(self, name: str, part: Callable[[], Awaitable[None]]) -> None:
        """Run a part of the batch. `results` raises the exception that it ends with."""
        loop = asyncio.get_running_loop()
        try:
            await part()
        except BaseException as error:
            if self._is_closing or loop.is_closed():
                raise
            if self._failure is None:
                self._failure = _to_raise(name, error)
            self._wakeups.changed.set()

    async def _read_source(self) -> None:
        jobs = iterate(self._source)
        try:
            async for job in jobs:
                self._accept(job)
                if self._results.accepted % ACCEPTED_AT_ONCE == 0:
                    await asyncio.sleep(0)
                while not self._has_room:
                    self._wakeups.room_freed.clear()
                    await self._wakeups.room_freed.wait()
                if self._is_source_read:  # the batch was cancelled
                    break
        finally:
            await jobs.aclose()
        self._is_source_read = True
        self._wakeups.changed.set()

    @property
    def _has_room(self) -> bool:
        """True if another job may be read. A cancelled batch reads a list to its end, regardless of `max_in_flight`."""
        is_ending = self._is_cancelled and (self._is_source_read or isinstance(self._source, Collection))
        return is_ending or self._results.in_flight < self._options.max_in_flight

    async def _enforce_limits(self) -> None:
        """End each job at its deadline, and all jobs once the client is closed or `cancel` is set."""
        cancel, has_begun = self._options.cancel, False
        while not (self._is_closing or self._context.transport.is_closed or (cancel is not None and cancel.is_set())):
            has_begun = True
            for batch_job in self._queue.pop_expired(self._clock.now()):
                self._finish(batch_job, batch_job.poller.timed_out())
            await asyncio.sleep(LIMIT_CHECK_SECONDS)
        self._is_cancelled = True
        for batch_job in tuple(self._waiting.values()):
            self._finish(batch_job, batch_job.poller.cancelled())
        if not isinstance(self._source, Collection):
            if not has_begun:
                await self._until_source_blocks()
            self._is_source_read = True
        self._wakeups.room_freed.set()
        self._wakeups.changed.set()

    async def _until_source_blocks(self) -> None:
        """Wait until no job is read for `SOURCE_WAIT_SECONDS`, at most `MAX_SOURCE_WAITS` times.

        The source may be endless.
        """
        accepted = -1
        for _ in range(MAX_SOURCE_WAITS):
            if self._is_source_read or self._results.accepted == accepted:
                return
            accepted = self._results.accepted
            await asyncio.sleep(SOURCE_WAIT_SECONDS)

    async def _run_worker(self) -> None:
        while not self._is_closing:
            request = await self._next_request()
            if len(request.batch_jobs) == 1 or self._bulk is None:
                await self._check(request.batch_jobs[0], request.permit)
            else:
                await self._check_in_bulk(self._bulk, request)

    async def _next_request(self) -> NextRequest:
        """Wait until a job is due and the rate limit allows a request."""
        while True:
            send_at, now = self._next_request_at(), self._clock.now()
            if send_at <= now:
                first = self._queue.pop_due(now)
                if first is not None:
                    request = self._plan_request(first, now)
                    self._wakeups.wake_at(self._next_request_at())  # another worker may have a request to send at once
                    return request
            await self._wakeups.wait_idle(send_at)

    def _plan_request(self, first: BatchJob, now: float) -> NextRequest:
        permit = self._limiter.acquire(now)
        is_trial = self._availability.may_try(now) and not self._needs_each_request()
        if self._bulk is None or (self._availability.is_suspended and not is_trial):
            return NextRequest([first], permit, is_trial=False)
        batch_jobs = take_due_together(
            self._queue,
            first,
            self._bulk.max_ids,
            now,
            lambda batch_job: self._availability.has_time(batch_job.ends_at - now),
        )
        is_trial = is_trial and len(batch_jobs) > 1
        if is_trial:
            self._availability.start_trial()
            self._put_back(batch_jobs)
        return NextRequest(batch_jobs, permit, is_trial)

    def _needs_each_request(self) -> bool:
        """Return True if the time left is just enough for one request per job. A trial would cost one job its own."""
        return abs(self._spare_seconds(len(self._waiting))) < TRIAL_SECONDS

    async def _check(self, batch_job: BatchJob, permit: Permit | None) -> None:
        """Check one job by a request of its own."""
        batch_job.call_in_flight = True
        try:
            job = await self._with_permit(permit, batch_job.poller.check_once())
        except Fault as fault:
            self._record_fault(batch_job, fault)
            self._limiter.record_failure(fault.status_code, fault.retry_after, batch_job.delay, self._clock.now())
        except TranslationClientError as error:
            self._finish(batch_job, error)
        else:
            batch_job.record_single_check()
            self._record_check(batch_job, job)

    async def _check_in_bulk(self, bulk: BulkSpec, request: NextRequest) -> None:
        """Check several jobs by one bulk request. A failure does not count towards `max_faults` of any job."""
        stopwatch = Stopwatch(clock=self._clock)
        call = BulkCall(self._context, bulk, [batch_job.job_id for batch_job in request.batch_jobs], stopwatch)
        seconds = math.inf if request.is_trial else self._response_timeout(request.batch_jobs, stopwatch.began_at)
        try:
            response, jobs = await self._with_permit(
                request.permit,
                call.send(Deadline(stopwatch.began_at + seconds, stopwatch), lambda: self._context.transport.is_closed),
            )
        except CallCancelled:  # if they were put back, this loop would never yield to the event loop
            for batch_job in request.batch_jobs:
                self._finish(batch_job, batch_job.poller.cancelled())
        except BulkFailed as failed:
            call.log_failure(
                failed, self._availability.record_failure(failed, self._clock.now(), is_trial=request.is_trial)
            )
            self._throttle_after(failed.fault, is_trial=request.is_trial)
            if not request.is_trial:
                self._put_back(request.batch_jobs)
        else:
            self._availability.record_response(response.seconds, is_trial=request.is_trial)
            if not request.is_trial:
                self._apply_bulk_response(request.batch_jobs, response, jobs)

    def _throttle_after(self, fault: Fault, *, is_trial: bool) -> None:
        """Pause all jobs after a 429 to a bulk request, as after a 429 to a request for a single job.

        Any other failure, including a 503 with `Retry-After`, concerns only the bulk route, and the jobs are checked
        singly at once. After a trial the rate is lowered without a pause, because single requests succeed meanwhile:
        a server that limits only bulk requests would stop these again and again.
        """
        if fault.status_code != TOO_MANY_REQUESTS:
            return
        now = self._clock.now()
        if is_trial:
            self._limiter.throttle(now)
        else:
            self._limiter.record_failure(fault.status_code, fault.retry_after, FAULT_DELAY_SECONDS, now)

    def _response_timeout(self, batch_jobs: Sequence[BatchJob], now: float) -> float:
        """Return for how many seconds jobs wait for a bulk response. After that each job may need its own request."""
        first = min(batch_jobs, key=lambda batch_job: batch_job.ends_at)
        spare_seconds = first.poller.seconds_until_last_check - self._limiter.seconds_for(len(self._waiting))
        return self._availability.response_timeout(first.ends_at - now, spare_seconds)

    def _apply_bulk_response(self, batch_jobs: Sequence[BatchJob], response: Response, jobs: Mapping[str, Job]) -> None:
        """Apply a bulk response to its jobs. A job that it lacks, or whose details it lacks, is checked singly."""
        has_more = self._context.service.has_details_in_single_responses
        for batch_job in batch_jobs:
            if not self._is_waiting(batch_job):
                continue
            job = jobs.get(batch_job.job_id)
            lacks_details = job is not None and job.status.is_final and has_more
            if job is None or lacks_details:
                batch_job.require_single_checks(math.inf if lacks_details else 1)
                self._put_back([batch_job])
            else:
                self._record_check(batch_job, batch_job.poller.accept_bulk(response, job))

    async def _with_permit(self, permit: Permit | None, call: Awaitable[T]) -> T:
        """Await a call, and update its rate-limit permit when it ends: the request reached the server before that."""
        try:
            return await call
        finally:
            self._limiter.release(permit, self._clock.now())

    def _record_check(self, batch_job: BatchJob, job: Job) -> None:
        if not self._is_waiting(batch_job):
            return
        self._limiter.recover(self._clock.now())
        if self._options.on_progress is not None:
            self._options.on_progress(job)
        try:
            delay = batch_job.sleep_after(job, self._clock.now())
        except TranslationClientError as error:
            self._finish(batch_job, error)
            return
        if delay is None:
            self._finish(batch_job, job)
        else:
            self._reschedule(batch_job, self._seconds_until_check(batch_job, job, delay))

    def _record_fault(self, batch_job: BatchJob, fault: Fault) -> None:
        try:
            delay = batch_job.sleep_after_fault(fault)
        except TranslationClientError as error:
            self._finish(batch_job, error)
        else:
            self._reschedule(batch_job, delay)

    def _next_request_at(self) -> float:
        """Return when the next request may be sent, or `math.inf` if no job is in the queue."""
        due = self._queue.next_due
        return due if due == math.inf else max(due, self._limiter.next_slot(self._urgent_at))

    def _urgent_at(self) -> float:
        """Return the time from which pauses are ignored. With a longer pause, some job would miss its last check."""
        requests: float = len(self._waiting)
        if self._bulk is not None and self._has_bulk_responses:
            requests /= self._bulk.max_ids
        return self._clock.now() + self._spare_seconds(requests)

    @property
    def _has_bulk_responses(self) -> bool:
        """True while jobs share bulk requests."""
        return self._bulk is not None and not self._availability.is_suspended

    def _spare_seconds(self, requests: float) -> float:
        """Return the seconds left before the earliest last check after `requests` at the full rate. May be negative.

        Args:
            requests: The number of requests; one for each job if there are no bulk requests.
        """
        first = self._queue.first_to_expire
        if first is None:
            return math.inf
        return first.poller.seconds_until_last_check - self._limiter.seconds_for(requests)

    def _accept(self, job: Job | str) -> None:
        position = self._results.accept()
        try:
            job_id = require_id(job, self._context.service)
        except (TypeError, ValueError) as error:  # a source may yield anything, and the other jobs are still waited for
            message = self._context.secrets.shown_id(f"nothing was sent: {error}")
            value = job_id_of(job)
            job_id_text = None if value is None else text_of(value)
            self._put_result(position, RequestFailed(message, job_id=job_id_text, may_have_been_accepted=False))
            return
        waiting = self._waiting.get(job_id)
        if waiting is not None:
            waiting.positions.append(position)
        elif (result := self._results.known(job_id)) is not None:
            self._put_result(position, result)
        else:
            self._start_job(job, job_id, position)

    def _start_job(self, job: Job | str, job_id: str, position: int) -> None:
        stopwatch = Stopwatch(clock=self._clock)
        poller = Poller(self._context, job, self._options.timeout, None, stopwatch, self._options.features)
        try:
            batch_job = BatchJob(poller, position, self._clock.now())
        except TranslationClientError as error:  # the client is closed
            self._put_result(position, error)
            return
        self._waiting[job_id] = batch_job
        seconds = self._seconds_until_check(batch_job, None, batch_job.delay)
        batch_job.due = batch_job.planned = self._clock.now() + seconds
        self._queue.add(batch_job)
        if self._is_cancelled:
            self._finish(batch_job, poller.cancelled())
        self._wakeups.wake_at(self._next_request_at())

    def _seconds_until_check(self, batch_job: BatchJob, job: Job | None, delay: float) -> float:
        """Return the seconds until the next check of a job.

        This is `delay`, unless the rate limit is too low for all the last checks that are due at the same time. Then
        some jobs have one extra check before that, and their last check yields to those of the others.

        Args:
            batch_job: The job.
            job: The pending job as last checked; None before the first check.
            delay: The seconds until the next check of this job in a wait without other jobs.
        """
        if not batch_job.is_before_last_check():
            return delay
        grace = min(GRACE_SECONDS, GRACE_FRACTION * self._options.timeout) / 2  # the other half is for late requests
        if batch_job.was_early:
            return delay if self._has_bulk_responses else delay + grace
        now = self._clock.now()
        reserved_at = self._last_checks.reserve(now, now + delay + grace)
        return delay if reserved_at is None else batch_job.check_early(job, reserved_at - now)

    def _is_waiting(self, batch_job: BatchJob) -> bool:
        """Return True if the job has not ended meanwhile."""
        return self._waiting.get(batch_job.job_id) is batch_job

    def _put_back(self, batch_jobs: Sequence[BatchJob]) -> None:
        """Put jobs back into the queue, due when they were due before."""
        for batch_job in batch_jobs:
            if self._is_waiting(batch_job):
                self._queue.reschedule(batch_job, batch_job.planned)
        self._wakeups.wake_at(self._next_request_at())

    def _reschedule(self, batch_job: BatchJob, delay: float) -> None:
        if self._is_waiting(batch_job):
            self._queue.reschedule(batch_job, self._clock.now() + delay)
            self._wakeups.wake_at(self._next_request_at())

    def _finish(self, batch_job: BatchJob, result: JobResult) -> None:
        if not self._is_waiting(batch_job):
            return
        job_id = batch_job.job_id
        del self._waiting[job_id]
        self._queue.remove(batch_job)
        batch_job.poller.record_duration(
            lock_timeout=0.0
        )  # waiting for another process to write would delay the other jobs
        self._results.remember(job_id, result)
        for position in batch_job.positions:
            self._put_result(position, result)

    def _put_result(self, position: int, result: JobResult) -> None:
        self._results.done.append((position, result))
        self._wakeups.changed.set()


async def _cancel(tasks: Sequence[asyncio.Future[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _to_raise(name: str, error: BaseException) -> BaseException:
    if not isinstance(error, CONTROL_FLOW):
        return error
    raised = RuntimeError(f"{name} raised {type(error).__name__}, although the batch was not cancelled")
    raised.__cause__ = error
    return raised


class BatchIterator(AsyncIterator[JobResult]):
    """The results of a batch without their positions. The event loop closes the generator inside at shutdown."""

    def __init__(self, batch: BatchRunner) -> None:
        self._results = batch.results()
        self._is_cancelled = False

    async def __anext__(self) -> JobResult:
        if self._is_cancelled:  # StopAsyncIteration would mean that all jobs have ended
            raise RuntimeError("as_completed was cancelled before all jobs had ended: call it again for the others")
        try:
            return (await self._results.__anext__())[1]
        except asyncio.CancelledError:
            self._is_cancelled = True
            raise

    async def aclose(self) -> None:
        """Cancel the batch."""
        await self._results.aclose()
