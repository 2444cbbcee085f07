"""Paths to values in JSON, such as `data.video_translation_ids.0`, and conversions of those values."""

import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, TypeGuard

from .._config import MAX_TIMESTAMP
from .._exports import exported_from
from .._models import MissingField, Problem, Response


@exported_from("translation_client")
@dataclass(frozen=True)
class ComputedField:
    """A value that a function computes and no path leads to.

    Attributes:
        name: The name in error messages.
        read: Returns the value for the whole JSON object.
    """

    name: str
    read: Callable[[Mapping[str, Any]], Any]


JSONPath = str | Sequence[str] | ComputedField
"""Names and list indices, separated by dots. Of a sequence of paths, the first whose value is not null and not "" counts."""


def is_key(path: JSONPath) -> TypeGuard[str]:
    """Return True if a path is the key of a value in the JSON object itself, as most paths are."""
    return isinstance(path, str) and "." not in path


def get_path(value: Mapping[str, Any], path: JSONPath | None) -> Any:
    """Return the value at a path, or None if it is missing or null. Of a path with dots or of several, also if it is ""."""
    if path is None:
        return None
    if is_key(path):
        return value.get(path)
    if isinstance(path, ComputedField):
        return path.read(value)
    paths = (path,) if isinstance(path, str) else path
    return next((inner for each in paths if (inner := _at(value, each)) not in (None, "")), None)


def _at(value: Any, path: str) -> Any:
    for name in path.split("."):
        if isinstance(value, Mapping):
            value = value.get(name)
        elif isinstance(value, list) and name.isdecimal() and int(name) < len(value):
            value = value[int(name)]
        else:
            return None
    return value


def describe_path(path: JSONPath | None) -> str:
    """Return a path as text for error messages."""
    if isinstance(path, ComputedField):
        return path.name
    return path if isinstance(path, str) else " or ".join(path or ("the result",))


def set_path(value: Mapping[str, Any], path: str, content: Any) -> dict[str, Any]:
    """Return a copy of an object with a value set at a path.

    A list index, which must be the last name, appends the value.
    """
    name, _, rest = path.partition(".")
    if not rest:
        return {**value, name: content}
    inner = value.get(name)
    if rest.isdecimal():
        return {**value, name: [*(inner or []), content]}
    return {**value, name: set_path(inner if isinstance(inner, Mapping) else {}, rest, content)}


def as_text(value: Any) -> str | None:
    """Return a non-empty string as it is, and None for any other value."""
    return value if isinstance(value, str) and value else None


def as_number(value: Any, most: float = sys.float_info.max) -> float | None:
    """Return a number from 0 to `most` as a float, and None for any other value, infinity included."""
    is_usable = isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= most
    return float(value) if is_usable else None


def as_fraction(value: Any) -> float | None:
    """Return a number from 0 to 1 as a float, and None for any other value."""
    return as_number(value, most=1)


def as_timestamp(value: Any) -> float | None:
    """Return a time in seconds of the Unix epoch, or None. Accepts seconds, milliseconds and ISO 8601 text."""
    if isinstance(value, str):
        return _parse_iso8601(value)
    seconds = as_number(value)
    if seconds is not None and seconds >= MAX_TIMESTAMP:
        seconds /= 1000
    return seconds if seconds is not None and seconds < MAX_TIMESTAMP else None


def _parse_iso8601(text: str) -> float | None:
    # Python 3.10 accepts only three or six digits after the decimal point, and no Z.
    normalized = re.sub(r"(\.\d{1,6})\d*", lambda match: match[1].ljust(7, "0"), text.strip())
    try:
        parsed = datetime.fromisoformat(re.sub(r"[Zz]$", "+00:00", normalized))
        return (parsed if parsed.tzinfo else parsed.replace(tzinfo=timezone.utc)).timestamp()
    except (ValueError, OverflowError):
        return None


def as_token(value: Any) -> str | None:
    """Return a non-empty string or an integer as text, and None for any other value. Some services use integer ids."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else as_text(value)


def as_message(value: Any) -> str | None:
    """Return a non-empty string, or the message of an error object, and None for any other value."""
    return Problem(error=value).message if isinstance(value, Mapping) else as_text(value)


def require_text(response: Response, path: JSONPath) -> str:
    """Return a text or an integer that a successful response must have, as text.

    Raises:
        Fault: The response is not JSON, or has a status that can be retried.
        Refusal: The service refuses the request.
        MissingField: The response has no such text.
    """
    response.raise_for_status()
    payload = response.require_json()
    value = as_token(get_path(payload, path))
    if value is None:
        raise MissingField(describe_path(path), response)
    return value
