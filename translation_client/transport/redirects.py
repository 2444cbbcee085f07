"""Where does a redirect lead, and is that still the same origin?"""

from __future__ import annotations

from urllib.parse import urldefrag, urljoin, urlsplit

from requests import Response, Session

from ..faults import Fault
from .body import answer_without_body

MAX_REDIRECTS = 3

_DEFAULT_PORTS = {"http": 80, "https": 443}


def redirect_target(session: Session, response: Response) -> str | None:
    """The absolute URL that a response sends us to, or None.

    Raises:
        Fault: It is no http(s) URL.
    """
    location = session.get_redirect_target(response)
    if location is None:
        return None
    target = urldefrag(urljoin(response.url, location)).url
    if urlsplit(target).scheme not in _DEFAULT_PORTS:
        raise Fault("unreadable", "the redirect leads to no http(s) URL", answer_without_body(response))
    return target


def same_origin(one: str, other: str) -> bool:
    """Whether scheme, host and port are the same (RFC 6454, section 5)."""
    return _origin(one) == _origin(other)


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or _DEFAULT_PORTS.get(parts.scheme)
