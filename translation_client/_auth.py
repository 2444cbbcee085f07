"""The API key and other headers that only one origin may get, and redaction of secrets from text that is shown.

Data, such as a job's payload, is never redacted. Origins are compared by the URL parser of urllib3, which requests uses
too, so that a key cannot go to another host.
"""

from __future__ import annotations

import json
import os
import re
import sys
from base64 import b64decode, b64encode, urlsafe_b64encode
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from itertools import chain, pairwise
from string import ascii_lowercase, ascii_uppercase
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol, TypeVar
from urllib.parse import SplitResult, parse_qsl, quote, quote_plus, unquote, urljoin, urlsplit

import requests
from urllib3.exceptions import LocationParseError
from urllib3.util.url import Url, parse_url

ApiKey = str | Callable[[], str]
"""A key, or a function that returns the current one, such as a token that expires."""

MIN_PARAMETER_LENGTH = 10
"""A shorter value of a cookie, or of a parameter after a scheme, is a setting, such as `en` or `auth`."""

_SCHEME = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+)[ \t]+(.+)", re.DOTALL)  # RFC 9110, section 11.4


class _Parts(NamedTuple):
    """The secrets in headers, sorted by how they are redacted. See `Redactor`."""

    keys: Iterable[str] = ()
    headers: Iterable[str] = ()
    users: Iterable[str] = ()


class KeyScheme(Protocol):
    """How a service takes its API key: the attributes of `Service` of the same names."""

    @property
    def name(self) -> str:
        """The name of the service."""

    @property
    def key_header(self) -> str:
        """The name of the header that carries the key."""

    @property
    def key_variable(self) -> str | None:
        """The environment variable that holds the key, or None."""

    @property
    def needs_key(self) -> bool:
        """True if the service rejects requests without a key."""

    def key_headers(self, api_key: str) -> dict[str, str]:
        """Return the headers that carry a key."""


class Auth:
    """The headers that only the origin of `base_url` gets.

    Attributes:
        fixed: The headers that do not change, including the caller's own.
        secrets: The redactor for all secrets in the headers.
    """

    def __init__(
        self,
        service: KeyScheme,
        address: BaseURL,
        api_key: ApiKey | None,
        headers: Mapping[str, str] | None,
        session: Any,
    ) -> None:
        """Choose the key: `api_key`, else the environment variable of the service.

        Args:
            service: How the service takes its key.
            address: The base URL. Its user information is sent as basic authentication.
            api_key: The key, or a function that returns it; None for the environment variable.
            headers: The caller's own headers, or None.
            session: The caller's session, whose headers and auth may hold credentials; None for ours.

        Raises:
            ValueError: The key or a header cannot be sent, the key is missing and needed, or two share a header.
            TypeError: `api_key` or `headers` is of the wrong type.
        """
        own = check_headers(headers)
        basic = _basic(address)
        key = check_api_key(api_key)
        proven = basic or _has_credentials(service, own) or _session_has_credentials(service, session)
        if key is None and not proven:
            key = _key_from_environment(service)
        if key is None and not proven and service.needs_key:
            variable = service.key_variable
            other_way = "" if variable is None else f", or the environment variable {variable} set"
            raise ValueError(f"api_key must be given{other_way}: the service {service.name!r} requires one")
        self._service = service
        self._key_function = key if callable(key) and not _shares_name(service.key_header, own) else None
        self._replaced_names = {name.lower() for name in (*basic, *own)}
        key_headers = service.key_headers(key) if isinstance(key, str) else {}
        key_names = key_headers if isinstance(key, str) else [service.key_header]
        if basic and key is not None and "authorization" in {name.lower() for name in key_names}:
            raise ValueError("api_key and the user information in base_url would share a header: give one of them")
        self.fixed: Mapping[str, str] = merged_headers(key_headers, basic, own)
        parts = [
            _parts_of_key(key) if isinstance(key, str) else _Parts(),
            *(_parts_of_header(service, name, value) for name, value in own.items()),
            *_parts_of_session(service, session),
            _parts_of_pair(address.username, address.password),
        ]
        self.secrets = Redactor(
            [value for part in parts for value in part.keys],
            [*own.values(), *(value for part in parts for value in part.headers)],
            users=[value for part in parts for value in part.users],
        )

    def changing(self) -> KeyHeaders:
        """Return the headers with the current key from `api_key()`, or none if the key is fixed.

        Raises:
            ValueError: The key is empty, or cannot be sent in a header.
            TypeError: The key is not a string.
        """
        if self._key_function is None:
            return NO_KEY
        key = check_header_value("what api_key() returns", self._key_function())
        if not key:
            raise ValueError("what api_key() returns must not be empty")
        parts = _parts_of_key(key)
        forms = dict.fromkeys([*parts.keys, *parts.headers])
        self.secrets.add_key(tuple(forms))
        headers = KeyHeaders(self._service.key_headers(key), forms)
        for name in [name for name in headers if name.lower() in self._replaced_names]:
            del headers[name]
        return headers


