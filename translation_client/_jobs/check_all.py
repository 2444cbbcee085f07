"""The check of many jobs, once each, with bulk requests if the service has them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from .._clock import Deadline
from .._config import FAULT_DELAY_MAX_SECONDS, FAULT_DELAY_SECONDS
from .._models import Job, redacted, shown_text
from .._transports.cancel_scope import CallCancelled
from ..services.service import BulkSpec
from . import error_messages
from .batch.options import require_id
from .bulk import BulkCall, BulkFailed
from .context import ClientContext
from .poller import Poller
from .requestor import Requestor


async def check_all(context: ClientContext, jobs: Sequence[Job | str], timeout: float) -> list[Job]:
    """Check each job once, with bulk requests if the service has them.

    Args:
        context: The context of the client.
        jobs: Jobs or ids.
        timeout: Seconds for each check, and for each bulk request with its repeat. There is no total.

    Raises:
        TranslationClientError: The check of a single job failed.
    """
    bulk = context.service.bulk
    if bulk is None or bulk.is_optional:
        return [await Poller(context, job, timeout, None).check() for job in jobs]
    ids = [require_id(job, context.service) for job in jobs]
    listed = await _in_bulk(context, bulk, list(dict.fromkeys(filter(None, ids))), timeout)
    return [
        _with_known_fields(context, *listed[job_id], job)
        if job_id in listed
        else await Poller(context, job, timeout, None).check()
        for job_id, job in zip(ids, jobs, strict=True)
    ]


async def _in_bulk(
    context: ClientContext, bulk: BulkSpec, ids: Sequence[str], timeout: float
) -> dict[str, tuple[Job, Requestor]]:
    """Return the jobs in bulk responses by id, with the requestor of each. The caller checks the other jobs singly."""
    listed: dict[str, tuple[Job, Requestor]] = {}
    for start in range(0, len(ids), bulk.max_ids):
        page = ids[start : start + bulk.max_ids]
        requestor = Requestor(context, error_messages.statuses_text(len(page)), timeout=timeout, cancel=None)
        jobs = await _page(context, bulk, page, requestor)
        if jobs is None:
            break
        elapsed = requestor.state.stopwatch.elapsed
        listed.update((job_id, (replace(job, checks=1, elapsed=elapsed), requestor)) for job_id, job in jobs.items())
    return listed


async def _page(
    context: ClientContext, bulk: BulkSpec, page: Sequence[str], requestor: Requestor
) -> dict[str, Job] | None:
    """Return the jobs in a bulk response, by id, or None without a usable one. A failed request is retried once."""
    for delay in (FAULT_DELAY_SECONDS, 0.0):
        half = requestor.state.deadline.remaining / 2  # the other half is for single requests
        deadline = Deadline.after(half, requestor.state.stopwatch)
        call = BulkCall(context, bulk, page, deadline.stopwatch)
        try:
            response, listed = await call.send(deadline, requestor.is_cancelled)
        except CallCancelled:
            break
        except BulkFailed as failed:
            seconds = max(delay, failed.fault.retry_after or 0.0) if delay and not failed.is_refusal else 0.0
            is_repeated = 0 < seconds < min(half, FAULT_DELAY_MAX_SECONDS)
            call.log_failure(failed, seconds if is_repeated else 0.0)
            if not is_repeated:
                break
        else:
            requestor.state.record_response(response)
            return listed
        await requestor.sleep(seconds)  # outside the handler, or its error would have the failure as its `__context__`
    return None


def _with_known_fields(context: ClientContext, job: Job, requestor: Requestor, given: Job | str) -> Job:
    """Return a listed job with what the given one has besides."""
    known = given if isinstance(given, Job) else None
    state, is_known = requestor.state, context.service.is_known_status(job.raw_status)
    complete = replace(
        job,
        language=None if known is None else known.language,
        expected_seconds=None if known is None else known.expected_seconds,
        submitted_at=None if known is None else known.submitted_at,
    )
    complete = redacted(complete, state.redactor, is_known=is_known)
    word = shown_text(complete, "raw_status")
    if not is_known and state.add_unknown_status(word):
        requestor.log.write("unknown_status", raw_status=word)
    return complete
