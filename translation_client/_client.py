"""The blocking client, the client for asyncio, and their common base.

The operations behind their methods are coroutines, written once for both: see `run_sync`. They are in `_jobs`.
"""

from __future__ import annotations

import asyncio
import math
import os
import re
import threading
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import requests
from tenacity import RetryCallState

from . import _config
from ._auth.credentials import ApiKey, Auth
from ._auth.urls import BaseURL, parse_base_url
from ._clock import Stopwatch
from ._config import NO_FEATURES, JobFeatures, PollingPolicy, check_features
from ._exceptions import TranslationClientError
from ._exports import exported_from
from ._jobs.batch.options import (
    BatchOptions,
    JobResult,
    batch_options,
    require_source,
    sort_by_position,
)
from ._jobs.check_all import check_all
from ._jobs.context import ClientContext
from ._jobs.delete import delete_job
from ._jobs.languages import LanguageList
from ._jobs.poller import Poller
from ._logging import wrap_logger
from ._models import Job, TranslationStatus, job_id_of
from ._transports.base import CancelEvent, Transport, TransportConfig, run_sync
from ._transports.requests import RequestsTransport
from .services import get_service
from .services.service import Service

if TYPE_CHECKING:  # imported when they are needed: aiohttp and `schedule` take longer to import than all the rest
    import aiohttp  # noqa: F401  # a base class below names it in a string, which ruff does not read

    from ._transports.aiohttp import AiohttpTransport
    from .schedule.history import DurationHistory
    from .schedule.learner import ScheduleLearner
else:
    AiohttpTransport = DurationHistory = Any  # or `typing.get_type_hints` could not read those of the methods

SessionT = TypeVar("SessionT")
E = TypeVar("E", bound=CancelEvent)

DISTRIBUTION = "translation-client"

_VARIABLE = re.compile(r"\{([A-Z_]+)\}")
_DNS_LABEL = re.compile(r"[A-Za-z0-9-]+")