def _has_credentials(service: KeyScheme, headers: Mapping[str, str]) -> bool:
    return _shares_name(service.key_header, headers) or _shares_name("Authorization", headers)


def _session_has_credentials(service: KeyScheme, session: Any) -> bool:
    auth, headers = getattr(session, "auth", None), getattr(session, "headers", None)
    return auth is not None or (isinstance(headers, Mapping) and _has_credentials(service, headers))


def _shares_name(name: str, headers: Mapping[str, str]) -> bool:
    return name.lower() in {other.lower() for other in headers}


def _key_from_environment(service: KeyScheme) -> str | None:
    variable = service.key_variable
    key = os.environ.get(variable) if variable is not None else None
    return check_header_value(f"the environment variable {variable}", key) if key else None


def _basic(address: BaseURL) -> dict[str, str]:
    if not address.username and not address.password:
        return {}
    pair = f"{address.username}:{address.password}".encode()
    return {"Authorization": "Basic " + b64encode(pair).decode("ascii")}


def _parts_of_key(key: str) -> _Parts:
    """Return the secrets in a key that may follow a scheme, such as `Bearer`, or `Basic` with a password."""
    scheme = _SCHEME.fullmatch(key)
    if scheme is None:
        return _Parts([key])
    rest = scheme[2].strip()
    pair = _decoded_pair(rest) if scheme[1].lower() == "basic" else ("", "")
    secret = _parts_of_pair(*pair)
    return _Parts([key, rest, *secret.keys], [*_parameters(rest), *secret.headers], secret.users)


def _parameters(text: str) -> list[str]:
    values = [pair.partition("=")[2].strip(' "') for pair in re.split("[;,]", text)]
    return [value for value in values if len(value) >= MIN_PARAMETER_LENGTH]


def _parts_of_header(service: KeyScheme, name: str, value: str) -> _Parts:
    """Return the secrets in a header, except its whole value."""
    if name.lower() == "cookie":
        return _Parts(headers=_parameters(value))
    if name.lower().endswith("authorization") or name.lower() == service.key_header.lower():
        return _parts_of_key(value)
    return _Parts()


def _parts_of_session(service: KeyScheme, session: Any) -> list[_Parts]:
    """Return the secrets in a caller's session at this moment. The type of the session is checked elsewhere."""
    headers, auth = getattr(session, "headers", None), getattr(session, "auth", None)
    fields = headers.items() if isinstance(headers, Mapping) else ()
    parts = [_parts_of_header(service, _text(name), _text(value)) for name, value in fields]
    named = (getattr(auth, "username", ""), getattr(auth, "password", ""))
    pair = auth[:2] if isinstance(auth, tuple) else named  # aiohttp's has an encoding as its third item
    return [*parts, _parts_of_session_auth(*map(_text, pair))] if len(pair) == 2 else parts


