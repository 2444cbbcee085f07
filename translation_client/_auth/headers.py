"""Headers of a request: what may be sent in one, and headers that may hold a key and do not show it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # a token, RFC 9110 section 5.6.2
_HEADER_VALUE = re.compile(r"([\x21-\x7e\x80-\xff]([\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?)?")  # RFC 9110 5.5


BEARER = "Bearer "
"""The scheme of a token (RFC 6750, section 2.1). A key that begins with it is always sent in `Authorization`."""


class KeyHeaders(dict[str, str]):
    """Headers that may hold a key, and do not show it in a traceback with locals.

    Attributes:
        secrets: The secrets in a rotating key, not yet encoded; empty if the key is fixed.
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
    """Return the secrets in the rotating key of some headers, or nothing if it is fixed or there are no headers."""
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