@exported_from("translation_client")
class BaseClient(Generic[SessionT]):
    """The base of both clients: checks the arguments, and builds the transport and what all calls share.

    Raises:
        ValueError: An argument is malformed or out of range, is missing, or excludes another one. The message names it
            and, unless it may be secret, its value.
        TypeError: An argument is of the wrong type.
    """

    def __init__(
        self,
        base_url: str | None = None,
        max_retries: float | None = None,
        backoff_factor: float = 2,
        timeout: float | None = None,
        *,
        max_delay: float = 60,
        jitter: float = 0.0,
        request_timeout: float | None = None,
        max_faults: float | None = None,
        wait: Callable[[RetryCallState], float] | None = None,
        stop: Callable[[RetryCallState], bool] | None = None,
        sleep: Callable[[float], Any] | None = None,
        service: str | Service = "reference",
        api_key: ApiKey | None = None,
        session: SessionT | None = None,
        headers: Mapping[str, str] | None = None,
        logger: Any = None,
        history: str | os.PathLike[str] | DurationHistory | bool | None = None,
        check_cost: float | None = None,
        target_lag: float | None = None,
        max_lag: float | None = None,
    ) -> None:
        """Check the arguments. Nothing is sent, and no event loop is needed yet.

        Args:
            base_url: The URL of the service; None for the service's default. Required for the reference service, which
                has none.
            max_retries: Status checks after the first one, while the job is pending; not repeats of failed requests, for
                which see `max_faults`. None for the service's default (reference: 10).
            backoff_factor: Seconds to sleep between the first two checks of a pending job. Each further sleep is twice the
                one before.
            timeout: Seconds for a whole wait, the request in flight included; None for the service's default
                (reference: 30). For one request see `request_timeout`.
            max_delay: The longest sleep of the backoff, in seconds.
            jitter: The fraction by which a sleep of the backoff, or of a learned schedule, may be longer or shorter,
                from 0 to 1. It keeps clients that start together from checking at the same moments.
            request_timeout: Seconds for one HTTP call, from DNS to the last byte; None for the service's default
                (reference: 10).
            max_faults: Attempts for each request: after so many failures in a row the method raises. None for the
                service's default (reference: 5).
            wait: A tenacity wait strategy in place of the backoff between the checks of a pending job; None for the
                backoff.
            stop: A tenacity stop strategy, in addition to `timeout` and `max_retries`. When it stops, the wait raises
                `RetriesExhausted`. None for none.
            sleep: Called with seconds in place of the interruptible sleep, for tests on frozen time.
                `AsyncVideoTranslationClient` awaits what it returns, if that can be awaited. None for the interruptible
                sleep.
            service: `reference`, `heygen`, `elevenlabs`, `azure`, or a `Service` of your own.
            api_key: The API key; or a function that is called before each HTTP call and returns the current one. None
                for the environment variable of the service. Sent to the origin of `base_url` only, and never shown.
            session: A session of your own: of requests, or of aiohttp for `AsyncVideoTranslationClient`. It is used as
                it is, with its adapters, and never closed. Its pooled connections are reused, and not checked for
                unread bytes of earlier responses. None for a session of ours.
            headers: Sent with every request to the origin of `base_url`, in place of ours of the same name. Their
                values are never shown. None for none.
            logger: A logger of structlog or of the standard library. None for the logger `translation_client` if it or a
                parent has a handler, else for structlog if it is configured, else for JSON lines on stderr.
            history: Learn how long jobs take, and check at learned times in place of the backoff: the path of a file
                that keeps the durations, True to keep them in memory, or a `DurationHistory`. It needs `check_cost` or
                `target_lag`. None or False for the backoff.
            check_cost: How many seconds of delay one status request is worth. Higher values check less often. None if
                `target_lag` is set, or without a history.
            target_lag: The mean delay to reach, in seconds, between the end of a job and the check that sees it. None if
                `check_cost` is set, or without a history.
            max_lag: The longest time between two checks, in seconds; None for no limit.
        """
        chosen = service if isinstance(service, Service) else get_service(service)
        policy = _policy(
            chosen,
            timeout=timeout,
            max_retries=max_retries,
            request_timeout=request_timeout,
            max_faults=max_faults,
            backoff_factor=backoff_factor,
            max_delay=max_delay,
            jitter=jitter,
        )
        for name, value in (("wait", wait), ("stop", stop), ("sleep", sleep)):
            _config.check_callable(name, value)
        resolved_url = _resolve_base_url(chosen, base_url)
        auth = Auth(chosen, resolved_url, api_key, headers, session)
        self._transport_config = TransportConfig(
            base_url=resolved_url.url,
            user_agent=user_agent(),
            headers=auth.static_headers,
            credentials=auth.dynamic_headers,
            request_timeout=policy.request_timeout,
            session=session,
            sleep=sleep,
        )
        self._transport: Transport = self._build_transport(self._transport_config)
        self._context = ClientContext(
            service=chosen,
            transport=self._transport,
            policy=policy,
            redactor=auth.redactor,
            logger=wrap_logger(logger),
            wait=wait,
            stop=stop,
            learner=_learner(chosen, wait, history, check_cost, target_lag, max_lag, policy.jitter),
        )
        self._language_list = LanguageList(self._context)

    def __repr__(self) -> str:
        name = type(self).__name__
        if "_context" not in vars(self):  # the constructor raised, and a traceback may call `repr`
            return f"<{name}, not initialized>"
        base_url = self._context.redactor.redact_id(self._transport.base_url)
        return f"{name}({base_url!r}, service={self._context.service.name!r})"

    def _build_transport(self, config: TransportConfig) -> Transport:
        raise NotImplementedError

    def _check_cancel(self, cancel: E | None) -> E | None:
        return _config.check_event("cancel", cancel)

    def _seconds(self, timeout: float | None) -> float:
        """Return `timeout`, or the client's own if it is None, in seconds."""
        return _config.resolve_timeout(timeout, self._context.policy.timeout)

    def _poller(
        self,
        job: Job | str | None,
        timeout: float | None,
        cancel: CancelEvent | None,
        features: JobFeatures = NO_FEATURES,
    ) -> Poller:
        return Poller(self._context, job, self._seconds(timeout), self._check_cancel(cancel), features=features)

    def _batch_options(
        self,
        *,
        checks_per_second: float | None,
        max_in_flight: float | None,
        timeout: float | None,
        cancel: CancelEvent | None,
        on_progress: Callable[[Job], Any] | None,
        kind: str | None,
        video_seconds: float | None,
    ) -> BatchOptions:
        return batch_options(
            checks_per_second=checks_per_second,
            max_in_flight=max_in_flight,
            timeout=self._seconds(timeout),
            cancel=self._check_cancel(cancel),
            on_progress=on_progress,
            features=check_features(kind, video_seconds, None),
        )

    async def _check_all(self, jobs: Iterable[Job | str]) -> list[Job]:
        return await check_all(self._context, _config.check_jobs("jobs", jobs), self._context.policy.timeout)

    async def _languages(self) -> list[str] | None:
        listed = await self._language_list.fetch(self._context.policy.timeout)
        return None if listed is None else list(listed)

    async def _submit(
        self,
        video: str | os.PathLike[str],
        target_language: str,
        *,
        source_language: str | None,
        options: Mapping[str, Any] | None,
        queue: bool,
        idempotency_key: str | None,
        timeout: float | None,
        cancel: CancelEvent | None,
    ) -> Job:
        # Imported with the first submission: a program that only waits does not need it.
        from ._jobs.submit import Submission, SubmitOptions, build_submit_request

        if not isinstance(queue, bool):
            raise TypeError(f"queue must be True or False, got {queue!r}")
        flow, request = build_submit_request(
            self._context.service,
            self._transport.base_url,
            video=video,
            target_language=target_language,
            source_language=source_language,
            options=options,
            idempotency_key=idempotency_key,
        )
        is_upload = isinstance(request.video, Path)
        seconds = _config.resolve_timeout(timeout, math.inf if is_upload else self._context.policy.timeout)
        event = self._check_cancel(cancel)
        submit_options = SubmitOptions(
            timeout=seconds,
            stopwatch=Stopwatch(),
            is_resumed=idempotency_key is not None,
            wait_for_slot=queue,
            cancel=event,
        )
        return await Submission(self._context, flow, request, submit_options, self._language_list).submit()

    async def _download(
        self,
        job: Job | str,
        path: str | os.PathLike[str],
        *,
        language: str | None,
        timeout: float | None,
        cancel: CancelEvent | None,
        on_progress: Callable[[int, int | None], object] | None,
    ) -> Path:
        from ._jobs.download import Download  # imported with the first download

        seconds = _config.resolve_timeout(timeout, math.inf)
        self._check_cancel(cancel)
        _config.check_callable("on_progress", on_progress)
        target = _config.check_target_path(path)
        self._context.service.check_result_language(language)
        download = Download(self._context, job, language, timeout=seconds, cancel=cancel, on_progress=on_progress)
        return await download.to(target)

    async def _delete(self, job: Job | str) -> None:
        await delete_job(self._context, job_id_of(job), self._context.policy.timeout)