def _parts_of_session_auth(username: str, password: str) -> _Parts:
    """Return the secrets in the `auth` of a caller's session, which may be for another origin than ours.

    A short password of it, such as "test", is only redacted as a whole word, as it may be a part of any id.
    """
    if username and password and len(password) < WHOLE_WORD_LENGTH:
        return _Parts([f"{username}:{password}"], headers=[password], users=[username])
    return _parts_of_pair(username, password)


def _parts_of_pair(username: str, password: str) -> _Parts:
    """Return the secrets in user information. A user name without a password is a token."""
    if not password:
        return _Parts([username, f"{username}:"]) if username else _Parts()
    return _Parts([password, f"{username}:{password}"], users=[username])


def _decoded_pair(encoded: str) -> tuple[str, str]:
    try:
        pair = b64decode(encoded + "=" * (-len(encoded) % 4), altchars=b"-_" if re.search("[-_]", encoded) else None)
    except ValueError:
        return "", ""
    username, _, password = _text(pair).partition(":")
    return username, password


def _text(value: Any) -> str:
    """Return a header's value or a part of a pair as text: requests accepts bytes and numbers too."""
    if not isinstance(value, bytes):
        return "" if value is None else str(value)
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # a token, RFC 9110 section 5.6.2
_HEADER_VALUE = re.compile(r"([\x21-\x7e\x80-\xff]([\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?)?")  # RFC 9110 5.5


BEARER = "Bearer "
"""The scheme of a token (RFC 6750, section 2.1). A key that begins with it is always sent in `Authorization`."""


class KeyHeaders(dict[str, str]):
    """Headers that may hold a key, and do not show it in a traceback with locals.

    Attributes:
        secrets: A rotating key, in the forms in which a server may echo it; empty if the key is fixed.
    """

    def __init__(self, headers: Mapping[str, str] = MappingProxyType({}), secrets: Iterable[str] = ()) -> None:
        super().__init__(headers)
        self.secrets = tuple(secrets)

    def __repr__(self) -> str:
        return "KeyHeaders(…)"


def merged_headers(*groups: Mapping[str, str]) -> KeyHeaders:
    """Return all headers. One of a later group replaces those of the same name in any case (RFC 9110, section 5.1)."""
    merged, spellings = KeyHeaders(), dict[str, str]()
    for group in groups:
        for name in group:  # no local variable holds a value, which a traceback would show
            merged.pop(spellings.get(name.lower(), ""), None)
            spellings[name.lower()] = name
            merged[name] = group[name]
    return merged


NO_KEY = KeyHeaders()
"""The headers of a rotating key where there is none."""


def secrets_in(headers: KeyHeaders | None) -> tuple[str, ...]:
    """Return the rotating key in some headers, in all its forms, or nothing if it is fixed or there are no headers."""
    return () if headers is None else headers.secrets


def check_header_value(name: str, value: str) -> str:
    """Return a string that may be sent in a header. The errors do not show it.

    Args:
        name: What the error calls the value.
        value: The value of the header.

    Raises:
        TypeError: `value` is not a string.
        ValueError: `value` has a control character, a blank at an end, or a character beyond Latin-1.
    """
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a string, got a value of type {type(value).__name__}")
    if not _HEADER_VALUE.fullmatch(value):
        del value  # a traceback with local variables would show it
        raise ValueError(
            f"{name} cannot be sent in a header: it begins or ends with a blank, or holds a control character "
            "or one beyond Latin-1 (its value is not shown, as it may be secret)"
        )
    return value


def check_api_key(value: str | Callable[[], str] | None) -> str | Callable[[], str] | None:
    """Return None, a key that can be sent, or a function that returns one.

    Raises:
        TypeError: `value` is a class, or of another type.
        ValueError: `value` is empty, or invalid as in `check_header_value`.
    """
    if isinstance(value, type):
        raise TypeError("api_key must be a string or a function that returns one, and no class")
    if callable(value):
        return value
    if value == "":
        raise ValueError("api_key must not be empty; leave it out where the service needs none")
    return None if value is None else check_header_value("api_key", value)


