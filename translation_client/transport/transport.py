"""How does one request get there and one answer back? One call with all its limits; who repeats it is not its business."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from http.client import HTTPException
from typing import Any, NamedTuple

import requests
from requests import Response, Session
from urllib3.exceptions import HTTPError

from ..clock import Deadline, Stopwatch
from ..faults import Fault, interim_as_final
from ..headers import KeyHeaders, secrets_of
from ..messages import Answer, Request
from ..origins import same_origin
from .body import answer_without_body, read_body
from .breakdowns import TIMED_OUT, bared, fault_of, never_connected, reason_of
from .decoding import ACCEPT_ENCODING
from .framing import UnreadableBody
from .guard import CallCut, CallGuard, CallTimedOut, NotSent, TransferGuard, current_guard
from .payload import Payload, payload_of
from .receiving import FILE_CODES, Sink, receive
from .redirects import MAX_REDIRECTS, redirect_target
from .sessions import Call, CallersSession, OurSession, ReadHook

MAX_BODY_BYTES = 1024 * 1024

STATUS_BODY_SECONDS = 1.0
"""How long the body of an error or a redirect is read: what counts is its status, which is there already."""


class _Sending(NamedTuple):
    """A request on its way; without credentials, not even fixed ones, where it goes to another origin."""

    session: OurSession | CallersSession
    request: Request
    credentials: KeyHeaders | None
    payload: Payload
    sink: Sink | None
    guard: CallGuard


class Transport:
    """Sends the requests of one client. May be shared by threads."""

    def __init__(
        self,
        base_url: str,
        *,
        user_agent: str,
        headers: Mapping[str, str],
        request_timeout: float,
        credentials: Callable[[], KeyHeaders] = KeyHeaders,
        session: Session | None = None,
        max_body_bytes: int = MAX_BODY_BYTES,
    ) -> None:
        """Set up; nothing is sent or opened.

        Args:
            base_url: What the path of each request is appended to.
            user_agent: Who we say we are, everywhere.
            headers: The key and the caller's own; sent to the origin of `base_url` and nowhere else.
            request_timeout: Seconds for one call: connecting, headers, body and redirects together.
            credentials: Asked before each call for the headers of a key that changes; they go where `headers` go.
            session: The caller's session, used as it is and never closed; None for one of our own.
            max_body_bytes: The longest body that is read.
        """
        self.base_url = base_url
        self._credentials = credentials
        self._request_timeout = request_timeout
        self._max_body_bytes = max_body_bytes
        self._plain = {"User-Agent": user_agent, "Accept": "application/json", "Accept-Encoding": ACCEPT_ENCODING}
        full = KeyHeaders({**self._plain, **headers})
        self._is_callers = session is not None
        self._session: OurSession | CallersSession = (
            OurSession(full, self._read) if session is None else CallersSession(session, full, self._read)
        )

    def send(
        self,
        request: Request,
        deadline: Deadline,
        is_cancelled: Callable[[], bool],
        sink: Sink | None = None,
        *,
        is_fresh: bool = False,
    ) -> Answer:
        """Send a request and read the answer to its end.

        Args:
            request: What to send. One with a file, and one with a sink, may take any time as long as bytes move.
            deadline: When it has to be over.
            is_cancelled: Asked again and again.
            sink: Where the body of a success goes, in place of the answer.
            is_fresh: True to open a new connection for it. One that was used before may be closed by the server just now,
                or hold a late response to an earlier request.

        Raises:
            Fault: No answer came, it broke off, or it cannot be read.
            CallTimedOut: `request_timeout` or the deadline cut it.
            CallCancelled: `is_cancelled` turned true.
            NotSent: The key cannot be got, or the file that is to be sent not be read.
        """
        watch = Stopwatch(deadline.watch)
        session = self._session.fresh() if is_fresh else self._session
        guard = self._guard(request.is_transfer or sink is not None, deadline, watch, is_cancelled)
        credentials, made = self._prepared(request)
        with made as payload:
            try:
                response = self._guarded(_Sending(session, request, credentials, payload, sink, guard))
            except Fault as fault:
                fault.add_sent_keys(secrets_of(credentials))
                raise
            finally:
                if is_fresh:
                    session.close()
        return Answer(response.status_code, response.headers, response.content, watch.elapsed, secrets_of(credentials))

    def url_of(self, request: Request) -> str:
        """Say where a request goes."""
        return self.base_url + request.path if request.path.startswith("/") else request.path

    def close(self) -> None:
        """Close what is ours and idle."""
        self._session.close()

    def close_idle(self) -> None:
        """Close the idle connections of our own session; later requests open new ones."""
        self._session.close_idle()

    def _prepared(self, request: Request) -> tuple[KeyHeaders | None, Payload]:
        is_trusted = request.path.startswith("/") or same_origin(self.base_url, request.path)
        try:
            return self._credentials() if is_trusted else None, payload_of(request)
        except Exception as error:
            raise NotSent(error) from error

    def _guard(
        self, is_transfer: bool, deadline: Deadline, watch: Stopwatch, is_cancelled: Callable[[], bool]
    ) -> CallGuard:
        if is_transfer:
            return TransferGuard(deadline, self._request_timeout, is_cancelled, watch)
        return CallGuard(watch.began_at + min(self._request_timeout, deadline.left), is_cancelled, watch)

    def _guarded(self, sending: _Sending) -> Response:
        guard = sending.guard
        try:
            with guard:
                return self._follow(sending)
        except (CallCut, Fault) as error:
            error.was_sent = self._may_have_left(sending, error)
            raise
        except (requests.RequestException, HTTPError, HTTPException, OSError, ValueError, TypeError) as error:
            fault = fault_of(error)
            cause = bared(error, fault.text)
            fault.was_sent = self._may_have_left(sending, error)
        # Out of the handler, or the exception with everything in it would go along as the context of ours.
        guard.left()  # an adapter of somebody else's reports the end of the time in its own way
        raise fault from cause

    def _may_have_left(self, sending: _Sending, error: Exception) -> bool:
        """Whether the whole request may have reached the server."""
        has_left = sending.payload.is_read and (sending.guard.has_sent or self._is_callers)
        # An adapter that repeats of its own accord shows the last of several calls, and so proves nothing.
        return has_left and not (self._session.repeats_nothing and never_connected(error))

    def _follow(self, sending: _Sending) -> Response:
        request, payload, guard = sending.request, sending.payload, sending.guard
        read = None if sending.sink is None else self._into(sending.sink)
        url = self.url_of(request)
        is_trusted = sending.credentials is not None
        for _ in range(1 + MAX_REDIRECTS):
            if is_trusted:
                headers = KeyHeaders({**(sending.credentials or {}), **request.headers})
                outgoing = sending.session.outgoing(Call(request.method, url, headers, payload, read))
            else:
                headers = KeyHeaders({**self._plain, **request.headers})
                outgoing = sending.session.outgoing_bare(Call("GET", url, headers, payload, read))
            response = outgoing.send(guard.left())
            target = redirect_target(outgoing.session, response)
            if target is None or request.method != "GET":
                return response
            url, is_trusted = target, is_trusted and same_origin(self.base_url, target)
        raise Fault("unreadable", f"more than {MAX_REDIRECTS} redirects", answer_without_body(response))

    def _into(self, sink: Sink) -> ReadHook:
        def pour(response: Response, **_: Any) -> None:
            if response.status_code not in FILE_CODES:
                self._read(response)
                return
            try:
                receive(response, sink)
            except BaseException:
                _close(response)
                raise
            _hold(response, b"")

        return pour

    def _read(self, response: Response, **_: Any) -> None:
        if response.status_code < 200:
            _close(response)  # before its body is read, which would put the connection back into the pool
            raise interim_as_final(answer_without_body(response))
        fault = None
        try:
            body = self._body_of(response)
        except (UnreadableBody, HTTPError, HTTPException, OSError, ValueError) as error:
            _close(response)
            if isinstance(error, TIMED_OUT) and response.status_code < 300:
                raise  # a body that comes too late is no other fault than one that does not come
            body, fault = b"", _unreadable(error, response)
        except BaseException:
            _close(response)
            raise
        if fault is not None and response.status_code < 300:
            raise fault  # any other status says enough, and no body can take that back
        _hold(response, body)

    def _body_of(self, response: Response) -> bytes:
        guard = current_guard()
        if response.status_code < 300 or guard is None:
            return read_body(response, self._max_body_bytes)
        try:
            with guard.shortened(STATUS_BODY_SECONDS):
                return read_body(response, self._max_body_bytes)
        except CallTimedOut:
            _close(response)
            return b""


def _close(response: Response) -> None:
    if response.raw is not None:  # which is so where somebody's adapter made the response by hand
        response.close()


def _hold(response: Response, body: bytes) -> None:
    response._content = body
    vars(response)["_content_consumed"] = True  # what requests looks at before it would read once more


def _unreadable(error: Exception, response: Response) -> Fault:
    what = str(error) if isinstance(error, UnreadableBody) else f"the body breaks off ({reason_of(error)})"
    return Fault("unreadable", what, answer_without_body(response))
