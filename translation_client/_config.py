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

E = TypeVar("E")
T = TypeVar("T")

MAX_WORD_LENGTH = 200
"""The longest label, in characters."""

LEAST_WEIGHT, MOST_WEIGHT = 1e-6, 1e9

LATEST_MOMENT = 1e10
"""The year 2286, in seconds of the Unix epoch. A later timestamp is most likely in milliseconds."""


def check_positive(name: str, value: float, *, infinite: bool = False) -> float:
    """Return a number above 0.

    Args:
        name: The name of the argument.
        value: Its value.
        infinite: True to accept `math.inf`, which means no limit.

    Raises:
        TypeError: `value` is not a number. A `bool` is not one.
        ValueError: `value` is NaN, 0 or below, or infinite without `infinite`.
    """
    number = _number(name, value)
    if not number > 0 or (math.isinf(number) and not infinite):
        raise ValueError(f"{name} must be a {'' if infinite else 'finite '}number above 0, got {value!r}")
    return number


def check_duration(name: str, value: float, most: float) -> float:
    """Return a number of seconds from 0 to `most`.

    Raises:
        TypeError: `value` is not a number. A `bool` is not one.
        ValueError: `value` is negative, NaN, infinite, or above `most`.
    """
    number = _number(name, value)
    if not 0 <= number <= most:
        raise ValueError(f"{name} must be seconds from 0 to {most:g}, got {value!r}")
    return number


def resolve_timeout(timeout: float | None, usual: float) -> float:
    """Return the time-out, or `usual` for None. Raises as `check_positive` does."""
    return usual if timeout is None else check_positive("timeout", timeout, infinite=True)


def check_jobs(name: str, values: Iterable[T]) -> list[T]:
    """Return the jobs as a list.

    Raises:
        TypeError: `values` is a single string.
    """
    if isinstance(values, str):
        raise TypeError(f"{name} must be several jobs or ids, got the one {values!r}")
    return list(values)


def check_weight(name: str, value: float) -> float:
    """Return a number of seconds that serves as a weight: from a millionth to a billion.

    Raises:
        TypeError: `value` is not a number. A `bool` is not one.
        ValueError: `value` is NaN, or out of range.
    """
    number = _number(name, value)
    if not LEAST_WEIGHT <= number <= MOST_WEIGHT:
        raise ValueError(f"{name} must be seconds from {LEAST_WEIGHT:g} to {MOST_WEIGHT:g}, got {value!r}")
    return number


def check_timestamp(name: str, value: float | None) -> float | None:
    """Return None or a number of seconds of the Unix epoch.

    Raises:
        TypeError: `value` is not a number.
        ValueError: `value` is NaN, before 1970, or after `LATEST_MOMENT`.
    """
    return None if value is None else check_duration(name, value, LATEST_MOMENT)


def check_label(name: str, value: str) -> str:
    """Return a short text.

    Raises:
        TypeError: `value` is not a string.
        ValueError: `value` is empty, longer than `MAX_WORD_LENGTH`, or not printable.
    """
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a string, got {value!r}")
    if not value.isprintable() or not 0 < len(value) <= MAX_WORD_LENGTH:
        raise ValueError(f"{name} must be printable, and of 1 to {MAX_WORD_LENGTH} characters, got {value[:50]!r}")
    return value


def check_kind(value: str | None) -> str | None:
    """Return None or the kind of a job. Raises as `check_label` does."""
    return None if value is None else check_label("kind", value)


def check_fraction(name: str, value: float) -> float:
    """Return a number from 0 to 1.

    Raises:
        TypeError: `value` is not a number. A `bool` is not one.
        ValueError: `value` is NaN, or out of range.
    """
    number = _number(name, value)
    if not 0 <= number <= 1:
        raise ValueError(f"{name} must be from 0 to 1, got {value!r}")
    return number


def check_integer(name: str, value: float, *, least: int) -> float:
    """Return a whole number of at least `least`, or `math.inf` for no limit.

    Raises:
        TypeError: `value` is not a number. A `bool` is not one.
        ValueError: `value` is NaN, below `least`, or has a fraction.
    """
    number = _number(name, value)
    if not number >= least or (math.isfinite(number) and number != int(number)):
        raise ValueError(f"{name} must be a whole number of at least {least}, or math.inf, got {value!r}")
    return number if math.isinf(number) else int(number)


def _number(name: str, value: float) -> float:
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{name} must be a number, got {value!r}")
    try:
        return float(value)
    except OverflowError as error:
        raise ValueError(f"{name} is too large to count with: {str(value)[:20]}…") from error


def check_callable(name: str, value: object) -> None:
    """Check that a value is None or callable.

    Raises:
        TypeError: `value` is a class, or not callable.
    """
    if value is not None and (not callable(value) or isinstance(value, type)):
        raise TypeError(f"{name} must be something to call, and no class, got {value!r}")


def check_event(name: str, value: E | None, kind: str = "an event of threading or of asyncio") -> E | None:
    """Return None or an event.

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
    """Return None or an event of `threading`. Raises as `check_event` does, also for one of `asyncio`."""
    if inspect.iscoroutinefunction(getattr(value, "wait", None)):
        raise TypeError(f"{name} must be a threading.Event, got {value!r}")
    return check_event(name, value, "a threading.Event")


def check_language(name: str, value: str) -> str:
    """Return a language. Its spelling is up to the service.

    Raises:
        TypeError: `value` is not a string.
        ValueError: `value` is blank, or a dot segment that disappears from a URL.
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
        raise ValueError(f"job must be the id of a job, got {job_id!r}")
    try:
        return quote(job_id, safe="")
    except UnicodeEncodeError as error:
        raise ValueError(f"job must be the id of a job, got {job_id!r}, which no URL can hold") from error