FRAMING_HEADERS = ("content-length", "transfer-encoding")
"""Headers that say where the body of a request ends. A wrong one would cut it."""


def check_headers(headers: Mapping[str, str] | None) -> dict[str, str]:
    """Return the headers as a dictionary, which is empty for None.

    Raises:
        TypeError: `headers` is not a mapping of strings to strings.
        ValueError: A name is not a header name, or a value is invalid as in `check_header_value`.
    """
    if headers is None:
        return {}
    if not isinstance(headers, Mapping):
        raise TypeError(f"headers must be a mapping, got a value of type {type(headers).__name__}")
    for name, value in headers.items():
        if not isinstance(name, str) or not _HEADER_NAME.fullmatch(name):
            raise ValueError(f"headers must have names that HTTP allows, got {name!r}")
        if name.lower() in FRAMING_HEADERS:
            raise ValueError(f"headers must not have {name!r}, which is set from the body of each request")
        check_header_value(f"headers[{name!r}]", value)
    return dict(headers)


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

WHOLE_WORD_LENGTH = 8
"""A shorter secret may be a part of a word by chance. As a header's value it is only redacted as a whole word."""

CODE = re.compile(r"[A-Za-z0-9_.-]+")
"""A machine-readable code in an error body. A short key that is a part of it by chance is not redacted."""

MIN_NUMBER_LENGTH = 6
"""A JSON number of at least so many digits may be a key that a server echoes, not a count or a status code."""

MAX_STATUS_CODE = 1000
"""An integer below it in the field of a code is an HTTP status (RFC 9110, section 15), also if a key is the same number."""

MIN_QUERY_VALUE_LENGTH = 6
"""A shorter value in the query of a link is not a signature."""

MAX_ROTATED_KEYS = 8
"""How many rotated keys are still redacted: the latest of a client, and the latest forms of those of each of its calls."""

MAX_DEPTH = 50
"""Deeper levels of an error body are replaced as a whole. Only an attack on the reader nests so deeply."""


class _RotatedKeys:
    """The rotated keys of a client. Threads that add and read them at once take no lock: the child of a fork may add, too."""

    def __init__(self) -> None:
        self._uses: dict[object, tuple[str, ...]] = {}

    def add(self, forms: tuple[str, ...]) -> None:
        """Add a key in all its forms, or note that it is in use again."""
        self._uses[object()] = forms  # a use of its own, as no thread may replace what another one noted later
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
    and idempotency keys, which a person must be able to copy, are only redacted for keys.
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
        self._kept: _AllForms | None = None

    def __repr__(self) -> str:
        return f"Redactor({MARK})"

    def add_key(self, forms: tuple[str, ...]) -> None:
        """Add a rotated key in all its forms. The latest `MAX_ROTATED_KEYS` are kept; `with_keys` keeps those of one call."""
        self._rotated.add(forms)

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
        kept = self._kept
        if kept is None or kept.rotated != rotated:
            kept = self._kept = self._forms_with(rotated)
        return kept

    def _forms_with(self, rotated: tuple[str, ...]) -> _AllForms:
        words = [*self._users, *(value for value in self._headers if len(value) < WHOLE_WORD_LENGTH)]
        anywhere = [*self._links, *(value for value in self._headers if len(value) >= WHOLE_WORD_LENGTH)]
        keys = _escaped((*self._keys, *rotated))
        whole_words = {form: _whole_word(form) for form in _escaped(words)}
        everything = _shortest_first({**whole_words, **_escaped(anywhere), **keys})
        escapable_keys = _escapable((*self._keys, *rotated))
        escapable = (*_escapable(anywhere), *escapable_keys)
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
        """Return a text of ours that may quote a server as `printable` does, but with our own words as they are.

        If they were redacted because a secret is such a word, or a short part of one, they would tell the secret. A plain
        word is redacted only if it is long and quoted, as a host in a text of the system is.
        """
        forms = self._forms
        quoted = [match.span() for match in _QUOTED.finditer(text)]
        in_quotes = [*_spans_of(forms.long, text), *_spans_of(forms.lower_keys, text.translate(_LOWER_CASE))]
        spans = [
            (start, end) for start, end in in_quotes if any(first < start and end < stop for first, stop in quoted)
        ]
        return _printable(_marked(text, [*spans, *_all_spans_of(forms.unlike_words, text)])[:MAX_SHOWN_LENGTH])

    def redact_id(self, value: str) -> str:
        """Return a job id, an idempotency key or a URL as it may be shown: unchanged, unless it contains a key."""
        keys = self._forms.keys
        if not keys.fixed:
            return value
        has_key = _found(keys, value) or (may_hold_escapes(value) and holds_escaped(keys.escapable, value))
        return self.redact(value) if has_key else value

    def redact_link(self, url: str) -> str:
        """Return a URL that a server sent as it may be shown: without user information, query, fragment and secrets."""
        shown, forms = redact_url(url), self._forms
        origin = _authority(shown)
        if any(self._has_secret_host(authority) for authority in (_authority(url), origin)):
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
        found = _all_spans_of(forms.long, host) or _all_spans_of(forms.keys, host)
        return bool(found or _spans_of(forms.lower_keys, host.translate(_LOWER_CASE)))

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


