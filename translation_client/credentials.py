"""What proves to a service who we are, and where does it come from? And what must therefore never be shown?"""

from __future__ import annotations

import os
import re
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple, Protocol

from .addresses import Address
from .headers import KeyHeaders, header_fields, header_value, usable_key
from .redaction import Secrets

ApiKey = str | Callable[[], str]
"""A key, or what gives the one of the moment: a token that expires."""

MIN_PARAMETER_LENGTH = 6
"""A shorter value of a cookie, or of a parameter behind a scheme, is a setting, such as `en` or `auth`."""

_SCHEME = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+)[ \t]+(.+)", re.DOTALL)  # RFC 9110, section 11.4


class _Parts(NamedTuple):
    """What is secret in headers, sorted by how it is redacted: see `Secrets`."""

    keys: Iterable[str] = ()
    headers: Iterable[str] = ()
    users: Iterable[str] = ()


class KeyRules(Protocol):
    """What a service says about its API key: the attributes of `Service` of the same names."""

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
        """True if the service answers no request without a key."""

    def key_headers(self, api_key: str) -> dict[str, str]:
        """Return the headers that carry a key."""


class Credentials:
    """The headers that only the origin of `base_url` gets.

    Attributes:
        fixed: Those that stay the same, the caller's own among them.
        secrets: What must not be shown.
    """

    def __init__(
        self,
        service: KeyRules,
        address: Address,
        api_key: ApiKey | None,
        headers: Mapping[str, str] | None,
        session: Any,
    ) -> None:
        """Look for the key: the argument, else the environment variable of the service.

        Raises:
            ValueError: It cannot be sent, or there is none and the service needs one.
            TypeError: Something of it is of the wrong type.
        """
        own = header_fields(headers)
        basic = _basic(address)
        key = usable_key(api_key)
        proven = basic or _has_proof(service, own) or _session_has_proof(service, session)
        if key is None and not proven:
            key = _key_of_the_environment(service)
        if key is None and not proven and service.needs_key:
            raise ValueError(
                f"api_key must be given, or the environment variable {service.key_variable} set: the service "
                f"{service.name!r} answers nobody without a key"
            )
        self._service = service
        self._ask = key if callable(key) and not _shares_name(service.key_header, own) else None
        key_headers = service.key_headers(key) if isinstance(key, str) else {}
        if basic and key is not None and service.key_header.lower() == "authorization":
            raise ValueError("api_key and the user information in base_url would share a header: give one of them")
        self.fixed: Mapping[str, str] = {**key_headers, **basic, **own}
        parts = [
            _parts_of_key(key) if isinstance(key, str) else _Parts(),
            *(_parts_of_header(service, name, value) for name, value in own.items()),
            *_parts_of_session(service, session),
            _parts_of_pair(address.username, address.password),
        ]
        self.secrets = Secrets(
            [value for part in parts for value in part.keys],
            [*own.values(), *(value for part in parts for value in part.headers)],
            users=[value for part in parts for value in part.users],
        )

    def changing(self) -> KeyHeaders:
        """Ask for the key of the moment, where it is one that changes.

        Raises:
            ValueError: It cannot be sent.
            TypeError: It is no string.
        """
        if self._ask is None:
            return KeyHeaders()
        key = header_value("what api_key() returns", self._ask())
        if not key:
            raise ValueError("what api_key() returns must not be empty")
        parts = _parts_of_key(key)
        forms = dict.fromkeys([*parts.keys, *parts.headers])
        for form in forms:
            self.secrets.learn(form)
        return KeyHeaders(self._service.key_headers(key), forms)


def _has_proof(service: KeyRules, headers: Mapping[str, str]) -> bool:
    return _shares_name(service.key_header, headers) or _shares_name("Authorization", headers)


def _session_has_proof(service: KeyRules, session: Any) -> bool:
    auth, headers = getattr(session, "auth", None), getattr(session, "headers", None)
    return auth is not None or (isinstance(headers, Mapping) and _has_proof(service, headers))


def _shares_name(name: str, headers: Mapping[str, str]) -> bool:
    return name.lower() in {other.lower() for other in headers}


def _key_of_the_environment(service: KeyRules) -> str | None:
    variable = service.key_variable
    key = os.environ.get(variable) if variable is not None else None
    return header_value(f"the environment variable {variable}", key) if key else None


def _basic(address: Address) -> dict[str, str]:
    if not address.username and not address.password:
        return {}
    pair = f"{address.username}:{address.password}".encode()
    return {"Authorization": "Basic " + b64encode(pair).decode("ascii")}


def _parts_of_key(key: str) -> _Parts:
    """Return what is secret in a key that may have its scheme before it, such as `Bearer`, or `Basic` with a password."""
    scheme = _SCHEME.fullmatch(key)
    if scheme is None:
        return _Parts([key])
    rest = scheme[2].strip()
    pair = _decoded_pair(rest) if scheme[1].lower() == "basic" else ("", "")
    secret = _parts_of_pair(*pair)
    return _Parts([key, rest, *secret.keys], _parameters(rest), secret.users)


def _parameters(text: str) -> list[str]:
    values = [pair.partition("=")[2].strip(' "') for pair in re.split("[;,]", text)]
    return [value for value in values if len(value) >= MIN_PARAMETER_LENGTH]


def _parts_of_header(service: KeyRules, name: str, value: str) -> _Parts:
    """Return what is secret in a header beside its value as a whole."""
    if name.lower() == "cookie":
        return _Parts(headers=_parameters(value))
    if name.lower().endswith("authorization") or name.lower() == service.key_header.lower():
        return _parts_of_key(value)
    return _Parts()


def _parts_of_session(service: KeyRules, session: Any) -> list[_Parts]:
    """Return what is secret in a caller's session as it is now. Whether it is a session, its user checks."""
    headers, auth = getattr(session, "headers", None), getattr(session, "auth", None)
    fields = headers.items() if isinstance(headers, Mapping) else ()
    parts = [_parts_of_header(service, _text(name), _text(value)) for name, value in fields]
    named = (getattr(auth, "username", ""), getattr(auth, "password", ""))
    pair = auth[:2] if isinstance(auth, tuple) else named  # the third of aiohttp's is an encoding
    return [*parts, _parts_of_pair(*map(_text, pair))] if len(pair) == 2 else parts


def _parts_of_pair(username: str, password: str) -> _Parts:
    """Return what is secret in user information. A user name without a password is a token."""
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
    """Return a header's value or a part of a pair as text: requests takes bytes as well."""
    if not isinstance(value, bytes):
        return value if isinstance(value, str) else ""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")
