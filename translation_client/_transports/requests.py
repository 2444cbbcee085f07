"""The blocking transport: sends one HTTP request with requests, on our own session or the caller's."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from http.client import HTTPException
from inspect import getattr_static
from typing import Any, NamedTuple, Protocol

import requests
from requests import PreparedRequest, Session
from requests.adapters import HTTPAdapter
from requests.cookies import RequestsCookieJar
from urllib3.exceptions import HTTPError

from .._auth import KeyHeaders, same_origin, secrets_in
from .._clock import Deadline, Stopwatch
from .._models import Fault, Request, Response, interim_as_final
from .base import MAX_REDIRECTS, TransportConfig, redirect_target
from .body import FILE_CODES, Sink, read_capped, response_head, stream_to
from .cancel_scope import CURRENT, CallAborted, CallTimeout, CancelScope, RequestNotSent, TransferScope
from .decoding import ACCEPT_ENCODING
from .dns import fork_count
from .errors import TIMED_OUT, failed_before_send, map_exception, redacted_cause, root_reason
from .multipart import NO_BODY, RequestBody, encode_body
from .sockets import GuardedAdapter, UnreadableBody

MAX_PREPARED_CALLS = 128
"""How many prepared calls are kept. Polling repeats one call, and preparing it is half of its CPU time."""

MAX_SOCKET_SECONDS = 1e6
"""1e6 s, eleven days: the longest time-out set on a socket. A much larger number overflows in the system call."""


class Call(NamedTuple):
    """A call to prepare.

    Attributes:
        method: The HTTP method in capitals.
        url: The absolute URL.
        headers: Added to the headers of all calls, which they override.
        payload: The body of the request.
        read: The response hook that reads the body; None for the default one.
    """

    method: str
    url: str
    headers: Mapping[str, str]
    payload: RequestBody = NO_BODY
    read: ReadHook | None = None


class PreparedCall(NamedTuple):
    """A call that is ready to be sent."""

    session: Session
    prepared: PreparedRequest
    send_options: dict[str, Any]

    def send(self, timeout: float) -> requests.Response:
        """Send the request without following a redirect."""
        limit = min(timeout, MAX_SOCKET_SECONDS)
        return self.session.send(self.prepared, timeout=limit, allow_redirects=False, **self.send_options)


class ReadHook(Protocol):
    """Reads the body of a response."""

    def __call__(self, response: requests.Response, **_: Any) -> None:
        """Read the body, and store it in the response."""


class PooledSession:
    """A session of our own: sockets that obey the cancel scope, no cookies, no .netrc, no retries.

    The environment (proxies, CA bundle) is read when a call is prepared, and kept with it. The child of a fork reads it
    again.
    """

    never_retries = True

    def __init__(self, headers: Mapping[str, str], read: ReadHook) -> None:
        """Create the session without opening a connection."""
        self._headers = headers
        self._read = read
        self._lock = threading.Lock()
        self._process = _ProcessSession(fork_count())

    def prepare(self, call: Call) -> PreparedCall:
        """Prepare a call with all headers."""
        process = self._current_process()
        if call.payload is not NO_BODY or call.read is not None:
            return self._prepare_call(process, call)
        key = (call.method, call.url, *call.headers.items())
        ready = process.prepared_calls.get(key)
        if ready is None:
            ready = self._prepare_call(process, call)
            kept = process.prepared_calls if len(process.prepared_calls) < MAX_PREPARED_CALLS else {}
            process.prepared_calls = {**kept, key: ready}
        return ready

    def prepare_foreign(self, call: Call) -> PreparedCall:
        """Prepare a call to another origin, without our headers."""
        return _prepare_foreign(self._current_process().session, call, self._read)

    def _prepare_call(self, process: _ProcessSession, call: Call) -> PreparedCall:
        prepared = _prepare_request(process.session, call, self._headers, self._read, ignore_session_auth=True)
        return PreparedCall(process.session, prepared, _send_options(process.session, call.url))

    def renewed(self) -> PooledSession:
        """Return a new session like this one, without connections. The caller closes it."""
        return PooledSession(self._headers, self._read)

    def close(self) -> None:
        """Close the idle connections. Those in use are closed by the calls that use them."""
        self._process.session.close()

    def close_idle(self) -> None:
        """Close the idle connections. Later requests open new ones."""
        for adapter in self._current_process().adapters:
            adapter.close_idle()

    def _current_process(self) -> _ProcessSession:
        if self._process.forks != fork_count():  # a pool used on both sides of a fork mixes up the responses
            with self._lock:
                if self._process.forks != fork_count():
                    self._process = _ProcessSession(fork_count())
        return self._process


class _ProcessSession:
    """Our session in one process, and its prepared calls."""

    def __init__(self, forks: int) -> None:
        self.forks = forks
        self.prepared_calls: dict[tuple[Any, ...], PreparedCall] = {}
        self.session = Session()
        self.session.headers.clear()
        self.session.cookies = _NoCookies()
        self.adapters = (GuardedAdapter(), GuardedAdapter())
        self.session.mount("http://", self.adapters[0])
        self.session.mount("https://", self.adapters[1])


class BorrowedSession:
    """The caller's session: its adapters, hooks, cookies and auth, which may change from call to call."""

    def __init__(self, session: Session, headers: Mapping[str, str], read: ReadHook) -> None:
        """Wrap the session without changing it."""
        self._session = session
        self._headers = headers
        self._read = read

    def prepare(self, call: Call) -> PreparedCall:
        """Prepare a call with all headers."""
        names = {name.lower() for name in (*self._headers, *call.headers)}
        prepared = _prepare_request(
            self._session, call, self._headers, self._read, ignore_session_auth="authorization" in names
        )
        return PreparedCall(self._session, prepared, _send_options(self._session, call.url))

    def prepare_foreign(self, call: Call) -> PreparedCall:
        """Prepare a call to another origin, without our headers."""
        return _prepare_foreign(self._session, call, self._read)

    @property
    def never_retries(self) -> bool:
        """True if neither the session nor one of its adapters may retry on its own.

        One that has a `send` of its own may. Only adapters of other kinds than requests' own, which have no
        `max_retries`, are trusted.
        """
        sends_once = not _overrides(self._session, Session, "send", "get_adapter")
        return sends_once and all(map(_sends_once, self._session.adapters.values()))

    def renewed(self) -> BorrowedSession:
        """Return this session: its connections are managed by the caller."""
        return self

    def close(self) -> None:
        """Do nothing: the caller closes the session."""

    def close_idle(self) -> None:
        """Do nothing: the connections are managed by the caller."""


