"""URLs: the base URL, links from a server, origins, and what of a URL may be shown.

Origins are compared by the URL parser of urllib3, which requests uses too, so that a key cannot go to another host.
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import SplitResult, parse_qsl, unquote, urljoin, urlsplit

import requests
from urllib3.exceptions import LocationParseError
from urllib3.util.url import Url, parse_url

_DEFAULT_PORTS = {"http": 80, "https": 443}
NEVER_IN_A_URL = re.compile(r"[\x00-\x20\x7f\\\ud800-\udfff]")
"""Above all the backslash, which ends the host for some parsers and not for others."""


def is_http_url(url: str) -> bool:
    """True for an absolute http(s) URL that requests can send to."""
    parts = _parsed_or_none(url)
    return parts is not None and parts.scheme in _DEFAULT_PORTS and bool(parts.host) and parts.port != 0


OUTER_BLANKS = " \t\n\r\f\v"
"""The white space around a link that is left out, as browsers do."""

_AUTHORITY = re.compile(r"([^/?#]*:)?//[^/?#]*")  # with the scheme before it (RFC 3986, section 3.2)


def authority_of(url: str) -> str:
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
    link = link.strip(OUTER_BLANKS)
    authority = authority_of(link)
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
    first, second = _parsed_or_none(url), _parsed_or_none(other)
    if first is None or second is None or not is_http_url(url):
        return False
    return _origin(first) == _origin(second)


def redact_url(url: str) -> str:
    """Return a URL without user information, query and fragment, which may be secret."""
    parts = _parsed_or_none(url)
    if parts is None or parts.host is None:
        return "a URL that cannot be read"
    port = "" if parts.port is None else f":{parts.port}"
    return f"{parts.scheme}://{parts.host}{port}{parts.path or ''}"


def _parsed_or_none(url: str) -> Url | None:
    if NEVER_IN_A_URL.search(url):
        return None
    try:
        return parse_url(url)
    except LocationParseError:
        return None


def _origin(parts: Url) -> tuple[str | None, str | None, int | None]:
    return parts.scheme, parts.host, parts.port or _DEFAULT_PORTS.get(parts.scheme or "")


MIN_QUERY_VALUE_LENGTH = 6
"""A shorter value in the query of a link is not a signature."""


def secrets_in_url(url: str) -> list[str]:
    """Return the possible credentials in a link: query, fragment, long query values, user name and password."""
    parts = urlsplit(url)
    values = [value for _, value in parse_qsl(parts.query) if len(value) >= MIN_QUERY_VALUE_LENGTH]
    return [parts.query, parts.fragment, unquote(parts.password or ""), unquote(parts.username or ""), *values]


_NO_PASSWORD = re.compile(r"([A-Za-z]+://)?[^/:@]*(:[0-9]{0,5})?(/[^:@]*)?")
_CONTROL_CHARACTERS = re.compile(r"[\x00-\x1f\x7f]")


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
    parts = _checked_parts(base_url)
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
    if _CONTROL_CHARACTERS.search(username + password):
        raise ValueError("base_url has a control character in its user information, which is not shown")
    if ":" in username:
        raise ValueError("base_url has a colon in its user name, which basic authentication cannot send (RFC 7617)")
    return username, password


def _unquoted(text: str) -> str | None:
    try:
        return unquote(text, errors="strict")
    except UnicodeDecodeError:
        return None


def _checked_parts(base_url: str) -> SplitResult:
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
