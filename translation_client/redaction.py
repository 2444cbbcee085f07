"""Redaction of secrets from the texts that we show. Data, such as a job's payload, is never redacted."""

from __future__ import annotations

import json
import re
from base64 import b64encode, urlsafe_b64encode
from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, TypeVar
from urllib.parse import parse_qsl, quote, quote_plus, unquote, urlsplit

from .escapes import holds_escaped, may_hold_escapes, unescaped_once, without_escaped

T = TypeVar("T")


class Forms(NamedTuple):
    """What secrets look like in a text.

    Attributes:
        fixed: Texts that are secret, from the shortest to the longest, each with the regular expression that finds it
            where it is to be redacted.
        escapable: Secrets that are looked for also where only some of their characters are escaped.
    """

    fixed: Mapping[str, str]
    escapable: tuple[str, ...] = ()


MARK = "[redacted]"

MAX_SHOWN_LENGTH = 200

WHOLE_WORD_LENGTH = 8
"""A shorter secret may be a part of a word by chance: a header's value, such as "en", is redacted as a whole word alone."""

CODE = re.compile(r"[A-Za-z0-9_.-]+")
"""A word for programs in an error body. A short key that is a part of it by chance is not redacted."""

MIN_NUMBER_LENGTH = 6
"""Digits of a JSON number from which on it may be a key that a server echoes, and not a count or a status code."""

MIN_QUERY_VALUE_LENGTH = 6
"""A shorter value in the query of a link is no signature."""

MAX_LEARNED = 8
"""Keys that changed and are still looked for: the latest of the client, and the latest of each of its calls."""

MAX_DEPTH = 50
"""What is nested deeper in an error body is replaced as a whole: no error body is, but an attack on whoever shows it."""


class _AllForms(NamedTuple):
    """The secrets in every form, with the learned keys that are among them."""

    learned: tuple[str, ...]
    everything: Forms
    keys: Forms


class Secrets:
    """The values that no text may show: the keys, the caller's headers, the user information of a URL, a signed link.

    A server can echo them, as they are or encoded. Whatever text comes from a server goes through one of the methods
    here when it becomes part of a log line, a message or a `repr`. Keys are redacted wherever they stand, however short
    they are; ids of jobs and idempotency keys, which a person has to be able to copy, are redacted for keys alone.
    """

    def __init__(
        self,
        keys: Iterable[str] = (),
        headers: Iterable[str] = (),
        links: Iterable[str] = (),
        users: Iterable[str] = (),
    ) -> None:
        """Take the values that are secret.

        Args:
            keys: Keys and passwords: redacted wherever they stand.
            headers: Values of headers: a short one only as a whole word.
            links: Parts of signed links: redacted wherever they stand, but not in an id.
            users: User names that have a password: redacted as whole words alone, as a user may be called "job".
        """
        self._keys = tuple(keys)
        self._headers = tuple(headers)
        self._links = tuple(links)
        self._users = tuple(users)
        self._learned: deque[str] = deque(maxlen=MAX_LEARNED)
        self._sent: tuple[str, ...] = ()
        self._root: Secrets | None = None
        self._latest: Secrets | None = None
        self._kept: _AllForms | None = None

    def __repr__(self) -> str:
        return f"Secrets({MARK})"

    def learn(self, key: str) -> None:
        """Add one more key: one that changes. The last few of them are kept; `with_keys` keeps those of one call."""
        if key not in self._learned:
            self._learned.append(key)

    def with_link(self, url: str) -> Secrets:
        """Return secrets with the parts of a signed link added. Keys that one of both learns, the other knows."""
        more = Secrets(self._keys, self._headers, [*self._links, *secrets_of_link(url)], self._users)
        more._learned = self._learned
        return more

    def with_keys(self, keys: tuple[str, ...]) -> Secrets:
        """Return secrets with the keys of one request added, however many other requests learn theirs meanwhile.

        The last few keys that were added before stay: a call of the client may consist of several requests.
        """
        added = [key for key in keys if key not in self._sent]
        if not added:
            return self
        sent = (*self._sent, *added)[-MAX_LEARNED:]
        root = self._root or self
        latest = root._latest  # thousands of jobs may share the answer to one request, and these secrets
        if latest is None or latest._sent != sent:
            latest = Secrets(self._keys, self._headers, self._links, self._users)
            latest._learned, latest._sent, latest._root = self._learned, sent, root
            root._latest = latest
        return latest

    @property
    def _forms(self) -> _AllForms:
        learned = (*self._learned, *self._sent) if self._learned or self._sent else ()
        kept = self._kept
        if kept is None or kept.learned != learned:
            kept = self._kept = self._forms_with(learned)
        return kept

    def _forms_with(self, learned: tuple[str, ...]) -> _AllForms:
        words = [*self._users, *(value for value in self._headers if len(value) < WHOLE_WORD_LENGTH)]
        anywhere = [*self._links, *(value for value in self._headers if len(value) >= WHOLE_WORD_LENGTH)]
        keys = _escaped((*self._keys, *learned))
        whole_words = {form: rf"(?<!\w){escaped}(?!\w)" for form, escaped in _escaped(words).items()}
        everything = _shortest_first({**whole_words, **_escaped(anywhere), **keys})
        escapable = _escapable((*self._keys, *learned))
        return _AllForms(
            learned, Forms(everything, (*_escapable(anywhere), *escapable)), Forms(_shortest_first(keys), escapable)
        )

    def scrub(self, value: T) -> T:
        """Copy a JSON value with every secret in its texts, keys of objects included, replaced by a mark."""
        scrubbed: T = _replaced(self._forms.everything, value, 0)
        return scrubbed

    def scrub_fields(self, fields: Mapping[str, Any], kept: frozenset[str], codes: frozenset[str]) -> dict[str, Any]:
        """Copy a JSON object as `scrub` does, but for names that are known words, and for codes that hold a short key.

        Args:
            fields: The object.
            kept: Names that are known words, and no secret that a server echoes.
            codes: Those of them whose values are words for programs, which stay if a short key is a part of them.
        """
        return {**_replaced(self._forms.everything, dict(fields), 0, kept, codes)}

    def shown(self, text: str, length: int = MAX_SHOWN_LENGTH) -> str:
        """Return a server's text as it may be shown: without secrets, shortened, control characters escaped."""
        scrubbed = self.scrub(text)[:length]
        if scrubbed.isprintable():
            return scrubbed
        return "".join(letter if letter.isprintable() else _written_out(letter) for letter in scrubbed)

    def shown_id(self, value: str) -> str:
        """Return the id of a job, an idempotency key or a URL as it may be shown: as it is, unless a key is in it."""
        keys = self._forms.keys
        has_key = _found(keys, value) or (may_hold_escapes(value) and holds_escaped(keys.escapable, value))
        return self.scrub(value) if has_key else value

    def holds(self, text: str) -> bool:
        """Return True if a text contains a secret."""
        return self.scrub(text) != text


