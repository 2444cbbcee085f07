"""The log lines of one call of the client."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, TypeVar

from tenacity import RetryCallState

from .._exceptions import TranslationClientError
from .._logging import EventLog
from .._models import Fault, Response
from .._polling import CallState, fault_of

E = TypeVar("E", bound=TranslationClientError)


class CallLog(EventLog):
    """The log lines of one call of the client, with counters from its state."""

    def __init__(self, logger: object, job_id: str | None, state: CallState) -> None:
        """Create a log with a new `wait_id`."""
        super().__init__(logger, os.urandom(6).hex(), job_id)
        self._state = state

    def common_fields(self) -> Mapping[str, Any]:
        """Return the fields of every line, with the id of the job redacted by the API keys known so far."""
        fields = super().common_fields()
        return fields if self._state.job_id is None else {**fields, "job_id": self._state.shown_id}

    def response_received(self, operation: str, response: Response) -> None:
        """Log a response other than a status."""
        self.write(
            "response_received",
            attempt=self._state.attempts,
            operation=operation,
            status_code=response.status_code,
            elapsed_seconds=self._state.stopwatch.elapsed,
            request_seconds=response.seconds,
        )

    def log_failure(self, fault: Fault, sleep_seconds: float) -> None:
        """Log a failed request, and the sleep before the next one."""
        self.write(
            "check_failed",
            attempt=self._state.attempts,
            fault=fault.kind,
            status_code=fault.status_code,
            error=fault.text,
            sleep_seconds=sleep_seconds,
            elapsed_seconds=self._state.stopwatch.elapsed,
        )

    def log_fault_sleep(self, retry_state: RetryCallState) -> None:
        """Log a failed request, from the state of its retries."""
        self.log_failure(fault_of(retry_state), retry_state.upcoming_sleep)

    def log_sleep(self, retry: int, seconds: float, reason: str) -> None:
        """Log the sleep that begins now. `retry` is the number of the next retry, or 0 before the first check."""
        self.write(
            "sleeping",
            retry=retry,
            sleep_seconds=seconds,
            elapsed_seconds=self._state.stopwatch.elapsed,
            reason=reason,
        )

    def log_pending_sleep(self, retry_state: RetryCallState) -> None:
        """Log the sleep that begins now, from the state of the retries."""
        self.log_sleep(retry_state.attempt_number, retry_state.upcoming_sleep, self._state.sleep_reason)

    def gave_up(self, reason: str, error: E) -> E:
        """Log the end of the call by an error, and return the error."""
        job = self._state.job
        self.write(
            "gave_up",
            reason=reason,
            status=job and str(job.status),
            attempts=error.attempts,
            elapsed_seconds=error.elapsed,
        )
        return error
