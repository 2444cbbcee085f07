"""Redaction of secrets from text that is shown. Data, such as a job's payload, is never redacted."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain, pairwise
from string import ascii_lowercase, ascii_uppercase
from typing import Any, NamedTuple, TypeVar

from .escapes import holds_escaped, may_hold_escapes, spans_of_escaped
from .secret_forms import WHOLE_WORD_LENGTH, escapable_forms, forms_of
from .urls import authority_of, redact_url, secrets_in_url

T = TypeVar("T")


class Forms(NamedTuple):
    """The forms of secrets in a text.

    Attributes:
        fixed: Secret texts, from the shortest to the longest, each with the regular expression that finds it where it
            must be redacted.
        escapable: Secrets that are also searched for with only some of their characters escaped.
        keys: Keys, which are also redacted as whole JSON numbers, however short they are.
    """

    fixed: Mapping[str, str]
    escapable: tuple[str, ...] = ()
    keys: frozenset[str] = frozenset()


MARK = "[redacted]"
"""The replacement of a secret."""

MAX_SHOWN_LENGTH = 200
"""A text of a server is cut to so many characters, before its control characters are escaped."""

CODE = re.compile(r"[A-Za-z0-9_.-]+")
"""A machine-readable code in an error body. A short key that is a part of it by chance is not redacted."""

MIN_NUMBER_LENGTH = 6
"""A JSON number of at least so many digits may be a key that a server echoes, not a count or a status code."""

MAX_STATUS_CODE = 1000
"""An integer below it in the field of a code is an HTTP status (RFC 9110, section 15), also if a key is the same number."""

MAX_ROTATED_KEYS = 8
"""How many rotated keys of a client are still redacted, and how many secrets of those that one call sent: the latest."""

MAX_DEPTH = 50
"""Deeper levels of an error body are replaced as a whole. Only an attack on the reader nests so deeply."""


class _RotatedKeys:
    """The rotated keys of a client. Threads add and read them without a lock, which the child of a fork could find held."""

    def __init__(self) -> None:
        self._uses: dict[object, tuple[str, ...]] = {}

    def add(self, secrets: tuple[str, ...]) -> None:
        """Add the secrets in a key, or note that it is in use again."""
        self._uses[object()] = secrets  # a use of its own, as no thread may replace what another one noted later
        if len(self._uses) > 4 * MAX_ROTATED_KEYS:
            self._forget_early_uses()

    def _forget_early_uses(self) -> None:
        latest: set[tuple[str, ...]] = set()
        for use, forms in reversed(self._uses.copy().items()):
            if forms in latest or len(latest) == MAX_ROTATED_KEYS:
                self._uses.pop(use, None)  # another thread may have forgotten it
            else:
                latest.add(forms)

    def latest_forms(self) -> Iterable[str]:
        """Return the forms of the latest `MAX_ROTATED_KEYS` keys, in the same order whichever of them was used last."""
        latest = dict.fromkeys(reversed(self._uses.copy().values()))
        return chain.from_iterable(sorted(list(latest)[:MAX_ROTATED_KEYS]))


class _AllForms(NamedTuple):
    """The secrets in every form.

    Attributes:
        rotated: The rotated keys that they include.
        everything: All secrets.
        long: Those of at least `WHOLE_WORD_LENGTH` characters, which are nowhere by chance.
        unlike_words: Those that are neither words nor status codes, of which our own sentences consist.
        keys: The keys.
        lower_keys: The long keys in lower case.
    """

    rotated: tuple[str, ...]
    everything: Forms
    long: Forms
    unlike_words: Forms
    keys: Forms
    lower_keys: Forms


class Redactor:
    """The values that no text may show: the keys, the caller's headers, the user information of a URL, a signed link.

    A server can echo them, unchanged or encoded. Any text from a server passes one of the methods here before it
    becomes part of a log line, a message or a `repr`. Keys are redacted anywhere, however short they are. Ids of jobs
    and idempotency keys, which people have to copy, are redacted only if they hold a key.
    """

    def __init__(
        self,
        keys: Iterable[str] = (),
        headers: Iterable[str] = (),
        links: Iterable[str] = (),
        users: Iterable[str] = (),
    ) -> None:
        """Create a redactor.

        Args:
            keys: Keys and passwords, redacted anywhere.
            headers: Values of headers. A short one is only redacted as a whole word.
            links: Parts of signed links, redacted anywhere except in an id.
            users: User names that have a password, only redacted as whole words, as a user may be called "job".
        """
        self._keys = tuple(keys)
        self._headers = tuple(headers)
        self._links = tuple(links)
        self._users = tuple(users)
        self._rotated = _RotatedKeys()
        self._sent: tuple[str, ...] = ()
        self._root: Redactor | None = None
        self._latest: Redactor | None = None
        self._cached: _AllForms | None = None

    def __repr__(self) -> str:
        return f"Redactor({MARK})"

    def add_key(self, secrets: tuple[str, ...]) -> None:
        """Add the secrets in a rotated key. The latest `MAX_ROTATED_KEYS` are kept, and `with_keys` keeps those of one call."""
        self._rotated.add(secrets)

    def with_link(self, url: str) -> Redactor:
        """Return a redactor that also hides the parts of a signed link. Rotated keys are shared with this one."""
        more = Redactor(self._keys, self._headers, [*self._links, *secrets_in_url(url)], self._users)
        more._rotated, more._sent = self._rotated, self._sent
        return more

    def with_keys(self, keys: tuple[str, ...]) -> Redactor:
        """Return a redactor that also hides `keys` of one request, whatever other requests add meanwhile.

        The last `MAX_ROTATED_KEYS` keys of earlier requests are kept too: a call of the client may consist of several
        requests. Rotated keys are shared with this one.
        """
        added = [key for key in keys if key not in self._sent]
        if not added:
            return self
        sent = (*self._sent, *added)[-MAX_ROTATED_KEYS:]
        root = self._root or self
        latest = root._latest  # thousands of jobs may share the response to one request, and this redactor
        if latest is None or latest._sent != sent:
            latest = Redactor(self._keys, self._headers, self._links, self._users)
            latest._rotated, latest._sent, latest._root = self._rotated, sent, root
            root._latest = latest
        return latest

    @property
    def _forms(self) -> _AllForms:
        rotated = (*self._rotated.latest_forms(), *self._sent)
        kept = self._cached
        if kept is None or kept.rotated != rotated:
            kept = self._cached = self._forms_with(rotated)
        return kept

    def _forms_with(self, rotated: tuple[str, ...]) -> _AllForms:
        words = [*self._users, *(value for value in self._headers if len(value) < WHOLE_WORD_LENGTH)]
        anywhere = [*self._links, *(value for value in self._headers if len(value) >= WHOLE_WORD_LENGTH)]
        keys = _patterns_of((*self._keys, *rotated))
        whole_words = {form: _whole_word(form) for form in _patterns_of(words)}
        everything = _shortest_first({**whole_words, **_patterns_of(anywhere), **keys})
        escapable_keys = escapable_forms((*self._keys, *rotated))
        escapable = (*escapable_forms(anywhere), *escapable_keys)
        return _AllForms(
            rotated,
            everything=Forms(everything, escapable, frozenset((*self._keys, *rotated))),
            long=Forms(_long(everything), tuple(_long(dict.fromkeys(escapable, "")))),
            unlike_words=Forms(_unlike_words(everything), escapable),
            keys=Forms(_shortest_first(keys), escapable_keys),
            lower_keys=Forms(_shortest_first(_in_lower_case(_long(keys)))),
        )

    def redact(self, value: T) -> T:
        """Return a copy of a JSON value with every secret in its texts and object keys replaced by a mark."""
        redacted: T = _replaced(self._forms.everything, value, 0)
        return redacted

    def redact_fields(self, fields: Mapping[str, Any], kept: frozenset[str], codes: frozenset[str]) -> dict[str, Any]:
        """Return a copy of a JSON object as `redact` does, but keep known names, and codes that contain a short key.

        Args:
            fields: The object.
            kept: Known names, which are not a secret that a server echoes.
            codes: The names in `kept` with machine-readable values. Such a value stays if a short key is a part of it.
        """
        return {**_replaced(self._forms.everything, dict(fields), 0, kept, codes)}

    def printable(self, text: str, length: int = MAX_SHOWN_LENGTH) -> str:
        """Return a server's text as it may be shown: without secrets, shortened, control characters escaped."""
        return _printable(self.redact(text)[:length])

    def redact_message(self, text: str) -> str:
        """Return a text of ours that may quote a server as `printable` does, but keep our own words.

        A mark in place of one would tell that the secret is this word, or a short part of it. A plain word is redacted only
        if it is long and quoted, as a host in a text of the system is.
        """
        forms = self._forms
        quoted = [match.span() for match in _QUOTED.finditer(text)]
        candidates = [*_spans_of(forms.long, text), *_spans_of(forms.lower_keys, text.translate(_LOWER_CASE))]
        spans = [
            (start, end) for start, end in candidates if any(first < start and end < stop for first, stop in quoted)
        ]
        return _printable(_marked(text, [*spans, *_all_spans_of(forms.unlike_words, text)])[:MAX_SHOWN_LENGTH])

    def redact_id(self, value: str) -> str:
        """Return a job id, an idempotency key or a URL as it may be shown: unchanged, unless it contains a key."""
        keys = self._forms.keys
        if not keys.fixed:
            return value
        has_key = _forms_in(keys, value) or (may_hold_escapes(value) and holds_escaped(keys.escapable, value))
        return self.redact(value) if has_key else value

    def redact_link(self, url: str) -> str:
        """Return a URL that a server sent as it may be shown: without user information, query, fragment and secrets."""
        shown, forms = redact_url(url), self._forms
        origin = authority_of(shown)
        if any(self._has_secret_host(authority) for authority in (authority_of(url), origin)):
            return "a URL with a secret in its host"
        in_path = _all_spans_of(forms.everything, shown[len(origin) :])
        spans = [
            *_all_spans_of(forms.long, shown),
            *((len(origin) + start, len(origin) + end) for start, end in in_path),
        ]
        return _printable(_marked(shown, spans)[:MAX_SHOWN_LENGTH])

    def _has_secret_host(self, authority: str) -> bool:
        """Return True if there is a secret in the host of a URL, whose letters a server may have made lower case.

        Short values of headers, such as the 1 of 127.0.0.1, do not count.
        """
        forms, host = self._forms, authority.partition("//")[2].rpartition("@")[2]
        spans = _all_spans_of(forms.long, host) or _all_spans_of(forms.keys, host)
        return bool(spans or _spans_of(forms.lower_keys, host.translate(_LOWER_CASE)))

    def contains_secret(self, text: str) -> bool:
        """Return True if a text contains a secret."""
        return self.redact(text) != text


