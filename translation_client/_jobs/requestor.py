"""Sends the requests of one call of the client: retries them after faults, logs them and builds the final error."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from functools import partial
from typing import NamedTuple, NoReturn, TypeVar

from tenacity import RetryCallState, Retrying

from .. import _polling
from .._auth.redactor import Redactor
from .._clock import Stopwatch
from .._exceptions import WaitCancelled, WaitTimeout
from .._models import Fault, MissingField, Refusal, Request, Response, SubmissionRejected, WrongJob, parse_retry_after
from .._polling import CallState
from .._transports.base import CancelEvent
from .._transports.body import Sink
from .._transports.cancel_scope import CallAborted, CallCancelled
from .._transports.errors import RequestNotSent, redacted_cause
from . import error_messages
from .call_log import CallLog
from .context import ClientContext
from .error_messages import ErrorText

T = TypeVar("T")


class RequestSafety(NamedTuple):
    """The effects that a request may have on the service, which decide if it may be sent twice.

    Attributes:
        creates_job: True if the request may create a job.
        is_idempotent: True if sending it twice has the effect of sending it once.
    """

    creates_job: bool
    is_idempotent: bool


IDEMPOTENT = RequestSafety(creates_job=False, is_idempotent=True)


class Requestor:
    """Sends the requests of one call of the client. Not thread-safe. Create one for each call."""

    def __init__(
        self,
        context: ClientContext,
        error_text: ErrorText,
        *,
        timeout: float,
        cancel: CancelEvent | None,
        job_id: str | None = None,
        redactor: Redactor | None = None,
        stopwatch: Stopwatch | None = None,
    ) -> None:
        """Create the requestor. Nothing is sent yet.

        Args:
            context: The context of the client.
            error_text: The texts for errors.
            timeout: Seconds for the whole call.
            cancel: Ends the call when it is set; None for no event.
            job_id: The id of the job; None if there is none.
            redactor: Redacts secrets from texts; None for the redactor of the client.
            stopwatch: A running stopwatch; None to start one.
        """
        self.context = context
        self.state = CallState(job_id, timeout, redactor or context.redactor, stopwatch)
        self._error_text = error_text
        self.log = CallLog(context.logger, job_id, self.state)
        self._cancel = cancel

    @property
    def error_text(self) -> ErrorText:
        """The texts for errors. They show the job id redacted by the keys known so far."""
        return self._error_text if self._error_text.of_job is None else self._error_text.of_job(self.state.shown_id)

    async def send(
        self,
        request: Request,
        read: Callable[[Response], T],
        *,
        safety: RequestSafety = IDEMPOTENT,
        sink: Sink | None = None,
        new_connection: bool = True,
    ) -> tuple[Response, T]:
        """Send a request once, and return the response and the value of `read` for it.

        Args:
            request: The request.
            read: Parses the response, or raises `Fault`, `Refusal` or `MissingField`.
            safety: The effects that the request may have on the service.
            sink: Receives the body of the response block by block; None to keep it in the response.
            new_connection: False to reuse a connection whose last request was for the same URL. Only for a request to which
                a late response to that one does no harm, so not for a submission.

        Raises:
            Fault: The request failed and may be retried.
            TranslationClientError: The request failed and must not be retried.
            Exception: What `api_key()` raised, or the file to send. Nothing was sent.
        """
        self.raise_if_cancelled()
        state = self.state
        state.record_request(request.url(self.context.transport.base_url), is_own_url=request.path.startswith("/"))
        try:
            response = await self.context.transport.send(
                request, state.deadline, self.is_cancelled, sink, new_connection=new_connection
            )
            state.record_response(response)
            value = read(response)
        except (CallAborted, Refusal, MissingField, Fault) as failure:
            ended = self._handle_failure(failure, safety)
        except RequestNotSent as not_sent:
            ended = not_sent.cause
        except BaseException:  # raised by the caller's adapter or hook, or an interrupt
            state.may_have_been_accepted |= safety.creates_job
            raise
        else:
            state.retry_after = self.read_retry_after(response)
            return response, value
        raise ended  # outside the handlers, so that its `__context__` does not keep the response and its key

    async def send_with_retries(self, operation: str, request: Request, read: Callable[[Response], T]) -> T:
        """Send a request with retries after faults, log its response, and return the value of `read` for it.

        Args:
            operation: The name of the request in the log.
            request: The request.
            read: Parses the response.
        """
        response, value = await self.retry_faults(lambda: self.send(request, read))
        self.log.response_received(operation, response)
        return value

    async def retry_faults(self, call: Callable[[], Awaitable[T]]) -> T:
        """Await `call()`. After a fault, sleep and await it again, up to `max_faults` times in a row."""
        return await _polling.step_through_faults(call, self.fault_retrying, self.sleep)

    async def repeat_while_pending(self, call: Callable[[], Awaitable[T]], is_pending: Callable[[T], bool]) -> T:
        """Await `call()` until its value is not pending, with retries after faults, and return the value.

        Between two calls it sleeps by the backoff of the policy. An upload or a download may have no deadline: its
        polling then ends after the `timeout` of the client.

        Args:
            call: Sends the request once, and returns its value.
            is_pending: Returns True if the call has to be repeated after a value.

        Raises:
            WaitTimeout: The value is still pending at the limit.
        """
        # Without the caller's `wait`, `stop` and `max_retries`: they may read a `Job` from the state, and here is none.
        poll = _polling.declare_poll(
            is_pending=is_pending,
            state=self.state,
            policy=self.context.policy,
            max_retries=math.inf,
            wait=None,
            stop=None,
            before_sleep=self.log.log_pending_sleep,
            retry_error_callback=self._on_pending_limit,
            max_seconds=self.context.policy.timeout if math.isinf(self.state.timeout) else math.inf,
            elapsed_before=self.state.stopwatch.elapsed,
        )
        retrying = _polling.retrying_of(poll)
        return await _polling.step_until_final(lambda: self.retry_faults(call), retrying, self.sleep)

    async def sleep(self, seconds: float) -> None:
        """Sleep. Raise `WaitCancelled` if the call is cancelled meanwhile."""
        await self.context.transport.sleep(seconds, self._cancel, self.state.stopwatch)
        self.raise_if_cancelled()

    def is_cancelled(self) -> bool:
        """Return True if `cancel` is set or the client is closed."""
        return self.context.transport.is_closed or (self._cancel is not None and self._cancel.is_set())

    def raise_if_cancelled(self) -> None:
        """Raise `WaitCancelled` if the call was cancelled."""
        if self.is_cancelled():
            raise self.cancelled_error()

    def cancelled_error(self) -> WaitCancelled:
        """Log the end of the call by its cancellation, and return the error."""
        return self.log.gave_up("cancelled", error_messages.wait_cancelled(self.error_text, self.state))

    def timeout_error(self, retry_after: float | None = None) -> WaitTimeout:
        """Log the end of the call by its deadline, or by a `Retry-After` that reaches it, and return the error."""
        return self.log.gave_up("timeout", error_messages.wait_timeout(self.error_text, self.state, retry_after))

    def read_retry_after(self, response: Response) -> float | None:
        """Return the seconds from `Retry-After`, or None if it is missing or invalid. An invalid one is logged."""
        try:
            return parse_retry_after(response.headers)
        except ValueError:
            self.log.write("retry_after_ignored", value=self.state.redactor.printable(response.headers["Retry-After"]))
            return None

    def fault_retrying(self) -> Retrying:
        """Return the `Retrying` for faults."""
        return _polling.retrying_of(self.declare_fault_retries())

    def extra_check_retrying(self) -> Retrying:
        """Return the `Retrying` for the fault of an extra check."""
        declared = _polling.declare_extra_check_retries(
            state=self.state,
            before_sleep=self.log.log_fault_sleep,
            retry_error_callback=partial(self._on_fault_limit, max_faults=math.inf),
        )
        return _polling.retrying_of(declared)

    def declare_fault_retries(
        self, call: Callable[[], T] = _polling.placeholder, sleep: Callable[[int | float], None] = _polling.placeholder
    ) -> Callable[[], T]:
        """Declare the retries of a failed request."""
        max_faults = self.context.policy.max_faults
        return _polling.declare_fault_retries(
            call,
            state=self.state,
            max_faults=max_faults,
            before_sleep=self.log.log_fault_sleep,
            retry_error_callback=partial(self._on_fault_limit, max_faults=max_faults),
            sleep=sleep,
        )

    def _on_pending_limit(self, _: RetryCallState) -> NoReturn:
        self.raise_if_cancelled()
        raise self.timeout_error()

    def _on_fault_limit(self, retry_state: RetryCallState, max_faults: float) -> NoReturn:
        self.raise_if_cancelled()
        state = self.state
        fault = _polling.fault_of(retry_state)
        limit = _polling.reached_fault_limit(state, retry_state, max_faults)
        if limit == "retry_after":
            raise self.timeout_error(fault.retry_after) from _cause_of(fault)
        if limit == "deadline":
            raise self.timeout_error() from _cause_of(fault)
        error = error_messages.faults_exhausted(self.error_text, state, fault, retry_state.attempt_number)
        raise self.log.gave_up("faults", error) from _cause_of(fault)

    def _handle_failure(
        self, failure: CallAborted | Refusal | MissingField | Fault, safety: RequestSafety
    ) -> Exception:
        state = self.state
        if isinstance(failure, Fault):
            return self._handle_fault(failure, safety)
        if isinstance(failure, CallAborted):
            state.may_have_been_accepted |= safety.creates_job and failure.was_sent
            return self._handle_abort(failure, safety)
        if isinstance(failure, MissingField):
            state.may_have_been_accepted |= safety.creates_job
            return self.log.gave_up("unexpected", error_messages.missing_field(self.error_text, state, failure))
        if isinstance(failure, SubmissionRejected):  # no job is left of a submission that had been accepted
            state.may_have_been_accepted = False
        state.retry_after = self.read_retry_after(failure.response)
        return self.log.gave_up("refused", error_messages.refused(self.error_text, state, failure))

    def _handle_abort(self, abort: CallAborted, safety: RequestSafety) -> Exception:
        """Log an aborted request, and return its error: cancellation, the deadline, or what `_handle_fault` returns."""
        if isinstance(abort, CallCancelled):
            return self.cancelled_error()
        if self.state.deadline.expired:
            return self.timeout_error()
        fault = Fault("timeout", f"no response within {self.context.policy.request_timeout:g} s")
        fault.was_sent = abort.was_sent
        return self._handle_fault(fault, safety)

    def record_fault(self, fault: Fault) -> None:
        """Count a fault, redact its text, and read its `Retry-After`."""
        if fault.response is not None:
            self.state.add_keys(fault.response)
            fault.retry_after = self.read_retry_after(fault.response)
        if isinstance(fault, WrongJob):
            self.context.transport.close_idle()  # its connection may be out of step with its requests
        self.state.record_fault(fault)

    def _handle_fault(self, fault: Fault, safety: RequestSafety) -> Exception:
        """Record a fault, and return it if a retry is safe, or the final error if a retry could create a second job."""
        self.record_fault(fault)
        may_have_been_processed = safety.creates_job and fault.may_have_been_processed
        self.state.may_have_been_accepted |= may_have_been_processed
        if not may_have_been_processed or safety.is_idempotent:
            return fault
        error = error_messages.faults_exhausted(self.error_text, self.state, fault, 1)
        error.__cause__ = _cause_of(fault)
        return self.log.gave_up("faults", error)


def _cause_of(fault: Fault) -> BaseException:
    """Return the exception to chain: one of the type of the original one, or of the fault, and with nothing but its text."""
    if isinstance(fault.__cause__, Exception):
        return redacted_cause(fault.__cause__, fault.text)
    return Fault(fault.kind, fault.text)
