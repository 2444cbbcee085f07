"""The credentials of a client: the headers that only the origin of `base_url` gets, and the secrets in them."""

from __future__ import annotations

import os
import re
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple, Protocol

from .headers import NO_KEY, KeyHeaders, check_api_key, check_header_value, check_headers, merged_headers
from .redactor import Redactor
from .secret_forms import WHOLE_WORD_LENGTH
from .urls import BaseURL

ApiKey = str | Callable[[], str]
"""A key, or a function that returns the current one, such as a token that expires."""

MIN_PARAMETER_LENGTH = 10
"""A shorter value of a cookie, or of a parameter after a scheme, is a setting, such as `en` or `auth`."""

_SCHEME = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+)[ \t]+(.+)", re.DOTALL)  # RFC 9110, section 11.4


class _Secrets(NamedTuple):
    """The secrets in headers, sorted by how they are redacted. See `Redactor`."""

    keys: Iterable[str] = ()
    headers: Iterable[str] = ()
    users: Iterable[str] = ()


class KeyScheme(Protocol):
    """The attributes of a `Service` that say how it takes its API key."""

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
        static_headers: The headers that do not change, including the caller's own.
        redactor: The redactor for all secrets in the headers.
    """

    def __init__(
        self,
        service: KeyScheme,
        base_url: BaseURL,
        api_key: ApiKey | None,
        headers: Mapping[str, str] | None,
        session: Any,
    ) -> None:
        """Choose the key: `api_key`, else the environment variable of the service.

        Args:
            service: How the service takes its key.
            base_url: The base URL. Its user information is sent as basic authentication.
            api_key: The key, or a function that returns it; None for the environment variable.
            headers: The caller's own headers, or None.
            session: The caller's session, whose headers and auth may hold credentials; None for ours.

        Raises:
            ValueError: The key or a header cannot be sent, the key is missing and needed, or two share a header.
            TypeError: `api_key` or `headers` is of the wrong type.
        """
        own = check_headers(headers)
        basic = _basic(base_url)
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
        self.static_headers: Mapping[str, str] = merged_headers(key_headers, basic, own)
        parts = [
            _secrets_of_key(key) if isinstance(key, str) else _Secrets(),
            *(_secrets_of_header(service, name, value) for name, value in own.items()),
            *_secrets_of_session(service, session),
            _secrets_of_pair(base_url.username, base_url.password),
        ]
        self.redactor = Redactor(
            [value for part in parts for value in part.keys],
            [*own.values(), *(value for part in parts for value in part.headers)],
            users=[value for part in parts for value in part.users],
        )

    def dynamic_headers(self) -> KeyHeaders:
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
        parts = _secrets_of_key(key)
        secrets = dict.fromkeys([*parts.keys, *parts.headers])
        self.redactor.add_key(tuple(secrets))
        headers = KeyHeaders(self._service.key_headers(key), secrets)
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


def _basic(base_url: BaseURL) -> dict[str, str]:
    if not base_url.username and not base_url.password:
        return {}
    pair = f"{base_url.username}:{base_url.password}".encode()
    return {"Authorization": "Basic " + b64encode(pair).decode("ascii")}


def _secrets_of_key(key: str) -> _Secrets:
    """Return the secrets in a key that may follow a scheme, such as `Bearer`, or `Basic` with a password."""
    scheme = _SCHEME.fullmatch(key)
    if scheme is None:
        return _Secrets([key])
    rest = scheme[2].strip()
    pair = _decoded_pair(rest) if scheme[1].lower() == "basic" else ("", "")
    secret = _secrets_of_pair(*pair)
    return _Secrets([key, rest, *secret.keys], [*_parameters(rest), *secret.headers], secret.users)


def _parameters(text: str) -> list[str]:
    values = [pair.partition("=")[2].strip(' "') for pair in re.split("[;,]", text)]
    return [value for value in values if len(value) >= MIN_PARAMETER_LENGTH]


def _secrets_of_header(service: KeyScheme, name: str, value: str) -> _Secrets:
    """Return the secrets in a header, except its whole value."""
    if name.lower() == "cookie":
        return _Secrets(headers=_parameters(value))
    if name.lower().endswith("authorization") or name.lower() == service.key_header.lower():
        return _secrets_of_key(value)
    return _Secrets()


def _secrets_of_session(service: KeyScheme, session: Any) -> list[_Secrets]:
    """Return the secrets in a caller's session at this moment. The type of the session is checked elsewhere."""
    headers, auth = getattr(session, "headers", None), getattr(session, "auth", None)
    fields = headers.items() if isinstance(headers, Mapping) else ()
    parts = [_secrets_of_header(service, _header_text(name), _header_text(value)) for name, value in fields]
    named = (getattr(auth, "username", ""), getattr(auth, "password", ""))
    pair = auth[:2] if isinstance(auth, tuple) else named  # aiohttp's has an encoding as its third item
    return [*parts, _secrets_of_session_auth(*map(_header_text, pair))] if len(pair) == 2 else parts


def _secrets_of_session_auth(username: str, password: str) -> _Secrets:
    """Return the secrets in the `auth` of a caller's session, which may be for another origin than ours.

    A short password of it, such as "test", is only redacted as a whole word, as it may be a part of any id.
    """
    if username and password and len(password) < WHOLE_WORD_LENGTH:
        return _Secrets([f"{username}:{password}"], headers=[password], users=[username])
    return _secrets_of_pair(username, password)


def _secrets_of_pair(username: str, password: str) -> _Secrets:
    """Return the secrets in user information. A user name without a password is a token."""
    if not password:
        return _Secrets([username, f"{username}:"]) if username else _Secrets()
    return _Secrets([password, f"{username}:{password}"], users=[username])


def _decoded_pair(encoded: str) -> tuple[str, str]:
    try:
        pair = b64decode(encoded + "=" * (-len(encoded) % 4), altchars=b"-_" if re.search("[-_]", encoded) else None)
    except ValueError:
        return "", ""
    username, _, password = _header_text(pair).partition(":")
    return username, password


def _header_text(value: Any) -> str:
    """Return a header's value or a part of a pair as text: requests accepts bytes and numbers too."""
    if not isinstance(value, bytes):
        return "" if value is None else str(value)
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")
