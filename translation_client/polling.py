"""When is a callable called again? Two declarations for tenacity, which never wear each other's budget.

`until_final` repeats a healthy answer that says "pending"; `despite_faults` repeats a call that brought no answer.
Neither knows what is called. The decorators sit on closures made for each wait: tenacity keeps the statistics of a
decorated function in one dict, which threads would share.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from tenacity import RetryCallState, retry, retry_if_exception_type, retry_if_result
from tenacity.stop import stop_after_attempt, stop_after_delay, stop_any, stop_base, stop_never
from tenacity.wait import wait_base, wait_exponential

from .clock import TICK_SECONDS
from .faults import Fault
from .models import Job
from .policy import FAULT_DELAY_MAX_SECONDS, FAULT_DELAY_SECONDS, FAULT_JITTER, WaitPolicy, spread, until_last_check
from .progress import Progress

Wait = Callable[[RetryCallState], float]
Stop = Callable[[RetryCallState], bool]


class Hooks(NamedTuple):
    """What a declaration does beside calling.

    Attributes:
        sleep: Sleeps for some seconds.
        before_sleep: Is told the state before each sleep.
        give_up: Is told the last state when a limit is reached, and raises.
    """

    sleep: Callable[[int | float], None]
    before_sleep: Callable[[RetryCallState], None]
    give_up: Callable[[RetryCallState], None]


def until_final(
    check: Callable[[], Job],
    *,
    policy: WaitPolicy,
    progress: Progress,
    pauses: PendingPauses,
    stop: Stop | None,
    hooks: Hooks,
) -> Callable[[], Job]:
    """Declare: check again while the job is pending, until a limit of the policy or the caller's `stop`."""

    @retry(
        retry=retry_if_result(_is_pending),
        wait=pauses,
        stop=_pending_limits(policy, progress, stop),
        sleep=hooks.sleep,
        before_sleep=hooks.before_sleep,
        retry_error_callback=hooks.give_up,
    )
    def final_job() -> Job:
        return check()

    return final_job


def _pending_limits(policy: WaitPolicy, progress: Progress, stop: Stop | None) -> stop_any:
    return stop_any(
        stop_after_attempt(policy.max_retries + 1),  # type: ignore[arg-type]  # inf is a fine limit to compare with
        stop_after_delay(progress.timeout),
        stop_after_last_check(progress),
        stop_never if stop is None else stop,  # type: ignore[arg-type]  # tenacity calls any callable
    )


def despite_faults(
    call: Callable[[], Job],
    *,
    policy: WaitPolicy,
    progress: Progress,
    hooks: Hooks,
) -> Callable[[], Job]:
    """Declare: call again after a fault, `max_faults` times in a row at the most and only while there is time."""

    @retry(
        retry=retry_if_exception_type(Fault),
        wait=FaultPauses(progress),
        stop=_fault_limits(policy, progress),
        sleep=hooks.sleep,
        before_sleep=hooks.before_sleep,
        retry_error_callback=hooks.give_up,
    )
    def answered_after(faults: list[Fault]) -> Job:
        if faults:
            raise faults.pop()
        return call()

    def answered_job() -> Job:
        try:
            return call()
        except Fault as fault:
            faults = [fault]
        # Only now: most calls succeed, and beginning to repeat costs as much as reading an answer.
        return answered_after(faults)

    return answered_job


def _fault_limits(policy: WaitPolicy, progress: Progress) -> stop_any:
    return stop_any(
        stop_after_attempt(policy.max_faults),  # type: ignore[arg-type]  # inf is a fine limit to compare with
        stop_without_time_for_a_call(progress),
    )


def each_answer(declared: Callable[[], Job]) -> Iterator[Job]:
    """Run what `until_final` declared one check at a time, and hand out each answer.

    By the declared strategies, on a state of its own, which begins now: tenacity's own iteration keeps its progress by
    thread, and an iterator may be advanced by one thread after the other.
    """
    rules: Any = declared.retry  # type: ignore[attr-defined]  # what tenacity's decorator leaves on a function
    check: Callable[[], Job] = declared.__wrapped__  # type: ignore[attr-defined]  # the same
    return _each_answer(check, rules, RetryCallState(rules, check, (), {}))


def _each_answer(check: Callable[[], Job], rules: Any, state: RetryCallState) -> Iterator[Job]:
    while True:
        state.set_result(check())
        job: Job = state.outcome.result()  # type: ignore[union-attr]  # just set
        yield job
        if not rules.retry(state):
            return
        state.upcoming_sleep = rules.wait(state)
        if rules.stop(state):
            rules.retry_error_callback(state)
        rules.before_sleep(state)
        seconds = state.upcoming_sleep
        state.idle_for += seconds
        state.prepare_for_next_attempt()
        rules.sleep(seconds)


