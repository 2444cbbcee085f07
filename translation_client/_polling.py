"""When a call is repeated: the state of a call, wait and stop strategies for tenacity, and the declarations of both loops.

One loop repeats a status check while the job is pending, the other repeats a request that failed. Neither uses up the limits of the
other, and neither knows what is sent. The decorators sit on closures that are made for each call: tenacity keeps the statistics of a
decorated function in one dict, which threads would share.

asyncio and batches step through the same rules on a state of their own. tenacity's loops keep their progress by thread, and a thread
may have thousands of waits, or one wait may continue in another thread.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, NamedTuple, TypeVar

from tenacity import Future, RetryCallState, retry, retry_if_exception_type, retry_if_result
from tenacity.stop import stop_after_attempt, stop_after_delay, stop_any, stop_base, stop_never
from tenacity.wait import wait_base, wait_exponential

from ._auth import Redactor, redact_url
from ._clock import TICK_SECONDS, Deadline, Stopwatch, now
from ._config import FAULT_DELAY_MAX_SECONDS, FAULT_DELAY_SECONDS, FAULT_JITTER, RANDOM, PollingPolicy, jittered
from ._models import Fault, Job, Response, shown_text

MAX_KINDS_SEEN = 50
"""Kinds of answers that are told apart: a wait without end, and a server that never says the same twice, fill no memory."""

OTHER = "other"


class CallState:
    """The counts and the last answers of one errand: a wait, an order, a download."""

    def __init__(self, job_id: str | None, timeout: float, secrets: Redactor, watch: Stopwatch | None = None) -> None:
        """Start.

        Args:
            job_id: The job it is about.
            timeout: Seconds for all of it.
            secrets: What the evidence must not show.
            watch: Its elapsed time; None to start counting now.
        """
        self.secrets = secrets
        self.job_id = job_id
        self.asked_url = ""
        self.base_url = ""
        self.may_have_been_accepted = False
        self.idempotency_key: str | None = None
        self.hint: float | None = None
        self.timeout = timeout
        self.watch = watch or Stopwatch()
        self.deadline = Deadline(self.watch.began_at + timeout, self.watch)
        self.attempts = 0
        self.job: Job | None = None
        self.last_fault: Fault | None = None
        self.slowest_answer = 0.0
        self.latest_answer = 0.0
        self.seen: Counter[str] = Counter()
        self._unknown_words: set[str] = set()

    @property
    def shown_id(self) -> str | None:
        """The id of the job as texts show it. A key that is in it may be learned after the call has begun."""
        return None if self.job_id is None else self.secrets.shown_id(self.job_id)

    @property
    def url(self) -> str:
        """The URL of the last request, as it may be shown; empty before the first one."""
        if not self.asked_url:
            return ""
        url = redact_url(self.asked_url)
        is_ours = self.base_url and self.asked_url.startswith(self.base_url)  # else the service sent it
        return self.secrets.shown_id(url) if is_ours else self.secrets.scrub(url)

    @property
    def elapsed(self) -> float:
        """Seconds since the start."""
        return self.watch.elapsed

    @property
    def checks(self) -> int:
        """How many answers could be read."""
        return 0 if self.job is None else self.job.checks

    def answered(self, response: Response) -> None:
        """Remember how long the server takes to answer at all, and what its answer may echo."""
        self.learn_keys(response)
        self.latest_answer = response.seconds
        self.slowest_answer = max(self.slowest_answer, response.seconds)

    def learn_keys(self, response: Response) -> None:
        """Redact the key that the request of an answer carried in what comes of it."""
        self.secrets = self.secrets.with_keys(response.sent_keys)

    def saw(self, job: Job) -> None:
        """Keep a job that was read from a response."""
        self.job = job
        self.count(shown_text(job, "raw_status"))

    def saw_fault(self, fault: Fault) -> None:
        """Keep a call that failed."""
        self.last_fault = fault
        self.count(fault.kind if fault.status_code is None else f"HTTP {fault.status_code}")

    def count(self, what: str) -> None:
        """Count an answer."""
        known = what in self.seen or len(self.seen) < MAX_KINDS_SEEN
        self.seen[what if known else OTHER] += 1

    def is_new_word(self, raw_status: str) -> bool:
        """Whether an unknown status word is met for the first time; after many of them none is new any more."""
        if raw_status in self._unknown_words or len(self._unknown_words) >= MAX_KINDS_SEEN:
            return False
        self._unknown_words.add(raw_status)
        return True

    def evidence(self) -> dict[str, Any]:
        """Return what every error carries."""
        return {
            "job_id": self.job_id,
            "job": self.job,
            "attempts": self.attempts,
            "checks": self.checks,
            "elapsed": self.elapsed,
            "may_have_been_accepted": self.may_have_been_accepted,
            "idempotency_key": self.idempotency_key,
        }


GRACE_SECONDS = 0.25
GRACE_FRACTION = 0.05


def last_check_delay(left: float, timeout: float, slowest_answer: float, latest_answer: float) -> float:
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
    lead = grace + 2 * slowest_answer
    if left - lead > TICK_SECONDS:
        return left - lead
    if left + latest_answer > lead + TICK_SECONDS:  # the latest check began before its time had come
        return left - grace - latest_answer
    gains = (left - grace - calls * latest_answer for calls in (2, 1))
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
        """Ask the other strategy, and move its answer."""
        return jittered(self.wait(retry_state), self.jitter, self.longest, RANDOM.random())


class stop_before_deadline(stop_base):  # noqa: N801  # named as tenacity names its strategies
    """Stop when no further check could start in time to be answered by the deadline."""

    def __init__(self, progress: CallState) -> None:
        self.progress = progress

    def __call__(self, retry_state: RetryCallState) -> bool:  # noqa: ARG002  # as tenacity calls it
        """Look at the clock."""
        return is_too_late_for_a_check(self.progress)


class stop_when_out_of_time(stop_base):  # noqa: N801  # named as tenacity names its strategies
    """Stop after a fault when a further call would start too late, by the clock or by the server's hint."""

    def __init__(self, progress: CallState) -> None:
        self.progress = progress

    def __call__(self, retry_state: RetryCallState) -> bool:
        """Look at the hint, and at the clock."""
        fault = fault_in(retry_state)
        return retry_after_exceeds_deadline(self.progress, fault) or is_too_late_for_a_check(self.progress)


