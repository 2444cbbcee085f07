"""The transport interface: send a request, sleep, close. Blocking and asyncio implementations stand beside it."""

from __future__ import annotations

import re
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import replace
from typing import Any, NamedTuple, Protocol, TypeVar, runtime_checkable
from urllib.parse import urldefrag

import requests
from requests import Session

from .._auth.headers import KeyHeaders
from .._auth.urls import resolve_link, same_origin
from .._clock import Deadline, Stopwatch
from .._exports import exported_from
from .._models import Fault, Request, Response
from .body import Sink, response_head

T = TypeVar("T")

EVENT_CHECK_SECONDS = 0.02
"""20 ms: a sleep waits on `close()` or on the caller's event, and checks the other one this often."""


@exported_from("translation_client")
@runtime_checkable  # for pydantic, which checks arguments with `isinstance`
class CancelEvent(Protocol):
    """An event of `threading` or of `asyncio` that cancels a call."""

    def is_set(self) -> bool:
        """Return True if the call is cancelled."""


class Transport(Protocol):
    """Sends HTTP requests to the service. `close` is not declared: it blocks in one implementation, not in others."""

    @property
    def base_url(self) -> str:
        """The base URL of the service."""

    @property
    def is_closed(self) -> bool:
        """True if the client was closed."""

    @property
    def max_connections(self) -> int:
        """The maximum number of concurrent HTTP calls."""

    async def send(
        self,
        request: Request,
        deadline: Deadline,
        is_cancelled: Callable[[], bool],
        sink: Sink | None = None,
        *,
        new_connection: bool,
    ) -> Response:
        """Send one request, and return the response.

        Args:
            request: The request.
            deadline: When the call of the client must be over. One HTTP call is also limited by `request_timeout`.
            is_cancelled: Returns True to abort the request.
            sink: Receives the body of a download; None to return the body with the response.
            new_connection: True to open a new connection. False to reuse one that was used last for the same URL, if
                there is one. After another URL, a second response to the earlier request may arrive after this one is
                sent, and nothing tells it from the response to this one (RFC 9112, section 9.2).

        Raises:
            Fault: There is no usable response.
            CallAborted: The deadline has passed, or the call was cancelled.
        """

    async def sleep(self, seconds: float, cancel: CancelEvent | None, stopwatch: Stopwatch) -> None:
        """Sleep until the client is closed or `cancel` is set, and add the seconds really slept to `stopwatch`."""

    def close_idle(self) -> None:
        """Close the idle connections, which may hold late responses to earlier requests."""


class TransportConfig(NamedTuple):
    """The arguments of a transport.

    Attributes:
        base_url: The URL that the path of each request is appended to.
        user_agent: The `User-Agent` header, sent to every origin.
        headers: The key and the caller's own headers, sent only to the origin of `base_url`.
        request_timeout: Seconds for one call: connecting, headers, body and redirects together.
        credentials: Called before each call for the headers of a rotating key. They are sent where `headers` are.
        session: The caller's session, used as it is and never closed; None for one of our own.
        sleep: Called with the seconds in place of an interruptible sleep; None for the interruptible one.
    """

    base_url: str
    user_agent: str
    headers: Mapping[str, str]
    request_timeout: float
    credentials: Callable[[], KeyHeaders] = KeyHeaders
    session: Any = None
    sleep: Callable[[float], Any] | None = None

    def __repr__(self) -> str:
        return "TransportConfig(…)"  # they may contain a key


MAX_REDIRECTS = 3
"""The most redirects of a request, so that a loop of redirects ends."""

CREDENTIAL_HEADERS = ("authorization", "cookie", "proxy-authorization")
"""Headers that no redirect takes to another origin (RFC 9110, section 15.4)."""


def redirected(request: Request, url: str, target: str) -> Request:
    """Return a request as it follows a redirect: without credentials of its own if that leads to another origin."""
    if not request.headers or same_origin(url, target):
        return request
    kept = {name: value for name, value in request.headers.items() if name.lower() not in CREDENTIAL_HEADERS}
    return replace(request, headers=kept)


def redirect_target(session: Session, response: requests.Response) -> str | None:
    """Return the absolute URL that a response redirects to, or None.

    Raises:
        Fault: The URL is not an http(s) URL.
    """
    location = session.get_redirect_target(response)
    if location is None:
        return None
    return resolve_redirect(response.url, location, response_head(response))


_SENT_UNCHANGED = re.compile(r"(?!.*/\.)[A-Za-z0-9!#$&'()*+,./:;=?@_~-]*")  # requests resolves `/..`


def quoted_url(url: str) -> str:
    """Return a URL as requests sends it, so that all transports send the same: path and query quoted, host in IDNA.

    Raises:
        ValueError: The URL cannot be sent. An error of requests.
    """
    if _SENT_UNCHANGED.fullmatch(url):
        return url
    prepared = requests.PreparedRequest()
    prepared.prepare_url(url, None)
    return str(prepared.url)


def resolve_redirect(url: str, location: str, response: Response) -> str:
    """Return the absolute URL of a `Location` header.

    Args:
        url: The URL of the request.
        location: The value of the header.
        response: The response with that header.

    Raises:
        Fault: The URL is not an http(s) URL.
    """
    target = resolve_link(url, location)
    if target is None:
        raise Fault("unreadable", "the redirect leads to no http(s) URL", response)
    return urldefrag(target).url


def run_sync(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine that never suspends, and return its result.

    Calls of a client are coroutines, written once for both clients. `coroutine.send(None)` runs one of the blocking
    client to its end, as nothing in its transport suspends. No event loop is needed, and a running one is no obstacle.

    Raises:
        RuntimeError: The coroutine suspended.
    """
    try:
        coroutine.send(None)
    except StopIteration as finished:
        value: T = finished.value
        return value
    coroutine.close()
    raise RuntimeError("a coroutine of the blocking client was suspended")
