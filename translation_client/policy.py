"""When do we ask again, and when do we stop? The numbers, and the arithmetic on them; `polling.py` hands them to tenacity."""

from __future__ import annotations

import random
from dataclasses import dataclass

from . import arguments
from .clock import TICK_SECONDS

# The sleeps between the calls of one check: 0.5, 1, 2, 4 … 30 s, each ± 25 %.
FAULT_DELAY_SECONDS = 0.5
FAULT_DELAY_MAX_SECONDS = 30.0
FAULT_JITTER = 0.25

# What is left of the time when the last check should be answered: a quarter of a second, or less in a short wait.
GRACE_SECONDS = 0.25
GRACE_FRACTION = 0.05

CHANCE = random.SystemRandom()
"""Not the module's generator, which is the caller's to seed, and which forked workers share the state of."""


@dataclass(frozen=True)
class WaitPolicy:
    """The three clocks and the backoff, checked when made. Seconds throughout; `math.inf` is no limit.

    Attributes:
        timeout: The whole wait, the call in flight included.
        max_retries: How often to ask again while the answer is "pending".
        request_timeout: One HTTP call: connecting, headers and body together.
        max_faults: The consecutive failed calls that fail a check.
        backoff_factor: The first backoff sleep; each further one is twice the last.
        max_delay: The longest backoff sleep.
        jitter: The part by which a backoff sleep may be longer or shorter, from 0 to 1.
    """

    timeout: float
    max_retries: float
    request_timeout: float
    max_faults: float
    backoff_factor: float
    max_delay: float
    jitter: float

    def __post_init__(self) -> None:
        self._keep("timeout", arguments.positive("timeout", self.timeout, infinite=True))
        self._keep("max_retries", arguments.whole("max_retries", self.max_retries, least=0))
        self._keep("request_timeout", arguments.positive("request_timeout", self.request_timeout))
        self._keep("max_faults", arguments.whole("max_faults", self.max_faults, least=1))
        self._keep("backoff_factor", arguments.positive("backoff_factor", self.backoff_factor))
        self._keep("max_delay", arguments.positive("max_delay", self.max_delay))
        self._keep("jitter", arguments.fraction("jitter", self.jitter))

    def _keep(self, name: str, number: float) -> None:
        """Keep a number as the float that it was checked as: a `Fraction` is one, but cannot be formatted."""
        object.__setattr__(self, name, number)


def spread(delay: float, jitter: float, longest: float, chance: float) -> float:
    """Move a delay by up to ± `jitter` of itself, never above `longest`.

    At the cap the range is cut and not the result: clients that all wait for the longest delay still part ways.

    Args:
        delay: Seconds, at most `longest`.
        jitter: From 0 to 1.
        longest: Seconds.
        chance: A random number from 0 to 1.
    """
    least, most = delay * (1 - jitter), min(longest, delay * (1 + jitter))
    return least + (most - least) * chance


def until_last_check(left: float, timeout: float, slowest_answer: float, latest_answer: float) -> float:
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
