"""The wait for one job: checks its status until it is final or a limit is reached."""

from __future__ import annotations

import math
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, NoReturn

from tenacity import RetryCallState, Retrying

from .. import _polling
from .._clock import Stopwatch
from .._config import NO_FEATURES, JobFeatures
from .._models import Job, Response, job_id_of, redacted, reported_duration, shown_text, to_local_time
from .._transports.base import CancelEvent, run_sync
from . import error_messages
from .context import ClientContext
from .requestor import Requestor

if TYPE_CHECKING:
    from ..schedule.learner import WaitRecorder


RECORD_TIMEOUT_SECONDS = 0.1
"""100 ms: how long the end of a wait may take to get the lock of the history. A cancelled wait does not wait for it."""


class Poller:
    """One wait for one job, from the first check to the end. For one thread or task at a time, and for one use.

    Attributes:
        requestor: Sends the requests, and has the state and the log of the wait.
    """

    def __init__(
        self,
        context: ClientContext,
        job: Job | str | None,
        timeout: float,
        cancel: CancelEvent | None,
        stopwatch: Stopwatch | None = None,
        features: JobFeatures = NO_FEATURES,
    ) -> None:
        """Create the poller. Nothing is sent yet.

        Args:
            context: The context of the client.
            job: The job or its id; None for a service that has a single job without an id.
            timeout: Seconds for the whole wait.
            cancel: Ends the wait when it is set; None for no event.
            stopwatch: A running stopwatch; None to start one.
            features: The known features of the job, for a schedule that learns.

        Raises:
            ValueError: The id of the job is malformed.
        """
        self._given_job = job if isinstance(job, Job) else None
        job_id = job_id_of(job)
        self._request = context.service.status_request(job_id)
        self._context = context
        self.requestor = Requestor(
            context,
            error_messages.status_text(job_id),
            timeout=timeout,
            cancel=cancel,
            job_id=job_id,
            stopwatch=stopwatch,
        )
        known_submitted_at = None if self._given_job is None else self._given_job.submitted_at
        self._submitted_at = known_submitted_at if features.submitted_at is None else features.submitted_at
        self._language = None if self._given_job is None else self._given_job.language
        self._read_status = partial(context.service.read_status, job_id=job_id, language=self._language)
        self._expected_seconds = None if self._given_job is None else self._given_job.expected_seconds
        self._recorder = self._new_recorder(features)

    async def until_final(self) -> Job:
        """Check until the job is final, and return it."""
        try:
            await self._sleep_first()
            return await _polling.step_until_final(self.check, self.pending_retrying(), self.requestor.sleep)
        finally:
            self.record_duration()

    def until_final_blocking(self) -> Job:
        """Check until the job is final, and return it: the blocking form of `until_final`, in the loop of tenacity."""
        try:
            run_sync(self._sleep_first())
            poll = self._declare_poll(self._blocking_check(), self._blocking_sleep)
            return poll()
        finally:
            self.record_duration()

    async def updates(self) -> AsyncIterator[Job]:
        """Check until the job is final, and yield the job after each check."""
        stepper = _polling.RetryStepper(self.requestor.state.stopwatch.elapsed)  # `next` may come long after the call
        retrying = self.pending_retrying()
        try:
            await self._sleep_first()
            while True:
                job = await self.check()
                yield job
                seconds = stepper.delay_after(job, retrying)
                if seconds is None:
                    return
                await self.requestor.sleep(seconds)
        finally:
            self.record_duration()

    def updates_blocking(self) -> Iterator[Job]:
        """Check until the job is final, and yield the job after each check: the blocking form of `updates`."""
        stepper = _polling.RetryStepper(self.requestor.state.stopwatch.elapsed)  # `next` may come long after the call
        retrying, check = self.pending_retrying(), self._blocking_check()
        try:
            run_sync(self._sleep_first())
            while True:
                job = check()
                yield job
                seconds = stepper.delay_after(job, retrying)
                if seconds is None:
                    return
                self._blocking_sleep(seconds)
        finally:
            self.record_duration()

    async def check(self) -> Job:
        """Check the status, with retries after faults."""
        return await self.requestor.retry_faults(self.send_status_request)

    async def send_status_request(self) -> Job:
        """Send one status request without retries, and return the job. Raises what `Requestor.send` raises."""
        return self._record(*await self.requestor.send(self._request, self._read_status, new_connection=False))

    def pending_retrying(self) -> Retrying:
        """Return the `Retrying` for a pending job."""
        return _polling.retrying_of(self._declare_poll())

    def _declare_poll(
        self,
        check: Callable[[], Job] = _polling.placeholder,
        sleep: Callable[[int | float], None] = _polling.placeholder,
    ) -> Callable[[], Job]:
        return _polling.declare_poll(
            check,
            is_pending=_is_pending,
            state=self.requestor.state,
            policy=self._context.policy,
            max_retries=self._context.policy.max_retries,
            wait=self._context.wait if self._recorder is None else self._recorder.strategy,
            stop=self._context.stop,
            before_sleep=self.requestor.log.log_pending_sleep,
            retry_error_callback=self._on_pending_limit,
            sleep=sleep,
        )

    def _blocking_check(self) -> Callable[[], Job]:
        """Return a function that checks the status, with retries after faults."""
        return _polling.with_fault_retries(
            lambda: run_sync(self.send_status_request()),
            lambda call: self.requestor.declare_fault_retries(call, self._blocking_sleep),
        )

    def _blocking_sleep(self, seconds: float) -> None:
        run_sync(self.requestor.sleep(seconds))

    async def _sleep_first(self) -> None:
        seconds = self.initial_delay()
        if seconds > 0:
            await self.requestor.sleep(seconds)

    def initial_delay(self) -> float:
        """Log and return the sleep before the first check by the learned schedule, or 0 without one.

        Raises:
            WaitCancelled: The call was cancelled.
        """
        if self._recorder is None:
            return 0.0
        self.requestor.raise_if_cancelled()
        state = self.requestor.state
        seconds = _polling.limited_sleep(state, self._recorder.initial_delay(), "schedule")
        if seconds > 0:
            self.requestor.log.log_sleep(0, seconds, state.sleep_reason)
        return seconds

    def _record(self, response: Response, parsed: Job) -> Job:
        state = self.requestor.state
        submitted_at, finished_at = self._submitted_at, parsed.finished_at
        if submitted_at is None and parsed.submitted_at is not None:
            submitted_at = to_local_time(parsed.submitted_at, response)
        if finished_at is not None:
            finished_at = to_local_time(finished_at, response)
        job = Job(  # built directly, as `dataclasses.replace` takes a tenth of the time of reading a response
            id=parsed.id,
            status=parsed.status,
            raw_status=parsed.raw_status,
            progress=parsed.progress,
            result_url=parsed.result_url,
            error=parsed.error,
            retry_after=state.retry_after,
            checks=state.checks + 1,
            elapsed=state.stopwatch.elapsed,
            payload=parsed.payload,
            language=self._language or parsed.language,
            expected_seconds=self._expected_seconds if parsed.expected_seconds is None else parsed.expected_seconds,
            submitted_at=submitted_at,
            finished_at=finished_at,
        )
        is_known = self._context.service.is_known_status(job.raw_status)
        job = redacted(job, state.redactor, is_known=is_known)
        shown_status = shown_text(job, "raw_status")
        state.record_job(job, shown_status)
        if self._recorder is not None:
            self._recorder.record_job(job, response.seconds, reported_duration(parsed))
        self._log_status(job, shown_status, response, is_known=is_known)
        return job

    def _log_status(self, job: Job, shown_status: str, response: Response, *, is_known: bool) -> None:
        log, state = self.requestor.log, self.requestor.state
        log.write(
            "status_checked",
            attempt=state.attempts,
            status=job.status.value,
            raw_status=shown_status,
            progress=job.progress,
            elapsed_seconds=job.elapsed,
            request_seconds=response.seconds,
        )
        if not is_known and state.add_unknown_status(shown_status):
            log.write("unknown_status", raw_status=shown_status)
        if job.status.is_final:
            log.write(
                "job_finished",
                status=job.status.value,
                raw_status=shown_status,
                attempts=state.attempts,
                elapsed_seconds=job.elapsed,
            )

    def _on_pending_limit(self, _: RetryCallState) -> NoReturn:
        requestor = self.requestor
        requestor.raise_if_cancelled()
        requestor.state.may_check_again = False
        if _polling.is_too_late_for_a_check(requestor.state):
            raise requestor.timeout_error()
        raise requestor.log.gave_up("retries", error_messages.retries_exhausted(requestor.error_text, requestor.state))

    def _new_recorder(self, features: JobFeatures) -> WaitRecorder | None:
        if self._context.learner is None or (self._given_job is not None and self._given_job.status.is_final):
            return None
        known = features._replace(expected_seconds=self._expected_seconds, submitted_at=self._submitted_at)
        return self._context.learner.begin(known, self.requestor.log, self.requestor.state.stopwatch)

    def record_duration(self, lock_timeout: float = RECORD_TIMEOUT_SECONDS) -> None:
        """Record the duration of the job as far as it was observed, also if the job is still running.

        Args:
            lock_timeout: Seconds to wait for the lock of the history. Ignored after a cancellation or an interrupt:
                then 0.
        """
        if self._recorder is not None:
            kind = sys.exc_info()[0]
            skip_lock_wait = self.requestor.is_cancelled() or not (kind is None or issubclass(kind, Exception))
            self._recorder.finish(0.0 if skip_lock_wait else lock_timeout)

    @property
    def seconds_until_last_check(self) -> float:
        """Seconds until the last check that can get its response by the deadline has to start, or 0 if it is too late."""
        return _polling.seconds_until_last_check(self.requestor.state)

    @property
    def may_end_before_deadline(self) -> bool:
        """True if `max_retries` or the caller's `stop` may end the wait."""
        return self.may_end_after(math.inf)

    def may_end_after(self, checks: float) -> bool:
        """Return True if `max_retries` or the caller's `stop` may end the wait after this number of pending checks."""
        return _polling.may_end_after(checks, self._context.policy, self._context.stop)

    def record_bulk_status(self, response: Response, job: Job, max_retry_after: float) -> Job:
        """Record the status of this job from a bulk response.

        Args:
            response: The response.
            job: The job according to the response.
            max_retry_after: The longest `Retry-After` in seconds that counts, as that of the response is about all jobs.
                It does not apply if `max_retries` or the caller's `stop` may end the wait: an early check would use up
                one of the retries.
        """
        state = self.requestor.state
        state.attempts += 1
        state.record_response(response, is_bulk=True)
        state.retry_after = retry_after = self.requestor.read_retry_after(response)
        recorded = self._record(response, job)  # whose `retry_after` is what the service sent
        if retry_after is not None and not self.may_end_before_deadline:
            state.retry_after = min(retry_after, max_retry_after)
        return recorded


def _is_pending(job: Job) -> bool:
    return not job.status.is_final
