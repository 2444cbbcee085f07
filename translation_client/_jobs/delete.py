"""The deletion of a job at the service."""

from __future__ import annotations

from .._models import Response
from . import error_messages
from .context import ClientContext
from .requestor import Requestor

ALREADY_DELETED_CODES = (404, 410)
"""The status codes of a service for a job that was deleted before."""


async def delete_job(context: ClientContext, job_id: str | None, timeout: float) -> None:
    """Delete a job at the service, within `timeout` seconds.

    Raises:
        ValueError: The service cannot delete jobs, or `job_id` is malformed.
        TranslationClientError: The request failed.
    """
    request = context.service.delete_request(job_id)
    error_text = error_messages.delete_text(job_id)
    requestor = Requestor(context, error_text, timeout=timeout, cancel=None, job_id=job_id)

    def read(response: Response) -> None:
        previous_fault = requestor.state.last_fault
        if (
            response.status_code in ALREADY_DELETED_CODES
            and previous_fault is not None
            and previous_fault.may_have_been_processed
        ):
            return  # a request whose response was lost has deleted it
        context.service.read_deletion(response, job_id)

    await requestor.send_with_retries("delete", request, read)
