"""What does the server's `Retry-After` ask for? (RFC 9110, section 10.2.3)"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from datetime import timezone
from email.utils import parsedate_to_datetime

_DELAY_SECONDS = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?")
"""Whole seconds by the RFC; fractions are sent all the same. Ten digits, over 31 years, is no hint."""


def read_retry_after(headers: Mapping[str, str]) -> float | None:
    """Read the hint as seconds from now; None where there is none.

    A date is taken relative to the answer's own `Date`, so that a wrong clock here does no harm; one in the past is 0.

    Raises:
        ValueError: The value makes no sense.
    """
    value = headers.get("Retry-After")
    if value is None:
        return None
    value = value.strip()
    if _DELAY_SECONDS.fullmatch(value):
        return float(value)
    return max(0.0, _http_date(value) - answered_at(headers))


def answered_at(headers: Mapping[str, str]) -> float:
    """When the server answered, by its own clock in whole seconds; by ours where it does not say."""
    try:
        return _http_date(headers["Date"])
    except (KeyError, ValueError):
        return time.time()


def _http_date(value: str) -> float:
    try:
        date = parsedate_to_datetime(value)
        # The old asctime form names no zone; an HTTP date is always UTC (RFC 9110, section 5.6.7).
        return (date if date.tzinfo else date.replace(tzinfo=timezone.utc)).timestamp()
    except (TypeError, IndexError, OverflowError) as error:  # what the parser raises beside ValueError
        raise ValueError(f"not an HTTP date: {value!r}") from error
