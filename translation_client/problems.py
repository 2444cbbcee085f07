"""What does an error body say? One reading of the shapes that services give to it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .redaction import Secrets

_CODES = ("code", "errorCode", "error_code", "status", "type")
CODE_NAMES = frozenset(_CODES)
"""The names of the words for programs."""

_MESSAGES = ("detail", "message", "msg", "title", "error_description", "error")

FIELD_NAMES = frozenset({*_CODES, *_MESSAGES, "loc"})
"""The names by which an error body is read. They are known words, and not a secret that a server echoes."""


class Problem(dict[str, Any]):
    """The body of an error as it was sent, without secrets; with what all shapes have in common as attributes.

    The shapes: `application/problem+json` (RFC 9457); an object called `error` (HeyGen, Azure: Microsoft's REST API
    guidelines) or `detail` (ElevenLabs); a list called `detail` (FastAPI); plain fields beside each other.
    """

    @property
    def code(self) -> str | None:
        """The word for programs: `rate_limit_exceeded`, say; or None. A number is given as its digits.

        A plain word stays as it was sent if an API key of fewer than 8 characters is a part of it.
        """
        places = (self._inner(), self)
        words = (place.get(name) for place in places for name in _CODES)
        return next((str(word) for word in words if _is_code(word)), None)

    @property
    def message(self) -> str | None:
        """The sentence for people, or None."""
        texts = (_text(place.get(name)) for place in (self._inner(), self) for name in _MESSAGES)
        return next((text for text in texts if text), None)

    def _inner(self) -> Mapping[str, Any]:
        nested = (self.get(name) for name in ("error", "detail"))
        return next((value for value in nested if isinstance(value, Mapping)), {})


def redacted_problem(problem: Problem, secrets: Secrets) -> Problem:
    """Copy a problem without secrets. The names of its fields stay, and its `code` where a short key is a part of it."""
    return Problem(secrets.scrub_fields(problem, FIELD_NAMES, CODE_NAMES))


def _is_code(word: Any) -> bool:
    return (isinstance(word, str) and bool(word)) or (isinstance(word, int) and not isinstance(word, bool))


def _text(value: Any) -> str | None:
    if isinstance(value, str):
        return value
    if isinstance(value, list) and value and isinstance(value[0], Mapping):  # FastAPI: one entry for each bad field
        path = value[0].get("loc")
        where = ".".join(str(part) for part in path if isinstance(part, (str, int))) if isinstance(path, list) else ""
        what = value[0].get("msg")
        return f"{where}: {what}" if where and isinstance(what, str) else what if isinstance(what, str) else None
    return None
