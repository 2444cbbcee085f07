"""When do we ask again, and when do we stop? The numbers, and the arithmetic on them; `polling.py` hands them to tenacity."""

from __future__ import annotations

from dataclasses import dataclass

from . import arguments

FAULT_DELAY_SECONDS = 0.5
FAULT_DELAY_MAX_SECONDS = 30.0
FAULT_JITTER = 0.25
"""The sleeps between the calls of one check: 0.5, 1, 2, 4 … 30 s, each ± 25 %."""

LAST_CHECK_LEAD_SECONDS = 0.25
LAST_CHECK_LEAD_FRACTION = 0.05


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
    backoff_factor: float = 2
    max_delay: float = 60
    jitter: float = 0.0

    def __post_init__(self) -> None:
        arguments.positive("timeout", self.timeout, infinite=True)
        arguments.whole("max_retries", self.max_retries, least=0)
        arguments.positive("request_timeout", self.request_timeout)
        arguments.whole("max_faults", self.max_faults, least=1)
        arguments.positive("backoff_factor", self.backoff_factor)
        arguments.positive("max_delay", self.max_delay)
        arguments.fraction("jitter", self.jitter)


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


def last_check_lead(timeout: float, slowest_answer: float) -> float:
    """How many seconds before the deadline the last check has to start, so that it is answered by then.

    Twice the slowest answer so far, and a quarter of a second (less where the whole wait is under 5 s).
    """
    return min(LAST_CHECK_LEAD_SECONDS, LAST_CHECK_LEAD_FRACTION * timeout) + 2 * slowest_answer
