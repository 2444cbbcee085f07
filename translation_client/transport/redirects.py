"""Where does a redirect lead?"""

from __future__ import annotations

from urllib.parse import urldefrag, urljoin

from requests import Response, Session

from ..faults import Fault
from ..messages import Answer
from ..origins import is_http_url
from .body import answer_without_body

MAX_REDIRECTS = 3


def redirect_target(session: Session, response: Response) -> str | None:
    """The absolute URL that a response sends us to, or None.

    Raises:
        Fault: It is no http(s) URL.
    """
    location = session.get_redirect_target(response)
    if location is None:
        return None
    return target_of(response.url, location, answer_without_body(response))


def target_of(url: str, location: str, answer: Answer) -> str:
    """The absolute URL that a `Location` means.

    Args:
        url: What was asked.
        location: The value of the header.
        answer: What it came with.

    Raises:
        Fault: It is no http(s) URL.
    """
    try:
        target = urldefrag(urljoin(url, location)).url
    except ValueError:  # half an IPv6 address, say
        target = ""
    if not is_http_url(target):
        raise Fault("unreadable", "the redirect leads to no http(s) URL", answer)
    return target