_LIKE_OUR_WORDS = re.compile(r"[A-Za-z ]*|[0-9]{1,3}")
"""Secrets that may also be words or numbers of a sentence of ours, which must stay readable."""

_QUOTED = re.compile(r"""(?<!\w)'[^']*'|"[^"]*\"""")
_LOWER_CASE = str.maketrans(ascii_uppercase, ascii_lowercase)


def _unlike_words(forms: Mapping[str, str]) -> dict[str, str]:
    unlike = {form: pattern for form, pattern in forms.items() if not _LIKE_OUR_WORDS.fullmatch(form)}
    return {form: _whole_word(form) if len(form) < WHOLE_WORD_LENGTH else unlike[form] for form in unlike}


def _long(forms: Mapping[str, str]) -> dict[str, str]:
    return {form: pattern for form, pattern in forms.items() if len(form) >= WHOLE_WORD_LENGTH}


def _in_lower_case(forms: Iterable[str]) -> dict[str, str]:
    lower = (form.translate(_LOWER_CASE) for form in forms)
    return {form: re.escape(form) for form in lower}


def _patterns_of(values: Iterable[str]) -> dict[str, str]:
    """Map each form of some values to its regular expression."""
    return {form: re.escape(form) for value in values if value for form in forms_of(value)}


def _shortest_first(forms: Mapping[str, str]) -> dict[str, str]:
    return {form: forms[form] for form in sorted(forms, key=len)}


