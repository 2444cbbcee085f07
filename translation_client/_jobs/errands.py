"""The calls of a client that are neither a wait nor a submission: languages, the status of many jobs, deletion."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from .._clock import Deadline, Stopwatch
from .._config import FAULT_DELAY_MAX_SECONDS, FAULT_DELAY_SECONDS, quote_path_segment
from .._models import Job, Request, Response, redacted, shown_text
from .._transports.base import CancelEvent
from .._transports.cancel_scope import CallCancelled
from ..services.service import Bulk
from . import error_messages
from .bulk import BulkCall, BulkFailed
from .context import ClientContext
from .poller import Poller
from .requestor import Requestor

T = TypeVar("T")

GONE_CODES = (404, 410)


class Errands:
    """The small errands of a client. May be shared by threads."""

    def __init__(self, context: ClientContext) -> None:
        """Keep nothing yet."""
        self._context = context
        self._languages: tuple[str, ...] | None = None
        self._secrets = context.secrets

    async def languages(
        self,
        timeout: float,
        cancel: CancelEvent | None = None,
        *,
        parent: Stopwatch | None = None,
        is_fresh: bool = False,
    ) -> tuple[str, ...] | None:
        """Fetch the list of target languages, once; None where the service publishes none.

        Args:
            timeout: Seconds for it.
            cancel: Set to end it.
            parent: The stopwatch of the call that needs the list; None if there is none.
            is_fresh: Whether to fetch it again.
        """
        published = self._context.service.languages
        if published is None:
            return None
        if self._languages is None or is_fresh:
            purpose = error_messages.languages_text()
            requestor = Requestor(self._context, purpose, timeout=timeout, cancel=cancel, watch=Stopwatch(parent))
            listed = await _answered(requestor, "languages", published.request(), published.read)
            self._languages, self._secrets = listed, requestor.progress.secrets
        return self._languages

    async def require_language(
        self, language: str, timeout: float, cancel: CancelEvent | None, parent: Stopwatch
    ) -> None:
        """Refuse a language that the service does not list, as a part of a submission that has `timeout` seconds.

        Raises:
            ValueError: It is not in the list, nor in a fresh one where the list had been kept.
        """
        timeout = min(timeout, self._context.policy.timeout)
        was_kept = self._languages is not None
        known = await self.languages(timeout, cancel, parent=parent)
        if known is not None and language not in known and was_kept:
            known = await self.languages(timeout, cancel, parent=parent, is_fresh=True)
        if known is not None:
            from .submit import require_listed_language  # needed by orders alone

            require_listed_language(self._context.service, language, known, self._secrets)

    async def delete(self, job_id: str | None, timeout: float) -> None:
        """Have a job deleted."""
        request = self._context.service.delete_request(job_id)
        purpose = error_messages.delete_text(job_id)
        requestor = Requestor(self._context, purpose, timeout=timeout, cancel=None, job_id=job_id)

        def read(response: Response) -> None:
            before = requestor.progress.last_fault
            if response.status_code in GONE_CODES and before is not None and before.may_be_done:
                return  # by a call before, whose answer was lost
            self._context.service.read_deletion(response, job_id)

        await _answered(requestor, "delete", request, read)

    async def check_all(self, jobs: Sequence[Job | str], timeout: float) -> list[Job]:
        """Check each job once, many by one request where the service allows that.

        Args:
            jobs: Jobs or ids.
            timeout: Seconds for all of them.

        Raises:
            TranslationClientError: What the check of a single job raises.
        """
        bulk = self._context.service.bulk
        watch = Stopwatch()
        if bulk is None or bulk.is_optional:
            return [await Poller(self._context, job, timeout, None, watch).check() for job in jobs]
        ids = [_id_of(job) for job in jobs]
        known = {job.id: job for job in jobs if isinstance(job, Job)}
        found = await self._in_bulk(bulk, ids, known, timeout, watch)
        return [
            found.get(job_id) or await Poller(self._context, known.get(job_id, job_id), timeout, None, watch).check()
            for job_id in ids
        ]

    async def _in_bulk(
        self, bulk: Bulk, ids: Sequence[str], known: Mapping[str | None, Job], timeout: float, watch: Stopwatch
    ) -> dict[str, Job]:
        """Return what bulk answers say, by id. A job that they say nothing of, or too little, gets a request of its own."""
        found: dict[str, Job] = {}
        has_more = self._context.service.has_details_in_single_responses
        for start in range(0, len(ids), bulk.max_ids):
            page = ids[start : start + bulk.max_ids]
            requestor = Requestor(
                self._context, error_messages.statuses_text(len(page)), timeout=timeout, cancel=None, watch=watch
            )
            listed = await self._page(bulk, page, requestor)
            if listed is None:
                break
            whole = {one: job for one, job in listed.items() if not (has_more and job.status.is_final)}
            found.update((one, self._with_what_is_known(job, known.get(one), requestor)) for one, job in whole.items())
        return found

    async def _page(self, bulk: Bulk, page: Sequence[str], requestor: Requestor) -> dict[str, Job] | None:
        """Return what a bulk answer says; None if there is none. A request that failed is repeated once."""
        for pause in (FAULT_DELAY_SECONDS, 0.0):
            half = requestor.progress.deadline.left / 2  # the other half is for requests about single jobs
            deadline = Deadline.after(half, requestor.progress.watch)
            call = BulkCall(self._context, bulk, page, deadline.watch)
            try:
                response, listed = await call.send(deadline, requestor.is_cancelled)
            except CallCancelled:
                break
            except BulkFailed as failed:
                seconds = max(pause, failed.fault.hint or 0.0) if pause and not failed.is_refusal else 0.0
                is_repeated = 0 < seconds < min(half, FAULT_DELAY_MAX_SECONDS)
                call.log_failure(failed, seconds if is_repeated else 0.0)
                if not is_repeated:
                    break
                await requestor.sleep(seconds)
            else:
                requestor.progress.answered(response)
                return listed
        return None

    def _with_what_is_known(self, job: Job, known: Job | None, requestor: Requestor) -> Job:
        progress, knows = requestor.progress, self._context.service.knows
        complete = replace(
            job,
            language=None if known is None else known.language,
            expected_seconds=None if known is None else known.expected_seconds,
            submitted_at=None if known is None else known.submitted_at,
            checks=1,
            elapsed=progress.elapsed,
        )
        complete = redacted(complete, progress.secrets, knows)
        word = shown_text(complete, "raw_status")
        if not knows(job.raw_status) and progress.is_new_word(word):
            requestor.log.write("unknown_status", raw_status=word)
        return complete


async def _answered(requestor: Requestor, name: str, request: Request, read: Callable[[Response], T]) -> T:
    response, value = await requestor.despite_faults(lambda: requestor.send(request, read))
    requestor.log.answered(name, response)
    return value


def _id_of(job: Job | str) -> str:
    job_id = job.id if isinstance(job, Job) else job
    if job_id is None:
        raise ValueError("jobs must have ids")
    quote_path_segment(job_id)
    return job_id
