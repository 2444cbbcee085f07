"""Polling and retries: the state of a call, wait and stop strategies for tenacity, and the two `@retry` declarations.

`declare_poll` repeats a status check while the job is pending. `declare_fault_retries` repeats a request that failed. The
second runs within the first: one attempt of a poll is a request with its fault retries. Each has its own count of attempts.
Both decorate a new closure for each call, as their strategies read the state of that call.

Tenacity's own loop runs a blocking `wait`, and the fault retries of a blocking `watch`. Everything else steps through the same
declarations with a `RetryStepper`, as that loop blocks its thread and keeps its progress in it: a batch has thousands of waits
in one thread, and a `watch` may continue in another thread.

No other module decides what is retried, when, or how often. A batch moves checks in time, to share bulk requests and to keep
its rate. The end of this module has the limits of two things that are no retries: the parts and fresh links of a download
(`DownloadProgress`), and a pause of bulk requests in a batch (`suspension_seconds`).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any, Literal, NoReturn, TypeVar

from tenacity import Future, RetryCallState, Retrying, retry, retry_if_exception_type, retry_if_result
from tenacity.stop import stop_after_attempt, stop_after_delay, stop_any, stop_base, stop_never
from tenacity.wait import wait_base, wait_exponential

from ._auth.redactor import Redactor
from ._auth.urls import redact_url
from ._clock import DEADLINE_TOLERANCE_SECONDS, Deadline, Stopwatch, monotonic
from ._config import FAULT_DELAY_MAX_SECONDS, FAULT_DELAY_SECONDS, FAULT_JITTER, RANDOM, PollingPolicy, jittered
from ._models import Fault, Job, Response

T = TypeVar("T")
WaitStrategy = Callable[[RetryCallState], float]
StopStrategy = Callable[[RetryCallState], bool]

MAX_KINDS_SEEN = 50
"""50: how many kinds of outcomes are counted separately, which bounds the memory of an endless wait."""

OTHER = "other"


class CallState:
    """The counters, the deadline and the latest response of one call of the client: a wait, a submission or a download.

    Attributes:
        redactor: Redacts secrets from text that errors and log lines show.
        job_id: The id of the job; None if there is none.
        request_url: The URL of the last request, with its secrets; empty before the first one.
        is_own_url: True if it was built from `base_url`.
        may_have_been_accepted: As in `TranslationClientError`.
        idempotency_key: As in `TranslationClientError`.
        retry_after: The seconds in the `Retry-After` of the last usable response or refusal; None if it had none.
        sleep_reason: Why the last sleep before a check has its length, for the log.
        sleep_limit: The longest that this sleep could have been: the seconds until the last check has to start.
            `limited_sleep` sets it, and `stop_before_deadline` reads it.
        timeout: Seconds for the whole call; `math.inf` for no limit.
        stopwatch: Measures the call.
        deadline: When the call must end.
        attempts: The number of requests.
        job: The job as it was last read from a response; None before the first one.
        last_fault: The last fault; None if there was none.
        slowest_response_seconds: The duration of the slowest request so far that had a response.
        previous_response_seconds: The duration of the previous request that had a response.
        slowest_single_seconds: As `slowest_response_seconds`, without bulk requests.
        previous_single_seconds: As `previous_response_seconds`, without bulk requests.
        may_check_again: False once `max_retries` or the caller's `stop` was reached.
        seen: The number of responses and faults by status word or kind.
    """

    def __init__(
        self, job_id: str | None, timeout: float, redactor: Redactor, stopwatch: Stopwatch | None = None
    ) -> None:
        """Create the state, with a new stopwatch unless one is given.

        Args:
            job_id: The id of the job; None if there is none.
            timeout: Seconds for the whole call.
            redactor: Redacts secrets from text that errors show.
            stopwatch: A running stopwatch; None to start one.
        """
        self.redactor = redactor
        self.job_id = job_id
        self.request_url = ""
        self.is_own_url = False
        self.may_have_been_accepted = False
        self.idempotency_key: str | None = None
        self.retry_after: float | None = None
        self.sleep_reason = ""
        self.sleep_limit = math.inf
        self.timeout = timeout
        self.stopwatch = stopwatch or Stopwatch()
        self.deadline = Deadline(self.stopwatch.began_at + timeout, self.stopwatch)
        self.attempts = 0
        self.job: Job | None = None
        self.last_fault: Fault | None = None
        self.slowest_response_seconds = 0.0
        self.previous_response_seconds = 0.0
        self.slowest_single_seconds = 0.0
        self.previous_single_seconds = 0.0
        self.may_check_again = True
        self.seen: Counter[str] = Counter()
        self._unknown_words: set[str] = set()

    @property
    def shown_id(self) -> str | None:
        """The id of the job, redacted by the keys known so far, as a key may become known during the call."""
        return None if self.job_id is None else self.redactor.redact_id(self.job_id)

    @property
    def url(self) -> str:
        """The URL of the last request, redacted. Empty before the first request."""
        if not self.request_url:
            return ""
        if self.is_own_url:
            return self.redactor.redact_id(redact_url(self.request_url))
        return self.redactor.redact_link(self.request_url)

    def record_request(self, url: str, *, is_own_url: bool) -> None:
        """Count a request, and record its URL.

        Args:
            url: The absolute URL.
            is_own_url: True if it was built from `base_url`, False if a server sent it.
        """
        self.attempts += 1
        self.request_url, self.is_own_url = url, is_own_url

    @property
    def checks(self) -> int:
        """The number of status responses that were parsed."""
        return 0 if self.job is None else self.job.checks

    def record_response(self, response: Response, *, is_bulk: bool = False) -> None:
        """Record the duration of a request, and add its API keys to the redactor.

        Args:
            response: The response.
            is_bulk: True for the response to a bulk request.
        """
        if response.sent_keys:
            self.add_keys(response)
        self.previous_response_seconds = response.seconds
        self.slowest_response_seconds = max(self.slowest_response_seconds, response.seconds)
        if not is_bulk:
            self.previous_single_seconds = response.seconds
            self.slowest_single_seconds = max(self.slowest_single_seconds, response.seconds)

    def add_keys(self, response: Response) -> None:
        """Add the API keys of the request to the redactor."""
        self.redactor = self.redactor.with_keys(response.sent_keys)

    def record_job(self, job: Job, shown_status: str) -> None:
        """Record a job that was parsed from a response, and count `shown_status`, its status word without secrets."""
        self.job = job
        self.count(shown_status)

    def record_fault(self, fault: Fault) -> None:
        """Record a failed request, and redact its text before a message or a log line shows it."""
        fault.redact(self.redactor)
        self.last_fault = fault
        self.count(fault.kind if fault.status_code is None else f"HTTP {fault.status_code}")

    def count(self, outcome: str) -> None:
        """Count an outcome by its name, or as `OTHER` once there are `MAX_KINDS_SEEN` names."""
        is_counted = outcome in self.seen or len(self.seen) < MAX_KINDS_SEEN
        self.seen[outcome if is_counted else OTHER] += 1

    def add_unknown_status(self, raw_status: str) -> bool:
        """Record an unknown status word. Return True the first time, for the first `MAX_KINDS_SEEN` words."""
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
            "elapsed": self.stopwatch.elapsed,
            "may_have_been_accepted": self.may_have_been_accepted,
            "idempotency_key": self.idempotency_key,
        }


MARGIN_SECONDS, MARGIN_FRACTION = 0.25, 0.05
"""How long before the deadline the response to the last check should arrive: 0.25 s, or a twentieth of a short wait."""


def last_check_delay(
    left: float, timeout: float, slowest_response_seconds: float, previous_response_seconds: float
) -> float:
    """Return the seconds until the last check has to start to get its response by the deadline, or 0 for no check.

    1. It starts early enough for a response that takes twice as long as the slowest so far, plus the margin.
    2. If that start has passed during the previous check: early enough for a response as slow as the previous one, plus
       the margin.
    3. If it had passed before that: early enough for twice the previous response time, or for once that time, if the
       start is then more than the margin away; or else not at all. Without this rule one slow response, for instance at
       a cold start, would end the wait early.

    Args:
        left: Seconds until the deadline.
        timeout: Seconds for the whole wait.
        slowest_response_seconds: Seconds of the slowest response of this wait.
        previous_response_seconds: Seconds of the latest response. At most those of the slowest.
    """
    margin = margin_before_deadline(timeout)
    lead = margin + 2 * slowest_response_seconds
    if left - lead > DEADLINE_TOLERANCE_SECONDS:
        return left - lead
    began_before_that = left + previous_response_seconds > lead + DEADLINE_TOLERANCE_SECONDS
    if began_before_that:
        return left - margin - previous_response_seconds
    delays = (left - margin - times * previous_response_seconds for times in (2, 1))
    return next((delay for delay in delays if delay > margin), 0.0)


def margin_before_deadline(timeout: float) -> float:
    """Return how many seconds before the deadline the response to the last check should arrive."""
    return min(MARGIN_SECONDS, MARGIN_FRACTION * timeout)


def seconds_until_last_check(state: CallState) -> float:
    """Return the seconds until the last check before the deadline has to start, or 0 if it is too late for one.

    If the durations of bulk requests leave no time for a check, those of single requests decide, unless `max_retries` or
    the caller's `stop` was reached.
    """
    left, timeout = state.deadline.remaining, state.timeout
    delay = last_check_delay(left, timeout, state.slowest_response_seconds, state.previous_response_seconds)
    if delay > DEADLINE_TOLERANCE_SECONDS or not state.may_check_again:
        return delay
    single_delay = last_check_delay(left, timeout, state.slowest_single_seconds, state.previous_single_seconds)
    return single_delay if single_delay > margin_before_deadline(timeout) else delay


def is_too_late_for_a_check(state: CallState) -> bool:
    """Return True if no further check could get its response by the deadline."""
    return seconds_until_last_check(state) <= DEADLINE_TOLERANCE_SECONDS


def retry_after_reaches_deadline(state: CallState, fault: Fault) -> bool:
    """Return True if `Retry-After` reaches the deadline."""
    retry_after = fault.retry_after or 0.0
    return retry_after > 0 and retry_after >= state.deadline.remaining - DEADLINE_TOLERANCE_SECONDS


def may_end_after(checks: float, policy: PollingPolicy, stop: StopStrategy | None) -> bool:
    """Return True if `max_retries` or the caller's `stop` may end a wait after this number of pending checks."""
    return stop is not None or checks > policy.max_retries


