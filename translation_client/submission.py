"""How is a job ordered so that it is ordered once? The steps of a service, each asked until it is answered."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from . import endings, purposes
from .calls import Calls, Stakes
from .clock import Stopwatch
from .errors import TranslationClientError
from .faults import NoFreeSlot
from .lines import Event
from .messages import Answer
from .models import Job, redacted, shown_text
from .services.ordering import Commission, Order, Step
from .tools import Tools

_NO_SLOT = object()
"""What an answer is read as that says that too many jobs are running, where the caller wants to wait for a slot."""


class Terms(NamedTuple):
    """How an order is to go.

    Attributes:
        timeout: Seconds for all of it.
        watch: Its elapsed time.
        goes_on: Whether the key is the caller's: what came of an order before it is not known here.
        waits_for_slot: Whether to wait where too many jobs are running.
        cancel: Set to end it.
    """

    timeout: float
    watch: Stopwatch
    goes_on: bool
    waits_for_slot: bool
    cancel: Event | None


class Submission:
    """One order. For one thread, and for one use."""

    def __init__(self, tools: Tools, order: Order, commission: Commission, terms: Terms) -> None:
        """Prepare; nothing is sent yet."""
        self._tools = tools
        self._order = order
        self._commission = commission
        self._terms = terms
        video = commission.video
        self._secrets = tools.secrets if isinstance(video, Path) else tools.secrets.with_link(video)
        self._calls = Calls(
            tools,
            purposes.order(),
            timeout=terms.timeout,
            cancel=terms.cancel,
            secrets=self._secrets,
            watch=terms.watch,
        )
        self._calls.progress.idempotency_key = commission.key or None
        self._calls.progress.may_have_been_accepted = terms.goes_on

    async def job(self) -> Job:
        """Order it."""
        key = self._secrets.shown_id(self._commission.key)
        self._calls.log.write("order_started", idempotency_key=key or None)
        try:
            job = await self._through_all_steps()
        except KeyboardInterrupt as interrupt:
            if self._calls.progress.may_have_been_accepted:  # nobody else would know how to go on
                interrupt.args = (endings.interrupted(self._calls.purpose, self._calls.progress),)
            raise
        except TranslationClientError:
            raise
        except Exception as error:  # of the caller's; without this nobody would know the key to go on with
            progress = self._calls.progress
            if not progress.may_have_been_accepted:
                raise
            raise self._calls.log.ended(
                "unexpected", endings.broken_off(self._calls.purpose, progress, error)
            ) from error
        secrets = self._calls.progress.secrets
        job = redacted(replace(job, submitted_at=time.time()), secrets, self._tools.service.knows)
        self._calls.log.name_job(shown_text(job, "id"))
        progress = self._calls.progress
        self._calls.log.write(
            "job_submitted",
            attempts=progress.attempts,
            expected_seconds=job.expected_seconds,
            elapsed_seconds=progress.elapsed,
        )
        return job

    async def _through_all_steps(self) -> Job:
        steps = self._order.steps(self._commission)
        step = next(steps)
        while True:
            value = await self._done(step)
            try:
                step = steps.send(value)
            except StopIteration as finished:
                job: Job = finished.value
                return job

    async def _done(self, step: Step) -> Any:
        return await self._calls.until_final(
            lambda: self._call(step), is_pending=lambda value: value is _NO_SLOT or step.is_pending(value)
        )

    async def _call(self, step: Step) -> Any:
        stakes = Stakes(step.makes_job, step.is_repeatable)
        answer, value = await self._calls.call(step.request, lambda answer: self._read(step, answer), stakes=stakes)
        if value is _NO_SLOT:
            progress = self._calls.progress
            self._calls.log.write("no_free_slot", attempt=progress.attempts, elapsed_seconds=progress.elapsed)
        else:
            self._calls.progress.count(step.call)
            self._calls.progress.may_have_been_accepted |= step.makes_job  # until the whole order is through
            self._calls.log.answered(step.call, answer)
        return value

    def _read(self, step: Step, answer: Answer) -> Any:
        try:
            value = step.read(answer)
        except NoFreeSlot:
            if not self._terms.waits_for_slot:
                raise
            self._calls.progress.count("no free slot")
            return _NO_SLOT
        return value
