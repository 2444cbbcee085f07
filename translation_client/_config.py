"""Checks of arguments, and the limits of a client. Every check names the argument and its value, and never a secret."""

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

LEAST_WEIGHT, MOST_WEIGHT = 1e-6, 1e9

LATEST_MOMENT = 1e10
"""The year 2286. What is later is milliseconds, most likely."""


def check_positive(name: str, value: float, *, infinite: bool = False) -> float:
    """Pass a number above 0; `math.inf` only where it means "no limit".

    Raises:
        TypeError: Not a number; `bool` is none.
        ValueError: NaN, 0 or below, or infinite where that is not allowed.
    """
    number = _number(name, value)
    if not number > 0 or (math.isinf(number) and not infinite):
        raise ValueError(f"{name} must be a {'' if infinite else 'finite '}number above 0, got {value!r}")
    return number


def check_duration(name: str, value: float, most: float) -> float:
    """Pass seconds from 0 to `most`.

    Raises:
        TypeError: Not a number; `bool` is none.
        ValueError: Negative, NaN, infinite, or too long to be meant.
    """
    number = _number(name, value)
    if not 0 <= number <= most:
        raise ValueError(f"{name} must be seconds from 0 to {most:g}, got {value!r}")
    return number


def resolve_timeout(timeout: float | None, usual: float) -> float:
    """Pass a time-out, or what is usual where there is none; raises as `positive` does."""
    return usual if timeout is None else check_positive("timeout", timeout, infinite=True)


def check_jobs(name: str, values: Iterable[T]) -> list[T]:
    """List what was given as several values.

    Raises:
        TypeError: It is one text.
    """
    if isinstance(values, str):
        raise TypeError(f"{name} must be several jobs or ids, got the one {values!r}")
    return list(values)


def check_weight(name: str, value: float) -> float:
    """Pass seconds that are weighed against others: from a millionth to a billion.

    Raises:
        TypeError: Not a number; `bool` is none.
        ValueError: NaN, or outside.
    """
    number = _number(name, value)
    if not LEAST_WEIGHT <= number <= MOST_WEIGHT:
        raise ValueError(f"{name} must be seconds from {LEAST_WEIGHT:g} to {MOST_WEIGHT:g}, got {value!r}")
    return number


def check_timestamp(name: str, value: float | None) -> float | None:
    """Pass None or seconds of the Unix epoch.

    Raises:
        TypeError: Not a number.
        ValueError: NaN, infinite, or before 1970.
    """
    return None if value is None else check_duration(name, value, LATEST_MOMENT)


def check_bool(name: str, value: bool) -> bool:
    """Pass True or False.

    Raises:
        TypeError: It is neither.
    """
    if not isinstance(value, bool):
        raise TypeError(f"{name} must be True or False, got {value!r}")
    return value


def check_label(name: str, value: str) -> str:
    """Pass a short text.

    Raises:
        TypeError: Not a string.
        ValueError: Empty, too long, or one that cannot be printed.
    """
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a string, got {value!r}")
    if not value.isprintable() or not 0 < len(value) <= MAX_WORD_LENGTH:
        raise ValueError(f"{name} must be printable, and of 1 to {MAX_WORD_LENGTH} characters, got {value[:50]!r}")
    return value


def check_kind(value: str | None) -> str | None:
    """Pass None or what kind of job it is; raises as `word` does."""
    return None if value is None else check_label("kind", value)


def check_fraction(name: str, value: float) -> float:
    """Pass a number from 0 to 1.

    Raises:
        TypeError: Not a number; `bool` is none.
        ValueError: NaN or outside.
    """
    number = _number(name, value)
    if not 0 <= number <= 1:
        raise ValueError(f"{name} must be from 0 to 1, got {value!r}")
    return number


