"""How long until the next call, and is there still time for one? Strategies for tenacity, where its own fall short.

Its sleeps overshoot a deadline or give up before it, know no hint of a server, and lose all jitter at the cap.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from tenacity import RetryCallState
from tenacity.stop import stop_base
from tenacity.wait import wait_base, wait_exponential

from .clock import TICK_SECONDS
from .faults import Fault
from .policy import (
    CHANCE,
    FAULT_DELAY_MAX_SECONDS,
    FAULT_DELAY_SECONDS,
    FAULT_JITTER,
    WaitPolicy,
    spread,
    until_last_check,
)
from .progress import Progress

WaitStrategy = Callable[[RetryCallState], float]
StopStrategy = Callable[[RetryCallState], bool]


class wait_spread(wait_base):  # noqa: N801  # named as tenacity names its strategies
    """Another strategy's delay, moved by up to ± `jitter` of itself and never above `longest`."""

    def __init__(self, wait: WaitStrategy, jitter: float, longest: float) -> None:
        self.wait = wait
        self.jitter = jitter
        self.longest = longest

    def __call__(self, retry_state: RetryCallState) -> float:
        """Ask the other strategy, and move its answer."""
        return spread(self.wait(retry_state), self.jitter, self.longest, CHANCE.random())


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

    def __init__(
        self,
        policy: WaitPolicy,
        progress: Progress,
        schedule: WaitStrategy | None = None,
        *,
        longest: float = math.inf,
        since: float = 0.0,
    ) -> None:
        """Choose the schedule.

        Args:
            policy: Has the backoff.
            progress: What was seen so far.
            schedule: The caller's schedule; None for the exponential backoff of the policy.
            longest: The longest sleep in seconds, where there is no deadline that a `Retry-After` is cut to.
            since: The elapsed seconds from which strategies count their `seconds_since_start`.
        """
        self.reason = ""
        self._progress = progress
        self._since = since
        self._longest = longest
        self._own_reason = "backoff" if schedule is None else "schedule"
        self._schedule: WaitStrategy = schedule if schedule is not None else _backoff(policy)

    def __call__(self, retry_state: RetryCallState) -> float:
        """Return the seconds to sleep, and keep the reason."""
        # What strategies read as `seconds_since_start`, by our elapsed time: the clock that tenacity reads may be frozen.
        # tenacity asks for the pause first, and for the end after it.
        retry_state.outcome_timestamp = retry_state.start_time + self._progress.elapsed - self._since
        return self.limited(max(0.0, float(self._schedule(retry_state))))

    def limited(self, seconds: float) -> float:
        """Lengthen a pause of the schedule, or cut it, and remember why."""
        self.reason = self._own_reason
        hint = self._progress.hint
        if hint is not None and hint > seconds:
            seconds, self.reason = hint, "retry_after"
        most = min(seconds_until_last_check(self._progress), self._longest)
        if most < seconds:
            seconds, self.reason = most, "deadline"
        return seconds


def _backoff(policy: WaitPolicy) -> WaitStrategy:
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
        most = seconds_until_last_check(self._progress)
        return max(fault_of(retry_state).hint or 0.0, min(self._backoff(retry_state), most))


def seconds_until_last_check(progress: Progress) -> float:
    """Return the seconds until the last check before the deadline has to start; 0 if it is too late for one."""
    return until_last_check(progress.deadline.left, progress.timeout, progress.slowest_answer, progress.latest_answer)


def is_too_late_for_a_check(progress: Progress) -> bool:
    """Whether no further check could start in time to be answered by the deadline."""
    return seconds_until_last_check(progress) <= TICK_SECONDS


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
