"""The client for asyncio: what can be asked for is what `VideoTranslationClient` has, and it is awaited."""

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

from .. import arguments
from ..assembly import Settings, Wiring, tools_of
from ..clock import now
from ..commissions import commission
from ..credentials import ApiKey
from ..download import Download
from ..errands import Errands
from ..lines import Event
from ..models import Job, TranslationStatus
from ..particulars import NOTHING_SAID, Particulars, particulars
from ..services.service import Service
from ..submission import Submission, Terms
from ..waiting import Wait
from .line import AsyncLine
from .transport import AsyncTransport

if TYPE_CHECKING:  # needed where a schedule learns alone, and so is not part of every import
    from ..history import DurationHistory


class AsyncVideoTranslationClient:
    """Waits for video translation jobs, from any number of tasks of one event loop; each wait has a state of its own.

    Arguments, defaults, events and errors are those of `VideoTranslationClient`. What differs: `session` is an
    `aiohttp.ClientSession`, `cancel` may be an `asyncio.Event`, and what `sleep` returns is awaited if it can be.
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
        self._tools, self._line = tools_of(given, async_line)
        self._errands = Errands(self._tools)

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

    async def languages(self) -> list[str] | None:
        """List the target languages; as `VideoTranslationClient.languages`."""
        known = await self._errands.languages(self._tools.policy.timeout)
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
        cancel: Event | None = None,
    ) -> Job:
        """Order a translation, once; as `VideoTranslationClient.submit`.

        A task that is cancelled in the middle of an order may leave a job behind: its key is in the log line `order_started`.
        """
        order, wanted = commission(
            self._tools.service,
            self._line.base_url,
            video=video,
            target_language=target_language,
            source_language=source_language,
            options=options,
            idempotency_key=idempotency_key,
        )
        usual = self._tools.policy.timeout
        seconds = arguments.seconds(timeout, math.inf if isinstance(wanted.video, Path) else usual)
        terms = Terms(seconds, now(), idempotency_key is not None, queue, arguments.event("cancel", cancel))
        await self._errands.require_language(target_language, min(seconds, usual), cancel)
        return await Submission(self._tools, order, wanted, terms).job()

    async def download(
        self,
        job: Job | str,
        path: str | os.PathLike[str],
        *,
        language: str | None = None,
        timeout: float | None = None,
        cancel: Event | None = None,
        on_progress: Callable[[int, int | None], object] | None = None,
    ) -> Path:
        """Fetch the result of a finished job into a file; as `VideoTranslationClient.download`."""
        seconds = arguments.seconds(timeout, math.inf)
        arguments.event("cancel", cancel)
        arguments.strategy("on_progress", on_progress)
        target = arguments.target(path)
        self._tools.service.check_result_language(language)
        fetched = Download(self._tools, job, language, timeout=seconds, cancel=cancel, on_progress=on_progress)
        return await fetched.to(target)

    async def delete(self, job: Job | str) -> None:
        """Have the service delete a job, and its result; as `VideoTranslationClient.delete`."""
        await self._errands.delete(job.id if isinstance(job, Job) else job, self._tools.policy.timeout)

    async def close(self) -> None:
        """Free the sockets and end every wait with `WaitCancelled`; so does any later call."""
        await self._line.close()

    async def __aenter__(self) -> AsyncVideoTranslationClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.shield(self.close())  # also where the task is being cancelled

    def __repr__(self) -> str:
        return f"AsyncVideoTranslationClient({self._line.base_url!r}, service={self._tools.service.name!r})"

    def _begin(
        self, job: Job | str | None, timeout: float | None, cancel: Event | None, said: Particulars = NOTHING_SAID
    ) -> Wait:
        seconds = arguments.seconds(timeout, self._tools.policy.timeout)
        return Wait(self._tools, job, seconds, arguments.event("cancel", cancel), said=said)


def async_line(wiring: Wiring) -> AsyncLine:
    """Make the line of a client.

    Raises:
        TypeError: The session is none of aiohttp.
    """
    session = wiring.session
    if session is not None and not isinstance(session, aiohttp.ClientSession):
        raise TypeError(f"session must be an aiohttp.ClientSession, got a value of type {type(session).__name__}")
    transport = AsyncTransport(
        wiring.base_url,
        user_agent=wiring.user_agent,
        headers=wiring.headers,
        request_timeout=wiring.request_timeout,
        credentials=wiring.credentials,
        session=session,
    )
    return AsyncLine(transport, wiring.sleep)
