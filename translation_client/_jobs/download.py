"""Downloads of results to the disk, complete or not at all, across dropped connections and expired links."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from enum import Enum
from http import HTTPStatus
from pathlib import Path

from .._auth.urls import is_http_url
from .._clock import DEADLINE_TOLERANCE_SECONDS, Stopwatch
from .._models import Fault, Job, MissingField, Request, Response, TranslationStatus, job_id_of
from .._polling import DownloadProgress
from .._transports.base import CancelEvent
from .._transports.body import FILE_CODES
from ..services.json_path import describe_path
from . import error_messages
from .context import ClientContext
from .part_file import LocalError, PartFile
from .poller import Poller
from .requestor import Requestor

EXPIRED_CODES = (403, 410)
"""Status codes with which storage rejects an expired signed link."""

NO_RANGE_CODES = (400, 405, 412, 501)
"""Status codes with which hosts reject `Range` and `If-Range`. The same request without them works."""

_HEADERS = {"Accept": "*/*", "Accept-Encoding": "identity"}


class _Fetch(Enum):
    """The outcome of one request for the file."""

    DONE = "the file is complete"
    PARTIAL = "a part of the file was received"
    LINK_EXPIRED = "the storage rejects the link"
    PENDING = "the result is not ready yet"


class Download:
    """One download. For one thread, and for one use."""

    def __init__(
        self,
        context: ClientContext,
        job: Job | str,
        language: str | None,
        *,
        timeout: float,
        cancel: CancelEvent | None,
        on_progress: Callable[[int, int | None], object] | None,
    ) -> None:
        """Start the stopwatch of the download. Nothing is sent yet."""
        self._context = context
        self._cancel = cancel
        self._job = job
        self._language = language
        self._on_progress = on_progress
        self._progress = DownloadProgress(context.policy.max_faults)
        job_id = job_id_of(job)
        self._requestor = Requestor(
            context,
            error_messages.download_text(job_id),
            timeout=timeout,
            cancel=cancel,
            job_id=job_id,
        )

    async def to(self, target: Path) -> Path:
        """Download the file, and return its path.

        Raises:
            OSError: The file cannot be written.
            TranslationClientError: The file could not be downloaded.
            Exception: `on_progress` raised it.
        """
        link = await self._link(self._job, refresh=False)
        try:
            with PartFile(target, self._on_progress) as part:
                await self._fetch_all(link, part)
                path = part.commit()
                self._requestor.log.write(
                    "file_downloaded",
                    bytes=part.size,
                    attempts=self._requestor.state.attempts,
                    elapsed_seconds=self._requestor.state.stopwatch.elapsed,
                )
                return path
        except LocalError as error:
            cause = error.cause
        raise cause

    async def _link(self, job: Job | str, *, refresh: bool) -> str:
        """Return the link to the result, or its path if it is at `base_url`. Checks the status for a link, or for a fresh one."""
        finished = job if isinstance(job, Job) and job.status.is_final and not refresh else None
        link = None if finished is None else self._link_in(finished)
        if finished is None or link is None:
            finished = await self._check_final(job)
            link = self._link_in(finished)
        service, state, text = self._context.service, self._requestor.state, self._requestor.error_text
        field = describe_path(service.result_field or service.language_field)
        if link is None:
            missing = MissingField(field, Response(200, {}, b""))  # the real body may contain signed links
            raise self._requestor.log.gave_up("unexpected", error_messages.missing_field(text, state, missing))
        if finished.result_url is not None and not is_http_url(link):
            raise self._requestor.log.gave_up("unexpected", error_messages.unusable_link(text, state, field))
        return link

    def _link_in(self, job: Job) -> str | None:
        job.raise_for_status()
        job_in_language = job if self._language is None else replace(job, language=self._language)
        base_url = self._context.transport.base_url
        link = self._context.service.result_link(job_in_language, base_url)
        if link is None or job.result_url is not None:
            return link
        return link.removeprefix(base_url)  # it was built from the id, and is the path of one of our requests

    async def _check_final(self, job: Job | str) -> Job:
        timeout = min(
            self._context.policy.timeout, max(self._requestor.state.deadline.remaining, DEADLINE_TOLERANCE_SECONDS)
        )
        poller = Poller(self._context, job, timeout, self._cancel, Stopwatch(self._requestor.state.stopwatch))
        checked = await poller.check()
        if checked.status is TranslationStatus.PENDING and isinstance(job, Job) and job.status.is_final:
            checked = await poller.until_final()  # final according to a bulk response, and its link is late
        self._requestor.state.attempts += poller.requestor.state.attempts
        if checked.status is TranslationStatus.PENDING:
            raise self._requestor.log.gave_up(
                "pending", error_messages.result_not_ready(self._requestor.state, checked)
            )
        return checked

    async def _fetch_all(self, link: str, part: PartFile) -> None:
        """Send requests until the file is complete: for the rest of it after a part, and for a fresh link if need be."""
        while True:
            self._requestor.state.redactor = self._requestor.state.redactor.with_link(link)  # storage may echo it
            outcome = await self._fetch_when_ready(link, part)
            if outcome is _Fetch.DONE:
                return
            if outcome is _Fetch.LINK_EXPIRED:
                self._progress.record_refresh(part.received, part.transferred)
                link = await self._link(self._job, refresh=True)

    async def _fetch_when_ready(self, link: str, part: PartFile) -> _Fetch:
        """Send the request, again while the service says that the result is not ready, and after faults."""
        return await self._requestor.repeat_while_pending(
            lambda: self._fetch(link, part), is_pending=lambda outcome: outcome is _Fetch.PENDING
        )

    async def _fetch(self, link: str, part: PartFile) -> _Fetch:
        """Send one request for the file, or for the rest of it.

        If the connection breaks after a part of the file that `DownloadProgress` accepts as one, no fault is counted.
        """
        request = Request("GET", link, {**_HEADERS, **part.range_headers()})
        received = part.received
        fault = None
        try:
            response, outcome = await self._requestor.send(
                request, lambda response: self._read(response, part), sink=part
            )
        except Fault as error:
            fault = error
        if fault is None:
            self._requestor.log.response_received("download", response)
            if outcome is not _Fetch.PARTIAL:
                return outcome
            delay = self._progress.record_part(part.received, part.received - received)
        else:  # outside the handler, or an error of the disk would have the fault as its `__context__`
            if "Range" in request.headers and fault.kind == "unreadable" and part.received <= received:
                part.start_over()  # because the same request for a range could fail again
            if not self._progress.resets_fault_count(part.received):
                raise fault
            delay = self._progress.record_part(part.received, by_request=0)
            self._requestor.log.log_failure(fault, delay)
        if delay > 0:
            await self._requestor.sleep(min(delay, max(self._requestor.state.deadline.remaining, 0.0)))
        return _Fetch.PARTIAL

    def _may_have_other_link(self, status_code: int) -> bool:
        """Return True if a status check may get a link that works, after a response with this status to the file.

        After a 404 it may if responses to single checks have a field for the link: a job from a bulk response has no
        link, so that `result_path` was requested, where this server may have no files.
        """
        has_link_field = self._context.service.result_field is not None
        return status_code in EXPIRED_CODES or (status_code == HTTPStatus.NOT_FOUND and has_link_field)

    def _read(self, response: Response, part: PartFile) -> _Fetch:
        if response.status_code in FILE_CODES:
            if part.finish(response):
                return _Fetch.DONE
            # Without new bytes, an earlier response got as far, and the file had to start over.
            if not self._progress.has_new_bytes(part.received):
                raise Fault("unreadable", "a part of the file without new bytes", response)
            return _Fetch.PARTIAL
        if self._context.service.is_result_pending(response):
            self._requestor.state.count("not yet")
            return _Fetch.PENDING
        if self._may_have_other_link(response.status_code) and self._progress.may_refresh_link(part.transferred):
            return _Fetch.LINK_EXPIRED
        if response.status_code in NO_RANGE_CODES and part.range_headers():
            raise Fault("unreadable", "the host refuses to send the rest of the file", response)
        if response.status_code == 416 and part.received:
            if part.finish_if_complete(response):
                return _Fetch.DONE
            raise Fault("status", "the host has no bytes after those received", response)
        response.raise_for_status()
        raise Fault("unreadable", "a response without the file", response)
