"""Is what the caller gave usable? Every check names the argument and the value, and never a secret."""

from __future__ import annotations

import inspect
import math
import os
from collections.abc import Iterable
from numbers import Real
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote

E = TypeVar("E")
T = TypeVar("T")

MAX_WORD_LENGTH = 200

LEAST_WEIGHT, MOST_WEIGHT = 1e-6, 1e9

LATEST_MOMENT = 1e10
"""The year 2286. What is later is milliseconds, most likely."""


def positive(name: str, value: float, *, infinite: bool = False) -> float:
    """Pass a number above 0; `math.inf` only where it means "no limit".

    Raises:
        TypeError: Not a number; `bool` is none.
        ValueError: NaN, 0 or below, or infinite where that is not allowed.
    """
    number = _number(name, value)
    if not number > 0 or (math.isinf(number) and not infinite):
        raise ValueError(f"{name} must be a {'' if infinite else 'finite '}number above 0, got {value!r}")
    return number


def duration(name: str, value: float, most: float) -> float:
    """Pass seconds from 0 to `most`.

    Raises:
        TypeError: Not a number; `bool` is none.
        ValueError: Negative, NaN, infinite, or too long to be meant.
    """
    number = _number(name, value)
    if not 0 <= number <= most:
        raise ValueError(f"{name} must be seconds from 0 to {most:g}, got {value!r}")
    return number


def seconds(timeout: float | None, usual: float) -> float:
    """Pass a time-out, or what is usual where there is none; raises as `positive` does."""
    return usual if timeout is None else positive("timeout", timeout, infinite=True)


def several(name: str, values: Iterable[T]) -> list[T]:
    """List what was given as several values.

    Raises:
        TypeError: It is one text.
    """
    if isinstance(values, str):
        raise TypeError(f"{name} must be several jobs or ids, got the one {values!r}")
    return list(values)


def weighed(name: str, value: float) -> float:
    """Pass seconds that are weighed against others: from a millionth to a billion.

    Raises:
        TypeError: Not a number; `bool` is none.
        ValueError: NaN, or outside.
    """
    number = _number(name, value)
    if not LEAST_WEIGHT <= number <= MOST_WEIGHT:
        raise ValueError(f"{name} must be seconds from {LEAST_WEIGHT:g} to {MOST_WEIGHT:g}, got {value!r}")
    return number


def moment(name: str, value: float | None) -> float | None:
    """Pass None or seconds of the Unix epoch.

    Raises:
        TypeError: Not a number.
        ValueError: NaN, infinite, or before 1970.
    """
    return None if value is None else duration(name, value, LATEST_MOMENT)


def flag(name: str, value: bool) -> bool:
    """Pass True or False.

    Raises:
        TypeError: It is neither.
    """
    if not isinstance(value, bool):
        raise TypeError(f"{name} must be True or False, got {value!r}")
    return value


def word(name: str, value: str) -> str:
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


def key(value: str | None) -> str | None:
    """Pass None or what kind of job it is; raises as `word` does."""
    return None if value is None else word("key", value)


def fraction(name: str, value: float) -> float:
    """Pass a number from 0 to 1.

    Raises:
        TypeError: Not a number; `bool` is none.
        ValueError: NaN or outside.
    """
    number = _number(name, value)
    if not 0 <= number <= 1:
        raise ValueError(f"{name} must be from 0 to 1, got {value!r}")
    return number


def whole(name: str, value: float, *, least: int) -> float:
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


def strategy(name: str, value: object) -> None:
    """Pass None or something that can be called.

    Raises:
        TypeError: It is neither.
    """
    if value is not None and (not callable(value) or isinstance(value, type)):
        raise TypeError(f"{name} must be something to call, and no class, got {value!r}")


def event(name: str, value: E | None, kind: str = "an event of threading or of asyncio") -> E | None:
    """Pass None or an event.

    Raises:
        TypeError: It is neither; the message says what kind it has to be.
    """
    usable = callable(getattr(value, "is_set", None)) and callable(getattr(value, "wait", None))
    if value is not None and (not usable or isinstance(value, type)):
        raise TypeError(f"{name} must be {kind}, got {value!r}")
    return value


def blocking_event(name: str, value: E | None) -> E | None:
    """Pass None or an event of `threading`, and none of `asyncio`; raises as `event` does."""
    if inspect.iscoroutinefunction(getattr(value, "wait", None)):
        raise TypeError(f"{name} must be a threading.Event, got {value!r}")
    return event(name, value, "a threading.Event")


def language(name: str, value: str) -> str:
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


def path_segment(job_id: str) -> str:
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


def target(path: str | os.PathLike[str]) -> Path:
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
