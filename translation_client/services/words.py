"""What do status words mean? The common ones, and how a table of them is read."""

from __future__ import annotations

from collections.abc import Mapping

from ..models import TranslationStatus

_PENDING = (
    "pending queued created submitted accepted waiting not_started notstarted starting preparing validating running "
    "started processing in_progress inprogress in_queue rendering throttled dubbing"
)
_COMPLETED = "completed complete succeeded success done finished dubbed"
_ERROR = "error failed failure rejected timeout timed_out canceled cancelled aborted deleted expired"

COMMON_WORDS: Mapping[str, TranslationStatus] = {
    **dict.fromkeys(_PENDING.split(), TranslationStatus.PENDING),
    **dict.fromkeys(_COMPLETED.split(), TranslationStatus.COMPLETED),
    **dict.fromkeys(_ERROR.split(), TranslationStatus.ERROR),
}
"""What a service of which nothing is known most likely means. Without `ready` and `stale`, which mean different things."""


def normal(word: str) -> str:
    """Spell a word as the tables do: in lower case, with `_` for blanks and dashes."""
    return word.strip().lower().replace("-", "_").replace(" ", "_")


def table_of(words: Mapping[str, TranslationStatus | str]) -> dict[str, TranslationStatus]:
    """Make a table ready to look words up in.

    Raises:
        ValueError: A word means neither `pending` nor `completed` nor `error`.
    """
    try:
        return {normal(str(word)): TranslationStatus(meaning) for word, meaning in words.items()}
    except ValueError as error:
        raise ValueError(f"statuses must map words to pending, completed or error: {error}") from error