def _sends_once(adapter: Any) -> bool:
    """True if an adapter does not retry. `Retry(total=None)` leaves the limit to its other counts (urllib3.util.Retry)."""
    retries = getattr(adapter, "max_retries", 0)
    total = getattr(retries, "total", retries)
    own_send = isinstance(adapter, HTTPAdapter) and _overrides(adapter, HTTPAdapter, "send")
    return total is not None and total == 0 and not own_send


def _overrides(instance: Any, base: type, *names: str) -> bool:
    """True if an instance or its class replaces a method of a base class.

    The attributes are compared as they are stored: an instrumented method returns a new object at each access.
    """
    stored = [(getattr_static(instance.__class__, name, None), getattr_static(base, name)) for name in names]
    is_own = any(name in getattr(instance, "__dict__", {}) for name in names)
    return is_own or any(own is not inherited for own, inherited in stored)


def _prepare_request(
    session: Session, call: Call, headers: Mapping[str, str], read: ReadHook, *, ignore_session_auth: bool
) -> PreparedRequest:
    # An explicit auth keeps requests from replacing our credentials with those of .netrc, or with the auth of the session.
    auth = _no_auth if ignore_session_auth else None
    body, content_type_header = _body_and_content_type(call)
    request = requests.Request(
        call.method, call.url, {**headers, **call.headers, **content_type_header}, data=body, auth=auth
    )
    return _with_hook(session.prepare_request(request), call.read or read)


def _body_and_content_type(call: Call) -> tuple[Any, dict[str, str]]:
    if call.payload is NO_BODY:
        return None, {}
    return call.payload.content, {"Content-Type": call.payload.content_type}


def _prepare_foreign(session: Session, call: Call, read: ReadHook) -> PreparedCall:
    # Not prepared by the session, which may add its own headers, cookies and auth. Its client certificate is left out too.
    body, content_type_header = _body_and_content_type(call)
    headers = {**call.headers, **content_type_header}
    prepared = requests.Request(call.method, call.url, headers, data=body, auth=_no_auth).prepare()
    return PreparedCall(
        session, _with_hook(prepared, call.read or read), {**_send_options(session, call.url), "cert": None}
    )


def _with_hook(prepared: PreparedRequest, read: ReadHook) -> PreparedRequest:
    # A hook, as `Session.send` reads the body of a redirect without a limit. The first one, as others may read it too.
    prepared.hooks["response"].insert(0, read)
    return prepared


