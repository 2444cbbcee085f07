"""When a call is repeated: the state of a call, wait and stop strategies for tenacity, and the two `@retry` declarations.

`declare_poll` repeats a status check while the job is pending, `declare_fault_retries` repeats a request that failed. Neither uses up
the limits of the other, and neither knows what is sent. The decorators sit on closures that are made for each call: tenacity keeps
the statistics of a decorated function in one dict, which threads would share.

Blocking code calls what is declared. asyncio and batches step through the same declarations with a `RetryStepper`: tenacity's loop
keeps its progress by thread, and a thread may have thousands of waits, or one wait may continue in another thread.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, NoReturn, TypeVar

from tenacity import Future, RetryCallState, Retrying, retry, retry_if_exception_type, retry_if_result
from tenacity.stop import stop_after_attempt, stop_after_delay, stop_any, stop_base, stop_never
from tenacity.wait import wait_base, wait_exponential

from ._auth import Redactor, redact_url
from ._clock import TICK_SECONDS, Deadline, Stopwatch, now
from ._config import FAULT_DELAY_MAX_SECONDS, FAULT_DELAY_SECONDS, FAULT_JITTER, RANDOM, PollingPolicy, jittered
from ._models import Fault, Job, Response, shown_text

MAX_KINDS_SEEN = 50
"""Outcomes that are counted separately. This bounds the memory of an endless wait on a server whose statuses vary."""

OTHER = "other"


class CallState:
    """The counters, the deadline and the latest response of one call of the client: a wait, a submission, a download."""

    def __init__(
        self, job_id: str | None, timeout: float, secrets: Redactor, stopwatch: Stopwatch | None = None
    ) -> None:
        """Start the stopwatch, unless it is running.

        Args:
            job_id: The id of the job; None for none.
            timeout: Seconds for the whole call.
            secrets: Redacts secrets from what errors show.
            stopwatch: A running stopwatch; None to start one.
        """
        self.secrets = secrets
        self.job_id = job_id
        self.request_url = ""
        self.base_url = ""
        self.may_have_been_accepted = False
        self.idempotency_key: str | None = None
        self.retry_after: float | None = None
        self.sleep_reason = ""
        self.timeout = timeout
        self.stopwatch = stopwatch or Stopwatch()
        self.deadline = Deadline(self.stopwatch.began_at + timeout, self.stopwatch)
        self.attempts = 0
        self.job: Job | None = None
        self.last_fault: Fault | None = None
        self.slowest_response_seconds = 0.0
        self.latest_response_seconds = 0.0
        self.seen: Counter[str] = Counter()
        self._unknown_words: set[str] = set()

    @property
    def shown_id(self) -> str | None:
        """The id of the job as texts show it. A key that is in it may be learned after the call has begun."""
        return None if self.job_id is None else self.secrets.shown_id(self.job_id)

    @property
    def url(self) -> str:
        """The URL of the last request, as it may be shown; empty before the first one."""
        if not self.request_url:
            return ""
        url = redact_url(self.request_url)
        is_ours = self.base_url and self.request_url.startswith(self.base_url)  # else the service sent it
        return self.secrets.shown_id(url) if is_ours else self.secrets.scrub(url)

    @property
    def elapsed(self) -> float:
        """Seconds since the start."""
        return self.stopwatch.elapsed

    @property
    def checks(self) -> int:
        """The number of status responses that could be read."""
        return 0 if self.job is None else self.job.checks

    def answered(self, response: Response) -> None:
        """Keep how long the server took, and redact the API key that the request carried."""
        self.redact_keys(response)
        self.latest_response_seconds = response.seconds
        self.slowest_response_seconds = max(self.slowest_response_seconds, response.seconds)

    def redact_keys(self, response: Response) -> None:
        """Add the API keys that the request carried to what is redacted."""
        self.secrets = self.secrets.with_keys(response.sent_keys)

    def record_job(self, job: Job) -> None:
        """Keep a job that was read from a response."""
        self.job = job
        self.count(shown_text(job, "raw_status"))

    def record_fault(self, fault: Fault) -> None:
        """Keep a call that failed."""
        self.last_fault = fault
        self.count(fault.kind if fault.status_code is None else f"HTTP {fault.status_code}")

    def count(self, what: str) -> None:
        """Count an outcome."""
        known = what in self.seen or len(self.seen) < MAX_KINDS_SEEN
        self.seen[what if known else OTHER] += 1

    def add_unknown_status(self, raw_status: str) -> bool:
        """Remember an unknown status word. Return True if it is new; after many of them none is."""
        if raw_status in self._unknown_words or len(self._unknown_words) >= MAX_KINDS_SEEN:
            return False
        self._unknown_words.add(raw_status)
        return True

    def error_fields(self) -> dict[str, Any]:
        """Return the attributes that every error has."""
        return {
            "job_id": self.job_id,
            "job": self.job,
            "attempts": self.attempts,
            "checks": self.checks,
            "elapsed": self.elapsed,
            "may_have_been_accepted": self.may_have_been_accepted,
            "idempotency_key": self.idempotency_key,
        }


# What should remain until the deadline when the last check is answered: 0.25 s, or a twentieth of a short wait.
GRACE_SECONDS = 0.25
GRACE_FRACTION = 0.05


def last_check_delay(
    left: float, timeout: float, slowest_response_seconds: float, latest_response_seconds: float
) -> float:
    """Say in how many seconds the last check has to start, so that it is answered by the deadline; 0 for no more.

    It leads the deadline by twice the slowest answer so far, and the grace. When that moment has passed without a check,
    one is made that has the time of the latest answer. And as a server that was slow once (at a cold start, say) would
    end every wait early, the latest answer alone counts wherever there is a real gain in it.

    Args:
        left: Seconds to the deadline.
        timeout: Seconds for the whole wait.
        slowest_answer: The seconds that the slowest answer of this wait took.
        latest_answer: The seconds that the latest one took, which has just come; at most `slowest_answer`.
    """
    grace = min(GRACE_SECONDS, GRACE_FRACTION * timeout)
    lead = grace + 2 * slowest_response_seconds
    if left - lead > TICK_SECONDS:
        return left - lead
    if left + latest_response_seconds > lead + TICK_SECONDS:  # the latest check began before its time had come
        return left - grace - latest_response_seconds
    gains = (left - grace - calls * latest_response_seconds for calls in (2, 1))
    return next((gain for gain in gains if gain > grace), 0.0)


WaitStrategy = Callable[[RetryCallState], float]
StopStrategy = Callable[[RetryCallState], bool]


class wait_jittered(wait_base):  # noqa: N801  # named as tenacity names its strategies
    """Another strategy's delay, moved by up to ± `jitter` of itself and never above `longest`."""

    def __init__(self, wait: WaitStrategy, jitter: float, longest: float) -> None:
        self.wait = wait
        self.jitter = jitter
        self.longest = longest

    def __call__(self, retry_state: RetryCallState) -> float:
        """Return the delay of the other strategy, with jitter."""
        return jittered(self.wait(retry_state), self.jitter, self.longest, RANDOM.random())


