"""Map exceptions of requests, urllib3 and the system to faults. They hold keys and URLs; the faults do not."""

from __future__ import annotations

import errno
import os
from http.client import HTTPException

import requests
from urllib3.exceptions import HTTPError, NewConnectionError
from urllib3.exceptions import TimeoutError as PoolTimeoutError

from .._models import Fault

TIMED_OUT = (requests.Timeout, PoolTimeoutError, TimeoutError)
"""How the libraries below say that nothing came in time."""

NETWORK_ERRORS = (errno.ECONNREFUSED, errno.ECONNRESET, errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ETIMEDOUT)

NO_CA_BUNDLE = "there is no CA bundle where REQUESTS_CA_BUNDLE or CURL_CA_BUNDLE says"

NEVER_A_CALL = (TypeError, requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema)
"""How requests says that it cannot make a call; our own URLs have been looked at, so it is the proxy's."""


def failed_before_send(error: BaseException) -> bool:
    """Whether an error of the libraries below proves that no byte of the request has left."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, (requests.ConnectTimeout, NewConnectionError, ConnectionRefusedError)):
            return True
        if isinstance(seen, OSError) and str(seen).startswith("Tunnel connection failed"):  # a proxy's no to CONNECT
            return True
        inner = getattr(seen, "reason", None) or next(iter(seen.args), None)
        seen = inner if isinstance(inner, BaseException) else seen.__cause__
    return False


def redacted_cause(error: Exception, text: str) -> Exception:
    """Make the cause that is shown: of the same kind, in our words.

    The exceptions of the libraries below hold the request with the key in it, URLs with their queries, and whatever
    the server sent; and error trackers show everything.
    """
    kind = type(error) if isinstance(error, requests.RequestException) else requests.ConnectionError
    try:
        return kind(text)
    except Exception:  # noqa: BLE001  # one that wants to know more, in its own way
        return requests.RequestException(text)


def map_exception(error: Exception) -> Fault:
    """Say what an exception of the libraries below means."""
    if isinstance(error, TIMED_OUT):
        return Fault("timeout", "no answer in time")
    if isinstance(error, (requests.ConnectionError, HTTPError, HTTPException)):
        return Fault("connection", root_reason(error))
    if isinstance(error, NEVER_A_CALL):
        return Fault("connection", "the call could not be made: is there a broken proxy variable in the environment?")
    if isinstance(error, (requests.RequestException, ValueError)):
        return breaks_protocol(error)
    return Fault("connection", root_reason(error))


def breaks_protocol(error: BaseException) -> Fault:
    """Return the fault for a response that is not valid HTTP."""
    return Fault("unreadable", f"the answer breaks HTTP ({type(error).__name__})")


def root_reason(error: BaseException) -> str:
    """The system's words at the bottom of a chain of wrappers; their own words can hold anything."""
    reason = "the connection broke"
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, OSError) and seen.strerror:
            reason = _system_message(seen.errno) or seen.strerror
        elif isinstance(seen, OSError) and str(seen).startswith("Could not find a suitable TLS CA certificate bundle"):
            reason = NO_CA_BUNDLE
        inner = getattr(seen, "reason", None) or next(iter(seen.args), None)
        seen = inner if isinstance(inner, BaseException) else seen.__cause__
    return reason


def _system_message(number: int | None) -> str | None:
    """Return the system's text for a network error. asyncio puts its own text in `strerror`, with the address in it."""
    return os.strerror(number) if number in NETWORK_ERRORS else None