def check_target_path(path: str | os.PathLike[str]) -> Path:
    """Return the path of a file that can be created.

    Raises:
        TypeError: `path` is not a path.
        ValueError: `path` is a folder, a device or a pipe, or its folder does not exist.
    """
    if not isinstance(path, (str, os.PathLike)) or isinstance(os.fspath(path), bytes):
        raise TypeError(f"path must be the path of a file, got {path!r}")
    file = Path(path)
    if not os.fspath(path) or file.is_dir():
        raise ValueError(f"path must be the path of a file, and {str(path)!r} is a folder")
    if file.exists() and not file.is_file():
        raise ValueError(f"path must be the path of a file, and {str(path)!r} is a device or a pipe")
    if not file.parent.is_dir():
        raise ValueError(f"path must lie in a folder that exists, got {str(path)!r}")
    return file


# Backoff between the attempts of one check: 0.5, 1, 2, 4 … 30 s, each ± 25 %.
FAULT_DELAY_SECONDS = 0.5
FAULT_DELAY_MAX_SECONDS = 30.0
FAULT_JITTER = 0.25

RANDOM = random.SystemRandom()
"""Not the module's generator, which the caller may seed, and whose state forked workers share."""


@dataclass(frozen=True)
class PollingPolicy:
    """The time-outs, the retries and the backoff, validated at creation. Durations in seconds; `math.inf` is no limit.

    Attributes:
        timeout: The whole wait, including the call in flight.
        max_retries: The number of further checks while the job is pending.
        request_timeout: One HTTP call: connecting, headers and body together.
        max_faults: The number of consecutive failed calls that fails a check.
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
        self._keep("timeout", check_positive("timeout", self.timeout, infinite=True))
        self._keep("max_retries", check_integer("max_retries", self.max_retries, least=0))
        self._keep("request_timeout", check_positive("request_timeout", self.request_timeout))
        self._keep("max_faults", check_integer("max_faults", self.max_faults, least=1))
        self._keep("backoff_factor", check_positive("backoff_factor", self.backoff_factor))
        self._keep("max_delay", check_positive("max_delay", self.max_delay))
        self._keep("jitter", check_fraction("jitter", self.jitter))

    def _keep(self, name: str, number: float) -> None:
        """Store a number as the float that was checked. A `Fraction` is a number too, but cannot be formatted."""
        object.__setattr__(self, name, number)


def jittered(delay: float, jitter: float, longest: float, chance: float) -> float:
    """Return a delay changed by up to ± `jitter` of itself, and at most `longest`.

    Near `longest` the range is narrowed, not the result: clients that all wait for the longest delay still spread out.

    Args:
        delay: Seconds, at most `longest`.
        jitter: A number from 0 to 1.
        longest: Seconds.
        chance: A random number from 0 to 1.
    """
    least, most = delay * (1 - jitter), min(longest, delay * (1 + jitter))
    return least + (most - least) * chance


class JobFeatures(NamedTuple):
    """The facts about a job that a schedule learns from, as far as they are known before the job ends.

    Attributes:
        kind: The kind of the job. None for no kind in particular.
        video_seconds: The length of its video in seconds, or None.
        expected_seconds: The duration of the job in seconds as the service estimates it, or None.
        submitted_at: When it was submitted, in seconds of the Unix epoch, or None.
    """

    kind: str | None = None
    video_seconds: float | None = None
    expected_seconds: float | None = None
    submitted_at: float | None = None


JobFeatures.__module__ = "translation_client.schedule"  # where it is public, as pickles name it


NO_FEATURES = JobFeatures()


def check_features(kind: str | None, video_seconds: float | None, submitted_at: float | None) -> JobFeatures:
    """Check the caller's facts about a job, and return them.

    Raises:
        ValueError: A value is out of range.
        TypeError: A value is of the wrong type.
    """
    length = None if video_seconds is None else check_positive("video_seconds", video_seconds)
    return JobFeatures(check_kind(kind), length, submitted_at=check_timestamp("submitted_at", submitted_at))


def check_path_template(name: str, path: Any, *, needs: Sequence[str] = (), knows: Sequence[str] = ()) -> None:
    """Check that a path template starts with a slash and has the right placeholders.

    Args:
        name: The name of the argument.
        path: The template.
        needs: Required placeholders, such as `job_id` for `{job_id}`.
        knows: Optional placeholders.

    Raises:
        ValueError: `path` does not start with a slash, lacks a required placeholder, or has an unknown one.
    """
    try:
        placeholders = {field for _, field, _, _ in Formatter().parse(path) if field is not None}
    except (TypeError, ValueError):
        placeholders = {"?"}
    is_complete = set(needs) <= placeholders <= {*needs, *knows}
    if not isinstance(path, str) or not path.startswith("/") or not is_complete:
        required = "".join(f" and contain {{{field}}}" for field in needs)
        raise ValueError(f"{name} must begin with a slash{required} and no other placeholder, got {path!r}")