class stop_before_deadline(stop_base):  # noqa: N801  # named as tenacity names its strategies
    """Stop when no further check could start in time to be answered by the deadline."""

    def __init__(self, state: CallState) -> None:
        self.progress = state

    def __call__(self, retry_state: RetryCallState) -> bool:  # noqa: ARG002  # as tenacity calls it
        """Return True if it is too late for a check."""
        return is_too_late_for_a_check(self.progress)


class stop_when_out_of_time(stop_base):  # noqa: N801  # named as tenacity names its strategies
    """Stop after a fault if the next attempt would start after the deadline, or `Retry-After` ends after it."""

    def __init__(self, state: CallState) -> None:
        self.progress = state

    def __call__(self, retry_state: RetryCallState) -> bool:
        """Return True if `Retry-After` or the clock leaves no time for a call."""
        fault = fault_in(retry_state)
        return retry_after_exceeds_deadline(self.progress, fault) or is_too_late_for_a_check(self.progress)


class wait_pending(wait_base):  # noqa: N801  # named as tenacity names its strategies
    """How long to sleep after a pending answer: by a schedule, at least `Retry-After`, at most until the last check.

    What decided it is kept in `state.sleep_reason`.
    """

    def __init__(
        self,
        schedule: WaitStrategy | None,
        backoff: WaitStrategy,
        state: CallState,
        *,
        longest: float = math.inf,
        since: float = 0.0,
    ) -> None:
        """Choose the schedule.

        Args:
            schedule: The caller's wait strategy, or the learned schedule; None for `backoff`.
            backoff: The exponential backoff.
            state: The state of the call.
            longest: The longest sleep in seconds, for calls without a deadline.
            since: Elapsed seconds at the start of this loop, subtracted from `seconds_since_start`.
        """
        self._schedule = backoff if schedule is None else schedule
        self._reason = "backoff" if schedule is None else "schedule"
        self._state = state
        self._longest = longest
        self._since = since

    def __call__(self, retry_state: RetryCallState) -> float:
        """Return the seconds to sleep."""
        # Sets `seconds_since_start` by our stopwatch: the clock that tenacity reads may be frozen. It is enough to set it
        # here, because tenacity calls `wait` before `stop`.
        retry_state.outcome_timestamp = retry_state.start_time + self._state.elapsed - self._since
        seconds = max(0.0, float(self._schedule(retry_state)))
        return limited_sleep(self._state, seconds, self._reason, self._longest)