def check_integer(name: str, value: float, *, least: int) -> float:
    """Pass a whole number of at least `least`, or `math.inf` for no limit.

    Raises:
        TypeError: Not a number; `bool` is none.
        ValueError: NaN, below `least`, or with a fraction.
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
    """Pass None or something that can be called.

    Raises:
        TypeError: It is neither.
    """
    if value is not None and (not callable(value) or isinstance(value, type)):
        raise TypeError(f"{name} must be something to call, and no class, got {value!r}")


def check_event(name: str, value: E | None, kind: str = "an event of threading or of asyncio") -> E | None:
    """Pass None or an event.

    Raises:
        TypeError: It is neither; the message says what kind it has to be.
    """
    usable = callable(getattr(value, "is_set", None)) and callable(getattr(value, "wait", None))
    if value is not None and (not usable or isinstance(value, type)):
        raise TypeError(f"{name} must be {kind}, got {value!r}")
    return value


def check_blocking_event(name: str, value: E | None) -> E | None:
    """Pass None or an event of `threading`, and none of `asyncio`; raises as `event` does."""
    if inspect.iscoroutinefunction(getattr(value, "wait", None)):
        raise TypeError(f"{name} must be a threading.Event, got {value!r}")
    return check_event(name, value, "a threading.Event")


def check_language(name: str, value: str) -> str:
    """Pass a language; how it is spelled is the service's business.

    Raises:
        TypeError: Not a string.
        ValueError: Blank, or what a URL would swallow.
    """
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a string, got {value!r}")
    if value.strip() in ("", ".", ".."):
        raise ValueError(f"{name} must be a language as the service spells it, got {value!r}")
    return value


def quote_path_segment(job_id: str) -> str:
    """Percent-encode a job id as one segment of a path.

    Raises:
        TypeError: Not a string.
        ValueError: Empty, `.` or `..`, which a URL would swallow, or a half of a surrogate pair.
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
    """Pass the path of a file that can be made.

    Raises:
        TypeError: Not a path.
        ValueError: It is a folder, or lies in none.
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


# The sleeps between the calls of one check: 0.5, 1, 2, 4 … 30 s, each ± 25 %.
FAULT_DELAY_SECONDS = 0.5
FAULT_DELAY_MAX_SECONDS = 30.0
FAULT_JITTER = 0.25

# What is left of the time when the last check should be answered: a quarter of a second, or less in a short wait.
RANDOM = random.SystemRandom()
"""Not the module's generator, which is the caller's to seed, and which forked workers share the state of."""


@dataclass(frozen=True)
class PollingPolicy:
    """The three clocks and the backoff, checked when made. Seconds throughout; `math.inf` is no limit.

    Attributes:
        timeout: The whole wait, the call in flight included.
        max_retries: How often to ask again while the answer is "pending".
        request_timeout: One HTTP call: connecting, headers and body together.
        max_faults: The consecutive failed calls that fail a check.
        backoff_factor: The first backoff sleep; each further one is twice the last.
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
        """Keep a number as the float that it was checked as: a `Fraction` is one, but cannot be formatted."""
        object.__setattr__(self, name, number)


def jittered(delay: float, jitter: float, longest: float, chance: float) -> float:
    """Move a delay by up to ± `jitter` of itself, never above `longest`.

    At the cap the range is cut and not the result: clients that all wait for the longest delay still part ways.

    Args:
        delay: Seconds, at most `longest`.
        jitter: From 0 to 1.
        longest: Seconds.
        chance: A random number from 0 to 1.
    """
    least, most = delay * (1 - jitter), min(longest, delay * (1 + jitter))
    return least + (most - least) * chance


class JobFeatures(NamedTuple):
    """What the caller says of a job, for a schedule that learns.

    Attributes:
        kind: What kind of job it is.
        video_seconds: The length of its video.
        submitted_at: When it was ordered, in seconds of the Unix epoch.
    """

    kind: str | None = None
    video_seconds: float | None = None
    submitted_at: float | None = None


NO_FEATURES = JobFeatures()


def check_features(kind: str | None, video_seconds: float | None, submitted_at: float | None) -> JobFeatures:
    """Check what the caller says.

    Raises:
        ValueError: Something of it cannot be used.
        TypeError: Something of it is of the wrong type.
    """
    length = None if video_seconds is None else check_positive("video_seconds", video_seconds)
    return JobFeatures(check_kind(kind), length, check_timestamp("submitted_at", submitted_at))


def check_path_template(name: str, path: Any, *, needs: Sequence[str] = (), knows: Sequence[str] = ()) -> None:
    """Refuse what is no path, or has other gaps than those that will be filled.

    Args:
        name: Of the argument.
        path: It.
        needs: The gaps that it must have, such as `job_id` for `{job_id}`.
        knows: The gaps that it may have.

    Raises:
        ValueError: It is none.
    """
    try:
        gaps = {gap for _, gap, _, _ in Formatter().parse(path) if gap is not None}
    except (TypeError, ValueError):
        gaps = {"?"}
    if not isinstance(path, str) or not path.startswith("/") or not set(needs) <= gaps <= {*needs, *knows}:
        wanted = "".join(f" and hold {{{gap}}}" for gap in needs)
        raise ValueError(f"{name} must begin with a slash{wanted} and no other gap, got {path!r}")