def _escaped(values: Iterable[str]) -> dict[str, str]:
    """Map each form of some values to its regular expression."""
    return {form: re.escape(form) for value in values if value for form in _forms_of(value)}


def _shortest_first(forms: Mapping[str, str]) -> dict[str, str]:
    return {form: forms[form] for form in sorted(forms, key=len)}


def _escapable(values: Iterable[str]) -> tuple[str, ...]:
    """Return the values, also unescaped and with `+` for blanks, without short plain words.

    A text may hold them half escaped, or escaped twice. A value that looks escaped itself is unescaped with it. In
    base64, `+`, `/` and `=` are escaped.
    """
    values = [value for value in values if value]
    read = dict.fromkeys(form for value in values for form in (*readings_of(value), *layers_of(value)))
    plain = (form for layer in read for form in (layer, layer.replace(" ", "+")))
    every = dict.fromkeys(chain(plain, *(_base64_of(sent) for value in values for sent in _encodings_of(value))))
    return tuple(form for form in every if len(form) >= WHOLE_WORD_LENGTH or not re.fullmatch(r"\w*", form, re.ASCII))


def _found(forms: Forms, text: str) -> list[str]:
    length = len(text)
    found = []
    for form in forms.fixed:
        if len(form) > length:
            break  # most status words and ids are shorter than most forms
        if form in text:
            found.append(form)
    return found


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
    found = [form for form in _found(forms, text) if len(form) >= min_length]
    if not found:  # compiling all takes 30 ms for long tokens
        return []
    pattern = "|".join(forms.fixed[form] for form in reversed(found))  # a short one may be part of a longer one
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


def _is_code(forms: Forms, word: object) -> bool:
    """True for a plain word that contains secrets only as short parts. Programs need it unchanged."""
    if not isinstance(word, (str, int)) or not CODE.fullmatch(str(word)):
        return False
    if isinstance(word, int) and word < MAX_STATUS_CODE:
        return True  # rather than a short key that a server echoes
    return all(len(form) < min(WHOLE_WORD_LENGTH, len(str(word))) for form in forms.fixed if form in str(word))


def _forms_of(value: str) -> set[str]:
    from html import escape  # imported only if there are secrets

    return {
        *readings_of(value),
        *(form for sent in _encodings_of(value) for form in (*_percent_forms(sent), *_base64_of(sent))),
        escape(value),
        json.dumps(value)[1:-1],
        json.dumps(value)[1:-1].replace("/", "\\/"),
        json.dumps(value, ensure_ascii=False)[1:-1],
        "\0".join(value),  # UTF-16 in a text that is read as UTF-8
        "\0\0\0".join(value),  # UTF-32
    }


