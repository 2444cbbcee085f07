"""How does one request get there and one answer back? One call with all its limits; who repeats it is not its business."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from http.client import HTTPException
from typing import Any

import requests
from requests import Response, Session
from urllib3.exceptions import HTTPError
from urllib3.exceptions import TimeoutError as PoolTimeoutError

from ..clock import Deadline, now
from ..faults import Fault
from ..messages import Answer, Request
from .body import ACCEPT_ENCODING, UnreadableBody, answer_without_body, read_body
from .guard import CallGuard, CallTimedOut, current_guard
from .redirects import MAX_REDIRECTS, redirect_target, same_origin
from .sessions import CallersSession, OurSession, Outgoing

MAX_BODY_BYTES = 1024 * 1024

STATUS_BODY_SECONDS = 1.0
"""How long the body of an error or a redirect is read: what counts is its status, which is there already."""

TIMED_OUT = (requests.Timeout, PoolTimeoutError, TimeoutError)
"""How the libraries below say that nothing came in time."""


class Transport:
    """Sends the requests of one client. May be shared by threads."""

    def __init__(
        self,
        base_url: str,
        *,
        user_agent: str,
        headers: Mapping[str, str],
        request_timeout: float,
        session: Session | None = None,
        max_body_bytes: int = MAX_BODY_BYTES,
    ) -> None:
        """Set up; nothing is sent or opened.

        Args:
            base_url: What the path of each request is appended to.
            user_agent: Who we say we are, everywhere.
            headers: The key and the caller's own; sent to the origin of `base_url` and nowhere else.
            request_timeout: Seconds for one call: connecting, headers, body and redirects together.
            session: The caller's session, used as it is and never closed; None for one of our own.
            max_body_bytes: The longest body that is read.
        """
        self.base_url = base_url
        self._request_timeout = request_timeout
        self._max_body_bytes = max_body_bytes
        self._plain = {"User-Agent": user_agent, "Accept": "application/json", "Accept-Encoding": ACCEPT_ENCODING}
        full = {**self._plain, **headers}
        self._session: OurSession | CallersSession = (
            OurSession(full, self._read) if session is None else CallersSession(session, full, self._read)
        )

    def send(self, request: Request, deadline: Deadline, is_cancelled: Callable[[], bool]) -> Answer:
        """Send a request and read the answer to its end.

        Raises:
            Fault: No answer came, it broke off, or it cannot be read.
            CallTimedOut: `request_timeout` or the deadline cut it.
            CallCancelled: `is_cancelled` turned true.
        """
        started = now()
        guard = CallGuard(min(started + self._request_timeout, deadline.at), is_cancelled)
        try:
            with guard:
                response = self._follow(request, guard)
        except (requests.RequestException, HTTPError, HTTPException, OSError, ValueError, TypeError) as error:
            fault = _fault(error)
            cause = _bared(error, fault.text)
        else:
            return Answer(response.status_code, response.headers, response.content, now() - started)
        # Out of the handler, or the exception with everything in it would go along as the context of ours.
        guard.left()  # an adapter of somebody else's reports the end of the time in its own way
        raise fault from cause

    def close(self) -> None:
        """Close what is ours and idle."""
        self._session.close()

    def _follow(self, request: Request, guard: CallGuard) -> Response:
        outgoing = self._session.outgoing(request.method, self.base_url + request.path)
        is_trusted = True
        for _ in range(1 + MAX_REDIRECTS):
            response = outgoing.send(guard.left())
            target = redirect_target(outgoing.session, response)
            if target is None or request.method != "GET":
                return response
            is_trusted = is_trusted and same_origin(self.base_url, target)
            outgoing = self._outgoing_redirected(target, is_trusted=is_trusted)
        raise Fault("unreadable", f"more than {MAX_REDIRECTS} redirects", answer_without_body(response))

    def _outgoing_redirected(self, url: str, *, is_trusted: bool) -> Outgoing:
        if is_trusted:
            return self._session.outgoing("GET", url)
        return self._session.outgoing_bare(url, self._plain)

    def _read(self, response: Response, **_: Any) -> None:
        fault = None
        try:
            body = self._body_of(response)
        except (UnreadableBody, HTTPError, HTTPException, OSError, ValueError) as error:
            response.close()
            if isinstance(error, TIMED_OUT) and response.status_code < 300:
                raise  # a body that comes too late is no other fault than one that does not come
            body, fault = b"", _unreadable(error, response)
        except BaseException:
            response.close()
            raise
        if fault is not None and response.status_code < 300:
            raise fault  # any other status says enough, and no body can take that back
        response._content = body
        vars(response)["_content_consumed"] = True  # what requests looks at before it would read once more

    def _body_of(self, response: Response) -> bytes:
        guard = current_guard()
        if response.status_code < 300 or guard is None:
            return read_body(response, self._max_body_bytes)
        try:
            with guard.shortened(STATUS_BODY_SECONDS):
                return read_body(response, self._max_body_bytes)
        except CallTimedOut:
            response.close()
            return b""


def _bared(error: Exception, text: str) -> Exception:
    """Make the cause that is shown: of the same kind, in our words.

    The exceptions of the libraries below hold the request with the key in it, URLs with their queries, and whatever
    the server sent; and error trackers show everything.
    """
    kind = type(error) if isinstance(error, requests.RequestException) else requests.ConnectionError
    try:
        return kind(text)
    except Exception:  # noqa: BLE001  # one that wants to know more, in its own way
        return requests.RequestException(text)


def _unreadable(error: Exception, response: Response) -> Fault:
    what = str(error) if isinstance(error, UnreadableBody) else f"the body breaks off ({_reason(error)})"
    return Fault("unreadable", what, answer_without_body(response))


def _fault(error: Exception) -> Fault:
    if isinstance(error, TIMED_OUT):
        return Fault("timeout", "no answer in time")
    if isinstance(error, (requests.ConnectionError, HTTPError, HTTPException)):
        return Fault("connection", _reason(error))
    if isinstance(error, (requests.RequestException, ValueError)):
        return Fault("unreadable", f"the answer breaks HTTP ({type(error).__name__})")
    if isinstance(error, TypeError):
        return Fault("connection", "the call could not be made: is there a broken proxy variable in the environment?")
    return Fault("connection", _reason(error))


def _reason(error: BaseException) -> str:
    """The system's words at the bottom of a chain of wrappers; their own words can hold anything."""
    reason = "the connection broke"
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, OSError) and seen.strerror:
            reason = seen.strerror
        elif isinstance(seen, OSError) and str(seen).startswith("Could not find a suitable TLS CA certificate bundle"):
            reason = "there is no CA bundle where REQUESTS_CA_BUNDLE or CURL_CA_BUNDLE says"
        inner = getattr(seen, "reason", None) or next(iter(seen.args), None)
        seen = inner if isinstance(inner, BaseException) else seen.__cause__
    return reason