FaultLimit = Literal["retry_after", "deadline", "max_faults"]


def reached_fault_limit(state: CallState, retry_state: RetryCallState, max_faults: float) -> FaultLimit:
    """Return the limit that ended the retries after faults, for a declaration without another `stop`."""
    if retry_after_reaches_deadline(state, fault_of(retry_state)):
        return "retry_after"
    has_retries_left = retry_state.attempt_number < max_faults
    return "deadline" if state.deadline.expired or has_retries_left else "max_faults"


def fault_of(retry_state: RetryCallState) -> Fault:
    """Return the fault that the latest attempt raised.

    Raises:
        TypeError: The latest attempt raised no fault.
    """
    fault = retry_state.outcome.exception() if retry_state.outcome is not None else None
    if not isinstance(fault, Fault):
        raise TypeError(f"not the state of a failed call: {retry_state!r}")
    return fault


class wait_pending(wait_base):  # noqa: N801  # named as tenacity names its strategies
    """Sleep after a pending response by a schedule or by `Retry-After`, whichever is longer, but not past the last check.

    The reason for the length is stored in `state.sleep_reason`.
    """

    def __init__(
        self,
        wait: WaitStrategy | None,
        backoff: WaitStrategy,
        state: CallState,
        *,
        max_sleep: float = math.inf,
        elapsed_before: float = 0.0,
    ) -> None:
        """Create the strategy.

        Args:
            wait: The caller's wait strategy, or the learned schedule; None for `backoff`.
            backoff: The exponential backoff.
            state: The state of the call.
            max_sleep: The longest sleep in seconds, for a call without a deadline. A `Retry-After` is shortened to it too.
            elapsed_before: Seconds of the stopwatch before the first attempt, which `seconds_since_start` leaves out.
        """
        self._wait = backoff if wait is None else wait
        self._reason = "backoff" if wait is None else "schedule"
        self._state = state
        self._max_sleep = max_sleep
        self._elapsed_before = elapsed_before

    def __call__(self, retry_state: RetryCallState) -> float:
        """Return the seconds to sleep."""
        # `seconds_since_start` is set by the stopwatch, as the clock that tenacity reads may be frozen. It is enough to
        # do it here, as `wait` is called before `stop`, by tenacity and by `RetryStepper`.
        retry_state.outcome_timestamp = retry_state.start_time + self._state.stopwatch.elapsed - self._elapsed_before
        seconds = max(0.0, float(self._wait(retry_state)))
        return limited_sleep(self._state, seconds, self._reason, self._max_sleep)


