"""What can be asked about jobs that exist?"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator

from . import arguments
from .errands import Errands
from .models import Job, TranslationStatus
from .tools import Tools
from .waiting import Wait


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
    ) -> TranslationStatus:
        """Wait until the job is final, and say how it ended: as `completed` or as `error`.

        Takes and raises what `wait` does.
        """
        return self.wait(job, timeout=timeout, cancel=cancel).status

    def wait(
        self,
        job: Job | str | None = None,
        *,
        timeout: float | None = None,
        cancel: threading.Event | None = None,
    ) -> Job:
        """Wait until the job is final. A job that failed is a normal result: see `Job.raise_for_status`.

        Args:
            job: The job or its id; None for the single job of the reference service.
            timeout: Seconds, in place of the client's own.
            cancel: Set it, from any thread, to end the wait.

        Raises:
            WaitTimeout: The time was up. Also a `TimeoutError`.
            RetriesExhausted: `max_retries`, or the caller's `stop`, was spent.
            WaitCancelled: By `close()` or by `cancel`.
            RequestFailed: Refused, or `max_faults` calls failed in a row.
            UnexpectedAnswer: The same, where answers came that could not be read.
            ValueError: An argument cannot be used.
        """
        return self._begin(job, timeout, cancel).until_final()

    def watch(
        self,
        job: Job | str | None = None,
        *,
        timeout: float | None = None,
        cancel: threading.Event | None = None,
    ) -> Iterator[Job]:
        """Wait as `wait` does, and yield each answer as it comes; the last one is final.

        The clock starts with the call, and goes on while the caller does something with an answer.
        """
        return self._begin(job, timeout, cancel).each()

    def check(self, job: Job | str | None = None) -> Job:
        """Ask once how the job stands; calls that fail are repeated, for `timeout` seconds at the most.

        Raises as `wait` does, but for `RetriesExhausted`.
        """
        return self._begin(job, None, None).check()

    def check_all(self, jobs: Iterable[Job | str]) -> list[Job]:
        """Ask once how each of many jobs stands, by as few requests as the service allows; in the order of `jobs`.

        Raises as `check` does.
        """
        if isinstance(jobs, str):
            raise TypeError(f"jobs must be several jobs or ids, got the one {jobs!r}")
        return list(self._errands.check_all(list(jobs), self._tools.policy.timeout))

    def _begin(self, job: Job | str | None, timeout: float | None, cancel: threading.Event | None) -> Wait:
        seconds = self._seconds(timeout, self._tools.policy.timeout)
        return Wait(self._tools, job, seconds, arguments.event("cancel", cancel))

    @staticmethod
    def _seconds(timeout: float | None, usual: float) -> float:
        return usual if timeout is None else arguments.positive("timeout", timeout, infinite=True)