def _is_pending(job: Job) -> bool:
    return not job.status.is_final


_CHANCE = random.SystemRandom()
"""Not the module's generator, which is the caller's to seed, and which forked workers share the state of."""


class wait_spread(wait_base):  # noqa: N801  # named as tenacity names its strategies
    """Another strategy's delay, moved by up to ± `jitter` of itself and never above `longest`."""

    def __init__(self, wait: Wait, jitter: float, longest: float) -> None:
        self.wait = wait
        self.jitter = jitter
        self.longest = longest

    def __call__(self, retry_state: RetryCallState) -> float:
        """Ask the other strategy, and move its answer."""
        return spread(self.wait(retry_state), self.jitter, self.longest, _CHANCE.random())


class stop_after_last_check(stop_base):  # noqa: N801  # named as tenacity names its strategies
    """Stop when no further check could start in time to be answered by the deadline."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress

    def __call__(self, retry_state: RetryCallState) -> bool:  # noqa: ARG002  # as tenacity calls it
        """Look at the clock."""
        return is_too_late_for_a_check(self.progress)


class stop_without_time_for_a_call(stop_base):  # noqa: N801  # named as tenacity names its strategies
    """Stop after a fault when a further call would start too late, by the clock or by the server's hint."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress

    def __call__(self, retry_state: RetryCallState) -> bool:
        """Look at the hint, and at the clock."""
        fault = fault_of(retry_state)
        return hint_outlasts_deadline(self.progress, fault) or is_too_late_for_a_check(self.progress)


class PendingPauses(wait_base):
    """How long to sleep on a pending answer: the schedule, lengthened by the server's hint, cut for the last check.

    Attributes:
        reason: What decided the last pause: `backoff`, `schedule`, `retry_after` or `deadline`.
    """

    def __init__(self, policy: WaitPolicy, progress: Progress, schedule: Wait | None = None) -> None:
        """Choose the schedule: the caller's, or the policy's exponential backoff."""
        self.reason = ""
        self._progress = progress
        self._own_reason = "backoff" if schedule is None else "schedule"
        self._schedule: Wait = schedule if schedule is not None else _backoff(policy)

    def __call__(self, retry_state: RetryCallState) -> float:
        """Say for how many seconds, and remember why."""
        seconds, self.reason = max(0.0, float(self._schedule(retry_state))), self._own_reason
        job = self._progress.job
        if job is not None and job.retry_after is not None and job.retry_after > seconds:
            seconds, self.reason = job.retry_after, "retry_after"
        most = _until_last_check(self._progress)
        if most < seconds:
            seconds, self.reason = most, "deadline"
        return seconds


def _backoff(policy: WaitPolicy) -> Wait:
    exponential = wait_exponential(multiplier=policy.backoff_factor, max=policy.max_delay)
    return wait_spread(exponential, policy.jitter, policy.max_delay)


class FaultPauses(wait_base):
    """How long to sleep after a fault: the fault backoff, cut for the last call, but never shorter than the hint."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._backoff = wait_spread(
            wait_exponential(multiplier=FAULT_DELAY_SECONDS, max=FAULT_DELAY_MAX_SECONDS),
            FAULT_JITTER,
            FAULT_DELAY_MAX_SECONDS,
        )

    def __call__(self, retry_state: RetryCallState) -> float:
        """Say for how many seconds."""
        most = _until_last_check(self._progress)
        return max(fault_of(retry_state).hint or 0.0, min(self._backoff(retry_state), most))


def _until_last_check(progress: Progress) -> float:
    return until_last_check(progress.deadline.left, progress.timeout, progress.slowest_answer, progress.latest_answer)


def is_too_late_for_a_check(progress: Progress) -> bool:
    """Whether no further check could start in time to be answered by the deadline."""
    return _until_last_check(progress) <= TICK_SECONDS


def hint_outlasts_deadline(progress: Progress, fault: Fault) -> bool:
    """Whether the server asks to be left alone until after the deadline."""
    hint = fault.hint or 0.0
    return hint > 0 and hint >= progress.deadline.left - TICK_SECONDS


def fault_of(state: RetryCallState) -> Fault:
    """The fault that an attempt of `despite_faults` ended in."""
    fault = state.outcome.exception() if state.outcome is not None else None
    if not isinstance(fault, Fault):
        raise TypeError(f"not the state of a failed call: {state!r}")
    return fault
