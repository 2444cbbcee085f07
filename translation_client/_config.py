"""Checks of arguments, and the limits of a client. Every error names the argument and its value, but never a secret."""

from __future__ import annotations

import inspect
import math
import os
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from numbers import Real
from pathlib import Path
from string import Formatter
from typing import Any, NamedTuple, TypeVar
from urllib.parse import quote

from ._exports import exported_from

E = TypeVar("E")
T = TypeVar("T")

MAX_LABEL_LENGTH = 200
"""The longest label, in characters. It is stored with each job of the history."""

MIN_WEIGHT, MAX_WEIGHT = 1e-6, 1e9
"""The range of `check_cost`, `target_lag` and `max_lag` in seconds: from a microsecond to 30 years."""

MAX_TIMESTAMP = 1e10
"""The year 2286, in seconds of the Unix epoch. A later timestamp is most likely in milliseconds."""


def check_positive(name: str, value: float, *, infinite: bool = False) -> float:
    """Check that a number is above 0, and return it as a float.

    Args:
        name: The name of the argument.
        value: Its value.
        infinite: True to accept `math.inf`, which means no limit.

    Raises:
        TypeError: `value` is not a number. A `bool` is not one.
        ValueError: `value` is NaN, 0 or below, too large for a float, or infinite without `infinite`.
    """
    number = _check_number(name, value)
    if not number > 0 or (math.isinf(number) and not infinite):
        raise ValueError(f"{name} must be a {'' if infinite else 'finite '}number above 0, got {value!r}")
    return number


def check_duration(name: str, value: float, maximum: float) -> float:
    """Check that a number of seconds is from 0 to `maximum`, and return it as a float.

    Raises:
        TypeError: `value` is not a number. A `bool` is not one.
        ValueError: `value` is negative, NaN, infinite, or above `maximum`.
    """
    number = _check_number(name, value)
    if not 0 <= number <= maximum:
        raise ValueError(f"{name} must be seconds from 0 to {maximum:g}, got {value!r}")
    return number


def resolve_timeout(timeout: float | None, default: float) -> float:
    """Check the timeout and return it, or `default` for None. Raises as `check_positive` does."""
    return default if timeout is None else check_positive("timeout", timeout, infinite=True)


def check_jobs(name: str, values: Iterable[T]) -> list[T]:
    """Return the jobs as a list.

    Raises:
        TypeError: `values` is a string, or cannot be iterated.
    """
    if isinstance(values, str):
        raise TypeError(f"{name} must be a list or another iterable of jobs or ids, got the string {values!r}")
    try:
        return list(values)
    except TypeError:
        if isinstance(values, Iterable):  # the iterator raised it
            raise
        raise TypeError(f"{name} must be a list or another iterable of jobs or ids, got {values!r}") from None


def check_weight(name: str, value: float) -> float:
    """Check a cost or a lag in seconds, and return it as a float.

    Raises:
        TypeError: `value` is not a number. A `bool` is not one.
        ValueError: `value` is NaN, or out of range.
    """
    number = _check_number(name, value)
    if not MIN_WEIGHT <= number <= MAX_WEIGHT:
        raise ValueError(f"{name} must be seconds from {MIN_WEIGHT:g} to {MAX_WEIGHT:g}, got {value!r}")
    return number


def check_timestamp(name: str, value: float | None) -> float | None:
    """Check a Unix time in seconds, and return it as a float, or None for None.

    Raises:
        TypeError: `value` is not a number.
        ValueError: `value` is NaN, before 1970, or after `MAX_TIMESTAMP`.
    """
    if value is None:
        return None
    seconds = _check_number(name, value)
    if not 0 <= seconds <= MAX_TIMESTAMP:
        raise ValueError(f"{name} must be a Unix time in seconds, such as time.time(), got {value!r}")
    return seconds


def check_label(name: str, value: str) -> str:
    """Check that a string is printable and short, and return it.

    Raises:
        TypeError: `value` is not a string.
        ValueError: `value` is empty, longer than `MAX_LABEL_LENGTH`, or not printable.
    """
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a string, got {value!r}")
    if not value.isprintable() or not 0 < len(value) <= MAX_LABEL_LENGTH:
        raise ValueError(f"{name} must be printable, and of 1 to {MAX_LABEL_LENGTH} characters, got {value[:50]!r}")
    return value


def check_kind(value: str | None) -> str | None:
    """Check the kind of a job, and return it, or None for None. Raises as `check_label` does."""
    return None if value is None else check_label("kind", value)