def limited_sleep(state: CallState, seconds: float, reason: str, longest: float = math.inf) -> float:
    """Return how long to sleep where a schedule says `seconds`, and keep what decided it in `state.sleep_reason`.

    Args:
        state: The state of the call.
        seconds: What the schedule says.
        reason: The name of the schedule.
        longest: The longest sleep in seconds.
    """
    state.sleep_reason = reason
    if state.retry_after is not None and state.retry_after > seconds:
        seconds, state.sleep_reason = state.retry_after, "retry_after"
    most = min(seconds_until_last_check(state), longest)
    if most < seconds:
        seconds, state.sleep_reason = most, "deadline"
    return seconds


class wait_after_fault(wait_base):  # noqa: N801  # named as tenacity names its strategies
    """How long to sleep after a fault: the backoff of faults, at most until the last check, at least `Retry-After`."""

    def __init__(self, state: CallState) -> None:
        self._state = state
        self._backoff = wait_jittered(
            wait_exponential(multiplier=FAULT_DELAY_SECONDS, max=FAULT_DELAY_MAX_SECONDS),
            FAULT_JITTER,
            FAULT_DELAY_MAX_SECONDS,
        )

    def __call__(self, retry_state: RetryCallState) -> float:
        """Return the seconds to sleep."""
        most = seconds_until_last_check(self._state)
        return max(fault_in(retry_state).retry_after or 0.0, min(self._backoff(retry_state), most))


def seconds_until_last_check(state: CallState) -> float:
    """Return the seconds until the last check before the deadline has to start; 0 if it is too late for one."""
    return last_check_delay(
        state.deadline.left, state.timeout, state.slowest_response_seconds, state.latest_response_seconds
    )


def is_too_late_for_a_check(state: CallState) -> bool:
    """Return True if no further check could be answered by the deadline."""
    return seconds_until_last_check(state) <= TICK_SECONDS


def retry_after_exceeds_deadline(state: CallState, fault: Fault) -> bool:
    """Return True if `Retry-After` ends at the deadline or after it."""
    retry_after = fault.retry_after or 0.0
    return retry_after > 0 and retry_after >= state.deadline.left - TICK_SECONDS


def fault_in(state: RetryCallState) -> Fault:
    """Return the fault that an attempt ended in."""
    fault = state.outcome.exception() if state.outcome is not None else None
    if not isinstance(fault, Fault):
        raise TypeError(f"not the state of a failed call: {state!r}")
    return fault


T = TypeVar("T")