def _forms_in(forms: Forms, text: str) -> list[str]:
    """Return the forms that a text contains, the shortest first."""
    length = len(text)
    contained = []
    for form in forms.fixed:
        if len(form) > length:
            break  # most status words and ids are shorter than most forms
        if form in text:
            contained.append(form)
    return contained


def _redacted(forms: Forms, text: str) -> str:
    spans = _all_spans_of(forms, text)
    return _marked(text, spans) if spans else text


def _all_spans_of(forms: Forms, text: str) -> list[tuple[int, int]]:
    """Return the start and end of each secret in a text, also where it is escaped or has line breaks."""
    spans = _spans_of(forms, text)
    if may_hold_escapes(text) and holds_escaped(forms.escapable, text):
        spans += spans_of_escaped(forms.escapable, text)
    if not text.isprintable() or "\\" in text:
        spans += _spans_of_wrapped(forms, text)
    return spans


def _spans_of(forms: Forms, text: str, min_length: int = 1) -> list[tuple[int, int]]:
    contained = [form for form in _forms_in(forms, text) if len(form) >= min_length]
    if not contained:  # compiling all takes 30 ms for long tokens
        return []
    pattern = "|".join(forms.fixed[form] for form in reversed(contained))  # a short one may be part of a longer one
    return [match.span(1) for match in re.finditer(f"(?=({pattern}))", text)]


