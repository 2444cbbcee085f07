"""The blocking transport: sends one HTTP request with requests, on our own session or the caller's."""

from __future__ import annotations

import threading
from collections.abc import Callable
from http.client import HTTPException
from typing import Any, NamedTuple

import requests
from requests import Session
from urllib3.exceptions import HTTPError

from .._auth.headers import KeyHeaders, merged_headers, secrets_in
from .._auth.urls import same_origin
from .._clock import Deadline, Stopwatch
from .._models import Fault, Request, Response, interim_as_final
from .base import EVENT_CHECK_SECONDS, MAX_REDIRECTS, TransportConfig, redirect_target, redirected
from .body import FILE_CODES, MAX_BODY_BYTES, STATUS_BODY_SECONDS, Sink, read_capped, response_head, stream_to
from .cancel_scope import CURRENT, CallAborted, CallTimeout, CancelScope, TransferScope
from .decoding import ACCEPT_ENCODING
from .errors import (
    TIMED_OUT,
    RequestNotSent,
    failed_before_send,
    map_exception,
    redacted_cause,
    root_reason,
    tunnel_failed,
)
from .framing import UnreadableBody
from .multipart import NO_BODY, RequestBody, encode_body
from .sessions import BorrowedSession, Call, PooledSession, ReadHook


class _Exchange(NamedTuple):
    """A request in flight. `credentials` is None for a request to another origin, which gets no API key."""

    session: PooledSession | BorrowedSession
    request: Request
    credentials: KeyHeaders | None
    payload: RequestBody
    sink: Sink | None
    scope: CancelScope


