"""Is this the same server? What a key may be sent to hangs on it.

URLs are split by urllib3, as they are when they are asked: where two ways of splitting differ, a key goes astray.
"""

from __future__ import annotations

import re

from urllib3.exceptions import LocationParseError
from urllib3.util.url import Url, parse_url

_DEFAULT_PORTS = {"http": 80, "https": 443}
NEVER_IN_A_URL = re.compile(r"[\x00-\x20\x7f\\\ud800-\udfff]")
"""Above all the backslash, which ends the host for some and not for others."""


def is_http_url(url: str) -> bool:
    """Whether it is absolute, and one that requests can ask."""
    parts = _split(url)
    return parts is not None and parts.scheme in _DEFAULT_PORTS and bool(parts.host) and parts.port != 0


def same_origin(one: str, other: str) -> bool:
    """Whether scheme, host and port are the same (RFC 6454, section 5); no, where one is no http(s) URL."""
    first, second = _split(one), _split(other)
    if first is None or second is None or not is_http_url(one):
        return False
    return _origin(first) == _origin(second)


def without_secrets(url: str) -> str:
    """Cut off what may be secret, for a sentence: user information, query and fragment."""
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