class wait_pending(wait_base):  # noqa: N801  # named as tenacity names its strategies
    """How long to sleep on a pending answer: the schedule, lengthened by the server's hint, cut for the last check.

    Attributes:
        reason: What decided the last pause: `backoff`, `schedule`, `retry_after` or `deadline`.
    """

    def __init__(
        self,
        policy: PollingPolicy,
        progress: CallState,
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


def _backoff(policy: PollingPolicy) -> WaitStrategy:
    exponential = wait_exponential(multiplier=policy.backoff_factor, max=policy.max_delay)
    return wait_jittered(exponential, policy.jitter, policy.max_delay)


class wait_after_fault(wait_base):  # noqa: N801  # named as tenacity names its strategies
    """How long to sleep after a fault: the fault backoff, cut for the last call, but never shorter than the hint."""

    def __init__(self, progress: CallState) -> None:
        self._progress = progress
        self._backoff = wait_jittered(
            wait_exponential(multiplier=FAULT_DELAY_SECONDS, max=FAULT_DELAY_MAX_SECONDS),
            FAULT_JITTER,
            FAULT_DELAY_MAX_SECONDS,
        )

    def __call__(self, retry_state: RetryCallState) -> float:
        """Say for how many seconds."""
        most = seconds_until_last_check(self._progress)
        return max(fault_in(retry_state).hint or 0.0, min(self._backoff(retry_state), most))


def seconds_until_last_check(progress: CallState) -> float:
    """Return the seconds until the last check before the deadline has to start; 0 if it is too late for one."""
    return last_check_delay(progress.deadline.left, progress.timeout, progress.slowest_answer, progress.latest_answer)


def is_too_late_for_a_check(progress: CallState) -> bool:
    """Whether no further check could start in time to be answered by the deadline."""
    return seconds_until_last_check(progress) <= TICK_SECONDS


def retry_after_exceeds_deadline(progress: CallState, fault: Fault) -> bool:
    """Whether the server asks to be left alone until after the deadline."""
    hint = fault.hint or 0.0
    return hint > 0 and hint >= progress.deadline.left - TICK_SECONDS


def fault_in(state: RetryCallState) -> Fault:
    """The fault that an attempt of `despite_faults` ended in."""
    fault = state.outcome.exception() if state.outcome is not None else None
    if not isinstance(fault, Fault):
        raise TypeError(f"not the state of a failed call: {state!r}")
    return fault


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
    progress: CallState,
    pauses: wait_pending,
    stop: StopStrategy | None,
    before_sleep: Callable[[RetryCallState], None],
    give_up: Callable[[RetryCallState], None],
) -> Rules:
    """Again while the answer is pending, until `max_retries`, the deadline or the caller's `stop`."""
    limits = stop_any(
        stop_after_attempt(max_retries + 1),  # type: ignore[arg-type]  # inf is a fine limit to compare with
        stop_after_delay(progress.timeout),
        stop_before_deadline(progress),
        stop_never if stop is None else stop,  # type: ignore[arg-type]  # tenacity calls any callable
    )
    return Rules(retry_if_result(is_pending), pauses, limits, before_sleep, give_up)