class RequestsTransport:
    """The transport that blocks the thread of the caller. Safe to share between threads.

    Attributes:
        closed: Set when the client is closed.
    """

    max_connections = 1

    def __init__(self, config: TransportConfig, max_body_bytes: int = MAX_BODY_BYTES) -> None:
        """Create a transport without opening a connection.

        Args:
            config: The arguments of the client. The session is a `requests.Session` or None.
            max_body_bytes: The longest body that is read, in bytes.

        Raises:
            TypeError: The session is not a `requests.Session`.
        """
        session = config.session
        if session is not None and not isinstance(session, Session):
            raise TypeError(f"session must be a requests.Session, got a value of type {type(session).__name__}")
        self.base_url = config.base_url
        self.is_closed = False
        self.closed = threading.Event()
        self._credentials = config.credentials
        self._request_timeout = config.request_timeout
        self._sleep = config.sleep
        self._max_body_bytes = max_body_bytes
        self._default_headers = {
            "User-Agent": config.user_agent,
            "Accept": "application/json",
            "Accept-Encoding": ACCEPT_ENCODING,
        }
        own_headers = merged_headers(self._default_headers, config.headers)
        self._session: PooledSession | BorrowedSession = (
            PooledSession(own_headers, self._read)
            if session is None
            else BorrowedSession(session, own_headers, self._read)
        )

    async def send(
        self,
        request: Request,
        deadline: Deadline,
        is_cancelled: Callable[[], bool],
        sink: Sink | None = None,
        *,
        new_connection: bool,
    ) -> Response:
        """Send a request and read the response to its end. Never suspends.

        Args:
            request: The request. With a file or a sink, `request_timeout` limits the time without any byte.
            deadline: When the call must be over.
            is_cancelled: Called repeatedly; returns True to abort the request.
            sink: Receives the body if the status is one of `FILE_CODES`; None to return the body with the response.
            new_connection: True to open a new connection, except on a caller's session. A reused one may be about to be
                closed by the server, or hold a late response to an earlier request.

        Raises:
            Fault: No response arrived, or it broke off, or it could not be read.
            CallTimeout: `request_timeout` or the deadline has passed.
            CallCancelled: `is_cancelled` returned True.
            RequestNotSent: The function that returns the key raised, or the file to send cannot be read.
        """
        stopwatch = Stopwatch(deadline.stopwatch)
        session = self._session.renewed() if new_connection else self._session
        scope = self._new_scope(request.is_transfer or sink is not None, deadline, stopwatch, is_cancelled)
        credentials, body = self._credentials_and_body(request)
        with body as payload:
            try:
                response = self._send_in_scope(_Exchange(session, request, credentials, payload, sink, scope))
            except Fault as fault:
                fault.add_sent_keys(secrets_in(credentials))
                raise
            finally:
                if new_connection:
                    session.close()
        return Response(
            response.status_code, response.headers, response.content, stopwatch.elapsed, secrets_in(credentials)
        )

    async def sleep(self, seconds: float, cancel: Any, stopwatch: Stopwatch) -> None:
        """Sleep, and add the seconds really slept to `stopwatch`."""
        if self._sleep is not None:
            with stopwatch.measure_callers_sleep(seconds):
                self._sleep(seconds)
        elif cancel is None:
            with stopwatch.measure():
                self.closed.wait(min(seconds, threading.TIMEOUT_MAX))
        else:
            self._sleep_on_two_events(Deadline.after(seconds, stopwatch), cancel)

    def _sleep_on_two_events(self, end: Deadline, cancel: threading.Event) -> None:
        while not self.is_closed and end.remaining > 0:
            with end.stopwatch.measure():
                if cancel.wait(min(end.remaining, EVENT_CHECK_SECONDS)):
                    return

    def close(self) -> None:
        """End sleeps and requests in progress, and close the idle connections of our own session."""
        self.is_closed = True
        self.closed.set()
        self._session.close()

    def close_idle(self) -> None:
        """Close the idle connections of our own session. Later requests open new ones."""
        self._session.close_idle()

    def _credentials_and_body(self, request: Request) -> tuple[KeyHeaders | None, RequestBody]:
        is_same_origin = request.path.startswith("/") or same_origin(self.base_url, request.path)
        try:
            return self._credentials() if is_same_origin else None, encode_body(request)
        except Exception as error:
            raise RequestNotSent(error) from error

    def _new_scope(
        self, is_transfer: bool, deadline: Deadline, stopwatch: Stopwatch, is_cancelled: Callable[[], bool]
    ) -> CancelScope:
        if is_transfer:
            return TransferScope(deadline, self._request_timeout, is_cancelled, stopwatch)
        return CancelScope(stopwatch.began_at + min(self._request_timeout, deadline.remaining), is_cancelled, stopwatch)

    def _send_in_scope(self, exchange: _Exchange) -> requests.Response:
        scope = exchange.scope
        try:
            with scope:
                return self._send_following_redirects(exchange)
        except (CallAborted, Fault) as error:
            error.was_sent = self._was_sent(exchange, error)
            raise
        except (requests.RequestException, HTTPError, HTTPException, OSError, ValueError, TypeError) as error:
            fault = map_exception(error)
            cause = redacted_cause(error, fault.text)
            fault.was_sent = self._was_sent(exchange, error)
        # Raised outside the handler, or the original exception with all it holds would be the context of the fault.
        try:
            scope.require_remaining()  # a third-party adapter reports a timeout in its own way, and ours takes precedence
        except CallAborted as aborted:
            aborted.was_sent = fault.was_sent
            raise
        raise fault from cause

    def _was_sent(self, exchange: _Exchange, error: Exception) -> bool:
        """True if the whole request may have reached the server."""
        if not exchange.payload.is_read:
            return False
        scope = exchange.scope
        if isinstance(exchange.session, PooledSession) and not scope.is_unguarded:
            return scope.has_sent and not tunnel_failed(error)
        # After a response, or where the session may retry, the error is the last of several, and proves nothing.
        is_only_error = not scope.has_response and exchange.session.never_retries()
        return not (is_only_error and failed_before_send(error))

    def _send_following_redirects(self, exchange: _Exchange) -> requests.Response:
        request, payload, scope = exchange.request, exchange.payload, exchange.scope
        read = None if exchange.sink is None else self._sink_hook(exchange.sink)
        url = request.url(self.base_url)
        is_same_origin = exchange.credentials is not None
        scope.reuse_url = url  # also after a redirect, which is about the same job
        for _ in range(1 + MAX_REDIRECTS):
            if is_same_origin and exchange.credentials is not None:
                headers = (
                    merged_headers(exchange.credentials, request.headers) if request.headers else exchange.credentials
                )
                call = exchange.session.prepare(Call(request.method, url, headers, payload, read))
            else:
                headers = merged_headers(self._default_headers, request.headers)
                call = exchange.session.prepare_cross_origin(Call(request.method, url, headers, payload, read))
            response = call.send(scope.require_remaining())
            target = redirect_target(call.session, response)
            if target is None or request.method != "GET":
                return response
            request = redirected(request, url, target)
            url, is_same_origin = target, is_same_origin and same_origin(self.base_url, target)
            if exchange.session is not self._session:
                exchange.session.close_idle()  # `new_connection` holds after each redirect too
            if not is_same_origin:
                payload = NO_BODY  # it was for our origin
        raise Fault("unreadable", f"more than {MAX_REDIRECTS} redirects", response_head(response))

    def _sink_hook(self, sink: Sink) -> ReadHook:
        def read_into_sink(response: requests.Response, **_: Any) -> None:
            _record_response()
            if response.status_code not in FILE_CODES:
                self._read(response)
                return
            try:
                stream_to(response, sink)
            except BaseException:
                _close(response)
                raise
            _set_body(response, b"")

        return read_into_sink

    def _read(self, response: requests.Response, **_: Any) -> None:
        _record_response()
        if response.status_code < 200:
            _close(response)  # before its body is read, which would return the connection to the pool
            raise interim_as_final(response_head(response))
        fault = None
        try:
            body = self._body_of(response)
        except (UnreadableBody, HTTPError, HTTPException, OSError, ValueError) as error:
            _close(response)
            if isinstance(error, TIMED_OUT) and response.status_code < 300:
                raise  # a late body is the same fault as a missing one
            body, fault = b"", _unreadable_fault(error, response)
        except BaseException:
            _close(response)
            raise
        if fault is not None and response.status_code < 300:
            raise fault  # for any other status, a broken body changes nothing
        _set_body(response, body)

    def _body_of(self, response: requests.Response) -> bytes:
        scope = CURRENT.scope
        if response.status_code < 300 or scope is None:
            return read_capped(response, self._max_body_bytes)
        try:
            with scope.child(STATUS_BODY_SECONDS):
                return read_capped(response, self._max_body_bytes)
        except CallTimeout:
            _close(response)
            return b""


def _record_response() -> None:
    scope = CURRENT.scope
    if scope is not None:
        scope.has_response = True


def _close(response: requests.Response) -> None:
    if response.raw is not None:  # None if a third-party adapter built the response itself
        response.close()


def _set_body(response: requests.Response, body: bytes) -> None:
    response._content = body
    vars(response)["_content_consumed"] = True  # requests checks it before it reads the body


def _unreadable_fault(error: Exception, response: requests.Response) -> Fault:
    what = str(error) if isinstance(error, UnreadableBody) else f"the body breaks off ({root_reason(error)})"
    return Fault("unreadable", what, response_head(response))
