"""The wait for one job, which is checked until it is final or a limit is reached."""

from __future__ import annotations

import math
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from typing import TYPE_CHECKING, NoReturn

from tenacity import RetryCallState, Retrying

from .. import _polling
from .._clock import Deadline, Stopwatch
from .._config import NO_FEATURES, JobFeatures
from .._exceptions import WaitCancelled, WaitTimeout
from .._models import Fault, Job, Response, job_id_of, redacted, reported_duration, shown_text, to_local_time
from .._transports.base import CancelEvent
from . import error_messages
from .context import ClientContext
from .requestor import Requestor, run_sync

if TYPE_CHECKING:
    from ..schedule.learner import WaitRecorder


LOCK_TIMEOUT_SECONDS = 0.1
"""100 ms: how long the end of a wait waits for the lock of the history, unless the wait was cancelled."""


class Poller:
    """One wait for one job, from the first check to the end. For one thread or task at a time, and for one use."""

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
        self._known = job if isinstance(job, Job) else None
        job_id = job_id_of(job)
        self._request = context.service.status_request(job_id)
        self._context = context
        self._requestor = Requestor(
            context,
            error_messages.status_text(job_id),
            timeout=timeout,
            cancel=cancel,
            job_id=job_id,
            stopwatch=stopwatch,
        )
        known_submitted_at = None if self._known is None else self._known.submitted_at
        self._submitted_at = known_submitted_at if features.submitted_at is None else features.submitted_at
        self._expected = None if self._known is None else self._known.expected_seconds
        self._recorder = self._new_recorder(features)

    @property
    def attempts(self) -> int:
        """The number of requests so far."""
        return self._requestor.state.attempts

    async def check_once(self) -> Job:
        """Send one status request. Raises as `Requestor.send`."""
        return self._record(*await self._requestor.send(self._request, self._read))

    def accept_bulk(self, response: Response, job: Job) -> Job:
        """Record the status of this job from a bulk response."""
        state = self._requestor.state
        state.attempts += 1
        state.record_response(response)
        state.retry_after = self._requestor.retry_after_of(response)
        return self._record(response, job)

    @property
    def job_id(self) -> str | None:
        """The id of the job."""
        return self._requestor.state.job_id

    @property
    def deadline(self) -> Deadline:
        """The deadline of the wait."""
        return self._requestor.state.deadline

    def fault_retries(self) -> Retrying:
        """Return the policy by which a failed request is retried."""
        return self._requestor.fault_retries()

    def log_fault(self, fault: Fault, sleep_seconds: float) -> None:
        """Log a fault that does not count towards `max_faults`, and the sleep before the next check."""
        self._requestor.log.failed(fault, sleep_seconds)

    @property
    def seconds_until_last_check(self) -> float:
        """Seconds until the last check before the deadline has to start, or 0 if it is too late for one."""
        return _polling.seconds_until_last_check(self._requestor.state)

    @property
    def has_retry_limit(self) -> bool:
        """True if the number of checks of a pending job is limited."""
        return self.may_end_after(math.inf)

    def may_end_after(self, checks: float) -> bool:
        """Return True if `max_retries` or the caller's `stop` may end the wait after this number of pending checks."""
        return self._context.stop is not None or checks > self._context.policy.max_retries

    def timed_out(self) -> WaitTimeout:
        """Log and return the error of a wait whose deadline has passed."""
        return self._requestor.log.ended(
            "timeout", error_messages.wait_timeout(self._requestor.error_text, self._requestor.state)
        )

    def cancelled(self) -> WaitCancelled:
        """Log and return the error of a wait that was cancelled."""
        return self._requestor.log.ended(
            "cancelled", error_messages.wait_cancelled(self._requestor.error_text, self._requestor.state)
        )

    async def check(self) -> Job:
        """Check the status, with retries after faults."""
        return await self._requestor.retry_faults(self.check_once)

    async def until_final(self) -> Job:
        """Check until the job is final, and return it."""
        try:
            await self._sleep_first()
            return await _polling.step_until_final(self.check, self.retries(), self._requestor.sleep)
        finally:
            self.record_duration()

    def updates(self) -> AsyncIterator[Job]:
        """Check until the job is final, and yield the job after each check. The time runs from this call."""
        return self._updates(_polling.RetryStepper())

    async def _updates(self, stepper: _polling.RetryStepper) -> AsyncIterator[Job]:
        retrying = self.retries()
        try:
            await self._sleep_first()
            while True:
                job = await self.check()
                yield job
                seconds = stepper.sleep_after(job, retrying)
                if seconds is None:
                    return
                await self._requestor.sleep(seconds)
        finally:
            self.record_duration()

    def retries(self) -> Retrying:
        """Return the policy by which a pending job is checked again."""
        return _polling.retrying_of(self._declare_poll())

    def _declare_poll(
        self, check: Callable[[], Job] = _polling.not_called, sleep: Callable[[int | float], None] = _polling.not_called
    ) -> Callable[[], Job]:
        return _polling.declare_poll(
            check,
            is_pending=_is_pending,
            state=self._requestor.state,
            policy=self._context.policy,
            max_retries=self._context.policy.max_retries,
            schedule=self._context.schedule if self._recorder is None else self._recorder.strategy,
            stop=self._context.stop,
            before_sleep=self._requestor.log.sleeping_in,
            give_up=self._raise_limit_error,
            sleep=sleep,
        )

    def initial_delay(self) -> float:
        """Return the seconds to sleep before the first check by the learned schedule, and log the sleep.

        The sleep is 0 without a learned schedule.
        """
        if self._recorder is None:
            return 0.0
        self._requestor.raise_if_cancelled()
        state = self._requestor.state
        seconds = _polling.limited_sleep(state, self._recorder.initial_delay(), "schedule")
        if seconds > 0:
            self._requestor.log.sleeping(0, seconds, state.sleep_reason)
        return seconds

    def record_duration(self, lock_timeout: float = LOCK_TIMEOUT_SECONDS) -> None:
        """Record the observed duration of the job.

        Args:
            lock_timeout: Seconds to wait for the lock of the history. After a cancellation or an interrupt it is 0.
        """
        if self._recorder is not None:
            kind = sys.exc_info()[0]
            skip_lock_wait = self._requestor.is_cancelled() or not (kind is None or issubclass(kind, Exception))
            self._recorder.finish(0.0 if skip_lock_wait else lock_timeout)

    async def _sleep_first(self) -> None:
        seconds = self.initial_delay()
        if seconds > 0:
            await self._requestor.sleep(seconds)

    def _new_recorder(self, features: JobFeatures) -> WaitRecorder | None:
        if self._context.learner is None or (self._known is not None and self._known.status.is_final):
            return None
        known = features._replace(expected_seconds=self._expected, submitted_at=self._submitted_at)
        return self._context.learner.begin(known, self._requestor.log, self._requestor.state.stopwatch)

    def _read(self, response: Response) -> Job:
        language = None if self._known is None else self._known.language
        return self._context.service.read_status(response, self._requestor.state.job_id, language)

    def _record(self, response: Response, read: Job) -> Job:
        state = self._requestor.state
        submitted_at, finished_at = self._submitted_at, read.finished_at
        if submitted_at is None and read.submitted_at is not None:
            submitted_at = to_local_time(read.submitted_at, response)
        if finished_at is not None:
            finished_at = to_local_time(finished_at, response)
        job = Job(  # built directly, as `dataclasses.replace` takes a tenth of the time of reading a response
            id=read.id,
            status=read.status,
            raw_status=read.raw_status,
            progress=read.progress,
            result_url=read.result_url,
            error=read.error,
            retry_after=state.retry_after,
            checks=state.checks + 1,
            elapsed=state.elapsed,
            payload=read.payload,
            language=read.language,
            expected_seconds=self._expected if read.expected_seconds is None else read.expected_seconds,
            submitted_at=submitted_at,
            finished_at=finished_at,
        )
        is_known = self._context.service.is_known_status(job.raw_status)
        job = redacted(job, state.secrets, is_known=is_known)
        state.record_job(job)
        if self._recorder is not None:
            self._recorder.record_job(job, response.seconds, reported_duration(read))
        self._log_status(job, response, is_known=is_known)
        return job

    def _raise_limit_error(self, _: RetryCallState) -> NoReturn:
        requestor = self._requestor
        requestor.raise_if_cancelled()
        if _polling.is_too_late_for_a_check(requestor.state):
            raise requestor.log.ended("timeout", error_messages.wait_timeout(requestor.error_text, requestor.state))
        raise requestor.log.ended("retries", error_messages.retries_exhausted(requestor.error_text, requestor.state))

    def _log_status(self, job: Job, response: Response, *, is_known: bool) -> None:
        log, state, word = self._requestor.log, self._requestor.state, shown_text(job, "raw_status")
        log.write(
            "status_checked",
            attempt=state.attempts,
            status=str(job.status),
            raw_status=word,
            progress=job.progress,
            elapsed_seconds=job.elapsed,
            request_seconds=response.seconds,
        )
        if not is_known and state.add_unknown_status(word):
            log.write("unknown_status", raw_status=word)
        if job.status.is_final:
            log.write(
                "job_finished",
                status=str(job.status),
                raw_status=word,
                attempts=state.attempts,
                elapsed_seconds=job.elapsed,
            )

    def until_final_blocking(self) -> Job:
        """Check until the job is final, and return it."""
        try:
            run_sync(self._sleep_first())
            return self._declare_poll(self._check_blocking(), self._sleep)()
        finally:
            self.record_duration()

    def updates_blocking(self) -> Iterator[Job]:
        """Check until the job is final, and yield the job after each check."""
        return self._updates_blocking(_polling.each_result(self._check_blocking(), self.retries(), self._sleep))

    def _updates_blocking(self, jobs: Iterator[Job]) -> Iterator[Job]:
        try:
            run_sync(self._sleep_first())
            yield from jobs
        finally:
            self.record_duration()

    def _check_blocking(self) -> Callable[[], Job]:
        return _polling.retry_faults(
            lambda: run_sync(self.check_once()), lambda call: self._requestor.declare_fault_retries(call, self._sleep)
        )

    def _sleep(self, seconds: float) -> None:
        run_sync(self._requestor.sleep(seconds))


def _is_pending(job: Job) -> bool:
    return not job.status.is_final
