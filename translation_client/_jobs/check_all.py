"""The check of many jobs, once each, with bulk requests if the service has them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NoReturn

from tenacity import RetryCallState

from .. import _polling
from .._clock import Deadline
from .._models import Job, redacted, shown_text
from .._transports.cancel_scope import CallCancelled
from ..services.service import BulkSpec
from . import error_messages
from .batch.options import require_id
from .bulk import BulkFailed, BulkRequest
from .context import ClientContext
from .poller import Poller
from .requestor import Requestor


async def check_all(context: ClientContext, jobs: Sequence[Job | str], timeout: float) -> list[Job]:
    """Check each job once, with bulk requests if the service has them.

    Args:
        context: The context of the client.
        jobs: Jobs or ids.
        timeout: Seconds for each check, and for each bulk request with its retry; not for all of them together.

    Raises:
        TranslationClientError: The check of a single job failed.
    """
    bulk = context.service.bulk
    if bulk is None or bulk.is_optional:
        return [await Poller(context, job, timeout, None).check() for job in jobs]
    ids = [require_id(job, context.service) for job in jobs]
    listed = await _check_in_bulk(context, bulk, list(dict.fromkeys(filter(None, ids))), timeout)
    return [
        _with_known_fields(context, *listed[job_id], job)
        if job_id in listed
        else await Poller(context, job, timeout, None).check()
        for job_id, job in zip(ids, jobs, strict=True)
    ]


async def _check_in_bulk(
    context: ClientContext, bulk: BulkSpec, ids: Sequence[str], timeout: float
) -> dict[str, tuple[Job, Requestor]]:
    """Return the jobs in bulk responses by id, with the requestor of each. The caller checks the other jobs singly."""
    listed: dict[str, tuple[Job, Requestor]] = {}
    for start in range(0, len(ids), bulk.max_ids):
        some_ids = ids[start : start + bulk.max_ids]
        requestor = Requestor(context, error_messages.statuses_text(len(some_ids)), timeout=timeout, cancel=None)
        try:
            jobs = await _send_with_retries(BulkRequest(requestor, bulk, some_ids), requestor)
        except CallCancelled:
            break  # the check of the next job raises
        except BulkFailed as failed:
            requestor.log.log_failure(failed.fault, 0.0)
            break
        elapsed = requestor.state.stopwatch.elapsed
        listed.update((job_id, (replace(job, checks=1, elapsed=elapsed), requestor)) for job_id, job in jobs.items())
    return listed


async def _send_with_retries(request: BulkRequest, requestor: Requestor) -> dict[str, Job]:
    """Send a bulk request, and return the jobs in the response, by id.

    A fault is retried as in `declare_bulk_retries`. A refusal is not retried.

    Raises:
        BulkFailed: There is no usable response.
        CallCancelled: The client was closed.
    """
    state = requestor.state

    async def send() -> dict[str, Job]:
        half = state.deadline.remaining / 2  # leaves time for the retry
        try:
            return (await request.send(Deadline.after(half, state.stopwatch)))[1]
        except BulkFailed as failed:
            if failed.is_refusal:
                raise
            fault = failed.fault
        raise fault

    def raise_bulk_failed(retry_state: RetryCallState) -> NoReturn:
        raise BulkFailed(_polling.fault_of(retry_state), is_refusal=False)

    declared = _polling.declare_bulk_retries(
        state=state,
        max_faults=requestor.context.policy.max_faults,
        before_sleep=requestor.log.log_fault_sleep,
        retry_error_callback=raise_bulk_failed,
    )
    retrying = _polling.retrying_of(declared)
    return await _polling.step_through_faults(send, lambda: retrying, requestor.sleep)


def _with_known_fields(context: ClientContext, job: Job, requestor: Requestor, job_or_id: Job | str) -> Job:
    """Return a job from a bulk response, with the fields that only the given job has."""
    known = job_or_id if isinstance(job_or_id, Job) else None
    state, is_known = requestor.state, context.service.is_known_status(job.raw_status)
    complete = replace(
        job,
        language=None if known is None else known.language,
        expected_seconds=None if known is None else known.expected_seconds,
        submitted_at=None if known is None else known.submitted_at,
    )
    complete = redacted(complete, state.redactor, is_known=is_known)
    shown_status = shown_text(complete, "raw_status")
    if not is_known and state.add_unknown_status(shown_status):
        requestor.log.write("unknown_status", raw_status=shown_status)
    return complete