def limited_sleep(state: CallState, seconds: float, reason: str, max_sleep: float = math.inf) -> float:
    """Return the seconds to sleep: by a schedule or by `Retry-After`, whichever is longer, but not past the last check.

    The reason is stored in `state.sleep_reason`, and the seconds until the last check in `state.sleep_limit`.

    Args:
        state: The state of the call.
        seconds: Seconds to sleep by the schedule.
        reason: The reason to store if the schedule applies.
        max_sleep: The longest sleep in seconds. A `Retry-After` is shortened to it too.
    """
    state.sleep_reason = reason
    if state.retry_after is not None and state.retry_after > seconds:
        seconds, state.sleep_reason = state.retry_after, "retry_after"
    state.sleep_limit = seconds_until_last_check(state)
    limit = min(state.sleep_limit, max_sleep)
    if limit < seconds:
        seconds, state.sleep_reason = limit, "deadline"
    return seconds


class wait_jittered(wait_base):  # noqa: N801  # named as tenacity names its strategies
    """The delay of another strategy with a jitter of up to ± `jitter` times itself, at most `max_sleep` seconds."""

    def __init__(self, wait: WaitStrategy, jitter: float, max_sleep: float) -> None:
        self.wait = wait
        self.jitter = jitter
        self.max_sleep = max_sleep

    def __call__(self, retry_state: RetryCallState) -> float:
        """Return the delay of the other strategy, with jitter."""
        return jittered(self.wait(retry_state), self.jitter, self.max_sleep, RANDOM.random())


