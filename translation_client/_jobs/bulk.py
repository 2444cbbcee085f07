"""Bulk status requests: one request for the status of many jobs, and when a batch makes it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from .._clock import Deadline, Stopwatch
from .._config import FAULT_DELAY_SECONDS
from .._models import Fault, Job, MissingField, Refusal, Response, WrongJob, parse_retry_after, status_line
from .._polling import CallState
from .._transports.cancel_scope import CallAborted, CallCancelled
from .._transports.errors import RequestNotSent
from ..services.service import BulkSpec
from ..services.statuses import normalize
from .call_log import CallLog
from .context import ClientContext

NOT_IMPLEMENTED = frozenset({501, 505})
"""The 5xx status codes that refuse the request itself (RFC 9110, sections 15.6.2 and 15.6.6)."""

PAUSE_SECONDS, PAUSE_AFTER_REFUSAL_SECONDS, LONGEST_PAUSE_SECONDS = FAULT_DELAY_SECONDS, 30.0, 300.0
"""Pauses of bulk requests after a failed or a refused one. Each further failure doubles the pause, up to 5 min."""

LONGEST_RETRY_AFTER_SECONDS = 60.0
"""60 s: the longest `Retry-After` that counts, as in a pause of all jobs. A passing failure may have one of a day."""

RESPONSE_TIMEOUT_SECONDS, RESPONSE_TIMEOUT_FACTOR = 2.0, 4.0
"""How long jobs wait for a bulk response: 2 s, or 4 times the usual time of such a response if that is more."""


class BulkFailed(Exception):
    """A bulk request without a usable response. It says nothing about any of its jobs.

    Attributes:
        fault: The fault of the request.
        is_refusal: True if the server refuses bulk requests, for instance because it does not implement them.
    """

    def __init__(self, fault: Fault, *, is_refusal: bool) -> None:
        super().__init__(fault.text)
        self.fault = fault
        self.is_refusal = is_refusal or fault.status_code in NOT_IMPLEMENTED


class BulkCall:
    """One bulk request and its log lines. For one use."""

    def __init__(self, context: ClientContext, bulk: BulkSpec, ids: Sequence[str], stopwatch: Stopwatch) -> None:
        """Create a request for the status of `ids`, each once. Its time runs by `stopwatch`. Nothing is sent yet."""
        self._context = context
        self._bulk = bulk
        self._ids = list(dict.fromkeys(ids))
        self._state = CallState(None, math.inf, context.redactor, stopwatch)
        self._state.attempts = 1
        self._log = CallLog(context.logger, None, self._state)

    async def send(self, deadline: Deadline, is_cancelled: Callable[[], bool]) -> tuple[Response, dict[str, Job]]:
        """Send the request, and return the response and the jobs in it, by id.

        Raises:
            BulkFailed: There is no response, or it is not usable.
            CallCancelled: `is_cancelled` returned True.
        """
        try:
            response = await self._context.transport.send(self._bulk.request(self._ids), deadline, is_cancelled)
            self._state.record_response(response)
            jobs = self._jobs_in(response)
        except CallCancelled:
            raise
        except RequestNotSent as unsent:
            raise unsent.cause from None
        except CallAborted:
            raise BulkFailed(Fault("timeout", "no response in time"), is_refusal=False) from None
        except Refusal as refusal:
            code = refusal.response.status_code
            raise BulkFailed(Fault("status", status_line(code), refusal.response), is_refusal=True) from None
        except MissingField as missing:
            fault = Fault("unreadable", str(missing), missing.response)
            fault.redact(self._state.redactor)  # an id may be part of it
            raise BulkFailed(fault, is_refusal=False) from None
        except Fault as fault:
            if fault.response is not None:
                self._state.redact_keys(fault.response)
            if isinstance(fault, WrongJob):
                self._context.transport.close_idle()  # its connection may be out of step with its requests
            self._state.record_fault(fault)
            fault.retry_after = self._retry_after(fault)
            raise BulkFailed(fault, is_refusal=False) from None
        self._log.response_received("statuses", response)
        return response, jobs

    def log_failure(self, failed: BulkFailed, sleep_seconds: float) -> None:
        """Log the failure, and the seconds until there may be another bulk request."""
        self._log.failed(failed.fault, sleep_seconds)

    def _jobs_in(self, response: Response) -> dict[str, Job]:
        jobs = self._bulk.read(response, self._ids)
        if len(jobs) < len(self._ids):
            self._bulk.require_no_others(response, self._ids)
        if not jobs:
            raise Fault("unreadable", "the response has the status of none of the jobs", response)
        return {job_id: job for job_id, job in jobs.items() if not is_missing(self._bulk, job)}

    def _retry_after(self, fault: Fault) -> float | None:
        if fault.response is None:
            return None
        try:
            return parse_retry_after(fault.response.headers)
        except ValueError:
            self._log.write(
                "retry_after_ignored", value=self._state.redactor.printable(fault.response.headers["Retry-After"])
            )
            return None


def is_missing(bulk: BulkSpec, job: Job) -> bool:
    """Return True if a bulk response says that there is no such job."""
    return normalize(job.raw_status) == normalize(bulk.missing_word)


class BulkAvailability:
    """Decides if a batch makes bulk requests. A failed one suspends them for a time that doubles with each failure.

    While they are suspended, each job has a request of its own. After that time one bulk request is made as a trial. No
    job waits for it, as its jobs still have requests of their own. A usable response to a trial ends the suspension.
    """

    def __init__(self) -> None:
        self._is_suspended = self._is_on_trial = False
        self._trial_at = -math.inf
        self._failures = 0
        self._usual_seconds = 0.0

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

        The rest is for single requests if there is no response: a wait of `spare_seconds` leaves enough time for all of
        these. If that is too short for a bulk response, the bulk request is still the best chance of most of the jobs.
        Then they wait for a quarter of the time left, or for 4 times the usual time of a bulk response.

        Args:
            seconds_left: Seconds until the earliest deadline of the jobs.
            spare_seconds: Seconds left of these after one request per job at the full rate. May be negative.
        """
        usual = RESPONSE_TIMEOUT_FACTOR * self._usual_seconds
        longest = min(seconds_left / 2, max(RESPONSE_TIMEOUT_SECONDS, usual))
        is_too_short = spare_seconds < max(seconds_left / 8, usual / 2)
        return min(longest, max(seconds_left / 4, usual) if is_too_short else spare_seconds)

    def has_time(self, seconds_left: float) -> bool:
        """Return True if a bulk response usually comes in the time for which a job with `seconds_left` waits for it."""
        return seconds_left / 2 >= self._usual_seconds

    def record_response(self, seconds: float, *, is_trial: bool) -> None:
        """Record a usable response. A response to a request from before the suspension does not end it.

        Args:
            seconds: Seconds from the request to the response.
            is_trial: True if the request was a trial.
        """
        self._usual_seconds = max(seconds, self._usual_seconds / 2)
        if is_trial:
            self._is_suspended = self._is_on_trial = False
        if not self._is_suspended:
            self._failures = 0

    def record_failure(self, failed: BulkFailed, now: float, *, is_trial: bool) -> float:
        """Suspend bulk requests, and return for how many seconds.

        Requests that were in flight at the same time fail by the same cause, and count as one failure.
        """
        retry_after = min(failed.fault.retry_after or 0.0, LONGEST_RETRY_AFTER_SECONDS)
        if is_trial or not self._is_suspended:
            first = PAUSE_AFTER_REFUSAL_SECONDS if failed.is_refusal else PAUSE_SECONDS
            self._trial_at = now + min(first * 2.0 ** min(self._failures, 16), LONGEST_PAUSE_SECONDS)
            self._failures += 1
            self._is_suspended, self._is_on_trial = True, False
        self._trial_at = max(self._trial_at, now + retry_after)
        return self._trial_at - now
