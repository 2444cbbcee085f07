"""How does one wait go? Here the service, the transport, the policy and the log of one job meet."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import NoReturn, TypeVar

from tenacity import RetryCallState

from . import endings, polling, strategies
from .clock import Deadline
from .errors import TranslationClientError
from .faults import Fault, Refusal
from .hints import read_retry_after
from .logs import EventLog
from .messages import Answer
from .models import Job
from .policy import WaitPolicy
from .progress import Progress
from .redaction import Secrets
from .services.service import Service
from .transport import CallCancelled, CallTimedOut, Transport

E = TypeVar("E", bound=TranslationClientError)

CANCEL_SLICE_SECONDS = 0.02
"""How soon a sleep sees that the caller's event was set. `close()` needs no slices: its event is slept on."""


@dataclass(frozen=True)
class Tools:
    """What all waits of a client share; none of it changes."""

    service: Service
    transport: Transport
    policy: WaitPolicy
    secrets: Secrets
    logger: object
    schedule: strategies.WaitStrategy | None
    stop: strategies.StopStrategy | None
    sleep: Callable[[float], object] | None
    closed: threading.Event


class Wait:
    """One wait for one job, from its first call to its end. For one thread at a time, and for one use."""

    def __init__(self, tools: Tools, job_id: str | None, timeout: float, cancel: threading.Event | None) -> None:
        """Start the clock; nothing is sent yet.

        Raises:
            ValueError: The id cannot be one.
        """
        self._tools = tools
        self._cancel = cancel
        self._request = tools.service.status_request(job_id)
        self._progress = Progress(job_id, tools.transport.base_url + self._request.path, timeout, tools.secrets)
        self._log = EventLog(tools.logger, os.urandom(6).hex(), job_id)
        self._check = polling.despite_faults(
            self._call,
            policy=tools.policy,
            progress=self._progress,
            hooks=polling.Hooks(self._sleep, self._log_fault, self._end_for_faults),
        )

    def check(self) -> Job:
        """Ask once, its failed calls repeated."""
        return self._check()

    def until_final(self) -> Job:
        """Ask until the job is final."""
        return self._declared()()

    def each(self) -> Iterator[Job]:
        """Ask until the job is final, and hand out each answer."""
        return polling.each_answer(self._declared())

    def _declared(self) -> Callable[[], Job]:
        pauses = strategies.PendingPauses(self._tools.policy, self._progress, self._tools.schedule)
        return polling.until_final(
            self._check,
            policy=self._tools.policy,
            progress=self._progress,
            pauses=pauses,
            stop=self._tools.stop,
            hooks=polling.Hooks(self._sleep, lambda state: self._log_sleep(state, pauses.reason), self._end_for_limits),
        )

    def _call(self) -> Job:
        self._end_if_cancelled()
        progress = self._progress
        progress.attempts += 1
        try:
            answer = self._tools.transport.send(self._request, progress.deadline, self._is_cancelled)
            progress.answered(answer)
            job = self._tools.service.read_status(answer, progress.job_id)
        except CallCancelled:
            ended: Exception = self._ended("cancelled", endings.cancelled(progress))
        except CallTimedOut:
            ended = self._cut()
        except Refusal as refusal:
            ended = self._ended("refused", endings.refused(progress, refusal))
        except Fault as fault:
            self._saw_fault(fault)
            raise
        else:
            return self._saw(job, answer)
        raise ended  # out of the handlers: what is raised in one takes along what was caught, with all that it holds

    def _cut(self) -> Exception:
        """What a call that ran out of time is: the end of the wait, or a fault of the server."""
        if self._progress.deadline.has_passed:
            return self._ended("timeout", endings.timed_out(self._progress))
        fault = Fault("timeout", f"no answer within {self._tools.policy.request_timeout:g} s")
        self._saw_fault(fault)
        return fault

    def _saw_fault(self, fault: Fault) -> None:
        if fault.answer is not None:
            fault.hint = self._hint(fault.answer)
        self._progress.saw_fault(fault)

    def _saw(self, answered: Job, answer: Answer) -> Job:
        progress, secrets = self._progress, self._tools.secrets
        is_known = self._tools.service.knows(answered.raw_status)
        job = replace(
            answered,
            raw_status=answered.raw_status if is_known else secrets.shown(answered.raw_status),
            error=answered.error and secrets.shown(answered.error),
            retry_after=self._hint(answer),
            checks=progress.checks + 1,
            elapsed=progress.elapsed,
        )
        progress.saw(job)
        self._log_answer(job, answer, is_known=is_known)
        return job

    def _hint(self, answer: Answer) -> float | None:
        try:
            return read_retry_after(answer.headers)
        except ValueError:
            self._log.write("hint_ignored", hint=self._tools.secrets.shown(answer.headers["Retry-After"]))
            return None

    def _end_for_limits(self, _: RetryCallState) -> NoReturn:
        self._end_if_cancelled()
        progress = self._progress
        if strategies.is_too_late_for_a_check(progress):
            raise self._ended("timeout", endings.timed_out(progress))
        raise self._ended("retries", endings.retries_exhausted(progress))

    def _end_for_faults(self, state: RetryCallState) -> NoReturn:
        self._end_if_cancelled()
        progress = self._progress
        fault = strategies.fault_of(state)
        if strategies.hint_outlasts_deadline(progress, fault):
            raise self._ended("timeout", endings.timed_out(progress, fault.hint)) from _cause_of(fault)
        if progress.deadline.has_passed or state.attempt_number < self._tools.policy.max_faults:
            raise self._ended("timeout", endings.timed_out(progress)) from _cause_of(fault)
        error = endings.faults_spent(progress, fault, state.attempt_number)
        raise self._ended("faults", error) from _cause_of(fault)

    def _end_if_cancelled(self) -> None:
        if self._is_cancelled():
            raise self._ended("cancelled", endings.cancelled(self._progress))

    def _is_cancelled(self) -> bool:
        return self._tools.closed.is_set() or (self._cancel is not None and self._cancel.is_set())

    def _sleep(self, seconds: float) -> None:
        if self._tools.sleep is not None:
            self._tools.sleep(seconds)
        elif self._cancel is None:
            self._tools.closed.wait(min(seconds, threading.TIMEOUT_MAX))
        else:
            self._sleep_on_two_events(Deadline.after(seconds), self._cancel)
        self._end_if_cancelled()

    def _sleep_on_two_events(self, end: Deadline, cancel: threading.Event) -> None:
        while not self._tools.closed.is_set() and end.left > 0:
            if cancel.wait(min(end.left, CANCEL_SLICE_SECONDS)):
                return

    def _ended(self, reason: str, error: E) -> E:
        self._log.write(
            "gave_up",
            reason=reason,
            status=self._progress.job and str(self._progress.job.status),
            attempts=error.attempts,
            elapsed_seconds=error.elapsed,
        )
        return error

    def _log_answer(self, job: Job, answer: Answer, *, is_known: bool) -> None:
        self._log.write(
            "status_checked",
            attempt=self._progress.attempts,
            status=str(job.status),
            raw_status=job.raw_status,
            progress=job.progress,
            elapsed_seconds=job.elapsed,
            request_seconds=answer.seconds,
        )
        if not is_known and self._progress.is_new_word(job.raw_status):
            self._log.write("unknown_status", raw_status=job.raw_status)
        if job.status.is_final:
            self._log.write(
                "job_finished",
                status=str(job.status),
                raw_status=job.raw_status,
                attempts=self._progress.attempts,
                elapsed_seconds=job.elapsed,
            )

    def _log_sleep(self, state: RetryCallState, reason: str) -> None:
        self._log.write(
            "sleeping",
            retry=state.attempt_number,
            sleep_seconds=state.upcoming_sleep,
            elapsed_seconds=self._progress.elapsed,
            reason=reason,
        )

    def _log_fault(self, state: RetryCallState) -> None:
        fault = strategies.fault_of(state)
        self._log.write(
            "check_failed",
            attempt=self._progress.attempts,
            fault=fault.kind,
            status_code=fault.status_code,
            error=fault.text,
            sleep_seconds=state.upcoming_sleep,
            elapsed_seconds=self._progress.elapsed,
        )


def _cause_of(fault: Fault) -> BaseException:
    """What is shown as the cause: the exception below, or the fault without the answer that it holds."""
    return fault.__cause__ or Fault(fault.kind, fault.text)
