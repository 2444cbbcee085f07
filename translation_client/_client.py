"""The blocking client."""

from __future__ import annotations

import math
import os
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import requests
from tenacity.stop import StopBaseT
from tenacity.wait import WaitBaseT

from . import _config
from ._auth import ApiKey, Auth, BaseURL, parse_base_url
from ._clock import Stopwatch
from ._config import NO_FEATURES, JobFeatures, PollingPolicy, check_features
from ._exceptions import TranslationClientError
from ._jobs.context import ClientContext
from ._jobs.errands import Errands
from ._jobs.poller import BlockingPoller
from ._jobs.requestor import run_sync
from ._logging import wrap_logger
from ._models import Job, TranslationStatus
from ._polling import StopStrategy, WaitStrategy
from ._transports.base import Transport, TransportConfig
from ._transports.requests import BlockingTransport, blocking_transport
from .services import get_service
from .services.service import Service

if TYPE_CHECKING:
    from ._jobs.batch.options import BatchOptions
    from .schedule.history import DurationHistory
    from .schedule.learner import ScheduleLearner


@contextmanager
def needing_aiohttp(what: str) -> Iterator[None]:
    """Import in this block what needs aiohttp.

    Raises:
        ImportError: It is not here.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name != "aiohttp":
            raise
        text = (
            f"aiohttp is not installed, which this needs: {what}. Install it by pip install 'translation-client[async]'"
        )
        raise ImportError(text, name="aiohttp") from error


L = TypeVar("L", bound=Transport)

DISTRIBUTION = "translation-client"

_VARIABLE = re.compile(r"\{([A-Z_]+)\}")
_PART_OF_A_HOST = re.compile(r"[A-Za-z0-9-]+")


class Settings(NamedTuple):
    """The arguments of a client, as they were given: see `VideoTranslationClient.__init__`."""

    base_url: str | None
    max_retries: float | None
    backoff_factor: float
    timeout: float | None
    max_delay: float
    jitter: float
    request_timeout: float | None
    max_faults: float | None
    wait: WaitStrategy | None
    stop: StopStrategy | None
    sleep: Callable[[float], Any] | None
    service: str | Service
    api_key: ApiKey | None
    session: Any
    headers: Mapping[str, str] | None
    logger: object
    history: object
    check_cost: float | None
    target_lag: float | None
    max_lag: float | None
    spread_checks: bool

    def __repr__(self) -> str:
        return "Settings(…)"  # a key is among them


def tools_of(given: Settings, line_of: Callable[[TransportConfig], L]) -> tuple[ClientContext, L, TransportConfig]:
    """Check the arguments and put the parts of a client together; nothing is sent.

    Raises:
        ValueError: An argument cannot be used.
        TypeError: An argument is of the wrong type.
    """
    service = given.service if isinstance(given.service, Service) else get_service(given.service)
    policy = _policy(service, given)
    for name in ("wait", "stop", "sleep"):
        _config.check_callable(name, getattr(given, name))
    address = _address(service, given.base_url)
    credentials = Auth(service, address, given.api_key, given.headers, given.session)
    transport_config = TransportConfig(
        base_url=address.url,
        user_agent=user_agent(),
        headers=credentials.fixed,
        credentials=credentials.changing,
        request_timeout=policy.request_timeout,
        session=given.session,
        sleep=given.sleep,
    )
    line = line_of(transport_config)
    context = ClientContext(
        service=service,
        transport=line,
        policy=policy,
        secrets=credentials.secrets,
        logger=wrap_logger(given.logger),
        schedule=given.wait,
        stop=given.stop,
        learning=_learning(service, given),
    )
    return context, line, transport_config


def _learning(service: Service, given: Settings) -> ScheduleLearner | None:
    is_spread = _config.check_bool("spread_checks", given.spread_checks)
    if given.history is None or given.history is False:
        for name in ("check_cost", "target_lag", "max_lag"):
            if getattr(given, name) is not None:
                raise ValueError(f"{name} needs history=, such as True, got {getattr(given, name)!r} without it")
        return None
    from .schedule.history import open_history  # needed where a schedule learns alone: SQLite, and all the arithmetic
    from .schedule.learner import ScheduleLearner
    from .schedule.planner import SchedulePlanner, objective_from

    if given.wait is not None:
        raise ValueError("wait and history would both say when to ask: give one of them")
    terms = objective_from(given.check_cost, given.target_lag, given.max_lag)
    return ScheduleLearner(SchedulePlanner(open_history(given.history), service.name, terms), is_spread=is_spread)


def user_agent() -> str:
    """Who we say we are."""
    from importlib import metadata  # takes longer to import than all our modules

    return f"{DISTRIBUTION}/{metadata.version(DISTRIBUTION)}"


def _policy(service: Service, given: Settings) -> PollingPolicy:
    limits = service.limits
    return PollingPolicy(
        timeout=limits.timeout if given.timeout is None else given.timeout,
        max_retries=limits.max_retries if given.max_retries is None else given.max_retries,
        request_timeout=limits.request_timeout if given.request_timeout is None else given.request_timeout,
        max_faults=limits.max_faults if given.max_faults is None else given.max_faults,
        backoff_factor=given.backoff_factor,
        max_delay=given.max_delay,
        jitter=given.jitter,
    )


def _address(service: Service, base_url: str | None) -> BaseURL:
    if base_url is not None:
        return parse_base_url(base_url)
    if service.base_url is None:
        raise ValueError(f"base_url must be given: the service {service.name!r} has no address of its own, got None")
    return parse_base_url(_VARIABLE.sub(lambda match: _variable(match[1], service), service.base_url))


def _variable(name: str, service: Service) -> str:
    value = os.environ.get(name, "")
    if not _PART_OF_A_HOST.fullmatch(value):
        said = f"which is {value!r}" if value else "which is not set"
        raise ValueError(
            f"base_url must be given, or be completed by the environment variable {name}, {said}: "
            f"the address of the service {service.name!r} is {service.base_url}"
        )
    return value


class Questions:
    """The half of the client that asks; the other half orders, fetches and deletes."""

    def __init__(self, context: ClientContext) -> None:
        """Take the parts of the client."""
        self._context = context
        self._errands = Errands(context)

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
            self._begin(job, timeout, cancel, check_features(key, video_seconds, submitted_at))
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
        return self._begin(
            job, timeout, cancel, check_features(key, video_seconds, submitted_at)
        ).until_final_blocking()

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
        return self._begin(job, timeout, cancel, check_features(key, video_seconds, submitted_at)).each_blocking()

    def check(self, job: Job | str | None = None) -> Job:
        """Ask once how the job stands; calls that fail are repeated, for `timeout` seconds at the most.

        Raises as `wait` does, but for `RetriesExhausted`.
        """
        return run_sync(self._begin(job, None, None).check())

    def check_all(self, jobs: Iterable[Job | str]) -> list[Job]:
        """Ask once how each of many jobs stands, by as few requests as the service allows; in the order of `jobs`.

        Raises as `check` does.
        """
        return run_sync(self._errands.check_all(_config.check_jobs("jobs", jobs), self._context.policy.timeout))

    def _begin(
        self,
        job: Job | str | None,
        timeout: float | None,
        cancel: threading.Event | None,
        said: JobFeatures = NO_FEATURES,
    ) -> BlockingPoller:
        seconds = _config.resolve_timeout(timeout, self._context.policy.timeout)
        return BlockingPoller(self._context, job, seconds, _config.check_blocking_event("cancel", cancel), said=said)


class Orders(Questions):
    """The half of the client that orders, beside the half that asks."""

    def languages(self) -> list[str] | None:
        """List the target languages as the service spells them; None where it publishes no list.

        Fetched once, and kept. Raises as `check` does.
        """
        known = run_sync(self._errands.languages(self._context.policy.timeout))
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
        from ._jobs.submit import (
            Submission,
            SubmitOptions,
            build_submit_request,  # needed by orders alone, and so is not part of every import
        )

        order, wanted = build_submit_request(
            self._context.service,
            self._context.transport.base_url,
            video=video,
            target_language=target_language,
            source_language=source_language,
            options=options,
            idempotency_key=idempotency_key,
        )
        seconds = _config.resolve_timeout(
            timeout, math.inf if isinstance(wanted.video, Path) else self._context.policy.timeout
        )
        terms = SubmitOptions(
            seconds, Stopwatch(), idempotency_key is not None, queue, _config.check_blocking_event("cancel", cancel)
        )
        run_sync(self._errands.require_language(target_language, seconds, cancel, terms.watch))
        return run_sync(Submission(self._context, order, wanted, terms).job())

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
        from ._jobs.download import Download  # the same

        seconds = _config.resolve_timeout(timeout, math.inf)
        _config.check_blocking_event("cancel", cancel)
        _config.check_callable("on_progress", on_progress)
        target = _config.check_target_path(path)
        self._context.service.check_result_language(language)
        return run_sync(
            Download(self._context, job, language, timeout=seconds, cancel=cancel, on_progress=on_progress).to(target)
        )

    def delete(self, job: Job | str) -> None:
        """Have the service delete a job, and its result; a job that runs may be charged all the same.

        Raises as `check` does; `ValueError` where the service has no way to do it.
        """
        run_sync(self._errands.delete(job.id if isinstance(job, Job) else job, self._context.policy.timeout))


class Fleets(Orders):
    """The part of the client that waits for many; it needs the extra `async`."""

    def __init__(self, context: ClientContext, line: BlockingTransport, transport_config: TransportConfig) -> None:
        """Take the parts of the client, and what another line is made of."""
        super().__init__(context)
        self._transport = line
        self._transport_config = transport_config

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
        from ._jobs.batch.options import require_source

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
        from ._jobs.batch.options import require_source, sort_by_position

        terms = self._terms(checks_per_second, max_in_flight, timeout, cancel, on_progress, key, video_seconds)
        return sort_by_position(self._outcomes(require_source(jobs), terms))

    def _terms(
        self,
        checks_per_second: float | None,
        max_in_flight: float | None,
        timeout: float | None,
        cancel: threading.Event | None,
        on_progress: Callable[[Job], Any] | None,
        key: str | None,
        video_seconds: float | None,
    ) -> BatchOptions:
        from ._jobs.batch.options import batch_options

        return batch_options(
            checks_per_second=checks_per_second,
            max_in_flight=max_in_flight,
            timeout=_config.resolve_timeout(timeout, self._context.policy.timeout),
            cancel=_config.check_blocking_event("cancel", cancel),
            on_progress=on_progress,
            said=check_features(key, video_seconds, None),
        )

    def _outcomes(self, jobs: Any, terms: BatchOptions) -> Iterator[tuple[int, Job | TranslationClientError]]:
        with needing_aiohttp("as_completed and wait_all"):
            from ._jobs.batch.thread import batch_results
        return batch_results(self._context, self._transport, self._transport_config, terms, jobs)


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
        super().__init__(*tools_of(given, blocking_transport))

    def close(self) -> None:
        """Free the sockets and end every wait with `WaitCancelled`; so does any later call."""
        self._transport.close()

    def __enter__(self) -> VideoTranslationClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        if "_tools" not in vars(self):  # its constructor raised, and a traceback shows it
            return "<VideoTranslationClient, not initialized>"
        return f"VideoTranslationClient({self._context.transport.base_url!r}, service={self._context.service.name!r})"