def fault_rules(
    policy: PollingPolicy,
    progress: CallState,
    *,
    before_sleep: Callable[[RetryCallState], None],
    give_up: Callable[[RetryCallState], None],
) -> Rules:
    """Again after a fault, `max_faults` times in a row at the most and only while there is time."""
    limits = stop_any(
        stop_after_attempt(policy.max_faults),  # type: ignore[arg-type]  # inf is a fine limit to compare with
        stop_when_out_of_time(progress),
    )
    return Rules(retry_if_exception_type(Fault), wait_after_fault(progress), limits, before_sleep, give_up)


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


class _Attempt(Future):
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


class RetryStepper:
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
        return self._pause(_Attempt(self._state.attempt_number, result, None), rules)

    def pause_after_fault(self, fault: Fault, rules: Rules) -> float | None:
        """The same where the call brought no answer."""
        return self._pause(_Attempt(self._state.attempt_number, None, fault), rules)

    def _pause(self, outcome: _Attempt, rules: Rules) -> float | None:
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
    repetition: RetryStepper | None = None
    while True:
        try:
            return await call()
        except Fault as fault:
            repetition = repetition or RetryStepper()
            pause = repetition.pause_after_fault(fault, rules())
        await sleep(pause or 0.0)


async def called_until_final(
    call: Callable[[], Awaitable[T]], rules: Rules, sleep: Callable[[float], Awaitable[None]]
) -> T:
    """Call, and again while the answer is pending, without tenacity's loop."""
    repetition = RetryStepper()
    while True:
        value = await call()
        pause = repetition.pause_after(value, rules)
        if pause is None:
            return value
        await sleep(pause)


def each_answer(check: Callable[[], Job], rules: Rules, sleep: Callable[[float], None]) -> Iterator[Job]:
    """Check again while the answer is pending, and hand out each answer; the state begins now."""
    return _each_answer(check, rules, RetryStepper(), sleep)


def _each_answer(
    check: Callable[[], Job], rules: Rules, repetition: RetryStepper, sleep: Callable[[float], None]
) -> Iterator[Job]:
    while True:
        job = check()
        yield job
        pause = repetition.pause_after(job, rules)
        if pause is None:
            return
        sleep(pause)
