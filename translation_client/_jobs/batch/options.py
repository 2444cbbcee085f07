"""The options of a batch, and the checks of its arguments."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterable, Callable, Collection, Hashable, Iterable
from typing import Any, NamedTuple

from ... import _config
from ..._config import JobFeatures
from ..._exceptions import TranslationClientError
from ..._models import Job, job_id_of
from ..._transports.base import CancelEvent
from ...services.service import Service
from .rate_limiter import DEFAULT_CHECKS_PER_SECOND

DEFAULT_IN_FLIGHT = 10_000
"""The default number of jobs that are in flight at once."""

Source = Iterable[Job | str] | AsyncIterable[Job | str]
JobResult = Job | TranslationClientError
"""A job that is final, or the error that ended its wait."""


class BatchOptions(NamedTuple):
    """The options of a batch, checked.

    Attributes:
        checks_per_second: The maximum number of requests in any second, for all jobs together.
        max_in_flight: The maximum number of jobs that are waited for, or whose results were not taken yet. At this
            number the source is read no further.
        timeout: Seconds for each job, from when it is read from the source.
        cancel: Ends all waits when it is set; None for no event.
        on_progress: Called with the job after each check; None to call nothing.
        features: The known features of all jobs, for a schedule that learns.
    """

    checks_per_second: float
    max_in_flight: float
    timeout: float
    cancel: CancelEvent | None
    on_progress: Callable[[Job], Any] | None
    features: JobFeatures


def batch_options(
    *,
    checks_per_second: float | None,
    max_in_flight: float | None,
    timeout: float,
    cancel: CancelEvent | None,
    on_progress: Callable[[Job], Any] | None,
    features: JobFeatures,
) -> BatchOptions:
    """Check the options, and fill in the defaults.

    Raises:
        ValueError: `checks_per_second` is not positive, or `max_in_flight` is not a whole number of at least 1.
        TypeError: An option is of the wrong type, or `on_progress` is a coroutine function.
    """
    _config.check_callable("on_progress", on_progress)
    if inspect.iscoroutinefunction(on_progress):
        raise TypeError("on_progress must be a plain function: the coroutine of this one would not be awaited")
    rate = DEFAULT_CHECKS_PER_SECOND if checks_per_second is None else checks_per_second
    in_flight = DEFAULT_IN_FLIGHT if max_in_flight is None else max_in_flight
    return BatchOptions(
        _config.check_positive("checks_per_second", rate, infinite=True),
        _config.check_integer("max_in_flight", in_flight, minimum=1),
        timeout,
        cancel,
        on_progress,
        features,
    )


def require_source(jobs: Source, service: Service) -> Source:
    """Return the source of the jobs. The jobs of a collection are checked now, those of any other iterable when read.

    A collection is copied, because the caller may change it while the batch still reads it.

    Raises:
        TypeError: `jobs` is a string, a job or not iterable, or an element is neither a job nor an id.
        ValueError: A job has no id although the service has no single job, or an id is malformed.
    """
    if isinstance(jobs, (str, Job)) or not isinstance(jobs, (Iterable, AsyncIterable)):
        raise TypeError(f"jobs must be several jobs or ids, got {jobs!r}")
    if not isinstance(jobs, Collection):
        return jobs
    copied = tuple(jobs)
    for job in copied:
        require_id(job, service)
    return copied


def require_id(job: Job | str, service: Service) -> str:
    """Return the id of a job, which is empty for the single job of the service. Raises as `require_source`."""
    job_id = job_id_of(job)
    if job_id is None:
        if isinstance(job, Job) and service.single_job_path is not None:
            return ""
        raise ValueError("jobs must have ids")
    if not isinstance(job_id, str):
        raise TypeError(f"job must be a Job or its id, got {text_of(job_id, repr)}")
    _config.quote_path_segment(job_id)
    return job_id


def wait_key(job: Job | str, job_id: str) -> Hashable:
    """Return the key by which jobs of a source share one wait: the id, and what is known of a job besides.

    One job may have a result for each language, and a wait returns the language that it was given.
    """
    if not isinstance(job, Job):
        return (job_id, None, None, None)
    return (job_id, job.language, job.expected_seconds, job.submitted_at)


def text_of(value: object, text: Callable[[object], str] = str) -> str:
    """Return `str(value)` or `repr(value)`, or `object.__repr__(value)` if that raises."""
    try:
        return text(value)
    except Exception:  # noqa: BLE001  # the caller's `__str__` or `__repr__` may raise anything
        return object.__repr__(value)


def sort_by_position(results: Iterable[tuple[int, JobResult]]) -> list[JobResult]:
    """Return the results in the order of their positions in the source."""
    return [result for _, result in sorted(results, key=_position)]


def _position(numbered: tuple[int, JobResult]) -> int:
    return numbered[0]