@exported_from("translation_client")
class VideoTranslationClient(BaseClient[requests.Session]):
    """Submits video translation jobs, waits for them and downloads the results. May be shared by threads.

    Times are in seconds; `math.inf` is no limit.

    Raises:
        ValueError: An argument is malformed or out of range, is missing, or excludes another one. The message names it
            and, unless it may be secret, its value.
        TypeError: An argument is of the wrong type.
    """

    if TYPE_CHECKING:  # or the type hints of the class would name a private one
        _transport: RequestsTransport

    def _build_transport(self, config: TransportConfig) -> RequestsTransport:
        return RequestsTransport(config)

    def _check_cancel(self, cancel: E | None) -> E | None:
        return _config.check_blocking_event("cancel", cancel)

    def get_status(
        self,
        job: Job | str | None = None,
        *,
        timeout: float | None = None,
        cancel: threading.Event | None = None,
        kind: str | None = None,
        video_seconds: float | None = None,
        submitted_at: float | None = None,
    ) -> TranslationStatus:
        """Wait until the job is final, and return its status: `completed` or `error`. For a single check see `check`.

        Takes the arguments of `wait`, and raises the same errors.
        """
        features = check_features(kind, video_seconds, submitted_at)
        return self._poller(job, timeout, cancel, features).until_final_blocking().status

    def wait(
        self,
        job: Job | str | None = None,
        *,
        timeout: float | None = None,
        cancel: threading.Event | None = None,
        kind: str | None = None,
        video_seconds: float | None = None,
        submitted_at: float | None = None,
    ) -> Job:
        """Wait until the job is final, and return it. A failed job is returned too: see `Job.raise_for_status`.

        Args:
            job: The job or its id; None for the single job of the reference service.
            timeout: Seconds for the whole wait; None for the client's `timeout`.
            cancel: Set it, from any thread, to end the wait; None for no such event.
            kind: A label shared by jobs that take similarly long, such as a language and a mode, for a schedule that learns
                (`history`); None for no label.
            video_seconds: The length of the video in seconds, for a schedule that learns; None if unknown.
            submitted_at: The Unix time of the submission, in seconds, for a schedule that learns; None for
                `job.submitted_at`, or else what the service says. If neither is known, nothing is learned from this
                job.

        Raises:
            WaitTimeout: `timeout` seconds have passed, and the job is still running. Also a `TimeoutError`.
            RetriesExhausted: The job was still pending after `max_retries` retries, or the caller's `stop` strategy
                stopped.
            WaitCancelled: `cancel` was set, or the client was closed.
            RequestFailed: The service refused the request, or `max_faults` attempts in a row failed.
            UnexpectedAnswer: `max_faults` attempts in a row failed, and the last response could not be parsed.
            ValueError: An argument is malformed or out of range.
            TypeError: An argument is of the wrong type.
        """
        return self._poller(
            job, timeout, cancel, check_features(kind, video_seconds, submitted_at)
        ).until_final_blocking()

    def watch(
        self,
        job: Job | str | None = None,
        *,
        timeout: float | None = None,
        cancel: threading.Event | None = None,
        kind: str | None = None,
        video_seconds: float | None = None,
        submitted_at: float | None = None,
    ) -> Iterator[Job]:
        """Wait until the job is final, and yield the job after each check. The last one is final.

        Takes the arguments of `wait`, and raises the same errors. The time of `timeout` starts with the call, and
        includes what the caller does between two checks.
        """
        return self._poller(job, timeout, cancel, check_features(kind, video_seconds, submitted_at)).updates_blocking()

    def check(self, job: Job | str | None = None) -> Job:
        """Check the status once, and return the job, pending or final.

        Failed requests are repeated, within the client's `timeout`.

        Raises the errors of `wait`, except `RetriesExhausted`.
        """
        return run_sync(self._poller(job, None, None).check())

    def check_all(self, jobs: Iterable[Job | str]) -> list[Job]:
        """Check each of many jobs once, and return them in the order of `jobs`.

        Sends one request for many jobs if each server of the service has a bulk route, as HeyGen's have, and one request
        for each job otherwise.

        Raises the errors of `check`.
        """
        return run_sync(self._check_all(jobs))

    def as_completed(
        self,
        jobs: Iterable[Job | str],
        *,
        checks_per_second: float | None = None,
        max_in_flight: float | None = None,
        timeout: float | None = None,
        cancel: threading.Event | None = None,
        on_progress: Callable[[Job], Any] | None = None,
        kind: str | None = None,
        video_seconds: float | None = None,
    ) -> Iterator[Job | TranslationClientError]:
        """Wait for many jobs at once without a thread for each, and yield each as soon as it is final.

        Needs the extra `async`.

        Args:
            jobs: Jobs or ids, from a list or from an iterator that is slow or endless. An id that comes twice is waited
                for once, and yielded twice. Jobs with one id are waited for separately if they differ in `language`,
                `expected_seconds` or `submitted_at`. Unless it is a collection such as a list or a set, it is read in a
                background thread. For what may only be used in the thread that made it, such as a cursor of
                `sqlite3`, pass a list of its rows.
            checks_per_second: The most requests in any second, for all jobs together; None for 100. If the service
                allows fewer, give its limit, as each 429 counts towards `max_faults` of its job. If
                many jobs share a deadline, some have their last check earlier, to keep to this limit.
            max_in_flight: The most jobs at once, including final ones that were not taken yet; None for 10 000. Jobs
                are read from `jobs` while there are fewer.
            timeout: Seconds for each job, from the moment it is read from `jobs`; None for the client's `timeout`.
            cancel: Set it, from any thread, to end all waits; None for no such event. Jobs that were not read by then
                are not yielded.
            on_progress: Called with the `Job` after each check, in a background thread; None for no call.
            kind: A label of the jobs, as for `wait`, for a schedule that learns; None for no label.
            video_seconds: The length of their videos in seconds, for a schedule that learns; None if unknown.

        Yields:
            A `Job` that is final; or the error that its wait ended with, whose `job_id` names the job. The others go
            on.

        Raises:
            ImportError: aiohttp is not installed; the message names the extra.
            ValueError: An argument is malformed or out of range, or `jobs` is a list with a malformed id. One from an
                iterator is a `RequestFailed` among the results.
            TypeError: An argument is of the wrong type.
            RuntimeError: `jobs`, `on_progress`, `api_key`, `wait` or `stop` raised a `CancelledError`, `GeneratorExit`,
                `StopIteration` or `StopAsyncIteration`, which is the cause. Any other exception of theirs ends the
                batch unchanged. What is final by then is yielded before.
        """
        options = self._batch_options(
            checks_per_second=checks_per_second,
            max_in_flight=max_in_flight,
            timeout=timeout,
            cancel=cancel,
            on_progress=on_progress,
            kind=kind,
            video_seconds=video_seconds,
        )
        return (result for _, result in self._run_batch(jobs, options))

    def wait_all(
        self,
        jobs: Iterable[Job | str],
        *,
        checks_per_second: float | None = None,
        max_in_flight: float | None = None,
        timeout: float | None = None,
        cancel: threading.Event | None = None,
        on_progress: Callable[[Job], Any] | None = None,
        kind: str | None = None,
        video_seconds: float | None = None,
    ) -> list[Job | TranslationClientError]:
        """Wait for many jobs at once, and return what `as_completed` yields, in the order of `jobs`.

        Takes the arguments of `as_completed`, and raises the same errors. The error of a single job is returned, not
        raised. An iterator of jobs is read in a background thread: pass a list if it may only be read in the thread that
        made it.
        """
        options = self._batch_options(
            checks_per_second=checks_per_second,
            max_in_flight=max_in_flight,
            timeout=timeout,
            cancel=cancel,
            on_progress=on_progress,
            kind=kind,
            video_seconds=video_seconds,
        )
        return sort_by_position(self._run_batch(jobs, options))

    def _run_batch(self, jobs: Iterable[Job | str], options: BatchOptions) -> Iterator[tuple[int, JobResult]]:
        source = require_source(jobs, self._context.service)
        with require_aiohttp("as_completed and wait_all"):
            from ._jobs.batch.thread import batch_results
        return batch_results(self._context, self._transport, self._transport_config, options, source)

    def languages(self) -> list[str] | None:
        """Return the target languages as the service spells them, or None if it publishes no list.

        The list is fetched once. Raises the errors of `check`.
        """
        return run_sync(self._languages())

    def submit(
        self,
        video: str | os.PathLike[str],
        target_language: str,
        *,
        source_language: str | None = None,
        options: Mapping[str, Any] | None = None,
        queue: bool = False,
        idempotency_key: str | None = None,
        timeout: float | None = None,
        cancel: threading.Event | None = None,
    ) -> Job:
        """Submit a translation job exactly once, and return it, pending.

        A request is repeated only if that cannot create a second job.

        Args:
            video: An http(s) URL that the service can fetch; or the path of a file, if the service takes files.
            target_language: The language to translate into, as the service spells it.
            source_language: The language of the video, as the service spells it; None for the service to detect it.
            options: Further fields of the request, as the service documents them; None for none.
            queue: Wait for a slot while the service runs as many jobs as it allows, instead of raising `TooManyJobs`.
            idempotency_key: The key of a submission whose result is unknown (`error.idempotency_key`), or a key of your
                own; None for a new one. HeyGen keeps a key for 24 hours. At Azure it is the id of the job.
            timeout: Seconds for the whole submission. None for the client's `timeout`; for a file that is uploaded,
                None means no limit except `request_timeout` seconds without a byte.
            cancel: Set it, from any thread, to end the submission; None for no such event.

        Raises:
            ValueError: An argument is malformed, or not accepted by the service. Nothing was submitted.
            TypeError: An argument is of the wrong type. Nothing was submitted.
            TooManyJobs: There is no free slot, and `queue` is False.
            RequestFailed: The service refused the request, or it failed. Unless `may_have_been_accepted is False`, on
                this and on any other error, a job may be running: submit again with the error's `idempotency_key`.
            UnexpectedAnswer: The response has no job id.
            WaitTimeout: `timeout` seconds have passed.
            WaitCancelled: `cancel` was set, or the client was closed.
            OSError: The file cannot be read.

        An exception of your own `api_key()`, `sleep` or file is raised unchanged; unless a job may be running, for then a
        `RequestFailed` with it as the cause is raised.
        """
        return run_sync(
            self._submit(
                video,
                target_language,
                source_language=source_language,
                options=options,
                queue=queue,
                idempotency_key=idempotency_key,
                timeout=timeout,
                cancel=cancel,
            )
        )

    def download(
        self,
        job: Job | str,
        path: str | os.PathLike[str],
        *,
        language: str | None = None,
        timeout: float | None = None,
        cancel: threading.Event | None = None,
        on_progress: Callable[[int, int | None], object] | None = None,
    ) -> Path:
        """Download the result of a completed job to a file, and return its path.

        The file is written atomically: it is there complete, or not at all.

        Args:
            job: The job or its id.
            path: The path of the file. A file that is there already is replaced.
            language: Which result, if the job has several; None for `job.language`, or else for the first one.
            timeout: Seconds for the whole download; None for no limit except `request_timeout` seconds without a byte.
            cancel: Set it, from any thread, to end the download; None for no such event.
            on_progress: Called with the bytes received so far and the size of the file (None if unknown); None for no
                call.

        Raises:
            ResultNotReady: The job is still pending.
            JobFailed: The job failed.
            OSError: The file cannot be written.
            ValueError: `path` or another argument is malformed.
            TypeError: An argument is of the wrong type.

        Also raises the errors of `check`.
        """
        return run_sync(
            self._download(job, path, language=language, timeout=timeout, cancel=cancel, on_progress=on_progress)
        )

    def delete(self, job: Job | str) -> None:
        """Delete a job and its result at the service. A job that was running may be charged all the same.

        Raises the errors of `check`, and `ValueError` if the service cannot delete jobs.
        """
        run_sync(self._delete(job))

    def close(self) -> None:
        """Close the connections. Calls in progress, and later ones that need a request, end with `WaitCancelled`."""
        self._transport.close()

    def __enter__(self) -> VideoTranslationClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@exported_from("translation_client")
