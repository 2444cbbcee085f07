"""Wait for one job: check it until it is final or a limit is reached."""

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
from .._models import Fault, Job, Response, redacted, reported_duration, shown_text, to_local_time
from .._transports.base import CancelEvent
from . import error_messages
from .context import ClientContext
from .requestor import Requestor, run_sync

if TYPE_CHECKING:
    from ..schedule.learner import WaitRecorder


PATIENCE_SECONDS = 0.1
"""How long the end of a wait waits for other processes that write to the history; not at all, where it was cancelled."""


class Poller:
    """One wait for one job, from its first call to its end. For one thread or task at a time, and for one use."""

    def __init__(
        self,
        context: ClientContext,
        job: Job | str | None,
        timeout: float,
        cancel: CancelEvent | None,
        watch: Stopwatch | None = None,
        said: JobFeatures = NO_FEATURES,
    ) -> None:
        """Start to count the elapsed time, or go on with a `watch` that was started before; nothing is sent yet.

        Raises:
            ValueError: The id cannot be one.
        """
        self._known = job if isinstance(job, Job) else None
        job_id = job.id if isinstance(job, Job) else job
        self._request = context.service.status_request(job_id)
        self._context = context
        self._requestor = Requestor(
            context,
            error_messages.status_text(job_id),
            timeout=timeout,
            cancel=cancel,
            job_id=job_id,
            watch=watch,
        )
        known_moment = None if self._known is None else self._known.submitted_at
        self._submitted_at = known_moment if said.submitted_at is None else said.submitted_at
        self._expected = None if self._known is None else self._known.expected_seconds
        self._learned = self._begin_learning(said)

    @property
    def attempts(self) -> int:
        """The HTTP calls that were made."""
        return self._requestor.progress.attempts

    async def ask(self) -> Job:
        """Make one call; raises as `Requestor.call`."""
        return self._saw(*await self._requestor.send(self._request, self._read))

    def take(self, response: Response, job: Job) -> Job:
        """Take over what an answer about many jobs says of this one."""
        progress = self._requestor.progress
        progress.attempts += 1
        progress.answered(response)
        progress.hint = self._requestor.hint_in(response)
        return self._saw(response, job)

    @property
    def job_id(self) -> str | None:
        """The id of the job."""
        return self._requestor.progress.job_id

    @property
    def deadline(self) -> Deadline:
        """When the wait is over."""
        return self._requestor.progress.deadline

    def fault_retries(self) -> Retrying:
        """Return the policy by which a failed call is repeated."""
        return self._requestor.fault_retries()

    def log_fault(self, fault: Fault, sleep_seconds: float) -> None:
        """Log a fault that is not counted, and the sleep before the next check."""
        self._requestor.log.failed(fault, sleep_seconds)

    @property
    def seconds_until_last_check(self) -> float:
        """The seconds until the last check before the deadline has to start; 0 if it is too late for one."""
        return _polling.seconds_until_last_check(self._requestor.progress)

    @property
    def has_retry_limit(self) -> bool:
        """True if the number of checks of a pending job is limited."""
        return self.may_end_after(math.inf)

    def may_end_after(self, checks: float) -> bool:
        """Return whether so many checks of a pending job may be all, by `max_retries` or by the caller's `stop`."""
        return self._context.stop is not None or checks > self._context.policy.max_retries

    def timed_out(self) -> WaitTimeout:
        """Say that the time was up before there was an opportunity to ask."""
        return self._requestor.log.ended(
            "timeout", error_messages.wait_timeout(self._requestor.purpose, self._requestor.progress)
        )

    def cancelled(self) -> WaitCancelled:
        """Say that it was ended from outside."""
        return self._requestor.log.ended(
            "cancelled", error_messages.wait_cancelled(self._requestor.purpose, self._requestor.progress)
        )

    async def check(self) -> Job:
        """Ask once, its failed calls repeated."""
        return await self._requestor.retry_faults(self.ask)

    async def until_final(self) -> Job:
        """Ask until the job is final."""
        try:
            await self._sleep_first()
            return await _polling.step_until_final(self.check, self.retries(), self._requestor.sleep)
        finally:
            self.learn()

    def each(self) -> AsyncIterator[Job]:
        """Ask until the job is final, and hand out each answer; the clock has been started."""
        return self._each(_polling.RetryStepper())

    async def _each(self, stepper: _polling.RetryStepper) -> AsyncIterator[Job]:
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
            self.learn()

    def retries(self) -> Retrying:
        """Return the policy by which a pending job is checked again."""
        return _polling.retrying_of(self._declare_poll())

    def _declare_poll(
        self, check: Callable[[], Job] = _polling.not_called, sleep: Callable[[int | float], None] = _polling.not_called
    ) -> Callable[[], Job]:
        return _polling.declare_poll(
            check,
            is_pending=_is_pending,
            state=self._requestor.progress,
            policy=self._context.policy,
            max_retries=self._context.policy.max_retries,
            schedule=self._context.schedule if self._learned is None else self._learned.pace,
            stop=self._context.stop,
            before_sleep=self._requestor.log.sleeping_in,
            give_up=self._end_for_limits,
            sleep=sleep,
        )

    def first_pause(self) -> float:
        """Say for how many seconds not even the first question pays, and log it."""
        if self._learned is None:
            return 0.0
        self._requestor.end_if_cancelled()
        state = self._requestor.progress
        seconds = _polling.limited_sleep(state, self._learned.first_pause(), "schedule")
        if seconds > 0:
            self._requestor.log.sleeping(0, seconds, state.sleep_reason)
        return seconds

    def learn(self, patience: float = PATIENCE_SECONDS) -> None:
        """Remember what was seen of how long the job took. While an exception goes by, it is told from it."""
        if self._learned is not None:
            kind = sys.exc_info()[0]
            is_hurried = self._requestor.is_cancelled() or not (kind is None or issubclass(kind, Exception))
            self._learned.end(0.0 if is_hurried else patience)

    async def _sleep_first(self) -> None:
        seconds = self.first_pause()
        if seconds > 0:
            await self._requestor.sleep(seconds)

    def _begin_learning(self, said: JobFeatures) -> WaitRecorder | None:
        if self._context.learning is None or (self._known is not None and self._known.status.is_final):
            return None
        from ..schedule.model import Traits  # needed where a schedule learns alone

        traits = Traits(said.kind, said.video_seconds, self._expected)
        return self._context.learning.begin(
            traits, self._submitted_at, self._requestor.log, self._requestor.progress.watch
        )

    def _read(self, response: Response) -> Job:
        language = None if self._known is None else self._known.language
        return self._context.service.read_status(response, self._requestor.progress.job_id, language)

    def _saw(self, response: Response, answered: Job) -> Job:
        progress = self._requestor.progress
        job = Job(  # whole, as `replace` would look every field up: it takes a tenth of what reading an answer takes
            id=answered.id,
            status=answered.status,
            raw_status=answered.raw_status,
            progress=answered.progress,
            result_url=answered.result_url,
            error=answered.error,
            retry_after=progress.hint,
            checks=progress.checks + 1,
            elapsed=progress.elapsed,
            payload=answered.payload,
            language=answered.language,
            expected_seconds=self._expected if answered.expected_seconds is None else answered.expected_seconds,
            submitted_at=to_local_time(answered.submitted_at, response)
            if self._submitted_at is None
            else self._submitted_at,
            finished_at=to_local_time(answered.finished_at, response),
        )
        job = redacted(job, progress.secrets, self._context.service.knows)
        progress.saw(job)
        if self._learned is not None:
            self._learned.saw(job, response.seconds, reported_duration(answered))
        self._log_answer(job, response)
        return job

    def _end_for_limits(self, _: RetryCallState) -> NoReturn:
        requestor = self._requestor
        requestor.end_if_cancelled()
        if _polling.is_too_late_for_a_check(requestor.progress):
            raise requestor.log.ended("timeout", error_messages.wait_timeout(requestor.purpose, requestor.progress))
        raise requestor.log.ended("retries", error_messages.retries_exhausted(requestor.purpose, requestor.progress))

    def _log_answer(self, job: Job, response: Response) -> None:
        log, progress, word = self._requestor.log, self._requestor.progress, shown_text(job, "raw_status")
        log.write(
            "status_checked",
            attempt=progress.attempts,
            status=str(job.status),
            raw_status=word,
            progress=job.progress,
            elapsed_seconds=job.elapsed,
            request_seconds=response.seconds,
        )
        if not self._context.service.knows(job.raw_status) and progress.is_new_word(word):
            log.write("unknown_status", raw_status=word)
        if job.status.is_final:
            log.write(
                "job_finished",
                status=str(job.status),
                raw_status=word,
                attempts=progress.attempts,
                elapsed_seconds=job.elapsed,
            )

    def until_final_blocking(self) -> Job:
        """Ask until the job is final."""
        try:
            run_sync(self._sleep_first())
            return self._declare_poll(self._check_blocking(), self._sleep)()
        finally:
            self.learn()

    def each_blocking(self) -> Iterator[Job]:
        """Ask until the job is final, and hand out each answer."""
        return self._each_blocking(_polling.each_answer(self._check_blocking(), self.retries(), self._sleep))

    def _each_blocking(self, answers: Iterator[Job]) -> Iterator[Job]:
        try:
            run_sync(self._sleep_first())
            yield from answers
        finally:
            self.learn()

    def _check_blocking(self) -> Callable[[], Job]:
        return _polling.retry_faults(
            lambda: run_sync(self.ask()), lambda call: self._requestor.declare_fault_retries(call, self._sleep)
        )

    def _sleep(self, seconds: float) -> None:
        run_sync(self._requestor.sleep(seconds))


def _is_pending(job: Job) -> bool:
    return not job.status.is_final
