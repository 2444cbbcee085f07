"""What can be asked about jobs that exist, by tasks? The twin of `questions.py` and `fleets.py`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any

from .. import arguments
from ..errands import Errands
from ..fleet.fleet import Fleet
from ..fleet.terms import Outcome, Source, Terms, in_order, require_source, terms_of
from ..lines import Event
from ..models import Job, TranslationStatus
from ..particulars import NOTHING_SAID, Particulars, particulars
from ..tools import Tools
from ..waiting import Wait


class AsyncQuestions:
    """The half of the client that asks; the other half orders, fetches and deletes."""

    def __init__(self, tools: Tools) -> None:
        """Take the parts of the client."""
        self._tools = tools
        self._errands = Errands(tools)

    async def get_status(
        self,
        job: Job | str | None = None,
        *,
        timeout: float | None = None,
        cancel: Event | None = None,
        key: str | None = None,
        video_seconds: float | None = None,
        submitted_at: float | None = None,
    ) -> TranslationStatus:
        """Wait until the job is final, and say how it ended; as `VideoTranslationClient.get_status`."""
        said = particulars(key, video_seconds, submitted_at)
        return (await self._begin(job, timeout, cancel, said).until_final()).status

    async def wait(
        self,
        job: Job | str | None = None,
        *,
        timeout: float | None = None,
        cancel: Event | None = None,
        key: str | None = None,
        video_seconds: float | None = None,
        submitted_at: float | None = None,
    ) -> Job:
        """Wait until the job is final; as `VideoTranslationClient.wait`. A task that is cancelled ends its wait."""
        return await self._begin(job, timeout, cancel, particulars(key, video_seconds, submitted_at)).until_final()

    def watch(
        self,
        job: Job | str | None = None,
        *,
        timeout: float | None = None,
        cancel: Event | None = None,
        key: str | None = None,
        video_seconds: float | None = None,
        submitted_at: float | None = None,
    ) -> AsyncIterator[Job]:
        """Wait as `wait` does, and yield each answer as it comes; as `VideoTranslationClient.watch`."""
        return self._begin(job, timeout, cancel, particulars(key, video_seconds, submitted_at)).each()

    async def check(self, job: Job | str | None = None) -> Job:
        """Ask once how the job stands; as `VideoTranslationClient.check`."""
        return await self._begin(job, None, None).check()

    async def check_all(self, jobs: Iterable[Job | str]) -> list[Job]:
        """Ask once how each of many jobs stands; as `VideoTranslationClient.check_all`."""
        return await self._errands.check_all(arguments.several("jobs", jobs), self._tools.policy.timeout)

    def as_completed(
        self,
        jobs: Source,
        *,
        checks_per_second: float | None = None,
        max_in_flight: float | None = None,
        timeout: float | None = None,
        cancel: Event | None = None,
        on_progress: Callable[[Job], Any] | None = None,
        key: str | None = None,
        video_seconds: float | None = None,
    ) -> AsyncIterator[Outcome]:
        """Wait for many jobs at once, and give each as it ends; as `VideoTranslationClient.as_completed`.

        The jobs may come from an asynchronous iterator, too. If the task that awaits the next outcome is cancelled, as by
        `asyncio.wait_for`, the batch ends: the next one is a RuntimeError.
        """
        terms = self._terms(checks_per_second, max_in_flight, timeout, cancel, on_progress, key, video_seconds)
        return _Completed(Fleet(self._tools, terms, require_source(jobs)))

    async def wait_all(
        self,
        jobs: Source,
        *,
        checks_per_second: float | None = None,
        max_in_flight: float | None = None,
        timeout: float | None = None,
        cancel: Event | None = None,
        on_progress: Callable[[Job], Any] | None = None,
        key: str | None = None,
        video_seconds: float | None = None,
    ) -> list[Outcome]:
        """Wait for many jobs at once, and list what came of them in their order; as `VideoTranslationClient.wait_all`."""
        terms = self._terms(checks_per_second, max_in_flight, timeout, cancel, on_progress, key, video_seconds)
        fleet = Fleet(self._tools, terms, require_source(jobs))
        return in_order([outcome async for outcome in fleet.outcomes()])

    def _terms(
        self,
        checks_per_second: float | None,
        max_in_flight: float | None,
        timeout: float | None,
        cancel: Event | None,
        on_progress: Callable[[Job], Any] | None,
        key: str | None,
        video_seconds: float | None,
    ) -> Terms:
        return terms_of(
            checks_per_second=checks_per_second,
            max_in_flight=max_in_flight,
            timeout=arguments.seconds(timeout, self._tools.policy.timeout),
            cancel=arguments.event("cancel", cancel),
            on_progress=on_progress,
            said=particulars(key, video_seconds, None),
        )

    def _begin(
        self, job: Job | str | None, timeout: float | None, cancel: Event | None, said: Particulars = NOTHING_SAID
    ) -> Wait:
        seconds = arguments.seconds(timeout, self._tools.policy.timeout)
        return Wait(self._tools, job, seconds, arguments.event("cancel", cancel), said=said)


class _Completed(AsyncIterator[Outcome]):
    """The outcomes of a fleet without their positions: one generator alone, which its loop can close at the end."""

    def __init__(self, fleet: Fleet) -> None:
        self._outcomes = fleet.outcomes()
        self._is_cancelled = False

    async def __anext__(self) -> Outcome:
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