class AsyncVideoTranslationClient(BaseClient["aiohttp.ClientSession"]):
    """The client for asyncio, for any number of tasks of one event loop. Needs the extra `async`.

    Arguments, defaults, log events and errors are those of `VideoTranslationClient`. What differs: `session` is an
    `aiohttp.ClientSession`, `cancel` may be an `asyncio.Event`, and what `sleep` returns is awaited if it can be.
    aiohttp parses the head of a response more strictly: a line without a colon, say, is an `UnexpectedAnswer` there.

    Under freezegun the client needs `freeze_time(..., real_asyncio=True)`: without it no timer of an event loop runs,
    those of `asyncio.sleep` and of our deadlines included.

    Raises:
        ImportError: aiohttp is not installed; the message names the extra.
        ValueError: An argument is malformed or out of range, is missing, or excludes another one. The message names it
            and, unless it may be secret, its value.
        TypeError: An argument is of the wrong type.
    """

    if TYPE_CHECKING:  # or the type hints of the class would name a private one
        _transport: AiohttpTransport

    def _build_transport(self, config: TransportConfig) -> AiohttpTransport:
        with require_aiohttp(type(self).__name__):
            from ._transports.aiohttp import AiohttpTransport
        return AiohttpTransport(config)

    async def get_status(
        self,
        job: Job | str | None = None,
        *,
        timeout: float | None = None,
        cancel: CancelEvent | None = None,
        kind: str | None = None,
        video_seconds: float | None = None,
        submitted_at: float | None = None,
    ) -> TranslationStatus:
        """Wait until the job is final, and return its status, as `VideoTranslationClient.get_status`."""
        features = check_features(kind, video_seconds, submitted_at)
        return (await self._poller(job, timeout, cancel, features).until_final()).status

    async def wait(
        self,
        job: Job | str | None = None,
        *,
        timeout: float | None = None,
        cancel: CancelEvent | None = None,
        kind: str | None = None,
        video_seconds: float | None = None,
        submitted_at: float | None = None,
    ) -> Job:
        """Wait until the job is final, as `VideoTranslationClient.wait`. Cancelling the task ends the wait."""
        return await self._poller(job, timeout, cancel, check_features(kind, video_seconds, submitted_at)).until_final()

    def watch(
        self,
        job: Job | str | None = None,
        *,
        timeout: float | None = None,
        cancel: CancelEvent | None = None,
        kind: str | None = None,
        video_seconds: float | None = None,
        submitted_at: float | None = None,
    ) -> AsyncIterator[Job]:
        """Wait until the job is final, and yield the job after each check, as `VideoTranslationClient.watch`."""
        return self._poller(job, timeout, cancel, check_features(kind, video_seconds, submitted_at)).updates()

    async def check(self, job: Job | str | None = None) -> Job:
        """Check the status once, as `VideoTranslationClient.check`."""
        return await self._poller(job, None, None).check()

    async def check_all(self, jobs: Iterable[Job | str]) -> list[Job]:
        """Check each of many jobs once, as `VideoTranslationClient.check_all`."""
        return await self._check_all(jobs)

    def as_completed(
        self,
        jobs: Iterable[Job | str] | AsyncIterable[Job | str],
        *,
        checks_per_second: float | None = None,
        max_in_flight: float | None = None,
        timeout: float | None = None,
        cancel: CancelEvent | None = None,
        on_progress: Callable[[Job], Any] | None = None,
        kind: str | None = None,
        video_seconds: float | None = None,
    ) -> AsyncIterator[Job | TranslationClientError]:
        """Wait for many jobs at once, and yield each as soon as it is final, as `VideoTranslationClient.as_completed`.

        `jobs` may be an asynchronous iterator too, which is read in the event loop. Any other iterator is read in a
        background thread: pass a list if it may only be read in the thread that made it.
        """
        from ._jobs.batch.runner import BatchIterator, BatchRunner

        options = self._batch_options(
            checks_per_second=checks_per_second,
            max_in_flight=max_in_flight,
            timeout=timeout,
            cancel=cancel,
            on_progress=on_progress,
            kind=kind,
            video_seconds=video_seconds,
        )
        return BatchIterator(BatchRunner(self._context, options, require_source(jobs, self._context.service)))

    async def wait_all(
        self,
        jobs: Iterable[Job | str] | AsyncIterable[Job | str],
        *,
        checks_per_second: float | None = None,
        max_in_flight: float | None = None,
        timeout: float | None = None,
        cancel: CancelEvent | None = None,
        on_progress: Callable[[Job], Any] | None = None,
        kind: str | None = None,
        video_seconds: float | None = None,
    ) -> list[Job | TranslationClientError]:
        """Wait for many jobs at once, and return them in the order of `jobs`, as `VideoTranslationClient.wait_all`.

        `jobs` may be an asynchronous iterator too, which is read in the event loop. Any other iterator is read in a
        background thread: pass a list if it may only be read in the thread that made it.
        """
        from ._jobs.batch.runner import BatchRunner

        options = self._batch_options(
            checks_per_second=checks_per_second,
            max_in_flight=max_in_flight,
            timeout=timeout,
            cancel=cancel,
            on_progress=on_progress,
            kind=kind,
            video_seconds=video_seconds,
        )
        batch = BatchRunner(self._context, options, require_source(jobs, self._context.service))
        return sort_by_position([result async for result in batch.results()])

    async def languages(self) -> list[str] | None:
        """Return the target languages, as `VideoTranslationClient.languages`."""
        return await self._languages()

    async def submit(
        self,
        video: str | os.PathLike[str],
        target_language: str,
        *,
        source_language: str | None = None,
        options: Mapping[str, Any] | None = None,
        queue: bool = False,
        idempotency_key: str | None = None,
        timeout: float | None = None,
        cancel: CancelEvent | None = None,
    ) -> Job:
        """Submit a translation job exactly once, as `VideoTranslationClient.submit`.

        Cancelling the task during a submission may leave a job behind. Its key is in the log line `submit_started`.
        """
        return await self._submit(
            video,
            target_language,
            source_language=source_language,
            options=options,
            queue=queue,
            idempotency_key=idempotency_key,
            timeout=timeout,
            cancel=cancel,
        )

    async def download(
        self,
        job: Job | str,
        path: str | os.PathLike[str],
        *,
        language: str | None = None,
        timeout: float | None = None,
        cancel: CancelEvent | None = None,
        on_progress: Callable[[int, int | None], object] | None = None,
    ) -> Path:
        """Download the result of a completed job to a file, as `VideoTranslationClient.download`."""
        return await self._download(
            job, path, language=language, timeout=timeout, cancel=cancel, on_progress=on_progress
        )

    async def delete(self, job: Job | str) -> None:
        """Delete a job and its result at the service, as `VideoTranslationClient.delete`."""
        await self._delete(job)

    async def close(self) -> None:
        """Close the connections. Calls in progress, and later ones that need a request, end with `WaitCancelled`."""
        await self._transport.close()

    async def __aenter__(self) -> AsyncVideoTranslationClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.shield(self.close())  # also while the task is being cancelled


