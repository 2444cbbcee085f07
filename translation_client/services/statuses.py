"""The common status words, and functions that parse the table of a service."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from .._models import TranslationStatus
from .json_path import as_token

MAX_STATUS_LENGTH = 100
"""In characters. A longer status is not a status word."""

_PENDING = (
    "pending queued created submitted accepted waiting not_started notstarted starting preparing validating running "
    "started processing in_progress inprogress in_queue rendering throttled dubbing"
)
_COMPLETED = "completed complete succeeded success done finished dubbed"
_ERROR = "error failed failure rejected timeout timed_out canceled cancelled aborted deleted expired"

COMMON_STATUSES: Mapping[str, TranslationStatus] = {
    **dict.fromkeys(_PENDING.split(), TranslationStatus.PENDING),
    **dict.fromkeys(_COMPLETED.split(), TranslationStatus.COMPLETED),
    **dict.fromkeys(_ERROR.split(), TranslationStatus.ERROR),
}
"""The most likely meaning of these words at any service. `ready` and `stale` are left out: their meanings differ."""


@lru_cache(maxsize=256)  # a service has a few words, and sends one with each response
def normalize(raw_status: str) -> str:
    """Return a status word as in the tables: in lower case, with `_` for blanks and dashes."""
    return raw_status.strip().lower().replace("-", "_").replace(" ", "_")


def status_word(value: object, table: Mapping[str, TranslationStatus]) -> str | None:
    """Return the status word in a response, or None if there is none. An integer is one only if the table has it."""
    if isinstance(value, str):
        return value if 0 < len(value.strip()) <= MAX_STATUS_LENGTH else None
    number = as_token(value)
    return number if number is not None and normalize(number) in table else None


def with_common_statuses(table: Mapping[str, TranslationStatus]) -> dict[str, TranslationStatus]:
    """Return the table of a service with the common words added. The meanings in its own table win."""
    return {**COMMON_STATUSES, **table}


def parse_statuses(words: Mapping[str, TranslationStatus | str]) -> dict[str, TranslationStatus]:
    """Return a table with normalized words.

    Raises:
        ValueError: A meaning is not `pending`, `completed` or `error`.
    """
    try:
        return {normalize(str(word)): TranslationStatus(meaning) for word, meaning in words.items()}
    except ValueError as error:
        raise ValueError(f"statuses must map words to pending, completed or error: {error}") from error