def _encodings_of(value: str) -> tuple[bytes, ...]:
    """Return a value in the bytes in which it may be sent: UTF-8 as in user information, Latin-1 as in a header."""
    utf_8, latin_1 = value.encode("utf-8", "surrogateescape"), value.encode("latin-1", "xmlcharrefreplace")
    return (utf_8,) if utf_8 == latin_1 else (utf_8, latin_1)


def readings_of(value: str) -> tuple[str, ...]:
    """Return a value as servers may read its bytes: as they were meant, or UTF-8 as Latin-1, or the other way round."""
    if value.isascii():
        return (value,)
    utf_8, latin_1 = _encodings_of(value)
    return (
        value,
        utf_8.decode("latin-1"),
        utf_8.decode("cp1252", "replace"),  # what browsers take for Latin-1 (WHATWG Encoding Standard, section 4.2)
        latin_1.decode("utf-8", "replace"),
    )


def _percent_forms(value: bytes) -> set[str]:
    all_escaped = quote(value, safe="")
    lower = re.sub("%..", lambda code: code[0].lower(), all_escaped)
    return {all_escaped, lower, quote(value), quote_plus(value)}


def _base64_of(value: bytes) -> set[str]:
    """Return a value in base64: whole, and unless it is short, also without padding and as a part of a longer text."""
    encoded = {b64encode(value).decode(), urlsafe_b64encode(value).decode()}
    if len(value) < WHOLE_WORD_LENGTH:
        return encoded | {form.replace("+", " ") for form in encoded}
    parts = set()
    for before in range(3):  # the bytes before it, modulo 3
        first, behind = -(-8 * before // 6), 8 * (before + len(value)) // 6  # the digits whose six bits are all its own
        for encoding in (b64encode, urlsafe_b64encode):
            parts.add(encoding(bytes(before) + value).decode()[first:behind])
    found = encoded | {form.rstrip("=") for form in encoded} | parts
    return found | {form.replace("+", " ") for form in found}  # as a form is decoded


def secrets_in_url(url: str) -> list[str]:
    """Return the possible credentials in a link: query, fragment, long query values, user name and password."""
    parts = urlsplit(url)
    values = [value for _, value in parse_qsl(parts.query) if len(value) >= MIN_QUERY_VALUE_LENGTH]
    return [parts.query, parts.fragment, unquote(parts.password or ""), unquote(parts.username or ""), *values]


MAX_LAYERS = 4
"""How often a text is unescaped: JSON in JSON in HTML, and one more. A pass takes time in proportion to its length."""

_ENTITY = "&(?:#[0-9]{1,7}|#[Xx][0-9A-Fa-f]{1,6}|[A-Za-z]{2,32});"
_ESCAPE = (  # each part has a bounded length, so that no text makes the search slow
    r"%[CcDd][0-9A-Fa-f]%[89ABab][0-9A-Fa-f]"
    r"|%[Ee][0-9A-Fa-f](?:%[89ABab][0-9A-Fa-f]){2}"
    r"|%[Ff][0-7](?:%[89ABab][0-9A-Fa-f]){3}"
    r"|%[0-9A-Fa-f]{2}"
    rf"|\\(?:u[0-9A-Fa-f]{{4}}|x[0-9A-Fa-f]{{2}}|(?!{_ENTITY}).)"  # JSON in HTML has the entity of what it escapes there
    rf"|{_ENTITY}"
)

_CONTROL_ESCAPES = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}  # RFC 8259, section 7


@cache
def _escape() -> re.Pattern[str]:
    return re.compile(_ESCAPE, re.DOTALL)  # not for an import


@cache
def _names() -> Mapping[str, str]:
    from html.entities import html5  # takes longer to import than this module

    return html5


def may_hold_escapes(text: str) -> bool:
    """Return True if a text contains a character that starts an escape."""
    return "%" in text or "\\" in text or "&" in text


