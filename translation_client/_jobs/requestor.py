"""One request with its repeats after faults, its log lines, and its final error, whatever it is for."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, NamedTuple, NoReturn, TypeVar

from tenacity import RetryCallState, stop_after_delay

from .. import _polling
from .._auth import Secrets
from .._clock import Stopwatch
from .._models import Answer, Fault, FieldMissing, NothingMade, Refusal, Request, WrongJob, read_retry_after
from .._polling import Progress
from .._transports.base import Event
from .._transports.cancel_scope import CallCancelled, CallCut, NotSent
from .._transports.decoding import Sink
from . import error_messages
from .call_log import CallLog
from .context import Tools
from .error_messages import Purpose

T = TypeVar("T")


class Stakes(NamedTuple):
    """What a call may do beside answering.

    Attributes:
        makes_job: Whether a job may come of it.
        is_repeatable: Whether two of it do no more than one.
    """

    makes_job: bool
    is_repeatable: bool


NO_STAKES = Stakes(makes_job=False, is_repeatable=True)


class Calls:
    """The calls of one errand. For one thread at a time, and for one use."""

    def __init__(
        self,
        tools: Tools,
        purpose: Purpose,
        *,
        timeout: float,
        cancel: Event | None,
        job_id: str | None = None,
        secrets: Secrets | None = None,
        watch: Stopwatch | None = None,
    ) -> None:
        """Start to count the elapsed time, or go on with a `watch` that was started before; nothing is sent yet."""
        self.tools = tools
        self.progress = Progress(job_id, timeout, secrets or tools.secrets, watch)
        self._purpose = purpose
        self.progress.base_url = tools.line.base_url
        self.log = CallLog(tools.logger, job_id, self.progress)
        self._cancel = cancel

    @property
    def purpose(self) -> Purpose:
        """The purpose, with the id of the job as texts show it."""
        return self._purpose if self._purpose.of_job is None else self._purpose.of_job(self.progress.shown_id)

    async def despite_faults(self, call: Callable[[], Awaitable[T]]) -> T:
        """Make a call, and again after a fault."""
        return await _polling.called_despite_faults(call, self.fault_rules, self.sleep)

    def fault_rules(self) -> _polling.Rules:
        """When a call that failed is made again."""
        return _polling.fault_rules(
            self.tools.policy, self.progress, before_sleep=self.log.failed_in, give_up=self._end_for_faults
        )

    async def until_final(self, call: Callable[[], Awaitable[T]], is_pending: Callable[[T], bool]) -> T:
        """Call, and again after faults, until the answer is final; by the backoff of the policy.

        A transfer may have no deadline. What is pending before it or after it has one: the time of a wait.

        Raises:
            WaitTimeout: The time was up.
        """
        # The caller's `wait` is a schedule for jobs, and may look at the one that was seen: here there is none.
        is_endless = math.isinf(self.progress.timeout)
        longest = self.tools.policy.timeout if is_endless else math.inf
        since = self.progress.elapsed
        pauses = _polling.PendingPauses(self.tools.policy, self.progress, longest=longest, since=since)
        rules = _polling.pending_rules(
            is_pending,
            max_retries=math.inf,
            progress=self.progress,
            pauses=pauses,
            stop=stop_after_delay(self.tools.policy.timeout) if is_endless else None,
            before_sleep=lambda state: self.log.sleeping(state.attempt_number, state.upcoming_sleep, pauses.reason),
            give_up=self._end_for_time,
        )
        return await _polling.called_until_final(lambda: self.despite_faults(call), rules, self.sleep)

    def _end_for_time(self, _: RetryCallState) -> NoReturn:
        self.end_if_cancelled()
        raise self.log.ended("timeout", error_messages.timed_out(self.purpose, self.progress))

    async def call(
        self,
        request: Request,
        read: Callable[[Answer], T],
        *,
        stakes: Stakes = NO_STAKES,
        sink: Sink | None = None,
    ) -> tuple[Answer, T]:
        """Make one call; the answer, and what was made of it.

        Raises:
            Fault: It may be repeated.
            TranslationClientError: It may not.
        """
        self.end_if_cancelled()
        progress = self.progress
        progress.attempts += 1
        progress.asked_url = self.tools.line.url_of(request)
        # A late response to an earlier request may arrive on a kept connection. Status checks compare the id in it, if it
        # has one. Elsewhere it would be believed: as the job, upload or deletion of another call, or as another job's file.
        is_fresh = stakes.makes_job or request.method != "GET" or sink is not None
        try:
            answer = await self.tools.line.send(request, progress.deadline, self.is_cancelled, sink, is_fresh=is_fresh)
            progress.answered(answer)
            value = read(answer)
        except (CallCut, Refusal, FieldMissing, Fault) as failure:
            ended = self._what_it_is(failure, stakes)
        except NotSent as unsent:
            ended = unsent.cause
        except BaseException:  # of the caller's: an adapter, a hook, an interrupt
            progress.may_have_been_accepted |= stakes.makes_job
            raise
        else:
            progress.hint = self.hint_in(answer)
            return answer, value
        raise ended  # out of the handlers: what is raised in one takes along what was caught, with all that it holds

    def _what_it_is(self, failure: CallCut | Refusal | FieldMissing | Fault, stakes: Stakes) -> Exception:
        progress = self.progress
        if isinstance(failure, Fault):
            return self._failed(failure, stakes)
        if isinstance(failure, CallCut):
            progress.may_have_been_accepted |= stakes.makes_job and failure.was_sent
            return self._cut(failure, stakes)
        if isinstance(failure, FieldMissing):
            progress.may_have_been_accepted |= stakes.makes_job
            return self.log.ended("unexpected", error_messages.field_missing(self.purpose, progress, failure))
        progress.may_have_been_accepted &= not isinstance(failure, NothingMade)
        progress.hint = self.hint_in(failure.answer)
        return self.log.ended("refused", error_messages.refused(self.purpose, progress, failure))

    def _cut(self, cut: CallCut, stakes: Stakes) -> Exception:
        """What a call that was ended is: the end of the errand, or a fault of the server."""
        if isinstance(cut, CallCancelled):
            return self.log.ended("cancelled", error_messages.cancelled(self.purpose, self.progress))
        if self.progress.deadline.has_passed:
            return self.log.ended("timeout", error_messages.timed_out(self.purpose, self.progress))
        fault = Fault("timeout", f"no answer within {self.tools.policy.request_timeout:g} s")
        fault.was_sent = cut.was_sent
        return self._failed(fault, stakes)

    def _failed(self, fault: Fault, stakes: Stakes) -> Exception:
        """What a fault is: to be repeated, or the end where that might do a thing twice."""
        if fault.answer is not None:
            self.progress.learn_keys(fault.answer)
            fault.hint = self.hint_in(fault.answer)
        if isinstance(fault, WrongJob):
            self.tools.line.close_idle()  # the connection is among them, and its next response may be out of step too
            fault.name_jobs(self.progress.secrets.shown_id)
        self.progress.saw_fault(fault)
        is_done = stakes.makes_job and fault.may_be_done
        self.progress.may_have_been_accepted |= is_done
        if not is_done or stakes.is_repeatable:
            return fault
        error = error_messages.faults_spent(self.purpose, self.progress, fault, 1)
        error.__cause__ = _cause_of(fault)
        return self.log.ended("faults", error)

    def hint_in(self, answer: Answer) -> float | None:
        """Read the seconds that an answer asks to be left alone; None where there are none, or they make no sense."""
        try:
            return read_retry_after(answer.headers)
        except ValueError:
            self.log.write("hint_ignored", hint=self.progress.secrets.shown(answer.headers["Retry-After"]))
            return None

    def _end_for_faults(self, state: RetryCallState) -> NoReturn:
        self.end_if_cancelled()
        progress = self.progress
        fault = _polling.fault_of(state)
        if _polling.hint_outlasts_deadline(progress, fault):
            raise self.log.ended(
                "timeout", error_messages.timed_out(self.purpose, progress, fault.hint)
            ) from _cause_of(fault)
        if progress.deadline.has_passed or state.attempt_number < self.tools.policy.max_faults:
            raise self.log.ended("timeout", error_messages.timed_out(self.purpose, progress)) from _cause_of(fault)
        error = error_messages.faults_spent(self.purpose, progress, fault, state.attempt_number)
        raise self.log.ended("faults", error) from _cause_of(fault)

    def end_if_cancelled(self) -> None:
        """Raise `WaitCancelled` if somebody wants that."""
        if self.is_cancelled():
            raise self.log.ended("cancelled", error_messages.cancelled(self.purpose, self.progress))

    def is_cancelled(self) -> bool:
        """Whether somebody wants it to end."""
        return self.tools.line.is_closed or (self._cancel is not None and self._cancel.is_set())

    async def sleep(self, seconds: float) -> None:
        """Let time pass, until somebody wants it to end."""
        await self.tools.line.sleep(seconds, self._cancel, self.progress.watch)
        self.end_if_cancelled()


def _cause_of(fault: Fault) -> BaseException:
    """What is shown as the cause: the exception below, or the fault without the answer that it holds."""
    return fault.__cause__ or Fault(fault.kind, fault.text)


def run(errand: Coroutine[Any, Any, T]) -> T:
    """Run an errand that blocks to its end."""
    try:
        errand.send(None)
    except StopIteration as finished:
        value: T = finished.value
        return value
    errand.close()
    raise RuntimeError("an errand that blocks was suspended")