@contextmanager
def require_aiohttp(feature: str) -> Iterator[None]:
    """Name the extra if an import in this block fails because aiohttp is not installed.

    Raises:
        ImportError: aiohttp is not installed; the message names the extra.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name != "aiohttp":
            raise
        text = f"aiohttp is needed for {feature}: pip install 'translation-client[async]'"
        raise ImportError(text, name="aiohttp") from error


@cache
def user_agent() -> str:
    """Return the value of the header `User-Agent`.

    Cached, as reading the version parses the metadata of the package, README included.
    """
    from importlib import metadata  # takes longer to import than all our modules

    return f"{DISTRIBUTION}/{metadata.version(DISTRIBUTION)}"


def _policy(
    service: Service,
    *,
    timeout: float | None,
    max_retries: float | None,
    request_timeout: float | None,
    max_faults: float | None,
    backoff_factor: float,
    max_delay: float,
    jitter: float,
) -> PollingPolicy:
    defaults = service.defaults
    return PollingPolicy(
        timeout=defaults.timeout if timeout is None else timeout,
        max_retries=defaults.max_retries if max_retries is None else max_retries,
        request_timeout=defaults.request_timeout if request_timeout is None else request_timeout,
        max_faults=defaults.max_faults if max_faults is None else max_faults,
        backoff_factor=backoff_factor,
        max_delay=max_delay,
        jitter=jitter,
    )


def _learner(
    service: Service,
    wait: object,
    history: object,
    check_cost: float | None,
    target_lag: float | None,
    max_lag: float | None,
    jitter: float,
) -> ScheduleLearner | None:
    if history is None or history is False:
        for name, value in (("check_cost", check_cost), ("target_lag", target_lag), ("max_lag", max_lag)):
            if value is not None:
                raise ValueError(f"{name} requires history, such as history=True, got {value!r} without it")
        return None
    from .schedule.history import open_history  # imported only to learn: SQLite, and the arithmetic
    from .schedule.learner import ScheduleLearner
    from .schedule.planner import SchedulePlanner, objective_from

    if wait is not None:
        raise ValueError("wait and history cannot be combined: each of them decides when to check")
    objective = objective_from(check_cost, target_lag, max_lag)
    return ScheduleLearner(SchedulePlanner(open_history(history), service.name, objective), jitter=jitter)


def _resolve_base_url(service: Service, base_url: str | None) -> BaseURL:
    if base_url is not None:
        return parse_base_url(base_url)
    if service.base_url is None:
        raise ValueError(f"base_url must be given: the service {service.name!r} has no default URL, got None")
    return parse_base_url(_VARIABLE.sub(lambda match: _read_host_variable(match[1], service), service.base_url))


def _read_host_variable(name: str, service: Service) -> str:
    value = os.environ.get(name, "")
    if not _DNS_LABEL.fullmatch(value):
        state = f"which is {value!r}" if value else "which is not set"
        raise ValueError(
            f"base_url must be given, or be completed by the environment variable {name}, {state}: "
            f"the address of the service {service.name!r} is {service.base_url}"
        )
    return value
