"""When is a callable called again? Two declarations for tenacity, which never wear each other's budget.

`until_final` repeats a healthy answer that says "pending"; `despite_faults` repeats a call that brought no answer.
Neither knows what is called. The decorators sit on closures made for each wait: tenacity keeps the statistics of a
decorated function in one dict, which threads would share.

What has to be done between two calls without blocking a thread goes by the same rules, on a state of its own: tenacity's
own loops keep their progress by thread, and a thread may have thousands of waits, or a wait one thread after the other.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from typing import Any, NamedTuple, TypeVar

from tenacity import Future, RetryCallState, retry, retry_if_exception_type, retry_if_result
from tenacity.stop import stop_after_attempt, stop_after_delay, stop_any, stop_never

from .clock import now
from .faults import Fault
from .models import Job
from .policy import WaitPolicy
from .progress import Progress
from .strategies import (
    FaultPauses,
    PendingPauses,
    StopStrategy,
    WaitStrategy,
    stop_after_last_check,
    stop_without_time_for_a_call,
)

T = TypeVar("T")


class Rules(NamedTuple):
    """When something is called again.

    Attributes:
        retry: Whether, by its outcome.
        wait: After how many seconds.
        stop: Whether a limit is reached.
        before_sleep: Is told the state before each sleep.
        give_up: Is told the last state when a limit is reached, and raises.
    """

    retry: Callable[[RetryCallState], bool]
    wait: WaitStrategy
    stop: StopStrategy
    before_sleep: Callable[[RetryCallState], None]
    give_up: Callable[[RetryCallState], None]


def pending_rules(
    is_pending: Callable[[T], bool],
    *,
    max_retries: float,
    progress: Progress,
    pauses: PendingPauses,
    stop: StopStrategy | None,
    before_sleep: Callable[[RetryCallState], None],
    give_up: Callable[[RetryCallState], None],
) -> Rules:
    """Again while the answer is pending, until `max_retries`, the deadline or the caller's `stop`."""
    limits = stop_any(
        stop_after_attempt(max_retries + 1),  # type: ignore[arg-type]  # inf is a fine limit to compare with
        stop_after_delay(progress.timeout),
        stop_after_last_check(progress),
        stop_never if stop is None else stop,  # type: ignore[arg-type]  # tenacity calls any callable
    )
    return Rules(retry_if_result(is_pending), pauses, limits, before_sleep, give_up)


def fault_rules(
    policy: WaitPolicy,
    progress: Progress,
    *,
    before_sleep: Callable[[RetryCallState], None],
    give_up: Callable[[RetryCallState], None],
) -> Rules:
    """Again after a fault, `max_faults` times in a row at the most and only while there is time."""
    limits = stop_any(
        stop_after_attempt(policy.max_faults),  # type: ignore[arg-type]  # inf is a fine limit to compare with
        stop_without_time_for_a_call(progress),
    )
    return Rules(retry_if_exception_type(Fault), FaultPauses(progress), limits, before_sleep, give_up)


def declared(rules: Rules, sleep: Callable[[int | float], None]) -> Callable[[Callable[..., T]], Callable[..., T]]:
    """Declare a function to be called again by rules, in the words of tenacity."""
    return retry(
        retry=rules.retry,
        wait=rules.wait,
        stop=rules.stop,
        sleep=sleep,
        before_sleep=rules.before_sleep,
        retry_error_callback=rules.give_up,
    )


def until_final(check: Callable[[], T], rules: Rules, sleep: Callable[[int | float], None]) -> Callable[[], T]:
    """Declare: check again while the answer is pending."""

    @declared(rules, sleep)
    def final() -> T:
        return check()

    return final


def despite_faults(
    call: Callable[[], T], rules: Callable[[], Rules], sleep: Callable[[int | float], None]
) -> Callable[[], T]:
    """Declare: call again after a fault."""

    def answered() -> T:
        try:
            return call()
        except Fault as fault:
            faults = [fault]

        # Only now: most calls succeed, and beginning to repeat costs as much as reading an answer.
        @declared(rules(), sleep)
        def answered_after() -> T:
            if faults:
                raise faults.pop()
            return call()

        return answered_after()

    return answered


class Outcome(Future):
    """What a call came to, as a strategy of tenacity looks at it; its own `Future` has a lock, which nobody needs here."""

    def __init__(self, attempt_number: int, value: object, error: Exception | None) -> None:
        """Take the value, or the error."""
        self.attempt_number = attempt_number
        self._value = value
        self._error = error

    def __repr__(self) -> str:
        return f"Outcome({self.attempt_number}, {self._value!r}, {self._error!r})"

    @property
    def failed(self) -> bool:
        """Whether it is an error."""
        return self._error is not None

    def done(self) -> bool:
        """It is."""
        return True

    def result(self, timeout: float | None = None) -> Any:  # noqa: ARG002  # as tenacity calls it
        """The value; raises the error."""
        if self._error is not None:
            raise self._error
        return self._value

    def exception(self, timeout: float | None = None) -> Exception | None:  # noqa: ARG002  # as tenacity calls it
        """The error."""
        return self._error


class Repetition:
    """The state of something that is called again by rules; who calls it and who sleeps is others' business."""

    __slots__ = ("_state",)

    def __init__(self) -> None:
        """Begin now, before the first call."""
        self._state = RetryCallState(None, None, (), {})  # type: ignore[arg-type]  # what a strategy looks at is there

    def pause_after(self, result: object, rules: Rules) -> float | None:
        """Say how long to sleep before the next call; None where it was the last.

        Raises:
            TranslationClientError: A limit is reached.
        """
        return self._pause(Outcome(self._state.attempt_number, result, None), rules)

    def pause_after_fault(self, fault: Fault, rules: Rules) -> float | None:
        """The same where the call brought no answer."""
        return self._pause(Outcome(self._state.attempt_number, None, fault), rules)

    def _pause(self, outcome: Outcome, rules: Rules) -> float | None:
        state = self._state
        state.outcome, state.outcome_timestamp = outcome, now()
        if not rules.retry(state):
            return None
        seconds = state.upcoming_sleep = rules.wait(state)
        if rules.stop(state):
            rules.give_up(state)
        rules.before_sleep(state)
        state.idle_for += seconds
        state.prepare_for_next_attempt()
        return seconds


async def called_despite_faults(
    call: Callable[[], Awaitable[T]], rules: Callable[[], Rules], sleep: Callable[[float], Awaitable[None]]
) -> T:
    """Call, and again after faults, without tenacity's loop."""
    repetition: Repetition | None = None
    while True:
        try:
            return await call()
        except Fault as fault:
            repetition = repetition or Repetition()
            pause = repetition.pause_after_fault(fault, rules())
        await sleep(pause or 0.0)


async def called_until_final(
    call: Callable[[], Awaitable[T]], rules: Rules, sleep: Callable[[float], Awaitable[None]]
) -> T:
    """Call, and again while the answer is pending, without tenacity's loop."""
    repetition = Repetition()
    while True:
        value = await call()
        pause = repetition.pause_after(value, rules)
        if pause is None:
            return value
        await sleep(pause)


def each_answer(check: Callable[[], Job], rules: Rules, sleep: Callable[[float], None]) -> Iterator[Job]:
    """Check again while the answer is pending, and hand out each answer; the state begins now."""
    return _each_answer(check, rules, Repetition(), sleep)


def _each_answer(
    check: Callable[[], Job], rules: Rules, repetition: Repetition, sleep: Callable[[float], None]
) -> Iterator[Job]:
    while True:
        job = check()
        yield job
        pause = repetition.pause_after(job, rules)
        if pause is None:
            return
        sleep(pause)
