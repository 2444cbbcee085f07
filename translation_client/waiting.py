"""How does one wait go? Questions about one job, until it is final or a limit is reached."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import NoReturn

from tenacity import RetryCallState

from . import endings, polling, purposes, strategies
from .calls import Calls
from .messages import Answer
from .models import Job
from .tools import Tools


class Wait:
    """One wait for one job, from its first call to its end. For one thread at a time, and for one use."""

    def __init__(
        self,
        tools: Tools,
        job: Job | str | None,
        timeout: float,
        cancel: threading.Event | None,
        started: float | None = None,
    ) -> None:
        """Start the clock, or take over one that was started before; nothing is sent yet.

        Raises:
            ValueError: The id cannot be one.
        """
        self._known = job if isinstance(job, Job) else None
        job_id = job.id if isinstance(job, Job) else job
        self._request = tools.service.status_request(job_id)
        self._tools = tools
        self._calls = Calls(
            tools, purposes.status_of(job_id), timeout=timeout, cancel=cancel, job_id=job_id, started=started
        )
        self._check = self._calls.despite_faults(self._call)

    @property
    def attempts(self) -> int:
        """The HTTP calls that were made."""
        return self._calls.progress.attempts

    def check(self) -> Job:
        """Ask once, its failed calls repeated."""
        return self._check()

    def until_final(self) -> Job:
        """Ask until the job is final."""
        return self._declared()()

    def each(self) -> Iterator[Job]:
        """Ask until the job is final, and hand out each answer."""
        return polling.each_answer(self._declared())

    def _declared(self) -> Callable[[], Job]:
        calls, policy = self._calls, self._tools.policy
        pauses = strategies.PendingPauses(policy, calls.progress, self._tools.schedule)
        return polling.until_final(
            self._check,
            is_pending=lambda job: not job.status.is_final,
            max_retries=policy.max_retries,
            progress=calls.progress,
            pauses=pauses,
            stop=self._tools.stop,
            hooks=polling.Hooks(
                calls.sleep, lambda state: calls.log.sleeping(state, pauses.reason), self._end_for_limits
            ),
        )

    def _call(self) -> Job:
        return self._saw(*self._calls.call(self._request, self._read))

    def _read(self, answer: Answer) -> Job:
        language = None if self._known is None else self._known.language
        return self._tools.service.read_status(answer, self._calls.progress.job_id, language)

    def _saw(self, answer: Answer, answered: Job) -> Job:
        progress, secrets = self._calls.progress, self._tools.secrets
        is_known = self._tools.service.knows(answered.raw_status)
        job = Job(  # whole, as `replace` would look every field up: it takes a tenth of what reading an answer takes
            id=answered.id,
            status=answered.status,
            raw_status=answered.raw_status if is_known else secrets.shown(answered.raw_status),
            progress=answered.progress,
            result_url=answered.result_url,
            error=answered.error and secrets.shown(answered.error),
            retry_after=progress.hint,
            checks=progress.checks + 1,
            elapsed=progress.elapsed,
            payload=secrets.scrub(answered.payload),
            language=answered.language and secrets.shown(answered.language),
            expected_seconds=None if self._known is None else self._known.expected_seconds,
        )
        progress.saw(job)
        self._log_answer(job, answer, is_known=is_known)
        return job

    def _end_for_limits(self, _: RetryCallState) -> NoReturn:
        calls = self._calls
        calls.end_if_cancelled()
        if strategies.is_too_late_for_a_check(calls.progress):
            raise calls.log.ended("timeout", endings.timed_out(calls.progress))
        raise calls.log.ended("retries", endings.retries_exhausted(calls.progress))

    def _log_answer(self, job: Job, answer: Answer, *, is_known: bool) -> None:
        log, progress = self._calls.log, self._calls.progress
        log.write(
            "status_checked",
            attempt=progress.attempts,
            status=str(job.status),
            raw_status=job.raw_status,
            progress=job.progress,
            elapsed_seconds=job.elapsed,
            request_seconds=answer.seconds,
        )
        if not is_known and progress.is_new_word(job.raw_status):
            log.write("unknown_status", raw_status=job.raw_status)
        if job.status.is_final:
            log.write(
                "job_finished",
                status=str(job.status),
                raw_status=job.raw_status,
                attempts=progress.attempts,
                elapsed_seconds=job.elapsed,
            )
