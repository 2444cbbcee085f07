"""Bulk status requests: one request for the status of many jobs, and when a batch makes it."""

from __future__ import annotations

import math
from collections.abc import Sequence

from .._clock import Deadline
from .._config import FAULT_DELAY_SECONDS
from .._models import Fault, Job, MissingField, Refusal, Response, status_line
from .._transports.cancel_scope import CallAborted, CallCancelled
from .._transports.errors import RequestNotSent
from ..services.service import BulkSpec
from .batch.rate_limiter import MAX_PAUSE_SECONDS
from .requestor import Requestor

UNSUPPORTED_CODES = frozenset({501, 505})
"""The 5xx status codes that refuse the request itself (RFC 9110, sections 15.6.2 and 15.6.6)."""

SUSPENSION_SECONDS, SUSPENSION_AFTER_REFUSAL_SECONDS = FAULT_DELAY_SECONDS, 30.0
"""For how long a failed bulk request, or a refused one, suspends further ones. Each further failure doubles the time."""

MAX_SUSPENSION_SECONDS = 300.0
"""5 min: the longest suspension. A `Retry-After` counts up to `MAX_PAUSE_SECONDS`, as in a pause of all jobs."""

RESPONSE_TIMEOUT_SECONDS, RESPONSE_TIMEOUT_FACTOR = 2.0, 4.0
"""How long jobs wait for a bulk response: 2 s, or 4 times the recent time of such a response if that is more."""


class BulkFailed(Exception):
    """A bulk request without a usable response. It says nothing about any of its jobs.

    Attributes:
        fault: The fault of the request.
        is_refusal: True if the server refuses bulk requests, for instance because it does not implement them.
    """

    def __init__(self, fault: Fault, *, is_refusal: bool) -> None:
        super().__init__(fault.text)
        self.fault = fault
        self.is_refusal = is_refusal or fault.status_code in UNSUPPORTED_CODES


class BulkRequest:
    """One request for the status of many jobs, which may be sent again."""

    def __init__(self, requestor: Requestor, bulk: BulkSpec, ids: Sequence[str]) -> None:
        """Create the request. Nothing is sent yet.

        Args:
            requestor: Has the state and the log of the request.
            bulk: The bulk route of the service.
            ids: The ids of the jobs. Each is sent once.
        """
        self._requestor = requestor
        self._bulk = bulk
        self._ids = list(dict.fromkeys(ids))

    async def send(self, deadline: Deadline) -> tuple[Response, dict[str, Job]]:
        """Send the request, and return the response and the jobs in it, by id.

        Raises:
            BulkFailed: There is no response, or it is not usable.
            CallCancelled: The call of the client was cancelled.
        """
        requestor, state = self._requestor, self._requestor.state
        transport = requestor.context.transport
        request = self._bulk.request(self._ids)
        state.record_request(request.url(transport.base_url), is_own_url=True)
        try:
            response = await transport.send(request, deadline, requestor.is_cancelled, new_connection=False)
            state.record_response(response)
            jobs = self._jobs_in(response)
        except CallCancelled:
            raise
        except RequestNotSent as unsent:
            raise unsent.cause from None
        except (CallAborted, Refusal, MissingField, Fault) as failure:
            failed = self._failed_by(failure)
        else:
            requestor.log.response_received("statuses", response)
            return response, jobs
        raise failed  # outside the handlers, so that its `__context__` does not keep the response and its key

    def _jobs_in(self, response: Response) -> dict[str, Job]:
        jobs = self._bulk.read(response, self._ids)
        if len(jobs) < len(self._ids):
            self._bulk.require_no_others(response, self._ids)
        if not jobs:
            raise Fault("unreadable", "the response has the status of none of the jobs", response)
        return {job_id: job for job_id, job in jobs.items() if not self._bulk.is_missing(job)}

    def _failed_by(self, failure: CallAborted | Refusal | MissingField | Fault) -> BulkFailed:
        state = self._requestor.state
        if isinstance(failure, CallAborted):
            return BulkFailed(Fault("timeout", "no response in time"), is_refusal=False)
        if isinstance(failure, Refusal):
            text = status_line(failure.response.status_code)
            return BulkFailed(Fault("status", text, failure.response), is_refusal=True)
        if isinstance(failure, MissingField):
            fault = Fault("unreadable", str(failure), failure.response)
            fault.redact(state.redactor)  # an id may be part of it
            return BulkFailed(fault, is_refusal=False)
        self._requestor.record_fault(failure)
        return BulkFailed(failure, is_refusal=False)


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

        Failures of requests that were in flight at the same time count as one.
        """
        retry_after = min(failed.fault.retry_after or 0.0, MAX_PAUSE_SECONDS)
        if is_trial or not self._is_suspended:
            first = SUSPENSION_AFTER_REFUSAL_SECONDS if failed.is_refusal else SUSPENSION_SECONDS
            self._trial_at = now + min(first * 2.0 ** min(self._failures, 16), MAX_SUSPENSION_SECONDS)
            self._failures += 1
            self._is_suspended, self._is_on_trial = True, False
        self._trial_at = max(self._trial_at, now + retry_after)
        return self._trial_at - now
