"""The transport interface: send a request, sleep, close. Blocking and asyncio implementations stand beside it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol, TypeVar
from urllib.parse import urldefrag, urljoin

import requests
from requests import Session

from .._auth import KeyHeaders, is_http_url
from .._clock import Deadline, Stopwatch
from .._models import Fault, Request, Response
from .decoding import Sink, response_head

T = TypeVar("T")


class CancelEvent(Protocol):
    """What ends an errand from outside: an event of `threading` or of `asyncio`."""

    def is_set(self) -> bool:
        """Whether it is to end."""


class Transport(Protocol):
    """The way to the service."""

    @property
    def base_url(self) -> str:
        """Where the service is."""

    @property
    def is_closed(self) -> bool:
        """Whether the client was closed."""

    @property
    def width(self) -> int:
        """How many calls at once it takes."""

    def url_of(self, request: Request) -> str:
        """Say where a request goes."""

    async def send(
        self,
        request: Request,
        deadline: Deadline,
        is_cancelled: Callable[[], bool],
        sink: Sink | None = None,
        *,
        is_fresh: bool = False,
    ) -> Response:
        """Make one call: see `Transport.send`."""

    async def sleep(self, seconds: float, cancel: CancelEvent | None, watch: Stopwatch) -> None:
        """Sleep until the client is closed or the event is set, and count the seconds that it really took."""

    def close_idle(self) -> None:
        """Close the idle connections, whose responses may be out of step with the requests."""


class TransportConfig(NamedTuple):
    """What a line to a service is made of."""

    base_url: str
    user_agent: str
    headers: Mapping[str, str]
    credentials: Callable[[], KeyHeaders]
    request_timeout: float
    session: Any
    sleep: Callable[[float], Any] | None

    def __repr__(self) -> str:
        return "TransportConfig(…)"  # a key is among them


MAX_REDIRECTS = 3


def redirect_target(session: Session, response: requests.Response) -> str | None:
    """The absolute URL that a response sends us to, or None.

    Raises:
        Fault: It is no http(s) URL.
    """
    location = session.get_redirect_target(response)
    if location is None:
        return None
    return target_of(response.url, location, response_head(response))


def target_of(url: str, location: str, answer: Response) -> str:
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
