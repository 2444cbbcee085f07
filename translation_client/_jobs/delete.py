"""The deletion of a job at the service."""

from __future__ import annotations

from .._models import Response
from . import error_messages
from .context import ClientContext
from .requestor import Requestor

GONE_CODES = (404, 410)


async def delete_job(context: ClientContext, job_id: str | None, timeout: float) -> None:
    """Delete a job at the service, within `timeout` seconds."""
    request = context.service.delete_request(job_id)
    error_text = error_messages.delete_text(job_id)
    requestor = Requestor(context, error_text, timeout=timeout, cancel=None, job_id=job_id)

    def read(response: Response) -> None:
        before = requestor.state.last_fault
        if response.status_code in GONE_CODES and before is not None and before.may_have_been_processed:
            return  # an earlier request, whose response was lost, has deleted it
        context.service.read_deletion(response, job_id)

    await requestor.send_with_retries("delete", request, read)