class wait_after_fault(wait_base):  # noqa: N801  # named as tenacity names its strategies
    """Sleep after a fault by the backoff, but not past the last check. A longer `Retry-After` overrides both."""

    def __init__(self, state: CallState) -> None:
        self._state = state
        self._backoff = wait_jittered(
            wait_exponential(multiplier=FAULT_DELAY_SECONDS, max=FAULT_DELAY_MAX_SECONDS),
            FAULT_JITTER,
            FAULT_DELAY_MAX_SECONDS,
        )

    def __call__(self, retry_state: RetryCallState) -> float:
        """Return the seconds to sleep."""
        limit = seconds_until_last_check(self._state)
        return max(fault_of(retry_state).retry_after or 0.0, min(self._backoff(retry_state), limit))


class wait_until_last_check(wait_base):  # noqa: N801  # named as tenacity names its strategies
    """Sleep after the fault of an extra check until the last check. A longer `Retry-After` overrides it."""

    def __init__(self, state: CallState) -> None:
        self._state = state

    def __call__(self, retry_state: RetryCallState) -> float:
        """Return the seconds to sleep."""
        return max(fault_of(retry_state).retry_after or 0.0, seconds_until_last_check(self._state))


class stop_before_deadline(stop_base):  # noqa: N801  # named as tenacity names its strategies
    """Stop when no further check could start in time to get its response by the deadline."""

    def __init__(self, state: CallState) -> None:
        self._state = state

    def __call__(self, retry_state: RetryCallState) -> bool:  # noqa: ARG002  # as tenacity calls it
        """Return True if it is too late for a check, by the limit that `wait_pending` has just stored."""
        return self._state.sleep_limit <= DEADLINE_TOLERANCE_SECONDS


