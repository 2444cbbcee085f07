"""What can be ordered, fetched and deleted?"""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from . import arguments
from .clock import Stopwatch
from .lines import run
from .models import Job
from .questions import Questions


class Orders(Questions):
    """The half of the client that orders, beside the half that asks."""

    def languages(self) -> list[str] | None:
        """List the target languages as the service spells them; None where it publishes no list.

        Fetched once, and kept. Raises as `check` does.
        """
        known = run(self._errands.languages(self._tools.policy.timeout))
        return None if known is None else list(known)

    def submit(
        self,
        video: str | os.PathLike[str],
        target_language: str,
        *,
        source_language: str | None = None,
        options: Mapping[str, Any] | None = None,
        queue: bool = False,
        idempotency_key: str | None = None,
        timeout: float | None = None,
        cancel: threading.Event | None = None,
    ) -> Job:
        """Order a translation. It is ordered once: a call is repeated only where that cannot make a second job.

        Args:
            video: An http(s) URL that the service can fetch; or the path of a file, where it takes files.
            target_language: As the service spells it.
            source_language: The same; None where the service is to find out.
            options: Fields of the service's own, put beside ours.
            queue: Wait for a slot when the service runs as many jobs as it does at once, in place of `TooManyJobs`.
            idempotency_key: That of an order whose fate is unknown (`error.idempotency_key`), or one that you keep. HeyGen
                remembers it for 24 hours; at Azure it is the id of the job.
            timeout: Seconds for all of it; None for the client's own, and for no limit but `request_timeout` without a
                byte where a file is sent.
            cancel: Set it, from any thread, to end it.

        Returns:
            The job, pending.

        Raises:
            ValueError: An argument cannot be used; nothing was ordered.
            TooManyJobs: There is no free slot.
            RequestFailed: Refused, or failed. Unless `may_have_been_accepted is False`, on this and on any other error, a
                job may be running all the same.
            UnexpectedAnswer: The answer does not say the id of the job.
            WaitTimeout: The time was up.
            WaitCancelled: By `close()` or by `cancel`.
            OSError: The file cannot be read.

        What a function of yours raises comes as it is; but where a job may be running, as the cause of a `RequestFailed`.
        """
        from .commissions import commission  # needed by orders alone, and so is not part of every import
        from .submission import Submission, Terms

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
        terms = Terms(
            seconds, Stopwatch(), idempotency_key is not None, queue, arguments.blocking_event("cancel", cancel)
        )
        run(self._errands.require_language(target_language, seconds, cancel, terms.watch))
        return run(Submission(self._tools, order, wanted, terms).job())

    def download(
        self,
        job: Job | str,
        path: str | os.PathLike[str],
        *,
        language: str | None = None,
        timeout: float | None = None,
        cancel: threading.Event | None = None,
        on_progress: Callable[[int, int | None], object] | None = None,
    ) -> Path:
        """Fetch the result of a finished job into a file, which is there whole or not at all.

        Args:
            job: The job or its id.
            path: Where the file will be; what lies there is replaced.
            language: Which of several, where a job has several; None for the one that was ordered, or the first.
            timeout: Seconds for all of it; None for no limit but `request_timeout` without a byte.
            cancel: Set it, from any thread, to end it.
            on_progress: Called with the bytes that are there and those that there will be (None where unknown).

        Returns:
            The path of the file.

        Raises:
            ResultNotReady: The job is pending.
            JobFailed: It failed.
            OSError: The disk does not take the file.
            ValueError: An argument cannot be used.

        And raises as `check` does.
        """
        from .download import Download  # the same

        seconds = arguments.seconds(timeout, math.inf)
        arguments.blocking_event("cancel", cancel)
        arguments.strategy("on_progress", on_progress)
        target = arguments.target(path)
        self._tools.service.check_result_language(language)
        return run(
            Download(self._tools, job, language, timeout=seconds, cancel=cancel, on_progress=on_progress).to(target)
        )

    def delete(self, job: Job | str) -> None:
        """Have the service delete a job, and its result; a job that runs may be charged all the same.

        Raises as `check` does; `ValueError` where the service has no way to do it.
        """
        run(self._errands.delete(job.id if isinstance(job, Job) else job, self._tools.policy.timeout))
