"""The client that users import: where the arguments are checked and a wait is put together."""

from __future__ import annotations

import threading
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import requests
from tenacity.stop import StopBaseT
from tenacity.wait import WaitBaseT

from . import arguments
from .arguments import Address
from .logs import usable_logger
from .models import Job, TranslationStatus
from .policy import WaitPolicy
from .redaction import Secrets
from .services import service_named
from .services.service import Service
from .transport import Transport
from .waiting import Tools, Wait

DISTRIBUTION = "translation-client"


class VideoTranslationClient:
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
        api_key: str | None = None,
        session: requests.Session | None = None,
        headers: Mapping[str, str] | None = None,
        logger: Any = None,
    ) -> None:
        """Check the arguments; nothing is sent.

        Args:
            base_url: The address of the service. The reference service has none of its own, so it must be given there.
            max_retries: How often to ask again while the job is pending (reference: 10).
            backoff_factor: Seconds before the first retry; each further pause is twice the last.
            timeout: Seconds for a whole wait, the call in flight included (reference: 30).
            max_delay: The longest backoff pause, in seconds.
            jitter: The part by which a backoff pause may be longer or shorter, from 0 to 1.
            request_timeout: Seconds for one HTTP call, from the name of the host to the last byte (reference: 10).
            max_faults: The consecutive failed calls that fail a check (reference: 5).
            wait: A tenacity wait strategy in place of the backoff.
            stop: A tenacity stop strategy beside the limits; raises `RetriesExhausted`.
            sleep: Called with seconds in place of the interruptible sleep: for tests on frozen time.
            service: Which service is spoken to.
            api_key: The key. Sent to the origin of `base_url` only, and never shown.
            session: A session of your own. Used as it is, with its adapters, and never closed.
            headers: Sent with every request to the origin of `base_url`, in place of ours where they share a name;
                their values are never shown.
            logger: Where the log goes: a logger of structlog or of the standard library.
        """
        self._service = service if isinstance(service, Service) else service_named(service)
        self._policy = _policy(
            self._service, timeout, max_retries, request_timeout, max_faults, backoff_factor, max_delay, jitter
        )
        for name, value in (("wait", wait), ("stop", stop), ("sleep", sleep)):
            arguments.strategy(name, value)
        arguments.session(session)
        address = _address(self._service, base_url)
        self._base_url = address.url
        key = arguments.api_key(api_key)
        own_headers = arguments.header_fields(headers)
        self._closed = threading.Event()
        self._tools = Tools(
            service=self._service,
            transport=Transport(
                address.url,
                user_agent=user_agent(),
                headers={**_credentials(self._service, address, key), **own_headers},
                request_timeout=self._policy.request_timeout,
                session=session,
            ),
            policy=self._policy,
            secrets=Secrets([key or "", *_secret_parts(address)], own_headers.values()),
            logger=usable_logger(logger),
            schedule=wait,
            stop=stop,
            sleep=sleep,
            closed=self._closed,
        )

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

    def close(self) -> None:
        """Free the sockets and end every wait with `WaitCancelled`; so does any later call."""
        self._closed.set()
        self._tools.transport.close()

    def __enter__(self) -> VideoTranslationClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"VideoTranslationClient({self._base_url!r}, service={self._service.name!r})"

    def _begin(self, job: Job | str | None, timeout: float | None, cancel: threading.Event | None) -> Wait:
        seconds = self._policy.timeout if timeout is None else arguments.positive("timeout", timeout, infinite=True)
        return Wait(self._tools, job.id if isinstance(job, Job) else job, seconds, arguments.event("cancel", cancel))


def user_agent() -> str:
    """Who we say we are."""
    from importlib import metadata  # takes longer to import than all our modules

    return f"{DISTRIBUTION}/{metadata.version(DISTRIBUTION)}"


def _policy(
    service: Service,
    timeout: float | None,
    max_retries: float | None,
    request_timeout: float | None,
    max_faults: float | None,
    backoff_factor: float,
    max_delay: float,
    jitter: float,
) -> WaitPolicy:
    limits = service.limits
    return WaitPolicy(
        timeout=limits.timeout if timeout is None else timeout,
        max_retries=limits.max_retries if max_retries is None else max_retries,
        request_timeout=limits.request_timeout if request_timeout is None else request_timeout,
        max_faults=limits.max_faults if max_faults is None else max_faults,
        backoff_factor=backoff_factor,
        max_delay=max_delay,
        jitter=jitter,
    )


def _address(service: Service, base_url: str | None) -> Address:
    chosen = service.base_url if base_url is None else base_url
    if chosen is None:
        raise ValueError(f"base_url must be given: the service {service.name!r} has no address of its own, got None")
    return arguments.address(chosen)


def _credentials(service: Service, address: Address, key: str | None) -> dict[str, str]:
    headers = {} if key is None else service.key_headers(key)
    if address.username or address.password:
        if "Authorization" in headers:
            raise ValueError("api_key and the user information in base_url would share a header: give one of them")
        pair = f"{address.username}:{address.password}".encode()
        headers["Authorization"] = "Basic " + b64encode(pair).decode("ascii")
    return headers


def _secret_parts(address: Address) -> list[str]:
    pair = f"{address.username}:{address.password}" if address.username or address.password else ""
    return [address.username, address.password, pair]
