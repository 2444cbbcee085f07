"""Bulk status requests: one request for the status of many jobs."""

from __future__ import annotations

from collections.abc import Sequence

from .._clock import Deadline
from .._models import Fault, Job, MissingField, Refusal, Response, status_line
from .._transports.cancel_scope import CallAborted, CallCancelled
from .._transports.errors import RequestNotSent
from ..services.service import BulkSpec
from .requestor import Requestor

UNSUPPORTED_CODES = frozenset({501, 505})
"""The 5xx status codes that refuse the request itself (RFC 9110, sections 15.6.2 and 15.6.6)."""


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