def _escaped(values: Iterable[str]) -> dict[str, str]:
    """Map each form of some values to its regular expression."""
    return {form: re.escape(form) for value in values if value for form in _forms_of(value)}


def _shortest_first(forms: Mapping[str, str]) -> dict[str, str]:
    return {form: forms[form] for form in sorted(forms, key=len)}


def _escapable(values: Iterable[str]) -> tuple[str, ...]:
    """Return the values that are no plain words, and what unescaping them gives: a text may have them half escaped."""
    both = dict.fromkeys(form for value in values for form in (value, unescaped_once(value)))
    return tuple(form for form in both if len(form) >= WHOLE_WORD_LENGTH or not re.fullmatch(r"\w*", form, re.ASCII))


def _found(forms: Forms, text: str) -> list[str]:
    length = len(text)
    found = []
    for form in forms.fixed:
        if len(form) > length:
            break  # status words and most ids are shorter than most forms
        if form in text:
            found.append(form)
    return found


def _redacted(forms: Forms, text: str) -> str:
    found = _found(forms, text)
    if found:  # compiling all of them takes 30 ms where tokens are long; a short one may be part of a longer one
        text = re.sub("|".join(forms.fixed[form] for form in reversed(found)), MARK, text)
    return without_escaped(forms.escapable, text, MARK) if may_hold_escapes(text) else text


def _written_out(letter: str) -> str:
    return letter.encode("unicode_escape").decode("ascii")


def _replaced(
    forms: Forms, value: Any, depth: int, kept: frozenset[str] = frozenset(), codes: frozenset[str] = frozenset()
) -> Any:
    if isinstance(value, str):
        return _redacted(forms, value)
    if isinstance(value, (int, float)) and len(str(value)) >= MIN_NUMBER_LENGTH:
        return value if _redacted(forms, str(value)) == str(value) else MARK
    if isinstance(value, (dict, list)) and depth >= MAX_DEPTH:
        return MARK
    if isinstance(value, dict):
        return {
            name if name in kept else _replaced(forms, name, depth): item
            if name in codes and _is_code(forms, item)
            else _replaced(forms, item, depth + 1, kept, codes)
            for name, item in value.items()
        }
    if isinstance(value, list):
        return [_replaced(forms, item, depth + 1, kept, codes) for item in value]
    return value


def _is_code(forms: Forms, word: object) -> bool:
    """Return True for a plain word in which each secret is short and only a part: as sent, it is of use to programs."""
    if not isinstance(word, (str, int)) or not CODE.fullmatch(str(word)):
        return False
    return all(len(form) < min(WHOLE_WORD_LENGTH, len(str(word))) for form in forms.fixed if form in str(word))


def _forms_of(value: str) -> set[str]:
    from html import escape  # needed where there are secrets, and not for an import

    encoded = value.encode("utf-8", "surrogateescape")
    latin_1 = value.encode("latin-1", "xmlcharrefreplace")
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
        *_base64_of(encoded),
        latin_1.decode("utf-8", "replace"),  # a header that was sent back as it came
        "\0".join(value),  # UTF-16 in a text that is read as UTF-8
        "\0\0\0".join(value),  # UTF-32
    }


def _base64_of(value: bytes) -> set[str]:
    """Return a value in base64: as it is, and without padding or as a part of a longer text where it is no plain word."""
    whole = {b64encode(value).decode(), urlsafe_b64encode(value).decode()}
    if len(value) < WHOLE_WORD_LENGTH:
        return whole
    parts = set()
    for before in range(3):  # the bytes before it, modulo 3
        first, behind = -(-8 * before // 6), 8 * (before + len(value)) // 6  # the digits whose six bits are all its own
        for encoding in (b64encode, urlsafe_b64encode):
            parts.add(encoding(bytes(before) + value).decode()[first:behind])
    return whole | {one.rstrip("=") for one in whole} | parts


def secrets_of_link(url: str) -> list[str]:
    """Return what may be a credential in a link: the query of a signed one, each value of it, user name and password."""
    parts = urlsplit(url)
    values = [value for _, value in parse_qsl(parts.query) if len(value) >= MIN_QUERY_VALUE_LENGTH]
    return [parts.query, parts.fragment, unquote(parts.password or ""), unquote(parts.username or ""), *values]