def unescaped_once(text: str) -> str:
    """Replace each escape by its meaning. An escape that only appears then is left."""
    return _escape().sub(_meaning, text) if may_hold_escapes(text) else text


def layers_of(text: str) -> Iterator[str]:
    """Yield a text unescaped once, twice and so on, until nothing changes."""
    for _ in range(MAX_LAYERS):
        unescaped = unescaped_once(text)
        if unescaped == text:
            return
        yield unescaped
        text = unescaped


def holds_escaped(values: Iterable[str], text: str) -> bool:
    """Return True if a text contains one of the values with at least one character escaped."""
    return any(value in layer for layer in layers_of(text) for value in values)


def spans_of_escaped(values: Iterable[str], text: str) -> Iterator[tuple[int, int]]:
    """Yield the start and end of each value in a text, at least one character of which is escaped."""
    layer, positions = text, list(range(len(text) + 1))
    for unescaped in layers_of(text):
        layer, positions = unescaped, _mapped_positions(layer, positions)
        for value in values:
            at = layer.find(value)
            while at >= 0:
                yield positions[at], _end_of(positions, at + len(value))
                at = layer.find(value, at + 1)


def _end_of(positions: list[int], end: int) -> int:
    """Return the position after a part of a layer. The last characters of the part may share an escape with later ones."""
    while end < len(positions) - 1 and positions[end] == positions[end - 1]:
        end += 1
    return positions[end]


def _mapped_positions(layer: str, positions: list[int]) -> list[int]:
    """Return the position in the text of each character of a layer after unescaping, and the end of the text."""
    moved: list[int] = []
    end = 0
    for escape in _escape().finditer(layer):
        moved += positions[end : escape.start()]
        moved += [positions[escape.start()]] * len(_meaning(escape))
        end = escape.end()
    return moved + positions[end:]


def _meaning(escape: re.Match[str]) -> str:
    """Return what an escape stands for: at least one character."""
    text = escape[0]
    if text[0] == "%":
        encoded = bytes.fromhex(text.replace("%", ""))
        try:
            return encoded.decode()
        except UnicodeDecodeError:
            return encoded.decode("latin-1")
    if text[0] == "\\":
        return chr(int(text[2:], 16)) if len(text) > 2 else _CONTROL_ESCAPES.get(text[1], text[1])
    if text[1] == "#":
        code = int(text[3:-1], 16) if text[2] in "Xx" else int(text[2:-1])
        return chr(code) if code <= sys.maxunicode else text
    return _names().get(text[1:], text)


_DEFAULT_PORTS = {"http": 80, "https": 443}
NEVER_IN_A_URL = re.compile(r"[\x00-\x20\x7f\\\ud800-\udfff]")
"""Above all the backslash, which ends the host for some parsers and not for others."""


def is_http_url(url: str) -> bool:
    """True for an absolute http(s) URL that requests can send to."""
    parts = _split(url)
    return parts is not None and parts.scheme in _DEFAULT_PORTS and bool(parts.host) and parts.port != 0


URL_ENDS = " \t\n\r\f\v"
"""The white space around a link that is left out, as browsers do."""

_AUTHORITY = re.compile(r"([^/?#]*:)?//[^/?#]*")  # with the scheme before it (RFC 3986, section 3.2)


def _authority(url: str) -> str:
    """Return the scheme and the authority of a URL, or an empty string if it has none."""
    authority = _AUTHORITY.match(url)
    return "" if authority is None else authority[0]


def resolve_link(base: str, link: str) -> str | None:
    """Return the http(s) URL to request for a link or a `Location` from a server, or None if it cannot be used.

    White space at its ends is left out, and a blank within its path or query becomes `%20`, as browsers and requests
    send it.

    Args:
        base: The URL that a relative reference is resolved against (RFC 3986, section 5).
        link: The link.
    """
    link = link.strip(URL_ENDS)
    authority = _authority(link)
    if " " in authority or authority.endswith("//"):
        return None  # no host, or one that no name server knows
    link = link.replace(" ", "%20")
    if NEVER_IN_A_URL.search(link):  # checked first: urljoin would silently drop some of them
        return None
    try:
        url = urljoin(base, link)
    except ValueError:  # such as half an IPv6 address
        return None
    return url if is_http_url(url) else None


