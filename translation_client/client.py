"""The client that users import: what can be asked for, in terms of orders, waits and downloads."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import requests
from tenacity.stop import StopBaseT
from tenacity.wait import WaitBaseT

from .assembly import Settings, tools_of
from .credentials import ApiKey
from .fleets import Fleets
from .lines import blocking_line
from .services.service import Service

if TYPE_CHECKING:  # needed where a schedule learns alone, and so is not part of every import
    from .history import DurationHistory


class VideoTranslationClient(Fleets):
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
        history: str | os.PathLike[str] | DurationHistory | bool | None = None,
        check_cost: float | None = None,
        target_lag: float | None = None,
        max_lag: float | None = None,
        spread_checks: bool = False,
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
            session: A session of your own. Used as it is, with its adapters, and never closed. What its connections still hold
                of an earlier response is not looked at.
            headers: Sent with every request to the origin of `base_url`, in place of ours where they share a name;
                their values are never shown.
            logger: Where the log goes: a logger of structlog or of the standard library.
            history: Learn how long jobs take, and ask when it pays, in place of the backoff: the path of a file that keeps
                it, True for memory, or a `DurationHistory`. With one of the next two.
            check_cost: The seconds of not knowing that one request is worth.
            target_lag: The mean seconds from the end of a job to the answer that says so.
            max_lag: The longest gap between two checks, in seconds.
            spread_checks: Move the checks by chance, so that clients which began together part ways.
        """
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
        super().__init__(*tools_of(given, blocking_line))

    def close(self) -> None:
        """Free the sockets and end every wait with `WaitCancelled`; so does any later call."""
        self._line.close()

    def __enter__(self) -> VideoTranslationClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        if "_tools" not in vars(self):  # its constructor raised, and a traceback shows it
            return "<VideoTranslationClient, not initialized>"
        return f"VideoTranslationClient({self._tools.line.base_url!r}, service={self._tools.service.name!r})"