def check_fraction(name: str, value: float) -> float:
    """Check that a number is from 0 to 1, and return it as a float.

    Raises:
        TypeError: `value` is not a number. A `bool` is not one.
        ValueError: `value` is NaN, or out of range.
    """
    number = _check_number(name, value)
    if not 0 <= number <= 1:
        raise ValueError(f"{name} must be from 0 to 1, got {value!r}")
    return number


def check_integer(name: str, value: float, *, minimum: int) -> float:
    """Check that a number is whole and at least `minimum`, or `math.inf` for no limit, and return it.

    Raises:
        TypeError: `value` is not a number. A `bool` is not one.
        ValueError: `value` is NaN, below `minimum`, or has a fraction.
    """
    number = _check_number(name, value)
    if not number >= minimum or (math.isfinite(number) and number != int(number)):
        raise ValueError(f"{name} must be a whole number of at least {minimum}, or math.inf, got {value!r}")
    return number if math.isinf(number) else int(number)


def _check_number(name: str, value: float) -> float:
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{name} must be a number, got {value!r}")
    try:
        return float(value)
    except OverflowError as error:
        raise ValueError(f"{name} is too large: {str(value)[:20]}…") from error


def check_callable(name: str, value: object) -> None:
    """Check that a value is None or callable.

    Raises:
        TypeError: `value` is a class, or not callable.
    """
    if value is not None and (not callable(value) or isinstance(value, type)):
        raise TypeError(f"{name} must be callable, and not a class, got {value!r}")


def check_event(name: str, value: E | None, kind: str = "an event of threading or of asyncio") -> E | None:
    """Check that a value is an event, and return it, or None for None.

    Args:
        name: The name of the argument.
        value: Its value.
        kind: The accepted kind, for the message of the error.

    Raises:
        TypeError: `value` is not an event.
    """
    usable = callable(getattr(value, "is_set", None)) and callable(getattr(value, "wait", None))
    if value is not None and (not usable or isinstance(value, type)):
        raise TypeError(f"{name} must be {kind}, got {value!r}")
    return value


def check_blocking_event(name: str, value: E | None) -> E | None:
    """Check that a value is an event of `threading`, and return it, or None for None. Raises as `check_event` does, also for one of `asyncio`."""
    if inspect.iscoroutinefunction(getattr(value, "wait", None)):
        raise TypeError(f"{name} must be a threading.Event, got {value!r}")
    return check_event(name, value, "a threading.Event")


def check_language(name: str, value: str) -> str:
    """Check a language, whose spelling is up to the service, and return it.

    Raises:
        TypeError: `value` is not a string.
        ValueError: `value` is blank, or a dot segment, which would disappear from a URL.
    """
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a string, got {value!r}")
    if value.strip() in ("", ".", ".."):
        raise ValueError(f"{name} must be a language as the service spells it, got {value!r}")
    return value


def quote_path_segment(job_id: str) -> str:
    """Percent-encode a job id as one segment of a path.

    Raises:
        TypeError: `job_id` is not a string.
        ValueError: `job_id` is empty, a dot segment that disappears from a URL, or has half of a surrogate pair.
    """
    if not isinstance(job_id, str):
        raise TypeError(f"job must be a Job or its id, got {job_id!r}")
    if job_id in ("", ".", ".."):
        raise ValueError(f"job must be the id of a job, got {job_id!r}; for the single job of a service leave job out")
    try:
        return quote(job_id, safe="")
    except UnicodeEncodeError as error:
        raise ValueError(f"job must be the id of a job, got {job_id!r}, with half of a surrogate pair") from error


def check_target_path(path: str | os.PathLike[str]) -> Path:
    """Check that a path can name a file in a folder that exists, and return it.

    Raises:
        TypeError: `path` is not a path.
        ValueError: `path` is a folder, a device or a pipe, or its folder does not exist.
    """
    if not isinstance(path, (str, os.PathLike)) or isinstance(os.fspath(path), bytes):
        raise TypeError(f"path must be the path of a file, got {path!r}")
    file = Path(path)
    if not os.fspath(path):
        raise ValueError("path must be the path of a file, got an empty one")
    if file.is_dir():
        raise ValueError(f"path must be the path of a file, and {str(path)!r} is a folder")
    if file.exists() and not file.is_file():
        raise ValueError(f"path must be the path of a file, and {str(path)!r} is a device or a pipe")
    if not file.parent.is_dir():
        raise ValueError(f"path must lie in a folder that exists, got {str(path)!r}")
    return file


FAULT_DELAY_SECONDS, FAULT_DELAY_MAX_SECONDS, FAULT_JITTER = 0.5, 30.0, 0.25
"""The backoff between the attempts of a failed request: 0.5, 1, 2, 4 … 30 s, each ± 25 %, so that clients spread."""

