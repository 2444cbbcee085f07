"""Where is the service, and what of its URL may be shown?"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import SplitResult, unquote, urlsplit

import requests

from .origins import NEVER_IN_A_URL

_NO_PASSWORD = re.compile(r"([A-Za-z]+://)?[^/:@]*(:[0-9]*)?(/[^:@]*)?")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True)
class Address:
    """Where the service is: `url` without user information and without a slash at the end."""

    url: str
    username: str = ""
    password: str = ""

    def __repr__(self) -> str:
        return f"Address({self.url!r})"


def address(base_url: str) -> Address:
    """Split a base URL into what may be shown and what may not.

    Raises:
        TypeError: Not a string.
        ValueError: Not an http(s) URL with a host, or with a query or a fragment.
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
    username, password = unquote(parts.username or ""), unquote(parts.password or "")
    if _CONTROL.search(username + password):
        raise ValueError("base_url has a control character in its user information, which is not shown")
    return Address(url, username, password)


def _split_url(base_url: str) -> SplitResult:
    parts = None
    if not NEVER_IN_A_URL.search(base_url):  # looked for first: urlsplit would drop some of them without a word
        with suppress(ValueError):  # its text can hold the password
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
    if not _NO_PASSWORD.fullmatch(shown):
        shown = "…"
    return ValueError(f"base_url must be an http(s) URL with a host and without a query, got {shown!r}")
