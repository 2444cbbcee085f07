"""The client that users import: what can be asked for, in terms of orders, waits and downloads."""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import requests
from tenacity.stop import StopBaseT
from tenacity.wait import WaitBaseT

from . import arguments
from .assembly import Settings, tools_of
from .clock import now
from .credentials import ApiKey
from .models import Job
from .questions import Questions
from .services.service import Service


class VideoTranslationClient(Questions):
    """Waits for video translation jobs. May be shared by threads; each wait has a state of its own.

    Seconds are floats everywhere. `None` means what the service has as its own; `math.inf` means no limit.

    Raises:
        ValueError: An argument cannot be used; the message names it and, unless it may be secret, its value.
        TypeError: An argument is of the wrong type.
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
        sleep: Callable[[float], object] | None = None,
        service: str | Service = "reference",
        api_key: ApiKey | None = None,
        session: requests.Session | None = None,
        headers: Mapping[str, str] | None = None,
        logger: Any = None,
    ) -> None:
        """Check the arguments; nothing is sent.

        Args:
            base_url: The address of the service; None for its own. The reference service has none: there it must be given.
            max_retries: How often to ask again while the job is pending (reference: 10).
            backoff_factor: Seconds before the first retry; each further pause is twice the last.
            timeout: Seconds for a whole wait, the call in flight included (reference: 30).
            max_delay: The longest backoff pause, in seconds.
            jitter: The part by which a backoff pause may be longer or shorter, from 0 to 1.
            request_timeout: Seconds for one HTTP call, from the name of the host to the last byte (reference: 10).
            max_faults: The consecutive failed calls that fail a check (reference: 5).
            wait: A tenacity wait strategy in place of the backoff between questions about a job.
            stop: A tenacity stop strategy beside the limits of a wait; raises `RetriesExhausted`.
            sleep: Called with seconds in place of the interruptible sleep: for tests on frozen time.
            service: Which service is spoken to: `reference`, `heygen`, `elevenlabs`, `azure`, or a `Service` of your own.
            api_key: The key; or something that is called before each HTTP call and returns the one of the moment. None:
                the environment variable of the service. Sent to the origin of `base_url` only, and never shown.
            session: A session of your own. Used as it is, with its adapters, and never closed.
            headers: Sent with every request to the origin of `base_url`, in place of ours where they share a name;
                their values are never shown.
            logger: Where the log goes: a logger of structlog or of the standard library.
        """
        super().__init__(
            tools_of(
                Settings(
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
                )
            )
        )

    def languages(self) -> list[str] | None:
        """List the target languages as the service spells them; None where it publishes no list.

        Fetched once, and kept. Raises as `check` does.
        """
        known = self._errands.languages(self._tools.policy.timeout)
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
            RequestFailed: Refused, or failed; `may_have_been_accepted` says whether a job may be running all the same.
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
            self._tools.transport.base_url,
            video=video,
            target_language=target_language,
            source_language=source_language,
            options=options,
            idempotency_key=idempotency_key,
        )
        seconds = self._seconds(timeout, math.inf if isinstance(wanted.video, Path) else self._tools.policy.timeout)
        terms = Terms(seconds, now(), idempotency_key is not None, queue, arguments.event("cancel", cancel))
        self._errands.require_language(target_language, min(seconds, self._tools.policy.timeout), cancel)
        return Submission(self._tools, order, wanted, terms).job()

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

        seconds = self._seconds(timeout, math.inf)
        arguments.event("cancel", cancel)
        arguments.strategy("on_progress", on_progress)
        target = arguments.target(path)
        if (
            language is not None
            and arguments.language("language", language)
            and not (self._tools.service.has_result_per_language)
        ):
            raise ValueError(f"language must be left out: a job of {self._tools.service.name!r} has one result")
        return Download(self._tools, job, language, timeout=seconds, cancel=cancel, on_progress=on_progress).to(target)

    def delete(self, job: Job | str) -> None:
        """Have the service delete a job, and its result; a job that runs may be charged all the same.

        Raises as `check` does; `ValueError` where the service has no way to do it.
        """
        self._errands.delete(job.id if isinstance(job, Job) else job, self._tools.policy.timeout)

    def close(self) -> None:
        """Free the sockets and end every wait with `WaitCancelled`; so does any later call."""
        self._tools.closed.set()
        self._tools.transport.close()

    def __enter__(self) -> VideoTranslationClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"VideoTranslationClient({self._tools.transport.base_url!r}, service={self._tools.service.name!r})"
