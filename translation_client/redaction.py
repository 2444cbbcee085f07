"""Which texts are secret, and how is a text freed of them?"""

from __future__ import annotations

import json
import re
from base64 import b64encode, urlsafe_b64encode
from collections import deque
from collections.abc import Iterable
from typing import Any, TypeVar
from urllib.parse import parse_qsl, quote, quote_plus, unquote, urlsplit

T = TypeVar("T")

MARK = "[redacted]"

MAX_SHOWN_LENGTH = 200

SHORT_LENGTH = 6
LONG_LENGTH = 12

MAX_LEARNED = 8
"""Keys that changed and are still looked for: an answer that echoes one comes soon after it was sent."""

MAX_DEPTH = 50
"""What is nested deeper is replaced as a whole: no error body is, but an attack on whoever shows it."""


class Secrets:
    """The values that must not be shown: the key, the caller's headers, the user information of a URL.

    What a server sends can echo them, as they are or encoded; whatever comes from a server goes through `scrub`
    before it reaches a log line, an error, or a field that `repr` shows.
    """

    def __init__(self, keys: Iterable[str] = (), headers: Iterable[str] = ()) -> None:
        """Take the values that are secret.

        Args:
            keys: Keys and passwords: wherever they stand.
            headers: Values of headers: a short one, such as the "en" of an Accept-Language, only as a whole word.
        """
        self._keys = tuple(keys)
        self._headers = tuple(headers)
        self._learned: deque[str] = deque(maxlen=MAX_LEARNED)
        self._compiled: tuple[tuple[str, ...], re.Pattern[str] | None] = ((), self._pattern_with(()))

    def __repr__(self) -> str:
        return f"Secrets({MARK})"

    def learn(self, key: str) -> None:
        """Take one more key: one that changes. The last few of them are kept."""
        if key not in self._learned:
            self._learned.append(key)

    def holds_key(self, text: str) -> bool:
        """Whether a key stands in a text, one that is long enough not to do so by chance."""
        return any(len(key) >= LONG_LENGTH and key in text for key in (*self._keys, *self._learned))

    def with_keys(self, keys: Iterable[str]) -> Secrets:
        """Make secrets that are more; what one of both learns, the other knows."""
        more = Secrets([*self._keys, *keys], self._headers)
        more._learned = self._learned
        return more

    @property
    def _pattern(self) -> re.Pattern[str] | None:
        learned = tuple(self._learned)
        if self._compiled[0] != learned:
            self._compiled = (learned, self._pattern_with(learned))
        return self._compiled[1]

    def _pattern_with(self, learned: tuple[str, ...]) -> re.Pattern[str] | None:
        patterns = {form: re.escape(form) for value in self._headers if value for form in _forms(value)}
        patterns = {form: rf"(?<!\w){it}(?!\w)" if len(form) < SHORT_LENGTH else it for form, it in patterns.items()}
        patterns |= {form: re.escape(form) for value in (*self._keys, *learned) if value for form in _forms(value)}
        longest_first = sorted(patterns, key=len, reverse=True)  # a short one may be part of a longer one
        return re.compile("|".join(patterns[form] for form in longest_first)) if patterns else None

    def scrub(self, value: T) -> T:
        """Copy a JSON value with every secret in its texts, keys of objects included, replaced by a mark."""
        scrubbed: T = _replaced(self._pattern, value, 0)
        return scrubbed

    def shown(self, text: str, length: int = MAX_SHOWN_LENGTH) -> str:
        """Make a server's text fit to be shown: without secrets, cut, and what a terminal would obey written out."""
        scrubbed = self.scrub(text)[:length]
        if scrubbed.isprintable():
            return scrubbed
        return "".join(letter if letter.isprintable() else _written_out(letter) for letter in scrubbed)


def _written_out(letter: str) -> str:
    return letter.encode("unicode_escape").decode("ascii")


def _replaced(pattern: re.Pattern[str] | None, value: Any, depth: int) -> Any:
    if isinstance(value, str):
        return value if pattern is None else pattern.sub(MARK, value)
    if isinstance(value, (int, float)) and len(str(value)) >= SHORT_LENGTH:
        return MARK if pattern is not None and pattern.search(str(value)) else value
    if isinstance(value, (dict, list)) and depth >= MAX_DEPTH:
        return MARK
    if isinstance(value, dict):
        return {_replaced(pattern, key, depth): _replaced(pattern, item, depth + 1) for key, item in value.items()}
    if isinstance(value, list):
        return [_replaced(pattern, item, depth + 1) for item in value]
    return value


def _forms(value: str) -> set[str]:
    from html import escape  # needed where there are secrets, and not for an import

    encoded = value.encode("utf-8", "surrogateescape")
    return {
        value,
        quote(encoded, safe=""),
        quote(encoded),
        quote_plus(encoded),
        re.sub("%..", lambda code: code[0].lower(), quote(encoded, safe="")),
        escape(value),
        json.dumps(value)[1:-1],
        json.dumps(value)[1:-1].replace("/", "\\/"),
        json.dumps(value, ensure_ascii=False)[1:-1],
        b64encode(encoded).decode(),
        urlsafe_b64encode(encoded).decode(),
    }


def secrets_of_link(url: str) -> list[str]:
    """What of a link may be a credential: the query of a signed one, each value of it, user name and password."""
    parts = urlsplit(url)
    values = [value for _, value in parse_qsl(parts.query) if len(value) >= SHORT_LENGTH]
    return [parts.query, parts.fragment, unquote(parts.password or ""), unquote(parts.username or ""), *values]
