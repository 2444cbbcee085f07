"""What can be asked about many jobs at once, by plain blocking code?"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from . import arguments
from .errors import TranslationClientError
from .lines import BlockingLine, Wiring
from .models import Job
from .orders import Orders
from .particulars import particulars
from .tools import Tools

if TYPE_CHECKING:  # needed for fleets alone, and so is not part of every import
    from .fleet.terms import Terms


class Fleets(Orders):
    """The part of the client that waits for many; it needs the extra `async`."""

    def __init__(self, tools: Tools, line: BlockingLine, wiring: Wiring) -> None:
        """Take the parts of the client, and what another line is made of."""
        super().__init__(tools)
        self._line = line
        self._wiring = wiring

    def as_completed(
        self,
        jobs: Iterable[Job | str],
        *,
        checks_per_second: float | None = None,
        max_in_flight: float | None = None,
        timeout: float | None = None,
        cancel: threading.Event | None = None,
        on_progress: Callable[[Job], Any] | None = None,
        key: str | None = None,
        video_seconds: float | None = None,
    ) -> Iterator[Job | TranslationClientError]:
        """Wait for many jobs at once, and give each as it ends, without a thread for each.

        Args:
            jobs: Jobs or ids, from a list or from a source that is slow or endless. An id that comes again is answered
                once, and given for each time.
            checks_per_second: Requests in any second at the most, of all jobs together; None for 100. Where that is too few
                for all last checks before a deadline, jobs have a check before theirs.
            max_in_flight: Jobs that are waited for at once, the ended ones that nobody took yet included; None for 10 000.
                The source is read as there is room.
            timeout: Seconds for each job, from when it was taken in; None for the client's own.
            cancel: Set it, from any thread, to end all waits. Jobs that an iterator gives later have no outcome.
            on_progress: Called with each answer, a `Job`, in a thread of ours.
            key: What kind of jobs they are, where a schedule learns.
            video_seconds: The length of their videos, for the same.

        Yields:
            A `Job` that is final; or the error that its wait ended in, with its `job_id`: the others go on.

        Raises:
            ImportError: aiohttp is not here; the message names the extra.
            ValueError: An argument cannot be used, or an id cannot be one.
            RuntimeError: The source or `on_progress` raised a `CancelledError`, `GeneratorExit`, `StopIteration` or
                `StopAsyncIteration`, which is the cause. Any other exception of theirs comes out as it is. Outcomes that
                are known by then are yielded before.
        """
        from .fleet.terms import require_source

        terms = self._terms(checks_per_second, max_in_flight, timeout, cancel, on_progress, key, video_seconds)
        return (outcome for _, outcome in self._outcomes(require_source(jobs), terms))

    def wait_all(
        self,
        jobs: Iterable[Job | str],
        *,
        checks_per_second: float | None = None,
        max_in_flight: float | None = None,
        timeout: float | None = None,
        cancel: threading.Event | None = None,
        on_progress: Callable[[Job], Any] | None = None,
        key: str | None = None,
        video_seconds: float | None = None,
    ) -> list[Job | TranslationClientError]:
        """Wait for many jobs at once, and list what came of them in their order: jobs, and errors as values.

        Takes and raises what `as_completed` does.
        """
        from .fleet.terms import in_order, require_source

        terms = self._terms(checks_per_second, max_in_flight, timeout, cancel, on_progress, key, video_seconds)
        return in_order(self._outcomes(require_source(jobs), terms))

    def _terms(
        self,
        checks_per_second: float | None,
        max_in_flight: float | None,
        timeout: float | None,
        cancel: threading.Event | None,
        on_progress: Callable[[Job], Any] | None,
        key: str | None,
        video_seconds: float | None,
    ) -> Terms:
        from .fleet.terms import terms_of

        return terms_of(
            checks_per_second=checks_per_second,
            max_in_flight=max_in_flight,
            timeout=arguments.seconds(timeout, self._tools.policy.timeout),
            cancel=arguments.blocking_event("cancel", cancel),
            on_progress=on_progress,
            said=particulars(key, video_seconds, None),
        )

    def _outcomes(self, jobs: Any, terms: Terms) -> Iterator[tuple[int, Job | TranslationClientError]]:
        from .extras import needing_aiohttp

        with needing_aiohttp("as_completed and wait_all"):
            from .aio.threads import outcomes_of
        return outcomes_of(self._tools, self._line, self._wiring, terms, jobs)
