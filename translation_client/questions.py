"""What can be asked about jobs that exist?"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator

from . import arguments
from .blocking import BlockingWait
from .errands import Errands
from .lines import run
from .models import Job, TranslationStatus
from .particulars import NOTHING_SAID, Particulars, particulars
from .tools import Tools


class Questions:
    """The half of the client that asks; the other half orders, fetches and deletes."""

    def __init__(self, tools: Tools) -> None:
        """Take the parts of the client."""
        self._tools = tools
        self._errands = Errands(tools)

    def get_status(
        self,
        job: Job | str | None = None,
        *,
        timeout: float | None = None,
        cancel: threading.Event | None = None,
        key: str | None = None,
        video_seconds: float | None = None,
        submitted_at: float | None = None,
    ) -> TranslationStatus:
        """Wait until the job is final, and say how it ended: as `completed` or as `error`.

        Takes and raises what `wait` does.
        """
        return (
            self._begin(job, timeout, cancel, particulars(key, video_seconds, submitted_at))
            .until_final_blocking()
            .status
        )

    def wait(
        self,
        job: Job | str | None = None,
        *,
        timeout: float | None = None,
        cancel: threading.Event | None = None,
        key: str | None = None,
        video_seconds: float | None = None,
        submitted_at: float | None = None,
    ) -> Job:
        """Wait until the job is final. A job that failed is a normal result: see `Job.raise_for_status`.

        Args:
            job: The job or its id; None for the single job of the reference service.
            timeout: Seconds, in place of the client's own.
            cancel: Set it, from any thread, to end the wait.
            key: What kind of job it is, where a schedule learns (`history`): a language and a mode, say.
            video_seconds: The length of the video, for the same.
            submitted_at: When it was ordered, in seconds of the Unix epoch, for the same: a `Job` that `submit` returned
                knows, and some services say. Where nobody does, the job teaches nothing.

        Raises:
            WaitTimeout: The time was up. Also a `TimeoutError`.
            RetriesExhausted: `max_retries`, or the caller's `stop`, was spent.
            WaitCancelled: By `close()` or by `cancel`.
            RequestFailed: Refused, or `max_faults` calls failed in a row.
            UnexpectedAnswer: The same, where answers came that could not be read.
            ValueError: An argument cannot be used.
        """
        return self._begin(job, timeout, cancel, particulars(key, video_seconds, submitted_at)).until_final_blocking()

    def watch(
        self,
        job: Job | str | None = None,
        *,
        timeout: float | None = None,
        cancel: threading.Event | None = None,
        key: str | None = None,
        video_seconds: float | None = None,
        submitted_at: float | None = None,
    ) -> Iterator[Job]:
        """Wait as `wait` does, and yield each answer as it comes; the last one is final.

        The clock starts with the call, and goes on while the caller does something with an answer.
        """
        return self._begin(job, timeout, cancel, particulars(key, video_seconds, submitted_at)).each_blocking()

    def check(self, job: Job | str | None = None) -> Job:
        """Ask once how the job stands; calls that fail are repeated, for `timeout` seconds at the most.

        Raises as `wait` does, but for `RetriesExhausted`.
        """
        return run(self._begin(job, None, None).check())

    def check_all(self, jobs: Iterable[Job | str]) -> list[Job]:
        """Ask once how each of many jobs stands, by as few requests as the service allows; in the order of `jobs`.

        Raises as `check` does.
        """
        return run(self._errands.check_all(arguments.several("jobs", jobs), self._tools.policy.timeout))

    def _begin(
        self,
        job: Job | str | None,
        timeout: float | None,
        cancel: threading.Event | None,
        said: Particulars = NOTHING_SAID,
    ) -> BlockingWait:
        seconds = arguments.seconds(timeout, self._tools.policy.timeout)
        return BlockingWait(self._tools, job, seconds, arguments.blocking_event("cancel", cancel), said=said)
