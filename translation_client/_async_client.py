"""The client for asyncio."""

from __future__ import annotations

import asyncio
import math
import os
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp
from tenacity.stop import StopBaseT
from tenacity.wait import WaitBaseT

from . import _config
from ._auth import ApiKey
from ._client import Settings, tools_of
from ._clock import Stopwatch
from ._config import NO_FEATURES, JobFeatures, check_features
from ._jobs.batch.options import BatchOptions, JobResult, Source, batch_options, require_source, sort_by_position
from ._jobs.batch.runner import BatchRunner
from ._jobs.context import ClientContext
from ._jobs.download import Download
from ._jobs.errands import Errands
from ._jobs.poller import Poller
from ._jobs.submit import Submission, SubmitOptions, build_submit_request
from ._models import Job, TranslationStatus
from ._transports.aiohttp import async_transport
from ._transports.base import CancelEvent
from .services.service import Service

if TYPE_CHECKING:
    from .schedule.history import DurationHistory


class AsyncQuestions:
    """The half of the client that asks; the other half orders, fetches and deletes."""

    def __init__(self, context: ClientContext) -> None:
        """Take the parts of the client."""
        self._context = context
        self._errands = Errands(context)

    async def get_status(
        self,
        job: Job | str | None = None,
        *,
        timeout: float | None = None,
        cancel: CancelEvent | None = None,
        key: str | None = None,
        video_seconds: float | None = None,
        submitted_at: float | None = None,
    ) -> TranslationStatus:
        """Wait until the job is final, and say how it ended; as `VideoTranslationClient.get_status`."""
        said = check_features(key, video_seconds, submitted_at)
        return (await self._begin(job, timeout, cancel, said).until_final()).status

    async def wait(
        self,
        job: Job | str | None = None,
        *,
        timeout: float | None = None,
        cancel: CancelEvent | None = None,
        key: str | None = None,
        video_seconds: float | None = None,
        submitted_at: float | None = None,
    ) -> Job:
        """Wait until the job is final; as `VideoTranslationClient.wait`. A task that is cancelled ends its wait."""
        return await self._begin(job, timeout, cancel, check_features(key, video_seconds, submitted_at)).until_final()

    def watch(
        self,
        job: Job | str | None = None,
        *,
        timeout: float | None = None,
        cancel: CancelEvent | None = None,
        key: str | None = None,
        video_seconds: float | None = None,
        submitted_at: float | None = None,
    ) -> AsyncIterator[Job]:
        """Wait as `wait` does, and yield each answer as it comes; as `VideoTranslationClient.watch`."""
        return self._begin(job, timeout, cancel, check_features(key, video_seconds, submitted_at)).each()

    async def check(self, job: Job | str | None = None) -> Job:
        """Ask once how the job stands; as `VideoTranslationClient.check`."""
        return await self._begin(job, None, None).check()

    async def check_all(self, jobs: Iterable[Job | str]) -> list[Job]:
        """Ask once how each of many jobs stands; as `VideoTranslationClient.check_all`."""
        return await self._errands.check_all(_config.check_jobs("jobs", jobs), self._context.policy.timeout)

    def as_completed(
        self,
        jobs: Source,
        *,
        checks_per_second: float | None = None,
        max_in_flight: float | None = None,
        timeout: float | None = None,
        cancel: CancelEvent | None = None,
        on_progress: Callable[[Job], Any] | None = None,
        key: str | None = None,
        video_seconds: float | None = None,
    ) -> AsyncIterator[JobResult]:
        """Wait for many jobs at once, and give each as it ends; as `VideoTranslationClient.as_completed`.

        The jobs may come from an asynchronous iterator, too. If the task that awaits the next outcome is cancelled, as by
        `asyncio.wait_for`, the batch ends: the next one is a RuntimeError.
        """
        terms = self._terms(checks_per_second, max_in_flight, timeout, cancel, on_progress, key, video_seconds)
        return _Completed(BatchRunner(self._context, terms, require_source(jobs)))

    async def wait_all(
        self,
        jobs: Source,
        *,
        checks_per_second: float | None = None,
        max_in_flight: float | None = None,
        timeout: float | None = None,
        cancel: CancelEvent | None = None,
        on_progress: Callable[[Job], Any] | None = None,
        key: str | None = None,
        video_seconds: float | None = None,
    ) -> list[JobResult]:
        """Wait for many jobs at once, and list what came of them in their order; as `VideoTranslationClient.wait_all`."""
        terms = self._terms(checks_per_second, max_in_flight, timeout, cancel, on_progress, key, video_seconds)
        fleet = BatchRunner(self._context, terms, require_source(jobs))
        return sort_by_position([outcome async for outcome in fleet.outcomes()])

    def _terms(
        self,
        checks_per_second: float | None,
        max_in_flight: float | None,
        timeout: float | None,
        cancel: CancelEvent | None,
        on_progress: Callable[[Job], Any] | None,
        key: str | None,
        video_seconds: float | None,
    ) -> BatchOptions:
        return batch_options(
            checks_per_second=checks_per_second,
            max_in_flight=max_in_flight,
            timeout=_config.resolve_timeout(timeout, self._context.policy.timeout),
            cancel=_config.check_event("cancel", cancel),
            on_progress=on_progress,
            said=check_features(key, video_seconds, None),
        )

    def _begin(
        self, job: Job | str | None, timeout: float | None, cancel: CancelEvent | None, said: JobFeatures = NO_FEATURES
    ) -> Poller:
        seconds = _config.resolve_timeout(timeout, self._context.policy.timeout)
        return Poller(self._context, job, seconds, _config.check_event("cancel", cancel), said=said)