class stop_when_out_of_time(stop_base):  # noqa: N801  # named as tenacity names its strategies
    """Stop after a fault if no response could arrive by the deadline, or if `Retry-After` reaches it."""

    def __init__(self, state: CallState) -> None:
        self._state = state

    def __call__(self, retry_state: RetryCallState) -> bool:
        """Return True if `Retry-After` or the deadline leaves no time for an attempt."""
        fault = fault_of(retry_state)
        return retry_after_reaches_deadline(self._state, fault) or is_too_late_for_a_check(self._state)


class stop_on_long_retry_after(stop_base):  # noqa: N801  # named as tenacity names its strategies
    """Stop after a failed bulk request if `Retry-After` is too long, as its jobs can be checked singly instead.

    Too long are `FAULT_DELAY_MAX_SECONDS`, and half of the time left: the other half is for the retry.
    """

    def __init__(self, state: CallState) -> None:
        self._state = state

    def __call__(self, retry_state: RetryCallState) -> bool:
        """Return True if `Retry-After` is too long."""
        longest = min(self._state.deadline.remaining / 2, FAULT_DELAY_MAX_SECONDS)
        return (fault_of(retry_state).retry_after or 0.0) >= longest


def placeholder(*_: Any) -> NoReturn:
    """Raise `RuntimeError`. Stands for the function and the sleep of a declaration that only a `RetryStepper` uses."""
    raise RuntimeError("this declaration has no function and no sleep: step through it with a RetryStepper")


def declare_poll(
    check: Callable[[], T] = placeholder,
    *,
    is_pending: Callable[[T], bool],
    state: CallState,
    policy: PollingPolicy,
    max_retries: float,
    wait: WaitStrategy | None,
    stop: StopStrategy | None,
    before_sleep: Callable[[RetryCallState], None],
    retry_error_callback: Callable[[RetryCallState], NoReturn],
    sleep: Callable[[int | float], None] = placeholder,
    max_seconds: float = math.inf,
    elapsed_before: float = 0.0,
) -> Callable[[], T]:
    """Declare how a check is repeated while its value is pending, within the retries and the deadline.

    Args:
        check: Sends the request, and returns its value.
        is_pending: Returns True if the check has to be repeated after a value.
        state: The state of the call.
        policy: The policy with the backoff.
        max_retries: The maximum number of checks after the first one; `math.inf` for no limit.
        wait: The caller's wait strategy, or the learned schedule; None for the backoff.
        stop: The caller's stop strategy, or None.
        before_sleep: Called before each sleep.
        retry_error_callback: Called when a limit is reached. Always raises.
        sleep: Sleeps for a number of seconds.
        max_seconds: Seconds after which there is no further attempt, and the longest sleep; `math.inf` for no limit. For a
            call without a deadline.
        elapsed_before: As in `wait_pending`.
    """
    backoff: WaitStrategy = wait_exponential(multiplier=policy.backoff_factor, max=policy.max_delay)
    if policy.jitter:
        backoff = wait_jittered(backoff, policy.jitter, policy.max_delay)
    max_attempts: Any = max_retries + 1  # may be infinite, which tenacity accepts despite its types
    callers_stop: Any = stop_never if stop is None else stop  # any callable, as tenacity accepts

    @retry(
        retry=retry_if_result(is_pending),
        wait=wait_pending(wait, backoff, state, max_sleep=max_seconds, elapsed_before=elapsed_before),
        stop=stop_any(
            stop_after_attempt(max_attempts),
            stop_after_delay(min(state.timeout, max_seconds)),
            stop_before_deadline(state),
            callers_stop,
        ),
        sleep=sleep,
        before_sleep=before_sleep,
        retry_error_callback=retry_error_callback,
    )
    def poll() -> T:
        return check()

    return poll


