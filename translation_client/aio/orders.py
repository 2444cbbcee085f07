"""What can be ordered, fetched and deleted, by tasks? The twin of `orders.py`."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from .. import arguments
from ..clock import Stopwatch
from ..commissions import commission
from ..download import Download
from ..lines import Event
from ..models import Job
from ..submission import Submission, Terms
from .questions import AsyncQuestions


class AsyncOrders(AsyncQuestions):
    """The half of the client that orders, beside the half that asks."""

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
            self._tools.line.base_url,
            video=video,
            target_language=target_language,
            source_language=source_language,
            options=options,
            idempotency_key=idempotency_key,
        )
        seconds = arguments.seconds(timeout, math.inf if isinstance(wanted.video, Path) else self._tools.policy.timeout)
        terms = Terms(seconds, Stopwatch(), idempotency_key is not None, queue, arguments.event("cancel", cancel))
        await self._errands.require_language(target_language, seconds, cancel, terms.watch)
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
