"""How does one wait go? Questions about one job, until it is final or a limit is reached."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, NamedTuple, NoReturn

from tenacity import RetryCallState

from . import arguments, endings, polling, purposes, strategies
from .calls import Calls
from .hints import answered_at
from .lines import Event
from .messages import Answer
from .models import Job
from .tools import Tools

if TYPE_CHECKING:  # needed where a schedule learns alone
    from .learning import LearningWait

LEAST_PATIENCE_SECONDS, MOST_PATIENCE_SECONDS = 0.1, 5.0
"""How long the end of a wait waits for other processes that write to the history."""

SAME_CLOCK_SECONDS = 2.0
"""A server's clock that is less off than this is not off: what it says is in whole seconds, and arrives later."""


class Particulars(NamedTuple):
    """What the caller says of a job, for a schedule that learns.

    Attributes:
        key: What kind of job it is.
        video_seconds: The length of its video.
        submitted_at: When it was ordered, in seconds of the Unix epoch.
    """

    key: str | None = None
    video_seconds: float | None = None
    submitted_at: float | None = None


NOTHING_SAID = Particulars()


def particulars(key: str | None, video_seconds: float | None, submitted_at: float | None) -> Particulars:
    """Check what the caller says.

    Raises:
        ValueError: Something of it cannot be used.
        TypeError: Something of it is of the wrong type.
    """
    length = None if video_seconds is None else arguments.positive("video_seconds", video_seconds)
    return Particulars(arguments.key(key), length, arguments.moment("submitted_at", submitted_at))


class Wait:
    """One wait for one job, from its first call to its end. For one thread or task at a time, and for one use."""

    def __init__(
        self,
        tools: Tools,
        job: Job | str | None,
        timeout: float,
        cancel: Event | None,
        started: float | None = None,
        said: Particulars = NOTHING_SAID,
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
        known_moment = None if self._known is None else self._known.submitted_at
        self._submitted_at = known_moment if said.submitted_at is None else said.submitted_at
        self._expected = None if self._known is None else self._known.expected_seconds
        self._learned = self._begin_learning(said)

    @property
    def attempts(self) -> int:
        """The HTTP calls that were made."""
        return self._calls.progress.attempts

    async def ask(self) -> Job:
        """Make one call; raises as `Calls.call`."""
        return self._saw(*await self._calls.call(self._request, self._read))

    async def check(self) -> Job:
        """Ask once, its failed calls repeated."""
        return await self._calls.despite_faults(self.ask)

    async def until_final(self) -> Job:
        """Ask until the job is final."""
        try:
            await self._sleep_first()
            return await polling.called_until_final(self.check, self.rules(), self._calls.sleep)
        finally:
            self.learn()

    def each(self) -> AsyncIterator[Job]:
        """Ask until the job is final, and hand out each answer; the clock has been started."""
        return self._each(polling.Repetition(self.rules()))

    async def _each(self, repetition: polling.Repetition) -> AsyncIterator[Job]:
        try:
            await self._sleep_first()
            while True:
                job = await self.check()
                yield job
                pause = repetition.pause_after(job)
                if pause is None:
                    return
                await self._calls.sleep(pause)
        finally:
            self.learn()

    def rules(self) -> polling.Rules:
        """When the job is asked about again."""
        schedule = self._tools.schedule if self._learned is None else self._learned.pace
        pauses = strategies.PendingPauses(self._tools.policy, self._calls.progress, schedule)
        log = self._calls.log
        return polling.pending_rules(
            _is_pending,
            max_retries=self._tools.policy.max_retries,
            progress=self._calls.progress,
            pauses=pauses,
            stop=self._tools.stop,
            before_sleep=lambda state: log.sleeping(state.attempt_number, state.upcoming_sleep, pauses.reason),
            give_up=self._end_for_limits,
        )

    def first_pause(self) -> float:
        """Say for how many seconds not even the first question pays, and log it."""
        if self._learned is None:
            return 0.0
        self._calls.end_if_cancelled()
        pauses = strategies.PendingPauses(self._tools.policy, self._calls.progress, self._learned.pace)
        seconds = pauses.limited(self._learned.first_pause())
        if seconds > 0:
            self._calls.log.sleeping(0, seconds, pauses.reason)
        return seconds

    def learn(self) -> None:
        """Remember what was seen of how long the job took."""
        if self._learned is not None:
            left = self._calls.progress.deadline.left
            self._learned.end(max(LEAST_PATIENCE_SECONDS, min(left, MOST_PATIENCE_SECONDS)))

    async def _sleep_first(self) -> None:
        seconds = self.first_pause()
        if seconds > 0:
            await self._calls.sleep(seconds)

    def _begin_learning(self, said: Particulars) -> LearningWait | None:
        if self._tools.learning is None:
            return None
        from .schedule.relatives import Traits  # needed where a schedule learns alone

        traits = Traits(said.key, said.video_seconds, self._expected)
        return self._tools.learning.begin(traits, self._submitted_at, self._calls.log)

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
            expected_seconds=self._expected if answered.expected_seconds is None else answered.expected_seconds,
            submitted_at=_by_our_clock(answered.submitted_at, answer)
            if self._submitted_at is None
            else self._submitted_at,
            finished_at=_by_our_clock(answered.finished_at, answer),
        )
        progress.saw(job)
        if self._learned is not None:
            self._learned.saw(job, answer.seconds, _took(answered))
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


def _is_pending(job: Job) -> bool:
    return not job.status.is_final


def _took(answered: Job) -> float | None:
    """How long a job took by the service's own clock, where it says when it began and when it ended."""
    if answered.finished_at is None or answered.submitted_at is None or not answered.status.is_final:
        return None
    return answered.finished_at - answered.submitted_at


def _by_our_clock(moment: float | None, answer: Answer) -> float | None:
    """Correct a moment by how far the server's clock is off, as its `Date` shows."""
    if moment is None:
        return None
    off = time.time() - answered_at(answer.headers)
    return moment if abs(off) < SAME_CLOCK_SECONDS else moment + off