def declare_fault_retries(
    call: Callable[[], T] = placeholder,
    *,
    state: CallState,
    max_faults: float,
    wait: WaitStrategy | None = None,
    stop: StopStrategy | None = None,
    before_sleep: Callable[[RetryCallState], None],
    retry_error_callback: Callable[[RetryCallState], NoReturn],
    sleep: Callable[[int | float], None] = placeholder,
) -> Callable[[], T]:
    """Declare how a failed request is retried: at most `max_faults` attempts in a row, and within the deadline.

    Args:
        call: Sends the request once.
        state: The state of the call of the client.
        max_faults: The maximum number of attempts; `math.inf` for no limit.
        wait: How long to sleep; None for the backoff after faults.
        stop: When to stop before `max_faults`, besides the deadline; None for no such condition.
        before_sleep: Called before each sleep.
        retry_error_callback: Called when a limit is reached. Always raises.
        sleep: Sleeps for a number of seconds.
    """
    max_attempts: Any = max_faults  # may be infinite, which tenacity accepts despite its types
    other_stop: Any = stop_never if stop is None else stop  # any callable, as tenacity accepts

    @retry(
        retry=retry_if_exception_type(Fault),
        wait=wait_after_fault(state) if wait is None else wait,
        stop=stop_any(stop_after_attempt(max_attempts), stop_when_out_of_time(state), other_stop),
        sleep=sleep,
        before_sleep=before_sleep,
        retry_error_callback=retry_error_callback,
    )
    def call_again() -> T:
        return call()

    return call_again


def declare_extra_check_retries(
    *,
    state: CallState,
    before_sleep: Callable[[RetryCallState], None],
    retry_error_callback: Callable[[RetryCallState], NoReturn],
) -> Callable[[], object]:
    """Declare how an extra check of a batch is retried: by the last check, whatever `max_faults` is.

    The extra check was made because of the other jobs, so that its fault counts towards no limit but the deadline. The
    arguments are those of `declare_fault_retries`.
    """
    return declare_fault_retries(
        state=state,
        max_faults=math.inf,
        wait=wait_until_last_check(state),
        before_sleep=before_sleep,
        retry_error_callback=retry_error_callback,
    )


MAX_BULK_ATTEMPTS = 2
"""2: how often `check_all` sends a bulk request before its jobs are checked singly, unless `max_faults` is less."""


def declare_bulk_retries(
    *,
    state: CallState,
    max_faults: float,
    before_sleep: Callable[[RetryCallState], None],
    retry_error_callback: Callable[[RetryCallState], NoReturn],
) -> Callable[[], object]:
    """Declare how `check_all` retries a bulk request. The arguments are those of `declare_fault_retries`."""
    return declare_fault_retries(
        state=state,
        max_faults=min(MAX_BULK_ATTEMPTS, max_faults),
        stop=stop_on_long_retry_after(state),
        before_sleep=before_sleep,
        retry_error_callback=retry_error_callback,
    )


