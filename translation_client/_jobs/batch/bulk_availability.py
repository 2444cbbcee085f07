"""The decision whether a batch makes bulk requests: a circuit breaker."""

from __future__ import annotations

import math

from ..._polling import suspension_seconds
from ..bulk import BulkFailed
from .rate_limiter import MAX_PAUSE_SECONDS

RESPONSE_TIMEOUT_SECONDS, RESPONSE_TIMEOUT_FACTOR = 2.0, 4.0
"""How long jobs wait for a bulk response: 2 s, or 4 times the recent time of such a response if that is more."""


class BulkAvailability:
    """Decides if a batch makes bulk requests. A failed one suspends them for a time that doubles with each failure.

    It is a circuit breaker. While bulk requests are suspended, each job has a request of its own. After that time one
    bulk request is made as a trial. No job waits for it, as its jobs still have requests of their own. A usable response
    to a trial ends the suspension.
    """

    def __init__(self) -> None:
        self._is_suspended = self._is_on_trial = False
        self._trial_at = -math.inf
        self._failures = 0
        self._recent_seconds = 0.0  # of bulk responses: a maximum that halves with each response

    @property
    def is_suspended(self) -> bool:
        """True while only a trial may be made."""
        return self._is_suspended

    def may_try(self, now: float) -> bool:
        """Return True if a trial may be made now."""
        return self._is_suspended and not self._is_on_trial and now >= self._trial_at

    def start_trial(self) -> None:
        """Record that a trial is sent. There is one at a time."""
        self._is_on_trial = True

    def response_timeout(self, seconds_left: float, spare_seconds: float) -> float:
        """Return for how many seconds jobs wait for a bulk response, at most half of the time left.

        If there is no response, the jobs are checked singly: `spare_seconds` leaves just enough time for all of them. If
        that is too short for a bulk response, the bulk request is still the best chance of most of the jobs. Then they
        wait for a quarter of the time left, or for `RESPONSE_TIMEOUT_FACTOR` times the recent time of a bulk response.

        Args:
            seconds_left: Seconds until the earliest deadline of the jobs.
            spare_seconds: Seconds left of these after one request per job at the full rate. May be negative.
        """
        generous = RESPONSE_TIMEOUT_FACTOR * self._recent_seconds
        longest = min(seconds_left / 2, max(RESPONSE_TIMEOUT_SECONDS, generous))
        if spare_seconds < max(seconds_left / 8, generous / 2):  # too short for a bulk response
            return min(longest, max(seconds_left / 4, generous))
        return min(longest, spare_seconds)

    def has_time(self, seconds_left: float) -> bool:
        """Return True if a bulk response usually comes in the time for which a job with `seconds_left` waits for it."""
        return seconds_left / 2 >= self._recent_seconds

    def record_response(self, seconds: float, *, is_trial: bool) -> None:
        """Record a usable response. A response to a request from before the suspension does not end it.

        Args:
            seconds: Seconds from the request to the response.
            is_trial: True if the request was a trial.
        """
        self._recent_seconds = max(seconds, self._recent_seconds / 2)
        if is_trial:
            self._is_suspended = self._is_on_trial = False
        if not self._is_suspended:
            self._failures = 0

    def record_failure(self, failed: BulkFailed, now: float, *, is_trial: bool) -> float:
        """Suspend bulk requests, and return for how many seconds.

        Failures of requests that were in flight at the same time count as one. A `Retry-After` counts up to
        `MAX_PAUSE_SECONDS`, as in a pause of all jobs.
        """
        retry_after = min(failed.fault.retry_after or 0.0, MAX_PAUSE_SECONDS)
        if is_trial or not self._is_suspended:
            self._trial_at = now + suspension_seconds(self._failures, is_refusal=failed.is_refusal)
            self._failures += 1
            self._is_suspended, self._is_on_trial = True, False
        self._trial_at = max(self._trial_at, now + retry_after)
        return self._trial_at - now