def same_origin(url: str, other: str) -> bool:
    """True if scheme, host and port are the same (RFC 6454, section 5). False if one is not an http(s) URL."""
    first, second = _split(url), _split(other)
    if first is None or second is None or not is_http_url(url):
        return False
    return _origin(first) == _origin(second)


def redact_url(url: str) -> str:
    """Return a URL without user information, query and fragment, which may be secret."""
    parts = _split(url)
    if parts is None or parts.host is None:
        return "a URL that cannot be read"
    port = "" if parts.port is None else f":{parts.port}"
    return f"{parts.scheme}://{parts.host}{port}{parts.path or ''}"


def _split(url: str) -> Url | None:
    if NEVER_IN_A_URL.search(url):
        return None
    try:
        return parse_url(url)
    except LocationParseError:
        return None


def _origin(parts: Url) -> tuple[str | None, str | None, int | None]:
    return parts.scheme, parts.host, parts.port or _DEFAULT_PORTS.get(parts.scheme or "")


_NO_PASSWORD = re.compile(r"([A-Za-z]+://)?[^/:@]*(:[0-9]{0,5})?(/[^:@]*)?")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True)
class BaseURL:
    """The address of the service. `url` has no user information and no trailing slash."""

    url: str
    username: str = ""
    password: str = ""

    def __repr__(self) -> str:
        return f"BaseURL({self.url!r})"


def parse_base_url(base_url: str) -> BaseURL:
    """Split a base URL into its URL and its secret user information.

    Raises:
        TypeError: `base_url` is not a string.
        ValueError: `base_url` is not an http(s) URL with a host, or has a query or a fragment.
    """
    if not isinstance(base_url, str):
        raise TypeError(f"base_url must be a string, got a value of type {type(base_url).__name__}")
    parts = _split_url(base_url)
    host = parts.netloc.rpartition("@")[2]
    url = f"{parts.scheme}://{host}{parts.path}".rstrip("/")
    prepared = None
    with suppress(requests.RequestException, ValueError):
        prepared = requests.Request("GET", url).prepare()
    if prepared is None:
        raise _bad_url(base_url)
    return BaseURL(url, *_user_information(parts))


def _user_information(parts: SplitResult) -> tuple[str, str]:
    username, password = (_unquoted(part or "") for part in (parts.username, parts.password))
    if username is None or password is None:
        raise ValueError("base_url has user information that is not UTF-8, which is not shown")
    if _CONTROL.search(username + password):
        raise ValueError("base_url has a control character in its user information, which is not shown")
    if ":" in username:
        raise ValueError("base_url has a colon in its user name, which basic authentication cannot send (RFC 7617)")
    return username, password


def _unquoted(text: str) -> str | None:
    try:
        return unquote(text, errors="strict")
    except UnicodeDecodeError:
        return None


def _split_url(base_url: str) -> SplitResult:
    parts = None
    if not NEVER_IN_A_URL.search(base_url):  # checked first: urlsplit would silently drop some of them
        with suppress(ValueError):  # the text of the error can hold the password
            parts = _http_parts(base_url)
    if parts is None:
        raise _bad_url(base_url)
    return parts


def _http_parts(base_url: str) -> SplitResult | None:
    parts = urlsplit(base_url)
    usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    (parts.hostname or "").encode("idna")  # or a label of 64 letters would fail at the first request
    return parts if usable and not parts.query and not parts.fragment else None


def _bad_url(base_url: str) -> ValueError:
    shown = re.split(r"[?#]", base_url)[0]
    if "@" in unquote(base_url) or not _NO_PASSWORD.fullmatch(shown):  # a password may have the `?` or `#`
        shown = "…"
    return ValueError(f"base_url must be an http(s) URL with a host and without a query, got {shown!r}")