def not_called(*_: Any) -> NoReturn:
    """Stand in for the function and the sleep of a declaration that a `RetryStepper` steps through."""
    raise RuntimeError("a declaration that is stepped through was called")


def declare_poll(
    check: Callable[[], T] = not_called,
    *,
    is_pending: Callable[[T], bool],
    state: CallState,
    policy: PollingPolicy,
    max_retries: float,
    schedule: WaitStrategy | None,
    stop: StopStrategy | None,
    before_sleep: Callable[[RetryCallState], None],
    give_up: Callable[[RetryCallState], None],
    sleep: Callable[[int | float], None] = not_called,
    longest: float = math.inf,
    since: float = 0.0,
) -> Callable[[], T]:
    """Declare how a pending answer is polled: again, within the retries and the deadline.

    Args:
        check: Returns an answer.
        is_pending: Whether to check again after an answer.
        state: The state of the call.
        policy: Has the backoff.
        max_retries: Retries after the first check.
        schedule: The caller's wait strategy, or the learned schedule; None for the backoff.
        stop: The caller's stop strategy, or None.
        before_sleep: Called before each sleep.
        give_up: Called when a limit is reached. It raises.
        sleep: Sleeps.
        longest: As in `wait_pending`.
        since: As in `wait_pending`.
    """
    backoff = wait_exponential(multiplier=policy.backoff_factor, max=policy.max_delay)
    max_attempts: Any = max_retries + 1  # may be infinite, which tenacity takes though its types do not say so
    callers_stop: Any = stop_never if stop is None else stop  # any callable, as in tenacity

    @retry(
        retry=retry_if_result(is_pending),
        wait=wait_pending(
            schedule, wait_jittered(backoff, policy.jitter, policy.max_delay), state, longest=longest, since=since
        ),
        stop=stop_any(
            stop_after_attempt(max_attempts),
            stop_after_delay(state.timeout),
            stop_before_deadline(state),
            callers_stop,
        ),
        sleep=sleep,
        before_sleep=before_sleep,
        retry_error_callback=give_up,
    )
    def poll() -> T:
        return check()

    return poll


def declare_fault_retries(
    call: Callable[[], T] = not_called,
    *,
    state: CallState,
    policy: PollingPolicy,
    before_sleep: Callable[[RetryCallState], None],
    give_up: Callable[[RetryCallState], None],
    sleep: Callable[[int | float], None] = not_called,
) -> Callable[[], T]:
    """Declare how a failed call is repeated: at most `max_faults` calls in a row, and only while there is time.

    Args:
        call: Makes the call.
        state: The state of the call of the client.
        policy: Has `max_faults`.
        before_sleep: Called before each sleep.
        give_up: Called when a limit is reached. It raises.
        sleep: Sleeps.
    """
    max_faults: Any = policy.max_faults  # may be infinite, as above

    @retry(
        retry=retry_if_exception_type(Fault),
        wait=wait_after_fault(state),
        stop=stop_any(stop_after_attempt(max_faults), stop_when_out_of_time(state)),
        sleep=sleep,
        before_sleep=before_sleep,
        retry_error_callback=give_up,
    )
    def call_again() -> T:
        return call()

    return call_again


def retrying_of(declared: Callable[..., Any]) -> Retrying:
    """Return the policy of a declaration, which a `RetryStepper` steps through."""
    retrying: Retrying = declared.retry  # type: ignore[attr-defined]  # the decorator of tenacity sets it
    return retrying


def retry_faults(call: Callable[[], T], declare: Callable[[Callable[[], T]], Callable[[], T]]) -> Callable[[], T]:
    """Return a function that makes a call, and again after faults.

    Args:
        call: Makes the call.
        declare: `declare_fault_retries` of it. Only called after the first fault: most calls succeed, and a declaration
            costs as much as reading a response.
    """

    def answered() -> T:
        try:
            return call()
        except Fault as fault:
            faults = [fault]

        def again() -> T:
            if faults:
                raise faults.pop()
            return call()

        return declare(again)()

    return answered


