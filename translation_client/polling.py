"""When is a callable called again? Two declarations for tenacity, which never wear each other's budget.

`until_final` repeats a healthy answer that says "pending"; `despite_faults` repeats a call that brought no answer.
Neither knows what is called. The decorators sit on closures made for each wait: tenacity keeps the statistics of a
decorated function in one dict, which threads would share.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, TypeVar

from tenacity import RetryCallState, retry, retry_if_exception_type, retry_if_result
from tenacity.stop import stop_after_attempt, stop_after_delay, stop_any, stop_never

from .faults import Fault
from .models import Job
from .policy import WaitPolicy
from .progress import Progress
from .strategies import FaultPauses, PendingPauses, StopStrategy, stop_after_last_check, stop_without_time_for_a_call

T = TypeVar("T")


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
    check: Callable[[], T],
    *,
    is_pending: Callable[[T], bool],
    max_retries: float,
    progress: Progress,
    pauses: PendingPauses,
    stop: StopStrategy | None,
    hooks: Hooks,
) -> Callable[[], T]:
    """Declare: check again while the answer is pending, until `max_retries`, the deadline or the caller's `stop`."""

    @retry(
        retry=retry_if_result(is_pending),
        wait=pauses,
        stop=_pending_limits(max_retries, progress, stop),
        sleep=hooks.sleep,
        before_sleep=hooks.before_sleep,
        retry_error_callback=hooks.give_up,
    )
    def final() -> T:
        return check()

    return final


def _pending_limits(max_retries: float, progress: Progress, stop: StopStrategy | None) -> stop_any:
    return stop_any(
        stop_after_attempt(max_retries + 1),  # type: ignore[arg-type]  # inf is a fine limit to compare with
        stop_after_delay(progress.timeout),
        stop_after_last_check(progress),
        stop_never if stop is None else stop,  # type: ignore[arg-type]  # tenacity calls any callable
    )


def despite_faults(
    call: Callable[[], T],
    *,
    policy: WaitPolicy,
    progress: Progress,
    hooks: Hooks,
) -> Callable[[], T]:
    """Declare: call again after a fault, `max_faults` times in a row at the most and only while there is time."""

    @retry(
        retry=retry_if_exception_type(Fault),
        wait=FaultPauses(progress),
        stop=_fault_limits(policy, progress),
        sleep=hooks.sleep,
        before_sleep=hooks.before_sleep,
        retry_error_callback=hooks.give_up,
    )
    def answered_after(faults: list[Fault]) -> T:
        if faults:
            raise faults.pop()
        return call()

    def answered_job() -> T:
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
