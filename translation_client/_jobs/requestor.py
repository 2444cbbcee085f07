"""One request with its repeats after faults, its log lines, and its final error, whatever it is for."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, NamedTuple, NoReturn, TypeVar

from tenacity import RetryCallState, Retrying, stop_after_delay

from .. import _polling
from .._auth import Redactor
from .._clock import Stopwatch
from .._models import Fault, MissingField, Refusal, Request, Response, SubmissionRejected, WrongJob, parse_retry_after
from .._polling import CallState
from .._transports.base import CancelEvent
from .._transports.cancel_scope import CallAborted, CallCancelled, RequestNotSent
from .._transports.decoding import Sink
from . import error_messages
from .call_log import CallLog
from .context import ClientContext
from .error_messages import ErrorText

T = TypeVar("T")


class RequestSafety(NamedTuple):
    """What a call may do beside answering.

    Attributes:
        makes_job: Whether a job may come of it.
        is_repeatable: Whether two of it do no more than one.
    """

    creates_job: bool
    is_idempotent: bool


SAFE_REQUEST = RequestSafety(creates_job=False, is_idempotent=True)


class Requestor:
    """The calls of one errand. For one thread at a time, and for one use."""

    def __init__(
        self,
        context: ClientContext,
        purpose: ErrorText,
        *,
        timeout: float,
        cancel: CancelEvent | None,
        job_id: str | None = None,
        secrets: Redactor | None = None,
        watch: Stopwatch | None = None,
    ) -> None:
        """Start to count the elapsed time, or go on with a `watch` that was started before; nothing is sent yet."""
        self.context = context
        self.progress = CallState(job_id, timeout, secrets or context.secrets, watch)
        self._purpose = purpose
        self.progress.base_url = context.transport.base_url
        self.log = CallLog(context.logger, job_id, self.progress)
        self._cancel = cancel

    @property
    def purpose(self) -> ErrorText:
        """The purpose, with the id of the job as texts show it."""
        return self._purpose if self._purpose.of_job is None else self._purpose.of_job(self.progress.shown_id)

    async def retry_faults(self, call: Callable[[], Awaitable[T]]) -> T:
        """Await a call, and again after a fault."""
        return await _polling.step_through_faults(call, self.fault_retries, self.sleep)

    def fault_retries(self) -> Retrying:
        """Return the policy by which a failed call is repeated."""
        return _polling.retrying_of(self.declare_fault_retries())

    def declare_fault_retries(
        self, call: Callable[[], T] = _polling.not_called, sleep: Callable[[int | float], None] = _polling.not_called
    ) -> Callable[[], T]:
        """Declare how a failed call is repeated."""
        return _polling.declare_fault_retries(
            call,
            state=self.progress,
            policy=self.context.policy,
            before_sleep=self.log.failed_in,
            give_up=self._end_for_faults,
            sleep=sleep,
        )

    async def until_final(self, call: Callable[[], Awaitable[T]], is_pending: Callable[[T], bool]) -> T:
        """Call, and again after faults, until the answer is final; by the backoff of the policy.

        A transfer may have no deadline. What is pending before it or after it has one: the time of a wait.

        Raises:
            WaitTimeout: The time was up.
        """
        # The caller's `wait` is a schedule for jobs, and may look at the one that was seen: here there is none.
        is_endless = math.isinf(self.progress.timeout)
        longest = self.context.policy.timeout if is_endless else math.inf
        poll = _polling.declare_poll(
            is_pending=is_pending,
            state=self.progress,
            policy=self.context.policy,
            max_retries=math.inf,
            schedule=None,
            stop=stop_after_delay(self.context.policy.timeout) if is_endless else None,
            before_sleep=self.log.sleeping_in,
            give_up=self._end_for_time,
            longest=longest,
            since=self.progress.elapsed,
        )
        retrying = _polling.retrying_of(poll)
        return await _polling.step_until_final(lambda: self.retry_faults(call), retrying, self.sleep)

    def _end_for_time(self, _: RetryCallState) -> NoReturn:
        self.end_if_cancelled()
        raise self.log.ended("timeout", error_messages.wait_timeout(self.purpose, self.progress))

    async def send(
        self,
        request: Request,
        read: Callable[[Response], T],
        *,
        safety: RequestSafety = SAFE_REQUEST,
        sink: Sink | None = None,
    ) -> tuple[Response, T]:
        """Make one call; the answer, and what was made of it.

        Raises:
            Fault: It may be repeated.
            TranslationClientError: It may not.
        """
        self.end_if_cancelled()
        progress = self.progress
        progress.attempts += 1
        progress.asked_url = self.context.transport.url_of(request)
        # A late response to an earlier request may arrive on a kept connection. Status checks compare the id in it, if it
        # has one. Elsewhere it would be believed: as the job, upload or deletion of another call, or as another job's file.
        is_fresh = safety.creates_job or request.method != "GET" or sink is not None
        try:
            response = await self.context.transport.send(
                request, progress.deadline, self.is_cancelled, sink, is_fresh=is_fresh
            )
            progress.answered(response)
            value = read(response)
        except (CallAborted, Refusal, MissingField, Fault) as failure:
            ended = self._what_it_is(failure, safety)
        except RequestNotSent as unsent:
            ended = unsent.cause
        except BaseException:  # of the caller's: an adapter, a hook, an interrupt
            progress.may_have_been_accepted |= safety.creates_job
            raise
        else:
            progress.hint = self.hint_in(response)
            return response, value
        raise ended  # out of the handlers: what is raised in one takes along what was caught, with all that it holds

    async def send_with_retries(self, operation: str, request: Request, read: Callable[[Response], T]) -> T:
        """Send a request, again after faults, log its response as that of `operation`, and return what `read` makes of it."""
        response, value = await self.retry_faults(lambda: self.send(request, read))
        self.log.answered(operation, response)
        return value

    def _what_it_is(self, failure: CallAborted | Refusal | MissingField | Fault, safety: RequestSafety) -> Exception:
        progress = self.progress
        if isinstance(failure, Fault):
            return self._failed(failure, safety)
        if isinstance(failure, CallAborted):
            progress.may_have_been_accepted |= safety.creates_job and failure.was_sent
            return self._cut(failure, safety)
        if isinstance(failure, MissingField):
            progress.may_have_been_accepted |= safety.creates_job
            return self.log.ended("unexpected", error_messages.missing_field(self.purpose, progress, failure))
        progress.may_have_been_accepted &= not isinstance(failure, SubmissionRejected)
        progress.hint = self.hint_in(failure.response)
        return self.log.ended("refused", error_messages.refused(self.purpose, progress, failure))

    def _cut(self, cut: CallAborted, safety: RequestSafety) -> Exception:
        """What a call that was ended is: the end of the errand, or a fault of the server."""
        if isinstance(cut, CallCancelled):
            return self.log.ended("cancelled", error_messages.wait_cancelled(self.purpose, self.progress))
        if self.progress.deadline.has_passed:
            return self.log.ended("timeout", error_messages.wait_timeout(self.purpose, self.progress))
        fault = Fault("timeout", f"no answer within {self.context.policy.request_timeout:g} s")
        fault.was_sent = cut.was_sent
        return self._failed(fault, safety)

    def _failed(self, fault: Fault, safety: RequestSafety) -> Exception:
        """What a fault is: to be repeated, or the end where that might do a thing twice."""
        if fault.response is not None:
            self.progress.learn_keys(fault.response)
            fault.hint = self.hint_in(fault.response)
        if isinstance(fault, WrongJob):
            self.context.transport.close_idle()  # the connection is among them, and its next response may be out of step too
            fault.name_jobs(self.progress.secrets.shown_id)
        self.progress.saw_fault(fault)
        is_done = safety.creates_job and fault.may_be_done
        self.progress.may_have_been_accepted |= is_done
        if not is_done or safety.is_idempotent:
            return fault
        error = error_messages.faults_exhausted(self.purpose, self.progress, fault, 1)
        error.__cause__ = _cause_of(fault)
        return self.log.ended("faults", error)

    def hint_in(self, response: Response) -> float | None:
        """Read the seconds that an answer asks to be left alone; None where there are none, or they make no sense."""
        try:
            return parse_retry_after(response.headers)
        except ValueError:
            self.log.write("retry_after_ignored", value=self.progress.secrets.shown(response.headers["Retry-After"]))
            return None

    def _end_for_faults(self, state: RetryCallState) -> NoReturn:
        self.end_if_cancelled()
        progress = self.progress
        fault = _polling.fault_in(state)
        if _polling.retry_after_exceeds_deadline(progress, fault):
            raise self.log.ended(
                "timeout", error_messages.wait_timeout(self.purpose, progress, fault.hint)
            ) from _cause_of(fault)
        if progress.deadline.has_passed or state.attempt_number < self.context.policy.max_faults:
            raise self.log.ended("timeout", error_messages.wait_timeout(self.purpose, progress)) from _cause_of(fault)
        error = error_messages.faults_exhausted(self.purpose, progress, fault, state.attempt_number)
        raise self.log.ended("faults", error) from _cause_of(fault)

    def end_if_cancelled(self) -> None:
        """Raise `WaitCancelled` if somebody wants that."""
        if self.is_cancelled():
            raise self.log.ended("cancelled", error_messages.wait_cancelled(self.purpose, self.progress))

    def is_cancelled(self) -> bool:
        """Whether somebody wants it to end."""
        return self.context.transport.is_closed or (self._cancel is not None and self._cancel.is_set())

    async def sleep(self, seconds: float) -> None:
        """Let time pass, until somebody wants it to end."""
        await self.context.transport.sleep(seconds, self._cancel, self.progress.watch)
        self.end_if_cancelled()


def _cause_of(fault: Fault) -> BaseException:
    """What is shown as the cause: the exception below, or the fault without the answer that it holds."""
    return fault.__cause__ or Fault(fault.kind, fault.text)


def run_sync(errand: Coroutine[Any, Any, T]) -> T:
    """Run an errand that blocks to its end."""
    try:
        errand.send(None)
    except StopIteration as finished:
        value: T = finished.value
        return value
    errand.close()
    raise RuntimeError("an errand that blocks was suspended")