_LINE_BREAK = re.compile(r"[\r\n]|\\[rn]")  # as it is, and in JSON


def _spans_of_wrapped(forms: Forms, text: str) -> Iterator[tuple[int, int]]:
    """Yield the start and end of each long secret in a text that may break its lines, as base64 does in MIME (RFC 2045)."""
    breaks = [match.span() for match in _LINE_BREAK.finditer(text)]
    lines = [range(end, start) for (_, end), (start, _) in pairwise([(0, 0), *breaks, (len(text), len(text))])]
    positions = [at for line in lines for at in line]
    joined = "".join(text[line.start : line.stop] for line in lines)
    for start, end in _spans_of(forms, joined, WHOLE_WORD_LENGTH):
        yield positions[start], positions[end - 1] + 1


def _marked(text: str, spans: Iterable[tuple[int, int]]) -> str:
    """Return a text with a mark for each span. Those that overlap have one together."""
    parts, done = [], 0
    for start, end in sorted(spans):
        if start < done:
            done = max(done, end)
        else:
            parts += [text[done:start], MARK]
            done = end
    return "".join([*parts, text[done:]])


def _printable(text: str) -> str:
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() else _escape_sequence(letter) for letter in text)


def _escape_sequence(letter: str) -> str:
    return letter.encode("unicode_escape").decode("ascii")


def _whole_word(value: str) -> str:
    return rf"(?<!\w){re.escape(value)}(?!\w)"


def _replaced(
    forms: Forms, value: Any, depth: int, kept: frozenset[str] = frozenset(), codes: frozenset[str] = frozenset()
) -> Any:
    if isinstance(value, str):
        return _redacted(forms, value)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        text = str(value)
        is_secret = text in forms.keys or (len(text) >= MIN_NUMBER_LENGTH and _redacted(forms, text) != text)
        return MARK if is_secret else value
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


def _is_code(forms: Forms, value: object) -> bool:
    """True for a plain word that contains secrets only as short parts. Programs need it unchanged."""
    if not isinstance(value, (str, int)) or not CODE.fullmatch(str(value)):
        return False
    if isinstance(value, int) and value < MAX_STATUS_CODE:
        return True  # rather than a short key that a server echoes
    return all(len(form) < min(WHOLE_WORD_LENGTH, len(str(value))) for form in forms.fixed if form in str(value))