def _send_options(session: Session, url: str) -> dict[str, Any]:
    # `verify` is passed, or a CA bundle of the environment would override a session's verify=False.
    return dict(session.merge_environment_settings(url, {}, True, session.verify, None))


def _no_auth(prepared: PreparedRequest) -> PreparedRequest:
    return prepared


class _NoCookies(RequestsCookieJar):
    """Stores no cookies: a status check does not depend on them, and parsing them from each response takes time."""

    def extract_cookies(self, response: Any, request: Any) -> None:
        """Do nothing."""


MAX_BODY_BYTES = 1024 * 1024
"""1 MiB: the longest body held in memory."""

STATUS_BODY_SECONDS = 1.0
"""1 s: how long the body of an error or a redirect is read. Only the status counts, which has already arrived."""


class _Exchange(NamedTuple):
    """A request in flight. `credentials` is None for a request to another origin, which gets no API key."""

    session: PooledSession | BorrowedSession
    request: Request
    credentials: KeyHeaders | None
    payload: RequestBody
    sink: Sink | None
    scope: CancelScope


CANCEL_SLICE_SECONDS = 0.02
"""20 ms: how soon a sleep that waits on the caller's event notices `close()`. The event itself ends it at once."""


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
        own_headers = KeyHeaders({**self._default_headers, **config.headers})
        self._is_callers_session = session is not None
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
        new_connection: bool = False,
    ) -> Response:
        """Send one request, and return the response. Never suspends."""
        return self.send_blocking(request, deadline, is_cancelled, sink, new_connection=new_connection)

    def send_blocking(
        self,
        request: Request,
        deadline: Deadline,
        is_cancelled: Callable[[], bool],
        sink: Sink | None = None,
        *,
        new_connection: bool = False,
    ) -> Response:
        """Send a request and read the response to its end.

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
                if cancel.wait(min(end.remaining, CANCEL_SLICE_SECONDS)):
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
        scope.require_remaining()  # a third-party adapter reports a time-out in its own way, and ours takes precedence
        raise fault from cause

    def _was_sent(self, exchange: _Exchange, error: Exception) -> bool:
        """True if the whole request may have reached the server."""
        is_sent = exchange.payload.is_read and (exchange.scope.has_sent or self._is_callers_session)
        # An adapter that retries on its own raises the last of several errors, which proves nothing.
        return is_sent and not (self._session.never_retries and failed_before_send(error))

    def _send_following_redirects(self, exchange: _Exchange) -> requests.Response:
        request, payload, scope = exchange.request, exchange.payload, exchange.scope
        read = None if exchange.sink is None else self._sink_hook(exchange.sink)
        url = request.url(self.base_url)
        is_same_origin = exchange.credentials is not None
        for _ in range(1 + MAX_REDIRECTS):
            if is_same_origin and exchange.credentials is not None:
                headers = (
                    KeyHeaders({**exchange.credentials, **request.headers}) if request.headers else exchange.credentials
                )
                call = exchange.session.prepare(Call(request.method, url, headers, payload, read))
            else:
                headers = KeyHeaders({**self._default_headers, **request.headers})
                call = exchange.session.prepare_foreign(Call(request.method, url, headers, payload, read))
            response = call.send(scope.require_remaining())
            target = redirect_target(call.session, response)
            if target is None or request.method != "GET":
                return response
            url, is_same_origin = target, is_same_origin and same_origin(self.base_url, target)
        raise Fault("unreadable", f"more than {MAX_REDIRECTS} redirects", response_head(response))

    def _sink_hook(self, sink: Sink) -> ReadHook:
        def read_into_sink(response: requests.Response, **_: Any) -> None:
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
            with scope.shortened(STATUS_BODY_SECONDS):
                return read_capped(response, self._max_body_bytes)
        except CallTimeout:
            _close(response)
            return b""


def _close(response: requests.Response) -> None:
    if response.raw is not None:  # None if a third-party adapter built the response itself
        response.close()


def _set_body(response: requests.Response, body: bytes) -> None:
    response._content = body
    vars(response)["_content_consumed"] = True  # requests checks it before it reads the body


def _unreadable_fault(error: Exception, response: requests.Response) -> Fault:
    what = str(error) if isinstance(error, UnreadableBody) else f"the body breaks off ({root_reason(error)})"
    return Fault("unreadable", what, response_head(response))