def retrying_of(declared: Callable[..., Any]) -> Retrying:
    """Return the `Retrying` that tenacity has attached to a declared function, for a `RetryStepper`."""
    retrying: Retrying = declared.retry  # type: ignore[attr-defined]  # the decorator of tenacity sets it
    return retrying


def with_fault_retries(call: Callable[[], T], declare: Callable[[Callable[[], T]], Callable[[], T]]) -> Callable[[], T]:
    """Return a function that sends a request, with the declared retries after faults.

    Args:
        call: Sends the request once.
        declare: Returns `declare_fault_retries` of a function. It is called only after the first fault, because most
            requests succeed, and a declaration takes as long as parsing a response.
    """

    def call_with_retries() -> T:
        try:
            return call()
        except Fault as fault:
            faults = [fault]

        def again() -> T:
            if faults:
                raise faults.pop()  # the one that has already happened is the first attempt
            return call()

        return declare(again)()

    return call_with_retries


class _Attempt(Future):
    """The outcome of an attempt for the strategies of tenacity, without the lock of tenacity's own `Future`."""

    def __init__(self, attempt_number: int, value: object, error: Exception | None) -> None:
        """Create the outcome: a value, or an error."""
        self.attempt_number = attempt_number
        self._value = value
        self._error = error

    def __repr__(self) -> str:
        return f"_Attempt({self.attempt_number}, {self._value!r}, {self._error!r})"

    @property
    def failed(self) -> bool:
        """True if the attempt raised."""
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
    """Steps through a declaration, attempt by attempt. Its user sends the requests and sleeps."""

    __slots__ = ("_retry_state",)

    def __init__(self, elapsed: float = 0.0) -> None:
        """Start with the first attempt. Its `start_time`, which the caller's strategies may read, is `elapsed` seconds ago."""
        self._retry_state = RetryCallState(None, None, (), {})  # type: ignore[arg-type]  # strategies read none of these
        self._retry_state.start_time -= elapsed

    def delay_after(self, result: object, retrying: Retrying) -> float | None:
        """Return the seconds to sleep before the next attempt, or None if no further one is needed.

        Raises:
            TranslationClientError: A limit is reached.
        """
        return self._next_delay(_Attempt(self._retry_state.attempt_number, result, None), retrying)

    def delay_after_fault(self, fault: Fault, retrying: Retrying) -> float:
        """Return the seconds to sleep before the request is retried. Raises as `delay_after`."""
        seconds = self._next_delay(_Attempt(self._retry_state.attempt_number, None, fault), retrying)
        if seconds is None:
            raise fault
        return seconds

    def _next_delay(self, attempt: _Attempt, retrying: Retrying) -> float | None:
        state: Any = self._retry_state  # typed for tenacity's own loop
        state.outcome, state.outcome_timestamp = attempt, monotonic()
        if not retrying.retry(state):
            return None
        seconds: float = retrying.wait(state)
        state.upcoming_sleep = seconds
        if retrying.stop(state):
            retrying.retry_error_callback(state)  # type: ignore[misc]  # each declaration has one
        state.idle_for += seconds
        retrying.before_sleep(state)  # type: ignore[misc]  # each declaration has one
        state.prepare_for_next_attempt()
        return seconds


async def step_through_faults(
    call: Callable[[], Awaitable[T]], get_retrying: Callable[[], Retrying], sleep: Callable[[float], Awaitable[None]]
) -> T:
    """Await `call()`, and retry it after faults.

    Args:
        call: Sends the request once.
        get_retrying: Returns the declaration of the retries. It is called after each fault.
        sleep: Sleeps for a number of seconds.
    """
    stepper: RetryStepper | None = None
    while True:
        try:
            return await call()
        except Fault as error:
            fault = error
        # Outside the handler, or a final error would have the fault as its `__context__`.
        stepper = stepper or RetryStepper()
        seconds = stepper.delay_after_fault(fault, get_retrying())
        await sleep(seconds)