RANDOM = random.SystemRandom()
"""Not the module's generator, which the caller may seed, and whose state forked workers share."""


@dataclass(frozen=True, eq=False)
class PollingPolicy:
    """The timeouts, the retries and the backoff, validated at creation. Durations are in seconds, and `math.inf` is no limit.

    Attributes:
        timeout: The whole wait, including the request in flight.
        max_retries: The number of further checks while the job is pending.
        request_timeout: One request: DNS, connecting, headers, body and redirects together.
        max_faults: How many attempts in a row may fail, the last one included.
        backoff_factor: The first backoff sleep. Each further one is twice the last.
        max_delay: The longest backoff sleep.
        jitter: The part by which a backoff sleep may be longer or shorter, from 0 to 1.
    """

    timeout: float
    max_retries: float
    request_timeout: float
    max_faults: float
    backoff_factor: float
    max_delay: float
    jitter: float

    def __post_init__(self) -> None:
        self._set("timeout", check_positive("timeout", self.timeout, infinite=True))
        self._set("max_retries", check_integer("max_retries", self.max_retries, minimum=0))
        self._set("request_timeout", check_positive("request_timeout", self.request_timeout))
        self._set("max_faults", check_integer("max_faults", self.max_faults, minimum=1))
        self._set("backoff_factor", check_positive("backoff_factor", self.backoff_factor))
        self._set("max_delay", check_positive("max_delay", self.max_delay))
        self._set("jitter", check_fraction("jitter", self.jitter))

    def _set(self, name: str, number: float) -> None:
        """Set an attribute to the float that was checked. A `Fraction` is a number too, but cannot be formatted by `:g`."""
        object.__setattr__(self, name, number)


def jittered(delay: float, jitter: float, max_delay: float, random_fraction: float) -> float:
    """Return a delay changed by up to ± `jitter` of itself, and at most `max_delay`.

    Near `max_delay` the range is narrowed instead of the result, so that delays still spread there.

    Args:
        delay: Seconds, at most `max_delay`.
        jitter: A number from 0 to 1.
        max_delay: Seconds.
        random_fraction: A random number from 0 to 1.
    """
    shortest, longest = delay * (1 - jitter), min(max_delay, delay * (1 + jitter))
    return shortest + (longest - shortest) * random_fraction


@exported_from("translation_client.schedule")
class JobFeatures(NamedTuple):
    """The facts about a job that a schedule learns from, as far as they are known before the job ends.

    Attributes:
        kind: A label shared by jobs that take similarly long. Jobs without one, None, are a kind of their own.
        video_seconds: The length of its video in seconds; None if unknown.
        expected_seconds: The duration of the job in seconds as the service estimates it; None if unknown.
        submitted_at: When it was submitted, in seconds of the Unix epoch; None if unknown.
    """

    kind: str | None = None
    video_seconds: float | None = None
    expected_seconds: float | None = None
    submitted_at: float | None = None


NO_FEATURES = JobFeatures()


def check_features(kind: str | None, video_seconds: float | None, submitted_at: float | None) -> JobFeatures:
    """Check the caller's facts about a job, and return them.

    Raises:
        ValueError: A value is out of range.
        TypeError: A value is of the wrong type.
    """
    length = None if video_seconds is None else check_positive("video_seconds", video_seconds)
    return JobFeatures(check_kind(kind), length, submitted_at=check_timestamp("submitted_at", submitted_at))


def check_path_template(name: str, path: Any, *, required: Sequence[str] = (), optional: Sequence[str] = ()) -> None:
    """Check that a path template starts with a slash and has the right placeholders.

    Args:
        name: The name of the argument.
        path: The template.
        required: Required placeholders, such as `job_id` for `{job_id}`.
        optional: Optional placeholders.

    Raises:
        ValueError: `path` is not a string that starts with a slash, lacks a required placeholder, or has an unknown one.
    """
    is_path = isinstance(path, str) and path.startswith("/")
    if not is_path or not set(required) <= _placeholders_in(path) <= {*required, *optional}:
        needed = "".join(f" and contain {{{field}}}" for field in required)
        allowed = "".join(f", optionally {{{field}}}," for field in optional if field not in required)
        raise ValueError(f"{name} must begin with a slash{needed}{allowed} and have no other placeholder, got {path!r}")


def _placeholders_in(template: str) -> set[str]:
    try:
        return {field for _, field, _, _ in Formatter().parse(template) if field is not None}
    except ValueError:  # an unmatched brace
        return {""}
