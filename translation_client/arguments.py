"""Is what the caller gave usable? Every check names the argument and the value, and never a secret."""

from __future__ import annotations

import inspect
import math
import os
import re
import threading
from collections.abc import Callable, Mapping
from numbers import Real
from pathlib import Path
from urllib.parse import quote

import requests

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # a token, RFC 9110 section 5.6.2
_HEADER_VALUE = re.compile(r"([\x21-\x7e\x80-\xff]([\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?)?")  # RFC 9110 5.5


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


def session(value: object) -> None:
    """Pass None or a requests session.

    Raises:
        TypeError: It is neither.
    """
    if value is not None and not isinstance(value, requests.Session):
        raise TypeError(f"session must be a requests.Session, got a value of type {type(value).__name__}")


def event(name: str, value: threading.Event | None) -> threading.Event | None:
    """Pass None or an event.

    Raises:
        TypeError: It is neither.
    """
    wait = getattr(value, "wait", None)
    usable = callable(getattr(value, "is_set", None)) and callable(wait) and not inspect.iscoroutinefunction(wait)
    if value is not None and not usable:
        raise TypeError(f"{name} must be a threading.Event, got {value!r}")
    return value


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


def header_value(name: str, value: str) -> str:
    """Pass a string that may stand in a header; say nothing of it otherwise.

    Raises:
        TypeError: Not a string.
        ValueError: With a control character, a blank at an end, or a character beyond Latin-1.
    """
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a string, got a value of type {type(value).__name__}")
    if not _HEADER_VALUE.fullmatch(value):
        raise ValueError(
            f"{name} cannot be sent in a header: it begins or ends with a blank, or holds a control character "
            "or one beyond Latin-1 (its value is not shown, as it may be secret)"
        )
    return value


def api_key(value: str | Callable[[], str] | None) -> str | Callable[[], str] | None:
    """Pass None, a key that can be sent, or what will give one.

    Raises:
        TypeError: Neither.
        ValueError: Empty, or as in `header_value`.
    """
    if isinstance(value, type):
        raise TypeError("api_key must be a string or a function that returns one, and no class")
    if callable(value):
        return value
    if value == "":
        raise ValueError("api_key must not be empty; leave it out where the service needs none")
    return None if value is None else header_value("api_key", value)


def header_fields(headers: Mapping[str, str] | None) -> dict[str, str]:
    """Pass headers that may be sent.

    Raises:
        TypeError: Not a mapping of strings to strings.
        ValueError: A name that is no header name, or a value as in `header_value`.
    """
    if headers is None:
        return {}
    if not isinstance(headers, Mapping):
        raise TypeError(f"headers must be a mapping, got a value of type {type(headers).__name__}")
    for name, value in headers.items():
        if not isinstance(name, str) or not _HEADER_NAME.fullmatch(name):
            raise ValueError(f"headers must have names that HTTP allows, got {name!r}")
        header_value(f"headers[{name!r}]", value)
    return dict(headers)