async def step_until_final(
    call: Callable[[], Awaitable[T]], retrying: Retrying, sleep: Callable[[float], Awaitable[None]]
) -> T:
    """Await `call()`, repeat it while its value is pending, and return the final value."""
    stepper = RetryStepper()
    while True:
        value = await call()
        seconds = stepper.delay_after(value, retrying)
        if seconds is None:
            return value
        await sleep(seconds)


REAL_PROGRESS_BYTES = 64 * 1024
"""64 KiB: how many bytes beyond the most received so far make the count of faults start again."""

MAX_USELESS_REFRESHES = 50
"""50: how many fresh links in a row may bring a file no further, however many faults are allowed."""


class DownloadProgress:
    """The bytes that a download has received, which decide how often its request and its link are renewed.

    A part of the file is no fault: the request for the rest of it is a new one, with its own count of faults.
    """

    def __init__(self, max_faults: float) -> None:
        """Create the progress of a download that has received nothing.

        Args:
            max_faults: The limit of attempts in a row, which also limits fresh links that bring the file no further.
        """
        self._max_refreshes = min(max_faults, MAX_USELESS_REFRESHES)
        self._most_received = 0  # bytes of the file, by any request
        self._useless_refreshes = 0
        # Less than 0 bytes, as the first link may be refreshed although it has delivered nothing.
        self._received_at_refresh = self._transferred_at_refresh = -1

    def has_new_bytes(self, received: int) -> bool:
        """Return True if the file has got further than by any earlier response.

        Args:
            received: The bytes of the file that are present.
        """
        return received > self._most_received

    def resets_fault_count(self, received: int) -> bool:
        """Return True if a request that broke off got so far that it counts as a part, and not as a fault."""
        return received - self._most_received >= REAL_PROGRESS_BYTES

    def record_part(self, received: int, by_request: int) -> float:
        """Record a part of the file, and return the seconds to sleep before the rest is requested.

        No sleep is needed after a complete response of `REAL_PROGRESS_BYTES`. Without a sleep after smaller parts, a host
        could make us send a request for each byte.

        Args:
            received: The bytes of the file that are present.
            by_request: The bytes by a complete response; 0 if the connection broke.
        """
        self._most_received = received
        return 0.0 if by_request >= REAL_PROGRESS_BYTES else FAULT_DELAY_SECONDS

    def may_refresh_link(self, transferred: int) -> bool:
        """Return True if the link may be refreshed: the first one, or one that has delivered something.

        False if too many fresh links in a row brought the file no further: where nothing can be resumed, each may break
        off before the point that an earlier one reached.

        Args:
            transferred: The bytes of all responses, those included that had to be received again.
        """
        return transferred > self._transferred_at_refresh and self._useless_refreshes < self._max_refreshes

    def record_refresh(self, received: int, transferred: int) -> None:
        """Record that the link is refreshed. The bytes are as in `record_part` and `may_refresh_link`."""
        self._useless_refreshes = 0 if received > self._received_at_refresh else self._useless_refreshes + 1
        self._received_at_refresh = max(self._received_at_refresh, received)
        self._transferred_at_refresh = transferred


SUSPENSION_AFTER_REFUSAL_SECONDS, MAX_SUSPENSION_SECONDS = 30.0, 300.0
"""30 s and 5 min: for how long a refused bulk request suspends further ones, and the longest suspension."""


def suspension_seconds(failures: int, *, is_refusal: bool) -> float:
    """Return for how long a batch makes no bulk requests after one failed. Each failure in a row doubles the time.

    Args:
        failures: The number of failures in a row before this one.
        is_refusal: True if the server refuses bulk requests.
    """
    first = SUSPENSION_AFTER_REFUSAL_SECONDS if is_refusal else FAULT_DELAY_SECONDS
    doublings = min(failures, 16)  # far more than the maximum needs, and a float does not overflow
    return min(first * 2.0**doublings, MAX_SUSPENSION_SECONDS)