class _Completed(AsyncIterator[JobResult]):
    """The outcomes of a fleet without their positions: one generator alone, which its loop can close at the end."""

    def __init__(self, fleet: BatchRunner) -> None:
        self._outcomes = fleet.outcomes()
        self._is_cancelled = False

    async def __anext__(self) -> JobResult:
        if self._is_cancelled:  # StopAsyncIteration would say that all jobs have ended
            raise RuntimeError("as_completed was cancelled before all jobs had ended: call it again for the others")
        try:
            return (await self._outcomes.__anext__())[1]
        except asyncio.CancelledError:
            self._is_cancelled = True
            raise

    async def aclose(self) -> None:
        """End the fleet."""
        await self._outcomes.aclose()


class AsyncOrders(AsyncQuestions):
    """The half of the client that orders, beside the half that asks."""

    async def languages(self) -> list[str] | None:
        """List the target languages; as `VideoTranslationClient.languages`."""
        known = await self._errands.languages(self._context.policy.timeout)
        return None if known is None else list(known)

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
        """Order a translation, once; as `VideoTranslationClient.submit`.

        A task that is cancelled in the middle of an order may leave a job behind: its key is in the log line `order_started`.
        """
        order, wanted = build_submit_request(
            self._context.service,
            self._context.transport.base_url,
            video=video,
            target_language=target_language,
            source_language=source_language,
            options=options,
            idempotency_key=idempotency_key,
        )
        seconds = _config.resolve_timeout(
            timeout, math.inf if isinstance(wanted.video, Path) else self._context.policy.timeout
        )
        terms = SubmitOptions(
            seconds, Stopwatch(), idempotency_key is not None, queue, _config.check_event("cancel", cancel)
        )
        await self._errands.require_language(target_language, seconds, cancel, terms.watch)
        return await Submission(self._context, order, wanted, terms).job()

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
        """Fetch the result of a finished job into a file; as `VideoTranslationClient.download`."""
        seconds = _config.resolve_timeout(timeout, math.inf)
        _config.check_event("cancel", cancel)
        _config.check_callable("on_progress", on_progress)
        target = _config.check_target_path(path)
        self._context.service.check_result_language(language)
        fetched = Download(self._context, job, language, timeout=seconds, cancel=cancel, on_progress=on_progress)
        return await fetched.to(target)

    async def delete(self, job: Job | str) -> None:
        """Have the service delete a job, and its result; as `VideoTranslationClient.delete`."""
        await self._errands.delete(job.id if isinstance(job, Job) else job, self._context.policy.timeout)


class AsyncVideoTranslationClient(AsyncOrders):
    """Waits for video translation jobs, from any number of tasks of one event loop; each wait has a state of its own.

    Arguments, defaults, events and errors are those of `VideoTranslationClient`. What differs: `session` is an
    `aiohttp.ClientSession`, `cancel` may be an `asyncio.Event`, and what `sleep` returns is awaited if it can be. And
    aiohttp reads the head of an answer more strictly: a line without a colon, say, is an `UnexpectedAnswer` there.

    Under freezegun the client needs `freeze_time(..., real_asyncio=True)`: without it no timer of an event loop runs, those of
    `asyncio.sleep` and of our deadlines included.
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
        wait: WaitBaseT | None = None,
        stop: StopBaseT | None = None,
        sleep: Callable[[float], Any] | None = None,
        service: str | Service = "reference",
        api_key: ApiKey | None = None,
        session: aiohttp.ClientSession | None = None,
        headers: Mapping[str, str] | None = None,
        logger: Any = None,
        history: str | os.PathLike[str] | DurationHistory | bool | None = None,
        check_cost: float | None = None,
        target_lag: float | None = None,
        max_lag: float | None = None,
        spread_checks: bool = False,
    ) -> None:
        """Check the arguments, as `VideoTranslationClient` does; nothing is sent, and no event loop is needed yet."""
        given = Settings(
            base_url=base_url,
            max_retries=max_retries,
            backoff_factor=backoff_factor,
            timeout=timeout,
            max_delay=max_delay,
            jitter=jitter,
            request_timeout=request_timeout,
            max_faults=max_faults,
            wait=wait,
            stop=stop,
            sleep=sleep,
            service=service,
            api_key=api_key,
            session=session,
            headers=headers,
            logger=logger,
            history=history,
            check_cost=check_cost,
            target_lag=target_lag,
            max_lag=max_lag,
            spread_checks=spread_checks,
        )
        context, self._transport, _ = tools_of(given, async_transport)
        super().__init__(context)

    async def close(self) -> None:
        """Free the sockets and end every wait with `WaitCancelled`; so does any later call."""
        await self._transport.close()

    async def __aenter__(self) -> AsyncVideoTranslationClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.shield(self.close())  # also where the task is being cancelled

    def __repr__(self) -> str:
        if "_tools" not in vars(self):  # its constructor raised, and a traceback shows it
            return "<AsyncVideoTranslationClient, not initialized>"
        return f"AsyncVideoTranslationClient({self._transport.base_url!r}, service={self._context.service.name!r})"