class _Attempt(Future):
    """The outcome of an attempt, as strategies of tenacity read it. Its own `Future` has a lock, which is not needed here."""

    def __init__(self, attempt_number: int, value: object, error: Exception | None) -> None:
        """Take the value, or the error."""
        self.attempt_number = attempt_number
        self._value = value
        self._error = error

    def __repr__(self) -> str:
        return f"_Attempt({self.attempt_number}, {self._value!r}, {self._error!r})"

    @property
    def failed(self) -> bool:
        """True if it raised."""
        return self._error is not None

    def done(self) -> bool:
        """Return True: the attempt is over."""
        return True

    def result(self, timeout: float | None = None) -> Any:  # noqa: ARG002  # as tenacity calls it
        """Return the value, or raise the error."""
        if self._error is not None:
            raise self._error
        return self._value

    def exception(self, timeout: float | None = None) -> Exception | None:  # noqa: ARG002  # as tenacity calls it
        """Return the error, or None."""
        return self._error


class RetryStepper:
    """Steps through a declaration attempt by attempt, for callers that make the calls and the sleeps themselves."""

    __slots__ = ("_state",)

    def __init__(self) -> None:
        """Start now, before the first attempt."""
        self._state = RetryCallState(None, None, (), {})  # type: ignore[arg-type]  # strategies read only fields that are set

    def sleep_after(self, result: object, retrying: Retrying) -> float | None:
        """Return the seconds to sleep before the next attempt; None if this was the last one.

        Raises:
            TranslationClientError: A limit is reached.
        """
        return self._sleep(_Attempt(self._state.attempt_number, result, None), retrying)

    def sleep_after_fault(self, fault: Fault, retrying: Retrying) -> float:
        """Return the seconds to sleep before the call is repeated. Raises as `sleep_after`."""
        return self._sleep(_Attempt(self._state.attempt_number, None, fault), retrying) or 0.0

    def _sleep(self, attempt: _Attempt, retrying: Retrying) -> float | None:
        state: Any = self._state  # strategies are typed for the state of tenacity's own loop
        state.outcome, state.outcome_timestamp = attempt, now()
        if not retrying.retry(state):
            return None
        seconds: float = retrying.wait(state)
        state.upcoming_sleep = seconds
        if retrying.stop(state):
            retrying.retry_error_callback(state)  # type: ignore[misc]  # each declaration has one
        retrying.before_sleep(state)  # type: ignore[misc]  # each declaration has one
        state.idle_for += seconds
        state.prepare_for_next_attempt()
        return seconds


async def step_through_faults(
    call: Callable[[], Awaitable[T]], retrying: Callable[[], Retrying], sleep: Callable[[float], Awaitable[None]]
) -> T:
    """Await a call, and again after faults. `retrying` returns the policy, and is called after faults only."""
    stepper: RetryStepper | None = None
    while True:
        try:
            return await call()
        except Fault as fault:
            stepper = stepper or RetryStepper()
            seconds = stepper.sleep_after_fault(fault, retrying())
        await sleep(seconds)


async def step_until_final(
    call: Callable[[], Awaitable[T]], retrying: Retrying, sleep: Callable[[float], Awaitable[None]]
) -> T:
    """Await a call, and again while its answer is pending."""
    stepper = RetryStepper()
    while True:
        value = await call()
        seconds = stepper.sleep_after(value, retrying)
        if seconds is None:
            return value
        await sleep(seconds)


def each_answer(check: Callable[[], Job], retrying: Retrying, sleep: Callable[[float], None]) -> Iterator[Job]:
    """Check, and again while the answer is pending, and yield each answer. The time starts with the call."""
    return _each_answer(check, retrying, RetryStepper(), sleep)


def _each_answer(
    check: Callable[[], Job], retrying: Retrying, stepper: RetryStepper, sleep: Callable[[float], None]
) -> Iterator[Job]:
    while True:
        job = check()
        yield job
        seconds = stepper.sleep_after(job, retrying)
        if seconds is None:
            return
        sleep(seconds)
