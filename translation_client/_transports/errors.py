"""Map exceptions of requests, urllib3 and the system to faults. They hold keys and URLs, and the faults do not."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from http.client import HTTPException

import requests
from urllib3.exceptions import HTTPError, NewConnectionError
from urllib3.exceptions import TimeoutError as PoolTimeoutError

from .._models import Fault

TIMED_OUT = (requests.Timeout, PoolTimeoutError, TimeoutError)
"""The timeout errors of requests, urllib3 and the system."""

NETWORK_ERRORS = (errno.ECONNREFUSED, errno.ECONNRESET, errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ETIMEDOUT)

NO_CA_BUNDLE = "there is no CA bundle where REQUESTS_CA_BUNDLE or CURL_CA_BUNDLE says"

NEVER_A_CALL = (TypeError, requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema)
"""Errors of requests for a call that cannot be made. Our own URLs are checked before, so the proxy's is wrong."""


BUNDLE_NOT_FOUND = "Could not find a suitable TLS CA certificate bundle"
"""How the message of requests begins if a CA bundle does not exist."""


class RequestNotSent(Exception):
    """A request was not sent: for instance, the key function raised, or the file to send cannot be read.

    Attributes:
        cause: The exception raised.
    """

    def __init__(self, cause: Exception) -> None:
        super().__init__(str(cause))
        self.cause = cause


def failed_before_send(error: BaseException) -> bool:
    """True if an error of requests, urllib3 or the system proves that no byte of the request was sent."""
    return any(_proves_unsent(cause) for cause in causes_of(error))


def _proves_unsent(error: BaseException) -> bool:
    is_of_connecting = isinstance(error, (requests.ConnectTimeout, NewConnectionError, ConnectionRefusedError))
    return is_of_connecting or _is_of_tunnel(error)


def tunnel_failed(error: BaseException) -> bool:
    """True if the proxy refused CONNECT, so that the server got nothing of what was sent."""
    return any(_is_of_tunnel(cause) for cause in causes_of(error))


def _is_of_tunnel(error: BaseException) -> bool:
    return isinstance(error, OSError) and _message(error).startswith("Tunnel connection failed")


def _message(error: BaseException) -> str:
    """Return the text that an error was created with. `str` recurses without end if it holds itself."""
    message = next(iter(error.args), "")
    return message if isinstance(message, str) else ""


def causes_of(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and the ones that it wraps, from the outermost to the innermost."""
    cause: BaseException | None = error
    seen: list[BaseException] = []
    while cause is not None and not any(cause is other for other in seen):  # `raise error from error` makes a circle
        yield cause
        seen.append(cause)
        inner = getattr(cause, "reason", None) or next(iter(cause.args), None)
        cause = inner if isinstance(inner, BaseException) else cause.__cause__


def redacted_cause(error: Exception, text: str) -> Exception:
    """Return the cause to show: a requests exception with our text, of the type of `error` if possible.

    Exceptions of requests, urllib3 and aiohttp hold the request with its key, URLs with their queries, and whatever the
    server sent. Error trackers show all of it.
    """
    kind = type(error) if isinstance(error, requests.RequestException) else requests.ConnectionError
    try:
        return kind(text)
    except Exception:  # noqa: BLE001  # its constructor needs other arguments
        return requests.RequestException(text)


def map_exception(error: Exception) -> Fault:
    """Map an exception of requests, urllib3 or the system to a fault."""
    if isinstance(error, TIMED_OUT):
        return Fault("timeout", "no response in time")
    if isinstance(error, (requests.ConnectionError, HTTPError, HTTPException)):
        return Fault("connection", root_reason(error))
    if isinstance(error, NEVER_A_CALL):
        return Fault("connection", "the request could not be made: a proxy variable in the environment may be broken")
    if isinstance(error, (requests.RequestException, ValueError)):
        return breaks_protocol(error)
    return Fault("connection", root_reason(error))


def breaks_protocol(error: BaseException) -> Fault:
    """Return the fault for a response that is not valid HTTP."""
    return Fault("unreadable", f"the response breaks HTTP ({type(error).__name__})")


def root_reason(error: BaseException) -> str:
    """Return the system's text at the end of a chain of wrapped exceptions. The wrappers' texts can hold anything."""
    reason = "the connection broke"
    for cause in causes_of(error):
        if isinstance(cause, OSError) and cause.strerror:
            reason = _system_message(cause.errno) or cause.strerror
        elif isinstance(cause, OSError) and _message(cause).startswith(BUNDLE_NOT_FOUND):
            reason = NO_CA_BUNDLE
    return reason


def _system_message(number: int | None) -> str | None:
    """Return the system's text for a network error. asyncio puts its own text in `strerror`, with the address in it."""
    return os.strerror(number) if number in NETWORK_ERRORS else None
