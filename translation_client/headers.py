"""What may stand in a header? Refused values are not repeated: they may be secret."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # a token, RFC 9110 section 5.6.2
_HEADER_VALUE = re.compile(r"([\x21-\x7e\x80-\xff]([\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?)?")  # RFC 9110 5.5


BEARER = "Bearer "
"""The scheme of a token (RFC 6750, section 2.1): a key that begins with it travels in `Authorization` everywhere."""


class KeyHeaders(dict[str, str]):
    """Headers that may hold a key, and do not show it in a traceback with locals.

    Attributes:
        secrets: A key that changes, in the forms in which a server may echo it; empty if the key does not change.
    """

    def __init__(self, headers: Mapping[str, str] = MappingProxyType({}), secrets: Iterable[str] = ()) -> None:
        super().__init__(headers)
        self.secrets = tuple(secrets)

    def __repr__(self) -> str:
        return "KeyHeaders(…)"


def secrets_of(headers: KeyHeaders | None) -> tuple[str, ...]:
    """Return the key that some headers hold, if it changes; empty if there are no headers."""
    return () if headers is None else headers.secrets


def header_value(name: str, value: str) -> str:
    """Pass a string that may stand in a header; say nothing of it otherwise.

    Raises:
        TypeError: Not a string.
        ValueError: With a control character, a blank at an end, or a character beyond Latin-1.
    """
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a string, got a value of type {type(value).__name__}")
    if not _HEADER_VALUE.fullmatch(value):
        raise ValueError(
            f"{name} cannot be sent in a header: it begins or ends with a blank, or holds a control character "
            "or one beyond Latin-1 (its value is not shown, as it may be secret)"
        )
    return value


def usable_key(value: str | Callable[[], str] | None) -> str | Callable[[], str] | None:
    """Pass None, a key that can be sent, or what will give one.

    Raises:
        TypeError: Neither.
        ValueError: Empty, or as in `header_value`.
    """
    if isinstance(value, type):
        raise TypeError("api_key must be a string or a function that returns one, and no class")
    if callable(value):
        return value
    if value == "":
        raise ValueError("api_key must not be empty; leave it out where the service needs none")
    return None if value is None else header_value("api_key", value)


def header_fields(headers: Mapping[str, str] | None) -> dict[str, str]:
    """Pass headers that may be sent.

    Raises:
        TypeError: Not a mapping of strings to strings.
        ValueError: A name that is no header name, or a value as in `header_value`.
    """
    if headers is None:
        return {}
    if not isinstance(headers, Mapping):
        raise TypeError(f"headers must be a mapping, got a value of type {type(headers).__name__}")
    for name, value in headers.items():
        if not isinstance(name, str) or not _HEADER_NAME.fullmatch(name):
            raise ValueError(f"headers must have names that HTTP allows, got {name!r}")
        header_value(f"headers[{name!r}]", value)
    return dict(headers)
