"""The options of a batch, checked."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterable, Callable, Collection, Iterable
from typing import Any, NamedTuple

from ... import _config
from ..._config import JobFeatures
from ..._exceptions import TranslationClientError
from ..._models import Job
from ..._transports.base import CancelEvent
from .rate_limiter import DEFAULT_CHECKS_PER_SECOND

DEFAULT_IN_FLIGHT = 10_000
"""Jobs that are waited for at once, where the caller says nothing."""

Source = Iterable[Job | str] | AsyncIterable[Job | str]
JobResult = Job | TranslationClientError
"""A job that is final, or the error that ended its wait."""


class BatchOptions(NamedTuple):
    """The options of a batch, checked.

    Attributes:
        checks_per_second: Requests in any second at the most, of all jobs together.
        max_in_flight: Jobs that are waited for at once, or finished and not taken yet; the source is read no further.
        timeout: Seconds for each job, from when it was read from the source.
        cancel: Set to end all waits.
        on_progress: Called with the job after each check.
        features: What is known of all jobs, for a schedule that learns.
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
        ValueError: One cannot be used.
        TypeError: One is of the wrong type.
    """
    _config.check_callable("on_progress", on_progress)
    if inspect.iscoroutinefunction(on_progress):
        raise TypeError("on_progress must be a plain function: nobody would await what it returns")
    rate = DEFAULT_CHECKS_PER_SECOND if checks_per_second is None else checks_per_second
    most = DEFAULT_IN_FLIGHT if max_in_flight is None else max_in_flight
    return BatchOptions(
        _config.check_positive("checks_per_second", rate, infinite=True),
        _config.check_integer("max_in_flight", most, least=1),
        timeout,
        cancel,
        on_progress,
        features,
    )


def require_source(jobs: Source) -> Source:
    """Return several jobs or ids to read one after the other. Those of a collection are checked, those of a source later.

    A collection is copied: the caller may change it while the batch still reads it.

    Raises:
        TypeError: It is one text, or nothing that can be read one after the other; or one of them is no job and no id.
        ValueError: An id cannot be one.
    """
    if isinstance(jobs, (str, Job)) or not isinstance(jobs, (Iterable, AsyncIterable)):
        raise TypeError(f"jobs must be several jobs or ids, got {jobs!r}")
    if not isinstance(jobs, Collection):
        return jobs
    copied = tuple(jobs)
    for job in copied:
        require_id(job)
    return copied


def require_id(job: Job | str) -> str:
    """Return the id of a job; raises as `require_source`."""
    job_id = job.id if isinstance(job, Job) else job
    if job_id is None:
        raise ValueError("jobs must have ids")
    if not isinstance(job_id, str):
        raise TypeError(f"job must be a Job or its id, got {text_of(job_id, repr)}")
    _config.quote_path_segment(job_id)
    return job_id


def text_of(value: object, text: Callable[[object], str] = str) -> str:
    """Return `str(value)` or `repr(value)`; Python's usual text of an object if that raises."""
    try:
        return text(value)
    except Exception:  # noqa: BLE001  # a function of the caller's
        return object.__repr__(value)


def sort_by_position(outcomes: Iterable[tuple[int, JobResult]]) -> list[JobResult]:
    """Return the results in the order of the jobs."""
    return [outcome for _, outcome in sorted(outcomes, key=_position)]


def _position(placed: tuple[int, JobResult]) -> int:
    return placed[0]
