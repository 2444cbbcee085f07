"""Polls many jobs: workers check the most overdue job first, within one rate limit. Results are yielded as jobs end."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Collection, Hashable, Mapping, Sequence
from itertools import islice
from typing import NamedTuple, TypeVar

from ..._clock import Deadline, SharedClock, Stopwatch
from ..._config import FAULT_DELAY_SECONDS
from ..._exceptions import RequestFailed, TranslationClientError
from ..._models import Fault, Job, Response, job_id_of
from ..._polling import margin_before_deadline
from ..._transports.cancel_scope import CallCancelled
from ..._transports.event_loop import sleep_on_loop, yield_to_loop
from ...services.service import BulkSpec
from .. import error_messages
from ..bulk import BulkFailed, BulkRequest
from ..context import ClientContext
from ..poller import Poller
from ..requestor import Requestor
from .batch_job import BatchJob, take_due_together
from .bulk_availability import BulkAvailability
from .due_queue import DueQueue
from .options import BatchOptions, JobResult, Source, require_id, text_of, wait_key
from .rate_limiter import MAX_PAUSE_SECONDS, TOO_MANY_REQUESTS, Permit, RateLimiter, Reservations
from .results import Results
from .source import iterate
from .wakeups import Wakeups

T = TypeVar("T")

SLOT_MARGIN = 0.1
"""10 %: reserved slots are so much further apart than the rate allows, as a server counts requests when they arrive."""

MAX_RECORDED_AT_CLOSE = 200
"""200 jobs: how many unfinished jobs are recorded when a batch closes. The history keeps no more of a kind."""

ACCEPTED_AT_ONCE = 100
"""100 jobs: how many are read before other tasks run, as a list of thousands must not delay the requests."""

LIMIT_CHECK_SECONDS = 0.05
"""50 ms: how soon a batch notices that a deadline has passed, its client was closed, or `cancel` was set."""

SOURCE_WAIT_SECONDS, MAX_SOURCE_WAITS = 0.1, 5
"""0.1 s, at most 5 times: how long a batch that is cancelled at its start waits for the jobs that its source yields."""

TRIAL_SECONDS = 0.5
"""0.5 s: no trial if the time left is so close to what single requests need, as it takes the place of one."""

CONTROL_FLOW = (asyncio.CancelledError, GeneratorExit, StopIteration, StopAsyncIteration)
"""Exceptions that Python interprets as the end of a task or of an iteration."""


class PlannedRequest(NamedTuple):
    """The next request of a worker.

    Attributes:
        batch_jobs: The jobs to check. Several share a bulk request.
        permit: The rate-limit permit of the request; None without a rate limit.
        is_trial: True for a bulk request that only tests the route, as in `BulkAvailability`. Its jobs are checked
            singly.
    """

    batch_jobs: Sequence[BatchJob]
    permit: Permit | None
    is_trial: bool


class BatchRunner:
    """Polls the jobs of a batch, from the source to their results.

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
        self._waiting: dict[Hashable, BatchJob] = {}
        self._results = Results(max(options.max_in_flight, len(source) if isinstance(source, Collection) else 0))
        self._clock = SharedClock(lambda: asyncio.get_running_loop().time())
        self._wakeups = Wakeups(self._clock)
        self._is_cancelled = False
        self._stop_reading = False
        self._is_closing = False
        self._failure: BaseException | None = None

    async def results(self) -> AsyncGenerator[tuple[int, JobResult], None]:
        """Yield the result of each job as it ends, with its position in the source.

        Raises:
            BaseException: The source or a function of the caller raised it. One of `CONTROL_FLOW` is the cause of a
                RuntimeError.
        """
        workers = int(min(self._context.transport.max_connections, self._options.max_in_flight))
        parts = [("reading jobs", self._read_source), ("ending jobs", self._enforce_limits)]
        parts += [("checking jobs", self._run_worker)] * workers
        tasks = [asyncio.ensure_future(self._run_part(name, part)) for name, part in parts]
        try:
            while True:
                while self._results.done:
                    result = self._results.take()
                    self._wakeups.room_freed.set()
                    yield result
                if self._failure is not None:
                    raise self._failure
                if self._stop_reading and not self._waiting and not self._results.done:
                    return
                await self._wakeups.changed.wait()
                self._wakeups.changed.clear()
        finally:
            self._is_closing = True
            try:
                await _cancel(tasks)
            finally:  # also if the caller is cancelled a second time
                for batch_job in islice(self._waiting.values(), MAX_RECORDED_AT_CLOSE):  # the history keeps no more
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
                self._failure = _as_runtime_error(name, error)
            self._wakeups.changed.set()

    async def _read_source(self) -> None:
        jobs = iterate(self._source)
        try:
            async for job in jobs:
                self._accept(job)
                if self._results.accepted % ACCEPTED_AT_ONCE == 0:
                    await yield_to_loop()
                while not self._has_room:
                    self._wakeups.room_freed.clear()
                    await self._wakeups.room_freed.wait()
                if self._stop_reading:
                    break
        finally:
            await jobs.aclose()
        self._stop_reading = True
        self._wakeups.changed.set()

    @property
    def _has_room(self) -> bool:
        """True if another job may be read. A cancelled batch reads a list to its end, regardless of `max_in_flight`."""
        is_ending = self._is_cancelled and (self._stop_reading or isinstance(self._source, Collection))
        return is_ending or self._results.in_flight < self._options.max_in_flight

    async def _enforce_limits(self) -> None:
        """End each job at its deadline, and all jobs once the client is closed or `cancel` is set."""
        cancel, has_begun = self._options.cancel, False
        while not (self._is_closing or self._context.transport.is_closed or (cancel is not None and cancel.is_set())):
            has_begun = True
            for batch_job in self._queue.pop_expired(self._clock.now()):
                self._finish(batch_job, batch_job.poller.requestor.timeout_error())
            await sleep_on_loop(LIMIT_CHECK_SECONDS)
        self._is_cancelled = True
        for batch_job in tuple(self._waiting.values()):
            self._finish(batch_job, batch_job.poller.requestor.cancelled_error())
        if not isinstance(self._source, Collection):
            if not has_begun:
                await self._until_source_blocks()
            self._stop_reading = True
        self._wakeups.room_freed.set()
        self._wakeups.changed.set()

    async def _until_source_blocks(self) -> None:
        """Wait until no job is read for `SOURCE_WAIT_SECONDS`, at most `MAX_SOURCE_WAITS` times.

        The source may be endless.
        """
        accepted = -1
        for _ in range(MAX_SOURCE_WAITS):
            if self._stop_reading or self._results.accepted == accepted:
                return
            accepted = self._results.accepted
            await sleep_on_loop(SOURCE_WAIT_SECONDS)

    async def _run_worker(self) -> None:
        while not self._is_closing:
            request = await self._next_request()
            if len(request.batch_jobs) == 1 or self._bulk is None:
                await self._check(request.batch_jobs[0], request.permit)
            else:
                await self._check_in_bulk(self._bulk, request)

    async def _next_request(self) -> PlannedRequest:
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

    def _plan_request(self, first: BatchJob, now: float) -> PlannedRequest:
        permit = self._limiter.acquire(now)
        is_trial = self._availability.may_try(now) and not self._needs_each_request()
        if self._bulk is None or (self._availability.is_suspended and not is_trial):
            return PlannedRequest([first], permit, is_trial=False)
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
        return PlannedRequest(batch_jobs, permit, is_trial)

    def _needs_each_request(self) -> bool:
        """Return True if the time left just suffices for one request per job. A trial would take the place of one."""
        return abs(self._spare_seconds(len(self._waiting))) < TRIAL_SECONDS

    async def _check(self, batch_job: BatchJob, permit: Permit | None) -> None:
        """Check one job by a request of its own."""
        batch_job.call_in_flight = True
        fault = None
        try:
            job = await self._with_permit(permit, batch_job.poller.send_status_request())
        except Fault as error:
            fault = error
        except TranslationClientError as error:
            self._finish(batch_job, error)
        else:
            batch_job.record_single_check()
            self._record_check(batch_job, job)
        if fault is not None:  # outside the handler, or a final error would have the fault as its `__context__`
            self._record_fault(batch_job, fault)
            self._limiter.record_failure(fault.status_code, fault.retry_after, batch_job.delay, self._clock.now())

    async def _check_in_bulk(self, bulk: BulkSpec, request: PlannedRequest) -> None:
        """Check several jobs by one bulk request. A failure does not count towards `max_faults` of any job."""
        stopwatch = Stopwatch(clock=self._clock)
        text = error_messages.statuses_text(len(request.batch_jobs))
        requestor = Requestor(self._context, text, timeout=math.inf, cancel=None, stopwatch=stopwatch)
        bulk_request = BulkRequest(requestor, bulk, [batch_job.job_id for batch_job in request.batch_jobs])
        seconds = math.inf if request.is_trial else self._response_timeout(request.batch_jobs, stopwatch.began_at)
        try:
            response, jobs = await self._with_permit(
                request.permit,
                bulk_request.send(Deadline(stopwatch.began_at + seconds, stopwatch)),
            )
        except CallCancelled:  # if the jobs were put back, they would be checked again and again
            for batch_job in request.batch_jobs:
                self._finish(batch_job, batch_job.poller.requestor.cancelled_error())
        except BulkFailed as failed:
            suspended = self._availability.record_failure(failed, self._clock.now(), is_trial=request.is_trial)
            requestor.log.log_failure(failed.fault, suspended)
            self._throttle_after(failed.fault, is_trial=request.is_trial)
            if not request.is_trial:
                self._put_back(request.batch_jobs)
        else:
            self._availability.record_response(response.seconds, is_trial=request.is_trial)
            if not request.is_trial:
                self._apply_bulk_response(request.batch_jobs, response, jobs)

    def _throttle_after(self, fault: Fault, *, is_trial: bool) -> None:
        """Pause all jobs after a 429 to a bulk request, or only lower the rate if the request was a trial.

        Single requests succeed during a trial, and a server that limits only bulk requests would stall them repeatedly. Any
        other failure, including a 503 with `Retry-After`, concerns only the bulk route, and the jobs are checked singly at
        once.
        """
        if fault.status_code != TOO_MANY_REQUESTS:
            return
        now = self._clock.now()
        if is_trial:
            self._limiter.throttle(now)
        else:
            self._limiter.record_failure(fault.status_code, fault.retry_after, FAULT_DELAY_SECONDS, now)

    def _response_timeout(self, batch_jobs: Sequence[BatchJob], now: float) -> float:
        """Return how many seconds to wait for a bulk response so that each job can still be checked singly afterwards."""
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
                checked = batch_job.poller.record_bulk_status(response, job, MAX_PAUSE_SECONDS)
                self._record_check(batch_job, checked)

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
            key = wait_key(job, require_id(job, self._context.service))
            waiting = self._waiting.get(key)
        except (TypeError, ValueError) as error:  # a source may yield anything, and the other jobs are still waited for
            message = self._context.redactor.redact_id(f"nothing was sent: {error}")
            value = job_id_of(job)
            job_id_text = None if value is None else text_of(value)
            self._put_result(position, RequestFailed(message, job_id=job_id_text, may_have_been_accepted=False))
            return
        if waiting is not None:
            waiting.positions.append(position)
        elif (result := self._results.get(key)) is not None:
            self._put_result(position, result)
        else:
            self._start_job(job, key, position)

    def _start_job(self, job: Job | str, key: Hashable, position: int) -> None:
        stopwatch = Stopwatch(clock=self._clock)
        poller = Poller(self._context, job, self._options.timeout, None, stopwatch, self._options.features)
        try:
            batch_job = BatchJob(poller, key, position, self._clock.now())
        except TranslationClientError as error:  # the client is closed
            self._put_result(position, error)
            return
        self._waiting[key] = batch_job
        seconds = self._seconds_until_check(batch_job, None, batch_job.delay)
        batch_job.due_at = batch_job.was_due_at = self._clock.now() + seconds
        self._queue.add(batch_job)
        if self._is_cancelled:
            self._finish(batch_job, poller.requestor.cancelled_error())
        self._wakeups.wake_at(self._next_request_at())

    def _seconds_until_check(self, batch_job: BatchJob, job: Job | None, delay: float) -> float:
        """Return the seconds until the next check of a job.

        This is `delay`, unless more last checks are due together than the rate limit allows. Then the job gets one
        extra check before its last one, and its last check may come later than those of the other jobs.

        Args:
            batch_job: The job.
            job: The pending job as last checked; None before the first check.
            delay: The seconds until the next check of this job in a wait without other jobs.
        """
        if not batch_job.is_before_last_check():
            return delay
        margin = margin_before_deadline(self._options.timeout) / 2  # the other half is for late requests
        if batch_job.had_extra:
            return delay if self._has_bulk_responses else delay + margin
        now = self._clock.now()
        reserved_at = self._last_checks.reserve(now, now + delay + margin)
        return delay if reserved_at is None else batch_job.insert_extra_check(job, reserved_at - now)

    def _is_waiting(self, batch_job: BatchJob) -> bool:
        """Return True if the job has not ended meanwhile."""
        return self._waiting.get(batch_job.key) is batch_job

    def _put_back(self, batch_jobs: Sequence[BatchJob]) -> None:
        """Put jobs back into the queue, due when they were due before."""
        for batch_job in batch_jobs:
            if self._is_waiting(batch_job):
                self._queue.reschedule(batch_job, batch_job.was_due_at)
        self._wakeups.wake_at(self._next_request_at())

    def _reschedule(self, batch_job: BatchJob, delay: float) -> None:
        if self._is_waiting(batch_job):
            self._queue.reschedule(batch_job, self._clock.now() + delay)
            self._wakeups.wake_at(self._next_request_at())

    def _finish(self, batch_job: BatchJob, result: JobResult) -> None:
        if not self._is_waiting(batch_job):
            return
        del self._waiting[batch_job.key]
        self._queue.remove(batch_job)
        # Waiting for another process to write would delay the other jobs.
        batch_job.poller.record_duration(lock_timeout=0.0)
        self._results.store(batch_job.key, result)
        for position in batch_job.positions:
            self._put_result(position, result)

    def _put_result(self, position: int, result: JobResult) -> None:
        self._results.done.append((position, result))
        self._wakeups.changed.set()


async def _cancel(tasks: Sequence[asyncio.Future[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _as_runtime_error(name: str, error: BaseException) -> BaseException:
    if not isinstance(error, CONTROL_FLOW):
        return error
    raised = RuntimeError(f"{type(error).__name__} was raised while {name}, although the batch was not cancelled")
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
